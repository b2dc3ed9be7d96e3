//! A recipients file as CSV with a header: the exports of Exchange 5.5 (`admin.exe /e`), of
//! Active Directory (`csvde`) and of people. Every column that is known to hold addresses is
//! read, and within a value every SMTP address; X.400, X.500 and the like are passed over.

use crate::list::{Intake, LineProblem, is_shown_list, typed};
use csv::ByteRecord;
use std::io::{self, BufRead, BufReader, Read};

/// Headers of address columns, in lower case without spaces, hyphens and underscores.
const ADDRESS_COLUMNS: &[&str] = &[
    "address",
    // Of GAM, which numbers them: `aliases.0`; and of Google's own export with ` [Required]`.
    "aliases",
    "mail",
    "mailalternateaddress",
    "maillocaladdress",
    "email",
    "emailaddress",
    "emailaddresses",
    "emails",
    // Of Domino.
    "internetaddress",
    "mailbox",
    "othermailbox",
    "primaryemail",
    "primarysmtpaddress",
    "proxyaddresses",
    "recipient",
    "rfc822mailbox",
    "secondaryproxyaddresses",
    "smtpaddress",
    "windowsemailaddress",
];
/// Headers of target columns, in the same form.
const TARGET_COLUMNS: &[&str] = &["target", "deliverto", "forwardto", "goto"];
/// Octets read at a time, and the longest header.
const PIECE_OCTETS: usize = 256 << 10;
/// Octets of a header that are shown.
const HEADER_CHARS_MAX: usize = 200;

/// Why a table was not read to its end.
pub(super) enum TableError {
    /// The file failed.
    Io(io::Error),
    /// The header names no column of addresses.
    ColumnMissing {
        /// What it names.
        found: String,
    },
}

/// Which columns to read.
struct Columns {
    addresses: Vec<usize>,
    target: Option<usize>,
    count: usize,
}

/// Reads all records; what is malformed is noted in the intake.
pub(super) fn read(from: impl Read, intake: &mut Intake<'_>) -> Result<(), TableError> {
    let mut from = BufReader::with_capacity(PIECE_OCTETS, from);
    let delimiter = delimiter(from.fill_buf().map_err(TableError::Io)?);
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter).comment(Some(b'#'));
    let mut reader = builder.from_reader(from);
    let mut record = ByteRecord::new();
    if !next(&mut reader, &mut record)? {
        // Empty, which is for the guard to judge.
        return Ok(());
    }
    if is_separator_line(&record) && !next(&mut reader, &mut record)? {
        return Ok(());
    }
    let columns = columns(&record)?;
    intake.describe(|| describe(&record, &columns, delimiter));
    while next(&mut reader, &mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        take_record(line, &record, &columns, intake);
    }
    Ok(())
}

fn next<R: Read>(reader: &mut csv::Reader<R>, record: &mut ByteRecord) -> Result<bool, TableError> {
    reader.read_byte_record(record).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => TableError::Io(error),
        // Records of octets with any number of columns cannot fail otherwise.
        other => TableError::Io(io::Error::other(format!("{other:?}"))),
    })
}

/// `sep=;`, with which a spreadsheet is told how to read the rest.
fn is_separator_line(record: &ByteRecord) -> bool {
    record.get(0).is_some_and(|first| first.trim_ascii().eq_ignore_ascii_case(b"sep="))
}

/// Spreadsheets of half of Europe write `;`, and some tools tabs.
fn delimiter(start: &[u8]) -> u8 {
    let mut lines = start.split(|&b| b == b'\n');
    let header = lines.find(|line| !line.trim_ascii().is_empty() && line[0] != b'#');
    let header = header.unwrap_or_default();
    let word = header.get(..4).filter(|word| word.eq_ignore_ascii_case(b"sep="));
    if let (Some(_), Some(&separator)) = (word, header.get(4)) {
        return separator;
    }
    let count = |delimiter| header.iter().filter(|&&b| b == delimiter).count();
    let most = [b';', b'\t', b','].into_iter().max_by_key(|&delimiter| count(delimiter));
    most.unwrap_or(b',')
}

/// Whether a column, or an attribute, is known to hold addresses.
pub(super) fn is_address_column(name: &[u8]) -> bool {
    is_one_of(name, ADDRESS_COLUMNS)
}

fn is_one_of(name: &[u8], known: &[&str]) -> bool {
    let name: Vec<u8> = name
        .iter()
        .filter(|b| !matches!(b, b' ' | b'-' | b'_'))
        .map(u8::to_ascii_lowercase)
        .collect();
    let name = name.trim_ascii();
    let name = name.strip_suffix(b"[required]").unwrap_or(name);
    // `aliases.0`, `emails.1.address`; but `emails.1.type` holds none.
    let (name, rest) = match name.iter().position(|&b| b == b'.') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, &name[..0]),
    };
    let rest = rest.strip_suffix(b".address").unwrap_or(rest);
    rest.iter().all(u8::is_ascii_digit) && known.iter().any(|known| known.as_bytes() == name)
}

