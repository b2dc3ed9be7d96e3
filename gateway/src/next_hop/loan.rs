//! A lease whose client keeps it waiting is a loan, and can be called back when others stand in
//! line: clients that trickle their content must not keep everybody else from the next hop.

use relay::moment::Moment;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Younger loans are left alone: most clients need less from RCPT to the final dot.
const AGE_MILLISECONDS_MIN: u64 = 5_000;

/// One lease's loan.
#[derive(Debug)]
pub struct Loan {
    since: Moment,
    recalled: AtomicBool,
    /// There while the client is waited for.
    waiting: Mutex<Option<Waker>>,
}

/// The loans of one next hop, oldest first; those that ended are cleared away now and then.
#[derive(Debug, Default)]
pub struct Loans(Mutex<Vec<Weak<Loan>>>);

impl Loan {
    /// For a session that waits for its client: ready when the loan is called back.
    pub fn poll_recalled(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.lock_waiting() = Some(cx.waker().clone());
        if self.recalled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The client has spoken: from now on it is not the one who keeps the lease.
    pub fn resume(&self) {
        *self.lock_waiting() = None;
    }

    /// False when it is not the client who keeps it.
    fn recall(&self) -> bool {
        let Some(waker) = self.lock_waiting().take() else { return false };
        self.recalled.store(true, Ordering::Release);
        waker.wake();
        true
    }

    fn lock_waiting(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loans {
    /// A new one.
    pub fn add(&self, now: Moment) -> Arc<Loan> {
        let loan = Loan { since: now, recalled: AtomicBool::default(), waiting: Mutex::default() };
        let loan = Arc::new(loan);
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() == list.capacity() {
            list.retain(|known| known.strong_count() > 0);
            let room = list.len() + 8;
            list.reserve(room);
        }
        list.push(Arc::downgrade(&loan));
        loan
    }

    /// Calls back the oldest one whose client keeps it waiting, and says whether there was one.
    pub fn recall_oldest(&self, now: Moment) -> bool {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = list
            .iter()
            .filter_map(Weak::upgrade)
            .take_while(|loan| now.milliseconds_since(loan.since) >= AGE_MILLISECONDS_MIN);
        old.any(|loan| loan.recall())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_waits_for_its_client_is_called_back_and_no_young_one() {
        let loans = Loans::default();
        let all: Vec<_> = [0, 1_000, 2_000, 6_000].map(|at| loans.add(Moment(at))).into();
        let mut cx = Context::from_waker(Waker::noop());
        for loan in &all[1..] {
            assert!(loan.poll_recalled(&mut cx).is_pending());
        }
        all[1].resume();
        assert!(!loans.recall_oldest(Moment(6_999)));
        assert!(loans.recall_oldest(Moment(7_000)));
        let recalled: Vec<_> =
            all.iter().map(|loan| loan.poll_recalled(&mut cx).is_ready()).collect();
        assert_eq!(recalled, [false, false, true, false]);
    }

    #[test]
    fn ended_loans_are_cleared_away() {
        let loans = Loans::default();
        for n in 0..10_000 {
            drop(loans.add(Moment(n)));
        }
        assert!(loans.0.lock().unwrap().len() < 100);
    }
}
