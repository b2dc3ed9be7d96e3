//! The dialogue files: text that reads like RFC 5321 Appendix D, flush left the conversation with
//! the client, indented the one with the next hop. This parses a file into lines with numbers and
//! wire octets. Leaves to others: playing it, which the tests of `relay` do with an exchange and
//! `postern talk` with a live server; and what the words behind `given` and `connect` mean.

use std::borrow::Cow;
use std::fmt;

/// The most octets that one line of a dialogue file may have.
pub const LINE_OCTETS_MAX: usize = 65_536;

/// The most octets that one escape stands for.
pub const ESCAPE_OCTETS_MAX: usize = 16_777_216;

/// A dialogue file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its lines in order, blank ones left out.
    pub lines: Vec<Numbered>,
}

/// A line and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Counts the lines of the file from 1.
    pub number: usize,
    /// What it says.
    pub line: Line,
}

/// One line of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `# text`
    Comment(String),
    /// `given recipient jones@example.com exists`: a precondition, in words.
    Given(Vec<String>),
    /// `C: text`: the client sends this.
    ClientSays(Wire),
    /// `S: text`: one line of a reply that the client must hear.
    ServerSays(Wire),
    /// Indented `S: text`: the scripted next hop answers this.
    NextHopSays(Wire),
    /// Indented `C: text`: the next hop must hear this.
    NextHopHears(Wire),
    /// Indented `lost`: the connection to the next hop breaks here, or was waited for enough.
    NextHopLost,
    /// Indented `lost in content`: the same, before the final dot was sent.
    NextHopLostInContent,
    /// Indented `unavailable`: no connection to the next hop can be made.
    NextHopUnavailable,
    /// Indented `busy`: all connections to the next hop are in use.
    NextHopBusy,
    /// Indented `at NAME`: which of several next hops speaks from here on.
    NextHopAt(String),
    /// Indented `tls`: the handshake with the next hop.
    NextHopTls,
    /// Indented `no room`: the content that was kept cannot be read back.
    NoRoom,
    /// `event Name key=value`: what must have been observed since the last such line.
    Event {
        /// What happened.
        name: String,
        /// The fields that matter, each with its value.
        fields: Vec<(String, String)>,
    },
    /// `+301s`: time passes, in seconds.
    After(u64),
    /// `waits 2s`: the server makes the client wait, in milliseconds.
    ServerWaits(u64),
    /// `drain`: the server is asked to shut down.
    Drain,
    /// `pressure busy`: how short the server is of means from now on.
    Pressure(String),
    /// `connect …`: the next session, and from where.
    Connect(Vec<String>),
    /// `gone`: the client's connection is lost.
    ClientGone,
    /// `tls`: the handshake with the client.
    Tls,
    /// `closed`: the connection to the client must end here.
    Closed,
}

/// What stands behind `C: ` or `S: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// As written, escapes and all.
    pub written: String,
    /// The octets meant: escapes resolved, CRLF at the end unless `<no-crlf>` stands there.
    pub octets: Vec<u8>,
}

/// Why a file is no dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Counts from 1.
    pub line: usize,
    /// What would have been right there.
    pub expected: &'static str,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

impl std::error::Error for ScriptError {}

/// What is no text where it stands, but octets or their absence.
const ESCAPES: [&str; 3] = ["<hex:", "<repeat:", "<no-crlf>"];

const FLUSH: &str = "`C: `, `S: `, `given …`, `event …`, `connect`, `gone`, `tls`, `waits 2s`, \
                     `drain`, `pressure …`, `+301s`, `closed` or `# comment`";
const INDENTED: &str = "`S: `, `C: `, `lost`, `lost in content`, `unavailable`, `busy`, `no room`, \
                        `tls` or `at NAME` in the indented conversation with the next hop";
