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
pub(super) struct Kept<T> {
    pub(super) connection: T,
    /// The runtime that watches its socket.
    pub(super) home: Id,
    pub(super) born: Moment,
    pub(super) idle_since: Moment,
    pub(super) counted: Counted,
}

impl<T: Pooled> Kept<T> {
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

    /// Says goodbye where there is a runtime to do so, and is counted until that is said.
    pub(super) fn leave(self) {
        if let Ok(runtime) = Handle::try_current() {
            let Self { connection, counted, .. } = self;
            runtime.spawn(async move {
                connection.leave().await;
                drop(counted);
            });
        }
    }
}

/// Those that nobody uses, the youngest last.
pub(super) struct Idle<T> {
    kept: Vec<Kept<T>>,
    is_swept: bool,
    is_retired: bool,
}

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), is_swept: false, is_retired: false }
    }
}

impl<T: Pooled> Idle<T> {
    /// Keeps one; whether a task must be started that looks after them. It comes back where
    /// nothing is kept any more.
    pub(super) fn add(&mut self, kept: Kept<T>) -> Result<bool, Kept<T>> {
        if self.is_retired {
            return Err(kept);
        }
        self.kept.push(kept);
        Ok(!std::mem::replace(&mut self.is_swept, true))
    }

    /// The youngest of this runtime, else the youngest of another, where it can be moved.
    pub(super) fn take(&mut self, here: Id) -> Option<Kept<T>> {
        let own = self.kept.iter().rposition(|kept| kept.home == here);
        let other = || self.kept.len().checked_sub(1).filter(|_| T::MOVES);
        let at = own.or_else(other)?;
        Some(self.kept.remove(at))
    }

    pub(super) fn take_oldest(&mut self) -> Option<Kept<T>> {
        if self.kept.is_empty() { None } else { Some(self.kept.remove(0)) }
    }

    pub(super) fn take_all(&mut self) -> Vec<Kept<T>> {
        std::mem::take(&mut self.kept)
    }

    pub(super) fn retire(&mut self) -> Vec<Kept<T>> {
        self.is_retired = true;
        self.take_all()
    }

    /// Takes out those whose time is over; when the next one's is.
    fn take_old(&mut self, bounds: &Bounds, now: Moment) -> (Vec<Kept<T>>, Option<Moment>) {
        let old = self.kept.extract_if(.., |kept| !kept.may_go_on(bounds, now)).collect();
        let next = self.kept.iter().map(|kept| kept.ends(bounds)).min();
        self.is_swept = next.is_some();
        (old, next)
    }
}

/// Whoever sweeps may end with its thread, even before it has begun: then the next connection that is
/// kept starts another.
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
        old.into_iter().for_each(Kept::leave);
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
