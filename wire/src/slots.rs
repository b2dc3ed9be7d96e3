//! Who is connected: how many in all and how many of each client. A slot is given back by itself.

use relay::client::Prefix;
use relay::settings::Pressure;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All slots.
#[derive(Debug)]
pub struct Slots {
    taken: AtomicU32,
    max: AtomicU32,
    /// By client, and by network.
    clients: Mutex<HashMap<Prefix, u32>>,
}

/// One connection's slot.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    /// Counted by client and by network, unless its limits are lifted.
    counted: Option<[Prefix; 2]>,
    /// Connections in all, this one included.
    pub taken: u32,
    /// Connections of this client, this one included.
    pub taken_by_client: u32,
    /// Connections of the network around it, this one included.
    pub taken_by_network: u32,
}

impl Slots {
    /// So many at most.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self { taken: AtomicU32::new(0), max: AtomicU32::new(max), clients: Mutex::default() }
    }

    /// Changes how many there are.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Relaxed)
    }

    /// Connections now.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How loaded we are: limits tighten at 70 % and 90 %.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let (taken, max) = (u64::from(self.taken()), u64::from(self.max()));
        match taken * 100 {
            share if share > max * 90 => Pressure::Stress,
            share if share > max * 70 => Pressure::Busy,
            _ => Pressure::Normal,
        }
    }

    /// Takes a slot, even beyond the limit: whoever is too many is told so, and leaves.
    #[must_use]
    pub fn take(self: &Arc<Self>, ip: IpAddr, limits_lifted: bool) -> Slot {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let counted = (!limits_lifted).then(|| [Prefix::client(ip), Prefix::network(ip)]);
        let [taken_by_client, taken_by_network] = counted.map_or([1, 1], |both| {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            both.map(|prefix| {
                let count = clients.entry(prefix).or_default();
                *count += 1;
                *count
            })
        });
        Slot { slots: Arc::clone(self), counted, taken, taken_by_client, taken_by_network }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(counted) = self.counted else { return };
        let mut clients = self.slots.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for prefix in counted {
            if let Some(count) = clients.get_mut(&prefix) {
                *count -= 1;
                if *count == 0 {
                    clients.remove(&prefix);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_and_given_back() {
        let slots = Arc::new(Slots::new(10));
        let ip = "192.0.2.1".parse().unwrap();
        let all: Vec<Slot> = (0..8).map(|_| slots.take(ip, false)).collect();
        let neighbour = slots.take("192.0.2.2".parse().unwrap(), false);
        assert_eq!((all[7].taken, all[7].taken_by_client, all[7].taken_by_network), (8, 8, 8));
        assert_eq!((neighbour.taken_by_client, neighbour.taken_by_network), (1, 9));
        drop(neighbour);
        assert_eq!(slots.pressure(), Pressure::Busy);
        drop(all);
        assert_eq!((slots.taken(), slots.pressure()), (0, Pressure::Normal));
        assert!(slots.clients.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_session_that_panics_gives_its_slot_back() {
        let slots = Arc::new(Slots::new(10));
        let slot = slots.take("192.0.2.1".parse().unwrap(), false);
        let session = tokio::spawn(async move {
            let _slot = slot;
            panic!("a bug");
        });
        assert!(session.await.is_err());
        assert_eq!(slots.taken(), 0);
    }
}
