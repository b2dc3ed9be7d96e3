//! What people are told of what was learned: why an address is believed in or not, and whom
//! enforcement would have refused. What the commands print as it is; also from the store alone, for
//! a process that is not the server.

use super::evidence::{Belief, Kind, Record};
use super::memory::{Learned, now, record};
use super::would_refuse::WouldRefuse;
use crate::store::{KeptDoubt, KeptEvidence, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why something is believed of an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// `local@domain`, in canonical form.
    pub address: String,
    /// What is believed.
    pub belief: Belief,
    /// What speaks for it, and what against it; the newest first.
    pub evidence: Vec<Evidence>,
}

/// One kind of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which.
    pub kind: Kind,
    /// What it says, for people.
    pub says: Cow<'static, str>,
    /// Whether it speaks for the address.
    pub is_positive: bool,
    /// Seen first, in seconds since 1970.
    pub first: u32,
    /// Seen last, in seconds since 1970.
    pub last: u32,
    /// How often.
    pub count: u32,
    /// What it weighs now.
    pub weight: f64,
}

/// A recipient that passed only because nobody enforces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubtful {
    /// `local@domain`, in canonical form.
    pub address: String,
    /// Why it would be refused.
    pub because: WouldRefuse,
    /// With which reply code.
    pub code: u16,
    /// How often it passed.
    pub count: u32,
    /// At first, in seconds since 1970.
    pub first: i64,
    /// At last, in seconds since 1970.
    pub last: i64,
    /// Who named it last.
    pub client: String,
    /// With which reverse-path; empty for the null one.
    pub reverse_path: String,
}

impl Learned {
    /// Why something is believed of this address, which is in canonical form.
    #[must_use]
    pub fn why(&self, address: &str) -> Why {
        why(address, &self.record(address).unwrap_or_default())
    }

    /// Whom enforcement would have refused, the most frequent first, at most so many.
    #[must_use]
    pub fn report(&self, max: usize) -> Vec<Doubtful> {
        doubtful(self.doubts(), max)
    }
}

/// As [`Learned::why`], by what was kept.
/// # Errors
/// When the store cannot be read.
pub fn why_from(store: &Store, address: &str) -> Result<Why, StoreError> {
    Ok(why(address, &record(&store.load_evidence_about(address)?)))
}

/// As [`Learned::report`], by what was kept.
/// # Errors
/// When the store cannot be read.
pub fn report_from(store: &Store, max: usize) -> Result<Vec<Doubtful>, StoreError> {
    Ok(doubtful(store.load_doubts(super::REPORT_ADDRESSES_MAX)?, max))
}

/// The addresses of which what was kept shows that they exist, in order.
/// # Errors
/// When the store cannot be read.
pub fn shown_to_exist(store: &Store) -> Result<Vec<Box<str>>, StoreError> {
    let mut by_address: BTreeMap<Box<str>, Vec<KeptEvidence>> = BTreeMap::new();
    for evidence in store.load_evidence()? {
        by_address.entry(evidence.address.clone()).or_default().push(evidence);
    }
    let now = now();
    by_address.retain(|_, evidence| record(evidence).belief(now) == Belief::Exists);
    Ok(by_address.into_keys().collect())
}

fn why(address: &str, record: &Record) -> Why {
    let now = now();
    let evidence = record.seen().map(|(kind, sighting)| Evidence {
        kind,
        says: kind.sentence().into(),
        is_positive: kind.is_positive(),
        first: sighting.first,
        last: sighting.last,
        count: sighting.count,
        weight: sighting.strength(kind, now),
    });
    let mut evidence: Vec<_> = evidence.collect();
    evidence.sort_by_key(|evidence| std::cmp::Reverse(evidence.last));
    Why { address: address.to_owned(), belief: record.belief(now), evidence }
}

fn doubtful(kept: Vec<KeptDoubt>, max: usize) -> Vec<Doubtful> {
    let read = |kept: KeptDoubt| {
        let because = WouldRefuse::from_word(&kept.refusal)?;
        Some(Doubtful {
            address: kept.address.into(),
            because,
            code: because.code(),
            count: kept.count,
            first: kept.first,
            last: kept.last,
            client: kept.client.into(),
            reverse_path: kept.reverse_path.into(),
        })
    };
    let mut all: Vec<_> = kept.into_iter().filter_map(read).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.address.cmp(&b.address)));
    all.truncate(max);
    all
}
