//! Questions that are on their way to a live source: one for each address, however many wait for
//! it. What is made of the answer is `remembered.rs`.

use super::remembered::{MemoryKey, Remembered, Settled};
use super::{Trouble, TroubleKind};
use mail::address::{Host, LocalPart, Mailbox};
use relay::turns::Party;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use wire::lock::lock;

/// Addresses that one source may be asked for at a time; more are not answered.
const FLIGHTS_MAX: usize = 256;
/// How long an answer may take whatever the source itself thinks, with all checks around it.
const FLIGHT_SECONDS_MAX: u64 = 30;
/// For an answer that others may wait for as well.
pub(super) type Waiting = watch::Receiver<Option<Settled>>;

/// An address that is to be asked for.
pub(super) struct Wanted {
    pub(super) key: u64,
    mailbox: Mailbox,
    place: MemoryKey,
    party: Party,
}

impl Wanted {
    /// Asked for on behalf of this client, and not for us.
    pub(super) fn on_behalf_of(self, party: Party) -> Self {
        Self { party, ..self }
    }
}

/// One question on its way; whatever becomes of it, those who wait are told.
struct Flight {
    source: Arc<Remembered>,
    key: u64,
    sender: watch::Sender<Option<Settled>>,
}

impl Flight {
    async fn fly(self, mailbox: Mailbox, place: MemoryKey, party: Party) {
        let patience = Duration::from_secs(FLIGHT_SECONDS_MAX);
        let finding = self.source.find_out(self.key, &mailbox, &place, party);
        let settled = tokio::time::timeout(patience, finding).await;
        let settled = settled.unwrap_or_else(|_| self.source.last_known(self.key));
        // Off the list before it is told, so that nobody joins a flight that has landed.
        lock(&self.source.flights).remove(&self.key);
        let _ = self.sender.send(Some(settled));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.sender.borrow().is_none() {
            lock(&self.source.flights).remove(&self.key);
        }
    }
}

impl Remembered {
    /// Asks for an address, or joins those who wait for it already. Nothing when too many wait.
    pub(super) fn ask(&self, wanted: &Wanted) -> Option<Waiting> {
        let mut flights = lock(&self.flights);
        if let Some(waiting) = flights.get(&wanted.key) {
            return Some(waiting.clone());
        }
        if flights.len() >= FLIGHTS_MAX {
            drop(flights);
            self.note(&Trouble::new(
                TroubleKind::Busy,
                format!("{FLIGHTS_MAX} addresses are being asked for"),
            ));
            return None;
        }
        let runtime = Handle::try_current().ok().or_else(|| self.background.clone())?;
        let (sender, waiting) = watch::channel(None);
        flights.insert(wanted.key, waiting.clone());
        drop(flights);
        let flight = Flight { source: self.me.upgrade()?, key: wanted.key, sender };
        runtime.spawn(flight.fly(wanted.mailbox.clone(), wanted.place.clone(), wanted.party));
        Some(waiting)
    }

    /// What to ask for: nothing for a local part that is no address.
    pub(super) fn wanted(&self, local_part: &[u8], place: &MemoryKey) -> Option<Wanted> {
        let key = self.memory.key(local_part, &place.canonical);
        let local_part = LocalPart::new(str::from_utf8(local_part).ok()?).ok()?;
        let domain = self.trust.domains[place.index].domain.clone();
        let mailbox = Mailbox { local_part, host: Host::Domain(domain) };
        Some(Wanted { key, mailbox, place: place.clone(), party: Party::NAMELESS })
    }
}
