//! Leaves a server alone that has failed several times in a row, and lets one caller at a time
//! find out whether it is back. Which failures count, and who is told, is left to whoever asks.

use crate::moment::Moment;

/// What bounds a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Failures in a row after which the server is left alone; at least 1.
    pub failures_max: u32,
    /// How long it is left alone at first. Each trial in vain doubles that.
    pub wait_milliseconds_min: u64,
    /// How long it is left alone at most.
    pub wait_milliseconds_max: u64,
}

impl Bounds {
    /// As long after each trial as at first.
    #[must_use]
    pub fn steady(failures_max: u32, wait_milliseconds: u64) -> Self {
        Self {
            failures_max,
            wait_milliseconds_min: wait_milliseconds,
            wait_milliseconds_max: wait_milliseconds,
        }
    }
}

/// What is known of one server's failures.
#[derive(Debug)]
pub struct Breaker {
    bounds: Bounds,
    state: State,
}

/// ```text
/// Closed ──failures──► Open ──wait is over──► Trial
///    ▲                  ▲                       │
///    └──any success─────┴──failure, or no word──┘
/// ```
#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Moment,
        wait_milliseconds: u64,
    },
    /// Somebody was sent to find out. When nothing was heard by then, another one is sent.
    Trial {
        until: Moment,
        wait_milliseconds: u64,
    },
}

/// Whether to ask a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// As any other.
    Ask,
    /// It was left alone for long enough: this one caller finds out whether it is back.
    Trial,
    /// It is left alone.
    Leave,
}

/// What a success or failure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing worth telling.
    None,
    /// It is left alone from now on.
    Down,
    /// It works again.
    Up,
}

impl Breaker {
    /// Nothing is known of the server yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, state: State::Closed { failures: 0 } }
    }

    /// Whether to ask now.
    pub fn permit(&mut self, now: Moment) -> Permit {
        match self.state {
            State::Closed { .. } => Permit::Ask,
            State::Open { until, .. } | State::Trial { until, .. } if now < until => Permit::Leave,
            State::Open { wait_milliseconds, .. } | State::Trial { wait_milliseconds, .. } => {
                let until = now.plus_milliseconds(wait_milliseconds);
                self.state = State::Trial { until, wait_milliseconds };
                Permit::Trial
            }
        }
    }

    /// It has answered.
    pub fn succeeded(&mut self) -> Change {
        let was_down = self.is_down();
        self.state = State::Closed { failures: 0 };
        if was_down { Change::Up } else { Change::None }
    }

    /// It has not. Those who were on their way when it was given up do not lengthen the wait.
    pub fn failed(&mut self, now: Moment) -> Change {
        let Bounds { failures_max, wait_milliseconds_min, wait_milliseconds_max } = self.bounds;
        let (change, wait_milliseconds) = match self.state {
            State::Closed { failures } if failures.saturating_add(1) < failures_max => {
                self.state = State::Closed { failures: failures + 1 };
                return Change::None;
            }
            State::Closed { .. } => (Change::Down, wait_milliseconds_min),
            State::Open { until, .. } if now < until => return Change::None,
            State::Open { wait_milliseconds, .. } | State::Trial { wait_milliseconds, .. } => {
                (Change::None, wait_milliseconds.saturating_mul(2).min(wait_milliseconds_max))
            }
        };
        let until = now.plus_milliseconds(wait_milliseconds);
        self.state = State::Open { until, wait_milliseconds };
        change
    }

    /// Whether it is left alone, or on trial.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWING: Bounds =
        Bounds { failures_max: 3, wait_milliseconds_min: 1_000, wait_milliseconds_max: 30_000 };

    fn down(bounds: Bounds) -> Breaker {
        let mut breaker = Breaker::new(bounds);
        for n in 1..=bounds.failures_max {
            assert_eq!(breaker.permit(Moment(0)), Permit::Ask);
            let last = n == bounds.failures_max;
            assert_eq!(breaker.failed(Moment(0)) == Change::Down, last, "failure {n}");
        }
        breaker
    }

    #[test]
    fn a_server_is_left_alone_after_failures_and_tried_by_one_at_a_time() {
        let mut breaker = down(Bounds::steady(3, 1_000));
        assert_eq!(breaker.permit(Moment(999)), Permit::Leave);
        assert_eq!(breaker.permit(Moment(1_000)), Permit::Trial);
        assert_eq!(breaker.permit(Moment(1_000)), Permit::Leave);
        assert_eq!(breaker.failed(Moment(1_500)), Change::None);
        assert_eq!(breaker.permit(Moment(2_499)), Permit::Leave);
        assert_eq!(breaker.permit(Moment(2_500)), Permit::Trial);
        assert_eq!(breaker.succeeded(), Change::Up);
        assert_eq!((breaker.permit(Moment(2_500)), breaker.is_down()), (Permit::Ask, false));
    }

    #[test]
    fn each_trial_in_vain_doubles_the_wait_up_to_its_limit() {
        let mut breaker = down(GROWING);
        let mut now = 0;
        for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(breaker.permit(Moment(now + wait - 1)), Permit::Leave, "{wait}");
            now += wait;
            assert_eq!(breaker.permit(Moment(now)), Permit::Trial, "{wait}");
            breaker.failed(Moment(now));
        }
    }

    #[test]
    fn those_who_were_on_their_way_do_not_lengthen_the_wait() {
        let mut breaker = down(GROWING);
        (0..50).for_each(|n| assert_eq!(breaker.failed(Moment(n)), Change::None));
        assert_eq!(breaker.permit(Moment(1_000)), Permit::Trial);
    }

    #[test]
    fn who_was_sent_to_find_out_and_never_comes_back_is_followed_by_another() {
        let mut breaker = down(GROWING);
        assert_eq!(breaker.permit(Moment(1_000)), Permit::Trial);
        assert_eq!(breaker.permit(Moment(1_999)), Permit::Leave);
        assert_eq!(breaker.permit(Moment(2_000)), Permit::Trial);
    }

    #[test]
    fn success_forgets_everything() {
        let mut breaker = down(GROWING);
        assert_eq!((breaker.succeeded(), breaker.succeeded()), (Change::Up, Change::None));
        breaker.failed(Moment(1));
        breaker.failed(Moment(1));
        assert_eq!(breaker.permit(Moment(1)), Permit::Ask);
        assert_eq!(breaker.failed(Moment(1)), Change::Down);
        assert_eq!(breaker.permit(Moment(1_001)), Permit::Trial, "the wait is short again");
    }
}