const SECONDS: &str = "whole seconds, as in `+301s`";
const WAITS: &str = "seconds, as in `waits 2s` or `waits 0.5s`";
const ESCAPE: &str = "`<hex:0d0a>` or `<repeat:41:1000>`, at most 16,777,216 octets";
const WORDS: &str = "words behind `given`";
const EVENT: &str = "a name and fields, as in `event Refused rule=recipient`";
const SHORTER: &str = "a line of at most 65,536 octets";

impl Script {
    /// Reads a dialogue file.
    /// # Errors
    /// For the first line that is none of the kinds in [`Line`].
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Vec::new();
        for (n, raw) in text.lines().enumerate() {
            let number = n + 1;
            if raw.trim().is_empty() {
                continue;
            }
            let line =
                parse_line(raw).map_err(|expected| ScriptError { line: number, expected })?;
            lines.push(Numbered { number, line });
        }
        Ok(Self { lines })
    }
}

fn parse_line(raw: &str) -> Result<Line, &'static str> {
    if raw.len() > LINE_OCTETS_MAX {
        return Err(SHORTER);
    }
    if let Some(text) = raw.trim_start().strip_prefix('#') {
        return Ok(Line::Comment(text.trim().to_owned()));
    }
    if raw.starts_with([' ', '\t']) {
        return parse_indented(raw.trim_start());
    }
    if let Some(text) = behind(raw, "C:") {
        return wire(text).map(Line::ClientSays);
    }
    if let Some(text) = behind(raw, "S:") {
        return wire(text).map(Line::ServerSays);
    }
    if let Some(seconds) = raw.strip_prefix('+') {
        let seconds = seconds.trim_end().strip_suffix('s').ok_or(SECONDS)?;
        return seconds.parse().map(Line::After).map_err(|_| SECONDS);
    }
    let (word, rest) = raw.trim_end().split_once(' ').unwrap_or((raw.trim_end(), ""));
    match (word, rest.trim()) {
        ("closed", "") => Ok(Line::Closed),
        ("gone", "") => Ok(Line::ClientGone),
        ("tls", "") => Ok(Line::Tls),
        ("drain", "") => Ok(Line::Drain),
        ("pressure", degree) if !degree.is_empty() => Ok(Line::Pressure(degree.to_owned())),
        ("connect", rest) => Ok(Line::Connect(words(rest))),
        ("waits", rest) => milliseconds(rest).map(Line::ServerWaits),
        ("given", "") => Err(WORDS),
        ("given", rest) => Ok(Line::Given(words(rest))),
        ("event", rest) => event(words(rest)).ok_or(EVENT),
        _ => Err(FLUSH),
    }
}

fn parse_indented(line: &str) -> Result<Line, &'static str> {
    if let Some(text) = behind(line, "S:") {
        return wire(text).map(Line::NextHopSays);
    }
    if let Some(text) = behind(line, "C:") {
        return wire(text).map(Line::NextHopHears);
    }
    match line.trim_end() {
        "lost" => Ok(Line::NextHopLost),
        "lost in content" => Ok(Line::NextHopLostInContent),
        "unavailable" => Ok(Line::NextHopUnavailable),
        "busy" => Ok(Line::NextHopBusy),
        "no room" => Ok(Line::NoRoom),
        "tls" => Ok(Line::NextHopTls),
        line => line.strip_prefix("at ").map(|n| Line::NextHopAt(n.to_owned())).ok_or(INDENTED),
    }
}

/// `Refused rule=recipient`
fn event(words: Vec<String>) -> Option<Line> {
    let mut words = words.into_iter();
    let name = words.next()?;
    let field = |word: String| {
        word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    Some(Line::Event { name, fields: words.map(field).collect::<Option<_>>()? })
}

/// A word that is read back as one; it must hold no quotes.
#[must_use]
pub fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains(' ') { Cow::Owned(format!("\"{text}\"")) } else { Cow::Borrowed(text) }
}

