//! What the directory knows and a restart must not take away: answers of live sources, evidence
//! that mail itself gave, and what that evidence would have refused. One SQLite file, written by
//! one thread (`writer.rs`); `schema.rs` opens it. A cache: what is lost costs a question, never
//! a message, and nobody who serves mail waits for it.

mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use relay::event::ProcessEvent;
use rusqlite::Connection;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use writer::Change;

/// The file in the state directory.
pub const FILE_NAME: &str = "recipients.sqlite";
/// Addresses kept of one source that are there, and as many that are not; beyond them the oldest
/// go.
pub const SOURCE_ANSWERS_MAX: usize = 100_000;
/// How long an answer may be kept at all, in seconds: what was not asked for so long says nothing.
pub const ANSWER_SECONDS_MAX: i64 = 31 * 24 * 3_600;
/// How long somebody who turned unknown counts, in seconds.
pub const TURNED_SECONDS_MAX: i64 = 7 * 24 * 3_600;
/// Changes that wait for the writer; further ones are lost, and counted.
pub const WAITING_CHANGES_MAX: usize = 8_192;
/// How long [`Store::flush`] waits for a disk that does not answer.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);

/// An answer of a live source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// `local@domain`, in canonical form.
    pub address: Box<str>,
    /// Whether it is there.
    pub exists: bool,
    /// The address the next hop hears instead.
    pub target: Option<Box<str>>,
    /// When the source said so, in seconds since 1970.
    pub asked_at: i64,
    /// Of the settings it was asked under; zero when it is to be asked for again whatever they
    /// are: a person wants it, or it is from before that was kept.
    pub fingerprint: u64,
}

/// Somebody whom a live source knew and does not know any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVanished {
    /// `local@domain`, in canonical form.
    pub address: Box<str>,
    /// When that was found, in seconds since 1970.
    pub at: i64,
    /// Of the settings it was asked under.
    pub fingerprint: u64,
}

/// Which answers are no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forget {
    /// Those about one address, `local@domain` in canonical form.
    Address(String),
    /// Those about a domain, by its canonical name.
    Domain(String),
    /// All.
    All,
}

/// One kind of evidence about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvidence {
    /// `local@domain`, in canonical form.
    pub address: Box<str>,
    /// The word of its kind.
    pub kind: Box<str>,
    /// Seen first, in seconds since 1970.
    pub first: i64,
    /// Seen last, in seconds since 1970.
    pub last: i64,
    /// How often.
    pub count: u32,
}

/// A recipient that was accepted although what was learned speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDoubt {
    /// `local@domain`, in canonical form.
    pub address: Box<str>,
    /// What would have been said to it, as a word.
    pub refusal: Box<str>,
    /// How often.
    pub count: u32,
    /// At first, in seconds since 1970.
    pub first: i64,
    /// At last, in seconds since 1970.
    pub last: i64,
    /// Who named it last.
    pub client: Box<str>,
    /// With which reverse-path; empty for the null one.
    pub reverse_path: Box<str>,
}

/// Why there is no store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A later version of this program wrote it.
    #[error(
        "{} has version {found}, and this program knows up to {known}: go back to the program \
         that wrote it, or move the file away", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The version that we write.
        known: i64,
    },
    /// It cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file system refuses, or the system gives no thread.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What happens to a store, for the log.
#[derive(Debug)]
pub enum StoreOutcome {
    /// The file was damaged; it lies beside the fresh one that was begun.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged one is now.
        aside: PathBuf,
        /// What was wrong with it.
        why: String,
    },
    /// A group of changes was not written. What is in memory still serves.
    WriteFailed {
        /// The file.
        path: PathBuf,
        /// Changes in the group.
        changes: usize,
        /// Why.
        source: rusqlite::Error,
    },
}

impl StoreOutcome {
    /// The event that tells of it.
    #[must_use]
    pub fn event(&self) -> ProcessEvent {
        match self {
            Self::Damaged { .. } => ProcessEvent::DirectoryStateDamaged,
            Self::WriteFailed { .. } => ProcessEvent::DirectoryStateFailed,
        }
    }

    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Damaged { path, .. } | Self::WriteFailed { path, .. } => path,
        }
    }
}

impl fmt::Display for StoreOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { aside, why, .. } => {
                write!(f, "damaged ({why}), moved to {}, begun anew", aside.display())
            }
            Self::WriteFailed { changes, source, .. } => {
                write!(f, "{changes} changes were not written: {source}")
            }
        }
    }
}

