//! Replies: what we say, by meaning, and what a next hop said, parsed. RFC 5321 §4.2, RFC 2034.
//! Code and enhanced status are built from one argument, so that their classes agree.

use super::status::{self, Status};
use std::borrow::Cow;
use std::fmt;

/// A reply line with its CRLF, in octets (RFC 5321 §4.5.3.1.5).
pub const REPLY_LINE_OCTETS_MAX: usize = 512;
/// A reply line that a next hop may send, in octets: some send more than they may.
pub const HEARD_LINE_OCTETS_MAX: usize = 4 * REPLY_LINE_OCTETS_MAX;
/// Lines of one reply that a next hop may send.
pub const REPLY_LINES_MAX: usize = 100;
/// What we quote of a line of a next hop's text, in octets.
pub const QUOTED_OCTETS_MAX: usize = 400;
/// What we quote of the lines of one reply of a next hop.
pub const QUOTED_LINES_MAX: usize = 10;
/// Code, status, id and CRLF of one line beside its text.
const LINE_EXTRA_OCTETS_MAX: usize = 64;

/// The first digit of a reply code that answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 2yz
    Completion,
    /// 3yz
    Intermediate,
    /// 4yz
    Transient,
    /// 5yz
    Permanent,
}

/// Names one refusal or one message, so that whoever was refused and whoever reads the log speak
/// of the same thing: a session and a count within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyId {
    /// Given by the edge, unique for as long as the log is kept.
    pub session: SessionId,
    /// Counts the refusals and messages of the session from 1.
    pub count: u32,
}

impl fmt::Display for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, self.count)
    }
}

/// Names a session; printed as 13 characters of base 32 (no vowels, nothing that looks alike).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

impl SessionId {
    const DIGITS: &[u8; 32] = b"0123456789bcdfghjkmnpqrstvwxyzBC";

    /// The printed form.
    #[must_use]
    pub fn digits(self) -> [u8; 13] {
        let mut text = [b'0'; 13];
        let mut rest = self.0;
        for digit in text.iter_mut().rev() {
            *digit = Self::DIGITS[(rest & 31) as usize];
            rest >>= 5;
        }
        text
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// One reply, of one line or (for EHLO) several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: Option<Status>,
    text: Cow<'static, str>,
    /// The lines after the first, for EHLO and for what a next hop said.
    more: Vec<Cow<'static, str>>,
    id: Option<ReplyId>,
}

impl Reply {
    /// A reply with an enhanced status, whose class is the code's.
    #[must_use]
    pub fn new(code: u16, status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status: Some(status), text: text.into(), more: Vec::new(), id: None }
    }

