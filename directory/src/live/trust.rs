//! Whether to believe what a source says: asks what must be found out first, remembers over a
//! restart who vanished, and tells of another class. What is believed is decided in
//! `relay/src/belief/credibility.rs`; asking for it is `examine.rs`.

pub use relay::belief::credibility::Named;
pub use relay::belief::doubt::Doubt;

use super::examine::Tested;
use super::{LiveSource, RcptReply, Trouble, TroubleKind};
use crate::question::Teller;
use crate::store::{Store, StoredVanished};
use mail::address::{Domain, Mailbox};
use relay::belief::changes::{Changes, Step};
use relay::belief::class::Class;
use relay::belief::credibility::{Credibility, Whom};
use relay::belief::silence::Silence;
use relay::event::ProcessEvent;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use wire::clock;
use wire::lock::lock;

/// What is known of a source for one domain.
pub struct DomainTrust {
    /// The domain's own name.
    pub domain: Domain,
    /// What its word is worth.
    pub(super) credibility: Mutex<Credibility>,
    /// One check at a time: whoever waits takes the result.
    pub(super) checking: tokio::sync::Mutex<()>,
    /// The name that nobody has, from the moment a test begins until it is answered.
    pub(super) invented: Mutex<Option<Mailbox>>,
    /// It was asked, so that the background tests it.
    pub is_in_use: AtomicBool,
    /// Its last no was not believed.
    pub is_doubted: AtomicBool,
}

/// What a yes is worth that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It may be remembered.
    Proven,
    /// The source could not be tested yet, and has refused nobody so far: it counts now, and
    /// nothing follows from it.
    Unproven,
}

/// Why an answer is not believed.
#[derive(Debug)]
pub enum Unbelieved {
    /// What the source has shown speaks against it.
    Doubted(Doubt),
    /// What must be found out about the source first could not be.
    Untested(Trouble),
}

impl Unbelieved {
    /// The word in log and figures.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Doubted(doubt) => doubt.word(),
            Self::Untested(_) => "untested",
        }
    }
}

impl From<Doubt> for Unbelieved {
    fn from(doubt: Doubt) -> Self {
        Self::Doubted(doubt)
    }
}

