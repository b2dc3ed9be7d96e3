//! What a file without columns is by its first line: a list as it should be, LDIF, or something
//! else that people have at hand, which is refused in one sentence with what to do.

use super::table::is_address_column;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One address a line, as far as can be seen.
    Lines,
    /// Entries of a directory.
    Ldif,
    /// Something else: what it is, and what to do.
    Other(&'static str),
}

const WORKBOOK: &str =
    "a workbook of a spreadsheet or another archive; save the sheet as CSV (UTF-8)";
const DATABASE: &str = "an SQLite database; name it in `[[sql]]` and list `{ sql = \"…\" }`";
const CSV: &str = "CSV; write `format = \"csv\"`, or call it .csv";
const ALIASES: &str = "a file of aliases (`name: targets`); the names alone are a list: \
                       sed -n 's/^\\([^#:[:space:]]*\\):.*/\\1/p' aliases > users.txt";
const COMPRESSED: &str = "a compressed file; unpack it (gunzip)";
const PDF: &str = "a PDF; export one address a line, or CSV";
const SHOWN: &str = "a table as a program shows it to people; have it write the values alone, one \
                     address a line (PowerShell: Select -ExpandProperty, psql: -At, mysql: -BN)";
const MARKUP: &str = "HTML, XML or JSON; export one address a line, or CSV";

/// What octets at the start of a file that is no text say.
pub(super) fn of_octets(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some(COMPRESSED),
        start if start.starts_with(b"%PDF-") => Some(PDF),
        [b'P', b'K', 3, 4, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => Some(WORKBOOK),
        start if start.starts_with(b"SQLite format 3\0") => Some(DATABASE),
        _ => None,
    }
}

/// What its first line says.
pub(super) fn of_text(start: &[u8]) -> Shape {
    let mut lines = start.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let Some(first) = lines.find(|line| !line.is_empty() && line[0] != b'#') else {
        return Shape::Lines;
    };
    let begins =
        |word: &[u8]| first.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if begins(b"dn:") || begins(b"version: ") {
        return Shape::Ldif;
    }
    if begins(b"<?xml")
        || begins(b"<html")
        || begins(b"<!doctype")
        || matches!(first[0], b'{' | b'[')
    {
        return Shape::Other(MARKUP);
    }
    if is_ruler(first) || lines.next().is_some_and(is_ruler) {
        return Shape::Other(SHOWN);
    }
    let is_header = |separator: u8| {
        let columns = first.split(|&b| b == separator);
        let mut columns = columns.map(|name| unquoted(name.trim_ascii()));
        first.contains(&separator) && columns.any(is_address_column)
    };
    if begins(b"sep=") || [b',', b';', b'\t'].into_iter().any(is_header) {
        return Shape::Other(CSV);
    }
    if is_alias(first) { Shape::Other(ALIASES) } else { Shape::Lines }
}

/// The line below a header, or above it: `------  -----`, `+-----+`.
fn is_ruler(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b'-' | b'+' | b'|' | b'=' | b' ' | b'\t'))
        && line.windows(3).any(|three| three == b"---" || three == b"===")
}

/// `postmaster: root`; but `smtp:a@b` is an address with its type.
fn is_alias(line: &[u8]) -> bool {
    let Some(at) = line.iter().position(|&b| b == b':') else { return false };
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    at > 0
        && line[..at].iter().all(is_name)
        && line.get(at + 1).is_some_and(|b| matches!(b, b' ' | b'\t'))
}

/// Quotation marks undone, as CSV has them.
fn unquoted(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(name)
}
