//! Whether to believe what a source says. A yes counts only from a source that says no to a name
//! that nobody has; a no only from one that still knows somebody it must know: the canary, or,
//! without one, people it knew before. What is not believed is no answer. The classes that
//! follow are told when they change. Asking for either is `examine.rs`.

pub use super::doubt::Doubt;

use super::changes::{Changes, Step};
use super::class::{Class, Seen};
use super::examine::RandomTest;
use super::turned::Turned;
use super::{LiveSource, Trouble, TroubleKind};
use crate::clock;
use crate::directory::store::{KeptTurned, Store};
use mail::address::{Domain, Mailbox};
use relay::event::ProcessEvent;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::state::lock;

/// People known before that are asked for in place of a canary.
const WITNESSES_MAX: usize = 3;
/// Troubles in a row after which a source counts as down.
const SILENT_TROUBLES_MIN: u32 = 3;
/// What is known of a source for one domain.
pub struct DomainTrust {
    /// The domain's own name.
    pub domain: Domain,
    pub(super) canary: Option<Mailbox>,
    /// When it last showed that it knows somebody, in microseconds; far in the past when never.
    pub(super) vouched: AtomicI64,
    pub(super) test: Mutex<Option<RandomTest>>,
    /// Known lately, the last one first.
    pub(super) witnesses: Mutex<VecDeque<Mailbox>>,
    turned: Mutex<Turned>,
    pub(super) seen: Mutex<(Seen, String)>,
    /// One check at a time: whoever waits takes the result.
    pub(super) checking: tokio::sync::Mutex<()>,
    /// It was asked, so that the background tests it.
    pub is_in_use: AtomicBool,
    /// Its last no was not believed.
    pub is_doubted: AtomicBool,
}

/// Takes events about a process: which, subject, detail.
pub type Teller = Arc<dyn Fn(ProcessEvent, &str, &str) + Send + Sync>;

/// An address, and its key in the memory of the source.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The address.
    pub mailbox: &'a Mailbox,
    /// Its key.
    pub key: u64,
}

/// Judges what one source says.
pub struct Trust {
    /// Who is judged, and the event that tells of another class.
    pub(super) name: Arc<str>,
    event: ProcessEvent,
    pub(super) live: Arc<dyn LiveSource>,
    /// In the order of the scope.
    pub domains: Vec<DomainTrust>,
    vouch_microseconds: i64,
    /// It has said yes or no to something.
    pub(super) has_answered: AtomicBool,
    /// In a row.
    troubles: AtomicU32,
    silence: Mutex<()>,
    /// Not told yet.
    changes: Mutex<Changes>,
    /// Where it is kept who turned unknown, and under settings with which fingerprint.
    store: Store,
    fingerprint: u64,
    tell: Teller,
}

impl Trust {
    /// Nothing is believed before it was tested.
    #[must_use]
    pub fn new(
        live: Arc<dyn LiveSource>,
        domains: impl IntoIterator<Item = (Domain, Option<Mailbox>)>,
        vouch_milliseconds: u32,
        tell: Teller,
    ) -> Self {
        let trust = |(domain, canary)| DomainTrust {
            domain,
            canary,
            vouched: AtomicI64::new(i64::MIN),
            test: Mutex::new(None),
            witnesses: Mutex::new(VecDeque::new()),
            turned: Mutex::default(),
            seen: Mutex::new((Seen::default(), String::new())),
            checking: tokio::sync::Mutex::new(()),
            is_in_use: AtomicBool::new(false),
            is_doubted: AtomicBool::new(false),
        };
        Self {
            name: Arc::clone(live.name()),
            event: ProcessEvent::SourceClassChanged,
            live,
            domains: domains.into_iter().map(trust).collect(),
            vouch_microseconds: i64::from(vouch_milliseconds) * 1_000,
            has_answered: AtomicBool::new(false),
            troubles: AtomicU32::new(0),
            silence: Mutex::default(),
            changes: Mutex::default(),
            store: Store::none(),
            fingerprint: 0,
            tell,
        }
    }

    /// The same, that keeps over a restart who turned unknown.
    #[must_use]
    pub fn keeping(mut self, store: Store, fingerprint: u64) -> Self {
        (self.store, self.fingerprint) = (store, fingerprint);
        self
    }

