//! Where a connection belongs: to a place among so many, and to the thread that opened it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A connection is counted for as long as it holds this.
#[derive(Debug)]
pub struct Place(Arc<AtomicU32>);

impl Place {
    /// Takes one, and says how many were taken before.
    pub fn take(taken: &Arc<AtomicU32>) -> (Self, u32) {
        let before = taken.fetch_add(1, Relaxed);
        (Self(Arc::clone(taken)), before)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A thread that serves sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(u32);

thread_local! {
    static THREAD: Cell<Option<ThreadId>> = const { Cell::new(None) };
}

/// The thread that this runs on.
pub fn this_thread() -> ThreadId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    THREAD.get().unwrap_or_else(|| {
        let id = ThreadId(NEXT.fetch_add(1, Relaxed));
        THREAD.set(Some(id));
        id
    })
}
