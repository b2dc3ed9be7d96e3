//! How a live source is tested: by a name that nobody has, and by people whom it must know. What
//! is believed of it is `trust.rs`.

use super::class::Class;
use super::trust::{Doubt, Trust, now};
use super::{Said, Trouble, TroubleKind};
use crate::state::lock;
use mail::address::{Domain, Host, LocalPart, Mailbox};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long a test with a random name counts, in microseconds.
const RANDOM_TEST_MICROSECONDS_MAX: i64 = 3_600_000_000;
/// How soon one that failed is repeated by the background, in microseconds.
const RETEST_MICROSECONDS: i64 = 60_000_000;
/// How long a test may take whatever the source itself thinks: others wait for it.
const TEST_MAX: Duration = Duration::from_secs(30);

/// The last test with a random name.
#[derive(Clone, Copy, Debug)]
pub(super) struct RandomTest {
    /// Of whom it asks.
    epoch: u64,
    /// In microseconds.
    at: i64,
    /// Nothing where it was reached and said neither yes nor no, and had never done so.
    pub(super) accepts: Option<bool>,
}

impl Trust {
    /// Looks for the canary, or for people known before.
    pub(super) async fn ask_witnesses(&self, place: usize) -> Result<(), Doubt> {
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
            let said = Arc::clone(&self.live).ask(witness).await.map_err(Doubt::Untested)?;
            self.answered();
            if matches!(said, Said::Exists { .. }) {
                self.vouched_at(place, begun);
                return Ok(());
            }
        }
        let doubt = match &domain.canary {
            Some(canary) => Doubt::CanaryGone(canary.clone()),
            None => Doubt::WitnessesGone { source: Arc::clone(&self.name) },
        };
        // What it knew before says nothing of what it knows now.
        domain.vouched.store(i64::MIN, Relaxed);
        self.change(place, &doubt.to_string(), |seen| seen.denies_known = true);
        Err(doubt)
    }

    pub(super) fn is_tested(&self, place: usize) -> bool {
        let (epoch, has_answered) = (self.live.epoch(), self.has_answered.load(Relaxed));
        lock(&self.domains[place].test).is_some_and(|test| {
            let is_recent = now() - test.at < RANDOM_TEST_MICROSECONDS_MAX;
            // One that said nothing says more when it is repeated behind the first answer.
            test.epoch == epoch && is_recent && (test.accepts.is_some() || !has_answered)
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
    pub(super) async fn test(&self, place: usize) -> Result<(), Doubt> {
        let domain = &self.domains[place];
        let Some(nobody) = nobody(&domain.domain) else { return Ok(()) };
        let said = Arc::clone(&self.live).ask(nobody.clone()).await;
        // What was asked is from the connection that is there now.
        let epoch = self.live.epoch();
        let mut manners = self.live.manners();
        let remember = |accepts| {
            *lock(&domain.test) = Some(RandomTest { epoch, at: now(), accepts });
        };
        let accepts = match said {
            Ok(said) => {
                self.answered();
                matches!(said, Said::Exists { .. })
            }
            Err(trouble) if trouble.kind != TroubleKind::Unexpected => {
                return Err(Doubt::Untested(trouble));
            }
            // It was reached and did not say yes, and there is something to which it does.
            Err(_) if self.has_answered.load(Relaxed) => false,
            // Perhaps it can say neither: a wrong place in its JSON would look the same.
            Err(trouble) => {
                remember(None);
                self.change(place, &trouble.to_string(), |_| {});
                return Err(Doubt::Untested(trouble));
            }
        };
        remember(Some(accepts));
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