    /// The same for somebody who is no recipient source, with an event of its own.
    #[must_use]
    pub fn named(mut self, name: Arc<str>, event: ProcessEvent) -> Self {
        (self.name, self.event) = (name, event);
        self
    }

    /// Who is judged.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The worst class among its domains, and why.
    #[must_use]
    pub fn class(&self) -> (Class, String) {
        let classes = self.domains.iter().map(|domain| {
            let seen = lock(&domain.seen);
            (seen.0.class(), seen.1.clone())
        });
        // Of several that have shown nothing, one that has shown why.
        let worst = classes.max_by_key(|(class, why)| (*class, !why.is_empty()));
        worst.unwrap_or((Class::Unproven, String::new()))
    }

    /// Whether a yes may be believed; tests the source when that is due. `asked` is when the
    /// question left, see [`now`]: what the source knew then says nothing of later.
    /// # Errors
    /// Why not.
    pub async fn judge_yes(&self, place: usize, known: Named<'_>, asked: i64) -> Result<(), Doubt> {
        if !self.is_tested(place) {
            let _turn = self.domains[place].checking.lock().await;
            if !self.is_tested(place) {
                self.test(place).await?;
            }
        }
        let domain = &self.domains[place];
        if lock(&domain.test).is_some_and(|test| test.accepts == Some(true)) {
            return Err(Doubt::AcceptsRandom);
        }
        domain.remember_witness(known.mailbox);
        if lock(&domain.turned).is_back(known.key) {
            self.store.forget_turned(&self.name, &canonical(known.mailbox));
        }
        if domain.canary.is_none() {
            self.vouched_at(place, asked);
        }
        Ok(())
    }

    /// Whether a no may be believed. `left` is there when the address was: it counts the others
    /// of the domain who still are, and is nothing for those of whom a person said that they
    /// have left.
    /// # Errors
    /// Why not.
    pub async fn judge_no(
        &self,
        place: usize,
        of: Named<'_>,
        was_known: bool,
        left: Option<&(dyn Fn() -> usize + Sync)>,
    ) -> Result<(), Doubt> {
        let domain = &self.domains[place];
        let answered = now();
        // Somebody who was there is gone: nothing from before this answer speaks for it.
        let needed = if was_known { answered } else { answered - self.vouch_microseconds };
        if domain.vouched.load(Relaxed) < needed {
            let _turn = domain.checking.lock().await;
            if domain.vouched.load(Relaxed) < needed {
                self.ask_witnesses(place).await?;
            }
        }
        let too_many = {
            let mut turned = lock(&domain.turned);
            if let Some(known) = left
                && turned.left(of.key, now(), known)
            {
                self.store.keep_turned(&self.name, || KeptTurned {
                    address: canonical(of.mailbox).into(),
                    at: clock::unix_seconds().cast_signed(),
                    fingerprint: self.fingerprint,
                });
            }
            turned.too_many(now())
        };
        // Then no other no is worth more: also of those the source knows too few.
        too_many.map_or(Ok(()), |too_many| Err(self.turned_too_many(place, too_many)))
    }

    fn turned_too_many(&self, place: usize, (turned, known): (usize, usize)) -> Doubt {
        let doubt = Doubt::Turned { source: Arc::clone(&self.name), turned, known };
        self.change(place, &doubt.to_string(), |seen| seen.denies_known = true);
        doubt
    }

    /// Takes who turned unknown before a restart: keys, and how long ago that was in seconds.
    /// `known` counts those whom it still knows of all others. Gives the doubt that follows.
    pub fn take_turned(
        &self,
        place: usize,
        people: impl IntoIterator<Item = (u64, i64)>,
        known: impl FnOnce(&[u64]) -> usize,
    ) -> Option<Doubt> {
        let too_many = {
            let mut turned = lock(&self.domains[place].turned);
            turned.take(people, now(), known);
            turned.too_many(now())
        };
        too_many.map(|too_many| self.turned_too_many(place, too_many))
    }

    /// It knows whom it must know, as it said to a question of then.
    pub(super) fn vouched_at(&self, place: usize, asked: i64) {
        let domain = &self.domains[place];
        domain.vouched.fetch_max(asked, Relaxed);
        // Nothing changes nearly always, and then nothing is told.
        if lock(&domain.seen).0.denies_known && lock(&domain.turned).too_many(now()).is_none() {
            self.change(place, "it knows whom it must know", |seen| seen.denies_known = false);
        }
    }

