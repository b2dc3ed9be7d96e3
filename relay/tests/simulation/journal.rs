//! What happened, in order: the only thing the judge reads. Written by the simulated clients,
//! next hops and directory, never by what is being tested (but for its events).

use std::fmt::Write;

/// Something that a client says and that earns one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A line, without its CRLF.
    Command(String),
    /// Mail data as it goes over the wire, its end included.
    Content { token: usize, wire: Vec<u8> },
    /// Bytes that are no proper command.
    Raw(Vec<u8>),
}

impl Item {
    pub fn wire(&self) -> Vec<u8> {
        match self {
            Self::Command(line) => format!("{line}\r\n").into_bytes(),
            Self::Content { wire, .. } | Self::Raw(wire) => wire.clone(),
        }
    }
}

/// A reply as somebody without our parser reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub code: u16,
    pub text: String,
}

impl Heard {
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Self { code: text.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0), text }
    }
}

/// What the directory said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Exists { target: Option<String> },
    Bitbucket,
    Left,
    Unknown,
    Unavailable,
}

/// Events of the exchange that a fate hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Delivered { message: String, recipients: Vec<String> },
    Discarded { recipients: Vec<String> },
    OutcomeUnknown { message: String, recipients: Vec<String> },
    Closed,
    Other(&'static str),
}

/// How a recipient of a message ended, as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Pending,
    Delivered,
    Failed(u16),
    Expired,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Connected {
        session: u64,
        name: String,
        mends: bool,
    },
    /// The first octet of an item left the client.
    Sent {
        session: u64,
        item: Item,
    },
    /// The last octet of the oldest incomplete item left the client.
    Completed {
        session: u64,
    },
    /// One reply, as it was written.
    Wrote {
        session: u64,
        bytes: Vec<u8>,
    },
    /// The client is gone; it has read so many replies.
    Left {
        session: u64,
        heard: usize,
    },
    ShookHands {
        session: u64,
    },
    Closed {
        session: u64,
    },
    Directory {
        session: u64,
        address: String,
        answer: Answer,
    },
    HopConnected {
        session: u64,
        hop: usize,
        conn: u64,
    },
    HopHeard {
        session: u64,
        conn: u64,
        line: Vec<u8>,
    },
    /// A whole, well-formed reply to `verb`; anything else it may send is not noted.
    HopSaid {
        session: u64,
        conn: u64,
        verb: &'static str,
        code: u16,
    },
    /// Mail data up to its end, or to where it broke off.
    HopData {
        conn: u64,
        raw: Vec<u8>,
        ended: bool,
    },
    /// It has the message, whatever it says of it.
    HopTook {
        session: u64,
        hop: usize,
        from: String,
        rcpts: Vec<String>,
        content: Vec<u8>,
    },
    Event {
        session: u64,
        told: Told,
    },
    End {
        token: usize,
        rcpt: String,
        fate: Fate,
    },
    /// The run had to be broken off.
    Endless {
        why: &'static str,
    },
}

/// Notes with the virtual time, in milliseconds.
#[derive(Default)]
pub struct Journal {
    pub notes: Vec<(u64, Note)>,
}

impl Journal {
    pub fn note(&mut self, now: u64, note: Note) {
        self.notes.push((now, note));
    }

    /// For a person.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for (at, note) in &self.notes {
            let seconds = *at as f64 / 1_000.0;
            let _ = match note {
                Note::Sent { session, item: Item::Command(line) } => {
                    writeln!(out, "{seconds:>12.3} {session:>4} C: {line}")
                }
                Note::Wrote { session, bytes } => {
                    let text = String::from_utf8_lossy(bytes);
                    writeln!(out, "{seconds:>12.3} {session:>4} S: {}", text.trim_end())
                }
                Note::HopHeard { session, conn, line } => {
                    let text = line.escape_ascii();
                    writeln!(out, "{seconds:>12.3} {session:>4}         {conn} C: {text}")
                }
                Note::HopSaid { session, conn, verb, code } => {
                    writeln!(out, "{seconds:>12.3} {session:>4}         {conn} S: {code} ({verb})")
                }
                Note::Sent { session, item: Item::Content { token, wire } } => {
                    writeln!(
                        out,
                        "{seconds:>12.3} {session:>4} C: <{token}: {} octets>",
                        wire.len()
                    )
                }
                Note::HopData { conn, raw, ended } => {
                    writeln!(out, "{seconds:>12.3}   {conn} <{} octets, {ended}>", raw.len())
                }
                Note::HopTook { session, hop, rcpts, .. } => {
                    writeln!(out, "{seconds:>12.3} {session:>4}         hop {hop} took {rcpts:?}")
                }
                other => writeln!(out, "{seconds:>12.3} {other:?}"),
            };
        }
        out
    }
}
