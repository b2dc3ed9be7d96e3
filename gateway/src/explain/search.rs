//! Finds one session in logs that `observe::write` wrote, JSON or text, by an id that a reply
//! bore: session and count. Lines of other sessions cost one search for the session's name.

use memchr::memmem;
use relay::client::Prefix;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Events of one session that are kept; a session has hundreds at most.
const EVENTS_MAX: usize = 10_000;
/// Rotated siblings that are looked for: `.1` to this.
const ROTATED_MAX: u32 = 9;
/// A longer line was not written by us; it is skipped.
const LINE_OCTETS_MAX: u64 = 64 << 10;

/// What a reply or a log line is called: `0b0k3m8c1g7f2.3`, or the session alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// The whole.
    pub text: String,
    /// Before the dot.
    pub session: String,
}

impl Id {
    /// Takes what was copied out of a bounce: `(id 0b0k3m8c1g7f2.3)`. Nothing when it can be no
    /// id. Case matters in it.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let text = written.trim().trim_start_matches('(').trim_end_matches(['.', ')']);
        let text = text.strip_prefix("id ").unwrap_or(text).trim();
        let (session, count) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric());
        (plain(session) && count.bytes().all(|b| b.is_ascii_digit()) && !count.is_empty())
            .then(|| Self { text: text.to_owned(), session: session.to_owned() })
    }

    /// Whether it names a session and nothing in it.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.text == self.session
    }
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged(pub Map<String, Value>);

impl Logged {
    /// A field as text for a terminal; a list with commas; empty when it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        let text = match self.0.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(list)) => {
                let list = list.iter().map(|one| one.as_str().unwrap_or_default());
                list.collect::<Vec<_>>().join(", ")
            }
            Some(other) => other.to_string(),
        };
        text.replace(is_hostile, "\u{fffd}")
    }

    /// Whether it is what an id names.
    #[must_use]
    pub fn is_named(&self, id: &Id) -> bool {
        self.field("id") == id.text || self.field("message") == id.text
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let text = str::from_utf8(line).ok()?.trim();
        // What a journal writes before the line is not ours.
        if let Some(at) = text.find('{')
            && let Ok(Value::Object(fields)) = serde_json::from_str(&text[at..])
        {
            return Some(Self(fields));
        }
        let (time, rest) = text.split_once(' ')?;
        let (event, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut fields = text_fields(rest)?;
        fields.insert("time".into(), time.into());
        fields.insert("event".into(), event.into());
        Some(Self(fields))
    }
}

/// What a terminal would obey, or what would make it show something else than is there: a client
/// may have said anything.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// `name=value name="quoted as in JSON"`.
fn text_fields(mut rest: &str) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    while let Some((name, after)) = rest.trim_start().split_once('=') {
        let value;
        (value, rest) = if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = values.next()?.ok()?;
            (value, &after[values.byte_offset()..])
        } else {
            let (value, rest) = after.split_once(' ').unwrap_or((after, ""));
            (value.to_owned(), rest)
        };
        fields.insert(name.to_owned(), value.into());
    }
    Some(fields)
}

/// The files to look into, oldest first: the log and what it was before it was rotated.
#[must_use]
pub fn with_rotated(log: &Path) -> Vec<PathBuf> {
    let sibling = |n: u32| {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    let mut files: Vec<_> = (1..=ROTATED_MAX).rev().map(sibling).collect();
    files.retain(|file| file.is_file());
    files.push(log.to_owned());
    files
}

/// The events of the id's session, in the order of the log.
/// # Errors
/// When the file cannot be read.
pub fn in_file(file: &Path, id: &Id) -> io::Result<Vec<Logged>> {
    read(BufReader::new(File::open(file)?), id)
}

/// The lines that tell of refusals of this client which were not written one by one, where the id
/// may be one of them; of all clients where it is not known who it was.
/// # Errors
/// When the file cannot be read.
pub fn repeats_in(file: &Path, id: &Id, client: Option<IpAddr>) -> io::Result<Vec<Logged>> {
    repeats(BufReader::new(File::open(file)?), id, client)
}

/// As [`repeats_in`], from anywhere.
/// # Errors
/// When it cannot be read.
pub fn repeats(from: impl BufRead, id: &Id, client: Option<IpAddr>) -> io::Result<Vec<Logged>> {
    let finder = memmem::Finder::new("LinesRepeated");
    let own = client.map(Prefix::client);
    let around = own.and_then(Prefix::around);
    let names = [own, around].map(|prefix| prefix.map(|prefix| prefix.to_string()));
    let is_it = |event: &Logged| {
        let of = event.field("client");
        (client.is_none() || of == "several" || names.iter().flatten().any(|name| *name == of))
            && (order(&event.field("first_id"))..=order(&event.field("last_id")))
                .contains(&order(&id.text))
    };
    lines_with(&finder, from, is_it)
}

/// Ids in the order in which they were given: sessions have names of one length.
fn order(id: &str) -> (&str, u64) {
    let (session, count) = id.split_once('.').unwrap_or((id, "0"));
    (session, count.parse().unwrap_or(0))
}

/// As [`in_file`], from anywhere.
/// # Errors
/// When it cannot be read.
pub fn read(from: impl BufRead, id: &Id) -> io::Result<Vec<Logged>> {
    let finder = memmem::Finder::new(&id.session);
    lines_with(&finder, from, |event| event.field("session") == id.session)
}

/// The events of lines that have this in them, as far as they are wanted.
fn lines_with(
    finder: &memmem::Finder<'_>,
    mut from: impl BufRead,
    is_wanted: impl Fn(&Logged) -> bool,
) -> io::Result<Vec<Logged>> {
    let (mut found, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = io::Read::take(&mut from, LINE_OCTETS_MAX).read_until(b'\n', &mut line)?;
        if read == 0 || found.len() >= EVENTS_MAX {
            return Ok(found);
        }
        if finder.find(&line).is_some() {
            found.extend(Logged::parse(&line).filter(&is_wanted));
        }
    }
}
