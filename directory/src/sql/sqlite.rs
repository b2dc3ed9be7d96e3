//! SQLite: a file is read by a thread of its own, since its library blocks; askers hand it their
//! questions and wait as long as they like. It is opened read-only, and again when another file
//! has taken its place or it was written over: SQLite believes a counter inside of the file, which
//! a file that is built anew each night has the same of. Limits: one question at a time; each is a
//! matter of microseconds.

use super::super::file::Stamp;
use super::super::live::{Trouble, TroubleKind};
use super::answer::{Cell, EXISTS, ROWS_MAX, Row, TARGET, Values};
use super::failure::{Failure, slow};
use super::pool::WAITING_MAX;
use super::statement::Statement;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use wire::clock;

/// How old a change must be, in nanoseconds, for a file's times to show another: they are as exact
/// as the clock of the file system, on some as coarse as two seconds.
const SETTLED_NANOSECONDS: i64 = 2_000_000_000;

const WHERE: &str = "check `file`, and that the user of Postern may read it";
const QUERY: &str = "try the query with sqlite3 on the same file";

/// The thread that asks a file.
pub struct Sqlite {
    jobs: SyncSender<Job>,
    numbers: AtomicU64,
    running: Arc<Running>,
}

/// A question to the thread.
struct Job {
    number: u64,
    asked: Asked,
}

enum Asked {
    Rows(Statement, Values, oneshot::Sender<Result<Vec<Row>, Failure>>),
    Columns(Statement, oneshot::Sender<Result<Vec<String>, Failure>>),
}

/// What the thread is at, so that an asker who leaves can stop it, and nobody else's question.
#[derive(Default)]
struct Running(Mutex<(Option<u64>, Option<InterruptHandle>)>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, (Option<u64>, Option<InterruptHandle>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the question when its asker no longer waits.
struct Waits<'a>(&'a Running, u64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let running = self.0.lock();
        if let (Some(number), Some(interrupt)) = &*running
            && *number == self.1
        {
            interrupt.interrupt();
        }
    }
}

impl Sqlite {
    /// Starts the thread; the file is opened at the first question.
    /// # Errors
    /// When the system gives no thread.
    pub fn start(path: &Path, busy_max: Duration) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(WAITING_MAX as usize);
        let running = Arc::new(Running::default());
        let reader =
            Reader { path: path.to_owned(), busy_max, running: Arc::clone(&running), open: None };
        std::thread::Builder::new().name("sqlite".into()).spawn(move || reader.serve(&receiver))?;
        Ok(Self { jobs, numbers: AtomicU64::new(0), running })
    }

    /// The rows for one address, one more than [`ROWS_MAX`] at most.
    /// # Errors
    /// When there is no answer by then.
    pub async fn ask(
        &self,
        statement: &Statement,
        values: &Values,
        until: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let (sender, answer) = oneshot::channel();
        let job = Asked::Rows(statement.clone(), values.clone(), sender);
        self.hand_over(job, answer, until).await
    }

    /// The columns of a statement.
    /// # Errors
    /// When it is not taken, or there is no answer by then.
    pub async fn columns(
        &self,
        statement: &Statement,
        until: Instant,
    ) -> Result<Vec<String>, Failure> {
        let (sender, answer) = oneshot::channel();
        self.hand_over(Asked::Columns(statement.clone(), sender), answer, until).await
    }

    async fn hand_over<T>(
        &self,
        asked: Asked,
        answer: oneshot::Receiver<Result<T, Failure>>,
        until: Instant,
    ) -> Result<T, Failure> {
        let number = self.numbers.fetch_add(1, Relaxed);
        let ended = || Trouble::new(TroubleKind::Down, "its thread has ended");
        match self.jobs.try_send(Job { number, asked }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(Trouble::new(TroubleKind::Busy, "too many wait already").into());
            }
            Err(TrySendError::Disconnected(_)) => return Err(ended().into()),
        }
        let _waits = Waits(&self.running, number);
        match timeout_at(until.into(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ended().into()),
            Err(_) => Err(slow().into()),
        }
    }
}

/// What the thread has.
struct Reader {
    path: PathBuf,
    busy_max: Duration,
    running: Arc<Running>,
    open: Option<Open>,
}

pub(super) struct Open {
    pub(super) connection: Connection,
    /// What the file was when it was opened.
    pub(super) stamp: Stamp,
    /// Any later change shows in the stamp.
    is_settled: bool,
}

