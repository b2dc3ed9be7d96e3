//! Where the content of a message waits for the next hop: in memory while there is room, then in
//! a temporary file that has no name, so that nothing is left of it when we are killed.

use super::buffers::BUFFER_OCTETS;
use super::spill::{SpillFolder, Spilled};
use relay::client::Prefix;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What content may take in memory and where it goes beyond that, shared by all sessions.
#[derive(Debug)]
pub struct ContentBudget {
    /// Content in memory, in octets.
    used_octets: AtomicU64,
    /// Its limit over all sessions.
    octets_max: AtomicU64,
    /// Its limit for one message.
    message_octets_max: AtomicU64,
    /// What is in files.
    files: SpillFolder,
}

/// So many octets of a session; counted until this is dropped.
#[derive(Debug)]
pub struct Held<'a> {
    budget: &'a ContentBudget,
    octets: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.used_octets.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

impl ContentBudget {
    /// With these limits, in octets. Files go into the folder, or where the system has its own.
    #[must_use]
    pub fn new(
        octets_max: u64,
        message_octets_max: u64,
        disk_octets_max: u64,
        folder: Option<PathBuf>,
    ) -> Self {
        Self {
            used_octets: AtomicU64::new(0),
            octets_max: AtomicU64::new(octets_max),
            message_octets_max: AtomicU64::new(message_octets_max),
            files: SpillFolder::new(folder, disk_octets_max),
        }
    }

    /// Changes the limits, in octets; content that is there is measured by them from now on.
    pub fn set_max(&self, octets_max: u64, message_octets_max: u64, disk_octets_max: u64) {
        self.files.set_max(disk_octets_max);
        self.octets_max.store(octets_max, Ordering::Relaxed);
        self.message_octets_max.store(message_octets_max, Ordering::Relaxed);
    }

    /// Content in memory now, in octets.
    #[must_use]
    pub fn used_octets(&self) -> u64 {
        self.used_octets.load(Ordering::Relaxed)
    }

    /// Counts what else a session holds, such as replies that are not taken, for as long as it
    /// does: content then goes to its file the sooner.
    #[must_use]
    pub fn hold(&self, octets: u64) -> Held<'_> {
        self.used_octets.fetch_add(octets, Ordering::Relaxed);
        Held { budget: self, octets }
    }

    /// Content in files now, in octets.
    #[must_use]
    pub fn disk_octets(&self) -> u64 {
        self.files.octets()
    }
}

/// Content that is read part by part, from its start to its end.
pub trait Parts {
    /// All of it, in octets.
    fn octets(&self) -> u64;

    /// The next part; none at the end. It may block for as long as a local file takes: small reads
    /// of what was written a moment ago come from memory in all likelihood.
    /// # Errors
    /// As the disk's.
    fn next_part(&mut self) -> io::Result<Option<&[u8]>>;
}

/// The content of one message.
#[derive(Debug)]
pub struct Content {
    budget: Arc<ContentBudget>,
    client: Prefix,
    chunks: Vec<Vec<u8>>,
    memory_octets: u64,
    octets: u64,
    file: Option<Arc<Spilled>>,
}

impl Content {
    /// Nothing yet, of a message from this client.
    #[must_use]
    pub fn new(budget: Arc<ContentBudget>, client: Prefix) -> Self {
        Self { budget, client, chunks: Vec::new(), memory_octets: 0, octets: 0, file: None }
    }

    /// All of it, in octets.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Adds to it, in memory for now.
    pub fn keep(&mut self, mut content: &[u8]) {
        let octets = content.len() as u64;
        self.octets += octets;
        self.memory_octets += octets;
        self.budget.used_octets.fetch_add(octets, Ordering::Relaxed);
        while !content.is_empty() {
            let room = self.chunks.last().map_or(0, |last| BUFFER_OCTETS - last.len());
            if room == 0 {
                // The first chunk grows with a small message, the others come whole.
                let whole = if self.chunks.is_empty() { 0 } else { BUFFER_OCTETS };
                self.chunks.push(Vec::with_capacity(whole));
                continue;
            }
            let (now, later) = content.split_at(content.len().min(room));
            if let Some(last) = self.chunks.last_mut() {
                last.extend_from_slice(now);
            }
            content = later;
        }
    }

    /// Whether what is in memory must go to the file now.
    #[must_use]
    pub fn is_over_room(&self) -> bool {
        let limit = |octets_max: &AtomicU64| octets_max.load(Ordering::Relaxed);
        let over = self.memory_octets > limit(&self.budget.message_octets_max)
            || self.budget.used_octets() > limit(&self.budget.octets_max);
        (over && self.memory_octets > 0) || self.file.as_ref().is_some_and(|file| file.is_gone())
    }

