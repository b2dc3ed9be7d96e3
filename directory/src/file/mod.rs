//! Recipients from a file: one address or pattern a line (`text.rs`), CSV (`table.rs`) or LDIF
//! (`ldif.rs`); `shape.rs` tells what a file is that is none of them.
//! This file opens it, undoes its encoding and notices when it changed; what becomes of the
//! addresses is `list/`.

#[cfg(test)]
mod export_tests;
mod ldif;
mod line_ends;
#[cfg(test)]
mod odd_tests;
mod quiet;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod text;

use crate::Environment;
use crate::list::{Allowances, Intake, Listed, Lister, LoadError, Rows, Scope, Version};
use crate::load::guard::Outcome;
use line_ends::LineEnds;
use quiet::Quiet;
use shape::Shape;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets a line of a typical list has: a guess that saves growing.
const LINE_OCTETS_TYPICAL: u64 = 28;
/// Octets looked at to recognise the encoding, and what it is.
const PROBE_OCTETS: usize = 512;
/// Octets read at a time.
const PIECE_OCTETS: usize = 256 << 10;

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
    /// What its lines may be besides addresses.
    pub allowances: Allowances,
}

impl FileSource {
    /// A file whose format follows from its name.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: Format::BySuffix, allowances: Allowances::default() }
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

/// Reads a file whose format follows from its name.
#[must_use]
pub fn lister(path: &Path) -> impl Lister + use<> {
    FileLister::new(FileSource::new(path))
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Octets in it.
    pub octets: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified_nanoseconds: i64,
    /// When anything about it last changed, in nanoseconds since 1970: a copy that brings its time
    /// along changes nothing else.
    pub changed_nanoseconds: i64,
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

    /// As a list is stored with it: `octets inode changed`, and the time next to it.
    fn to_version(self) -> Version {
        let token = format!("{} {} {}", self.octets, self.inode, self.changed_nanoseconds).into();
        Version { modified_nanoseconds: self.modified_nanoseconds, token }
    }

    fn of_version(version: &Version) -> Option<Self> {
        let (octets, rest) = version.token.split_once(' ')?;
        // Without it an earlier version has stored the list, and it is read again.
        let (inode, changed) = rest.split_once(' ')?;
        Some(Self {
            octets: octets.parse().ok()?,
            modified_nanoseconds: version.modified_nanoseconds,
            changed_nanoseconds: changed.parse().ok()?,
            inode: inode.parse().ok()?,
        })
    }

    fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            octets: metadata.len(),
            modified_nanoseconds: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_nanoseconds: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// Opens a file as a source, see [`Listed::open`].
#[must_use]
pub fn open(source: FileSource, scope: Scope, environment: &Environment) -> (Listed, Vec<Outcome>) {
    Listed::open(FileLister::new(source), scope, environment)
}

/// Reads a file, and knows when to. Memory grows with its addresses, not with its octets (except
/// for UTF-16, which is held twice while it is converted).
#[derive(Debug)]
pub struct FileLister {
    name: Arc<str>,
    source: FileSource,
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    quiet: Quiet,
    /// What was there before it was last read, so that a change in between is seen.
    seen: Option<Stamp>,
}

impl FileLister {
    /// A file that was not read yet.
    #[must_use]
    pub fn new(source: FileSource) -> Self {
        let name = format!("file {}", source.path.display()).into();
        Self { name, source, watch: Mutex::default() }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        // Each change to it is one assignment.
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.source.path).ok()
    }
}

impl Lister for FileLister {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn identity(&self) -> String {
        let path = &self.source.path;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        path.to_string_lossy().into_owned()
    }

    fn fingerprint(&self) -> String {
        let Allowances { bare_names, good_lines } = self.source.allowances;
        let mut text = format!("csv={}", self.source.is_csv());
        // As it was before there were others, so that what was stored then is still used.
        if bare_names {
            text.push_str(" bare");
        }
        if good_lines {
            text.push_str(" good-lines");
        }
        text
    }

    fn rows(&self) -> Rows {
        Rows::Written
    }

    fn allowances(&self) -> Allowances {
        self.source.allowances
    }

    fn is_slow(&self) -> bool {
        false
    }

    fn resume(&self, kept: &Version) -> bool {
        let Some(kept) = Stamp::of_version(kept) else { return false };
        self.watch().quiet.loaded(Some(kept));
        self.stamp() == Some(kept)
    }