impl fmt::Display for Unbelieved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubted(doubt) => doubt.fmt(f),
            Self::Untested(trouble) => write!(f, "not found out: {trouble}"),
        }
    }
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
    silence: Mutex<Silence>,
    /// Not told yet.
    changes: Mutex<Changes>,
    /// Where it is kept who vanished, and under settings with which fingerprint.
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
        let name = Arc::clone(live.name());
        let trust = |(domain, canary)| DomainTrust {
            domain,
            credibility: Mutex::new(Credibility::new(Arc::clone(&name), canary)),
            checking: tokio::sync::Mutex::new(()),
            invented: Mutex::default(),
            is_in_use: AtomicBool::new(false),
            is_doubted: AtomicBool::new(false),
        };
        Self {
            domains: domains.into_iter().map(trust).collect(),
            name,
            event: ProcessEvent::SourceClassChanged,
            live,
            vouch_microseconds: i64::from(vouch_milliseconds) * 1_000,
            has_answered: AtomicBool::new(false),
            silence: Mutex::default(),
            changes: Mutex::default(),
            store: Store::none(),
            fingerprint: 0,
            tell,
        }
    }

    /// The same, that keeps over a restart who vanished.
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
            let credibility = lock(&domain.credibility);
            let (class, why) = credibility.class();
            (class, why.to_owned())
        });
        // Of several that have shown nothing, one that has shown why.
        let worst = classes.max_by_key(|(class, why)| (*class, !why.is_empty()));
        worst.unwrap_or((Class::Unproven, String::new()))
    }

    /// Whether a yes may be believed; tests the source when that is due. `asked` is when the
    /// question left, see [`now`]: what the source knew then says nothing of later.
    /// # Errors
    /// Why not.
    pub async fn judge_yes(
        &self,
        place: usize,
        of: Named<'_>,
        asked: i64,
    ) -> Result<Worth, Unbelieved> {
        let epoch = self.live.epoch();
        self.with(place, |credibility| ((), credibility.takes_somebody(epoch, now())));
        let is_tested = self.is_tested_for_yes(place).await?;
        let whom = self.whom();
        let believed = self.with(place, |credibility| {
            let judged = if is_tested {
                credibility.yes(of, asked, now()).map(Some)
            } else {
                credibility.yes_untested(of, asked, whom, now())
            };
            let step = judged.as_ref().ok().and_then(|believed| believed.and_then(|b| b.step));
            (judged, step)
        })?;
        let Some(believed) = believed else { return Ok(Worth::Unproven) };
        if believed.is_back {
            self.store.forget_turned(&self.name, &canonical(of.mailbox));
        }
        Ok(Worth::Proven)
    }

    /// Tests it where that is due. False where it cannot be tested yet: while a name is put off
    /// each person's mail would ask for it again, and some must wait for their turn.
    async fn is_tested_for_yes(&self, place: usize) -> Result<bool, Unbelieved> {
        if !self.needs_test(place) {
            return Ok(true);
        }
        let _turn = self.domains[place].checking.lock().await;
        if !self.needs_test(place) {
            return Ok(true);
        }
        if lock(&self.domains[place].credibility).waits_until(self.whom(), now()).is_some() {
            return Ok(false);
        }
        Ok(matches!(self.test(place).await?, Tested::Done))
    }

    /// Notes that it said no to somebody, believed or not.
    pub fn refuses_somebody(&self, place: usize) {
        lock(&self.domains[place].credibility).refuses_somebody(self.live.epoch());
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
    ) -> Result<(), Unbelieved> {
        let (domain, answered) = (&self.domains[place], now());
        let needs_vouching = || {
            lock(&domain.credibility).needs_vouching(answered, was_known, self.vouch_microseconds)
        };
        if needs_vouching() {
            let _turn = domain.checking.lock().await;
            if needs_vouching() {
                self.ask_for_known(place).await?;
            }
        }
        let (has_vanished, doubt) = self.with(place, |credibility| {
            let judged = credibility.no(of.key, now(), left);
            ((judged.has_vanished, judged.doubt), judged.step)
        });
        if has_vanished {
            self.store.store_vanished(&self.name, || StoredVanished {
                address: canonical(of.mailbox).into(),
                at: clock::unix_seconds().cast_signed(),
                fingerprint: self.fingerprint,
            });
        }
        doubt.map_or(Ok(()), |doubt| Err(doubt.into()))
    }

    /// Takes who vanished before a restart: keys, and how long ago that was in seconds. `known`
    /// counts those whom it still knows of all others. Gives the doubt that follows.
    pub fn take_vanished(
        &self,
        place: usize,
        people: impl IntoIterator<Item = (u64, i64)>,
        known: impl FnOnce(&[u64]) -> usize,
    ) -> Option<Doubt> {
        self.with(place, |credibility| {
            let (doubt, step) = credibility.take_vanished(people, now(), known).unzip();
            (doubt, step.flatten())
        })
    }

    /// A person's word that those who are gone have left. Taken, and true, only where somebody is
    /// doubted for that: a canary that is gone cannot have left.
    pub fn confirm(&self) -> bool {
        if !self.domains.iter().any(|domain| lock(&domain.credibility).awaits_confirmation(now())) {
            return false;
        }
        self.with_all(Credibility::confirmed);
        self.store.forget_all_turned(&self.name);
        true
    }

    /// Notes that it said yes or no.
    pub fn answered(&self) {
        self.has_answered.store(true, Relaxed);
        // Under the lock, so that of an answer and a trouble at the same time the later counts.
        let mut silence = lock(&self.silence);
        if silence.answer() {
            self.with_all(|credibility| credibility.silent(false, "it answers"));
        }
    }

    /// Notes that it did not.
    pub fn troubled(&self, trouble: &Trouble) {
        if trouble.kind == TroubleKind::Busy {
            return;
        }
        let mut silence = lock(&self.silence);
        if silence.trouble() {
            let why = trouble.to_string();
            self.with_all(|credibility| credibility.silent(true, &why));
        }
    }

    pub(super) fn needs_test(&self, place: usize) -> bool {
        lock(&self.domains[place].credibility).needs_test(self.whom(), now())
    }

    /// Whether the background should test it: it is due, or the last result was bad.
    #[must_use]
    pub fn is_test_due(&self, place: usize) -> bool {
        lock(&self.domains[place].credibility).is_test_due(self.whom(), now())
    }

    /// Whether this reply is how the server says no in this domain.
    pub(super) fn is_no(&self, place: usize, reply: RcptReply) -> bool {
        lock(&self.domains[place].credibility).is_no(reply, self.whom(), now())
    }

    fn whom(&self) -> Whom {
        Whom { epoch: self.live.epoch(), has_answered: self.has_answered.load(Relaxed) }
    }

    /// Does something with what is known for one domain, and tells of the class that follows.
    pub(super) fn with<T>(
        &self,
        place: usize,
        judge: impl FnOnce(&mut Credibility) -> (T, Option<Step>),
    ) -> T {
        let mut credibility = lock(&self.domains[place].credibility);
        let (judged, step) = judge(&mut credibility);
        let why = step.map(|_| credibility.class().1.to_owned()).unwrap_or_default();
        drop(credibility);
        if let Some(step) = step {
            self.tell_of(step, [place].into(), &why);
        }
        judged
    }

    /// The same for all domains at once.
    fn with_all(&self, change: impl Fn(&mut Credibility) -> Option<Step>) {
        let mut steps: BTreeMap<Step, (BTreeSet<usize>, String)> = BTreeMap::new();
        for (place, domain) in self.domains.iter().enumerate() {
            let mut credibility = lock(&domain.credibility);
            if let Some(step) = change(&mut credibility) {
                let why = credibility.class().1.to_owned();
                steps.entry(step).or_insert_with(|| (BTreeSet::new(), why)).0.insert(place);
            }
        }
        for (step, (places, why)) in steps {
            self.tell_of(step, places, &why);
        }
    }

    fn tell_of(&self, step: Step, places: BTreeSet<usize>, why: &str) {
        let mut changes = lock(&self.changes);
        let told = changes.took_place(now(), step, places, why, |at| &self.domains[at].domain);
        drop(changes);
        told.iter().for_each(|detail| (self.tell)(self.event, &self.name, detail));
    }

    /// Tells what was gathered since others like it were told; for the background.
    pub fn tell_gathered(&self) {
        let gathered = lock(&self.changes).due(now(), |at| &self.domains[at].domain);
        gathered.iter().for_each(|detail| (self.tell)(self.event, &self.name, detail));
    }
}

impl DomainTrust {
    /// Remembers somebody who can stand in for a canary.
    pub fn remember_known(&self, known: &Mailbox) {
        lock(&self.credibility).remember(known);
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
