//! What was learned, in memory and, by the store, across restarts: 16 shards, each behind a lock
//! that nobody holds for longer than a look. Addresses with a positive lie apart from those
//! without one, so that a flood of invented names can only push out invented names.

use super::evidence::{Belief, Kind, Record, Sighting};
use super::table::Table;
use super::would_refuse::WouldRefuse;
use super::{Names, Unseen};
use crate::store::{KeptDoubt, KeptEvidence, Store, StoreError};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wire::clock;

/// Addresses with evidence for them; beyond these the weakest of a few goes.
pub const POSITIVE_ADDRESSES_MAX: usize = 500_000;
/// Addresses with evidence against them only; beyond these the oldest of a few goes.
pub const NEGATIVE_ADDRESSES_MAX: usize = 100_000;
/// Addresses in the report; beyond these the oldest of a few goes.
pub const REPORT_ADDRESSES_MAX: usize = 20_000;
/// A positive that follows another so closely is not written again: nothing follows from it.
const WRITTEN_AGAIN_SECONDS: u32 = 60;
/// Sightings that are written in any case, since they change what the evidence weighs.
const WRITTEN_SIGHTINGS: u32 = 8;

const SHARDS: usize = 16;

/// A recipient that was accepted although what was learned speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) refusal: WouldRefuse,
    pub(super) sighting: Sighting,
    pub(super) client: Box<str>,
    pub(super) reverse_path: Box<str>,
}

#[derive(Debug)]
pub(super) struct Shard {
    positives: Table<Record>,
    negatives: Table<Record>,
    doubts: Table<Doubt>,
}

/// What was learned.
#[derive(Debug)]
pub struct Learned {
    shards: Vec<RwLock<Shard>>,
    spread: RandomState,
    store: Store,
    would_refuse: AtomicU64,
}

/// What mail has shown about how many addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Addresses with evidence for them.
    pub positives: u64,
    /// Addresses with evidence against them only.
    pub negatives: u64,
    /// Addresses in the report.
    pub doubts: u64,
    /// How often a recipient passed since the start only because nobody enforces.
    pub would_refuse: u64,
}

impl Learned {
    /// An empty memory that keeps nothing.
    #[must_use]
    pub fn empty() -> Self {
        let limits = [POSITIVE_ADDRESSES_MAX, NEGATIVE_ADDRESSES_MAX, REPORT_ADDRESSES_MAX];
        Self::with_limits(limits, Store::none())
    }

