//! Content in files that have no name, and how much of the disk it may take. Where it does not fit,
//! the largest unfinished content of the client that has most of it goes first, so that nobody
//! fills the disk of others with messages that never end.

use super::lock::lock;
use relay::client::Prefix;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// What is left free on the disk, in octets, for what must be kept there.
const FREE_OCTETS_MIN: u64 = 256 << 20;

/// All files of content.
#[derive(Debug)]
pub(super) struct SpillFolder {
    /// The system's temporary folder when there is none of our own.
    folder: Option<PathBuf>,
    octets_max: AtomicU64,
    files: Mutex<Vec<Weak<Spilled>>>,
}

/// The file of one content.
#[derive(Debug)]
pub(super) struct Spilled {
    client: Prefix,
    octets: AtomicU64,
    is_unfinished: AtomicBool,
    is_gone: AtomicBool,
    file: Mutex<File>,
}

impl SpillFolder {
    pub(super) fn new(folder: Option<PathBuf>, octets_max: u64) -> Self {
        Self { folder, octets_max: AtomicU64::new(octets_max), files: Mutex::default() }
    }

    pub(super) fn set_max(&self, octets_max: u64) {
        self.octets_max.store(octets_max, Ordering::Relaxed);
    }

    /// What all of it takes now, in octets.
    pub(super) fn octets(&self) -> u64 {
        lock(&self.files).iter().filter_map(Weak::upgrade).map(|file| file.octets()).sum()
    }

    /// A file for content of this client.
    pub(super) fn begin(&self, client: Prefix) -> io::Result<Arc<Spilled>> {
        let file = match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder)?,
            None => tempfile::tempfile()?,
        };
        let file = Arc::new(Spilled {
            client,
            octets: AtomicU64::new(0),
            is_unfinished: AtomicBool::new(true),
            is_gone: AtomicBool::new(false),
            file: Mutex::new(file),
        });
        let mut files = lock(&self.files);
        files.retain(|file| file.strong_count() > 0);
        files.push(Arc::downgrade(&file));
        Ok(file)
    }

    /// Writes more behind what this file has, letting others go until it fits.
    /// # Errors
    /// As the disk's, and `StorageFull` when it is this one that has to go, or nothing else can.
    pub(super) fn append(&self, own: &Arc<Spilled>, chunks: &[Vec<u8>]) -> io::Result<()> {
        self.reserve(own, chunks.iter().map(|chunk| chunk.len() as u64).sum())?;
        own.write(chunks)
    }

    /// Counts so much more as this file's, in one step with finding out that there is room: of
    /// many who ask at once nobody gets what another has been promised.
    fn reserve(&self, own: &Arc<Spilled>, more: u64) -> io::Result<()> {
        let listed = lock(&self.files);
        let files: Vec<Arc<Spilled>> = listed.iter().filter_map(Weak::upgrade).collect();
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let mut free = free_octets(&folder).unwrap_or(u64::MAX);
        let mut used: u64 = files.iter().map(|file| file.octets()).sum();
        let max = self.octets_max.load(Ordering::Relaxed);
        while used + more > max || free < FREE_OCTETS_MIN.saturating_add(more) {
            let victim = largest(&files, own, more).filter(|victim| !Arc::ptr_eq(victim, own));
            let Some(victim) = victim else { return Err(io::ErrorKind::StorageFull.into()) };
            let octets = victim.go()?;
            used = used.saturating_sub(octets);
            free = free.saturating_add(octets);
        }
        own.octets.fetch_add(more, Ordering::Relaxed);
        drop(listed);
        Ok(())
    }
}

/// The largest unfinished content of the client that has most of it; `own` is about to grow.
fn largest<'a>(
    files: &'a [Arc<Spilled>],
    own: &Arc<Spilled>,
    more: u64,
) -> Option<&'a Arc<Spilled>> {
    let size = |file: &Arc<Spilled>| file.octets() + if Arc::ptr_eq(file, own) { more } else { 0 };
    let unfinished = || files.iter().filter(|file| file.is_unfinished() && size(file) > 0);
    let mut clients: HashMap<Prefix, u64> = HashMap::new();
    unfinished().for_each(|file| *clients.entry(file.client).or_default() += size(file));
    unfinished().max_by_key(|file| (clients[&file.client], size(file)))
}

