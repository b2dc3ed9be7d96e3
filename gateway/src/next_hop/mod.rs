//! Towards the servers behind us: which hosts, how many connections, and what was said on them.
//! [`Hops`] is the list that `NextHopId` counts into; [`Transaction`] is one client's way to one.

pub mod meter;
pub mod pool;
pub mod transaction;
pub mod trial;

use mail::smtp::extension::Offer;
use pool::NextHop;
use relay::settings::NextHopId;
use std::collections::HashMap;
use std::sync::Arc;

pub use transaction::Transaction;

/// All next hops.
#[derive(Clone)]
pub struct Hops(pub Vec<Arc<NextHop>>);

impl Hops {
    /// One of them.
    #[must_use]
    pub fn find(&self, id: NextHopId) -> Option<&Arc<NextHop>> {
        self.0.get(id.0 as usize)
    }

    /// What can be promised to clients, given what each next hop has offered lately: the least of
    /// all that were heard. One that is not heard yet lowers nothing: one dead server would else
    /// take 8BITMIME from the mail of all others, and senders then rewrite what is signed. Where it
    /// turns out to lack it, that message waits.
    #[must_use]
    pub fn offer(&self, ours: Offer) -> Offer {
        let heard = self.0.iter().filter_map(|hop| hop.capabilities());
        heard.fold(ours, |offer, capabilities| offer.within(&capabilities))
    }

    /// Takes over what the hosts of these have offered, so that a reload does not promise clients
    /// less until each has been heard again.
    pub fn recall(&self, before: &Self) {
        let known: HashMap<_, _> = before.0.iter().flat_map(|hop| hop.offers()).collect();
        self.0.iter().for_each(|hop| hop.recall(&known));
    }

    /// Makes one connection to each that is not known, to learn what they offer before anybody
    /// asks.
    pub fn greet(&self) {
        for hop in &self.0 {
            let hop = Arc::clone(hop);
            // One that does not answer is not waited for by the others.
            tokio::spawn(async move { hop.greet().await });
        }
    }
}
