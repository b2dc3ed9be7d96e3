//! What must hold of belief whatever a source does, and in whatever order: a source that is right,
//! emptied, gone, or says yes to anybody, and people who come and go, against one who asks as the
//! edge does.

use super::*;
use crate::belief::silence::Silence;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// How a source behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Right,
    Empty,
    YesToAll,
    Down,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Mood(Mood),
    Ask(u8),
    Joins(u8),
    Leaves(u8),
    /// So many microseconds pass.
    Passes(i64),
    /// Whom it asks may have become somebody else.
    Epoch,
    Confirmed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Exists,
    Unknown,
    Unavailable,
}

fn mailbox(who: u8) -> Mailbox {
    Mailbox::parse(&format!("p{who}@example.test")).unwrap()
}

/// The source, and who asks it: as the edge does, without waiting.
struct World {
    credibility: Credibility,
    silence: Silence,
    whom: Whom,
    mood: Mood,
    people: BTreeSet<u8>,
    /// Who was found, and not told to have left since.
    found: BTreeSet<u8>,
    /// When, and of whom, it last did not say yes to an invented name.
    right: Option<(u64, i64)>,
    now: i64,
}

const PATIENCE: i64 = 10_000;
const CANARY: u8 = 200;

impl World {
    fn new(people: impl IntoIterator<Item = u8>, has_canary: bool) -> Self {
        let mut people: BTreeSet<u8> = people.into_iter().collect();
        people.extend(has_canary.then_some(CANARY));
        Self {
            credibility: Credibility::new("test".into(), has_canary.then(|| mailbox(CANARY))),
            silence: Silence::default(),
            whom: Whom { epoch: 0, has_answered: false },
            mood: Mood::Right,
            people,
            found: BTreeSet::new(),
            right: None,
            now: 0,
        }
    }

    /// Nothing when it gives no answer. Nobody is an invented name.
    fn says(&mut self, who: Option<u8>) -> Option<bool> {
        self.now += 1;
        let said = match self.mood {
            Mood::Down => {
                if self.silence.trouble() {
                    self.credibility.silent(true, "down");
                }
                return None;
            }
            Mood::Right => who.is_some_and(|who| self.people.contains(&who)),
            Mood::Empty => false,
            Mood::YesToAll => true,
        };
        self.whom.has_answered = true;
        if self.silence.answer() {
            self.credibility.silent(false, "it answers");
        }
        Some(said)
    }

    fn ask(&mut self, who: u8) -> Heard {
        let asked = self.now;
        match self.says(Some(who)) {
            None => Heard::Unavailable,
            Some(true) => self.yes(who, asked),
            Some(false) => self.no(who),
        }
    }

    fn yes(&mut self, who: u8, asked: i64) -> Heard {
        if self.credibility.needs_test(self.whom, self.now) {
            let Some(accepts) = self.says(None) else { return Heard::Unavailable };
            let (epoch, now) = (self.whom.epoch, self.now);
            self.right = (!accepts).then_some((epoch, now));
            self.credibility.tested(epoch, now, accepts);
            self.credibility.shown(accepts, Behaviour::default(), "tested");
        }
        let of = Named { mailbox: &mailbox(who), key: u64::from(who) };
        if self.credibility.yes(of, asked, self.now).is_err() {
            return Heard::Unavailable;
        }
        self.found.insert(who);
        Heard::Exists
    }

    fn no(&mut self, who: u8) -> Heard {
        let (answered, was_found) = (self.now, self.found.contains(&who));
        if self.credibility.needs_vouching(answered, was_found, PATIENCE) {
            let Ok(must_know) = self.credibility.must_know() else { return Heard::Unavailable };
            let mut knows = false;
            for somebody in must_know {
                let asked = self.now;
                let name = somebody.local_part.as_str()[1..].parse().ok();
                let Some(said) = self.says(name) else { return Heard::Unavailable };
                if said {
                    knows = true;
                    self.credibility.knows(asked, self.now);
                    break;
                }
            }
            if !knows {
                self.credibility.knows_nobody();
                return Heard::Unavailable;
            }
        }
        let others = self.found.len().saturating_sub(1);
        let judged = self.credibility.no(u64::from(who), self.now, was_found.then_some(|| others));
        if judged.doubt.is_some() {
            return Heard::Unavailable;
        }
        self.found.remove(&who);
        Heard::Unknown
    }

