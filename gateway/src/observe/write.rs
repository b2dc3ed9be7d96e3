//! An event as one line: JSON for programs, text for a terminal. Whatever a client said comes out
//! escaped, one line an event, at most [`LINE_OCTETS_MAX`].

use mail::address::Host;
use relay::event::{Event, Value};
use std::fmt::Display;
use std::io::Write;
use wire::clock;

/// A line of the log, in octets.
pub const LINE_OCTETS_MAX: usize = 2_048;
/// One value, in octets before it is escaped.
const VALUE_OCTETS_MAX: usize = 256;
/// Recipients of one message that are listed; the rest is a number.
const LISTED_MAX: usize = 10;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object a line.
    Json,
    /// Time, name, `field=value`.
    Text,
}

/// Appends the line, its end included.
pub fn line(out: &mut Vec<u8>, format: LineFormat, event: &Event<'_>) {
    let start = out.len();
    match format {
        LineFormat::Json => json(out, event),
        LineFormat::Text => text(out, event),
    }
    debug_assert!(out.len() - start <= LINE_OCTETS_MAX * 8);
}

fn json(out: &mut Vec<u8>, event: &Event<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    clock::write_timestamp(out);
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(event.kind.name().as_bytes());
    out.push(b'"');
    event.fields(&mut |name, value| {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Value::Number(number) => digits(out, number),
            Value::Word(_) | Value::Status(..) => {
                out.push(b'"');
                plain(out, &value);
                out.push(b'"');
            }
            Value::List(list) => {
                out.push(b'[');
                for (n, path) in list.iter().take(LISTED_MAX).enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    quoted(out, |out| shown(out, path));
                }
                out.push(b']');
                if list.len() > LISTED_MAX {
                    out.extend_from_slice(b",\"recipients\":");
                    shown(out, &list.len());
                }
            }
            other => quoted(out, |out| plain(out, &other)),
        }
    });
    out.extend_from_slice(b"}\n");
}

fn text(out: &mut Vec<u8>, event: &Event<'_>) {
    clock::write_timestamp(out);
    out.push(b' ');
    out.extend_from_slice(event.kind.name().as_bytes());
    event.fields(&mut |name, value| {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        let start = out.len();
        plain(out, &value);
        let graphic = |b: &u8| b.is_ascii_graphic() && *b != b'"' && *b != b'\\';
        let bare = out.len() > start && out[start..].iter().all(graphic);
        if !bare || out.len() - start > VALUE_OCTETS_MAX {
            let value = out.split_off(start);
            quoted(out, |out| out.extend_from_slice(&value));
        }
    });
    out.push(b'\n');
}

/// A value as it is, not escaped for anything.
fn plain(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) | Value::Word(text) => out.extend_from_slice(text.as_bytes()),
        Value::Number(number) => digits(out, *number),
        Value::Status(class, subject, detail) => {
            digits(out, u64::from(*class));
            out.push(b'.');
            digits(out, u64::from(*subject));
            out.push(b'.');
            digits(out, u64::from(*detail));
        }
        Value::Shown(value) => shown(out, value),
        Value::Address(mailbox) => match (&mailbox.host, mailbox.local_part.prints_as_its_text()) {
            (Host::Domain(domain), true) => {
                out.extend_from_slice(mailbox.local_part.as_str().as_bytes());
                out.push(b'@');
                out.extend_from_slice(domain.as_str().as_bytes());
            }
            _ => shown(out, mailbox),
        },
        Value::List(list) => {
            for (n, path) in list.iter().take(LISTED_MAX).enumerate() {
                out.extend_from_slice(if n > 0 { b"," } else { b"" });
                shown(out, path);
            }
            if list.len() > LISTED_MAX {
                out.extend_from_slice(b",...");
            }
        }
    }
}

/// A number, without the machinery of formatting: every line has several.
fn digits(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn shown(out: &mut Vec<u8>, value: &dyn Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

/// A JSON string. Besides what JSON demands, everything that a terminal or an old parser could
/// take for a line end or a command is escaped. What `write` appends is looked at where it lies:
/// nearly always there is nothing to escape.
fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    let start = out.len();
    write(out);
    let plain = |b: &u8| (b' '..=b'~').contains(b) && *b != b'"' && *b != b'\\';
    if out.len() - start > VALUE_OCTETS_MAX || !out[start..].iter().all(plain) {
        let value = out.split_off(start);
        escape(out, &String::from_utf8_lossy(&value));
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for c in text[..text.floor_char_boundary(VALUE_OCTETS_MAX)].chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::event::{Kind, ProcessEvent};

    fn written(format: LineFormat, detail: &str) -> String {
        let kind = Kind::Process { event: ProcessEvent::Listening, subject: "a", detail };
        let mut out = Vec::new();
        line(&mut out, format, &Event { scene: None, kind });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hostile_text_stays_one_line_of_valid_json() {
        for hostile in ["a\r\nb", "\u{1b}[31m", "\u{2028}", "\"},{", "\\", "\u{1F600}", "\0"] {
            let json = written(LineFormat::Json, hostile);
            let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(parsed["detail"], hostile);
            for line in [json, written(LineFormat::Text, hostile)] {
                assert_eq!(line.matches('\n').count(), 1);
                assert!(line.trim_end().bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
            }
        }
    }

    #[test]
    fn a_line_is_bounded() {
        assert!(written(LineFormat::Json, &"\u{1b}".repeat(10_000)).len() < LINE_OCTETS_MAX);
    }
}
