//! How fast one host may be asked, and how slowly it answers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many questions in any one second, exactly: the moments of the last ones are kept.
#[derive(Debug)]
pub(super) struct Rate {
    last: VecDeque<Instant>,
    questions_per_second_max: usize,
}

impl Rate {
    pub(super) fn new(questions_per_second_max: u32) -> Self {
        Self {
            last: VecDeque::new(),
            questions_per_second_max: usize::try_from(questions_per_second_max)
                .unwrap_or(usize::MAX)
                .max(1),
        }
    }

    /// When the next question may be asked; nothing is noted when that is after `until`.
    pub(super) fn next(&mut self, now: Instant, until: Instant) -> Option<Instant> {
        let is_full = self.last.len() >= self.questions_per_second_max;
        let free = self.last.front().filter(|_| is_full).map(|oldest| *oldest + SECOND);
        let at = free.map_or(now, |free| free.max(now));
        if at > until {
            return None;
        }
        if is_full {
            self.last.pop_front();
        }
        self.last.push_back(at);
        Some(at)
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A reply to RCPT that takes this long was held back, or comes from a server in distress.
const HELD_BACK: Duration = Duration::from_secs(2);

/// Replies that are kept in mind.
const REPLIES_MAX: usize = 8;

/// Of fewer replies nothing is concluded.
const REPLIES_MIN: usize = 4;

/// How long the last replies to RCPT took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    held_back: VecDeque<bool>,
}

impl Pace {
    /// Notes how long one took, or was waited for in vain.
    pub(super) fn note(&mut self, took: Duration) {
        if self.held_back.len() == REPLIES_MAX {
            self.held_back.pop_front();
        }
        self.held_back.push_back(took >= HELD_BACK);
    }

    /// Whether at least half of the last replies took two seconds or more.
    pub(super) fn tarpits(&self) -> bool {
        let held_back = self.held_back.iter().filter(|held_back| **held_back).count();
        self.held_back.len() >= REPLIES_MIN && 2 * held_back >= self.held_back.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_questions_than_the_limit() {
        let start = Instant::now();
        let until = start + Duration::from_secs(8);
        let mut rate = Rate::new(20);
        let asked: Vec<Instant> = std::iter::from_fn(|| rate.next(start, until)).collect();
        assert_eq!(asked.len(), 9 * 20, "at once, and after each of eight seconds");
        for window in asked.windows(21) {
            assert!(window[20] - window[0] >= SECOND);
        }
        assert!(rate.next(until, until).is_none());
        assert_eq!(rate.next(until + SECOND, until + SECOND), Some(until + SECOND));
    }

    #[test]
    fn one_slow_reply_is_no_tarpit_and_half_of_them_are() {
        let mut pace = Pace::default();
        let (fast, slow) = (Duration::from_millis(30), Duration::from_secs(5));
        for _ in 0..3 {
            pace.note(slow);
        }
        assert!(!pace.tarpits(), "three are too few to say");
        pace.note(slow);
        assert!(pace.tarpits());
        for _ in 0..5 {
            pace.note(fast);
        }
        assert!(!pace.tarpits(), "three of eight");
        pace.note(slow);
        assert!(!pace.tarpits(), "still three of eight: the oldest was forgotten");
    }
}