    /// What is heard, where somebody asks.
    fn happens(&mut self, happening: Happening) -> Option<(u8, Heard)> {
        match happening {
            Happening::Mood(mood) => self.mood = mood,
            Happening::Ask(who) => return Some((who, self.ask(who))),
            Happening::Joins(who) => drop(self.people.insert(who)),
            Happening::Leaves(who) => drop(self.people.remove(&who)),
            Happening::Passes(time) => self.now += time,
            Happening::Epoch => self.whom.epoch += 1,
            Happening::Confirmed => drop(self.credibility.confirmed()),
        }
        None
    }
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => Just(Mood::Right),
        2 => Just(Mood::Empty),
        1 => Just(Mood::YesToAll),
        1 => Just(Mood::Down),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let who = 0..40_u8;
    prop_oneof![
        2 => mood().prop_map(Happening::Mood),
        12 => who.clone().prop_map(Happening::Ask),
        1 => who.clone().prop_map(Happening::Joins),
        2 => who.prop_map(Happening::Leaves),
        1 => prop_oneof![Just(1), Just(PATIENCE), Just(TEST_MICROSECONDS_MAX)]
            .prop_map(Happening::Passes),
        1 => Just(Happening::Epoch),
        1 => Just(Happening::Confirmed),
    ]
}

fn story() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(happening(), 1..200)
}

proptest! {
    /// Something definite is a no from a source that, behind it, still knows somebody it must
    /// know: an emptied one, one that is down and one that says yes to all cannot do that.
    #[test]
    fn whoever_was_found_is_unknown_only_after_a_definite_no(
        story in story(),
        has_canary: bool,
    ) {
        let mut world = World::new(0..30, has_canary);
        for happening in story {
            let was_found = world.found.clone();
            if let Some((who, Heard::Unknown)) = world.happens(happening)
                && was_found.contains(&who)
            {
                prop_assert_eq!(world.mood, Mood::Right);
                prop_assert!(!world.people.contains(&who));
            }
        }
    }

    #[test]
    fn a_source_that_says_yes_to_an_invented_name_is_not_believed_for_a_yes(
        story in story(),
        has_canary: bool,
    ) {
        let mut world = World::new(0..30, has_canary);
        for happening in story {
            if let Some((_, Heard::Exists)) = world.happens(happening) {
                let right = world.right.filter(|(epoch, _)| *epoch == world.whom.epoch);
                let at = right.map(|(_, at)| world.now - at);
                prop_assert!(at.is_some_and(|age| age < TEST_MICROSECONDS_MAX + 10), "{at:?}");
            }
        }
    }

    /// Questions that meet nothing but trouble, at any time between the others.
    #[test]
    fn more_trouble_turns_no_unavailable_into_unknown(
        story in story(),
        troubles in prop::collection::vec((0..200_usize, 0..40_u8), 0..20),
        has_canary: bool,
    ) {
        let (mut calm, mut troubled) =
            (World::new(0..30, has_canary), World::new(0..30, has_canary));
        for (at, happening) in story.into_iter().enumerate() {
            for (_, who) in troubles.iter().filter(|(when, _)| *when == at) {
                let mood = std::mem::replace(&mut troubled.mood, Mood::Down);
                prop_assert_eq!(troubled.ask(*who), Heard::Unavailable);
                troubled.mood = mood;
                // As if no time had passed: a vouching is not to grow old by it.
                troubled.now = calm.now;
            }
            let (calm, troubled) = (calm.happens(happening), troubled.happens(happening));
            let is_unavailable = matches!(calm, Some((_, Heard::Unavailable)));
            let is_unknown = matches!(troubled, Some((_, Heard::Unknown)));
            prop_assert!(!(is_unavailable && is_unknown), "{calm:?} {troubled:?}");
        }
    }

    /// Answers of one moment have no order: those who vanish at it, who are back at it, and by
    /// whom the source shows that it knows somebody.
    #[test]
    fn what_falls_together_comes_to_the_same_in_any_order(
        (order, other) in prop::collection::vec(0..60_u8, 1..60)
            .prop_map(|people| people.into_iter().collect::<BTreeSet<_>>())
            .prop_flat_map(|people| {
                let people: Vec<u8> = people.into_iter().collect();
                (Just(people.clone()).prop_shuffle(), Just(people).prop_shuffle())
            }),
        known in 0..300_usize,
        asked in prop::collection::vec(0..5_i64, 1..5),
    ) {
        let judged = |order: &[u8], asked: &mut dyn Iterator<Item = i64>| {
            let mut credibility = Credibility::new("test".into(), None);
            credibility.tested(0, 0, false);
            for asked in asked {
                credibility.knows(asked, 9);
            }
            for who in order {
                // Who is even has vanished, and who is odd was there all the time.
                if who % 2 == 0 {
                    credibility.no(u64::from(*who), 9, Some(|| known));
                }
            }
            let last = credibility.no(1_000, 9, None::<fn() -> usize>);
            let needs = (0..9).find(|answered| credibility.needs_vouching(*answered, true, 0));
            (last, credibility.class().0, needs)
        };
        let first = judged(&order, &mut asked.iter().copied());
        let second = judged(&other, &mut asked.iter().rev().copied());
        prop_assert_eq!(first.0.doubt, second.0.doubt);
        prop_assert_eq!((first.1, first.2), (second.1, second.2));
    }
}

