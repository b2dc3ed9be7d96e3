//! A bounded map from addresses to something. When it is full, the least worthy of a few entries
//! drawn at random makes room: no list is kept in order, and no flood can choose who goes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Entries that are compared when one must go.
const DRAWN: usize = 8;

/// The map.
#[derive(Debug)]
pub(super) struct Table<V> {
    places: HashMap<Arc<str>, u32>,
    entries: Vec<(Arc<str>, V)>,
    addresses_max: usize,
    /// Drawn from; seeded so that nobody can know who is drawn.
    random: u64,
}

impl<V> Table<V> {
    pub(super) fn new(addresses_max: usize) -> Self {
        let random = RandomState::new().hash_one(0) | 1;
        Self { places: HashMap::new(), entries: Vec::new(), addresses_max, random }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.addresses_max
    }

    pub(super) fn find(&self, address: &str) -> Option<&V> {
        let place = *self.places.get(address)?;
        self.entries.get(place as usize).map(|(_, value)| value)
    }

    pub(super) fn find_mut(&mut self, address: &str) -> Option<&mut V> {
        let place = *self.places.get(address)?;
        self.entries.get_mut(place as usize).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, address: &str) -> Option<V> {
        let place = self.places.remove(address)?;
        let (_, value) = self.entries.swap_remove(place as usize);
        if let Some((moved, _)) = self.entries.get(place as usize) {
            self.places.insert(Arc::clone(moved), place);
        }
        Some(value)
    }

    /// Adds an address that is not there yet; says who had to make room.
    pub(super) fn insert(
        &mut self,
        address: &str,
        value: V,
        worth: impl Fn(&V) -> f64,
    ) -> Option<Arc<str>> {
        let evicted = if self.is_full() { self.least(worth) } else { None };
        if let Some(evicted) = &evicted {
            self.remove(evicted);
        }
        let address: Arc<str> = address.into();
        let place = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push((Arc::clone(&address), value));
        self.places.insert(address, place);
        evicted
    }

    fn least(&mut self, worth: impl Fn(&V) -> f64) -> Option<Arc<str>> {
        let mut least: Option<(f64, usize)> = None;
        for _ in 0..DRAWN.min(self.entries.len()) {
            let place = self.draw();
            let worth = worth(&self.entries[place].1);
            if least.is_none_or(|(other, _)| worth < other) {
                least = Some((worth, place));
            }
        }
        least.map(|(_, place)| Arc::clone(&self.entries[place].0))
    }

    /// Of at least one entry. A xorshift: it need not be good, only not to be foreseen.
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 16).unwrap_or(0) % self.entries.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.entries.iter().map(|(address, value)| (address, value))
    }
}
