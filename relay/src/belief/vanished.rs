//! People whom a source knew and does not know any more: how many they are, and whether that is
//! too many to be believed. Each counts once, and no longer than they are gone.

use std::collections::HashMap;

/// They are counted over seven days, in microseconds.
const COUNTED_MICROSECONDS_MAX: i64 = 7 * 86_400_000_000;
/// So many must have vanished before their share is looked at.
const VANISHED_MIN: usize = 20;
/// Vanished people that are counted: a fifth of them and of as many as are ever remembered.
const VANISHED_MAX: usize = 30_000;
/// How long a count of those who are still known serves, in microseconds.
const KNOWN_COUNTED_AGAIN: i64 = 1_000_000;

/// Those of one domain.
#[derive(Debug, Default)]
pub struct Vanished {
    /// By the keys of their addresses, with the time.
    people: HashMap<u64, i64>,
    /// How many are still known, and when they were counted.
    known: Option<(usize, i64)>,
}

impl Vanished {
    /// Somebody who was there is gone. `known` counts those who are still there, which may take
    /// a while. Whether he counts since now.
    pub fn left(&mut self, key: u64, now: i64, known: impl FnOnce() -> usize) -> bool {
        self.people.retain(|_, at| now - *at <= COUNTED_MICROSECONDS_MAX);
        let before = self.people.len();
        if before < VANISHED_MAX {
            self.people.entry(key).or_insert(now);
        }
        let is_counted = self.known.is_some_and(|(_, at)| now - at < KNOWN_COUNTED_AGAIN);
        if self.people.len() >= VANISHED_MIN && !is_counted {
            self.known = Some((known(), now));
        }
        self.people.len() > before
    }

    /// Those who left before a restart, with the seconds since then. `known` counts those who
    /// are still there and none of these keys.
    pub fn take(
        &mut self,
        people: impl IntoIterator<Item = (u64, i64)>,
        now: i64,
        known: impl FnOnce(&[u64]) -> usize,
    ) {
        let people = people.into_iter().map(|(key, ago)| (key, now - ago * 1_000_000));
        let counts = |(_, at): &(u64, i64)| now - *at <= COUNTED_MICROSECONDS_MAX;
        self.people.extend(people.filter(counts).take(VANISHED_MAX));
        if self.people.len() >= VANISHED_MIN {
            let keys: Vec<u64> = self.people.keys().copied().collect();
            self.known = Some((known(&keys), now));
        }
    }

    /// Somebody is there again. Whether he counted as gone.
    pub fn is_back(&mut self, key: u64) -> bool {
        self.people.remove(&key).is_some()
    }

    /// More than a fifth of those who were known are gone: how many, against how many.
    pub fn too_many(&self, now: i64) -> Option<(usize, usize)> {
        if self.people.len() < VANISHED_MIN {
            return None;
        }
        let counts = |at: &&i64| now - **at <= COUNTED_MICROSECONDS_MAX;
        let (vanished, known) = (self.people.values().filter(counts).count(), self.known?.0);
        (vanished >= VANISHED_MIN && vanished * 5 > known + vanished).then_some((vanished, known))
    }

    /// They have left, as a person says.
    pub fn clear(&mut self) {
        self.people.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(people: u64, known: usize) -> Vanished {
        let mut vanished = Vanished::default();
        for key in 0..people {
            vanished.left(key, 0, || known);
        }
        vanished
    }

    #[test]
    fn a_fifth_of_all_may_leave_within_a_week_and_no_more() {
        assert_eq!(with(19, 0).too_many(0), None);
        assert_eq!(with(20, 80).too_many(0), None);
        assert_eq!(with(21, 79).too_many(0), Some((21, 79)));
        let week = COUNTED_MICROSECONDS_MAX;
        assert_eq!(with(21, 79).too_many(week), Some((21, 79)));
        assert_eq!(with(21, 79).too_many(week + 1), None, "also when nobody left since");
        let mut vanished = with(21, 79);
        vanished.left(100, COUNTED_MICROSECONDS_MAX + 1, || 79);
        assert_eq!(
            vanished.too_many(COUNTED_MICROSECONDS_MAX + 1),
            None,
            "those of last week are not counted"
        );
    }

    #[test]
    fn whoever_is_gone_counts_once_and_not_any_more_when_he_is_back() {
        let mut vanished = with(20, 30);
        assert!(!vanished.left(0, 1, || 30));
        assert_eq!(vanished.too_many(0), Some((20, 30)));
        vanished.is_back(0);
        assert_eq!(vanished.too_many(0), None);
    }

    #[test]
    fn those_of_before_a_restart_count_as_long_as_they_would_have() {
        let week = COUNTED_MICROSECONDS_MAX / 1_000_000;
        let mut vanished = Vanished::default();
        vanished.take((0..21).map(|key| (key, week)), 0, |keys| 100 - keys.len());
        assert_eq!(vanished.too_many(0), Some((21, 79)));
        vanished.left(30, 1, || 79);
        assert_eq!(vanished.people.len(), 1, "their week is over");
    }

    #[test]
    fn no_more_are_counted_than_the_limit() {
        assert_eq!(with(VANISHED_MAX as u64 + 5, 9).people.len(), VANISHED_MAX);
    }
}
