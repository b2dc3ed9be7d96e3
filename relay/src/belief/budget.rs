//! How often one host hears a name that nobody has, whoever tries it and for which domain: hosts
//! ban clients that ask for many (fail2ban after ten, by its default of five and more). Whoever
//! wants to try the host takes turns with the others who do.

use std::collections::{HashMap, VecDeque};

/// Names that may follow one another at once, before they are spread.
const AT_ONCE_MAX: u32 = 4;
/// The time between two of the others, in microseconds: two an hour.
const BETWEEN_MICROSECONDS: i64 = 1_800_000_000;
/// The longest time between two, in microseconds, where the host answered by hanging up.
const BETWEEN_MICROSECONDS_MAX: i64 = 86_400_000_000;
/// Whoever has not asked for a turn for so long has none, in microseconds.
const PATIENCE_MICROSECONDS: i64 = 300_000_000;
/// A name that was put off holds back others for so long, in microseconds: within it the same name
/// is asked for again.
const PUT_OFF_MICROSECONDS: i64 = 900_000_000;
/// Who wait for a turn; others wait outside, and are in when there is room.
const WAITING_MAX: usize = 65_536;

/// Who tries the host: a source for one of its domains, as a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trier(pub u64);

/// How the host answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// By a reply.
    Reply,
    /// By a reply that puts it off: the same name will be asked for again.
    PutOff,
    /// By hanging up, or not at all.
    Nothing,
}

/// A turn that was taken.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    trier: Trier,
    at: i64,
    /// `heard` and `last` before it.
    before: (u32, i64),
    /// The same name as before.
    is_again: bool,
}

/// The turns of one host.
#[derive(Debug)]
pub struct TrialBudget {
    /// Names that it has heard, up to [`AT_ONCE_MAX`].
    heard: u32,
    last: i64,
    /// How often in a row it has answered by hanging up.
    hung_up: u32,
    put_off: Option<(Trier, i64)>,
    waiting: VecDeque<Trier>,
    /// When each of those who wait last asked for a turn.
    asked: HashMap<Trier, i64>,
}

impl Default for TrialBudget {
    fn default() -> Self {
        Self {
            heard: 0,
            last: i64::MIN,
            hung_up: 0,
            put_off: None,
            waiting: VecDeque::new(),
            asked: HashMap::new(),
        }
    }
}

impl TrialBudget {
    /// A turn, if it is this one's; `now` in microseconds. What comes of it is told by
    /// [`Self::heard`] or [`Self::unheard`].
    pub fn take(&mut self, trier: Trier, now: i64) -> Option<Turn> {
        let turn = Turn { trier, at: now, before: (self.heard, self.last), is_again: false };
        if self.put_off.is_some_and(|(whose, _)| whose == trier) {
            return Some(Turn { is_again: true, ..turn });
        }
        self.wait(trier, now);
        if self.next() > now || self.waiting.front() != Some(&trier) {
            return None;
        }
        self.waiting.pop_front();
        self.asked.remove(&trier);
        self.heard = (self.heard + 1).min(AT_ONCE_MAX);
        self.last = now;
        Some(turn)
    }

    /// The host was asked.
    pub fn heard(&mut self, turn: &Turn, heard: Heard, now: i64) {
        let was_put_off = self.put_off.take_if(|(whose, _)| *whose == turn.trier).is_some();
        match heard {
            Heard::Reply => self.hung_up = 0,
            Heard::PutOff => self.put_off = Some((turn.trier, now)),
            Heard::Nothing => self.hung_up = self.hung_up.saturating_add(1),
        }
        if was_put_off {
            self.last = self.last.max(now);
        }
    }

    /// It could not be: nobody has heard the name.
    pub fn unheard(&mut self, turn: &Turn) {
        if turn.is_again || self.last != turn.at {
            return;
        }
        (self.heard, self.last) = turn.before;
    }

    /// When the next turn is, in microseconds.
    #[must_use]
    pub fn next(&self) -> i64 {
        let held_back = self.put_off.map(|(_, at)| at.saturating_add(PUT_OFF_MICROSECONDS));
        let spread = match (self.hung_up, self.heard) {
            (0, ..AT_ONCE_MAX) => i64::MIN,
            (0, _) => self.last.saturating_add(BETWEEN_MICROSECONDS),
            (times, _) => {
                let longer = BETWEEN_MICROSECONDS << times.min(8);
                self.last.saturating_add(longer.min(BETWEEN_MICROSECONDS_MAX))
            }
        };
        held_back.map_or(spread, |held_back| held_back.max(spread))
    }

