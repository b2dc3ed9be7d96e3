//! How a live source is tested: by a name that nobody has, and by people whom it must know. What
//! is believed of it is `relay/src/belief/credibility.rs`.

use super::trust::{Doubt, Trust, Unbelieved, now};
use super::{Existence, RcptReply, Tried, Trouble, TroubleKind};
use mail::address::{Domain, Host, LocalPart, Mailbox};
use relay::belief::credibility::Credibility;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wire::lock::lock;

/// How long a test may take beyond what a question may, whatever the source itself thinks: others
/// wait for it.
const TEST_MAX: Duration = Duration::from_secs(30);

/// What came of a test.
#[derive(Debug)]
pub(super) enum Tested {
    /// It has shown something, or nothing is to be found out.
    Done,
    /// The name was put off, and must be asked for again.
    PutOff(Trouble),
    /// It is another's turn to ask for such a name.
    NotYet,
}

impl Trust {
    /// Looks for the canary, or for people known before.
    pub(super) async fn ask_for_known(&self, place: usize) -> Result<(), Unbelieved> {
        let must_know = lock(&self.domains[place].credibility).must_know()?;
        for known in must_know {
            let begun = now();
            let said = Arc::clone(&self.live).ask(known).await.map_err(Unbelieved::Untested)?;
            self.answered();
            if matches!(said, Existence::Exists { .. }) {
                self.with(place, |credibility| ((), credibility.knows(begun, now())));
                return Ok(());
            }
        }
        Err(self.with(place, Credibility::knows_nobody).into())
    }

    /// Tests it, and looks for those it must know; for the background.
    /// # Errors
    /// What is wrong with it.
    pub async fn examine(&self, place: usize) -> Result<(), Unbelieved> {
        let examining = async {
            let _turn = self.domains[place].checking.lock().await;
            match self.test(place).await? {
                Tested::Done => {}
                Tested::PutOff(trouble) => return Err(Unbelieved::Untested(trouble)),
                Tested::NotYet => return Ok(()),
            }
            match self.ask_for_known(place).await {
                Err(Unbelieved::Doubted(Doubt::NeverKnewAnybody)) => Ok(()),
                result => result,
            }
        };
        let patience = TEST_MAX + self.live.question_max();
        tokio::time::timeout(patience, examining).await.unwrap_or_else(|_| {
            let what = format!("no answer to a test within {} seconds", patience.as_secs());
            Err(Unbelieved::Untested(Trouble::new(TroubleKind::Slow, what)))
        })
    }

    /// Asks for a name that nobody has.
    pub(super) async fn test(&self, place: usize) -> Result<Tested, Unbelieved> {
        let domain = &self.domains[place];
        // One that greylists answers whoever asks for the same again.
        let invented = lock(&domain.invented).clone().or_else(|| nobody(&domain.domain));
        let Some(nobody) = invented else { return Ok(Tested::Done) };
        *lock(&domain.invented) = Some(nobody.clone());
        let said = Arc::clone(&self.live).ask_for_nobody(nobody.clone()).await;
        // What was asked is from the connection that is there now.
        let epoch = self.live.epoch();
        let mut behaviour = self.live.behaviour();
        let reply = said.as_ref().err().and_then(|trouble| trouble.at_rcpt);
        let accepts = match said {
            Ok(Tried::NotYet) => return Ok(Tested::NotYet),
            Ok(Tried::Said(said)) => {
                self.answered();
                matches!(said, Existence::Exists { .. })
            }
            Err(trouble) if reply.is_some_and(RcptReply::puts_off) => {
                return Ok(self.was_put_off(place, epoch, trouble));
            }
            Err(trouble) if trouble.kind != TroubleKind::Unexpected => {
                return Err(Unbelieved::Untested(trouble));
            }
            // It was reached and did not say yes, and there is something to which it does.
            Err(_) if self.has_answered.load(Relaxed) => false,
            // Perhaps it can say neither: a wrong place in its JSON would look the same.
            Err(trouble) => {
                lock(&domain.credibility).tested_in_vain(epoch, now(), &trouble.to_string());
                return Err(Unbelieved::Untested(trouble));
            }
        };
        {
            let mut credibility = lock(&domain.credibility);
            credibility.tested(epoch, now(), accepts);
            reply.into_iter().for_each(|reply| credibility.refuses_by(reply));
        }
        *lock(&domain.invented) = None;
        if accepts {
            // What it refused late before says nothing of now.
            let asking = Arc::clone(&self.live).ask_late(nobody.clone());
            behaviour.is_late = match asking {
                Some(asking) => matches!(asking.await, Ok(Existence::Unknown)),
                None => false,
            };
        }
        let why = match (accepts, behaviour.is_late) {
            (true, true) => format!("it takes {nobody} at RCPT and refuses it behind DATA"),
            (true, false) => format!("it says yes to {nobody}, which nobody has"),
            (false, true) => format!("it refuses {nobody}, but only behind DATA"),
            (false, false) => format!("it does not say yes to {nobody}"),
        };
        self.with(place, |credibility| ((), credibility.shown(accepts, behaviour, &why)));
        Ok(Tested::Done)
    }

    /// It put the name off: that shows something only when it goes on.
    fn was_put_off(&self, place: usize, epoch: u64, trouble: Trouble) -> Tested {
        let why = format!("it puts off an address that nobody has: {trouble}");
        self.with(place, |credibility| ((), credibility.put_off(epoch, now(), &why)));
        if self.needs_test(place) { Tested::PutOff(trouble) } else { Tested::Done }
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
