//! What sessions share: the configuration in force, who is connected, what is remembered.
//! [`ActiveConfig`] is swapped whole on reload; a session keeps the one it began with.

use crate::config::built::Config;
use crate::next_hop::Hops;
use crate::next_hop::meter::Meter;
use crate::observe::Observer;
use arc_swap::ArcSwap;
use directory::Directory;
use directory::learned::Learned;
use mail::smtp::extension::Offer;
use relay::client::{Client, Prefix};
use relay::event::Event;
use relay::ledger::Ledger;
use relay::moment::Moment;
use relay::policy::facts::Standing;
use relay::settings::{Harvest, ListenerTerms, NextHopId, Pressure};
use relay::split::SplitMemory;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use wire::content::ContentBudget;
use wire::dns::Resolver;
use wire::lock::{lock, random_key};
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

/// The ledger, in shards, so that sessions seldom wait for each other.
#[derive(Debug)]
pub struct Ledgers {
    key: (u64, u64),
    clients: Vec<Mutex<Ledger>>,
}

/// Shards by network, so that a client and its network stand in one.
const SHARDS: usize = 16;

impl Ledgers {
    /// Empty ones.
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> io::Result<Self> {
        let clients = (0..SHARDS).map(|_| Ok(Mutex::new(Ledger::new(random_key()?))));
        Ok(Self { key: random_key()?, clients: clients.collect::<io::Result<_>>()? })
    }

    /// What is known of a client.
    #[must_use]
    pub fn standing(&self, client: &Client, now: Moment) -> Standing {
        self.shard(client).standing(client, now)
    }

    /// Learns from an event.
    pub fn observe(&self, event: &Event<'_>, harvest: &Harvest, now: Moment) {
        let Some(scene) = event.scene.filter(|scene| !scene.client.limits_lifted) else { return };
        let shard_limits =
            Harvest { entries_max: harvest.entries_max.div_ceil(SHARDS as u32), ..harvest.clone() };
        self.shard(scene.client).observe(event, &shard_limits, now);
    }

    fn shard(&self, client: &Client) -> MutexGuard<'_, Ledger> {
        let shard = Prefix::network(client.address.ip()).spread(self.key) % SHARDS as u64;
        lock(&self.clients[shard as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::address::{ForwardPath, ReversePath};
    use mail::smtp::line::LineEndings;
    use mail::smtp::reply::SessionId;
    use relay::event::{Kind, Scene};
    use relay::policy::verdict::{Refusal, Words};
    use relay::policy::{Refuser, Stage};
    use std::net::Ipv4Addr;

    fn client(ip: Ipv4Addr) -> Client {
        Client {
            address: (ip, 1).into(),
            session: SessionId(1),
            limits_lifted: false,
            endings: LineEndings::Strict,
            tls: false,
        }
    }

    /// The shard of a network under a hash that everybody can compute, as it once was.
    fn computable(network: u32) -> u64 {
        (u64::from(network).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) % SHARDS as u64
    }

    #[test]
    fn nobody_can_choose_addresses_that_wash_a_block_away() {
        let ledgers = Ledgers::new().unwrap();
        let harvest = Harvest { entries_max: 1_000, client_unknown_max: 0, ..Harvest::default() };
        let guesser = client(Ipv4Addr::new(192, 0, 2, 1));
        let from = ReversePath::parse("<smith@bar.example>").unwrap();
        let path = ForwardPath::parse("<guess@example.com>").unwrap();
        let reply = Refusal::RecipientUnknown.reply();
        let kind = Kind::Refused {
            stage: Stage::Recipient,
            by: Refuser::Session,
            refusal: "recipient_unknown",
            reply: &reply,
            words: Words::Ours,
            forward_path: Some(&path),
            unknown: true,
        };
        let scene = Some(Scene { client: &guesser, hello: None, reverse_path: Some(&from) });
        ledgers.observe(&Event { scene, kind }, &harvest, Moment(0));
        assert!(ledgers.standing(&guesser, Moment(0)).harvest);
        let shard = computable(0x00c0_0002);
        let chosen = (0x0001_0000_u32..).filter(|network| computable(*network) == shard);
        for network in chosen.take(200) {
            let client = client(Ipv4Addr::from(network << 8));
            let scene = Some(Scene { client: &client, hello: None, reverse_path: None });
            ledgers.observe(&Event { scene, kind: Kind::SessionOpened }, &harvest, Moment(0));
        }
        assert!(ledgers.standing(&guesser, Moment(0)).harvest);
    }
}
