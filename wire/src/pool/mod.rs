//! Connections to one server: so many at most, reused while young. A connection that nobody uses
//! belongs to no thread: whoever needs one takes it, and moves it to the runtime of its own thread
//! where it must. Who is served next is decided by `relay::turns`; how a connection is made, and
//! what is said on it, is left to those who use the pool.

pub mod counted;
mod idle;
pub mod recall;

use crate::clock;
use crate::lock::lock;
use counted::Count;
use idle::{Held, Idle, Sweeping};
use recall::Recall;
use relay::turns::{Party, Turns};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Who waits looks this often for somebody who is over his share, or who lets a lease rest.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Who waits has an old lease recalled once in so many looks: ten times a second.
const LOOKS_FOR_AN_OLD_ONE: u32 = 2;

/// What bounds a pool.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections that exist at the same time, in use or not.
    pub connections_max: u32,
    /// Callers that wait for one at the same time.
    pub waiting_max: u32,
    /// How long a connection is kept without use.
    pub idle_max: Duration,
    /// How old a connection may grow.
    pub age_max: Duration,
}

/// What a pool needs of a connection.
pub trait Pooled: Send + 'static {
    /// Whether a connection can be moved to another runtime than that which opened it.
    const MOVES: bool;

    /// Whether somebody else may use it: nothing is outstanding, and it was not used too often.
    fn is_fit(&self) -> bool;

    /// Whether the other side has not hung up meanwhile. Looks, and waits for nothing.
    fn is_alive(&mut self) -> bool;

    /// Moves it to the runtime of the calling thread; that which it had may have ended.
    /// # Errors
    /// As the system's, or when the other side has hung up; the connection is of no more use then.
    fn move_here(&mut self) -> io::Result<()>;

    /// Says goodbye, where there is one to be said; nobody waits for an answer.
    fn leave(self) -> Option<impl Future<Output = ()> + Send + 'static>;
}

/// The connections.
pub struct Pool<T: Pooled> {
    bounds: Bounds,
    turns: Mutex<Turns<oneshot::Sender<Slot<T>>, Arc<Recall>>>,
    waiting: Arc<Count>,
    /// Connections that exist, in use or not, and those that are being made.
    open: Arc<Count>,
    /// Those of them that are being made.
    opening: Arc<Count>,
    idle: Mutex<Idle<T>>,
}

/// The right to use one of the connections.
pub struct Slot<T: Pooled> {
    pool: Arc<Pool<T>>,
    number: u64,
    recall: Arc<Recall>,
}

/// Stands in line until it is served, or dropped.
struct Waiter<'a, T: Pooled> {
    pool: &'a Pool<T>,
    party: Party,
    number: u64,
    served: oneshot::Receiver<Slot<T>>,
}

/// A connection in use. One that is not given back is closed: whatever it was in the middle of is
/// void then.
pub struct Lease<T: Pooled> {
    held: Held<T>,
    /// How long it was idle, where it was used before: then it may have died unseen.
    pub rested: Option<Duration>,
    slot: Slot<T>,
}

/// All connections are in use, and none became free in time, or too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl<T: Pooled> Pool<T> {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            turns: Mutex::new(Turns::new(bounds.connections_max)),
            bounds,
            waiting: Arc::default(),
            open: Arc::default(),
            opening: Arc::default(),
            idle: Mutex::default(),
        })
    }

    /// Connections that exist.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.open.there()
    }

    /// Connections that stand: those that are being made may come to nothing.
    #[must_use]
    pub fn standing_connections(&self) -> u32 {
        self.open.there().saturating_sub(self.opening.there())
    }

    /// A slot as soon as it is the party's turn. Holders that wait for somebody else lose theirs
    /// meanwhile: those over their share at once for somebody below his, else one a second for each
    /// that stands in line; `recalled` is told of each.
    /// # Errors
    /// When there is none by then, or too many wait.
    pub async fn slot(
        self: &Arc<Self>,
        party: Party,
        until: Instant,
        recalled: impl Fn(),
    ) -> Result<Slot<T>, Busy> {
        if let Some(slot) = self.try_slot(party) {
            return Ok(slot);
        }
        let (_waiting, before) = self.waiting.add();
        if before >= self.bounds.waiting_max {
            return Err(Busy);
        }
        let mut waiter = self.join(party);
        let served = self.wait(party, &mut waiter.served, until, recalled).await?;
        served.map_err(|_| Busy)
    }

    fn try_slot(self: &Arc<Self>, party: Party) -> Option<Slot<T>> {
        let recall = Recall::new(party);
        let number = self.turns().try_take(party, clock::now(), Arc::clone(&recall))?;
        Some(Slot { pool: Arc::clone(self), number, recall })
    }

    fn join(self: &Arc<Self>, party: Party) -> Waiter<'_, T> {
        let (waker, served) = oneshot::channel();
        let number = self.turns().join(party, waker);
        // One may have come back since it was looked for.
        self.serve();
        Waiter { pool: self, party, number, served }
    }

    /// Gives what is free to those whose turn it is.
    fn serve(self: &Arc<Self>) {
        loop {
            let next = self.turns().serve(clock::now(), Recall::new);
            let Some((waker, recall, number)) = next else { return };
            // Who has gone meanwhile drops it, and whoever is next is served by that.
            let _ = waker.send(Slot { pool: Arc::clone(self), number, recall });
        }
    }

    async fn wait<W>(
        &self,
        party: Party,
        waited_for: impl Future<Output = W>,
        until: Instant,
        recalled: impl Fn(),
    ) -> Result<W, Busy> {
        let mut waited_for = std::pin::pin!(waited_for);
        for look in 0_u32.. {
            let is_unfair = self.turns().recall_unfair(party, |recall| recall.recall());
            let is_old = || self.turns().recall_old(clock::now(), |recall| recall.recall());
            if is_unfair || (look > 0 && look.is_multiple_of(LOOKS_FOR_AN_OLD_ONE) && is_old()) {
                recalled();
            }
            let next = until.min(Instant::now() + LOOK_EVERY);
            match timeout_at(next, waited_for.as_mut()).await {
                Ok(came) => return Ok(came),
                Err(_) if next >= until => break,
                Err(_) => {}
            }
        }
        Err(Busy)
    }

    /// Closes what is idle: one connection was found dead, and what killed it killed the others.
    pub fn close_idle(&self) {
        let idle = self.idle().take_all();
        drop(idle);
    }

    /// Nothing is kept for later any more. Leases go on; who asks is served nevertheless.
    pub fn retire(&self) {
        let idle = self.idle().retire();
        drop(idle);
    }

    fn idle(&self) -> MutexGuard<'_, Idle<T>> {
        lock(&self.idle)
    }

    fn turns(&self) -> MutexGuard<'_, Turns<oneshot::Sender<Slot<T>>, Arc<Recall>>> {
        lock(&self.turns)
    }
}

