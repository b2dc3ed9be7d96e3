//! A lease whose holder waits for somebody else can be recalled when others stand in line: clients
//! that trickle their content must not keep everybody else from the next hop.

use crate::lock::lock;
use relay::moment::Moment;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

/// Younger leases are left alone: most clients need less from RCPT to the final dot.
const AGE_MILLISECONDS_MIN: u64 = 5_000;

/// What a lease is recalled by.
#[derive(Debug)]
pub struct Recall {
    since: Moment,
    recalled: AtomicBool,
    /// There while its holder waits for somebody else.
    waiting: Mutex<Option<Waker>>,
}

/// Those of one pool, oldest first; those that ended are cleared away now and then.
#[derive(Debug, Default)]
pub struct Recalls(Mutex<Vec<Weak<Recall>>>);

impl Recall {
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
    fn recall(&self) -> bool {
        let Some(waker) = lock(&self.waiting).take() else { return false };
        self.recalled.store(true, Ordering::Release);
        waker.wake();
        true
    }
}

impl Recalls {
    /// For a lease that begins.
    pub fn add(&self, now: Moment) -> Arc<Recall> {
        let new = Recall { since: now, recalled: AtomicBool::default(), waiting: Mutex::default() };
        let new = Arc::new(new);
        let mut list = lock(&self.0);
        if list.len() == list.capacity() {
            list.retain(|known| known.strong_count() > 0);
            let room = list.len() + 8;
            list.reserve(room);
        }
        list.push(Arc::downgrade(&new));
        new
    }

    /// Recalls the oldest lease whose holder waits for somebody else; whether there was one.
    pub fn recall_oldest(&self, now: Moment) -> bool {
        let list = lock(&self.0);
        let mut old = list
            .iter()
            .filter_map(Weak::upgrade)
            .take_while(|lease| now.milliseconds_since(lease.since) >= AGE_MILLISECONDS_MIN);
        old.any(|lease| lease.recall())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_whose_holder_waits_is_recalled_and_no_young_one() {
        let recalls = Recalls::default();
        let all: Vec<_> = [0, 1_000, 2_000, 6_000].map(|at| recalls.add(Moment(at))).into();
        let mut cx = Context::from_waker(Waker::noop());
        for lease in &all[1..] {
            assert!(lease.poll_recalled(&mut cx).is_pending());
        }
        all[1].resume();
        assert!(!recalls.recall_oldest(Moment(6_999)));
        assert!(recalls.recall_oldest(Moment(7_000)));
        let recalled: Vec<_> =
            all.iter().map(|lease| lease.poll_recalled(&mut cx).is_ready()).collect();
        assert_eq!(recalled, [false, false, true, false]);
    }

    #[test]
    fn ended_recalls_are_cleared_away() {
        let recalls = Recalls::default();
        for n in 0..10_000 {
            drop(recalls.add(Moment(n)));
        }
        assert!(recalls.0.lock().unwrap().len() < 100);
    }
}
