//! A recipients file as LDIF (RFC 2849), as `ldapsearch`, `slapcat` and `ldifde` write it: every
//! attribute that is known to hold addresses is read, from every entry. Limits: a list of changes
//! is no list of people, and an address in another file is a malformed line.

use super::table::is_address_column;
use crate::list::{Intake, LineProblem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, BufRead, Read as _};

/// Octets of a line, folded or not, that are looked at: an address, its attribute, room to spare.
const LINE_OCTETS_MAX: usize = 4_096;

/// What a file of changes is.
pub(super) const CHANGES: &str = "LDIF that changes a directory; export the entries themselves";

/// Whether the file was one of people.
pub(super) enum Read {
    /// It was, and all of it is read.
    Whole,
    /// It says what to change in a directory.
    Changes,
}

/// A line with those that continue it (RFC 2849 note 2).
#[derive(Default)]
struct Logical {
    row: u64,
    octets: Vec<u8>,
    /// More than is looked at.
    is_cut: bool,
}

impl Logical {
    fn add(&mut self, octets: &[u8]) {
        let room = LINE_OCTETS_MAX - self.octets.len();
        self.is_cut |= octets.len() > room;
        self.octets.extend_from_slice(&octets[..octets.len().min(room)]);
    }
}

/// Reads all entries; what is malformed is noted in the intake.
pub(super) fn read(mut from: impl BufRead, intake: &mut Intake<'_>) -> io::Result<Read> {
    intake.describe(|| "LDIF, entries of a directory".to_owned());
    let (mut logical, mut row, mut begins) = (Logical::default(), 0, true);
    let mut piece = Vec::new();
    loop {
        piece.clear();
        // A line, or a piece of one that is too long.
        let count = from.by_ref().take(LINE_OCTETS_MAX as u64).read_until(b'\n', &mut piece)?;
        let octets = piece.strip_suffix(b"\n").unwrap_or(&piece);
        let continues = begins && octets.first() == Some(&b' ');
        row += u64::from(begins && count > 0);
        if begins && !continues {
            if let Some(Read::Changes) = take(&logical, intake) {
                return Ok(Read::Changes);
            }
            logical = Logical { row, ..Logical::default() };
        }
        if count == 0 {
            return Ok(Read::Whole);
        }
        logical.add(if continues { &octets[1..] } else { octets });
        // The last line may have no end.
        begins = piece.ends_with(b"\n") || count < LINE_OCTETS_MAX;
    }
}

/// Takes `attribute;option: value`; says when it is no entry but a change of one.
fn take(line: &Logical, intake: &mut Intake<'_>) -> Option<Read> {
    let octets = line.octets.as_slice();
    let at = octets.iter().position(|&b| b == b':')?;
    let (name, value) = (&octets[..at], &octets[at + 1..]);
    let name = name.split(|&b| b == b';').next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"changetype") && !value.trim_ascii().eq_ignore_ascii_case(b"add")
    {
        return Some(Read::Changes);
    }
    if octets[0] == b'#' || !is_address_column(name) {
        return None;
    }
    if line.is_cut {
        intake.refuse(line.row, LineProblem::TooLong, octets);
    } else if let Some(encoded) = value.strip_prefix(b":") {
        // RFC 2849: values that are not plain, among them whatever has a space at its end.
        match STANDARD.decode(encoded.trim_ascii()) {
            Ok(value) => intake.take_value(line.row, value.trim_ascii(), &[]),
            Err(_) => intake.refuse(line.row, LineProblem::NotPlain, octets),
        }
    } else if value.first() == Some(&b'<') {
        intake.refuse(line.row, LineProblem::NotPlain, octets);
    } else if !value.trim_ascii().is_empty() {
        intake.take_value(line.row, value.trim_ascii(), &[]);
    }
    None
}
