//! A person's word that a load is right although a guard holds it back, as a file in the state
//! directory: `postern recipients confirm` leaves it, the source that holds the load back takes
//! it at its next poll. It counts once.

use crate::load::guard::Confirmation;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// No confirmation is longer.
const FILE_OCTETS_MAX: u64 = 16 << 10;

#[derive(Serialize, Deserialize)]
struct ConfirmationFile {
    /// For whoever finds the file; its name is what counts.
    #[serde(alias = "path")]
    list: Box<str>,
    entries: u64,
}

/// Leaves a confirmation beside the cache of this list and says where.
pub(super) fn leave(cache: &Path, list: &str, confirmation: Confirmation) -> io::Result<PathBuf> {
    let place = confirmation_path(cache);
    let written = ConfirmationFile { list: list.into(), entries: confirmation.entries };
    let unfinished = place.with_extension("confirm.new");
    // Readable for the user that Postern has become, whoever writes it.
    let mut file = crate::snapshot::stored::fresh(&unfinished, 0o644)?;
    file.write_all(&serde_json::to_vec(&written)?)?;
    drop(file);
    fs::rename(&unfinished, &place)?;
    Ok(place)
}

/// Whether a confirmation lies beside this cache.
pub(super) fn is_left(cache: &Path) -> bool {
    confirmation_path(cache).exists()
}

/// Takes the confirmation that lies beside a cache, when there is one.
pub(super) fn take(cache: &Path) -> Option<Confirmation> {
    let place = confirmation_path(cache);
    let mut octets = Vec::new();
    let read = File::open(&place).and_then(|file| {
        file.take(FILE_OCTETS_MAX).read_to_end(&mut octets)?;
        // What cannot be removed would count again and again.
        fs::remove_file(&place)
    });
    read.ok()?;
    let written: ConfirmationFile = serde_json::from_slice(&octets).ok()?;
    Some(Confirmation { entries: written.entries })
}

/// Removes one that nobody waits for any more.
pub(super) fn discard(cache: &Path) {
    // Mostly there is none.
    let _ = fs::remove_file(confirmation_path(cache));
}

fn confirmation_path(cache: &Path) -> PathBuf {
    cache.with_extension("confirm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_is_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("recipients-7.snapshot");
        assert_eq!(take(&cache), None);
        leave(&cache, "file /x/users.txt", Confirmation { entries: 7 }).unwrap();
        assert!(is_left(&cache));
        assert_eq!(take(&cache), Some(Confirmation { entries: 7 }));
        assert!(!is_left(&cache));
        assert_eq!(take(&cache), None);
        fs::write(confirmation_path(&cache), "seven").unwrap();
        assert_eq!(take(&cache), None);
        assert!(!confirmation_path(&cache).exists());
    }
}