impl<T: Pooled> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        self.pool.turns().leave(self.party, self.number);
    }
}

impl<T: Pooled> Drop for Slot<T> {
    fn drop(&mut self) {
        self.pool.turns().end(self.number);
        self.pool.serve();
    }
}

impl<T: Pooled> Slot<T> {
    /// An idle connection that still works, the youngest of this thread first; the slot again
    /// where there is none.
    /// # Errors
    /// When there is none.
    pub fn reuse(self) -> Result<Lease<T>, Self> {
        let here = Handle::current().id();
        loop {
            let Some(mut held) = self.pool.idle().take(here) else { return Err(self) };
            let now = clock::now();
            if !held.may_go_on(&self.pool.bounds, now) {
                continue;
            }
            let is_alive = if held.home == here {
                held.connection.is_alive()
            } else {
                held.home = here;
                held.connection.move_here().is_ok()
            };
            if !is_alive {
                continue;
            }
            let rested = Duration::from_millis(now.milliseconds_since(held.idle_since));
            return Ok(Lease::new(held, Some(rested), self));
        }
    }

    /// Waits until a connection has been given back or closed: for a server that takes fewer than
    /// the pool may make.
    /// # Errors
    /// When none has by then, or too many wait.
    pub async fn change(&self, until: Instant, recalled: impl Fn()) -> Result<(), Busy> {
        let pool = &self.pool;
        let (_waiting, before) = pool.waiting.add();
        if before >= pool.bounds.waiting_max {
            return Err(Busy);
        }
        pool.wait(self.recall.party, pool.open.changed.notified(), until, recalled).await
    }

    /// A new connection.
    /// # Errors
    /// When it cannot be made.
    pub async fn open<E>(
        self,
        connecting: impl Future<Output = Result<T, E>>,
    ) -> Result<Lease<T>, (Self, E)> {
        // Counted before it is made, so that no two callers make the last one.
        let (counted, before) = self.pool.open.add();
        let (_opening, _) = self.pool.opening.add();
        if before >= self.pool.bounds.connections_max {
            let evicted = self.pool.idle().take_oldest();
            drop(evicted);
        }
        match connecting.await {
            Ok(connection) => {
                let now = clock::now();
                let home = Handle::current().id();
                // How long it took is no fault of the holder's.
                self.pool.turns().restart(self.number, now);
                let held = Held { connection, home, born: now, idle_since: now, counted };
                Ok(Lease::new(held, None, self))
            }
            Err(error) => {
                counted.cancel();
                Err((self, error))
            }
        }
    }
}

impl<T: Pooled> Lease<T> {
    fn new(held: Held<T>, rested: Option<Duration>, slot: Slot<T>) -> Self {
        Self { held, rested, slot }
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut T {
        &mut self.held.connection
    }

    /// For a holder that waits for somebody else: ready when the lease is recalled, and must end.
    pub fn poll_recalled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.slot.recall.poll_recalled(cx)
    }

    /// The holder goes on with it.
    pub fn resume(&self) {
        self.slot.recall.resume();
    }

    /// Closes the connection, and keeps the slot for another.
    pub fn discard(self) -> Slot<T> {
        let Self { held, slot, .. } = self;
        drop(held);
        slot
    }

    /// Back to the pool: nothing that was asked is outstanding.
    pub fn give_back(self) {
        let Self { mut held, slot, .. } = self;
        let now = clock::now();
        held.idle_since = now;
        if !held.may_go_on(&slot.pool.bounds, now) {
            return held.leave();
        }
        let mut idle = slot.pool.idle();
        match idle.add(held) {
            Ok(must_be_swept) => {
                drop(idle);
                if must_be_swept {
                    tokio::spawn(idle::sweep(Sweeping::new(&slot.pool)));
                }
            }
            Err(held) => held.leave(),
        }
        slot.pool.open.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