/// Words between spaces; quotes hold words together.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match (c, words.last_mut()) {
            ('"', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `2s`, `0.5s`
fn milliseconds(text: &str) -> Result<u64, &'static str> {
    let text = text.strip_suffix('s').ok_or(WAITS)?;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let whole: u64 = whole.parse().map_err(|_| WAITS)?;
    if part.is_empty() || part.len() > 3 {
        return Err(WAITS);
    }
    let part: u64 = format!("{part:0<3}").parse().map_err(|_| WAITS)?;
    whole.checked_mul(1_000).and_then(|ms| ms.checked_add(part)).ok_or(WAITS)
}

/// What stands behind the mark; `C:` alone is an empty line, as content needs them.
fn behind<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(mark)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

fn wire(written: &str) -> Result<Wire, &'static str> {
    let (mut rest, end) = match written.strip_suffix("<no-crlf>") {
        Some(rest) => (rest, ""),
        None => (written, "\r\n"),
    };
    let mut octets = Vec::with_capacity(rest.len() + 2);
    while let Some(at) = rest.find("<hex:").into_iter().chain(rest.find("<repeat:")).min() {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let (escape, behind) = rest[at..].split_once('>').ok_or(ESCAPE)?;
        push_escape(&mut octets, escape).ok_or(ESCAPE)?;
        rest = behind;
    }
    octets.extend_from_slice(rest.as_bytes());
    octets.extend_from_slice(end.as_bytes());
    Ok(Wire { written: written.to_owned(), octets })
}

/// `<hex:0d0a` or `<repeat:41:1000`
fn push_escape(octets: &mut Vec<u8>, escape: &str) -> Option<()> {
    let (digits, times) = match escape.strip_prefix("<hex:") {
        Some(digits) => (digits, 1),
        None => {
            let (digits, times) = escape.strip_prefix("<repeat:")?.split_once(':')?;
            (digits, times.parse().ok()?)
        }
    };
    let unit = hex::decode(digits).ok()?;
    if unit.is_empty() || unit.len().checked_mul(times)? > ESCAPE_OCTETS_MAX {
        return None;
    }
    octets.extend(unit.repeat(times));
    Some(())
}

