//! The format of a dialogue file (described at the top of `dialogues.rs`): text into lines, octets
//! into escapes and back. A superset of what `postern talk` reads.

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
    Input(Input),
    /// Something that must come of it, in its canonical form.
    Output(String),
}

/// Something that comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `C: text`
    Client(Vec<u8>),
    /// `+301s`: time passes, in milliseconds.
    After(u64),
    /// `connect …`: another client, or the same once more.
    Connect(Vec<String>),
    /// `gone`: the client's connection is lost.
    Gone,
    /// `drain`: we are asked to shut down.
    Drain,
    /// `pressure busy`
    Pressure(String),
    /// Indented `S: text`
    Hop(Vec<u8>),
    /// Indented `lost`: the connection to the next hop is gone, or we have waited enough.
    HopLost,
    /// Indented `lost in content`: as above, before the final dot.
    HopLostInContent,
    /// Indented `unavailable`: no connection can be made.
    HopUnavailable,
    /// Indented `busy`: all connections are in use.
    HopBusy,
    /// Indented `no room`: what was kept of the content cannot be read back.
    NoRoom,
}

impl Input {
    /// Whether it comes from the next hop.
    pub fn is_next_hops(&self) -> bool {
        match self {
            Self::Client(_) | Self::After(_) | Self::Connect(_) | Self::Gone | Self::Drain => false,
            Self::Pressure(_) => false,
            Self::Hop(_) | Self::HopLost | Self::HopLostInContent | Self::HopUnavailable => true,
            Self::HopBusy | Self::NoRoom => true,
        }
    }
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
    /// The number of the first line that is none, counted from 1, and the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        let written: Vec<String> = text.lines().map(str::to_owned).collect();
        for (n, raw) in written.iter().enumerate() {
            let line = parse_line(raw).ok_or_else(|| format!("line {}: {raw:?}", n + 1))?;
            lines.push(line);
        }
        Ok(Self { written, lines })
    }

    /// What the client says from `from` on until it waits, and the lines that say so.
    pub fn flight(&self, from: usize) -> (Vec<u8>, Range<usize>) {
        let mut octets = Vec::new();
        let mut end = from;
        for (n, line) in self.lines.iter().enumerate().skip(from) {
            match line {
                Line::Input(Input::Client(said)) => octets.extend_from_slice(said),
                Line::Silent => continue,
                _ => break,
            }
            end = n + 1;
        }
        (octets, from..end)
    }
}

fn parse_line(raw: &str) -> Option<Line> {
    let text = raw.trim_start();
    if text.is_empty() || text.starts_with('#') {
        return Some(Line::Silent);
    }
    if raw.starts_with([' ', '\t']) {
        return Some(match (text, said(text, "S:"), said(text, "C:")) {
            (_, Some(text), _) => Line::Input(Input::Hop(octets(text)?)),
            (_, _, Some(_)) => Line::Output(format!("        {text}")),
            ("lost", ..) => Line::Input(Input::HopLost),
            ("lost in content", ..) => Line::Input(Input::HopLostInContent),
            ("unavailable", ..) => Line::Input(Input::HopUnavailable),
            ("busy", ..) => Line::Input(Input::HopBusy),
            ("no room", ..) => Line::Input(Input::NoRoom),
            ("tls", ..) => Line::Output(format!("        {text}")),
            _ if text.starts_with("at ") => Line::Output(format!("        {text}")),
            _ => return None,
        });
    }
    if let Some(text) = said(raw, "C:") {
        return Some(Line::Input(Input::Client(octets(text)?)));
    }
    if said(raw, "S:").is_some() || ["closed", "tls"].contains(&raw) || raw.starts_with("waits ") {
        return Some(Line::Output(raw.to_owned()));
    }
    if let Some(seconds) = raw.strip_prefix('+') {
        let seconds: u64 = seconds.strip_suffix('s')?.parse().ok()?;
        return Some(Line::Input(Input::After(seconds * 1_000)));
    }
    let words = words(raw);
    Some(match (words[0].as_str(), &words[1..]) {
        ("given", rest) => Line::Given(rest.to_vec()),
        ("event", [name, fields @ ..]) => {
            let field = |word: &String| {
                word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            };
            Line::Event(name.clone(), fields.iter().map(field).collect::<Option<_>>()?)
        }
        ("connect", rest) => Line::Input(Input::Connect(rest.to_vec())),
        ("pressure", [name]) => Line::Input(Input::Pressure(name.clone())),
        ("gone", []) => Line::Input(Input::Gone),
        ("drain", []) => Line::Input(Input::Drain),
        _ => return None,
    })
}

/// What stands behind the mark; `C:` alone is an empty line.
fn said<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(mark)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

/// Words between spaces; quotes hold words together.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A word that [`words`] reads back as one.
pub fn quoted(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// The octets meant: escapes resolved, CRLF at the end unless `<no-crlf>` stands there.
fn octets(written: &str) -> Option<Vec<u8>> {
    let (mut rest, end) = match written.strip_suffix("<no-crlf>") {
        Some(rest) => (rest, ""),
        None => (written, "\r\n"),
    };
    let mut octets = Vec::new();
    while let Some(at) = [rest.find("<hex:"), rest.find("<repeat:")].into_iter().flatten().min() {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let (escape, behind) = rest[at + 1..].split_once('>')?;
        let (_, what) = escape.split_once(':')?;
        let (digits, times) = what.split_once(':').unwrap_or((what, "1"));
        let digits: Option<Vec<u8>> = (0..digits.len() / 2)
            .map(|n| u8::from_str_radix(digits.get(2 * n..2 * n + 2)?, 16).ok())
            .collect();
        octets.extend(digits?.repeat(times.parse().ok()?));
        rest = behind;
    }
    octets.extend_from_slice(rest.as_bytes());
    octets.extend_from_slice(end.as_bytes());
    Some(octets)
}

/// The other way round, for a line without its CRLF: what is not plain becomes an escape, as
/// does a run of 32 or more octets of a kind.
pub fn written(line: &[u8]) -> String {
    let (mut text, mut escaped) = (String::new(), false);
    let mut rest = line;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|b| **b == first).count();
        let plain = (b' '..=b'~').contains(&first) && !(first == b' ' && run == rest.len());
        if run >= 32 {
            text.push_str(&format!("<repeat:{first:02x}:{run}>"));
            rest = &rest[run..];
            escaped = false;
            continue;
        }
        if plain {
            text.push(char::from(first));
        } else if escaped {
            text.pop();
            text.push_str(&format!("{first:02x}>"));
        } else {
            text.push_str(&format!("<hex:{first:02x}>"));
        }
        escaped = !plain;
        rest = &rest[1..];
    }
    text
}
