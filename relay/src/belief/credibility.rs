//! What one source's word is worth for one domain. A yes counts only from a source that says no to
//! a name that nobody has, as far as it may be asked for one; a no only from one that still knows
//! somebody it must know: the canary, or, without one, people it knew before. What is not believed
//! is no answer.
//!
//! Whoever asks looks first whether something must be found out ([`Credibility::needs_test`],
//! [`Credibility::needs_vouching`]), asks for it, tells what came of it, and then has
//! the answer judged.

use super::changes::Step;
use super::class::{Behaviour, Class, Seen};
use super::doubt::Doubt;
use super::trial::{PutOff, RcptReply};
use super::vanished::Vanished;
use mail::address::Mailbox;
use std::collections::VecDeque;
use std::sync::Arc;

/// People known before who are asked for in place of a canary.
const KNOWN_MAX: usize = 3;
/// How long a test with an invented name counts, in microseconds.
const TEST_MICROSECONDS_MAX: i64 = 3_600_000_000;
/// How soon one whose result was bad is due again, in microseconds.
const RETEST_MICROSECONDS: i64 = 60_000_000;

/// Whom the source asks, as far as it is of all its domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom {
    /// Another number when it may have become somebody else: what was found out is found out
    /// again.
    pub epoch: u64,
    /// It has said yes or no to something.
    pub has_answered: bool,
}

/// An address, and its key in the memory of the source.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The address.
    pub mailbox: &'a Mailbox,
    /// Its key.
    pub key: u64,
}

/// The last test with an invented name.
#[derive(Clone, Copy, Debug)]
struct Test {
    epoch: u64,
    at: i64,
    /// Nothing where it said neither yes nor no, and had never done so.
    accepts: Option<bool>,
    /// The reply that it refused the name by, where that is no plain no.
    refusal: Option<RcptReply>,
}

/// A yes that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Believed {
    /// Who it is of had been counted as gone.
    pub is_back: bool,
    /// The class that the source changes to, if it does.
    pub step: Option<Step>,
}

/// What a no comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Who it is of is counted as gone from now on, which is to be stored.
    pub has_vanished: bool,
    /// Why it is not believed, when it is not.
    pub doubt: Option<Doubt>,
    /// The class that the source changes to, if it does.
    pub step: Option<Step>,
}

/// What is known of a source for one domain.
#[derive(Debug)]
pub struct Credibility {
    /// Who it is, by the name that a person confirms.
    source: Arc<str>,
    canary: Option<Mailbox>,
    /// When it last showed that it knows somebody; nothing when it never has, or when it has shown
    /// otherwise since.
    vouched: Option<i64>,
    test: Option<Test>,
    /// The test that is on its way, where its name was put off.
    put_off: Option<PutOff>,
    /// The epoch in which it last said yes to somebody.
    takes_in: Option<u64>,
    /// The epoch in which it last said no to somebody.
    refuses_in: Option<u64>,
    /// Known lately, the last one first.
    known: VecDeque<Mailbox>,
    vanished: Vanished,
    seen: Seen,
    why: String,
}

impl Credibility {
    /// Nothing is believed before it was tested.
    #[must_use]
    pub fn new(source: Arc<str>, canary: Option<Mailbox>) -> Self {
        Self {
            source,
            canary,
            vouched: None,
            test: None,
            put_off: None,
            takes_in: None,
            refuses_in: None,
            known: VecDeque::new(),
            vanished: Vanished::default(),
            seen: Seen::default(),
            why: String::new(),
        }
    }

    /// What it has shown itself to be, and why; no words where it has shown nothing.
    #[must_use]
    pub fn class(&self) -> (Class, &str) {
        (self.seen.class(), &self.why)
    }

    /// Whether it must be asked for an invented name before a yes of it is judged.
    #[must_use]
    pub fn needs_test(&self, whom: Whom, now: i64) -> bool {
        // While the next test is put off, the last one still counts.
        let age_max = match self.put_off {
            Some(put_off) if put_off.epoch == whom.epoch => 2 * TEST_MICROSECONDS_MAX,
            _ => TEST_MICROSECONDS_MAX,
        };
        !self.test_counts(whom, now, age_max)
    }

    fn test_counts(&self, whom: Whom, now: i64, age_max: i64) -> bool {
        self.test.is_some_and(|test| {
            let is_recent = now.saturating_sub(test.at) < age_max;
            // One that said nothing says more when it is repeated behind the first answer.
            test.epoch == whom.epoch && is_recent && (test.accepts.is_some() || !whom.has_answered)
        })
    }

    /// Whether it should be tested though nobody waits: that is due, or the last result was bad.
    #[must_use]
    pub fn is_test_due(&self, whom: Whom, now: i64) -> bool {
        if self.waits_until(whom, now).is_some() {
            return false;
        }
        let is_bad = self.seen.class() >= Class::AcceptAll;
        let age = self.test.map(|test| now.saturating_sub(test.at));
        let is_old = age.is_none_or(|age| age >= RETEST_MICROSECONDS);
        !self.test_counts(whom, now, TEST_MICROSECONDS_MAX) || (is_bad && is_old)
    }

