//! The connections of a pool that nobody uses, and when they are closed.

use super::counted::Counted;
use super::{Bounds, Pool, Pooled};
use crate::clock;
use relay::moment::Moment;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::time::sleep_until;

/// While anything is idle, it is looked at this often at least.
const SWEEP_SECONDS_MAX: u32 = 5;

/// A connection, and since when.
pub(super) struct Held<T> {
    pub(super) connection: T,
    /// The runtime that watches its socket.
    pub(super) home: Id,
    pub(super) born: Moment,
    pub(super) idle_since: Moment,
    pub(super) counted: Counted,
}

impl<T: Pooled> Held<T> {
    /// Whether somebody else may use it.
    pub(super) fn may_go_on(&self, bounds: &Bounds, now: Moment) -> bool {
        self.connection.is_fit() && now < self.ends(bounds)
    }

    /// When it is closed, if nobody uses it.
    fn ends(&self, bounds: &Bounds) -> Moment {
        let after = |moment: Moment, max: Duration| {
            moment.plus_milliseconds(u64::try_from(max.as_millis()).unwrap_or(u64::MAX))
        };
        after(self.idle_since, bounds.idle_max).min(after(self.born, bounds.age_max))
    }

    /// Says goodbye where there is a runtime to do so, and is counted until then.
    pub(super) fn leave(self) {
        let Self { connection, counted, .. } = self;
        if let (Some(leaving), Ok(runtime)) = (connection.leave(), Handle::try_current()) {
            runtime.spawn(async move {
                leaving.await;
                drop(counted);
            });
        }
    }
}

/// Those that nobody uses, the youngest last.
pub(super) struct Idle<T> {
    held: Vec<Held<T>>,
    is_swept: bool,
    is_retired: bool,
}

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Self { held: Vec::new(), is_swept: false, is_retired: false }
    }
}

impl<T: Pooled> Idle<T> {
    /// Keeps one; whether a task must be started that looks after them. It comes back where
    /// nothing is kept any more.
    pub(super) fn add(&mut self, held: Held<T>) -> Result<bool, Held<T>> {
        if self.is_retired {
            return Err(held);
        }
        self.held.push(held);
        Ok(!std::mem::replace(&mut self.is_swept, true))
    }

    /// The youngest of this runtime, else the youngest of another, where it can be moved.
    pub(super) fn take(&mut self, here: Id) -> Option<Held<T>> {
        let own = self.held.iter().rposition(|held| held.home == here);
        let other = || self.held.len().checked_sub(1).filter(|_| T::MOVES);
        let at = own.or_else(other)?;
        Some(self.held.remove(at))
    }

    pub(super) fn take_oldest(&mut self) -> Option<Held<T>> {
        if self.held.is_empty() { None } else { Some(self.held.remove(0)) }
    }

    pub(super) fn take_all(&mut self) -> Vec<Held<T>> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn retire(&mut self) -> Vec<Held<T>> {
        self.is_retired = true;
        self.take_all()
    }

    /// Takes out those whose time is over; when the next one's is.
    fn take_old(&mut self, bounds: &Bounds, now: Moment) -> (Vec<Held<T>>, Option<Moment>) {
        let old = self.held.extract_if(.., |held| !held.may_go_on(bounds, now)).collect();
        let next = self.held.iter().map(|held| held.ends(bounds)).min();
        self.is_swept = next.is_some();
        (old, next)
    }
}

/// Whoever sweeps may end with its thread, even before it has begun: then the next connection that
/// is kept starts another.
pub(super) struct Sweeping<T: Pooled> {
    pool: Weak<Pool<T>>,
    is_over: bool,
}

impl<T: Pooled> Sweeping<T> {
    pub(super) fn new(pool: &Arc<Pool<T>>) -> Self {
        Self { pool: Arc::downgrade(pool), is_over: false }
    }
}

impl<T: Pooled> Drop for Sweeping<T> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade().filter(|_| !self.is_over) {
            pool.idle().is_swept = false;
        }
    }
}

/// Closes what is idle for too long, until nothing is idle or nobody needs the pool.
pub(super) async fn sweep<T: Pooled>(mut sweeping: Sweeping<T>) {
    loop {
        let Some(pool) = sweeping.pool.upgrade() else { return };
        let now = clock::now();
        let (old, next) = pool.idle().take_old(&pool.bounds, now);
        drop(pool);
        old.into_iter().for_each(Held::leave);
        let Some(next) = next else {
            // Whoever keeps one from now on starts another task.
            sweeping.is_over = true;
            return;
        };
        // One that is kept meanwhile may be older.
        let next = next.min(now.plus_seconds(SWEEP_SECONDS_MAX));
        sleep_until(clock::instant(next).into()).await;
    }
}
