//! An event as one line: JSON for programs, text for a terminal. Whatever a client said comes out
//! escaped, one line an event, at most [`LINE_OCTETS_MAX`].

use crate::clock;
use relay::event::{Event, Value};
use std::fmt::Write as _;

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
    let mut scratch = String::new();
    event.fields(&mut |name, value| {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Value::Text(text) => quoted(out, text),
            Value::Number(number) => number_to(out, number),
            Value::Shown(shown) => {
                scratch.clear();
                let _ = write!(scratch, "{shown}");
                quoted(out, &scratch);
            }
            Value::List(list) => {
                out.push(b'[');
                for (n, path) in list.iter().take(LISTED_MAX).enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    scratch.clear();
                    let _ = write!(scratch, "{path}");
                    quoted(out, &scratch);
                }
                out.push(b']');
                if list.len() > LISTED_MAX {
                    out.extend_from_slice(b",\"recipients\":");
                    number_to(out, list.len() as u64);
                }
            }
        }
    });
    out.extend_from_slice(b"}\n");
}

fn text(out: &mut Vec<u8>, event: &Event<'_>) {
    clock::write_timestamp(out);
    out.push(b' ');
    out.extend_from_slice(event.kind.name().as_bytes());
    let mut scratch = String::new();
    event.fields(&mut |name, value| {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        scratch.clear();
        match value {
            Value::Text(text) => scratch.push_str(text),
            Value::Number(number) => return number_to(out, number),
            Value::Shown(shown) => {
                let _ = write!(scratch, "{shown}");
            }
            Value::List(list) => {
                for (n, path) in list.iter().take(LISTED_MAX).enumerate() {
                    let _ = write!(scratch, "{}{path}", if n > 0 { "," } else { "" });
                }
                if list.len() > LISTED_MAX {
                    let _ = write!(scratch, ",… ({})", list.len());
                }
            }
        }
        let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if !scratch.is_empty() && scratch.bytes().all(plain) && scratch.len() <= VALUE_OCTETS_MAX {
            out.extend_from_slice(scratch.as_bytes());
        } else {
            quoted(out, &scratch);
        }
    });
    out.push(b'\n');
}

/// A JSON string. Besides what JSON demands, everything that a terminal or an old parser could
/// take for a line end or a command is escaped.
fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let text = &text[..text.floor_char_boundary(VALUE_OCTETS_MAX)];
    if text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                ' '..='~' => out.push(c as u8),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    }
                }
            }
        }
    }
    out.push(b'"');
}

fn number_to(out: &mut Vec<u8>, number: u64) {
    let mut text = String::new();
    let _ = write!(text, "{number}");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::event::Kind;

    fn written(format: LineFormat, detail: &str) -> String {
        let kind = Kind::Process { name: "Test", subject: "a", detail };
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
