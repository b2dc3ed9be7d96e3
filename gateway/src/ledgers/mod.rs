//! The ledger of all threads: in shards, so that sessions seldom wait for each other, with what all
//! strangers have in common beside them.

pub mod stored;

use relay::client::{Client, Prefix};
use relay::event::Event;
use relay::ledger::{Block, Ledger, Summary, UnknownShare};
use relay::moment::Moment;
use relay::policy::facts::Standing;
use relay::settings::Harvest;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use wire::lock::{lock, random_key};

/// Shards by network, so that a client and its network stand in one.
const SHARDS: usize = 16;

/// What each client did lately.
#[derive(Debug)]
pub struct Ledgers {
    key: (u64, u64),
    clients: Vec<Mutex<Ledger>>,
    strangers: Mutex<UnknownShare>,
    /// What `strangers` said last, so that only what strangers do takes that lock.
    halvings: AtomicU32,
}

impl Ledgers {
    /// Empty ones.
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> io::Result<Self> {
        let clients = (0..SHARDS).map(|_| Ok(Mutex::new(Ledger::new(random_key()?))));
        Ok(Self {
            key: random_key()?,
            clients: clients.collect::<io::Result<_>>()?,
            strangers: Mutex::default(),
            halvings: AtomicU32::new(0),
        })
    }

    /// What is known of a client.
    #[must_use]
    pub fn standing(&self, client: &Client, now: Moment) -> Standing {
        self.shard(Prefix::network(client.address.ip())).standing(client, now)
    }

    /// Learns from an event; says whose recipients are put off from now on.
    pub fn observe(&self, event: &Event<'_>, harvest: &Harvest, now: Moment) -> Option<Block> {
        let scene = event.scene.filter(|scene| !scene.client.limits_lifted)?;
        let halvings = self.halvings.load(Ordering::Relaxed);
        let noted = self.shard(Prefix::network(scene.client.address.ip())).observe(
            event,
            &of_shard(harvest),
            halvings,
            now,
        );
        if let Some(is_unknown) = noted.stranger_named_unknown {
            let mut strangers = lock(&self.strangers);
            strangers.add(is_unknown, now);
            self.halvings.store(strangers.halvings(now), Ordering::Relaxed);
        }
        noted.block
    }

    /// Time has passed: strangers may have stopped to guess.
    pub fn relax(&self, now: Moment) {
        self.halvings.store(lock(&self.strangers).halvings(now), Ordering::Relaxed);
    }

    /// How often limits for strangers are halved now.
    #[must_use]
    pub fn halvings(&self) -> u32 {
        self.halvings.load(Ordering::Relaxed)
    }

    /// What is known of a client or a network.
    #[must_use]
    pub fn summary(&self, prefix: Prefix, harvest: &Harvest, now: Moment) -> Option<Summary> {
        self.shard(network(prefix)).summary(prefix, harvest, now)
    }

    /// All that are put off, and, where asked for, all for whom mail was delivered within a week.
    #[must_use]
    pub fn summaries(&self, also_delivered: bool, harvest: &Harvest, now: Moment) -> Vec<Summary> {
        let of = |ledger: &Mutex<Ledger>| lock(ledger).summaries(also_delivered, harvest, now);
        self.clients.iter().flat_map(of).collect()
    }

    /// Lets a client or a network in again; says whether it was put off.
    #[must_use]
    pub fn lift(&self, prefix: Prefix, now: Moment) -> bool {
        self.shard(network(prefix)).lift(prefix, now)
    }

    /// Takes what was known before a restart.
    pub fn restore(&self, kept: &Summary, days_ago: u64, harvest: &Harvest, now: Moment) {
        self.shard(network(kept.prefix)).restore(kept, days_ago, &of_shard(harvest), now);
    }

    fn shard(&self, network: Prefix) -> MutexGuard<'_, Ledger> {
        let shard = network.spread(self.key) % SHARDS as u64;
        lock(&self.clients[shard as usize])
    }
}

fn network(prefix: Prefix) -> Prefix {
    prefix.around().unwrap_or(prefix)
}

fn of_shard(harvest: &Harvest) -> Harvest {
    Harvest { entries_max: harvest.entries_max.div_ceil(SHARDS as u32), ..harvest.clone() }
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
        let scene =
            Some(Scene { client: &guesser, hello: None, reverse_path: Some(&from), accepted: 0 });
        ledgers.observe(&Event { scene, kind }, &harvest, Moment(0));
        assert!(ledgers.standing(&guesser, Moment(0)).harvest);
        let shard = computable(0x00c0_0002);
        let chosen = (0x0001_0000_u32..).filter(|network| computable(*network) == shard);
        for network in chosen.take(200) {
            let client = client(Ipv4Addr::from(network << 8));
            let scene =
                Some(Scene { client: &client, hello: None, reverse_path: None, accepted: 0 });
            ledgers.observe(&Event { scene, kind: Kind::SessionOpened }, &harvest, Moment(0));
        }
        assert!(ledgers.standing(&guesser, Moment(0)).harvest);
    }
}