    /// Remembers what was kept, and keeps what it learns.
    /// # Errors
    /// When the store cannot be read.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let limits = [POSITIVE_ADDRESSES_MAX, NEGATIVE_ADDRESSES_MAX, REPORT_ADDRESSES_MAX];
        let learned = Self::with_limits(limits, store);
        learned.load()?;
        Ok(learned)
    }

    pub(super) fn with_limits(limits: [usize; 3], store: Store) -> Self {
        let [positives, negatives, doubts] = limits.map(|max| max.div_ceil(SHARDS));
        let shard = || Shard {
            positives: Table::new(positives),
            negatives: Table::new(negatives),
            doubts: Table::new(doubts),
        };
        let shards = (0..SHARDS).map(|_| RwLock::new(shard())).collect();
        Self { shards, spread: RandomState::new(), store, would_refuse: AtomicU64::new(0) }
    }

    pub(super) fn load(&self) -> Result<(), StoreError> {
        let mut rows = self.store.load_evidence()?;
        // All of one address together; the addresses by no order in particular.
        rows.sort_by(|a, b| a.address.cmp(&b.address));
        for rows in rows.chunk_by(|a, b| a.address == b.address) {
            self.write(&rows[0].address).put(&rows[0].address, record(rows), &self.store);
        }
        for kept in self.store.load_doubts(REPORT_ADDRESSES_MAX)? {
            let Some(refusal) = WouldRefuse::from_word(&kept.refusal) else { continue };
            let sighting = sighting(kept.first, kept.last, kept.count);
            let KeptDoubt { client, reverse_path, .. } = kept;
            let doubt = Doubt { refusal, sighting, client, reverse_path };
            let mut shard = self.write(&kept.address);
            if !shard.doubts.is_full() {
                shard.doubts.insert(&kept.address, doubt, age);
            }
        }
        Ok(())
    }

    /// What is believed of an address, and whether that is by the name without its sub-address.
    #[must_use]
    pub fn believe(&self, names: &Names) -> (Belief, bool) {
        let (now, exact) = (now(), self.record(names.exact()).unwrap_or_default());
        let Some(base) = names.base() else { return (exact.belief(now), false) };
        let base = self.record(base).unwrap_or_default();
        // What speaks for a sub-address was noted of the mailbox; a refusal is its own.
        match exact.last(false) {
            Some(_) => (exact.with_positives_of(&base).belief(now), true),
            None => (base.belief(now), true),
        }
    }

    /// Everything that was seen of one address.
    #[must_use]
    pub fn record(&self, address: &str) -> Option<Record> {
        self.read(address).record(address).copied()
    }

    /// Takes a piece of evidence.
    pub fn learn(&self, address: &str, kind: Kind, at: u32) {
        self.write(address).learn(address, kind, at, &self.store);
    }

    /// Another source shows the address: what speaks against it is forgotten.
    pub(crate) fn forgive(&self, address: &str) {
        let is_accused = |record: &Record| record.last(false).is_some();
        if self.read(address).record(address).is_some_and(is_accused) {
            self.write(address).forgive(address, &self.store);
        }
    }

    /// Forgets everything about one address, on a person's word; says whether there was anything.
    pub fn forget(&self, address: &str) -> bool {
        let mut shard = self.write(address);
        let found = shard.positives.remove(address).or_else(|| shard.negatives.remove(address));
        let doubted = shard.doubts.remove(address);
        self.store.forget_evidence(address);
        self.store.forget_doubt(address);
        found.is_some() || doubted.is_some()
    }

    /// Notes that a recipient passed although what was learned speaks against it, if it does.
    pub(super) fn doubt(
        &self,
        names: &Names,
        unseen: Unseen,
        client: IpAddr,
        reverse_path: impl FnOnce() -> Box<str>,
    ) {
        let Some(refusal) = WouldRefuse::of(self.believe(names).0, unseen) else { return };
        self.would_refuse.fetch_add(1, Relaxed);
        let address = names.exact();
        let (client, reverse_path) = (client.to_string().into(), reverse_path());
        let mut shard = self.write(address);
        let known = shard.doubts.remove(address);
        let mut sighting = known.map(|doubt| doubt.sighting).unwrap_or_default();
        sighting.add(now());
        let doubt = Doubt { refusal, sighting, client, reverse_path };
        self.store.keep_doubt(|| kept_doubt(address, &doubt));
        if let Some(evicted) = shard.doubts.insert(address, doubt, age) {
            self.store.forget_doubt(&evicted);
        }
    }

    /// What would have been refused.
    pub(super) fn doubts(&self) -> Vec<KeptDoubt> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.doubts.values().map(|(address, doubt)| kept_doubt(address, doubt)));
        }
        all
    }

    /// How much was learned.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut figures =
            Figures { would_refuse: self.would_refuse.load(Relaxed), ..Figures::default() };
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            figures.positives += shard.positives.len() as u64;
            figures.negatives += shard.negatives.len() as u64;
            figures.doubts += shard.doubts.len() as u64;
        }
        figures
    }

    /// Where it is kept.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn place(&self, address: &str) -> &RwLock<Shard> {
        &self.shards[(self.spread.hash_one(address) >> 56) as usize % SHARDS]
    }

    fn read(&self, address: &str) -> RwLockReadGuard<'_, Shard> {
        self.place(address).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, address: &str) -> RwLockWriteGuard<'_, Shard> {
        self.place(address).write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn record(&self, address: &str) -> Option<&Record> {
        self.positives.find(address).or_else(|| self.negatives.find(address))
    }

    fn learn(&mut self, address: &str, kind: Kind, at: u32, store: &Store) {
        if kind.is_positive() && self.doubts.remove(address).is_some() {
            // Whoever turns out to be there was no invention.
            store.forget_doubt(address);
        }
        let known = match self.positives.find_mut(address) {
            None if !kind.is_positive() => self.negatives.find_mut(address),
            known => known,
        };
        if let Some(record) = known {
            let before = *record;
            record.of_mut(kind).add(at);
            if is_worth_writing(&before, record, kind) {
                keep(address, record, kind, store);
            }
            return;
        }
        let mut record = self.negatives.remove(address).unwrap_or_default();
        record.of_mut(kind).add(at);
        keep(address, &record, kind, store);
        self.put(address, record, store);
    }

    fn forgive(&mut self, address: &str, store: &Store) {
        self.negatives.remove(address);
        let known = self.positives.find_mut(address);
        store.forget_evidence(address);
        let Some(record) = known else { return };
        *record = Record::default().with_positives_of(record);
        record.seen().for_each(|(kind, _)| keep(address, record, kind, store));
    }

    /// Puts in a record of an address that is not there.
    fn put(&mut self, address: &str, record: Record, store: &Store) {
        let evicted = if record.last(true).is_some() {
            let now = now();
            self.positives.insert(address, record, |record| record.strength(true, now))
        } else {
            let newest = |record: &Record| record.last(false).map_or(0.0, f64::from);
            self.negatives.insert(address, record, newest)
        };
        if let Some(evicted) = evicted {
            store.forget_evidence(&evicted);
        }
    }
}

