//! Plays a [`Script`] on a connection: what the client says goes out in flights, replies are read
//! whole and compared. Leaves to others: parsing, the meaning of "expected", and exit codes.

use super::compare::{ReplyLines, is_continued, is_expected};
use super::outcome::{Happened, Outcome};
use super::preconditions;
use crate::probe::connection::Wire;
use crate::probe::tls::shake_hands;
use dialogue::{Line, Numbered, Script};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The longest reply line that is read, in octets; four times RFC 5321 §4.5.3.1.5.
const REPLY_LINE_OCTETS_MAX: usize = 2_048;
/// The most lines of one reply.
const REPLY_LINES_MAX: usize = 100;
/// How long to look for a reply that nobody asked for when the dialogue is over.
const AFTERTHOUGHT: Duration = Duration::from_millis(150);

/// How to play.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Compare whole texts.
    pub exact: bool,
    /// Wait where the dialogue says so.
    pub wait: bool,
    /// Where to go for the next session of a dialogue; without it there is only one.
    pub server: Option<SocketAddr>,
    /// The longest wait for one reply.
    pub reply_wait: Duration,
}

/// Plays the client's side of `script` on `stream`. It goes on after a reply that differs, and
/// stops when the server is gone or silent.
pub async fn play(script: &Script, stream: Box<dyn Wire>, options: &Options) -> Outcome {
    let mut player = Player {
        stream: Some(stream),
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

struct Player<'a> {
    /// Gone where the dialogue says so.
    stream: Option<Box<dyn Wire>>,
    options: &'a Options,
    input: Vec<u8>,
    /// What the client says until the next reply is awaited.
    flight: Vec<u8>,
    /// Something was left out: what the server would say because of it is not awaited either.
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

impl Player<'_> {
    async fn play_all(&mut self, script: &Script) {
        // What follows `closed` is another session, or nothing.
        let mut over = false;
        let mut expected: ReplyLines = Vec::new();
        for numbered in &script.lines {
            if over && !matches!(numbered.line, Line::Connect(_)) {
                continue;
            }
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
                Line::Closed | Line::ClientGone => {
                    over = true;
                    self.session_ends(numbered).await
                }
                Line::Connect(from) => {
                    over = false;
                    self.connect(numbered.number, from).await
                }
                Line::Tls => self.secure(numbered.number).await,
                Line::Drain => self.skip("drain"),
                Line::Pressure(degree) => self.skip(&format!("pressure {degree}")),
                Line::After(seconds) => self.pass(*seconds).await,
                Line::Comment(_)
                | Line::Given(_)
                | Line::Event { .. }
                | Line::NextHopSays(_)
                | Line::NextHopHears(_)
                | Line::NextHopLost
                | Line::NextHopLostInContent
                | Line::NextHopUnavailable
                | Line::NextHopBusy
                | Line::NextHopAt(_)
                | Line::NextHopTls
                | Line::NoRoom
                | Line::ServerWaits(_) => true,
            };
            if !goes_on {
                return;
            }
        }
        if !over {
            self.end(script.lines.last().map_or(0, |l| l.number)).await;
        }
    }

    /// `closed` or `gone`; there may be another session.
    async fn session_ends(&mut self, numbered: &Numbered) -> bool {
        if numbered.line == Line::Closed {
            self.expect_close(numbered.number).await;
            return true;
        }
        self.send_flight().await;
        self.stream = None;
        self.note("our side of the connection is gone")
    }

    fn note(&mut self, text: &str) -> bool {
        self.happened.push(Happened::Note(text.to_owned()));
        true
    }

    /// What no client can cause is not done.
    fn skip(&mut self, what: &str) -> bool {
        self.skipping = true;
        self.note(&format!("{what}: not done, what depends on it is skipped"))
    }

    fn differ(&mut self, number: usize, expected: &str, got: String) {
        let (expected, got) = (vec![expected.to_owned()], vec![got]);
        self.happened.push(Happened::Differs { number, expected, got });
    }

    /// The next session. Where it is said to come from is only noted: we are where we are.
    async fn connect(&mut self, number: usize, from: &[String]) -> bool {
        self.stream = None;
        self.input.clear();
        self.skipping = false;
        let Some(server) = self.options.server else {
            self.note("the next session is not played");
            return false;
        };
        match timeout(self.options.reply_wait, TcpStream::connect(server)).await {
            Ok(Ok(stream)) => {
                self.stream = Some(Box::new(stream));
                self.note(format!("connect {}", from.join(" ")).trim_end())
            }
            Ok(Err(error)) => {
                self.differ(number, "connect", format!("({error})"));
                false
            }
            Err(_) => {
                self.differ(number, "connect", Silence::TimedOut.in_words());
                false
            }
        }
    }

    async fn secure(&mut self, number: usize) -> bool {
        if self.skipping {
            return self.note("not done: tls");
        }
        if !self.input.is_empty() {
            self.differ(number, "tls", "(more in the clear)".to_owned());
            return false;
        }
        let address = self.options.server.map(|server| ServerName::from(server.ip()));
        let name = address.or_else(|| ServerName::try_from("localhost").ok());
        let (Some(stream), Some(name)) = (self.stream.take(), name) else { return false };
        match timeout(self.options.reply_wait, shake_hands(name, stream)).await {
            Ok(Ok(stream)) => {
                self.stream = Some(Box::new(stream));
                self.happened.push(Happened::Secured);
                true
            }
            Ok(Err(error)) => {
                self.differ(number, "tls", format!("({error})"));
                false
            }
            Err(_) => {
                self.differ(number, "tls", Silence::TimedOut.in_words());
                false
            }
        }
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

    async fn expect_close(&mut self, number: usize) {
        if self.skipping {
            self.note("not awaited: closed");
            return;
        }
        self.send_flight().await;
        let (mut got, silence) = self.read_reply(self.options.reply_wait).await;
        let good = got.is_empty() && silence == Some(Silence::Closed);
        got.extend(silence.filter(|s| *s != Silence::Closed).map(|_| "(still open)".to_owned()));
        let expected = vec!["closed".to_owned()];
        let differs = Happened::Differs { number, expected, got };
        self.happened.push(if good { Happened::Closed } else { differs });
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
            let Some(stream) = &mut self.stream else { return };
            let sending = async {
                stream.write_all(&flight).await?;
                stream.flush().await
            };
            let _ = timeout(self.options.reply_wait, sending).await;
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
            let Some(stream) = &mut self.stream else { return Err(Silence::Closed) };
            match stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(Silence::Closed),
                Ok(_) => {}
            }
        }
    }
}
