//! The dialogue as it happened, and its printed form. Leaves the happening to `play`.

use super::compare::{ReplyLines, side_by_side};
use std::io::{self, Write};

const COLUMN_CHARACTERS: usize = 46;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A remark: a precondition, a wait that was skipped.
    Note(String),
    /// A line went out, as written in the file.
    Said(String),
    /// A reply came and was the expected one.
    Heard(ReplyLines),
    /// What came is not what line `number` of the file expects.
    Differs {
        /// The line of the file, counted from 1.
        number: usize,
        /// What it says.
        expected: ReplyLines,
        /// What came instead, or why nothing did.
        got: ReplyLines,
    },
    /// The handshake succeeded.
    Secured,
    /// The server closed, as expected.
    Closed,
}

/// The dialogue as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In order.
    pub happened: Vec<Happened>,
}

impl Outcome {
    /// Whether nothing differed.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.differences() == 0
    }

    fn differences(&self) -> usize {
        self.happened.iter().filter(|h| matches!(h, Happened::Differs { .. })).count()
    }

    /// Prints the dialogue with a mark at each reply; `pretty` for a terminal, else ASCII.
    /// # Errors
    /// When `out` fails.
    pub fn print(&self, out: &mut impl Write, pretty: bool) -> io::Result<()> {
        let (good, bad) = if pretty { ("\u{2713}", "\u{2717}") } else { ("ok ", "BAD") };
        let blank = " ".repeat(good.chars().count());
        for happened in &self.happened {
            match happened {
                Happened::Note(text) => writeln!(out, "{blank}   # {}", printable(text, pretty))?,
                Happened::Said(text) => writeln!(out, "{blank} C: {}", printable(text, pretty))?,
                Happened::Heard(lines) => {
                    for line in lines {
                        writeln!(out, "{good} S: {}", printable(line, pretty))?;
                    }
                }
                Happened::Secured => writeln!(out, "{good} tls")?,
                Happened::Closed => writeln!(out, "{good} closed")?,
                Happened::Differs { number, expected, got } => {
                    writeln!(out, "{bad} line {number} of the dialogue:")?;
                    for row in side_by_side(expected, got, COLUMN_CHARACTERS) {
                        writeln!(out, "{blank}    {}", printable(&row, pretty).trim_end())?;
                    }
                }
            }
        }
        match self.differences() {
            0 => writeln!(out, "as expected"),
            1 => writeln!(out, "1 difference"),
            n => writeln!(out, "{n} differences"),
        }
    }
}

/// What a terminal may be shown of what a server sent: no controls, and ASCII only into files.
fn printable(text: &str, pretty: bool) -> String {
    let clean = |c: char| if c.is_control() || (!pretty && !c.is_ascii()) { '?' } else { c };
    text.chars().map(clean).collect()
}
