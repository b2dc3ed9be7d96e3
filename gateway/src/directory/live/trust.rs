//! Whether to believe what a source says. A yes counts only from a source that says no to a name
//! that nobody has; a no only from one that still knows somebody it must know: the canary, or,
//! without one, people it knew before. What is not believed is no answer. The classes that
//! follow are told when they change.

use super::class::{Class, Seen};
use super::turned::Turned;
use super::{LiveSource, Said, Trouble, TroubleKind};
use crate::clock;
use mail::address::{Domain, Host, LocalPart, Mailbox};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::state::lock;

/// People known before that are asked for in place of a canary.
const WITNESSES_MAX: usize = 3;
/// How long a test with a random name counts, in microseconds.
pub const RANDOM_TEST_MICROSECONDS_MAX: i64 = 3_600_000_000;
/// How soon one that failed is repeated by the background, in microseconds.
pub const RETEST_MICROSECONDS: i64 = 60_000_000;
/// Troubles in a row after which a source counts as down.
const SILENT_TROUBLES_MIN: u32 = 3;
/// How long a test may take whatever the source itself thinks: others wait for it.
const TEST_MAX: Duration = Duration::from_secs(30);

/// Why something that was said is not believed.
#[derive(Debug)]
pub enum Doubt {
    /// It says yes to a name that nobody has.
    AcceptsRandom,
    /// Its canary is not there any more.
    CanaryGone(Mailbox),
    /// Nobody whom it knew is there any more.
    WitnessesGone,
    /// It has never known anybody, so that its no says nothing.
    NeverKnewAnybody,
    /// Too many people turned unknown.
    Turned {
        /// How many.
        turned: usize,
        /// How many are still known.
        known: usize,
    },
    /// It could not be found out.
    Untested(Trouble),
}

impl Doubt {
    /// The word in log and figures.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::AcceptsRandom => "accepts-random",
            Self::CanaryGone(_) => "canary-gone",
            Self::WitnessesGone => "witnesses-gone",
            Self::NeverKnewAnybody => "never-knew-anybody",
            Self::Turned { .. } => "many-turned-unknown",
            Self::Untested(_) => "untested",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptsRandom => {
                f.write_str("it says yes to an address that nobody has, so its yes proves nothing")
            }
            Self::CanaryGone(canary) => write!(f, "it does not know the canary {canary}"),
            Self::WitnessesGone => f.write_str(
                "people whom it knew are gone; if they have left: `postern recipients confirm`",
            ),
            Self::NeverKnewAnybody => f.write_str(
                "it has not known a single address yet; name one that it must know as `canary`",
            ),
            Self::Turned { turned, known } => write!(
                f,
                "{turned} people whom it knew turned unknown within a week, against {known} that \
                 are known; if they have left: `postern recipients confirm`"
            ),
            Self::Untested(trouble) => write!(f, "not found out: {trouble}"),
        }
    }
}

/// The last test with a random name.
#[derive(Clone, Copy, Debug)]
struct RandomTest {
    epoch: u64,
    at: i64,
    accepts: bool,
}

/// What is known of a source for one domain.
pub struct DomainTrust {
    /// The domain's own name.
    pub domain: Domain,
    canary: Option<Mailbox>,
    /// When it last showed that it knows somebody, in microseconds; far in the past when never.
    vouched: AtomicI64,
    test: Mutex<Option<RandomTest>>,
    /// Known lately, the last one first.
    witnesses: Mutex<VecDeque<Mailbox>>,
    turned: Mutex<Turned>,
    seen: Mutex<(Seen, String)>,
    /// One check at a time: whoever waits takes the result.
    checking: tokio::sync::Mutex<()>,
    /// It was asked, so that the background tests it.
    pub is_in_use: AtomicBool,
    /// Its last no was not believed.
    pub is_doubted: AtomicBool,
}

