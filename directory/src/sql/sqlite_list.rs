//! Lists an SQLite file. Its library blocks and cannot be asked how far it is, so it reads on a
//! thread of its own and hands over its rows in batches; who waits for them can stop it.

use super::super::file::Stamp;
use super::answer::TARGET;
use super::failure::{Failure, slow};
use super::remote::{LOOK, Layout, Listed};
use super::sqlite::{changed_while_read, columns, open};
use super::statement::Statement;
use super::{no_column, not_text};
use rusqlite::InterruptHandle;
use rusqlite::types::ValueRef;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Rows that are handed over together.
const BATCH_ROWS: usize = 1_024;
/// Batches on their way.
const BATCHES_MAX: usize = 2;

enum Progress {
    /// Stops the reading.
    Begun(InterruptHandle),
    Rows(Vec<(Vec<u8>, Option<Vec<u8>>)>),
}

/// Gives every row to `take`, and nothing when none has come for a second, until that returns
/// false. Blocks; the file is opened for it alone.
/// # Errors
/// When not everything could be read, or no row comes for `patience`.
pub fn list(
    path: &Path,
    statement: &Statement,
    busy_max: Duration,
    patience: Duration,
    mut take: impl FnMut(Option<Listed<'_>>) -> bool,
) -> Result<(), Failure> {
    let (sender, receiver) = sync_channel(BATCHES_MAX);
    thread::scope(|scope| {
        let reading = scope.spawn(move || read(path, statement, busy_max, &sender));
        let (mut interrupt, mut heard) = (None, Instant::now());
        let ended = loop {
            match receiver.recv_timeout(LOOK) {
                Ok(Progress::Begun(handle)) => interrupt = Some(handle),
                Ok(Progress::Rows(rows)) => {
                    heard = Instant::now();
                    if !rows
                        .iter()
                        .all(|(address, target)| take(Some((address, target.as_deref()))))
                    {
                        break Ok(());
                    }
                }
                // The thread has ended: it says how.
                Err(RecvTimeoutError::Disconnected) => {
                    return reading.join().unwrap_or_else(|_| Err(slow().into()));
                }
                Err(RecvTimeoutError::Timeout) if heard.elapsed() >= patience => {
                    break Err(slow().into());
                }
                Err(RecvTimeoutError::Timeout) if take(None) => {}
                Err(RecvTimeoutError::Timeout) => break Ok(()),
            }
        };
        drop(receiver);
        if let Some(interrupt) = interrupt {
            interrupt.interrupt();
        }
        ended
    })
}

fn read(
    path: &Path,
    statement: &Statement,
    busy_max: Duration,
    sender: &SyncSender<Progress>,
) -> Result<(), Failure> {
    let open = open(path, busy_max)?;
    let _ = sender.send(Progress::Begun(open.connection.get_interrupt_handle()));
    let mut prepared = open.connection.prepare(&statement.text)?;
    let names: Vec<&str> = prepared.column_names().collect();
    let layout = Layout::new(names.iter().copied()).ok_or_else(no_column)?;
    let mut rows = prepared.query([])?;
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    while let Some(row) = rows.next()? {
        let octets = |at: usize, key: &str| match row.get_ref(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => Ok(Some(text.to_owned())),
            value => Err(not_text(key, &value.data_type().to_string())),
        };
        let address = octets(layout.address, "address")?.unwrap_or_default();
        let target = layout.target.map_or(Ok(None), |at| octets(at, TARGET))?;
        batch.push((address, target));
        if batch.len() == BATCH_ROWS {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_ROWS));
            if sender.send(Progress::Rows(full)).is_err() {
                return Ok(());
            }
        }
    }
    // Half of one file and half of another is no list. Where SQLite writes ahead, it may write into
    // the file while we read, and then knows itself what belongs together.
    let mut ahead = path.as_os_str().to_owned();
    ahead.push("-wal");
    if Stamp::of(path).ok() != Some(open.stamp) && !Path::new(&ahead).exists() {
        return Err(changed_while_read());
    }
    let _ = sender.send(Progress::Rows(batch));
    Ok(())
}

/// The columns of a listing.
/// # Errors
/// When the file does not take it.
pub fn describe(
    path: &Path,
    statement: &Statement,
    busy_max: Duration,
) -> Result<Vec<String>, Failure> {
    columns(&open(path, busy_max)?.connection, statement)
}