    /// A person's word that those who are gone have left. Taken, and true, only where somebody is
    /// doubted for that: a canary that is gone cannot have left.
    pub fn confirm(&self) -> bool {
        let is_doubted = |domain: &DomainTrust| {
            let denies_known = lock(&domain.seen).0.denies_known;
            denies_known
                && (domain.canary.is_none() || lock(&domain.turned).too_many(now()).is_some())
        };
        if !self.domains.iter().any(is_doubted) {
            return false;
        }
        for domain in &self.domains {
            lock(&domain.turned).clear();
            lock(&domain.witnesses).clear();
        }
        self.store.forget_all_turned(&self.name);
        self.change_all("confirmed by a person", |seen| seen.denies_known = false);
        true
    }

    /// Notes that it said yes or no.
    pub fn answered(&self) {
        self.has_answered.store(true, Relaxed);
        if self.troubles.load(Relaxed) != 0 {
            self.note_silence(|_| 0, "it answers");
        }
    }

    /// Notes that it did not.
    pub fn troubled(&self, trouble: &Trouble) {
        if trouble.kind != TroubleKind::Busy {
            self.note_silence(|troubles| troubles.saturating_add(1), &trouble.to_string());
        }
    }

    /// Counts troubles in a row, and tells of the first that is too many, and of the end. Under
    /// the lock, so that of an answer and a trouble at the same time the later one counts.
    fn note_silence(&self, count: impl FnOnce(u32) -> u32, why: &str) {
        let _turn = lock(&self.silence);
        let before = self.troubles.load(Relaxed);
        let after = count(before);
        self.troubles.store(after, Relaxed);
        let is_silent = after >= SILENT_TROUBLES_MIN;
        if is_silent != (before >= SILENT_TROUBLES_MIN) {
            self.change_all(why, |seen| seen.is_silent = is_silent);
        }
    }

    /// Changes what was seen for one domain, and tells when another class follows.
    pub(super) fn change(&self, place: usize, why: &str, change: impl Fn(&mut Seen)) {
        self.change_these(place..place + 1, why, change);
    }

    /// The same for all.
    fn change_all(&self, why: &str, change: impl Fn(&mut Seen)) {
        self.change_these(0..self.domains.len(), why, change);
    }

    fn change_these(&self, places: Range<usize>, why: &str, change: impl Fn(&mut Seen)) {
        let mut steps: BTreeMap<Step, BTreeSet<usize>> = BTreeMap::new();
        for place in places {
            let mut seen = lock(&self.domains[place].seen);
            let before = seen.0.class();
            change(&mut seen.0);
            let after = seen.0.class();
            if before != after || seen.1.is_empty() {
                seen.1 = why.to_owned();
            }
            if before != after {
                steps.entry((before, after)).or_default().insert(place);
            }
        }
        for (step, places) in steps {
            let mut changes = lock(&self.changes);
            let told = changes.took_place(now(), step, places, why, |at| &self.domains[at].domain);
            drop(changes);
            told.iter().for_each(|detail| (self.tell)(self.event, &self.name, detail));
        }
    }

    /// Tells what was gathered since others like it were told; for the background.
    pub fn tell_gathered(&self) {
        let gathered = lock(&self.changes).due(now(), |at| &self.domains[at].domain);
        gathered.iter().for_each(|detail| (self.tell)(self.event, &self.name, detail));
    }
}

impl DomainTrust {
    /// Remembers somebody who can stand in for a canary.
    pub fn remember_witness(&self, known: &Mailbox) {
        // A source with a canary needs no others, and nobody waits to become one.
        if self.canary.is_some() {
            return;
        }
        let Ok(mut witnesses) = self.witnesses.try_lock() else { return };
        if !witnesses.contains(known) {
            witnesses.push_front(known.clone());
            witnesses.truncate(WITNESSES_MAX);
        }
    }
}

/// An address as it is kept.
fn canonical(mailbox: &Mailbox) -> String {
    let domain = mailbox.host.domain().map(Domain::to_canonical).unwrap_or_default();
    format!("{}@{domain}", mailbox.local_part)
}

/// In microseconds: what was said before and what was said after must not fall together.
pub(super) fn now() -> i64 {
    clock::uptime_microseconds()
}