/// The kept state of the directory; a handle to be cloned. The last one that goes writes what is
/// still queued.
#[derive(Clone, Debug, Default)]
pub struct Store(Option<Arc<Opened>>);

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    /// Hung up to end the writer; nothing where the file is only read.
    changes: Option<SyncSender<Change>>,
    writer: Option<JoinHandle<()>>,
    lost: AtomicU64,
    /// For loading, which is no matter of sessions.
    reader: Mutex<Option<Connection>>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Before the writer's, which closes as soon as it is hung up on: the last connection that
        // closes puts everything into the one file, and a reader cannot.
        *wire::lock::lock(&self.reader) = None;
        self.changes = None;
        // A panic of the thread was reported when it happened.
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

impl Store {
    /// A store that keeps nothing: there is no state directory.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Opens, migrates or begins the file in this directory, and starts its writer, which tells
    /// what goes wrong from its own thread.
    /// # Errors
    /// When the file is of a newer version, or cannot be opened though it is not damaged.
    pub fn open(
        directory: &Path,
        tell: impl Fn(StoreOutcome) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let connection = schema::open(&path, &tell)?;
        let reader = Mutex::new(Some(schema::open_to_read(&path)?));
        let (changes, queue) = sync_channel(WAITING_CHANGES_MAX);
        let writer = writer::start(connection, queue, path.clone(), tell);
        let writer = writer.map_err(|source| StoreError::Io { path: path.clone(), source })?;
        let (changes, writer) = (Some(changes), Some(writer));
        Ok(Self(Some(Arc::new(Opened { path, changes, writer, lost: AtomicU64::new(0), reader }))))
    }

