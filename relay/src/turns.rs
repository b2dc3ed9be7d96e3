//! Whose turn it is: the slots of something scarce, given out by turns of network and client and
//! not by order of arrival. Whoever asks a thousand times stands in line once.
//!
//! While others wait, no client holds more than an eighth of the slots and no network more than a
//! quarter, one at least. Who is over his share is passed over for those below theirs, and what he
//! holds is called back for them. Nothing is left empty by that: whoever is alone may have all.
//!
//! `W` is whatever wakes who waits, `H` whatever calls a lease back from its holder.
//! Limits: who joins or leaves the line is looked for in it, network by network.

use crate::client::Prefix;
use crate::moment::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Slots for each one that a client may hold while others wait.
const CLIENT_PART: u32 = 8;
/// Slots for each one that a network may hold while others wait.
const NETWORK_PART: u32 = 4;
/// Younger leases within their holder's share are left alone: a client that is quick needs less
/// from RCPT to the final dot. Others are called back while their client is waited for, which costs
/// the next hop the envelope once more, and whoever waits the least.
const AGE_MILLISECONDS_MIN: u64 = 100;

/// On whose behalf somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    client: Option<Prefix>,
    network: Option<Prefix>,
    is_bounded: bool,
}

impl Party {
    /// Nobody in particular: it takes turns as one client of one network, and has no share.
    pub const NAMELESS: Self = Self { client: None, network: None, is_bounded: false };

    /// A client. One whose limits are lifted has no share, and its neighbours are none of its
    /// business: it takes turns as a network of its own.
    #[must_use]
    pub fn of(address: IpAddr, limits_lifted: bool) -> Self {
        let client = Prefix::client(address);
        let network = if limits_lifted { client } else { Prefix::network(address) };
        Self { client: Some(client), network: Some(network), is_bounded: !limits_lifted }
    }
}

/// The slots, who has them, and who waits for one.
#[derive(Debug)]
pub struct Turns<W, H> {
    slots_max: u32,
    last: u64,
    /// By number, so the oldest first.
    leases: BTreeMap<u64, Lease<H>>,
    clients: Shares,
    networks: Shares,
    /// Leases that were called back and have not ended yet.
    coming: u32,
    line: Line<Line<VecDeque<Waiter<W>>>>,
}

/// In the order of their turns: who is served goes to the end.
type Line<L> = VecDeque<(Option<Prefix>, L)>;

#[derive(Debug)]
struct Waiter<W> {
    number: u64,
    party: Party,
    waker: W,
}

#[derive(Debug)]
struct Lease<H> {
    /// Nobody any more, once it was called back.
    party: Option<Party>,
    since: Moment,
    holder: H,
}

/// What each holds of what it may.
#[derive(Debug)]
struct Shares {
    each_max: u32,
    held: BTreeMap<Prefix, u32>,
    /// How many hold more.
    over: u32,
}

impl Shares {
    fn new(each_max: u32) -> Self {
        Self { each_max: each_max.max(1), held: BTreeMap::new(), over: 0 }
    }

    fn held(&self, of: Option<Prefix>) -> u32 {
        of.and_then(|of| self.held.get(&of)).copied().unwrap_or(0)
    }

    fn is_full(&self, of: Option<Prefix>) -> bool {
        self.held(of) >= self.each_max
    }

    fn is_over(&self, of: Option<Prefix>) -> bool {
        self.held(of) > self.each_max
    }

    fn add(&mut self, of: Option<Prefix>) {
        let Some(of) = of else { return };
        let held = self.held.entry(of).or_default();
        *held += 1;
        self.over += u32::from(*held == self.each_max + 1);
    }

    fn remove(&mut self, of: Option<Prefix>) {
        let Some((of, held)) = of.and_then(|of| Some((of, self.held.get_mut(&of)?))) else {
            return;
        };
        self.over -= u32::from(*held == self.each_max + 1);
        *held -= 1;
        if *held == 0 {
            self.held.remove(&of);
        }
    }
}

impl<W, H> Turns<W, H> {
    /// So many slots, all free.
    #[must_use]
    pub fn new(slots_max: u32) -> Self {
        Self {
            slots_max,
            last: 0,
            leases: BTreeMap::new(),
            clients: Shares::new(slots_max / CLIENT_PART),
            networks: Shares::new(slots_max / NETWORK_PART),
            coming: 0,
            line: VecDeque::new(),
        }
    }

    /// The number of a lease that begins at once; nothing where every slot is taken.
    pub fn try_take(&mut self, party: Party, now: Moment, holder: H) -> Option<u64> {
        self.is_free().then(|| self.begin(party, now, holder))
    }

    /// Stands in line; the number is for [`Turns::leave`].
    pub fn join(&mut self, party: Party, waker: W) -> u64 {
        let number = self.number();
        let clients = entry(&mut self.line, party.network);
        entry(clients, party.client).push_back(Waiter { number, party, waker });
        number
    }

    /// Waits no longer. Nothing happens if it was served meanwhile.
    pub fn leave(&mut self, party: Party, number: u64) {
        let Some(at) = position(&self.line, party.network) else { return };
        let clients = &mut self.line[at].1;
        let Some(client_at) = position(clients, party.client) else { return };
        let waiters = &mut clients[client_at].1;
        waiters.retain(|waiter| waiter.number != number);
        if waiters.is_empty() {
            clients.remove(client_at);
        }
        if clients.is_empty() {
            self.line.remove(at);
        }
    }

    /// The lease counts from now: what came before was no fault of its holder's.
    pub fn restart(&mut self, number: u64, now: Moment) {
        if let Some(lease) = self.leases.get_mut(&number) {
            lease.since = now;
        }
    }

