//! A snapshot on disk: fixed header, hashes, attributes, side table, a description in JSON, and
//! a checksum over all of it. Written to a temporary file, synced, renamed, directory synced.
//! What is damaged is an error by kind and never a wrong answer. The key is in it: mode 0600.
//! Limits: little-endian numbers; another version is refused, since parsing again is always
//! possible.

use super::{HAS_TARGET, HashKey, Snapshot, Target};
use siphasher::sip::SipHasher13;
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"pstnrcpt";
const VERSION: u32 = 1;
/// Magic, version, reserved, key, four lengths.
const HEADER_OCTETS: u64 = 8 + 4 + 4 + 16 + 4 * 8;
const CHECKSUM_OCTETS: u64 = 8;
/// Octets read or written at a time.
const PIECE_OCTETS: usize = 64 << 10;

/// Why a stored snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not begin as a snapshot does.
    #[error("{}: this is no recipient snapshot", .0.display())]
    NotSnapshot(PathBuf),
    /// Another version of the program wrote it.
    #[error("{}: version {version} of the format, expected {VERSION}", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
    /// Cut short, or longer than its header says.
    #[error("{}: {found} octets, the header says otherwise", path.display())]
    Length {
        /// Which file.
        path: PathBuf,
        /// Octets in it.
        found: u64,
    },
    /// Its content is not what was written.
    #[error("{}: the checksum does not match, the file is damaged", .0.display())]
    Checksum(PathBuf),
    /// The checksum matches and the content still makes no sense.
    #[error("{}: the content is inconsistent", .0.display())]
    Content(PathBuf),
}

/// Counts and sums what passes through it.
struct Summed<T> {
    inner: T,
    sum: SipHasher13,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        // Against damage, not against people: whoever can write here can write anything.
        Self { inner, sum: SipHasher13::new_with_keys(0, 0) }
    }
}

impl<T: Write> Summed<T> {
    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        self.sum.write(octets);
        self.inner.write_all(octets)
    }

    fn put_number(&mut self, number: usize) -> io::Result<()> {
        self.put(&(number as u64).to_le_bytes())
    }
}

impl<T: Read> Summed<T> {
    fn take(&mut self, octets: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(octets)?;
        self.sum.write(octets);
        Ok(())
    }

    fn take_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut octets = [0; N];
        self.take(&mut octets)?;
        Ok(octets)
    }

    fn take_number(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.take_array()?))
    }

    fn take_octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; count];
        for piece in octets.chunks_mut(PIECE_OCTETS) {
            self.take(piece)?;
        }
        Ok(octets)
    }

    fn take_hashes(&mut self, count: usize) -> io::Result<Vec<u64>> {
        let mut hashes = Vec::with_capacity(count);
        let mut octets = vec![0; PIECE_OCTETS];
        while hashes.len() < count {
            let piece = &mut octets[..PIECE_OCTETS.min((count - hashes.len()) * 8)];
            self.take(piece)?;
            let (numbers, _) = piece.as_chunks::<8>();
            hashes.extend(numbers.iter().map(|number| u64::from_le_bytes(*number)));
        }
        Ok(hashes)
    }
}

/// A new file of this name, in place of what bears it. Made and never opened, so that a link that
/// somebody has left there leads nowhere.
/// # Errors
/// When there can be none.
pub fn fresh(path: &Path, mode: u32) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Writes a snapshot with the description of where it came from; whole or not at all.
/// # Errors
/// When the disk fails; the file that was there before still is, or the new one is complete.
pub fn write(path: &Path, snapshot: &Snapshot, description: &[u8]) -> Result<(), StoredError> {
    let failed = |source| StoredError::Io { path: path.to_owned(), source };
    // A fixed name: what a crash leaves behind is replaced by the next attempt.
    let temporary = path.with_extension("new");
    let file = fresh(&temporary, 0o600).map_err(failed)?;
    let mut out = Summed::new(BufWriter::with_capacity(PIECE_OCTETS, file));
    put_all(&mut out, snapshot, description).map_err(failed)?;
    let file = out.inner.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    folder.sync_all().map_err(failed)
}

fn put_all<T: Write>(out: &mut Summed<T>, snapshot: &Snapshot, text: &[u8]) -> io::Result<()> {
    out.put(&MAGIC)?;
    out.put(&VERSION.to_le_bytes())?;
    out.put(&[0; 4])?;
    out.put(&snapshot.key.0)?;
    out.put_number(snapshot.hashes.len())?;
    out.put_number(snapshot.targets.len())?;
    out.put_number(snapshot.target_text.len())?;
    out.put_number(text.len())?;
    let mut octets = Vec::with_capacity(PIECE_OCTETS);
    for piece in snapshot.hashes.chunks(PIECE_OCTETS / 8) {
        octets.clear();
        octets.extend(piece.iter().flat_map(|hash| hash.to_le_bytes()));
        out.put(&octets)?;
    }
    out.put(&snapshot.attributes)?;
    for target in &snapshot.targets {
        out.put(&target.hash.to_le_bytes())?;
        out.put(&target.text_end.to_le_bytes())?;
    }
    out.put(snapshot.target_text.as_bytes())?;
    out.put(text)?;
    let sum = out.sum.finish();
    out.inner.write_all(&sum.to_le_bytes())
}

