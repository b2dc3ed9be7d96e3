//! What PostgreSQL and MySQL have in common: one question over a connection of the pool, once
//! more over a fresh one when it was lost, and an end to all of it at the deadline.

use super::answer::{ROWS_MAX, Row, Values};
use super::failure::{Failure, slow};
use super::pool::{Connect, Pool};
use super::statement::Statement;
use futures_util::{Stream, TryStreamExt};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::{timeout, timeout_at};

/// A connection that has rested longer than this is tried before it is used.
const TRUSTED_MAX: Duration = Duration::from_secs(5);

/// While no row comes, somebody looks this often whether the listing is still wanted.
pub const LOOK: Duration = Duration::from_secs(1);

/// A row of a listing: the address, and the target beside it.
pub type Listed<'a> = (&'a [u8], Option<&'a [u8]>);

/// What a database that is reached over a connection can do.
pub trait Remote: Connect {
    /// Sees whether the connection still works.
    fn ping(connection: &mut Self::Connection) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Asks about one address. At most one row more than [`ROWS_MAX`] is read; then the
    /// connection is of no further use.
    fn ask(
        connection: &mut Self::Connection,
        statement: &Statement,
        values: &Values,
    ) -> impl Future<Output = Result<Vec<Row>, Failure>> + Send;

    /// The columns of a statement, as the server describes them.
    fn columns(
        connection: &mut Self::Connection,
        statement: &Statement,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;

    /// A connection to list with: its statement may take as long as it goes on.
    fn connect_to_list(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Gives every row to `take`, and nothing when none has come for a second, until that
    /// returns false; no more than a few rows are in memory. Fails when no row comes for
    /// `patience`.
    fn list(
        connection: &mut Self::Connection,
        statement: &Statement,
        patience: Duration,
        take: impl FnMut(Option<Listed<'_>>) -> bool,
    ) -> impl Future<Output = Result<(), Failure>>;
}

/// Asks over a connection of the pool.
/// # Errors
/// When there is no answer by then.
pub async fn ask<R: Remote>(
    pool: &Pool<R>,
    statement: &Statement,
    values: &Values,
    until: Instant,
) -> Result<Vec<Row>, Failure> {
    match ask_once(pool, statement, values, until).await {
        // What killed one connection killed all that rest: the server was started again.
        Err((failure, true)) if failure.is_lost => {
            pool.forget_idle();
            ask_once(pool, statement, values, until).await
        }
        answered => answered,
    }
    .map_err(|(failure, _)| failure)
}

/// A failure comes with whether the connection had been used before.
async fn ask_once<R: Remote>(
    pool: &Pool<R>,
    statement: &Statement,
    values: &Values,
    until: Instant,
) -> Result<Vec<Row>, (Failure, bool)> {
    let mut lease = pool.lease(until).await.map_err(|failure| (failure, false))?;
    let is_reused = lease.rested().is_some();
    if lease.rested().is_some_and(|rested| rested > TRUSTED_MAX) {
        // Leaves most of the time for the question itself, asked over another.
        let third = until.saturating_duration_since(Instant::now()) / 3;
        let pinged = tokio::time::timeout(third, R::ping(lease.connection())).await;
        if !matches!(pinged, Ok(Ok(()))) {
            let mut failure = Failure::from(slow());
            failure.is_lost = true;
            return Err((failure, true));
        }
    }
    let asked = timeout_at(until.into(), R::ask(lease.connection(), statement, values)).await;
    match asked {
        Ok(Ok(rows)) => {
            if rows.len() <= ROWS_MAX {
                lease.give_back();
            }
            Ok(rows)
        }
        Ok(Err(failure)) => {
            if !failure.is_lost {
                lease.give_back();
            }
            Err((failure, is_reused))
        }
        Err(_) => Err((slow().into(), is_reused)),
    }
}

/// The columns of a statement, over a connection of the pool.
/// # Errors
/// When the server does not take it, or does not answer by then.
pub async fn columns<R: Remote>(
    pool: &Pool<R>,
    statement: &Statement,
    until: Instant,
) -> Result<Vec<String>, Failure> {
    // One that rests may be dead, and here nobody minds the time a fresh one takes.
    pool.forget_idle();
    let mut lease = pool.lease(until).await?;
    let described = R::columns(lease.connection(), statement);
    let names = timeout_at(until.into(), described).await.map_err(|_| slow())??;
    lease.give_back();
    Ok(names)
}

/// Which columns of a listing hold the address and the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The column `address`, else the first that is not `target`.
    pub address: usize,
    /// The column `target`.
    pub target: Option<usize>,
}

impl Layout {
    /// Of columns with these names; nothing when there is no address among them.
    #[must_use]
    pub fn new<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let called = |word: &str| names.clone().position(|name| name.eq_ignore_ascii_case(word));
        let target = called(super::answer::TARGET);
        let first = (0..names.clone().count()).find(|at| Some(*at) != target);
        Some(Self { address: called("address").or(first)?, target })
    }
}

/// The next row, or the end, as [`waited_for`] gives it. A row is not lost by giving up: only the
/// waiting is.
/// # Errors
/// When the rows end in an error, or none comes for `patience`.
pub async fn next_row<S, T, E>(
    rows: &mut S,
    patience: Duration,
    goes_on: impl FnMut() -> bool,
) -> Result<Option<Option<T>>, Failure>
where
    S: Stream<Item = Result<T, E>> + Unpin,
    Failure: From<E>,
{
    waited_for(rows.try_next(), patience, goes_on).await
}

/// What comes of it. While nothing does, `goes_on` is asked each second; nothing means that it
/// does not.
/// # Errors
/// When it fails, or nothing comes for `patience`.
pub async fn waited_for<T, E>(
    coming: impl Future<Output = Result<T, E>>,
    patience: Duration,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Option<T>, Failure>
where
    Failure: From<E>,
{
    let (until, mut coming) = (Instant::now() + patience, pin!(coming));
    loop {
        match timeout(LOOK, &mut coming).await {
            Ok(came) => return Ok(Some(came?)),
            Err(_) if Instant::now() >= until => return Err(slow().into()),
            Err(_) if goes_on() => {}
            Err(_) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_listing_is_the_column_of_that_name_or_the_first() {
        let layout = |names: &[&str]| {
            Layout::new(names.iter().copied()).map(|found| (found.address, found.target))
        };
        assert_eq!(layout(&["mail"]), Some((0, None)));
        assert_eq!(layout(&["Target", "mail"]), Some((1, Some(0))));
        assert_eq!(layout(&["id", "ADDRESS", "target"]), Some((1, Some(2))));
        assert_eq!(layout(&["target"]), None);
        assert_eq!(layout(&[]), None);
    }
}
