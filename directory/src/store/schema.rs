//! Opens the file: its rights, its schema and version, and what happens to a damaged one. A file
//! of a newer version is left alone; a damaged one is moved aside, since it is only a cache.

use super::{
    ANSWER_SECONDS_MAX, SOURCE_ANSWERS_MAX, StoreError, StoreOutcome, TURNED_SECONDS_MAX, rows,
};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::clock;

/// How long another process may hold the file.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);
/// Damaged files that are kept for a person to look at; a further one replaces the last.
const DAMAGED_FILES_MAX: u32 = 20;

/// What each version adds to the one before; the version is the number of steps taken.
const STEPS: &[&str] = &[
    "
    CREATE TABLE answer (
        source TEXT NOT NULL, address TEXT NOT NULL, is_there INTEGER NOT NULL,
        target TEXT, asked_at INTEGER NOT NULL, PRIMARY KEY (source, address)
    ) WITHOUT ROWID;
    CREATE INDEX answer_by_age ON answer (source, asked_at);
    CREATE TABLE evidence (
        address TEXT NOT NULL, kind TEXT NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (address, kind)
    ) WITHOUT ROWID;
    CREATE TABLE doubt (
        address TEXT NOT NULL PRIMARY KEY, refusal TEXT NOT NULL, count INTEGER NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL,
        client TEXT NOT NULL, reverse_path TEXT NOT NULL
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE answer ADD COLUMN fingerprint INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE turned (
        source TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL,
        fingerprint INTEGER NOT NULL, PRIMARY KEY (source, address)
    ) WITHOUT ROWID;
",
];

/// The first version whose answers say under which settings they were given.
pub(super) const FINGERPRINT_VERSION: i64 = 2;

/// The version that we write.
fn known_version() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Opens the file to be written, and begins a fresh one where it is damaged.
/// # Errors
/// When it is of a newer version, or cannot be opened though it is not damaged.
pub(super) fn open(path: &Path, tell: &dyn Fn(StoreOutcome)) -> Result<Connection, StoreError> {
    match begin(path) {
        Err(StoreError::Sqlite { source, .. }) if is_damage(&source) => {
            let aside = move_aside(path)
                .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
            let why = source.to_string();
            tell(StoreOutcome::Damaged { path: path.to_owned(), aside, why });
            begin(path)
        }
        opened => opened,
    }
}

/// Opens the file beside the connection that writes it.
/// # Errors
/// When it is of a newer version, damaged or not readable for us.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_PATIENCE).map_err(failed)?;
    check_version(&connection, path)?;
    Ok(connection)
}

/// Opens a file that is there, to be changed by hand.
/// # Errors
/// When it is of a newer version, damaged or not writable for us.
pub(super) fn open_to_change(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_PATIENCE).map_err(failed)?;
    check_version(&connection, path)?;
    Ok(connection)
}

fn begin(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    // SQLite would go by the umask; its other files take the rights of this one.
    let mut options = OpenOptions::new();
    let created = options.create(true).truncate(false).write(true).mode(0o600).open(path);
    created.map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    let mut connection = open_to_change(path)?;
    check_version(&connection, path)?;
    prepare(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// The version of the schema that the file has.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn check_version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let (found, known) = (version(connection).map_err(failed)?, known_version());
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    // The answer to this pragma is the mode that came of it.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // The last second before a power cut costs questions, not mail.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(check)));
    }
    // Whoever else begins at the same time waits, and finds the steps taken.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = usize::try_from(version(&transaction)?).unwrap_or(0);
    for step in STEPS.iter().skip(taken) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known_version())?;
    let now = i64::try_from(clock::unix_seconds()).unwrap_or(0);
    rows::forget_old_answers(&transaction, now - ANSWER_SECONDS_MAX)?;
    rows::forget_old_turned(&transaction, now - TURNED_SECONDS_MAX)?;
    rows::forget_surplus_answers(&transaction, SOURCE_ANSWERS_MAX)?;
    transaction.commit()
}

/// Whether the file itself is at fault. Tables that are missing in a file of our version are.
fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown))
}

fn move_aside(path: &Path) -> std::io::Result<PathBuf> {
    let beside = |name: String| path.with_file_name(name);
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = |n| beside(format!("{file}.damaged-{n}"));
    let aside = (1..DAMAGED_FILES_MAX).map(name).find(|aside| !aside.exists());
    let aside = aside.unwrap_or_else(|| name(DAMAGED_FILES_MAX));
    std::fs::rename(path, &aside)?;
    for ending in ["-wal", "-shm"] {
        // What had not reached the damaged file must not be taken for a part of the fresh one.
        let _ = std::fs::remove_file(beside(format!("{file}{ending}")));
    }
    Ok(aside)
}