    /// In the order in which they came, without those who have gone away.
    fn wait(&mut self, trier: Trier, now: i64) {
        let has_room = self.asked.len() < WAITING_MAX || self.asked.contains_key(&trier);
        if has_room && self.asked.insert(trier, now).is_none() {
            self.waiting.push_back(trier);
        }
        while let Some(first) = self.waiting.front() {
            let asked = self.asked.get(first).copied();
            if asked.is_some_and(|asked| now.saturating_sub(asked) < PATIENCE_MICROSECONDS) {
                return;
            }
            self.asked.remove(first);
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;

    /// All want a turn every five seconds; who had one, and when.
    fn turns(
        budget: &mut TrialBudget,
        triers: u64,
        times: std::ops::Range<i64>,
        heard: Heard,
    ) -> Vec<(u64, i64)> {
        let mut taken = Vec::new();
        for now in times.step_by(5 * SECOND as usize) {
            for trier in 0..triers {
                if let Some(turn) = budget.take(Trier(trier), now) {
                    budget.heard(&turn, heard, now);
                    taken.push((trier, now));
                }
            }
        }
        taken
    }

    #[test]
    fn thirty_domains_of_a_host_cost_it_four_names_at_once_and_two_an_hour() {
        let mut budget = TrialBudget::default();
        let taken = turns(&mut budget, 30, 0..24 * HOUR, Heard::Reply);
        let within = |end| taken.iter().filter(|(_, at)| *at < end).count();
        assert_eq!((within(60 * SECOND), within(HOUR), within(24 * HOUR)), (4, 5, 51));
        let order: Vec<u64> = taken.iter().map(|(trier, _)| *trier).collect();
        let in_turn: Vec<u64> = (0..30).chain(0..21).collect();
        assert_eq!(order, in_turn, "each before anybody a second time");
    }

    #[test]
    fn a_host_that_hangs_up_is_asked_ever_more_rarely_until_it_answers() {
        let mut budget = TrialBudget::default();
        let taken = turns(&mut budget, 30, 0..96 * HOUR, Heard::Nothing);
        let hours: Vec<i64> = taken.iter().map(|(_, at)| at / HOUR).collect();
        assert_eq!(hours, [0, 1, 3, 7, 15, 31, 55, 79]);
        let now = taken.last().unwrap().1 + 24 * HOUR;
        let taken = turns(&mut budget, 30, now..now + 2 * HOUR, Heard::Reply);
        assert_eq!(taken.len(), 4);
    }

    #[test]
    fn while_a_name_is_put_off_the_same_may_be_asked_for_and_no_other() {
        let mut budget = TrialBudget::default();
        let taken = turns(&mut budget, 4, 0..HOUR, Heard::PutOff);
        assert!(taken.iter().all(|(trier, _)| *trier == 0), "{taken:?}");
        let turn = budget.take(Trier(0), HOUR).unwrap();
        budget.heard(&turn, Heard::Reply, HOUR);
        assert!(budget.take(Trier(1), HOUR).is_some());
    }

    #[test]
    fn whoever_put_off_does_not_come_back_holds_up_nobody_for_long() {
        let mut budget = TrialBudget::default();
        let turn = budget.take(Trier(0), 0).unwrap();
        budget.heard(&turn, Heard::PutOff, 0);
        assert!(budget.take(Trier(1), PUT_OFF_MICROSECONDS - 1).is_none());
        assert!(budget.take(Trier(1), PUT_OFF_MICROSECONDS).is_some());
    }

    #[test]
    fn whoever_went_away_loses_the_turn() {
        let mut budget = TrialBudget::default();
        turns(&mut budget, 4, 0..1, Heard::Reply);
        assert!(budget.take(Trier(7), 1).is_none());
        let later = BETWEEN_MICROSECONDS + SECOND;
        assert!(budget.take(Trier(8), later).is_some(), "7 did not ask again");
    }

    #[test]
    fn what_nobody_heard_costs_nothing() {
        let mut budget = TrialBudget::default();
        for now in 0..100 {
            let turn = budget.take(Trier(0), now * SECOND).unwrap();
            budget.unheard(&turn);
        }
        assert_eq!(turns(&mut budget, 9, 0..60 * SECOND, Heard::Reply).len(), 4);
        let turn = budget.take(Trier(4), HOUR).unwrap();
        budget.unheard(&turn);
        assert!(budget.take(Trier(5), HOUR).is_some(), "it is free again");
    }

    proptest! {
        #[test]
        fn no_hour_has_more_than_six_new_names(
            claims in prop::collection::vec((0..6_u64, 0..900_i64, 0..4_u8), 1..300),
        ) {
            let mut budget = TrialBudget::default();
            let (mut now, mut heard) = (0, Vec::new());
            for (trier, wait, end) in claims {
                now += wait * SECOND;
                let Some(turn) = budget.take(Trier(trier), now) else { continue };
                if !turn.is_again && end != 3 {
                    heard.push(now);
                }
                match end {
                    0 => budget.heard(&turn, Heard::Reply, now),
                    1 => budget.heard(&turn, Heard::PutOff, now),
                    2 => budget.heard(&turn, Heard::Nothing, now),
                    _ => budget.unheard(&turn),
                }
            }
            for (n, first) in heard.iter().enumerate() {
                let hour = heard[n..].iter().filter(|at| *at - first < HOUR).count();
                prop_assert!(hour <= 6, "{heard:?}");
            }
        }
    }
}