fn columns(header: &ByteRecord) -> Result<Columns, TableError> {
    let of = |known| {
        let found = header.iter().enumerate().filter(move |(_, name)| is_one_of(name, known));
        found.map(|(at, _)| at)
    };
    let addresses: Vec<usize> = of(ADDRESS_COLUMNS).collect();
    if addresses.is_empty() {
        let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
        let names = names.join(",");
        let found = names.chars().filter(|c| !c.is_control()).take(HEADER_CHARS_MAX).collect();
        return Err(TableError::ColumnMissing { found });
    }
    Ok(Columns { addresses, target: of(TARGET_COLUMNS).next(), count: header.len() })
}

/// `CSV of Domino, separated by ","; addresses from "InternetAddress"`.
fn describe(header: &ByteRecord, columns: &Columns, delimiter: u8) -> String {
    let name = |at: usize| String::from_utf8_lossy(&header[at]).trim().to_owned();
    let names: Vec<String> =
        columns.addresses.iter().map(|&at| format!("\"{}\"", name(at))).collect();
    let whose = whose(header).map_or(String::new(), |whose| format!(" of {whose}"));
    let delimiter = match delimiter {
        b'\t' => "tabs".to_owned(),
        other => format!("\"{}\"", char::from(other)),
    };
    let target =
        columns.target.map_or(String::new(), |at| format!(", targets from \"{}\"", name(at)));
    let names = names.join(" and ");
    format!("CSV{whose}, separated by {delimiter}; addresses from {names}{target}")
}

/// Which tool writes such a header.
fn whose(header: &ByteRecord) -> Option<&'static str> {
    let names: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    Some(match () {
        () if has("obj-class") => "Exchange 5.5 (admin.exe /e)",
        () if has("email address [required]") => "the Google Admin console",
        () if has("primaryemail") => "GAM",
        () if has("proxy addresses") && has("user principal name") => "Microsoft 365",
        () if has("primarysmtpaddress") || has("windowsemailaddress") => "the Exchange shell",
        () if has("internetaddress") => "Domino",
        () if has("dn") => "a directory (csvde, ldifde or a browser)",
        () if has("proxyaddresses") => "Active Directory",
        () => return None,
    })
}

fn take_record(line: u64, record: &ByteRecord, columns: &Columns, intake: &mut Intake<'_>) {
    if record.len() == 1 && record[0].trim_ascii().is_empty() {
        return;
    }
    if record.len() != columns.count {
        // A quote that was never closed has swallowed the lines behind it, too.
        let problem = LineProblem::ColumnsDiffer { header: columns.count, found: record.len() };
        return intake.refuse(line, problem, record.as_slice());
    }
    let mut values = columns.addresses.iter().map(|&at| record[at].trim_ascii());
    if let Some(value) = values.find(|value| value.contains(&b'\n')) {
        return intake.refuse(line, LineProblem::LineBreak, value);
    }
    let mut values = columns.addresses.iter().map(|&at| record[at].trim_ascii());
    if let Some(value) = values.find(|value| is_shown_list(value)) {
        return intake.refuse(line, LineProblem::ListType, value);
    }
    let target = columns.target.map(|at| record[at].trim_ascii());
    let target = target.filter(|target| !target.is_empty()).map(smtp_address);
    for &at in &columns.addresses {
        for address in addresses(record[at].trim_ascii()) {
            intake.take(line, address, target);
        }
    }
}

/// The target without its type; the intake says what is wrong with it otherwise.
fn smtp_address(value: &[u8]) -> &[u8] {
    match typed(value) {
        Some((kind, address)) if kind.eq_ignore_ascii_case(b"smtp") => address,
        _ => value,
    }
}

/// The SMTP addresses in a value: `SMTP:a@b%smtp:c@d%X400:…`, `a@b;c@d`, or one alone.
fn addresses(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (piece, behind) = split_piece(rest);
            rest = behind;
            match typed(piece) {
                Some((kind, address)) if kind.eq_ignore_ascii_case(b"smtp") => {
                    return Some(address.trim_ascii());
                }
                None if !piece.trim_ascii().is_empty() => return Some(piece.trim_ascii()),
                _ => {}
            }
        }
        None
    })
}

/// Splits off the first piece; what is left is always shorter. Behind a type the value may hold
/// separators itself (the `;` and spaces of `X400:c=US;a= ;p=LoadContext;`), and `%` is a legal
/// character of a local part; so a typed piece ends only where another type begins. A space
/// separates only typed pieces: `Tom Jones` is malformed and not two local parts.
fn split_piece(value: &[u8]) -> (&[u8], &[u8]) {
    let is_typed = typed(value).is_some();
    for (at, &b) in value.iter().enumerate() {
        if !(matches!(b, b';' | b',') || (is_typed && is_separator(b))) {
            continue;
        }
        // A `+` may begin a local part.
        let is_between = |b: u8| is_separator(b) && (is_typed || b != b'+');
        let start = value[at..].iter().position(|&b| !is_between(b));
        let behind = start.map_or(&value[..0], |start| &value[at + start..]);
        if !is_typed || behind.is_empty() || typed(behind).is_some() {
            return (&value[..at], behind);
        }
    }
    (value, &[])
}

fn is_separator(b: u8) -> bool {
    // `+`: Microsoft 365.
    matches!(b, b';' | b',' | b'%' | b'+') || b.is_ascii_whitespace()
}
