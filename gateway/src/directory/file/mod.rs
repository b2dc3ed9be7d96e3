//! Recipients from a file: one address or pattern a line (`text.rs`) or CSV (`table.rs`).
//! This file opens it and undoes its encoding; `source.rs` keeps what was loaded and answers.

mod cache;
mod confirm;
mod error;
mod intake;
mod report;
mod scope;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub use confirm::confirm;
pub use error::{LineError, LineProblem, LoadError, MALFORMED_KEPT_MAX};
pub use intake::{DomainPart, Load, Malformed, PATTERNS_MAX, PatternEntry};
pub use report::{Checked, check};
pub use scope::{DomainScope, Scope};
pub use source::FileRecipients;

use crate::directory::snapshot::HashKey;
use intake::Intake;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Octets a line of a typical list has: a guess that saves growing.
const LINE_OCTETS_TYPICAL: u64 = 28;
/// Entries that are reserved at most before the first line is read.
const RESERVED_ENTRIES_MAX: u64 = 128 << 20;
/// Octets looked at to recognise the encoding.
const PROBE_OCTETS: usize = 512;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Format {
    /// CSV when the name ends in `.csv`, else text.
    #[default]
    BySuffix,
    /// One address a line.
    Text,
    /// A header, then records.
    Csv,
}

/// One `{ file = "users.txt" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// Where it is.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
}

impl FileSource {
    /// A file whose format follows from its name.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: Format::BySuffix }
    }

    fn is_csv(&self) -> bool {
        match self.format {
            Format::Text => false,
            Format::Csv => true,
            Format::BySuffix => {
                self.path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("csv"))
            }
        }
    }
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Octets in it.
    pub octets: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified_nanoseconds: i64,
    /// Which file it is: an editor that renames makes a new one.
    pub inode: u64,
}

impl Stamp {
    /// Looks at a file.
    /// # Errors
    /// When it is not there.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from_metadata(&std::fs::metadata(path)?))
    }

    fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        let seconds = metadata.mtime().saturating_mul(1_000_000_000);
        Self {
            octets: metadata.len(),
            modified_nanoseconds: seconds.saturating_add(metadata.mtime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// Reads a whole file for the domains of `scope`; memory grows with its addresses, not with its
/// octets (except for UTF-16, which is held twice while it is converted).
/// # Errors
/// When it cannot be read or any line is malformed: then nothing of it is to be used.
pub fn load(source: &FileSource, scope: &Scope, key: HashKey) -> Result<(Load, Stamp), LoadError> {
    let path = &source.path;
    let failed = |source| LoadError::Io { path: path.clone(), source };
    let mut file = File::open(path).map_err(failed)?;
    let stamp = Stamp::from_metadata(&file.metadata().map_err(failed)?);
    let entries = (stamp.octets / LINE_OCTETS_TYPICAL).min(RESERVED_ENTRIES_MAX);
    let mut intake = Intake::new(scope, key, usize::try_from(entries).unwrap_or(0));
    let read = match decoded(&mut file, path)? {
        Decoded::Utf8(start) => read_all(source, Cursor::new(start).chain(&mut file), &mut intake)?,
        Decoded::Utf16(text) => read_all(source, Cursor::new(text), &mut intake)?,
    };
    read.map_err(failed)?;
    if Stamp::from_metadata(&file.metadata().map_err(failed)?) != stamp {
        return Err(LoadError::Changing(path.clone()));
    }
    let malformed = |malformed| LoadError::Malformed { path: path.clone(), malformed };
    Ok((intake.finish().map_err(malformed)?, stamp))
}

/// The outer error is about the file's shape, the inner one about reading it.
fn read_all(
    source: &FileSource,
    from: impl Read,
    intake: &mut Intake<'_>,
) -> Result<io::Result<()>, LoadError> {
    if !source.is_csv() {
        return Ok(text::read(from, intake));
    }
    match table::read(from, intake) {
        Err(table::TableError::Io(error)) => Ok(Err(error)),
        Err(table::TableError::ColumnMissing { found }) => {
            Err(LoadError::ColumnMissing { path: source.path.clone(), found })
        }
        Ok(()) => Ok(Ok(())),
    }
}

/// The start of a file, its encoding undone.
enum Decoded {
    /// Without the byte order mark; the rest is still in the file.
    Utf8(Vec<u8>),
    /// The whole of a UTF-16 file, as Windows tools write them.
    Utf16(Vec<u8>),
}

fn decoded(file: &mut File, path: &Path) -> Result<Decoded, LoadError> {
    let failed = |source| LoadError::Io { path: path.to_owned(), source };
    let encoding = || LoadError::Encoding(path.to_owned());
    let mut start = Vec::with_capacity(PROBE_OCTETS);
    file.by_ref().take(PROBE_OCTETS as u64).read_to_end(&mut start).map_err(failed)?;
    let of_pair = match start.as_slice() {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        [0xef, 0xbb, 0xbf, ..] => return Ok(Decoded::Utf8(start.split_off(3))),
        octets if octets.contains(&0) => return Err(encoding()),
        _ => return Ok(Decoded::Utf8(start)),
    };
    file.read_to_end(&mut start).map_err(failed)?;
    let (pairs, odd) = start[2..].as_chunks::<2>();
    if !odd.is_empty() {
        return Err(encoding());
    }
    let units = pairs.iter().map(|pair| of_pair(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    Ok(Decoded::Utf16(text.map_err(|_| encoding())?.into_bytes()))
}
