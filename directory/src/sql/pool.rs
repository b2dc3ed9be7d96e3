//! Connections to one database: so many at most, reused while young. sqlx has a pool of its own,
//! which is not used: it lends a connection to any thread, and a socket is watched by the runtime
//! that opened it. Each of our threads has its own runtime, so an answer would first have to wake
//! another thread, wait while that one is busy with its sessions, and be lost when it has ended.
//! Here a connection is reused only by the runtime that opened it: it cannot be moved to another.

use super::super::live::{Trouble, TroubleKind};
use super::failure::Failure;
use relay::turns::Party;
use std::future::Ready;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;
use wire::pool::{self, Bounds, Busy, Pooled};

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
    connections: Arc<pool::Pool<Session<C::Connection>>>,
}

/// A connection to the database.
pub struct Session<T>(T);

impl<T: Send + 'static> Pooled for Session<T> {
    const MOVES: bool = false;

    fn is_fit(&self) -> bool {
        true
    }

    /// Whoever uses one that was idle for long asks first.
    fn is_alive(&mut self) -> bool {
        true
    }

    fn move_here(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn leave(self) -> Option<impl Future<Output = ()> + Send + 'static> {
        None::<Ready<()>>
    }
}

/// A connection in use. It is closed unless it is given back: whatever a caller that went away
/// had asked would otherwise be answered to the next.
pub struct Lease<C: Connect>(pool::Lease<Session<C::Connection>>);

impl<C: Connect> Pool<C> {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(connect: C, connections_max: u32) -> Self {
        let bounds = Bounds {
            connections_max,
            waiting_max: WAITING_MAX,
            idle_max: IDLE_MAX,
            age_max: AGE_MAX,
        };
        Self { connect, connections: pool::Pool::new(bounds) }
    }

    /// Connections that exist.
    #[cfg(test)]
    fn open_connections(&self) -> u32 {
        self.connections.open_connections()
    }

    /// A connection of this runtime.
    /// # Errors
    /// When too many wait already, none is free in time, or none can be opened in time.
    pub async fn lease(&self, until: Instant) -> Result<Lease<C>, Failure> {
        let slot =
            self.connections.slot(Party::NAMELESS, until.into(), || {}).await.map_err(|Busy| {
                Trouble::new(TroubleKind::Busy, "every connection is in use")
                    .remedy("raise `connections_max`")
            })?;
        let slot = match slot.reuse() {
            Ok(lease) => return Ok(Lease(lease)),
            Err(slot) => slot,
        };
        let connecting = async {
            let connected = timeout_at(until.into(), self.connect.connect()).await;
            let connection = connected.map_err(|_| {
                let what = "no connection in time";
                Trouble::new(TroubleKind::Down, what).remedy("check host, port and firewall")
            })??;
            Ok::<_, Failure>(Session(connection))
        };
        slot.open(connecting).await.map(Lease).map_err(|(_, failure)| failure)
    }

    /// Closes what is idle: one connection was found dead, and whatever killed it killed the
    /// others.
    pub fn forget_idle(&self) {
        self.connections.close_idle();
    }
}

impl<C: Connect> Lease<C> {
    /// The connection.
    pub fn connection(&mut self) -> &mut C::Connection {
        &mut self.0.connection().0
    }

    /// How long it was idle, where it was used before: then it may have died unseen.
    pub fn rested(&self) -> Option<Duration> {
        self.0.rested
    }

    /// Back to the pool: nothing that was asked is outstanding.
    pub fn give_back(self) {
        self.0.give_back();
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
                let is_reused = lease.rested().is_some();
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