/// Whether a restart could tell the difference.
fn is_worth_writing(before: &Record, after: &Record, kind: Kind) -> bool {
    let (old, new) = (before.of(kind), after.of(kind));
    !kind.is_positive()
        || new.count <= WRITTEN_SIGHTINGS
        || before.last(false) >= before.last(true)
        || new.last / WRITTEN_AGAIN_SECONDS != old.last / WRITTEN_AGAIN_SECONDS
}

fn keep(address: &str, record: &Record, kind: Kind, store: &Store) {
    let Sighting { first, last, count } = record.of(kind);
    store.keep_evidence(|| KeptEvidence {
        address: address.into(),
        kind: kind.word().into(),
        first: first.into(),
        last: last.into(),
        count,
    });
}

fn kept_doubt(address: &str, doubt: &Doubt) -> KeptDoubt {
    let Doubt { refusal, sighting, client, reverse_path } = doubt.clone();
    KeptDoubt {
        address: address.into(),
        refusal: refusal.word().into(),
        count: sighting.count,
        first: sighting.first.into(),
        last: sighting.last.into(),
        client,
        reverse_path,
    }
}

/// Evidence as it was kept; kinds of other versions are passed over.
pub(super) fn record(rows: &[KeptEvidence]) -> Record {
    let mut record = Record::default();
    for row in rows {
        if let Some(kind) = Kind::from_word(&row.kind) {
            *record.of_mut(kind) = sighting(row.first, row.last, row.count);
        }
    }
    record
}

fn sighting(first: i64, last: i64, count: u32) -> Sighting {
    let seconds = |at| u32::try_from(at).unwrap_or(if at < 0 { 0 } else { u32::MAX });
    Sighting { first: seconds(first), last: seconds(last), count }
}

fn age(doubt: &Doubt) -> f64 {
    f64::from(doubt.sighting.last)
}

/// Seconds since 1970.
pub(super) fn now() -> u32 {
    u32::try_from(clock::unix_seconds()).unwrap_or(u32::MAX)
}