    /// A reply without one: 220, 221 before EHLO, 354, and the answer to EHLO (RFC 2034 §4).
    #[must_use]
    pub fn bare(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status: None, text: text.into(), more: Vec::new(), id: None }
    }

    /// The same, with lines that follow the first.
    #[must_use]
    pub fn and_lines(mut self, more: Vec<Cow<'static, str>>) -> Self {
        self.more = more;
        self
    }

    /// The same, with the id of the refusal in its text.
    #[must_use]
    pub fn with_id(mut self, id: ReplyId) -> Self {
        self.id = Some(id);
        self
    }

    /// The same without it.
    #[must_use]
    pub fn without_id(mut self) -> Self {
        self.id = None;
        self
    }

    /// What a next hop answered, as our own answer: its code, its status if the classes agree,
    /// up to [`QUOTED_LINES_MAX`] lines of its text. Its 421 is a 451 of ours: the channel that
    /// closes is not the client's (RFC 5321 §3.8).
    #[must_use]
    pub fn relayed(heard: &HeardReply) -> Self {
        let code = if heard.code == 421 { 451 } else { heard.code };
        let status = heard.status.unwrap_or(status::OTHER);
        let text: &str = match heard.class() {
            _ if !heard.text.is_empty() => &heard.text,
            Class::Completion | Class::Intermediate => "ok",
            Class::Transient | Class::Permanent => "refused",
        };
        let more = heard.more.iter().take(QUOTED_LINES_MAX - 1);
        let more = more.map(|line| without_status(heard.code, line).to_owned().into());
        Self::new(code, status, text.to_owned()).and_lines(more.collect())
    }

    /// The reply code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// `class.subject.detail`.
    #[must_use]
    pub fn enhanced(&self) -> Option<(u16, u16, u16)> {
        self.status.map(|s| (self.code / 100, s.subject, s.detail))
    }

    /// The id of the refusal, when it has one.
    #[must_use]
    pub fn id(&self) -> Option<ReplyId> {
        self.id
    }

    /// The first line's text, without code, status and id.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The texts of all lines, without codes, statuses and id, with ` / ` between them.
    #[must_use]
    pub fn whole_text(&self) -> Cow<'_, str> {
        if self.more.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let more = self.more.iter().map(|line| &**line);
        Cow::Owned(std::iter::once(&*self.text).chain(more).collect::<Vec<_>>().join(" / "))
    }

    /// What it means to the client.
    #[must_use]
    pub fn class(&self) -> Class {
        class_of(self.code)
    }

    /// How long the wire form is at most, in octets.
    #[must_use]
    pub fn octets_max(&self) -> usize {
        let lines = std::iter::once(&self.text).chain(&self.more);
        lines.map(|line| line.len() + LINE_EXTRA_OCTETS_MAX).sum()
    }

    /// Appends the wire form. Whatever the text holds, what leaves is printable ASCII in lines
    /// of at most 512 octets.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_line(out, &self.text, self.more.is_empty(), self.id);
        for (n, line) in self.more.iter().enumerate() {
            self.write_line(out, line, n + 1 == self.more.len(), None);
        }
    }

    fn write_line(&self, out: &mut Vec<u8>, text: &str, last: bool, id: Option<ReplyId>) {
        let start = out.len();
        push_number(out, self.code);
        out.push(if last { b' ' } else { b'-' });
        if let Some(Status { subject, detail }) = self.status {
            push_number(out, self.code / 100);
            out.push(b'.');
            push_number(out, subject);
            out.push(b'.');
            push_number(out, detail);
            out.push(b' ');
        }
        let room =
            start + REPLY_LINE_OCTETS_MAX - 2 - if id.is_some() { 40 } else { 0 } - out.len();
        let printable = |b: u8| if (b' '..=b'~').contains(&b) { b } else { b'?' };
        out.extend(text.bytes().take(room).map(printable));
        if let Some(id) = id {
            out.extend_from_slice(b" (id ");
            out.extend_from_slice(&id.session.digits());
            out.push(b'.');
            push_number(out, id.count);
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut wire = Vec::new();
        self.write_to(&mut wire);
        f.write_str(String::from_utf8_lossy(&wire).trim_end())
    }
}

fn push_number(out: &mut Vec<u8>, number: impl Into<u32>) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number.into();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn class_of(code: u16) -> Class {
    match code {
        0..300 => Class::Completion,
        300..400 => Class::Intermediate,
        400..500 => Class::Transient,
        _ => Class::Permanent,
    }
}

/// What a next hop said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardReply {
    /// 200 to 599.
    pub code: u16,
    /// Its enhanced status, when there is one and its class is the code's.
    pub status: Option<Status>,
    /// The first line's text without the status: printable ASCII, at most 400 octets.
    pub text: Box<str>,
    /// The texts of the lines after the first, statuses included, each of at most 400 octets.
    pub more: Vec<Box<str>>,
    /// There was a status, of another class than the code: one of the two is wrong.
    pub contradicts: bool,
}

impl HeardReply {
    /// What it means.
    #[must_use]
    pub fn class(&self) -> Class {
        class_of(self.code)
    }
}

/// Why what a next hop sent is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// No three digits, or a code that is none.
    Nonsense,
    /// Lines of one reply with different codes.
    CodesDiffer,
    /// A line or a reply beyond its limit.
    TooLong,
}

/// Takes one whole reply from the front of `input`; `Ok(None)` while it is not all there.
/// # Errors
/// When no continuation could make it a reply.
pub fn parse_reply(input: &[u8]) -> Result<Option<(HeardReply, usize)>, ReplyFault> {
    let mut heard: Option<HeardReply> = None;
    let mut at = 0;
    for _ in 0..REPLY_LINES_MAX {
        let rest = &input[at..];
        let window = &rest[..rest.len().min(HEARD_LINE_OCTETS_MAX)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            let full = window.len() == HEARD_LINE_OCTETS_MAX;
            return if full { Err(ReplyFault::TooLong) } else { Ok(None) };
        };
        // Some old servers end lines with LF; here nothing can be smuggled by it.
        let line = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
        at += end + 1;
        let (code, last, text) = split_line(line)?;
        match &mut heard {
            None => {
                let (status, rest) = split_status(code, text);
                let contradicts = status.is_none() && rest.len() < text.len();
                let (text, more) = (printable(rest), Vec::new());
                heard = Some(HeardReply { code, status, text, more, contradicts });
            }
            Some(first) if first.code != code => return Err(ReplyFault::CodesDiffer),
            Some(first) => first.more.push(printable(text)),
        }
        if last {
            return Ok(heard.map(|heard| (heard, at)));
        }
    }
    Err(ReplyFault::TooLong)
}

