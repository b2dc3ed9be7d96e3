//! Plays a [`Script`] on a connection: what the client says goes out in flights, replies are read
//! whole and compared. Leaves to others: parsing, the meaning of "expected", and exit codes.

use super::compare::{ReplyLines, is_continued, is_expected, side_by_side};
use super::preconditions;
use super::script::{Line, Script};
use std::io::{self, Write};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// The longest reply line that is read, in octets; four times RFC 5321 §4.5.3.1.5.
const REPLY_LINE_OCTETS_MAX: usize = 2_048;
/// The most lines of one reply.
const REPLY_LINES_MAX: usize = 100;
/// How long to look for a reply that nobody asked for when the dialogue is over.
const AFTERTHOUGHT: Duration = Duration::from_millis(150);
const COLUMN_CHARACTERS: usize = 46;

/// How to play.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Compare whole texts.
    pub exact: bool,
    /// Wait where the dialogue says so.
    pub wait: bool,
    /// The longest wait for one reply.
    pub reply_wait: Duration,
}

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

/// Plays the client's side of `script` on `stream`. It goes on after a reply that differs, and
/// stops when the server is gone or silent.
pub async fn play<S>(script: &Script, stream: S, options: &Options) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut player = Player {
        stream,
        options,
        input: Vec::new(),
        flight: Vec::new(),
        skipping: false,
        happened: Vec::new(),
    };
    for given in preconditions(script) {
        player.happened.push(Happened::Note(format!("given {given}")));
    }
    player.play_all(script).await;
    Outcome { happened: player.happened }
}

struct Player<'a, S> {
    stream: S,
    options: &'a Options,
    input: Vec<u8>,
    /// What the client says until the next reply is awaited.
    flight: Vec<u8>,
    /// A wait was skipped: what the server would say because of it is not awaited either.
    skipping: bool,
    happened: Vec<Happened>,
}

/// Why no line came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    Closed,
    TimedOut,
    TooLong,
}

impl Silence {
    fn in_words(self) -> String {
        match self {
            Self::Closed => "(the server closed the connection)",
            Self::TimedOut => "(no reply in time)",
            Self::TooLong => "(an endless reply)",
        }
        .to_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Player<'_, S> {
    async fn play_all(&mut self, script: &Script) {
        let mut expected: ReplyLines = Vec::new();
        for numbered in &script.lines {
            let goes_on = match &numbered.line {
                Line::ClientSays(wire) => {
                    self.skipping = false;
                    self.flight.extend_from_slice(&wire.octets);
                    self.happened.push(Happened::Said(wire.written.clone()));
                    true
                }
                Line::ServerSays(wire) => {
                    let line = String::from_utf8_lossy(&wire.octets);
                    expected.push(line.trim_end_matches(['\r', '\n']).to_owned());
                    is_continued(&wire.written)
                        || self.expect(numbered.number, std::mem::take(&mut expected)).await
                }
                Line::Closed => self.expect_close(numbered.number).await,
                Line::After(seconds) => self.pass(*seconds).await,
                Line::Comment(_)
                | Line::Given(_)
                | Line::Event(_)
                | Line::NextHopSays(_)
                | Line::NextHopHears(_)
                | Line::NextHopLost => true,
            };
            if !goes_on {
                return;
            }
        }
        self.end(script.lines.last().map_or(0, |l| l.number)).await;
    }

    /// Reads one reply and compares it; false when there is no point in going on.
    async fn expect(&mut self, number: usize, expected: ReplyLines) -> bool {
        if self.skipping {
            let text = format!("not awaited: {}", expected.join(" / "));
            self.happened.push(Happened::Note(text));
            return true;
        }
        self.send_flight().await;
        let (got, silence) = self.read_reply(self.options.reply_wait).await;
        let good = silence.is_none() && is_expected(&expected, &got, self.options.exact);
        self.happened.push(if good {
            Happened::Heard(got)
        } else {
            let got = got.into_iter().chain(silence.map(Silence::in_words)).collect();
            Happened::Differs { number, expected, got }
        });
        silence.is_none()
    }

    async fn expect_close(&mut self, number: usize) -> bool {
        if self.skipping {
            self.happened.push(Happened::Note("not awaited: closed".to_owned()));
            return false;
        }
        self.send_flight().await;
        let (mut got, silence) = self.read_reply(self.options.reply_wait).await;
        let good = got.is_empty() && silence == Some(Silence::Closed);
        got.extend(silence.filter(|s| *s != Silence::Closed).map(|_| "(still open)".to_owned()));
        let expected = vec!["closed".to_owned()];
        let differs = Happened::Differs { number, expected, got };
        self.happened.push(if good { Happened::Closed } else { differs });
        false
    }

    async fn pass(&mut self, seconds: u64) -> bool {
        self.send_flight().await;
        let note = if self.options.wait {
            sleep(Duration::from_secs(seconds)).await;
            format!("{seconds} s passed")
        } else {
            self.skipping = true;
            format!("{seconds} s skipped; --wait waits")
        };
        self.happened.push(Happened::Note(note));
        true
    }

    /// Sends what is left and looks whether the server says more than the dialogue does.
    async fn end(&mut self, number: usize) {
        self.send_flight().await;
        let (got, _) = self.read_reply(AFTERTHOUGHT).await;
        if !got.is_empty() && !self.skipping {
            let expected = vec!["(nothing more)".to_owned()];
            self.happened.push(Happened::Differs { number, expected, got });
        }
    }

    /// A failure to send shows as a connection that is closed when the reply is read.
    async fn send_flight(&mut self) {
        let flight = std::mem::take(&mut self.flight);
        if !flight.is_empty() {
            let _ = timeout(self.options.reply_wait, self.stream.write_all(&flight)).await;
        }
    }

    async fn read_reply(&mut self, wait: Duration) -> (ReplyLines, Option<Silence>) {
        let mut lines = Vec::new();
        let deadline = tokio::time::Instant::now() + wait;
        while lines.len() < REPLY_LINES_MAX {
            let read = tokio::time::timeout_at(deadline, self.read_line()).await;
            match read.unwrap_or(Err(Silence::TimedOut)) {
                Ok(line) => {
                    let continued = is_continued(&line);
                    lines.push(line);
                    if !continued {
                        return (lines, None);
                    }
                }
                Err(silence) => return (lines, Some(silence)),
            }
        }
        (lines, Some(Silence::TooLong))
    }

    async fn read_line(&mut self) -> Result<String, Silence> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let line = line.strip_suffix(b"\r\n").unwrap_or(&line[..end]);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            if self.input.len() > REPLY_LINE_OCTETS_MAX {
                return Err(Silence::TooLong);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(Silence::Closed),
                Ok(_) => {}
            }
        }
    }
}