impl Spilled {
    fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    fn is_unfinished(&self) -> bool {
        self.is_unfinished.load(Ordering::Relaxed) && !self.is_gone()
    }

    /// It had to go, so that others found room.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// All of it is there: it is about to be handed over, and stays until then.
    pub(super) fn is_complete(&self) {
        self.is_unfinished.store(false, Ordering::Relaxed);
    }

    /// Lets it go; how much that frees, in octets.
    fn go(&self) -> io::Result<u64> {
        self.is_gone.store(true, Ordering::Relaxed);
        lock(&self.file).set_len(0)?;
        Ok(self.octets.swap(0, Ordering::Relaxed))
    }

    fn write(&self, chunks: &[Vec<u8>]) -> io::Result<()> {
        let mut file = lock(&self.file);
        if self.is_gone() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        chunks.iter().try_for_each(|chunk| file.write_all(chunk))
    }

    /// The next part; the first is read from the start.
    pub(super) fn read(&self, first: bool, octets: u64, part: &mut Vec<u8>) -> io::Result<()> {
        let mut file = lock(&self.file);
        if self.is_gone() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if first {
            file.rewind()?;
        }
        (&mut *file).take(octets).read_to_end(part).map(drop)
    }
}

fn free_octets(folder: &Path) -> Option<u64> {
    let described = rustix::fs::statvfs(folder).ok()?;
    Some(described.f_bavail.saturating_mul(described.f_frsize))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn client(n: u8) -> Prefix {
        Prefix::client(std::net::IpAddr::from([192, 0, 2, n]))
    }

    fn grow(folder: &SpillFolder, file: &Arc<Spilled>, octets: usize) -> io::Result<()> {
        folder.append(file, &[vec![b'x'; octets]])
    }

    #[test]
    fn the_client_with_most_unfinished_content_gives_way() {
        let folder = SpillFolder::new(None, 1_000);
        let greedy: Vec<_> = (0..4).map(|_| folder.begin(client(1)).unwrap()).collect();
        for file in &greedy {
            grow(&folder, file, 240).unwrap();
        }
        let good = folder.begin(client(2)).unwrap();
        grow(&folder, &good, 300).unwrap();
        assert!(folder.octets() <= 1_000);
        assert!(!good.is_gone());
        assert_eq!(greedy.iter().filter(|file| file.is_gone()).count(), 2);
        let gone = greedy.iter().find(|file| file.is_gone()).unwrap();
        let error = grow(&folder, gone, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn who_has_most_cannot_push_out_others() {
        let folder = SpillFolder::new(None, 1_000);
        let good = folder.begin(client(2)).unwrap();
        grow(&folder, &good, 300).unwrap();
        let greedy = folder.begin(client(1)).unwrap();
        grow(&folder, &greedy, 600).unwrap();
        assert_eq!(grow(&folder, &greedy, 200).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(!good.is_gone());
    }

    #[test]
    fn what_one_has_been_promised_no_other_gets() {
        let folder = SpillFolder::new(None, 1_000);
        let files: Vec<_> = (0..4).map(|n| folder.begin(client(n)).unwrap()).collect();
        files.iter().for_each(|file| file.is_complete());
        let promised = files.iter().filter(|file| folder.reserve(file, 400).is_ok());
        assert_eq!(promised.count(), 2);
    }

    #[test]
    fn what_is_complete_stays() {
        let folder = SpillFolder::new(None, 1_000);
        let complete = folder.begin(client(1)).unwrap();
        grow(&folder, &complete, 900).unwrap();
        complete.is_complete();
        let other = folder.begin(client(2)).unwrap();
        assert_eq!(grow(&folder, &other, 200).unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(complete);
        grow(&folder, &other, 200).unwrap();
    }
}
