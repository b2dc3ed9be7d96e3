//! The one thread that writes: it takes whatever is queued within half a second, or a thousand
//! changes, and commits it as one group. A disk that fails costs the group, and is told.

use super::{
    Forget, KeptAnswer, KeptDoubt, KeptEvidence, SOURCE_ANSWERS_MAX, StoreOutcome, StoredVanished,
    TURNED_SECONDS_MAX, rows,
};
use rusqlite::Connection;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wire::clock;

/// How long a change may wait for others.
const GATHERING: Duration = Duration::from_millis(500);
/// Changes in one transaction.
const GROUP_CHANGES_MAX: usize = 1_000;
/// Answers written between two looks at whether a source has too many.
const ANSWERS_BETWEEN_LOOKS: usize = 50_000;

/// Something to be written.
#[derive(Debug)]
pub(super) enum Change {
    /// Of this source.
    Answer(Arc<str>, KeptAnswer),
    /// Of one source, or of all.
    ForgetAnswers(Option<Box<str>>, Forget),
    /// Of this source, in this domain.
    ForgetNegatives(Arc<str>, Box<str>),
    /// Of this source.
    Turned(Arc<str>, StoredVanished),
    /// Of this source: one address, or all.
    ForgetTurned(Arc<str>, Option<Box<str>>),
    /// The newest state of it.
    Evidence(KeptEvidence),
    /// About this address.
    ForgetEvidence(Box<str>),
    /// The newest state of it.
    Doubt(KeptDoubt),
    /// About this address.
    ForgetDoubt(Box<str>),
    /// Says when everything before it is written, and whether it was.
    Flush(SyncSender<bool>),
}

struct Writer<F> {
    connection: Connection,
    path: PathBuf,
    tell: F,
    answers_since_look: usize,
}

/// Starts the thread. It ends, and has written everything, when the queue is hung up.
/// # Errors
/// When the system gives no thread.
pub(super) fn start(
    connection: Connection,
    queue: Receiver<Change>,
    path: PathBuf,
    tell: impl Fn(StoreOutcome) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut writer = Writer { connection, path, tell, answers_since_look: 0 };
    std::thread::Builder::new().name("directory-state".into()).spawn(move || {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            let is_end = gather(&queue, &mut group);
            writer.write(group);
            if is_end {
                return;
            }
        }
    })
}

/// Fills a group; true when nothing comes after it.
fn gather(queue: &Receiver<Change>, group: &mut Vec<Change>) -> bool {
    let until = Instant::now() + GATHERING;
    while group.len() < GROUP_CHANGES_MAX && !matches!(group.last(), Some(Change::Flush(_))) {
        match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(change) => group.push(change),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
    false
}

impl<F: Fn(StoreOutcome)> Writer<F> {
    fn write(&mut self, group: Vec<Change>) {
        let written = self.commit(&group);
        let is_written = written.is_ok();
        if let Err(source) = written {
            let (path, changes) = (self.path.clone(), group.len());
            (self.tell)(StoreOutcome::WriteFailed { path, changes, source });
        }
        for change in group {
            if let Change::Flush(done) = change {
                // Whoever asked may have lost patience.
                let _ = done.try_send(is_written);
            }
        }
    }

    fn commit(&mut self, group: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in group {
            match change {
                Change::Answer(source, answer) => {
                    self.answers_since_look += 1;
                    rows::keep_answer(&transaction, source, answer)?;
                }
                Change::ForgetAnswers(source, what) => {
                    rows::forget_answers(&transaction, source.as_deref(), what)?;
                }
                Change::ForgetNegatives(source, domain) => {
                    rows::forget_negatives_of(&transaction, source, domain)?;
                }
                Change::Turned(source, turned) => {
                    self.answers_since_look += 1;
                    rows::store_vanished(&transaction, source, turned)?;
                }
                Change::ForgetTurned(source, address) => {
                    rows::forget_turned(&transaction, source, address.as_deref())?;
                }
                Change::Evidence(evidence) => rows::keep_evidence(&transaction, evidence)?,
                Change::ForgetEvidence(address) => rows::forget_evidence(&transaction, address)?,
                Change::Doubt(doubt) => rows::keep_doubt(&transaction, doubt)?,
                Change::ForgetDoubt(address) => rows::forget_doubt(&transaction, address)?,
                Change::Flush(_) => {}
            }
        }
        if self.answers_since_look >= ANSWERS_BETWEEN_LOOKS {
            self.answers_since_look = 0;
            rows::forget_surplus_answers(&transaction, SOURCE_ANSWERS_MAX)?;
            rows::forget_old_turned(
                &transaction,
                clock::unix_seconds().cast_signed() - TURNED_SECONDS_MAX,
            )?;
        }
        transaction.commit()
    }
}
