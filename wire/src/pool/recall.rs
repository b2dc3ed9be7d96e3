//! A lease whose holder waits for somebody else can be recalled when others stand in line: clients
//! that trickle their content must not keep everybody else from the next hop. Whose it is that is
//! recalled is decided by `relay::turns`.

use crate::lock::lock;
use relay::turns::Party;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// What a lease is recalled by.
#[derive(Debug)]
pub struct Recall {
    /// Who holds the lease.
    pub(super) party: Party,
    recalled: AtomicBool,
    /// There while its holder waits for somebody else.
    waiting: Mutex<Option<Waker>>,
}

impl Recall {
    /// For a lease that begins.
    pub(super) fn new(party: Party) -> Arc<Self> {
        Arc::new(Self { party, recalled: AtomicBool::default(), waiting: Mutex::default() })
    }

    /// For a holder that waits for somebody else: ready when the lease is recalled.
    pub fn poll_recalled(&self, cx: &mut Context<'_>) -> Poll<()> {
        *lock(&self.waiting) = Some(cx.waker().clone());
        if self.recalled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The holder goes on with it, and keeps it for as long as that takes.
    pub fn resume(&self) {
        *lock(&self.waiting) = None;
    }

    /// False when its holder is using it.
    pub(super) fn recall(&self) -> bool {
        let Some(waker) = lock(&self.waiting).take() else { return false };
        self.recalled.store(true, Ordering::Release);
        waker.wake();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_holder_that_waits_is_called_back() {
        let (recall, mut cx) = (Recall::new(Party::NAMELESS), Context::from_waker(Waker::noop()));
        assert!(!recall.recall());
        assert!(recall.poll_recalled(&mut cx).is_pending());
        recall.resume();
        assert!(!recall.recall());
        assert!(recall.poll_recalled(&mut cx).is_pending());
        assert!(recall.recall());
        assert!(recall.poll_recalled(&mut cx).is_ready());
    }
}