/// Reads a snapshot and its description back.
/// # Errors
/// When it is not there, is no snapshot of this version, or is damaged anywhere.
pub fn read(path: &Path) -> Result<(Snapshot, Vec<u8>), StoredError> {
    let failed = |source| StoredError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    let length = || StoredError::Length { path: path.to_owned(), found };
    if found < HEADER_OCTETS + CHECKSUM_OCTETS {
        return Err(length());
    }
    let mut from = Summed::new(file);
    let header: [u8; HEADER_OCTETS as usize] = from.take_array().map_err(failed)?;
    let mut header = Summed::new(&header[..]);
    if header.take_array().map_err(failed)? != MAGIC {
        return Err(StoredError::NotSnapshot(path.to_owned()));
    }
    let version = u32::from_le_bytes(header.take_array().map_err(failed)?);
    if version != VERSION {
        return Err(StoredError::Version { path: path.to_owned(), version });
    }
    let _reserved: [u8; 4] = header.take_array().map_err(failed)?;
    let key = HashKey(header.take_array().map_err(failed)?);
    let mut lengths = [0; 4];
    for length in &mut lengths {
        *length = header.take_number().map_err(failed)?;
    }
    // Checked against the file before anything is allocated for it.
    let [entries, targets, target_text, text] = lengths;
    let sum = [entries.checked_mul(9), targets.checked_mul(12), Some(target_text), Some(text)];
    let body = sum.into_iter().try_fold(0u64, |sum, part| sum.checked_add(part?));
    if body != Some(found - HEADER_OCTETS - CHECKSUM_OCTETS) {
        return Err(length());
    }
    let parts = take_parts(&mut from, lengths).map_err(failed)?;
    let sum = from.sum.finish();
    let mut written = [0; CHECKSUM_OCTETS as usize];
    from.inner.read_exact(&mut written).map_err(failed)?;
    if sum != u64::from_le_bytes(written) {
        return Err(StoredError::Checksum(path.to_owned()));
    }
    let text = parts.text;
    let snapshot = assemble(key, parts.hashes, parts.attributes, &parts.targets, parts.target_text);
    Ok((snapshot.ok_or_else(|| StoredError::Content(path.to_owned()))?, text))
}

/// The body as it was read, not yet believed.
struct Parts {
    hashes: Vec<u64>,
    attributes: Vec<u8>,
    targets: Vec<u8>,
    target_text: Vec<u8>,
    text: Vec<u8>,
}

fn take_parts<T: Read>(from: &mut Summed<T>, lengths: [u64; 4]) -> io::Result<Parts> {
    let mut counts = [0; 4];
    for (count, length) in counts.iter_mut().zip(lengths) {
        *count = usize::try_from(length).map_err(io::Error::other)?;
    }
    let [entries, targets, target_text, text] = counts;
    Ok(Parts {
        hashes: from.take_hashes(entries)?,
        attributes: from.take_octets(entries)?,
        targets: from.take_octets(targets * 12)?,
        target_text: from.take_octets(target_text)?,
        text: from.take_octets(text)?,
    })
}

/// Nothing when the parts contradict each other.
fn assemble(
    key: HashKey,
    hashes: Vec<u64>,
    attributes: Vec<u8>,
    targets: &[u8],
    target_text: Vec<u8>,
) -> Option<Snapshot> {
    let target_text = String::from_utf8(target_text).ok()?.into_boxed_str();
    let (targets, _) = targets.as_chunks::<12>();
    let targets: Box<[Target]> = targets
        .iter()
        .map(|&[a, b, c, d, e, f, g, h, i, j, k, l]| Target {
            hash: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            text_end: u32::from_le_bytes([i, j, k, l]),
        })
        .collect();
    let mut ends = targets.iter().map(|target| target.text_end as usize);
    let consistent = hashes.is_sorted_by(|a, b| a < b)
        && targets.is_sorted_by(|a, b| a.hash < b.hash && a.text_end <= b.text_end)
        && ends.clone().all(|end| target_text.is_char_boundary(end))
        && ends.next_back().unwrap_or(0) == target_text.len()
        && attributes.iter().filter(|&&a| a & HAS_TARGET != 0).count() == targets.len();
    let (hashes, attributes) = (hashes.into_boxed_slice(), attributes.into_boxed_slice());
    consistent.then_some(Snapshot { key, hashes, attributes, targets, target_text })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_that_is_made_anew_is_written_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (precious, link) = (folder.path().join("precious"), folder.path().join("list.new"));
        std::fs::write(&precious, "root's").unwrap();
        symlink(&precious, &link).unwrap();
        fresh(&link, 0o600).unwrap().write_all(b"ours").unwrap();
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "root's");
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "ours");
    }
}
