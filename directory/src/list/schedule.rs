//! When a list that does not tell of its changes is read again: so long after the last reading,
//! or sooner after one that failed. For listers that ask a server.

use super::{LoadError, Version};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A period, and where in it the list is. All times in nanoseconds since 1970.
#[derive(Debug)]
pub struct Schedule {
    every: i64,
    retry: i64,
    state: Mutex<State>,
}

/// Nothing when it is due at once.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When it was last read or tried.
    last: Option<i64>,
    failed: bool,
}

impl Schedule {
    /// Due at once, then `every` so often, and `retry` after a failure.
    #[must_use]
    pub fn new(every: Duration, retry: Duration) -> Self {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (every, retry) = (nanoseconds(every), nanoseconds(retry.min(every)));
        Self { every, retry, state: Mutex::default() }
    }

    /// Goes on from a list that was kept; whether it is young enough to be used unread.
    pub fn resume(&self, kept: &Version, now: i64) -> bool {
        self.set(State { last: Some(kept.modified_nanoseconds), failed: false });
        !self.is_due(now)
    }

    /// Whether the time has come. A clock that was set back makes it due, not silent for long.
    #[must_use]
    pub fn is_due(&self, now: i64) -> bool {
        let State { last, failed } = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let period = if failed { self.retry } else { self.every };
        last.is_none_or(|last| now < last || now.saturating_sub(last) >= period)
    }

    /// Notes that it was read or tried.
    pub fn took(&self, read: Result<&Version, &LoadError>, now: i64) {
        self.set(State { last: Some(now), failed: read.is_err() });
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Failing;

    #[test]
    fn a_list_is_read_at_once_then_by_its_period_and_sooner_after_a_failure() {
        let schedule = Schedule::new(Duration::from_nanos(100), Duration::from_nanos(10));
        assert!(schedule.is_due(1_000));
        schedule.took(Ok(&Version::default()), 1_000);
        assert!(!schedule.is_due(1_099) && schedule.is_due(1_100));
        let source = Box::new(std::io::Error::other("refused"));
        schedule.took(Err(&LoadError::Elsewhere { failing: Failing::Connection, source }), 1_100);
        assert!(!schedule.is_due(1_109) && schedule.is_due(1_110));
        assert!(schedule.is_due(500), "the clock was set back");
    }

    #[test]
    fn a_list_that_was_kept_goes_on_in_its_period() {
        let schedule = Schedule::new(Duration::from_nanos(100), Duration::from_nanos(10));
        let kept = Version { modified_nanoseconds: 1_000, token: "".into() };
        assert!(schedule.resume(&kept, 1_050));
        assert!(!schedule.is_due(1_099) && schedule.is_due(1_100));
        assert!(!schedule.resume(&kept, 1_200));
    }
}