#[test]
fn a_test_counts_for_an_hour_and_for_whom_it_was_made() {
    let mut credibility = Credibility::new("test".into(), None);
    let whom = Whom { epoch: 1, has_answered: true };
    assert!(credibility.needs_test(whom, 0));
    credibility.tested(1, 0, false);
    credibility.shown(false, Behaviour::default(), "tested");
    assert!(!credibility.needs_test(whom, TEST_MICROSECONDS_MAX - 1));
    assert!(credibility.needs_test(whom, TEST_MICROSECONDS_MAX));
    assert!(credibility.needs_test(Whom { epoch: 2, ..whom }, 1));
    assert!(!credibility.is_test_due(whom, RETEST_MICROSECONDS), "it is honest");
    credibility.tested(1, 0, true);
    credibility.shown(true, Behaviour::default(), "tested");
    assert!(!credibility.needs_test(whom, RETEST_MICROSECONDS), "nobody need wait for that");
    assert!(credibility.is_test_due(whom, RETEST_MICROSECONDS));
    assert!(!credibility.is_test_due(whom, RETEST_MICROSECONDS - 1));
}

#[test]
fn a_test_that_said_nothing_is_repeated_behind_the_first_answer() {
    let mut credibility = Credibility::new("test".into(), None);
    let whom = Whom { epoch: 0, has_answered: false };
    credibility.tested_in_vain(0, 0, "no such place in the JSON");
    assert_eq!(credibility.class(), (Class::Unproven, "no such place in the JSON"));
    assert!(!credibility.needs_test(whom, 1));
    assert!(credibility.needs_test(Whom { has_answered: true, ..whom }, 1));
}

#[test]
fn a_canary_that_is_gone_cannot_be_confirmed_away() {
    let mut credibility = Credibility::new("test".into(), Some(mailbox(CANARY)));
    let (doubt, step) = credibility.knows_nobody();
    assert!(doubt.is_of_all());
    assert_eq!(doubt, Doubt::CanaryGone(mailbox(CANARY)));
    assert_eq!(step, Some((Class::Unproven, Class::Lying)));
    assert!(!credibility.awaits_confirmation(0));
    let mut credibility = Credibility::new("test".into(), None);
    credibility.knows_nobody();
    assert!(credibility.awaits_confirmation(0));
    credibility.confirmed();
    assert!(!credibility.awaits_confirmation(0));
    assert_eq!(
        credibility.must_know(),
        Err(Doubt::NeverKnewAnybody),
        "he may have been the one who left"
    );
}
