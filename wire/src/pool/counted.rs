//! Things that are counted for as long as they are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::sync::Notify;

/// How many there are.
#[derive(Debug, Default)]
pub struct Count {
    there: AtomicU32,
    pub(super) changed: Notify,
}

/// One of them.
#[derive(Debug)]
pub struct Counted {
    count: Arc<Count>,
    is_told: bool,
}

impl Count {
    /// One more, and how many there were before.
    pub fn add(self: &Arc<Self>) -> (Counted, u32) {
        let before = self.there.fetch_add(1, Relaxed);
        (Counted { count: Arc::clone(self), is_told: true }, before)
    }

    /// How many there are now.
    #[must_use]
    pub fn there(&self) -> u32 {
        self.there.load(Relaxed)
    }
}

impl Counted {
    /// It came to nothing: whoever waits for one to end is not told.
    pub(super) fn cancel(mut self) {
        self.is_told = false;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.there.fetch_sub(1, Relaxed);
        if self.is_told {
            self.count.changed.notify_one();
        }
    }
}
