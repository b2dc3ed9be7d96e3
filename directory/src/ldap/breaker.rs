//! Leaves a server alone that has failed several times in a row, for longer each time it goes on
//! failing. Who finds out whether it is back is left to `pool.rs`.

use relay::moment::Moment;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failures in a row after which a server is left alone.
const FAILURES_MAX: u32 = 3;
/// How long it is left alone at first, and at most, in milliseconds.
const WAIT_MS_MIN: u64 = 1_000;
const WAIT_MS_MAX: u64 = 30_000;

/// What is known of one server's failures.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// How long it is left alone; zero while it is not.
    wait_ms: u64,
    until: u64,
}

/// Whether to ask a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// As any other.
    Ask,
    /// It has been left alone for long enough: this one caller is to find out, without making
    /// anybody wait for it.
    FindOut,
    /// It is being left alone.
    Leave,
}

impl Breaker {
    /// Whether to ask now.
    pub fn turn(&self, now: Moment) -> Turn {
        let mut state = self.lock();
        if state.wait_ms == 0 {
            return Turn::Ask;
        }
        if now.0 < state.until {
            return Turn::Leave;
        }
        state.until = now.plus_milliseconds(state.wait_ms).0;
        Turn::FindOut
    }

    /// It has answered.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        if state.failures > 0 {
            *state = State::default();
        }
    }

    /// It has not.
    pub fn failed(&self, now: Moment) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        // Those who were on their way when it opened do not lengthen the wait.
        if state.failures >= FAILURES_MAX && (state.wait_ms == 0 || now.0 >= state.until) {
            state.wait_ms = (state.wait_ms * 2).clamp(WAIT_MS_MIN, WAIT_MS_MAX);
            state.until = now.plus_milliseconds(state.wait_ms).0;
        }
    }

    /// Somebody was sent to find out, in vain.
    pub fn found_down(&self, now: Moment) {
        let mut state = self.lock();
        state.wait_ms = (state.wait_ms * 2).clamp(WAIT_MS_MIN, WAIT_MS_MAX);
        state.until = now.plus_milliseconds(state.wait_ms).0;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_left_alone_after_three_failures_and_for_longer_each_time() {
        let breaker = Breaker::default();
        breaker.failed(Moment(0));
        breaker.failed(Moment(0));
        assert_eq!(breaker.turn(Moment(0)), Turn::Ask);
        breaker.failed(Moment(0));
        assert_eq!(breaker.turn(Moment(999)), Turn::Leave);
        assert_eq!(breaker.turn(Moment(1_000)), Turn::FindOut);
        breaker.found_down(Moment(1_000));
        assert_eq!(breaker.turn(Moment(2_999)), Turn::Leave);
        for _ in 0..10 {
            breaker.found_down(Moment(3_000));
        }
        assert_eq!(breaker.turn(Moment(33_000)), Turn::FindOut);
    }

    #[test]
    fn only_one_finds_out_and_success_forgets_everything() {
        let breaker = Breaker::default();
        (0..50).for_each(|_| breaker.failed(Moment(0)));
        assert_eq!(breaker.turn(Moment(1_000)), Turn::FindOut);
        assert_eq!(breaker.turn(Moment(1_000)), Turn::Leave);
        breaker.succeeded();
        assert_eq!(breaker.turn(Moment(1_000)), Turn::Ask);
        breaker.failed(Moment(1_000));
        assert_eq!(breaker.turn(Moment(1_000)), Turn::Ask);
    }
}
