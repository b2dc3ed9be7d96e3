//! Connections to one database: so many at most, reused while young. sqlx has a pool of its own,
//! which is not used: it lends a connection to any thread, and a socket is watched by the runtime
//! that opened it. Each of our threads has its own runtime, so an answer would first have to wake
//! another thread, wait while that one is busy with its sessions, and be lost when it has ended.
//! Here a connection is reused only by the runtime that opened it, like those to next hops.

use super::super::live::{Trouble, TroubleKind};
use super::failure::Failure;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

/// Who may wait for a connection; who comes then is told that it is busy.
pub const WAITING_MAX: u32 = 256;
/// A connection that has rested longer than this is not used again: what stands between may have
/// forgotten it without a word.
pub const IDLE_MAX: Duration = Duration::from_secs(60);
/// A connection is not kept longer than this: a server that moved is found again, and a password
/// that changed is noticed.
pub const AGE_MAX: Duration = Duration::from_secs(1_800);

/// What a pool needs of a connection.
pub trait Connect: Send + Sync + 'static {
    /// A connection that can be asked.
    type Connection: Send + 'static;

    /// Opens one. The caller has a deadline.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;
}

/// The connections.
pub struct Pool<C: Connect> {
    connect: C,
    turns: Semaphore,
    waiting: AtomicU32,
    connections_max: u32,
    /// Connections that exist, in use or not.
    open: Arc<AtomicU32>,
    idle: Mutex<HashMap<Id, Vec<Kept<C::Connection>>>>,
}

struct Kept<T> {
    connection: T,
    opened: Instant,
    rests_since: Instant,
    _place: Place,
}

/// A connection is counted for as long as it holds this.
struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Somebody who waits is counted for as long as this is there.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A connection in use. It is closed unless it is given back: whatever a caller that went away
/// had asked would otherwise be answered to the next.
pub struct Lease<'a, C: Connect> {
    kept: Kept<C::Connection>,
    /// How long it has rested when it was used before: then it may have died unseen.
    pub rested: Option<Duration>,
    pool: &'a Pool<C>,
    _turn: SemaphorePermit<'a>,
}

impl<C: Connect> Pool<C> {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(connect: C, connections_max: u32) -> Self {
        Self {
            connect,
            turns: Semaphore::new(connections_max as usize),
            waiting: AtomicU32::new(0),
            connections_max,
            open: Arc::default(),
            idle: Mutex::default(),
        }
    }

    /// Connections that exist.
    #[cfg(test)]
    fn open_connections(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// A connection of this runtime.
    /// # Errors
    /// When too many wait already, none is free in time, or none can be opened in time.
    pub async fn lease(&self, until: Instant) -> Result<Lease<'_, C>, Failure> {
        let turn = self.turn(until).await?;
        if let Some(kept) = self.take_idle() {
            let rested = Some(kept.rests_since.elapsed());
            return Ok(Lease { kept, rested, pool: self, _turn: turn });
        }
        let place = Place(Arc::clone(&self.open));
        // Counted before it is made, so that no two threads take one place.
        if self.open.fetch_add(1, Relaxed) >= self.connections_max {
            self.evict_idle();
        }
        let connection =
            timeout_at(until.into(), self.connect.connect()).await.map_err(|_| {
                let what = "no connection in time";
                Trouble::new(TroubleKind::Down, what).remedy("check host, port and firewall")
            })??;
        let now = Instant::now();
        let kept = Kept { connection, opened: now, rests_since: now, _place: place };
        Ok(Lease { kept, rested: None, pool: self, _turn: turn })
    }

    /// Closes what rests on this runtime: one connection was found dead, and whatever killed it
    /// killed the others.
    pub fn forget_idle(&self) {
        let idle = self.lock_idle().remove(&Handle::current().id());
        drop(idle);
    }

    async fn turn(&self, until: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let busy = || {
            Trouble::new(TroubleKind::Busy, "every connection is in use")
                .remedy("raise `connections_max`")
        };
        let before = self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(busy().into());
        }
        match timeout_at(until.into(), self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(busy().into()),
        }
    }

    /// The connection of this runtime that was used last. What rested for too long is closed.
    fn take_idle(&self) -> Option<Kept<C::Connection>> {
        let mut idle = self.lock_idle();
        let own = idle.get_mut(&Handle::current().id())?;
        let kept = own.pop()?;
        if kept.may_go_on() {
            return Some(kept);
        }
        // The others have rested for longer still.
        let old = std::mem::take(own);
        drop(idle);
        drop((kept, old));
        None
    }

    /// Makes room for a connection of this runtime by closing one that rests on another.
    fn evict_idle(&self) {
        let evicted = self.lock_idle().values_mut().find_map(Vec::pop);
        drop(evicted);
    }

    fn lock_idle(&self) -> MutexGuard<'_, HashMap<Id, Vec<Kept<C::Connection>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn may_go_on(&self) -> bool {
        self.rests_since.elapsed() < IDLE_MAX && self.opened.elapsed() < AGE_MAX
    }
}

impl<C: Connect> Lease<'_, C> {
    /// The connection.
    pub fn connection(&mut self) -> &mut C::Connection {
        &mut self.kept.connection
    }

    /// Back to the pool: nothing that was asked is outstanding.
    pub fn give_back(mut self) {
        self.kept.rests_since = Instant::now();
        if self.kept.may_go_on() {
            self.pool.lock_idle().entry(Handle::current().id()).or_default().push(self.kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Connect for Fake {
        type Connection = ();

        async fn connect(&self) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_connection_is_reused_only_by_the_runtime_that_opened_it() {
        let (pool, first, second) = (Pool::new(Fake, 2), runtime(), runtime());
        let is_reused = |runtime: &tokio::runtime::Runtime| {
            runtime.block_on(async {
                let lease = pool.lease(soon()).await.unwrap();
                let is_reused = lease.rested.is_some();
                lease.give_back();
                is_reused
            })
        };
        assert!(!is_reused(&first));
        assert!(is_reused(&first));
        assert!(!is_reused(&second));
        assert!(is_reused(&first) && is_reused(&second));
        assert_eq!(pool.open_connections(), 2);
        let third = runtime();
        assert!(!is_reused(&third));
        assert_eq!(pool.open_connections(), 2, "one that rested elsewhere made room");
    }

    #[test]
    fn a_lease_that_is_not_given_back_is_closed() {
        let pool = Pool::new(Fake, 1);
        runtime().block_on(async {
            drop(pool.lease(soon()).await.unwrap());
            assert_eq!(pool.open_connections(), 0);
            pool.lease(soon()).await.unwrap().give_back();
            assert_eq!(pool.open_connections(), 1);
            pool.forget_idle();
            assert_eq!(pool.open_connections(), 0);
        });
    }

    #[test]
    fn who_waits_is_counted_and_who_comes_after_too_many_is_told_so() {
        let pool = Pool::new(Fake, 1);
        runtime().block_on(async {
            let _taken = pool.lease(soon()).await.unwrap();
            let mut waiting: Vec<_> =
                (0..WAITING_MAX).map(|_| Box::pin(pool.lease(soon()))).collect();
            for asked in &mut waiting {
                assert!(futures_util::poll!(asked).is_pending());
            }
            let refused = pool.lease(soon()).await.err().unwrap();
            assert_eq!(refused.trouble.kind, TroubleKind::Busy);
            waiting.pop();
            assert!(futures_util::poll!(Box::pin(pool.lease(soon()))).is_pending());
        });
    }
}
