//! A recipients file as text: one address or pattern a line, an optional target behind it,
//! comments behind `#`, blank lines. Reads in pieces and looks at octets only.

use crate::list::{Intake, LineProblem, typed};
use std::io::{self, Read};

/// A line with an address, a target and room to spare, in octets.
const LINE_OCTETS_MAX: usize = 4_096;
/// Octets read at a time.
const PIECE_OCTETS: usize = 256 << 10;

/// Types of addresses beside SMTP.
const OTHER_TYPES: &[&str] =
    &["x400", "x500", "sip", "eum", "ccmail", "ms", "notes", "gwise", "spo"];
/// What stands behind an address in maps of Postfix and Exim, and says no more than that it is
/// there.
const WORDS: &[&str] = &[
    "x", "ok", "permit", "accept", "relay", "yes", "y", "true", "1", "any", "exists", "dunno", "-",
];

/// Reads all lines; what is malformed is noted in the intake.
pub(super) fn read(mut from: impl Read, intake: &mut Intake<'_>) -> io::Result<()> {
    intake.describe(|| "one address a line".to_owned());
    let mut buffer = vec![0; PIECE_OCTETS];
    // `buffer[..kept]` is the start of a line whose end is not read yet.
    let mut kept = 0;
    let mut line = 0;
    // The start of the current line was too long and is gone.
    let mut skipping = false;
    loop {
        let count = match from.read(&mut buffer[kept..]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let octets = &buffer[..kept + count];
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', octets) {
            line += 1;
            if !std::mem::take(&mut skipping) {
                take_line(line, &octets[start..end], intake);
            }
            start = end + 1;
        }
        if count == 0 {
            if start < octets.len() && !skipping {
                take_line(line + 1, &octets[start..], intake);
            }
            return Ok(());
        }
        kept = octets.len() - start;
        if kept > LINE_OCTETS_MAX {
            if !skipping {
                intake.refuse(line + 1, LineProblem::TooLong, &octets[start..]);
            }
            (skipping, kept) = (true, 0);
        }
        buffer.copy_within(start..start + kept, 0);
    }
}

fn take_line(line: u64, written: &[u8], intake: &mut Intake<'_>) {
    let written = written.trim_ascii();
    if written.is_empty() || written[0] == b'#' {
        return;
    }
    if written.len() > LINE_OCTETS_MAX {
        return intake.refuse(line, LineProblem::TooLong, written);
    }
    // The end of a text, as DOS has it.
    if written == [0x1a] {
        return;
    }
    // As lists of proxy addresses are written out: the type before the address. Not by `$`, which
    // may be part of a name.
    let written = match typed(written).filter(|(kind, _)| written[kind.len()] == b':') {
        Some((kind, address)) if kind.eq_ignore_ascii_case(b"smtp") => address,
        Some((kind, _)) if is_other_type(kind) => return intake.pass_over(),
        _ => written,
    };
    let (address, rest) = split_column(written);
    let (target, rest) = split_column(rest);
    if !rest.is_empty() && rest[0] != b'#' && target.first() != Some(&b'#') {
        return intake.refuse(line, LineProblem::ColumnsTooMany, written);
    }
    let target = match target {
        [] | [b'#', ..] => None,
        // Postfix's relay_recipient_maps demands a value and ignores it; its manual has the first.
        target if WORDS.iter().any(|word| target.eq_ignore_ascii_case(word.as_bytes())) => None,
        target => Some(target),
    };
    intake.take(line, address, target);
}

/// Addresses of another type than SMTP, as Exchange has them beside those.
fn is_other_type(kind: &[u8]) -> bool {
    OTHER_TYPES.iter().any(|other| kind.eq_ignore_ascii_case(other.as_bytes()))
}

/// The first column, which may hold spaces inside quotes, and what follows the space behind it.
fn split_column(written: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    if written.first() == Some(&b'"') {
        at = 1;
        while at < written.len() && written[at] != b'"' {
            at += if written[at] == b'\\' { 2 } else { 1 };
        }
        at = at.min(written.len());
    }
    // Other white space is no separator: it would put one person's address behind another's.
    let end = written[at..].iter().position(|b| matches!(b, b' ' | b'\t'));
    let (column, rest) = written.split_at(end.map_or(written.len(), |end| at + end));
    (column, rest.trim_ascii_start())
}
