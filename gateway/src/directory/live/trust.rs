//! Whether to believe what a source says. A yes counts only from a source that says no to a name
//! that nobody has; a no only from one that still knows somebody it must know: the canary, or,
//! without one, people it knew before. What is not believed is no answer. The classes that
//! follow are told when they change.

use super::class::{Class, Seen};
use super::{LiveSource, Said, Trouble, TroubleKind};
use crate::clock;
use mail::address::{Domain, Host, LocalPart, Mailbox};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::state::lock;

/// People known before that are asked for in place of a canary.
const WITNESSES_MAX: usize = 3;
/// How long a test with a random name counts, in microseconds.
pub const RANDOM_TEST_MICROSECONDS_MAX: i64 = 3_600_000_000;
/// How soon one that failed is repeated by the background, in microseconds.
pub const RETEST_MICROSECONDS: i64 = 60_000_000;
/// Troubles in a row after which a source counts as down.
const SILENT_TROUBLES_MIN: u32 = 3;
/// People who turned unknown are counted over seven days.
const TURNED_MICROSECONDS_MAX: i64 = 7 * 86_400_000_000;
/// So many must have turned before their share is looked at.
const TURNED_MIN: usize = 20;
/// Turned people that are counted; more would change nothing.
const TURNED_KEPT_MAX: usize = 100_000;

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
    /// Who turned unknown, and when; whoever is there again has not.
    turned: Mutex<HashMap<u64, i64>>,
    seen: Mutex<(Seen, String)>,
    /// One check at a time: whoever waits takes the result.
    checking: tokio::sync::Mutex<()>,
    /// It was asked since the background last looked.
    pub is_in_use: AtomicBool,
}

/// An address that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its key in memory.
    pub key: u64,
    /// When that began, in microseconds of [`clock::uptime_microseconds`].
    pub at: i64,
}

/// An address that is said not to be there.
#[derive(Clone, Copy)]
pub struct Missing<'a> {
    /// Its key in memory.
    pub key: u64,
    /// It was there before.
    pub was_known: bool,
    /// How many of its domain are known; asked only when that may be too few.
    pub known: &'a (dyn Fn() -> usize + Sync),
}

/// Takes events about a process: name, subject, detail.
pub type Teller = Arc<dyn Fn(&'static str, &str, &str) + Send + Sync>;

/// Judges what one source says.
pub struct Trust {
    /// Who is judged, and the event that tells of another class.
    name: Arc<str>,
    event: &'static str,
    live: Arc<dyn LiveSource>,
    /// In the order of the scope.
    pub domains: Vec<DomainTrust>,
    vouch_microseconds: i64,
    troubles: AtomicU32,
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
        };
        Self {
            name: Arc::clone(live.name()),
            event: "SourceClassChanged",
            live,
            domains: domains.into_iter().map(trust).collect(),
            vouch_microseconds: i64::from(vouch_milliseconds) * 1_000,
            troubles: AtomicU32::new(0),
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

    /// Whether a yes may be believed; tests the source when that is due.
    /// # Errors
    /// Why not.
    pub async fn judge_yes(
        &self,
        place: usize,
        known: &Mailbox,
        asked: Asked,
    ) -> Result<(), Doubt> {
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
        domain.remember_witness(known);
        lock(&domain.turned).remove(&asked.key);
        if domain.canary.is_none() {
            // What was answered may be older than the answer's arrival, but not than the question.
            self.vouched_at(place, asked.at);
        }
        Ok(())
    }

    /// Whether a no may be believed.
    /// # Errors
    /// Why not.
    pub async fn judge_no(&self, place: usize, missing: Missing<'_>) -> Result<(), Doubt> {
        let domain = &self.domains[place];
        let answered = now();
        let was_known = missing.was_known || lock(&domain.turned).contains_key(&missing.key);
        let needed = match was_known {
            // Somebody who was there is gone: nothing from before this answer speaks for it.
            true => answered,
            false => answered - self.vouch_microseconds,
        };
        if domain.vouched.load(Relaxed) < needed {
            let _turn = domain.checking.lock().await;
            if domain.vouched.load(Relaxed) < needed {
                self.ask_witnesses(place).await?;
            }
        }
        match was_known {
            true => self.count_turned(place, missing),
            false => Ok(()),
        }
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

    fn vouched_at(&self, place: usize, at: i64) {
        self.domains[place].vouched.fetch_max(at, Relaxed);
        // Nothing changes nearly always, and then nothing is locked.
        if lock(&self.domains[place].seen).0.denies_known
            && lock(&self.domains[place].turned).len() < TURNED_MIN
        {
            self.change(place, "it knows whom it must know", |seen| seen.denies_known = false);
        }
    }

    /// Notes that somebody who was there is gone, and whether those are too many.
    fn count_turned(&self, place: usize, missing: Missing<'_>) -> Result<(), Doubt> {
        let now = now();
        let turned = {
            let mut turned = lock(&self.domains[place].turned);
            turned.retain(|_, at| now - *at <= TURNED_MICROSECONDS_MAX);
            if turned.len() < TURNED_KEPT_MAX {
                turned.insert(missing.key, now);
            }
            turned.len()
        };
        if turned < TURNED_MIN {
            return Ok(());
        }
        // Whoever is in question is known as well, unless it turned before.
        let known = (missing.known)().saturating_sub(usize::from(missing.was_known));
        if turned * 5 > known + turned {
            let doubt = Doubt::Turned { turned, known };
            self.change(place, &doubt.to_string(), |seen| seen.denies_known = true);
            return Err(doubt);
        }
        Ok(())
    }

    /// The keys of those who turned unknown.
    #[must_use]
    pub fn turned(&self, place: usize) -> Vec<u64> {
        lock(&self.domains[place].turned).keys().copied().collect()
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
        if self.troubles.load(Relaxed) == 0 {
            return;
        }
        self.troubles.store(0, Relaxed);
        for place in 0..self.domains.len() {
            self.change(place, "it answers", |seen| seen.is_silent = false);
        }
    }

    /// Notes that it did not.
    pub fn troubled(&self, trouble: &Trouble) {
        if trouble.kind == TroubleKind::Busy {
            return;
        }
        let troubles = self.troubles.fetch_add(1, Relaxed).saturating_add(1);
        if troubles >= SILENT_TROUBLES_MIN {
            for place in 0..self.domains.len() {
                self.change(place, &trouble.to_string(), |seen| seen.is_silent = true);
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
        let _turn = self.domains[place].checking.lock().await;
        self.test(place).await?;
        match self.ask_witnesses(place).await {
            Err(Doubt::NeverKnewAnybody) => Ok(()),
            result => result,
        }
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
        if accepts
            && let Some(asking) = Arc::clone(&self.live).ask_late(nobody.clone())
            && matches!(asking.await, Ok(Said::Unknown))
        {
            manners.is_late = true;
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
    /// The class for this domain, and why.
    #[must_use]
    pub fn class(&self) -> (Class, String) {
        let seen = lock(&self.seen);
        (seen.0.class(), seen.1.clone())
    }

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
    let local_part = format!("postern-{:016x}", getrandom::u64().ok()?);
    Some(Mailbox {
        local_part: LocalPart::new(&local_part).ok()?,
        host: Host::Domain(domain.clone()),
    })
}

/// In microseconds: what was said before and what was said after must not fall together.
fn now() -> i64 {
    clock::uptime_microseconds()
}