/// Takes events about a process: name, subject, detail.
pub type Teller = Arc<dyn Fn(&'static str, &str, &str) + Send + Sync>;

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
    name: Arc<str>,
    event: &'static str,
    live: Arc<dyn LiveSource>,
    /// In the order of the scope.
    pub domains: Vec<DomainTrust>,
    vouch_microseconds: i64,
    /// In a row.
    troubles: AtomicU32,
    silence: Mutex<()>,
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
            event: "SourceClassChanged",
            live,
            domains: domains.into_iter().map(trust).collect(),
            vouch_microseconds: i64::from(vouch_milliseconds) * 1_000,
            troubles: AtomicU32::new(0),
            silence: Mutex::default(),
            tell,
        }
    }

    /// The same for somebody who is no recipient source, with an event of its own.
    #[must_use]
    pub fn named(mut self, name: Arc<str>, event: &'static str) -> Self {
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
        classes.max_by_key(|(class, _)| *class).unwrap_or((Class::Unproven, String::new()))
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
        if lock(&domain.test).is_some_and(|test| test.accepts) {
            return Err(Doubt::AcceptsRandom);
        }
        domain.remember_witness(known.mailbox);
        lock(&domain.turned).is_back(known.key);
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
        key: u64,
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
            if let Some(known) = left {
                turned.left(key, now(), known);
            }
            turned.too_many()
        };
        // Then no other no is worth more: also of those the source knows too few.
        let Some((turned, known)) = too_many else { return Ok(()) };
        let doubt = Doubt::Turned { turned, known };
        self.change(place, &doubt.to_string(), |seen| seen.denies_known = true);
        Err(doubt)
    }

    /// Looks for the canary, or for people known before.
    async fn ask_witnesses(&self, place: usize) -> Result<(), Doubt> {
        let domain = &self.domains[place];
        let witnesses: Vec<Mailbox> = match &domain.canary {
            Some(canary) => vec![canary.clone()],
            None => lock(&domain.witnesses).iter().cloned().collect(),
        };
        if witnesses.is_empty() {
            return Err(Doubt::NeverKnewAnybody);
        }
        for witness in witnesses {
            let begun = now();
            match Arc::clone(&self.live).ask(witness).await {
                Ok(Said::Exists { .. }) => {
                    self.vouched_at(place, begun);
                    return Ok(());
                }
                Ok(Said::Unknown) => {}
                Err(trouble) => return Err(Doubt::Untested(trouble)),
            }
        }
        let doubt = match &domain.canary {
            Some(canary) => Doubt::CanaryGone(canary.clone()),
            None => Doubt::WitnessesGone,
        };
        // What it knew before says nothing of what it knows now.
        domain.vouched.store(i64::MIN, Relaxed);
        self.change(place, &doubt.to_string(), |seen| seen.denies_known = true);
        Err(doubt)
    }

    /// It knows whom it must know, as it said to a question of then.
    fn vouched_at(&self, place: usize, asked: i64) {
        let domain = &self.domains[place];
        domain.vouched.fetch_max(asked, Relaxed);
        // Nothing changes nearly always, and then nothing is told.
        if lock(&domain.seen).0.denies_known && lock(&domain.turned).too_many().is_none() {
            self.change(place, "it knows whom it must know", |seen| seen.denies_known = false);
        }
    }

    /// The keys of those who turned unknown.
    #[must_use]
    pub fn turned(&self, place: usize) -> Vec<u64> {
        lock(&self.domains[place].turned).keys()
    }

    /// A person's word that those who are gone have left.
    pub fn confirm(&self) {
        for (place, domain) in self.domains.iter().enumerate() {
            lock(&domain.turned).clear();
            lock(&domain.witnesses).clear();
            self.change(place, "confirmed by a person", |seen| seen.denies_known = false);
        }
    }

    /// Notes that it answered at all.
    pub fn answered(&self) {
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
            for place in 0..self.domains.len() {
                self.change(place, why, |seen| seen.is_silent = is_silent);
            }
        }
    }

    fn is_tested(&self, place: usize) -> bool {
        let epoch = self.live.epoch();
        lock(&self.domains[place].test).is_some_and(|test| {
            test.epoch == epoch && now() - test.at < RANDOM_TEST_MICROSECONDS_MAX
        })
    }

    /// Whether the background should test it: it is due, or the last result was bad.
    #[must_use]
    pub fn is_test_due(&self, place: usize) -> bool {
        let bad = lock(&self.domains[place].seen).0.class() >= Class::AcceptAll;
        let age = lock(&self.domains[place].test).map(|test| now() - test.at);
        !self.is_tested(place) || (bad && age.is_none_or(|age| age >= RETEST_MICROSECONDS))
    }

    /// Tests it, and looks for its witnesses; for the background.
    /// # Errors
    /// What is wrong with it.
    pub async fn examine(&self, place: usize) -> Result<(), Doubt> {
        let examining = async {
            let _turn = self.domains[place].checking.lock().await;
            self.test(place).await?;
            match self.ask_witnesses(place).await {
                Err(Doubt::NeverKnewAnybody) => Ok(()),
                result => result,
            }
        };
        tokio::time::timeout(TEST_MAX, examining).await.unwrap_or_else(|_| {
            let what = format!("no answer to a test within {} seconds", TEST_MAX.as_secs());
            Err(Doubt::Untested(Trouble::new(TroubleKind::Slow, what)))
        })
    }

    /// Asks for a name that nobody has.
    async fn test(&self, place: usize) -> Result<(), Doubt> {
        let domain = &self.domains[place];
        let Some(nobody) = nobody(&domain.domain) else { return Ok(()) };
        let said = Arc::clone(&self.live).ask(nobody.clone()).await;
        // What was asked is from the connection that is there now.
        let epoch = self.live.epoch();
        let mut manners = self.live.manners();
        let accepts = match said {
            Ok(Said::Exists { .. }) => true,
            Ok(Said::Unknown) => false,
            // It was reached and did not say yes.
            Err(Trouble { kind: TroubleKind::Unexpected, .. }) => false,
            Err(trouble) => return Err(Doubt::Untested(trouble)),
        };
        *lock(&domain.test) = Some(RandomTest { epoch, at: now(), accepts });
        if accepts {
            // What it refused late before says nothing of now.
            let asking = Arc::clone(&self.live).ask_late(nobody.clone());
            manners.is_late = match asking {
                Some(asking) => matches!(asking.await, Ok(Said::Unknown)),
                None => false,
            };
        }
        let why = match (accepts, manners.is_late) {
            (true, true) => format!("it takes {nobody} at RCPT and refuses it behind DATA"),
            (true, false) => format!("it says yes to {nobody}, which nobody has"),
            (false, true) => format!("it refuses {nobody}, but only behind DATA"),
            (false, false) => format!("it does not say yes to {nobody}"),
        };
        self.change(place, &why, |seen| {
            (seen.accepts_random, seen.manners) = (Some(accepts), manners);
        });
        Ok(())
    }

    /// Changes what was seen, and tells when another class follows.
    fn change(&self, place: usize, why: &str, change: impl FnOnce(&mut Seen)) {
        let domain = &self.domains[place];
        let (before, after) = {
            let mut seen = lock(&domain.seen);
            let before = seen.0.class();
            change(&mut seen.0);
            let after = seen.0.class();
            if before != after || seen.1.is_empty() {
                seen.1 = why.to_owned();
            }
            (before, after)
        };
        if before != after {
            let detail = format!("{}: {} -> {}: {why}", domain.domain, before.word(), after.word());
            (self.tell)(self.event, &self.name, &detail);
        }
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

/// An address that nobody has.
fn nobody(domain: &Domain) -> Option<Mailbox> {
    // Without a hyphen, which separates sub-addresses at some: one who has `postern` would have
    // this too.
    let local_part = format!("postern{:016x}", getrandom::u64().ok()?);
    Some(Mailbox {
        local_part: LocalPart::new(&local_part).ok()?,
        host: Host::Domain(domain.clone()),
    })
}

/// In microseconds: what was said before and what was said after must not fall together.
pub(super) fn now() -> i64 {
    clock::uptime_microseconds()
}
