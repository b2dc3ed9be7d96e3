//! Stands between a server and the LDAP library, which reads nested answers by recursion and
//! panics over others: here a quarter of a megabyte would end the process. Lets through only whole
//! messages (RFC 4511 §4.1.1) of bounded size and depth; in the place of any other the search
//! hears that it failed, and those beside it hear nothing.

use std::io;
use std::ops::Range;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::UnixStream;

/// The largest message that is let through, in octets; one entry is one message.
pub(super) const MESSAGE_OCTETS_MAX: usize = 1 << 20;
/// The largest that is read to its end, so that the connection stays of use.
const SKIPPED_OCTETS_MAX: usize = 64 << 20;
/// How deep a message may be nested: a value of an attribute of an entry is at 6.
const DEPTH_MAX: usize = 10;
/// What is read at once.
const READ_OCTETS: usize = 16 << 10;

const TOO_LARGE: &str = "one answer was larger than 1 MiB";
const UNSOUND: &str = "one answer was none";

/// Passes octets on until either side ends.
pub(super) async fn screen(server: impl AsyncRead + AsyncWrite, library: UnixStream) {
    let (mut from_server, mut to_server) = split(server);
    let (mut from_library, mut to_library) = library.into_split();
    let requests = async {
        let mut octets = Vec::with_capacity(READ_OCTETS);
        // Several requests become one write here: the library writes each on its own.
        while from_library.read_buf(&mut octets).await? > 0 {
            to_server.write_all(&octets).await?;
            to_server.flush().await?;
            octets.clear();
        }
        to_server.shutdown().await
    };
    let answers = async {
        let mut screen = Screen::default();
        while from_server.read_buf(screen.room()).await? > 0 {
            let passed = screen.take()?;
            to_library.write_all(&passed).await?;
        }
        io::Result::Ok(())
    };
    // However it ends, the library sees the connection end.
    tokio::select! {
        ended = requests => drop(ended),
        ended = answers => drop(ended),
    }
}

/// Octets from a server, until they are whole messages.
#[derive(Debug, Default)]
pub(super) struct Screen {
    gathered: Vec<u8>,
    /// What is still to come of a message that is not wanted.
    to_skip: usize,
}

impl Screen {
    /// Where the next octets go.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.gathered.reserve(READ_OCTETS);
        &mut self.gathered
    }

    /// Takes out all messages that are whole.
    pub(super) fn take(&mut self) -> io::Result<Vec<u8>> {
        let (mut passed, mut done) = (Vec::new(), 0);
        loop {
            let skipped = self.to_skip.min(self.gathered.len() - done);
            (done, self.to_skip) = (done + skipped, self.to_skip - skipped);
            let rest = &mut self.gathered[done..];
            let Some(content) = first_message(rest)? else { break };
            if content.end > MESSAGE_OCTETS_MAX {
                // The number of the message is needed, and stands in its first octets.
                let Some(id) = message_id(&rest[content.start..]) else { break };
                passed.extend(failed(&id, TOO_LARGE));
                self.to_skip = content.end;
            } else if rest.len() < content.end {
                break;
            } else if is_sound(&mut rest[content.clone()]) {
                passed.extend_from_slice(&rest[..content.end]);
                done += content.end;
            } else {
                let id = message_id(&rest[content.start..]).ok_or_else(no_ldap)?;
                passed.extend(failed(&id, UNSOUND));
                done += content.end;
            }
        }
        self.gathered.drain(..done);
        Ok(passed)
    }
}

fn no_ldap() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "these octets are no LDAP")
}

/// Where the content of the first message is, once its head is there.
fn first_message(octets: &[u8]) -> io::Result<Option<Range<usize>>> {
    match head(octets) {
        Head::Short => Ok(None),
        Head::Element { tag: SEQUENCE, content } if content.end <= SKIPPED_OCTETS_MAX => {
            Ok(Some(content))
        }
        Head::Element { .. } | Head::Wrong => Err(no_ldap()),
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const BIND_RESPONSE: u8 = 0x61;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x78;
const INTERMEDIATE: u8 = 0x79;
const IS_CONSTRUCTED: u8 = 0x20;

/// The beginning of an element (X.690 §8.1).
enum Head {
    /// More octets are needed.
    Short,
    /// Not as RFC 4511 §5.1 restricts it: definite lengths, and tags of one octet.
    Wrong,
    /// The content, which may reach beyond what is there.
    Element { tag: u8, content: Range<usize> },
}

fn head(octets: &[u8]) -> Head {
    let (Some(&tag), Some(&first)) = (octets.first(), octets.get(1)) else { return Head::Short };
    if tag & 0x1f == 0x1f {
        return Head::Wrong;
    }
    let (start, length) = match usize::from(first) {
        length @ 0..=0x7f => (2, length),
        count @ 0x81..=0x84 => {
            let count = count - 0x80;
            let Some(length) = octets.get(2..2 + count) else { return Head::Short };
            (2 + count, length.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)))
        }
        _ => return Head::Wrong,
    };
    Head::Element { tag, content: start..start + length }
}

