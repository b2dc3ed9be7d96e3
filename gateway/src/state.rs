//! What sessions share: the configuration in force, who is connected, what is remembered.
//! [`ActiveConfig`] is swapped whole on reload; a session keeps the one it began with.

use crate::config::built::Config;
use crate::ledgers::Ledgers;
use crate::next_hop::Hops;
use crate::next_hop::meter::Meter;
use crate::observe::Observer;
use arc_swap::ArcSwap;
use directory::Directory;
use directory::learned::Learned;
use mail::smtp::extension::Offer;
use relay::settings::{ListenerTerms, NextHopId, Pressure};
use relay::split::SplitMemory;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use wire::content::ContentBudget;
use wire::dns::Resolver;
use wire::slots::Slots;

/// One configuration, ready to use.
pub struct ActiveConfig {
    /// What was written.
    pub config: Config,
    /// Which recipients exist.
    pub directory: Arc<Directory>,
    /// Who takes mail.
    pub hops: Hops,
    /// What those who take it have shown themselves to be.
    pub meter: Arc<Meter>,
    /// What the DNS calls clients, where a rule wants to know.
    pub dns: Option<Arc<Resolver>>,
    /// What handshakes with clients go by.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl ActiveConfig {
    /// Whether a next hop is known to refuse recipients that are not there. As long as nobody
    /// finds that out, no next hop's 250 proves anything.
    #[must_use]
    pub fn is_honest(&self, next_hop: NextHopId) -> bool {
        self.meter.class(next_hop).is_honest()
    }

    /// What EHLO may promise now.
    #[must_use]
    pub fn offer(&self, listener: &ListenerTerms, start_tls: bool) -> Offer {
        self.hops.offer(listener.offer(&self.config.settings.limits, start_tls))
    }
}

/// What outlives a reload.
pub struct State {
    /// The configuration in force.
    pub active: ArcSwap<ActiveConfig>,
    /// Who is connected.
    pub slots: Arc<Slots>,
    /// What content may take in memory and on disk.
    pub content_budget: Arc<ContentBudget>,
    /// What each client did lately.
    pub ledgers: Ledgers,
    /// What mail itself has shown of who exists.
    pub learned: Arc<Learned>,
    /// Envelopes to be sent one by one.
    pub split: Mutex<SplitMemory>,
    /// Log and figures.
    pub observer: Observer,
    /// Set once, when we go down.
    pub draining: Arc<AtomicBool>,
    /// Wakes sessions that wait.
    pub conditions: watch::Sender<Conditions>,
}

/// What changes for everybody at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// We go down.
    pub draining: bool,
    /// How loaded we are, as sessions that wait were told last.
    pub pressure: Pressure,
}

impl State {
    /// Tells sessions that wait how loaded we are, when that has changed. All of them wake up for
    /// it, so it is not for every connection that comes or goes.
    pub fn tell_pressure(&self) {
        let pressure = self.slots.pressure();
        self.conditions.send_if_modified(|conditions| {
            std::mem::replace(&mut conditions.pressure, pressure) != pressure
        });
    }
}
