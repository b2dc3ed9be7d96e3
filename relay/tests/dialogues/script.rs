//! A dialogue as the runner wants it: what comes from outside apart from what must come of it,
//! and each line at its index in the file, since `BLESS=1` writes the file again.

use dialogue::Line as Parsed;
use std::ops::Range;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Blank, or `# comment`.
    Silent,
    /// `given …`
    Given(Vec<String>),
    /// `event NAME field=value …`
    Event(String, Vec<(String, String)>),
    /// Something that comes from outside; the exchange reacts to it.
    Input(Parsed),
    /// Something that must come of it, in its canonical form.
    Output(String),
}

/// Whether an input comes from the next hop.
pub fn is_next_hops(input: &Parsed) -> bool {
    matches!(
        input,
        Parsed::NextHopSays(_)
            | Parsed::NextHopLost
            | Parsed::NextHopLostInContent
            | Parsed::NextHopUnavailable
            | Parsed::NextHopBusy
            | Parsed::NoRoom
    )
}

/// A dialogue file.
pub struct Script {
    /// The lines as written.
    pub written: Vec<String>,
    /// The same, understood.
    pub lines: Vec<Line>,
}

impl Script {
    /// Reads a file.
    /// # Errors
    /// The number of the first line that is none, counted from 1, and what is expected there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = dialogue::Script::parse(text).map_err(|error| error.to_string())?;
        let written: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut lines = vec![Line::Silent; written.len()];
        for dialogue::Numbered { number, line } in parsed.lines {
            lines[number - 1] = understood(line, &written[number - 1]);
        }
        Ok(Self { written, lines })
    }

    /// What the client says from `from` on until it waits, and the lines that say so.
    pub fn flight(&self, from: usize) -> (Vec<u8>, Range<usize>) {
        let mut octets = Vec::new();
        let mut end = from;
        for (n, line) in self.lines.iter().enumerate().skip(from) {
            match line {
                Line::Input(Parsed::ClientSays(wire)) => octets.extend_from_slice(&wire.octets),
                Line::Silent => continue,
                _ => break,
            }
            end = n + 1;
        }
        (octets, from..end)
    }
}

fn understood(line: Parsed, written: &str) -> Line {
    match line {
        Parsed::Comment(_) => Line::Silent,
        Parsed::Given(words) => Line::Given(words),
        Parsed::Event { name, fields } => Line::Event(name, fields),
        Parsed::ServerSays(_) | Parsed::ServerWaits(_) | Parsed::Tls | Parsed::Closed => {
            Line::Output(written.to_owned())
        }
        Parsed::NextHopHears(_) | Parsed::NextHopAt(_) | Parsed::NextHopTls => {
            Line::Output(format!("        {}", written.trim_start()))
        }
        Parsed::ClientSays(_)
        | Parsed::ClientGone
        | Parsed::Connect(_)
        | Parsed::After(_)
        | Parsed::Drain
        | Parsed::Pressure(_)
        | Parsed::NextHopSays(_)
        | Parsed::NextHopLost
        | Parsed::NextHopLostInContent
        | Parsed::NextHopUnavailable
        | Parsed::NextHopBusy
        | Parsed::NoRoom => Line::Input(line),
    }
}
