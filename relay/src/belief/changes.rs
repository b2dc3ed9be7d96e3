//! Changes of class as they are told: the first at once, what follows it within seconds in one
//! event. A source of thousands of domains that goes down is one line of the log.

use super::class::Class;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

/// How long after a change was told further ones of its kind are gathered, in microseconds.
const GATHERED_MICROSECONDS_MAX: i64 = 10_000_000;
/// Domains that one event names; of the others it says how many there are.
const NAMED_DOMAINS_MAX: usize = 3;

/// From one class to another.
pub type Step = (Class, Class);

/// Those of one kind.
#[derive(Debug, Default)]
struct Gathered {
    /// When such a change was last told; never, at first.
    told_at: Option<i64>,
    /// The domains that have changed since, by their places, and the last reason.
    waiting: BTreeSet<usize>,
    why: String,
}

impl Gathered {
    fn is_due(&self, now: i64) -> bool {
        self.told_at.is_none_or(|at| now - at >= GATHERED_MICROSECONDS_MAX)
    }

    fn tell<D: Display>(&mut self, now: i64, step: Step, name: impl Fn(usize) -> D) -> String {
        self.told_at = Some(now);
        let places = std::mem::take(&mut self.waiting);
        let named: Vec<String> =
            places.iter().take(NAMED_DOMAINS_MAX).map(|&place| name(place).to_string()).collect();
        let (named, count) = (named.join(", "), places.len());
        let who = match count {
            1 => named,
            ..=NAMED_DOMAINS_MAX => format!("{count} domains ({named})"),
            _ => format!("{count} domains ({named}, …)"),
        };
        format!("{who}: {} -> {}: {}", step.0.word(), step.1.word(), self.why)
    }
}

/// What has changed at one source and was not told yet, by kind.
#[derive(Debug, Default)]
pub struct Changes(HashMap<Step, Gathered>);

impl Changes {
    /// These domains have changed, `now` in microseconds; gives what is to be told at once.
    pub fn took_place<D: Display>(
        &mut self,
        now: i64,
        step: Step,
        mut places: BTreeSet<usize>,
        why: &str,
        name: impl Fn(usize) -> D,
    ) -> Option<String> {
        // Who is back before it was told is where everybody believes him.
        if let Some(back) = self.0.get_mut(&(step.1, step.0)) {
            places.retain(|place| !back.waiting.remove(place));
        }
        if places.is_empty() {
            return None;
        }
        let gathered = self.0.entry(step).or_default();
        gathered.waiting.extend(places);
        why.clone_into(&mut gathered.why);
        gathered.is_due(now).then(|| gathered.tell(now, step, name))
    }

    /// What has been gathered for long enough.
    pub fn due<D: Display>(&mut self, now: i64, name: impl Fn(usize) -> D) -> Vec<String> {
        let due = self.0.iter_mut().filter(|(_, g)| !g.waiting.is_empty() && g.is_due(now));
        due.map(|(step, gathered)| gathered.tell(now, *step, &name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Step = (Class::Honest, Class::Down);

    fn name(place: usize) -> String {
        format!("d{place}.test")
    }

    #[test]
    fn the_first_change_is_told_at_once_and_those_behind_it_together() {
        let mut changes = Changes::default();
        let told = changes.took_place(0, DOWN, [7].into(), "why", name);
        assert_eq!(told.as_deref(), Some("d7.test: honest -> down: why"));
        for place in 0..1_000 {
            assert_eq!(changes.took_place(1, DOWN, [place].into(), "again", name), None);
        }
        assert!(changes.due(GATHERED_MICROSECONDS_MAX - 1, name).is_empty());
        let told = changes.due(GATHERED_MICROSECONDS_MAX, name);
        let all = "1000 domains (d0.test, d1.test, d2.test, …): honest -> down: again";
        assert_eq!(told, [all]);
        assert!(changes.due(i64::MAX, name).is_empty(), "nothing is told twice");
    }

    #[test]
    fn another_kind_of_change_does_not_wait() {
        let mut changes = Changes::default();
        assert!(changes.took_place(0, DOWN, [0].into(), "why", name).is_some());
        let told = changes.took_place(1, (DOWN.1, DOWN.0), [0, 1].into(), "why", name);
        assert_eq!(told.as_deref(), Some("2 domains (d0.test, d1.test): down -> honest: why"));
    }

    #[test]
    fn who_is_back_before_it_was_told_is_not_told_of() {
        let up = (DOWN.1, DOWN.0);
        let mut changes = Changes::default();
        for (now, step) in [(0, DOWN), (1, up)] {
            assert!(changes.took_place(now, step, [0].into(), "why", name).is_some());
        }
        for (now, step) in [(2, DOWN), (3, up)] {
            assert_eq!(changes.took_place(now, step, [0].into(), "why", name), None);
        }
        assert!(changes.due(i64::MAX, name).is_empty(), "the last word was that it is up");
    }
}