    /// The lease is over.
    pub fn end(&mut self, number: u64) {
        match self.leases.remove(&number) {
            Some(Lease { party: Some(party), .. }) => self.discharge(party),
            Some(Lease { party: None, .. }) => self.coming -= 1,
            None => {}
        }
    }

    /// Gives a free slot to whose turn it is: what wakes him, the holder that `begin` makes of him,
    /// and the number of his lease. Nothing where no slot is free or nobody waits.
    pub fn serve(&mut self, now: Moment, begin: impl FnOnce(Party) -> H) -> Option<(W, H, u64)>
    where
        H: Clone,
    {
        if !self.is_free() {
            return None;
        }
        let (network_at, client_at) = self.first()?;
        let (network, mut clients) = self.line.remove(network_at)?;
        let (client, mut waiters) = clients.remove(client_at)?;
        let served = waiters.pop_front();
        if !waiters.is_empty() {
            clients.push_back((client, waiters));
        }
        if !clients.is_empty() {
            self.line.push_back((network, clients));
        }
        let Waiter { party, waker, .. } = served?;
        let holder = begin(party);
        Some((waker, holder.clone(), self.begin(party, now, holder)))
    }

    /// Calls back what is held unfairly, for somebody who waits: the oldest lease of who is over
    /// his share, however young, if the waiter is below his. `try_recall` says whether the holder
    /// can do without; whether there was one.
    pub fn recall_unfair(&mut self, waiter: Party, try_recall: impl Fn(&H) -> bool) -> bool {
        let (clients, networks) = (&self.clients, &self.networks);
        // As many as stand in line is as many as can be served.
        let are_enough = self.coming as usize >= self.parties();
        if clients.over + networks.over == 0 || are_enough {
            return false;
        }
        // Whether the waiter would come first if the holder gave one back and asked for it again.
        let is_unfair = |lease: &&mut Lease<H>| {
            let Some(holder) = lease.party.filter(|holder| holder.is_bounded) else { return false };
            let crowded = match waiter.network == holder.network {
                true => networks.is_over(waiter.network),
                false => networks.is_full(waiter.network),
            };
            let waiting = (crowded, clients.is_full(waiter.client));
            let waiting = if waiter.is_bounded { waiting } else { (false, false) };
            waiter.client != holder.client
                && waiting < (networks.is_over(holder.network), clients.is_over(holder.client))
        };
        let lease = self.leases.values_mut().filter(is_unfair).find(|l| try_recall(&l.holder));
        let party = lease.and_then(|lease| lease.party.take());
        self.called_back(party)
    }

    /// Calls back the oldest lease that is old enough, whoever holds it. `try_recall` says whether
    /// the holder can do without; whether there was one.
    pub fn recall_old(&mut self, now: Moment, try_recall: impl Fn(&H) -> bool) -> bool {
        let is_old = |l: &&mut Lease<H>| now.milliseconds_since(l.since) >= AGE_MILLISECONDS_MIN;
        let mut old = self.leases.values_mut().filter(is_old);
        let lease = old.find(|lease| lease.party.is_some() && try_recall(&lease.holder));
        let party = lease.and_then(|lease| lease.party.take());
        self.called_back(party)
    }

    /// It counts for its holder no more, and its slot comes back.
    fn called_back(&mut self, holder: Option<Party>) -> bool {
        let Some(holder) = holder else { return false };
        self.discharge(holder);
        self.coming += 1;
        true
    }

    /// Where in the line the first stands of those who come first: who is below his share and whose
    /// network is; else whose network is; else who is himself. Only who holds slots can be over, so
    /// few are passed over.
    fn first(&self) -> Option<(usize, usize)> {
        let mut best: Option<((bool, bool), usize, usize)> = None;
        for (network_at, (network, clients)) in self.line.iter().enumerate() {
            let crowded = self.networks.is_full(*network);
            for (client_at, (client, waiters)) in clients.iter().enumerate() {
                let is_bounded = waiters.front().is_some_and(|waiter| waiter.party.is_bounded);
                let rank = (is_bounded && crowded, is_bounded && self.clients.is_full(*client));
                if best.is_none_or(|(best, ..)| rank < best) {
                    best = Some((rank, network_at, client_at));
                }
                match rank {
                    (false, false) => return Some((network_at, client_at)),
                    // There is nobody better in a network that has its share, but who has none.
                    (true, false) => break,
                    _ => {}
                }
            }
        }
        best.map(|(_, network_at, client_at)| (network_at, client_at))
    }

    fn begin(&mut self, party: Party, now: Moment, holder: H) -> u64 {
        let number = self.number();
        self.leases.insert(number, Lease { party: Some(party), since: now, holder });
        self.clients.add(party.client);
        self.networks.add(party.network);
        number
    }

    fn discharge(&mut self, party: Party) {
        self.clients.remove(party.client);
        self.networks.remove(party.network);
    }

    /// Clients that stand in line.
    fn parties(&self) -> usize {
        self.line.iter().map(|(_, clients)| clients.len()).sum()
    }

    fn is_free(&self) -> bool {
        self.leases.len() < self.slots_max as usize
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

fn position<L>(line: &Line<L>, who: Option<Prefix>) -> Option<usize> {
    line.iter().position(|(known, _)| *known == who)
}

/// Where it stands; at the end, if it is new.
fn entry<L: Default>(line: &mut Line<L>, who: Option<Prefix>) -> &mut L {
    let at = position(line, who).unwrap_or_else(|| {
        line.push_back((who, L::default()));
        line.len() - 1
    });
    &mut line[at].1
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
