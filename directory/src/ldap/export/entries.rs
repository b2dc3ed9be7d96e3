//! Which entry of a directory holds which addresses, as it was when the list was read whole: an
//! SQLite file beside the list, because a deleted entry no longer says what its addresses were.
//! What changed since is left to `followed.rs`.

use super::followed::Held;
use crate::target::Target;
use rusqlite::{Connection, OpenFlags, params};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why the file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntriesError {
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server does not say which entry is which")]
    Nameless,
}

/// Entries that held an address, with what the next hop hears instead of it.
type Holders = Vec<(Box<[u8]>, Target)>;

/// A file that is being written. It is taken away unless it is put in its place.
#[derive(Debug)]
pub(super) struct Writing {
    connection: Option<Connection>,
    path: PathBuf,
}

impl Writing {
    /// Begins a file in the place of one that was not finished.
    pub(super) fn begin(path: &Path) -> Result<Self, EntriesError> {
        let mut writing = Self { connection: None, path: path.to_owned() };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // Addresses stand in it as they are.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let connection = Connection::open(path)?;
        // Until it is whole nobody reads it, so nothing is kept to undo it with.
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
             BEGIN;
             CREATE TABLE list (token TEXT NOT NULL);
             CREATE TABLE held (entry BLOB NOT NULL, address TEXT NOT NULL, target TEXT);",
        )?;
        writing.connection = Some(connection);
        Ok(writing)
    }

    /// Notes that an entry holds an address.
    pub(super) fn add(
        &self,
        entry: &[u8],
        address: &str,
        target: &Target,
    ) -> Result<(), EntriesError> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let mut insert = connection.prepare_cached("INSERT INTO held VALUES (?1, ?2, ?3)")?;
        insert.execute(params![entry, address, target.stored()])?;
        Ok(())
    }

    /// Says which reading it is of, and makes it whole.
    pub(super) fn finish(&mut self, token: &str) -> Result<(), EntriesError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        connection.execute("INSERT INTO list VALUES (?1)", [token])?;
        connection.execute_batch(
            "CREATE INDEX held_by_entry ON held (entry);
             CREATE INDEX held_by_address ON held (address);
             COMMIT;",
        )?;
        drop(connection);
        Ok(File::open(&self.path)?.sync_all()?)
    }

    /// Puts it in its place.
    pub(super) fn keep(self, place: &Path) -> Result<(), EntriesError> {
        Ok(fs::rename(&self.path, place)?)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.connection = None;
        // Mostly it is in its place already.
        let _ = fs::remove_file(&self.path);
    }
}

/// A file that is whole.
#[derive(Debug)]
pub(super) struct Entries(Connection);

impl Entries {
    /// Opens it when it is of this reading.
    pub(super) fn open(place: &Path, token: &str) -> Option<Self> {
        let connection =
            Connection::open_with_flags(place, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let of = connection.query_row("SELECT token FROM list", [], |row| row.get::<_, String>(0));
        (of.ok()? == token).then_some(Self(connection))
    }

    /// What an entry held.
    pub(super) fn of(&self, entry: &[u8]) -> Result<Held, EntriesError> {
        let sql = "SELECT address, target FROM held WHERE entry = ?1";
        let mut select = self.0.prepare_cached(sql)?;
        let rows = select.query_map([entry], |row| {
            Ok((row.get::<_, String>(0)?.into_boxed_str(), parsed(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Who held an address.
    pub(super) fn holders(&self, address: &str) -> Result<Holders, EntriesError> {
        let sql = "SELECT entry, target FROM held WHERE address = ?1";
        let mut select = self.0.prepare_cached(sql)?;
        let rows = select.query_map([address], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?.into_boxed_slice(), parsed(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn parsed(target: Option<String>) -> Target {
    Target::of_stored(target.as_deref())
}