    /// When a test that was put off goes on, where that is later than `now`.
    #[must_use]
    pub fn waits_until(&self, whom: Whom, now: i64) -> Option<i64> {
        let put_off = self.put_off.filter(|put_off| put_off.epoch == whom.epoch)?;
        Some(put_off.next()).filter(|next| *next > now)
    }

    /// It put off the invented name, by a 4yz at RCPT: the same is to be asked for again. `why` is
    /// for people.
    pub fn put_off(&mut self, epoch: u64, now: i64, why: &str) -> Option<Step> {
        let before = self.put_off.filter(|put_off| put_off.epoch == epoch);
        let put_off = before.map_or_else(|| PutOff::new(epoch, now), |before| before.again(now));
        self.put_off = Some(put_off);
        self.change(why, |_| {});
        self.conclude(now)
    }

    /// It said yes to somebody, believed or not.
    pub fn takes_somebody(&mut self, epoch: u64, now: i64) -> Option<Step> {
        if self.takes_in.replace(epoch) == Some(epoch) {
            return None;
        }
        self.conclude(now)
    }

    /// It said no to somebody, believed or not.
    pub fn refuses_somebody(&mut self, epoch: u64) {
        self.refuses_in = Some(epoch);
    }

    /// Whoever takes some, and puts off for good what nobody has, does not take everybody.
    fn conclude(&mut self, now: i64) -> Option<Step> {
        let put_off = self.put_off.filter(PutOff::is_steady)?;
        if self.takes_in != Some(put_off.epoch) {
            return None;
        }
        let epoch = put_off.epoch;
        self.test = Some(Test { epoch, at: now, accepts: Some(false), refusal: None });
        let why = "it takes people, and goes on putting off an address that nobody has";
        self.change(why, |seen| seen.accepts_random = Some(false))
    }

    /// The invented name of the last test was refused by this reply.
    pub fn refuses_by(&mut self, reply: RcptReply) {
        if let Some(test) = &mut self.test {
            test.refusal = Some(reply).filter(|reply| reply.may_be_a_no());
        }
    }

    /// Whether this reply is how it says no: an invented name has heard the same, and somebody
    /// else was taken.
    #[must_use]
    pub fn is_no(&self, reply: RcptReply, whom: Whom, now: i64) -> bool {
        let is_its_word = self
            .test
            .is_some_and(|test| test.accepts == Some(false) && test.refusal == Some(reply));
        is_its_word && self.takes_in == Some(whom.epoch) && !self.needs_test(whom, now)
    }

    /// It said yes to an invented name, or it did not: that counts from now on, whatever else is
    /// found out about it.
    pub fn tested(&mut self, epoch: u64, now: i64, accepts: bool) {
        self.put_off = None;
        self.test = Some(Test { epoch, at: now, accepts: Some(accepts), refusal: None });
    }

    /// What the test has shown of it; `why` is for people.
    pub fn shown(&mut self, accepts: bool, behaviour: Behaviour, why: &str) -> Option<Step> {
        self.change(why, |seen| (seen.accepts_random, seen.behaviour) = (Some(accepts), behaviour))
    }

    /// It was reached, and said neither yes nor no to an invented name, as to everything so far.
    pub fn tested_in_vain(&mut self, epoch: u64, now: i64, why: &str) {
        self.test = Some(Test { epoch, at: now, accepts: None, refusal: None });
        self.change(why, |_| {});
    }

    /// Judges a yes to a question of `asked`: what the source knew then says nothing of later.
    /// # Errors
    /// Why it is not believed.
    pub fn yes(&mut self, of: Named<'_>, asked: i64, now: i64) -> Result<Believed, Doubt> {
        if self.test.is_some_and(|test| test.accepts == Some(true)) {
            return Err(Doubt::AcceptsRandom);
        }
        Ok(self.believe(of, asked, now))
    }

    /// Judges a yes while the test that it needs is still to come, which may be hours: by the last
    /// one, else by whether somebody was refused. Nothing where neither was seen: whom it takes
    /// then is taken, since real people would wait, and proves nothing.
    /// # Errors
    /// Why it is not believed.
    pub fn yes_untested(
        &mut self,
        of: Named<'_>,
        asked: i64,
        whom: Whom,
        now: i64,
    ) -> Result<Option<Believed>, Doubt> {
        let last = self.test.filter(|test| test.epoch == whom.epoch).and_then(|test| test.accepts);
        match last {
            Some(true) => Err(Doubt::AcceptsRandom),
            None if self.refuses_in != Some(whom.epoch) => Ok(None),
            Some(false) | None => Ok(Some(self.believe(of, asked, now))),
        }
    }

    fn believe(&mut self, of: Named<'_>, asked: i64, now: i64) -> Believed {
        self.remember(of.mailbox);
        let is_back = self.vanished.is_back(of.key);
        let step = if self.canary.is_none() { self.knows(asked, now) } else { None };
        Believed { is_back, step }
    }