/// The element at the beginning of these octets, when all of it is there.
pub(in super::super) fn element(octets: &[u8]) -> Option<(u8, Range<usize>)> {
    match head(octets) {
        Head::Element { tag, content } if content.end <= octets.len() => Some((tag, content)),
        _ => None,
    }
}

fn message_id(content: &[u8]) -> Option<Vec<u8>> {
    let (tag, id) = element(content)?;
    (tag == INTEGER && (1..=4).contains(&id.len())).then(|| content[id].to_vec())
}

/// SearchResultDone with the code `other`.
fn failed(id: &[u8], why: &str) -> Vec<u8> {
    let wrapped = |tag: u8, content: &[u8]| {
        // Everything here is shorter than 128 octets.
        let length = u8::try_from(content.len()).unwrap_or(0);
        [&[tag, length], content].concat()
    };
    let result = [&[ENUMERATED, 1, 80, 4, 0], &*wrapped(4, why.as_bytes())].concat();
    wrapped(SEQUENCE, &[wrapped(INTEGER, id), wrapped(DONE, &result)].concat())
}

/// Whether the library can read this content of a message. Texts of results that are no UTF-8,
/// as servers of old send them, are made such.
fn is_sound(content: &mut [u8]) -> bool {
    if !is_nested_well(content) || message_id(content).is_none() {
        return false;
    }
    let Some((_, id)) = element(content) else { return false };
    let Some((tag, op)) = element(&content[id.end..]) else { return false };
    let op = &mut content[id.end..][op];
    match tag {
        BIND_RESPONSE | DONE | EXTENDED => is_result(op),
        ENTRY | REFERENCE | INTERMEDIATE => true,
        _ => false,
    }
}

/// LDAPResult: code, matched name, text; referrals and more may follow.
fn is_result(mut rest: &mut [u8]) -> bool {
    let mut at = 0;
    while let Some((tag, content)) = element(rest) {
        let is_right = match at {
            0 => tag == ENUMERATED && !content.is_empty() && content.len() <= 4,
            1 | 2 => tag == 4,
            _ => true,
        };
        if !is_right {
            return false;
        }
        let (this, behind) = rest.split_at_mut(content.end);
        let text = &mut this[content.start..];
        if tag & IS_CONSTRUCTED == 0 {
            make_utf8(text);
        } else if !is_list_of_texts(text) {
            return false;
        }
        (rest, at) = (behind, at + 1);
    }
    at >= 3
}

fn is_list_of_texts(mut rest: &mut [u8]) -> bool {
    while let Some((tag, content)) = element(rest) {
        if tag & IS_CONSTRUCTED != 0 {
            return false;
        }
        let (this, behind) = rest.split_at_mut(content.end);
        make_utf8(&mut this[content.start..]);
        rest = behind;
    }
    true
}

fn make_utf8(text: &mut [u8]) {
    if std::str::from_utf8(text).is_err() {
        text.iter_mut().filter(|octet| !octet.is_ascii()).for_each(|octet| *octet = b'?');
    }
}

/// Whether every element lies within the one around it, none of them too deep.
fn is_nested_well(octets: &[u8]) -> bool {
    let mut ends = [0; DEPTH_MAX];
    let (mut depth, mut at) = (0, 0);
    ends[0] = octets.len();
    loop {
        while at == ends[depth] {
            if depth == 0 {
                return true;
            }
            depth -= 1;
        }
        let Some((tag, content)) = element(&octets[at..ends[depth]]) else { return false };
        if tag & IS_CONSTRUCTED == 0 {
            at += content.end;
        } else {
            depth += 1;
            if depth == DEPTH_MAX {
                return false;
            }
            (ends[depth], at) = (at + content.end, at + content.start);
        }
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