    fn is_due(&self, _now: i64) -> bool {
        let now = self.stamp();
        self.watch().quiet.observe(now)
    }

    fn read(&self, intake: &mut Intake<'_>) -> Result<Version, LoadError> {
        let seen = self.stamp();
        self.watch().seen = seen;
        Ok(read(&self.source, intake)?.to_version())
    }

    fn took(&self, read: Result<&Version, &LoadError>, _now: i64) {
        let mut watch = self.watch();
        match read {
            Ok(version) => watch.quiet.loaded(Stamp::of_version(version)),
            Err(LoadError::Changing(_)) => {}
            // Nothing comes of reading it again before it changes.
            Err(_) => {
                let seen = watch.seen;
                watch.quiet.loaded(seen);
            }
        }
    }
}

fn read(source: &FileSource, intake: &mut Intake<'_>) -> Result<Stamp, LoadError> {
    let path = &source.path;
    let failed = |source| LoadError::Io { path: path.clone(), source };
    let mut file = File::open(path).map_err(failed)?;
    let stamp = Stamp::from_metadata(&file.metadata().map_err(failed)?);
    intake.reserve(stamp.octets / LINE_OCTETS_TYPICAL);
    let read = match decoded(&mut file, path)? {
        Decoded::Utf8(start) => read_all(source, Cursor::new(start).chain(&mut file), intake)?,
        Decoded::Utf16(text) => read_all(source, Cursor::new(text), intake)?,
    };
    read.map_err(failed)?;
    if Stamp::from_metadata(&file.metadata().map_err(failed)?) != stamp {
        return Err(LoadError::Changing(path.clone()));
    }
    Ok(stamp)
}

/// The outer error is about the file's shape, the inner one about reading it.
fn read_all(
    source: &FileSource,
    from: impl Read,
    intake: &mut Intake<'_>,
) -> Result<io::Result<()>, LoadError> {
    let mut from = BufReader::with_capacity(PIECE_OCTETS, LineEnds::new(from));
    if !source.is_csv() {
        let start = match from.fill_buf() {
            Ok(start) => start,
            Err(error) => return Ok(Err(error)),
        };
        let other = |what| LoadError::OtherShape { path: source.path.clone(), what };
        return match shape::of_text(start) {
            Shape::Lines => Ok(text::read(from, intake)),
            Shape::Other(what) => Err(other(what)),
            Shape::Ldif => match ldif::read(from, intake) {
                Ok(ldif::Read::Whole) => Ok(Ok(())),
                Ok(ldif::Read::Changes) => Err(other(ldif::CHANGES)),
                Err(error) => Ok(Err(error)),
            },
        };
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
    if let Some(what) = shape::of_octets(&start) {
        return Err(LoadError::OtherShape { path: path.to_owned(), what });
    }
    let (of_pair, mark): (fn([u8; 2]) -> u16, usize) = match start.as_slice() {
        [0xff, 0xfe, ..] => (u16::from_le_bytes, 2),
        [0xfe, 0xff, ..] => (u16::from_be_bytes, 2),
        [0xef, 0xbb, 0xbf, ..] => return Ok(Decoded::Utf8(start.split_off(3))),
        octets if octets.contains(&0) => (unmarked(octets).ok_or_else(encoding)?, 0),
        _ => return Ok(Decoded::Utf8(start)),
    };
    file.read_to_end(&mut start).map_err(failed)?;
    let (pairs, odd) = start[mark..].as_chunks::<2>();
    if !odd.is_empty() {
        return Err(encoding());
    }
    let units = pairs.iter().map(|pair| of_pair(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    Ok(Decoded::Utf16(text.map_err(|_| encoding())?.into_bytes()))
}

/// The order of octets in UTF-16 without its mark: most of a list is ASCII, of which every second
/// octet is zero.
fn unmarked(start: &[u8]) -> Option<fn([u8; 2]) -> u16> {
    let (pairs, _) = start.as_chunks::<2>();
    let zeros = |place: usize| pairs.iter().filter(|pair| pair[place] == 0).count();
    match (zeros(0), zeros(1)) {
        (0, behind) if behind * 2 > pairs.len() => Some(u16::from_le_bytes),
        (before, 0) if before * 2 > pairs.len() => Some(u16::from_be_bytes),
        _ => None,
    }
}