    /// Moves what is in memory to the file. Blocks: not for the thread of a session.
    /// # Errors
    /// As the disk's, and `StorageFull` when this content has to go so that others find room. It
    /// is of no more use then.
    pub fn spill(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.budget.files.begin(self.client)?,
        };
        self.budget.files.append(&file, &self.chunks)?;
        self.file = Some(file);
        self.leave_memory();
        Ok(())
    }

    /// Whether it begins in the file.
    #[must_use]
    pub fn is_in_file(&self) -> bool {
        self.file.is_some()
    }

    /// All of it: the file first, then what came after the last move to it. From here on it does
    /// not have to go any more for others.
    pub fn parts(&mut self) -> ContentParts<'_> {
        if let Some(file) = &self.file {
            file.is_complete();
        }
        let is_in_file = self.is_in_file();
        ContentParts { content: self, part: Vec::new(), is_first: true, is_in_file, chunks: 0 }
    }

    /// Reads the next part of the file. Blocks. The first part is read from the start.
    fn read_part(&mut self, first: bool, part: &mut Vec<u8>) -> io::Result<()> {
        part.clear();
        match &self.file {
            Some(file) => file.read(first, BUFFER_OCTETS as u64, part),
            None => Ok(()),
        }
    }

    fn leave_memory(&mut self) {
        self.chunks = Vec::new();
        self.budget.used_octets.fetch_sub(self.memory_octets, Ordering::Relaxed);
        self.memory_octets = 0;
    }
}

/// Content that is being read.
#[derive(Debug)]
pub struct ContentParts<'a> {
    content: &'a mut Content,
    part: Vec<u8>,
    is_first: bool,
    /// There is more in the file.
    is_in_file: bool,
    /// So many of those in memory were read.
    chunks: usize,
}

impl Parts for ContentParts<'_> {
    fn octets(&self) -> u64 {
        self.content.octets
    }

    fn next_part(&mut self) -> io::Result<Option<&[u8]>> {
        if self.is_in_file {
            self.content.read_part(self.is_first, &mut self.part)?;
            self.is_first = false;
            if !self.part.is_empty() {
                return Ok(Some(&self.part));
            }
            self.is_in_file = false;
        }
        let chunk = self.content.chunks.get(self.chunks);
        self.chunks += 1;
        Ok(chunk.map(Vec::as_slice))
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.leave_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Prefix {
        Prefix::client(std::net::IpAddr::from([192, 0, 2, 1]))
    }

    #[test]
    fn what_is_kept_comes_back_from_memory_and_from_the_file() {
        let budget = Arc::new(ContentBudget::new(1_000_000, 100_000, 1 << 30, None));
        let mut content = Content::new(Arc::clone(&budget), client());
        let mut kept = Vec::new();
        for n in 0..40_u8 {
            let piece = vec![n; 7_000];
            content.keep(&piece);
            kept.extend(piece);
            if content.is_over_room() {
                content.spill().unwrap();
            }
        }
        assert!(content.is_in_file() && !content.chunks.is_empty());
        // It can be read again: the first reader may have failed half-way.
        content.parts().next_part().unwrap();
        let (mut read, mut parts) = (Vec::new(), content.parts());
        assert_eq!(parts.octets(), kept.len() as u64);
        while let Some(part) = parts.next_part().unwrap() {
            read.extend_from_slice(part);
        }
        assert_eq!(read, kept);
        drop(content);
        assert_eq!(budget.used_octets(), 0);
    }

    #[test]
    fn what_else_sessions_hold_sends_content_to_its_file_the_sooner() {
        let budget = Arc::new(ContentBudget::new(1_000, 1_000, 1 << 30, None));
        let mut content = Content::new(Arc::clone(&budget), client());
        content.keep(b"hello");
        let held = budget.hold(999);
        assert!(content.is_over_room());
        drop(held);
        assert!(!content.is_over_room());
    }

    #[test]
    fn a_message_in_memory_is_given_up_with_its_room() {
        let budget = Arc::new(ContentBudget::new(1_000_000, 100_000, 1 << 30, None));
        let mut content = Content::new(Arc::clone(&budget), client());
        content.keep(b"hello");
        assert_eq!(content.parts().next_part().unwrap(), Some(&b"hello"[..]));
        assert_eq!(budget.used_octets(), 5);
        drop(content);
        assert_eq!(budget.used_octets(), 0);
    }
}