impl Reader {
    fn serve(mut self, jobs: &Receiver<Job>) {
        while let Ok(Job { number, asked }) = jobs.recv() {
            // An asker that has left gets no answer.
            match asked {
                Asked::Rows(statement, values, answer) if !answer.is_closed() => {
                    let _ = answer.send(self.run(number, |open| rows(open, &statement, &values)));
                }
                Asked::Columns(statement, answer) if !answer.is_closed() => {
                    let _ = answer.send(self.run(number, |open| columns(open, &statement)));
                }
                Asked::Rows(..) | Asked::Columns(..) => {}
            }
        }
    }

    fn run<T>(
        &mut self,
        number: u64,
        work: impl Fn(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Once more when somebody writes over it: pages of two files make no answer.
        match self.run_once(number, &work)? {
            Some(answer) => Ok(answer),
            None => self.run_once(number, &work)?.ok_or_else(changed_while_read),
        }
    }

    /// Nothing when the file is not what it was when it was opened.
    fn run_once<T>(
        &mut self,
        number: u64,
        work: impl Fn(&Connection) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let is_as_opened = |open: &Open| Stamp::of(&self.path).ok() == Some(open.stamp);
        let open = match self.open.take().filter(|open| open.is_settled && is_as_opened(open)) {
            Some(open) => open,
            None => open(&self.path, self.busy_max)?,
        };
        *self.running.lock() = (Some(number), Some(open.connection.get_interrupt_handle()));
        let worked = work(&open.connection);
        *self.running.lock() = (None, None);
        if !is_as_opened(&open) {
            return Ok(None);
        }
        if !worked.as_ref().is_err_and(|failure| failure.is_lost) {
            self.open = Some(open);
        }
        worked.map(Some)
    }
}

/// Somebody writes over the file while it is read.
pub(super) fn changed_while_read() -> Failure {
    Trouble::new(TroubleKind::Unexpected, "the file changed while it was read").into()
}

pub(super) fn open(path: &Path, busy_max: Duration) -> Result<Open, Failure> {
    let stamp = Stamp::of(path).map_err(|error| {
        Trouble::new(TroubleKind::Misconfigured, "the file cannot be opened")
            .remedy(WHERE)
            .because(error)
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_max)?;
    let since = clock::unix_nanoseconds().saturating_sub(stamp.changed_nanoseconds);
    Ok(Open { connection, stamp, is_settled: since >= SETTLED_NANOSECONDS })
}

pub(super) fn columns(
    connection: &Connection,
    statement: &Statement,
) -> Result<Vec<String>, Failure> {
    let prepared = connection.prepare(&statement.text)?;
    Ok(prepared.column_names().map(str::to_owned).collect())
}

fn rows(
    connection: &Connection,
    statement: &Statement,
    values: &Values,
) -> Result<Vec<Row>, Failure> {
    let mut prepared = connection.prepare_cached(&statement.text)?;
    let place =
        |word: &str| prepared.column_names().position(|name| name.eq_ignore_ascii_case(word));
    let (exists, target) = (place(EXISTS), place(TARGET));
    let bound = statement.parameters.iter().map(|parameter| values.of(*parameter));
    let mut rows = prepared.query(rusqlite::params_from_iter(bound))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cell = |at: Option<usize>| at.map(|at| row.get_ref(at).map(cell)).transpose();
        found.push(Row { exists: cell(exists)?, target: cell(target)? });
        if found.len() > ROWS_MAX {
            break;
        }
    }
    Ok(found)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Number(number),
        ValueRef::Real(_) => Cell::Other("REAL".to_owned()),
        ValueRef::Blob(_) => Cell::Other("BLOB".to_owned()),
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Other("TEXT that is no UTF-8".to_owned()),
        },
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use TroubleKind::{Misconfigured, Slow, Unexpected};
        let (kind, what, remedy, is_lost) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (Slow, "the file is locked", "PRAGMA journal_mode = wal lets readers go on", false)
            }
            Some(ErrorCode::OperationInterrupted) => (Slow, "the query took too long", "", false),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                (Misconfigured, "the file cannot be opened", WHERE, true)
            }
            Some(ErrorCode::NotADatabase) => {
                (Misconfigured, "the file is no SQLite database", WHERE, true)
            }
            Some(ErrorCode::ReadOnly) => {
                let remedy = "let it only select; a file in WAL mode needs its -shm beside it";
                (Misconfigured, "query: it would write", remedy, true)
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt) => {
                (Unexpected, "the file cannot be read", "PRAGMA integrity_check", true)
            }
            _ => (Misconfigured, "query: it is refused", QUERY, false),
        };
        Self { is_lost, ..Trouble::new(kind, what).remedy(remedy).because(error).into() }
    }
}
