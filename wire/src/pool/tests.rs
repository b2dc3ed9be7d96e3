//! The pool with connections that are none, and over several runtimes.

use super::*;
use std::future::Ready;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use tokio::runtime::Runtime;

/// A connection that remembers what was done with it.
#[derive(Clone, Default)]
struct Fake(Arc<Seen>);

#[derive(Default)]
struct Seen {
    is_dead: AtomicBool,
    is_unfit: AtomicBool,
    moves: AtomicU32,
    farewells: AtomicU32,
}

impl Pooled for Fake {
    const MOVES: bool = true;

    fn is_fit(&self) -> bool {
        !self.0.is_unfit.load(Relaxed)
    }

    fn is_alive(&mut self) -> bool {
        !self.0.is_dead.load(Relaxed)
    }

    fn move_here(&mut self) -> io::Result<()> {
        self.0.moves.fetch_add(1, Relaxed);
        Ok(())
    }

    fn leave(self) -> Option<impl Future<Output = ()> + Send + 'static> {
        Some(async move { _ = self.0.farewells.fetch_add(1, Relaxed) })
    }
}

/// One that cannot be moved.
struct Bound;

impl Pooled for Bound {
    const MOVES: bool = false;

    fn is_fit(&self) -> bool {
        true
    }

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

const LONG: Duration = Duration::from_secs(60);

fn bounds(connections_max: u32) -> Bounds {
    Bounds { connections_max, waiting_max: 2, idle_max: LONG, age_max: LONG }
}

fn soon() -> Instant {
    Instant::now() + LONG
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn lease<T: Pooled>(pool: &Arc<Pool<T>>, new: T) -> Lease<T> {
    let slot = pool.slot(Party::NAMELESS, soon(), || {}).await.unwrap();
    match slot.reuse() {
        Ok(lease) => lease,
        Err(slot) => slot.open(async { Ok::<_, ()>(new) }).await.ok().unwrap(),
    }
}

#[test]
fn a_connection_serves_every_runtime_and_is_moved_only_where_it_must() {
    let (pool, first, second) = (Pool::new(bounds(2)), runtime(), runtime());
    let (one, two) = (Fake::default(), Fake::default());
    first.block_on(async { lease(&pool, one.clone()).await.give_back() });
    first.block_on(async { lease(&pool, two.clone()).await.give_back() });
    assert_eq!((pool.open_connections(), one.0.moves.load(Relaxed)), (1, 0));
    second.block_on(async {
        let lease = lease(&pool, two.clone()).await;
        assert!(lease.rested.is_some());
        lease.give_back();
    });
    assert_eq!((pool.open_connections(), one.0.moves.load(Relaxed)), (1, 1));
    // Each finds its own, whoever gave back last.
    first.block_on(async {
        let (own, other) = (lease(&pool, two.clone()).await, lease(&pool, two.clone()).await);
        own.give_back();
        other.give_back();
    });
    second.block_on(async { lease(&pool, two.clone()).await.give_back() });
    assert_eq!((one.0.moves.load(Relaxed), two.0.moves.load(Relaxed)), (2, 1));
    second.block_on(async { lease(&pool, two.clone()).await.give_back() });
    first.block_on(async { lease(&pool, two.clone()).await.give_back() });
    assert_eq!((one.0.moves.load(Relaxed), two.0.moves.load(Relaxed)), (2, 1));
}

#[test]
fn one_that_cannot_be_moved_stays_with_its_runtime_and_makes_room_for_others() {
    let (pool, first, second) = (Pool::new(bounds(1)), runtime(), runtime());
    let is_reused = |runtime: &Runtime| {
        runtime.block_on(async {
            let lease = lease(&pool, Bound).await;
            let is_reused = lease.rested.is_some();
            lease.give_back();
            is_reused
        })
    };
    assert!(!is_reused(&first) && is_reused(&first) && !is_reused(&second));
    assert!(is_reused(&second) && !is_reused(&first));
    assert_eq!(pool.open_connections(), 1);
}

#[tokio::test]
async fn what_has_died_or_is_worn_out_is_not_used_again() {
    let pool = Pool::new(bounds(2));
    let (dead, worn) = (Fake::default(), Fake::default());
    let (first, second) = (lease(&pool, dead.clone()).await, lease(&pool, worn.clone()).await);
    first.give_back();
    dead.0.is_dead.store(true, Relaxed);
    worn.0.is_unfit.store(true, Relaxed);
    second.give_back();
    assert!(lease(&pool, Fake::default()).await.rested.is_none());
    while worn.0.farewells.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(dead.0.farewells.load(Relaxed), 0, "nobody is there to hear it");
}

#[tokio::test]
async fn a_session_that_panics_loses_its_connection_and_the_next_one_gets_another() {
    let pool = Pool::new(bounds(1));
    let lost = lease(&pool, Fake::default()).await;
    let session = tokio::spawn(async move {
        let _lease = lost;
        panic!("a bug");
    });
    assert!(session.await.is_err());
    assert_eq!(pool.open_connections(), 0);
    lease(&pool, Fake::default()).await.give_back();
}

#[tokio::test]
async fn a_lease_that_is_not_given_back_is_closed_and_what_is_retired_is_not_kept() {
    let pool = Pool::new(bounds(1));
    drop(lease(&pool, Fake::default()).await);
    assert_eq!(pool.open_connections(), 0);
    lease(&pool, Fake::default()).await.give_back();
    assert_eq!(pool.open_connections(), 1);
    pool.close_idle();
    assert_eq!(pool.open_connections(), 0);
    let last = lease(&pool, Fake::default()).await;
    let slot = last.discard();
    assert_eq!(pool.open_connections(), 0);
    let last = slot.open(async { Ok::<_, ()>(Fake::default()) }).await.ok().unwrap();
    pool.retire();
    last.give_back();
    while pool.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(lease(&pool, Fake::default()).await.rested.is_none());
}

#[tokio::test]
async fn what_is_idle_for_too_long_is_closed_without_anybody_asking() {
    let short = Duration::from_millis(20);
    let pool = Pool::new(Bounds { idle_max: short, ..bounds(2) });
    let seen = Fake::default();
    for round in 1..=2 {
        lease(&pool, seen.clone()).await.give_back();
        assert_eq!(pool.open_connections(), 1);
        while pool.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(seen.0.farewells.load(Relaxed), round);
    }
    // Whoever swept may have ended with its runtime: another does it then.
    let other = runtime();
    let ours = Arc::clone(&pool);
    tokio::task::spawn_blocking(move || {
        other.block_on(async { lease(&ours, Fake::default()).await.give_back() });
    })
    .await
    .unwrap();
    lease(&pool, seen.clone()).await.give_back();
    while pool.open_connections() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_waits_gets_what_comes_back_and_who_comes_after_too_many_is_told_so() {
    let pool = Pool::new(bounds(1));
    let taken = lease(&pool, Fake::default()).await;
    let mut waiting: Vec<_> =
        (0..2).map(|_| Box::pin(pool.slot(Party::NAMELESS, soon(), || {}))).collect();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for slot in &mut waiting {
        assert!(slot.as_mut().poll(&mut cx).is_pending());
    }
    assert!(matches!(pool.slot(Party::NAMELESS, soon(), || {}).await, Err(Busy)));
    let late = Instant::now() + Duration::from_millis(10);
    drop(waiting.pop());
    assert!(matches!(pool.slot(Party::NAMELESS, late, || {}).await, Err(Busy)));
    taken.give_back();
    let slot = waiting.remove(0).await.unwrap();
    assert!(slot.reuse().is_ok());
}

#[tokio::test]
async fn who_has_a_slot_learns_when_a_connection_comes_back_or_ends() {
    let pool = Pool::new(bounds(3));
    let full = pool.slot(Party::NAMELESS, soon(), || {}).await.unwrap();
    let (first, second) =
        (lease(&pool, Fake::default()).await, lease(&pool, Fake::default()).await);
    let late = Instant::now() + Duration::from_millis(10);
    assert_eq!(full.change(late, || {}).await, Err(Busy));
    drop(first);
    assert_eq!(full.change(soon(), || {}).await, Ok(()));
    second.give_back();
    assert_eq!(full.change(soon(), || {}).await, Ok(()));
    assert!(full.reuse().is_ok());
}