/// A line without its CRLF as it is written behind `C: ` or `S: `: what is not plain becomes an
/// escape, as does a run of 32 or more octets of a kind.
#[must_use]
pub fn escaped(line: &[u8]) -> String {
    let (mut text, mut escaped) = (String::new(), false);
    let mut rest = line;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|b| **b == first).count();
        let escape = ESCAPES.iter().any(|escape| rest.starts_with(escape.as_bytes()));
        let last_blanks = first == b' ' && run == rest.len();
        let plain = (b' '..=b'~').contains(&first) && !last_blanks && !escape;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Line {
        let script = Script::parse(text).unwrap();
        assert_eq!(script.lines.len(), 1, "{text:?}");
        script.lines[0].line.clone()
    }

    fn plain(text: &str) -> Wire {
        Wire { written: text.to_owned(), octets: format!("{text}\r\n").into_bytes() }
    }

    #[test]
    fn every_kind_of_line_is_read_with_its_number() {
        let text = "# why\n\ngiven domain  example.com\nS: 220 mx\nC: EHLO bar\n\tS: 250 ok\n    \
                    C: QUIT\n  lost\nevent Refused rule=recipient\n+301s\nclosed\n";
        let lines = Script::parse(text).unwrap().lines;
        let numbers: Vec<_> = lines.iter().map(|l| l.number).collect();
        assert_eq!(numbers, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let kinds: Vec<_> = lines.into_iter().map(|l| l.line).collect();
        let expected = [
            Line::Comment("why".into()),
            Line::Given(vec!["domain".into(), "example.com".into()]),
            Line::ServerSays(plain("220 mx")),
            Line::ClientSays(plain("EHLO bar")),
            Line::NextHopSays(plain("250 ok")),
            Line::NextHopHears(plain("QUIT")),
            Line::NextHopLost,
            Line::Event {
                name: "Refused".into(),
                fields: vec![("rule".into(), "recipient".into())],
            },
            Line::After(301),
            Line::Closed,
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn escapes_become_octets_and_the_crlf_can_be_withheld() {
        let Line::ClientSays(wire) = only("C: a<hex:0d0A>.<hex:00>b<no-crlf>") else { panic!() };
        assert_eq!(wire.octets, b"a\r\n.\0b");
        assert_eq!(wire.written, "a<hex:0d0A>.<hex:00>b<no-crlf>");
        let Line::ClientSays(wire) = only("C: <repeat:410a:3><trace>") else { panic!() };
        assert_eq!(wire.octets, b"A\nA\nA\n<trace>\r\n");
        let Line::ClientSays(wire) = only("C:") else { panic!() };
        assert_eq!(wire.octets, b"\r\n");
        let Line::ClientSays(wire) = only("C:  two") else { panic!() };
        assert_eq!(wire.octets, b" two\r\n");
    }

    #[test]
    fn what_is_escaped_is_read_back_as_the_same_octets() {
        let run = [b'x'; 40];
        for line in [
            &b""[..],
            b"EHLO bar",
            b" blanks around ",
            b"a\0\rb\n",
            b"<hex:41> and <repeat:41:3>",
            b"no end <no-crlf>",
            b"<<hex:",
            b"\xff\xfe<trace>",
            &run,
        ] {
            let text = escaped(line);
            let mark = if text.is_empty() { "C:" } else { "C: " };
            let Line::ClientSays(wire) = only(&format!("{mark}{text}")) else { panic!("{text}") };
            assert_eq!(wire.octets, [line, b"\r\n"].concat(), "{text}");
        }
        assert_eq!(escaped(b"a\0\rb"), "a<hex:000d>b");
        assert_eq!(escaped(&run), "<repeat:78:40>");
        assert_eq!(words(&format!("a {} c", quoted("b d"))), ["a", "b d", "c"]);
    }

    #[test]
    fn what_befalls_either_side_is_read() {
        for (text, line) in [
            ("gone", Line::ClientGone),
            ("tls", Line::Tls),
            ("drain", Line::Drain),
            ("pressure busy", Line::Pressure("busy".into())),
            ("connect", Line::Connect(vec![])),
            ("connect 192.0.2.7 tls", Line::Connect(vec!["192.0.2.7".into(), "tls".into()])),
            ("waits 2s", Line::ServerWaits(2_000)),
            ("waits 0.05s", Line::ServerWaits(50)),
            ("  lost in content", Line::NextHopLostInContent),
            ("  unavailable", Line::NextHopUnavailable),
            ("  busy", Line::NextHopBusy),
            ("  no room", Line::NoRoom),
            ("  tls", Line::NextHopTls),
            ("  at b.example", Line::NextHopAt("b.example".into())),
            ("given x left \"a b\"", Line::Given(vec!["x".into(), "left".into(), "a b".into()])),
        ] {
            assert_eq!(only(text), line, "{text}");
        }
    }

    #[test]
    fn what_is_no_line_is_named_with_what_was_expected() {
        for (text, line, expected) in [
            ("S: 220\nhello", 2, FLUSH),
            ("C:EHLO", 1, FLUSH),
            ("closed now", 1, FLUSH),
            ("  hello", 1, INDENTED),
            ("\n\n+5m", 3, SECONDS),
            ("+xs", 1, SECONDS),
            ("C: <hex:0>", 1, ESCAPE),
            ("C: <hex:+d>", 1, ESCAPE),
            ("C: <hex:0d", 1, ESCAPE),
            ("C: <hex:é>", 1, ESCAPE),
            ("C: <repeat:41>", 1, ESCAPE),
            ("C: <repeat:41:99999999999>", 1, ESCAPE),
            ("waits 2", 1, WAITS),
            ("waits 2.s", 1, WAITS),
            ("pressure", 1, FLUSH),
            ("given", 1, WORDS),
            ("event ", 1, EVENT),
            ("event Refused recipient", 1, EVENT),
        ] {
            assert_eq!(Script::parse(text), Err(ScriptError { line, expected }), "{text:?}");
        }
    }
}