    /// Opens the file in this directory beside the server that writes it: changes through this
    /// handle are dropped. Nothing is kept when there is no file.
    /// # Errors
    /// When the file is of a newer version, damaged or not readable for us.
    pub fn open_to_read(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Ok(Self::none());
        }
        let reader = Mutex::new(Some(schema::open_to_read(&path)?));
        let (changes, writer, lost) = (None, None, AtomicU64::new(0));
        Ok(Self(Some(Arc::new(Opened { path, changes, writer, lost, reader }))))
    }

    /// Where it is, when anywhere.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|opened| opened.path.as_path())
    }

    /// Changes that were lost because the writer did not keep up.
    #[must_use]
    pub fn lost_changes(&self) -> u64 {
        self.0.as_ref().map_or(0, |opened| opened.lost.load(Relaxed))
    }

    /// The answers that were kept of a source, at most [`SOURCE_ANSWERS_MAX`] of either kind: who
    /// is there and who is not, the newest first.
    /// # Errors
    /// When the file cannot be read.
    pub fn load_answers(&self, source: &str) -> Result<Vec<KeptAnswer>, StoreError> {
        self.read(|connection| rows::answers(connection, source))
    }

    /// Keeps an answer of a source, in the place of an earlier one. Never waits.
    pub fn keep_answer(&self, source: &Arc<str>, answer: KeptAnswer) {
        self.queue(|| Change::Answer(Arc::clone(source), answer));
    }

    /// Forgets answers, of one source or of all. Who is there is forgotten only by his address; of
    /// a domain, or of all, he becomes as of other settings, with the fingerprint zero. Waits while
    /// the writer is behind: what a person says is not lost.
    pub fn forget_answers(&self, source: Option<&str>, what: &Forget) {
        self.insist(Change::ForgetAnswers(source.map(Into::into), what.clone()));
    }

    /// Forgets who is not there in a domain, by its canonical name. Never waits.
    pub fn forget_negatives_of(&self, source: &Arc<str>, domain: &str) {
        self.queue(|| Change::ForgetNegatives(Arc::clone(source), domain.into()));
    }

    /// Who turned unknown to a source under settings with this fingerprint, the newest first, at
    /// most [`SOURCE_ANSWERS_MAX`].
    /// # Errors
    /// When the file cannot be read.
    pub fn load_turned(
        &self,
        source: &str,
        fingerprint: u64,
    ) -> Result<Vec<StoredVanished>, StoreError> {
        self.read(|connection| rows::turned(connection, source, fingerprint))
    }

    /// Keeps that somebody turned unknown to a source. Never waits.
    pub fn store_vanished(&self, source: &Arc<str>, turned: impl FnOnce() -> StoredVanished) {
        self.queue(|| Change::Turned(Arc::clone(source), turned()));
    }

    /// Forgets that somebody turned unknown: he is back. Never waits.
    pub fn forget_turned(&self, source: &Arc<str>, address: &str) {
        self.queue(|| Change::ForgetTurned(Arc::clone(source), Some(address.into())));
    }

    /// Forgets all who turned unknown to a source. Waits while the writer is behind: what a
    /// person says is not lost.
    pub fn forget_all_turned(&self, source: &Arc<str>) {
        self.insist(Change::ForgetTurned(Arc::clone(source), None));
    }

    /// Forgets what a source said of one address. Never waits.
    pub fn forget_answer(&self, source: &str, address: &str) {
        let what = || Forget::Address(address.to_owned());
        self.queue(|| Change::ForgetAnswers(Some(source.into()), what()));
    }

    /// As [`Store::forget_answers`] where no process writes the file in this directory; says how
    /// many there were. Begins no file.
    /// # Errors
    /// When the file is of a newer version, damaged or not writable for us.
    pub fn forget_answers_in(
        directory: &Path,
        source: Option<&str>,
        what: &Forget,
    ) -> Result<u64, StoreError> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Ok(0);
        }
        let connection = schema::open_to_change(&path)?;
        rows::forget_answers(&connection, source, what)
            .map_err(|source| StoreError::Sqlite { path, source })
    }

    /// All evidence that was kept, the newest first.
    /// # Errors
    /// When the file cannot be read.
    pub fn load_evidence(&self) -> Result<Vec<KeptEvidence>, StoreError> {
        self.read(rows::evidence)
    }

    /// The evidence about one address.
    /// # Errors
    /// When the file cannot be read.
    pub fn load_evidence_about(&self, address: &str) -> Result<Vec<KeptEvidence>, StoreError> {
        self.read(|connection| rows::evidence_about(connection, address))
    }

    /// Keeps evidence, in the place of what was kept of its kind and address. Never waits.
    pub fn keep_evidence(&self, evidence: impl FnOnce() -> KeptEvidence) {
        self.queue(|| Change::Evidence(evidence()));
    }

    /// Forgets all evidence about an address. Never waits.
    pub fn forget_evidence(&self, address: &str) {
        self.queue(|| Change::ForgetEvidence(address.into()));
    }

    /// What would have been refused, the newest first, at most so many.
    /// # Errors
    /// When the file cannot be read.
    pub fn load_doubts(&self, max: usize) -> Result<Vec<KeptDoubt>, StoreError> {
        self.read(|connection| rows::doubts(connection, max))
    }

    /// Keeps what would have been refused, in the place of an earlier time. Never waits.
    pub fn keep_doubt(&self, doubt: impl FnOnce() -> KeptDoubt) {
        self.queue(|| Change::Doubt(doubt()));
    }

    /// Forgets that an address would have been refused. Never waits.
    pub fn forget_doubt(&self, address: &str) {
        self.queue(|| Change::ForgetDoubt(address.into()));
    }

    /// Waits until everything that was queued is written; false when that did not come about.
    #[must_use]
    pub fn flush(&self) -> bool {
        let Some(changes) = self.0.as_ref().and_then(|opened| opened.changes.as_ref()) else {
            return true;
        };
        let (done, is_done) = sync_channel(1);
        changes.send(Change::Flush(done)).is_ok()
            && is_done.recv_timeout(FLUSH_PATIENCE).unwrap_or(false)
    }

    /// Makes the change only where somebody takes it.
    fn queue(&self, change: impl FnOnce() -> Change) {
        let Some(opened) = &self.0 else { return };
        let Some(changes) = &opened.changes else { return };
        if changes.try_send(change()).is_err() {
            opened.lost.fetch_add(1, Relaxed);
        }
    }

    fn insist(&self, change: Change) {
        let Some(opened) = &self.0 else { return };
        let Some(changes) = &opened.changes else { return };
        if changes.send(change).is_err() {
            opened.lost.fetch_add(1, Relaxed);
        }
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<Vec<T>>,
    ) -> Result<Vec<T>, StoreError> {
        let Some(opened) = &self.0 else { return Ok(Vec::new()) };
        let connection = wire::lock::lock(&opened.reader);
        let Some(connection) = connection.as_ref() else { return Ok(Vec::new()) };
        read(connection).map_err(|source| StoreError::Sqlite { path: opened.path.clone(), source })
    }
}