fn split_line(line: &[u8]) -> Result<(u16, bool, &[u8]), ReplyFault> {
    let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else {
        return Err(ReplyFault::Nonsense);
    };
    let digit = |d: &u8| u16::from(*d - b'0');
    let code = digit(a) * 100 + digit(b) * 10 + digit(c);
    match rest {
        [] => Ok((code, true, &[])),
        [b' ', text @ ..] => Ok((code, true, text)),
        [b'-', text @ ..] => Ok((code, false, text)),
        _ => Err(ReplyFault::Nonsense),
    }
}

/// The status that a line of a reply begins with, as the reply's first line is read.
#[must_use]
pub fn leading_status(code: u16, line: &str) -> Option<Status> {
    split_status(code, line.as_bytes()).0
}

/// A line of a reply behind its first, without its status.
fn without_status(code: u16, line: &str) -> &str {
    let rest = split_status(code, line.as_bytes()).1.len();
    // What was cut off was a status: digits, dots and a space.
    line.get(line.len() - rest..).unwrap_or(line)
}

/// `5.1.1 no such user` → the status and the text behind it.
fn split_status(code: u16, text: &[u8]) -> (Option<Status>, &[u8]) {
    let end = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
    let Ok(word) = std::str::from_utf8(&text[..end]) else { return (None, text) };
    let mut numbers = word.splitn(3, '.').map(|n| n.parse::<u16>().ok().filter(|n| *n < 1000));
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(class)), Some(Some(subject)), Some(Some(detail))) if class == code / 100 => {
            (Some(Status { subject, detail }), text[end..].trim_ascii_start())
        }
        // A class that contradicts the code: the code counts, the status is dropped.
        (Some(Some(2 | 4 | 5)), Some(Some(_)), Some(Some(_))) => {
            (None, text[end..].trim_ascii_start())
        }
        _ => (None, text),
    }
}