    /// Remembers somebody who can stand in for a canary.
    pub fn remember(&mut self, known: &Mailbox) {
        // A source with a canary needs no others.
        if self.canary.is_none() && !self.known.contains(known) {
            self.known.push_front(known.clone());
            self.known.truncate(KNOWN_MAX);
        }
    }

    /// Whether it must show that it knows somebody before a no of `answered` is judged. It may
    /// have done so `patience` microseconds before, but for somebody who `was_known`: he is gone,
    /// and nothing from before this answer speaks for it.
    #[must_use]
    pub fn needs_vouching(&self, answered: i64, was_known: bool, patience: i64) -> bool {
        let patience = if was_known { 0 } else { patience };
        self.vouched.is_none_or(|vouched| vouched < answered.saturating_sub(patience))
    }

    /// Whom it must know, to be asked for one after another until it knows one.
    /// # Errors
    /// When there is nobody.
    pub fn must_know(&self) -> Result<Vec<Mailbox>, Doubt> {
        match &self.canary {
            Some(canary) => Ok(vec![canary.clone()]),
            None if self.known.is_empty() => Err(Doubt::NeverKnewAnybody),
            None => Ok(self.known.iter().cloned().collect()),
        }
    }

    /// It knows somebody whom it must know, as it said to a question of `asked`.
    pub fn knows(&mut self, asked: i64, now: i64) -> Option<Step> {
        self.vouched = self.vouched.max(Some(asked));
        // Nothing changes nearly always, and then nothing is told.
        if !self.seen.denies_known || self.vanished.too_many(now).is_some() {
            return None;
        }
        self.change("it knows whom it must know", |seen| seen.denies_known = false)
    }

    /// It said no to everybody of [`Self::must_know`]. The doubt that follows, and the class that
    /// the source changes to.
    pub fn knows_nobody(&mut self) -> (Doubt, Option<Step>) {
        // What it knew before says nothing of what it knows now.
        self.vouched = None;
        let doubt = match &self.canary {
            Some(canary) => Doubt::CanaryGone(canary.clone()),
            None => Doubt::KnownGone { source: Arc::clone(&self.source) },
        };
        let step = self.change(&doubt.to_string(), |seen| seen.denies_known = true);
        (doubt, step)
    }

    /// Judges a no. `left` is there when the address was: it counts the others of the domain who
    /// still are, and is nothing for those of whom a person said that they have left.
    pub fn no(&mut self, key: u64, now: i64, left: Option<impl FnOnce() -> usize>) -> Judged {
        let has_vanished = left.is_some_and(|known| self.vanished.left(key, now, known));
        // Then no other no is worth more: also of those the source knows too few.
        let (doubt, step) = self.doubt_of_many(now).unzip();
        Judged { has_vanished, doubt, step: step.flatten() }
    }

    /// Takes who had vanished before a restart: keys, and how many seconds ago that was. `known`
    /// counts those whom it still knows of all others. The doubt that follows, if any.
    pub fn take_vanished(
        &mut self,
        people: impl IntoIterator<Item = (u64, i64)>,
        now: i64,
        known: impl FnOnce(&[u64]) -> usize,
    ) -> Option<(Doubt, Option<Step>)> {
        self.vanished.take(people, now, known);
        self.doubt_of_many(now)
    }

    fn doubt_of_many(&mut self, now: i64) -> Option<(Doubt, Option<Step>)> {
        let (vanished, known) = self.vanished.too_many(now)?;
        let doubt = Doubt::Vanished { source: Arc::clone(&self.source), vanished, known };
        let step = self.change(&doubt.to_string(), |seen| seen.denies_known = true);
        Some((doubt, step))
    }

    /// Whether a person's word that those who are gone have left would change anything: a canary
    /// that is gone cannot have left.
    #[must_use]
    pub fn awaits_confirmation(&self, now: i64) -> bool {
        let of_people = self.canary.is_none() || self.vanished.too_many(now).is_some();
        self.seen.denies_known && of_people
    }

    /// Those who are gone have left, as a person says.
    pub fn confirmed(&mut self) -> Option<Step> {
        self.vanished.clear();
        self.known.clear();
        self.change("confirmed by a person", |seen| seen.denies_known = false)
    }

    /// It has gone silent, or speaks again.
    pub fn silent(&mut self, is_silent: bool, why: &str) -> Option<Step> {
        self.change(why, |seen| seen.is_silent = is_silent)
    }

    fn change(&mut self, why: &str, change: impl FnOnce(&mut Seen)) -> Option<Step> {
        let before = self.seen.class();
        change(&mut self.seen);
        let after = self.seen.class();
        if before != after || self.why.is_empty() {
            why.clone_into(&mut self.why);
        }
        (before != after).then_some((before, after))
    }
}

#[cfg(test)]
#[path = "credibility_tests.rs"]
mod tests;