fn printable(text: &[u8]) -> Box<str> {
    let clean = |b: &u8| if (b' '..=b'~').contains(b) { char::from(*b) } else { '?' };
    text.iter().take(QUOTED_OCTETS_MAX).map(clean).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_class_of_code_and_status_is_one_digit() {
        let reply = Reply::new(550, status::BAD_DESTINATION_MAILBOX, "no such mailbox here");
        assert_eq!(wire(&reply), "550 5.1.1 no such mailbox here\r\n");
        assert_eq!(reply.enhanced(), Some((5, 1, 1)));
    }

    #[test]
    fn the_id_survives_a_long_text_and_no_line_exceeds_512_octets() {
        let id = ReplyId { session: SessionId(u64::MAX), count: 4_294_967_295 };
        let reply = Reply::new(550, status::OTHER, "x".repeat(2_000)).with_id(id);
        let line = wire(&reply);
        assert!(line.len() <= REPLY_LINE_OCTETS_MAX, "{}", line.len());
        assert!(line.ends_with(&format!("(id {id})\r\n")));
    }

    #[test]
    fn what_is_not_printable_never_leaves() {
        let reply = Reply::new(550, status::OTHER, "a\r\nb\0c\u{e9}");
        assert_eq!(wire(&reply), "550 5.0.0 a??b?c??\r\n");
    }

    #[test]
    fn several_lines() {
        let reply = Reply::bare(250, "mx.example.com").and_lines(vec!["PIPELINING".into()]);
        assert_eq!(wire(&reply), "250-mx.example.com\r\n250 PIPELINING\r\n");
    }

    #[test]
    fn a_reply_is_heard_whole_or_not_yet() {
        let input = b"250-inside.example.com\r\n250-SIZE 100\r\n250 PIPELINING\r\n354 go";
        for end in 0..input.len() - 6 {
            assert_eq!(parse_reply(&input[..end]), Ok(None), "{end}");
        }
        let (heard, consumed) = parse_reply(input).unwrap().unwrap();
        assert_eq!((heard.code, consumed), (250, input.len() - 6));
        assert_eq!(&heard.more[..], ["SIZE 100".into(), "PIPELINING".into()]);
    }

    #[test]
    fn a_refusal_cannot_hide_behind_an_acceptance() {
        assert_eq!(parse_reply(b"250-a\r\n550 b\r\n"), Err(ReplyFault::CodesDiffer));
    }

    #[test]
    fn nonsense_is_named() {
        for input in [&b"hello\r\n"[..], b"25 x\r\n", b"199 x\r\n", b"600 x\r\n", b"250x\r\n"] {
            assert_eq!(parse_reply(input), Err(ReplyFault::Nonsense));
        }
        assert_eq!(parse_reply(&[b'2'; 4096]), Err(ReplyFault::TooLong));
        assert_eq!(parse_reply(&b"250-x\r\n".repeat(101)), Err(ReplyFault::TooLong));
    }

    #[test]
    fn a_status_of_another_class_is_dropped() {
        let (heard, _) = parse_reply(b"450 5.1.1 greylisted\r\n").unwrap().unwrap();
        assert_eq!((heard.status, &*heard.text), (None, "greylisted"));
        assert!(heard.contradicts);
        assert_eq!(wire(&Reply::relayed(&heard)), "450 4.0.0 greylisted\r\n");
        let (heard, _) = parse_reply(b"550 5.1.1 unknown\r\n").unwrap().unwrap();
        assert_eq!(heard.status, Some(status::BAD_DESTINATION_MAILBOX));
        assert!(!heard.contradicts);
        let (heard, _) = parse_reply(b"550 1.2 is no status\r\n").unwrap().unwrap();
        assert_eq!((heard.status, &*heard.text), (None, "1.2 is no status"));
        assert!(!heard.contradicts);
    }

    #[test]
    fn a_next_hop_that_closes_does_not_close_our_session() {
        let (heard, _) = parse_reply(b"421 4.3.2 shutting down\r\n").unwrap().unwrap();
        assert_eq!(wire(&Reply::relayed(&heard)), "451 4.3.2 shutting down\r\n");
    }

    #[test]
    fn an_acceptance_without_a_text_is_not_called_a_refusal() {
        let (heard, _) = parse_reply(b"250\r\n").unwrap().unwrap();
        assert_eq!(wire(&Reply::relayed(&heard)), "250 2.0.0 ok\r\n");
        let (heard, _) = parse_reply(b"550\r\n").unwrap().unwrap();
        assert_eq!(wire(&Reply::relayed(&heard)), "550 5.0.0 refused\r\n");
    }

    #[test]
    fn all_lines_of_a_refusal_are_passed_on_up_to_a_limit() {
        let said = b"550-5.7.1 blocked\r\n550-5.7.1 see https://example.test\r\n550 5.7.1\r\n";
        let (heard, _) = parse_reply(said).unwrap().unwrap();
        let relayed = Reply::relayed(&heard).with_id(ReplyId { session: SessionId(0), count: 1 });
        assert_eq!(
            wire(&relayed),
            "550-5.7.1 blocked (id 0000000000000.1)\r\n550-5.7.1 see https://example.test\r\n\
             550 5.7.1 \r\n"
        );
        assert_eq!(relayed.whole_text(), "blocked / see https://example.test / ");
        let long = [&b"550-no\r\n".repeat(50)[..], b"550 no\r\n"].concat();
        let (heard, _) = parse_reply(&long).unwrap().unwrap();
        assert_eq!(wire(&Reply::relayed(&heard)).lines().count(), QUOTED_LINES_MAX);
        let farewell = b"421-4.3.2 shutting down\r\n421 4.3.2 come back\r\n";
        let (heard, _) = parse_reply(farewell).unwrap().unwrap();
        let passed_on = "451-4.3.2 shutting down\r\n451 4.3.2 come back\r\n";
        assert_eq!(wire(&Reply::relayed(&heard)), passed_on);
    }

    #[test]
    fn session_ids_are_distinct_and_readable() {
        assert_eq!(SessionId(0).to_string(), "0000000000000");
        assert_ne!(SessionId(1).to_string(), SessionId(32).to_string());
    }
}
