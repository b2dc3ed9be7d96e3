//! What a source that asks elsewhere has said, positives and negatives apart: a dictionary fills
//! the negatives and can never push a person out. Bounded, in memory; the store keeps a copy
//! over restarts. How long an answer counts is decided in `relay/src/belief/age.rs`, whether to
//! believe it in `credibility.rs` there.

pub use relay::belief::age::{LAST_KNOWN_SECONDS_MAX, Lifetimes};

use mail::address::Mailbox;
use quick_cache::sync::Cache;
use relay::belief::age::Yes;
use siphasher::sip::SipHasher13;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Addresses that exist, remembered of one source.
pub const POSITIVES_MAX: usize = 100_000;
/// Addresses that do not, remembered of one source.
pub const NEGATIVES_MAX: usize = 100_000;
/// How long ago a directory, database or web service must last have known somebody for its no to be
/// believed, in milliseconds: under load that costs next to no question, and at rest one each.
pub const VOUCH_MILLISECONDS: u32 = 10;

/// One answer.
#[derive(Clone, Debug)]
pub struct MemoryEntry {
    /// In canonical form, with its domain.
    pub address: Arc<str>,
    /// When it was given, in seconds of [`wire::clock::uptime_seconds`].
    pub asked: i64,
    /// The address that the next hop hears instead.
    pub target: Option<Arc<Mailbox>>,
    /// It was given under settings that are no longer those of the source, or a person wants it
    /// asked for again: a yes is only the last that is known.
    pub is_outdated: bool,
}

/// What is remembered of an address.
#[derive(Clone, Debug)]
pub enum Recalled {
    /// It exists.
    Exists {
        /// The answer.
        kept: MemoryEntry,
        /// It is time to ask ahead.
        is_due: bool,
    },
    /// It existed when it was last asked for, which is long ago.
    LastKnown(MemoryEntry),
    /// It does not exist.
    Unknown(MemoryEntry),
    /// Nothing.
    Nothing,
}

/// Keys are hashes already.
#[derive(Clone, Copy, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Answers = Cache<u64, MemoryEntry, quick_cache::UnitWeighter, BuildHasherDefault<AsIs>>;

/// The answers of one source.
pub struct Memory {
    hasher: SipHasher13,
    positives: Answers,
    negatives: Answers,
    lifetimes: Lifetimes,
}

impl Memory {
    /// An empty one; the key is random, so that nobody can aim for a place in it.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, key: [u8; 16]) -> Self {
        let answers = |max: usize| {
            Cache::with(max, max as u64, Default::default(), Default::default(), Default::default())
        };
        Self {
            hasher: SipHasher13::new_with_key(&key),
            positives: answers(POSITIVES_MAX),
            negatives: answers(NEGATIVES_MAX),
            lifetimes,
        }
    }

    /// The key of an address: a local part in canonical form, and the domain's own name.
    #[must_use]
    pub fn key(&self, local_part: &[u8], domain: &str) -> u64 {
        let mut written = [0; 64 + 1 + 255];
        let (at, end) = (local_part.len(), local_part.len() + 1 + domain.len());
        let Some(place) = written.get_mut(..end) else {
            return self.hasher.hash(&[local_part, b"@", domain.as_bytes()].concat());
        };
        place[..at].copy_from_slice(local_part);
        place[at] = b'@';
        place[at + 1..].copy_from_slice(domain.as_bytes());
        self.hasher.hash(place)
    }

    /// What is remembered, at `now` in seconds.
    #[must_use]
    pub fn recall(&self, key: u64, now: i64) -> Recalled {
        if let Some(kept) = self.positives.get(&key) {
            match self.lifetimes.yes(kept.asked, kept.is_outdated, now) {
                Yes::Counts { is_due } => return Recalled::Exists { kept, is_due },
                Yes::LastKnown => return Recalled::LastKnown(kept),
                Yes::Nothing => {}
            }
        }
        match self.negatives.get(&key) {
            Some(kept) if self.lifetimes.no_counts(kept.asked, now) => Recalled::Unknown(kept),
            _ => Recalled::Nothing,
        }
    }

    /// Remembers an address that exists; a no for it is forgotten.
    pub fn keep_positive(&self, key: u64, kept: MemoryEntry) {
        self.negatives.remove(&key);
        self.positives.insert(key, kept);
    }

    /// Remembers an address that does not exist.
    pub fn keep_negative(&self, key: u64, kept: MemoryEntry) {
        self.positives.remove(&key);
        if self.lifetimes.negative_seconds > 0 {
            self.negatives.insert(key, kept);
        }
    }

    /// How many addresses are remembered that exist.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.positives.len()
    }

    /// How many are remembered that do not.
    #[must_use]
    pub fn negatives(&self) -> usize {
        self.negatives.len()
    }

    /// Forgets the answers whose address is one of these, and says how many.
    pub fn forget(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let before = self.positives.len();
        self.positives.retain(|_, kept| !is_meant(&kept.address));
        let positives = before.saturating_sub(self.positives.len());
        positives as u64 + self.forget_negatives(is_meant)
    }

    /// The same, but who exists is only outdated: asked for again, and the last that is known
    /// until then. Says how many answers served before and do not now. While it runs nobody else
    /// may put a positive in.
    pub fn outdate(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let serves = |kept: &MemoryEntry| !kept.is_outdated && is_meant(&kept.address);
        let meant: Vec<_> = self.positives.iter().filter(|(_, kept)| serves(kept)).collect();
        let mut outdated = 0;
        for (key, kept) in meant {
            let kept = MemoryEntry { is_outdated: true, ..kept };
            // Nobody has asked for it, so it is to be pushed out as soon as ever.
            outdated += u64::from(self.positives.replace(key, kept, true).is_ok());
        }
        outdated + self.forget_negatives(is_meant)
    }

    fn forget_negatives(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        let before = self.negatives.len();
        self.negatives.retain(|_, kept| !is_meant(&kept.address));
        before.saturating_sub(self.negatives.len()) as u64
    }

    /// Forgets only that an address does not exist, and says which that was.
    pub fn forget_negative(&self, key: u64) -> Option<Arc<str>> {
        self.negatives.remove(&key).map(|(_, kept)| kept.address)
    }

    /// Forgets who does not exist in a domain, by its canonical name.
    pub fn forget_negatives_of(&self, domain: &str) {
        self.negatives.retain(|_, kept| !is_of(&kept.address, domain));
    }

    /// How many addresses of a domain were there when they were last asked for, in the last week
    /// or as long as a yes counts. Looks at all of them.
    #[must_use]
    pub fn known_of(&self, domain: &str, now: i64) -> usize {
        let is_known = |kept: &MemoryEntry| {
            self.lifetimes.is_known(kept.asked, now) && is_of(&kept.address, domain)
        };
        self.positives.iter().filter(|(_, kept)| is_known(kept)).count()
    }
}

/// Whether an address is of a domain, both in canonical form.
#[must_use]
pub fn is_of(address: &str, domain: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(_, of)| of == domain)
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} + {})", self.positives(), self.negatives())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes =
        Lifetimes { positive_seconds: 100, negative_seconds: 10, vouch_milliseconds: 0 };

    fn kept(asked: i64) -> MemoryEntry {
        MemoryEntry { address: "a@example.test".into(), asked, target: None, is_outdated: false }
    }

    #[test]
    fn a_yes_is_asked_for_ahead_from_the_half_of_its_time_and_then_only_the_last_known() {
        let memory = Memory::new(LIFETIMES, [1; 16]);
        let key = memory.key(b"a", "example.test");
        memory.keep_positive(key, kept(0));
        assert!(matches!(memory.recall(key, 49), Recalled::Exists { is_due: false, .. }));
        assert!(matches!(memory.recall(key, 50), Recalled::Exists { is_due: true, .. }));
        assert!(matches!(memory.recall(key, 100), Recalled::LastKnown(_)));
        assert!(matches!(memory.recall(key, LAST_KNOWN_SECONDS_MAX), Recalled::Nothing));
    }

    #[test]
    fn a_yes_of_other_settings_is_only_the_last_known() {
        let memory = Memory::new(LIFETIMES, [1; 16]);
        let key = memory.key(b"a", "example.test");
        memory.keep_positive(key, MemoryEntry { is_outdated: true, ..kept(0) });
        assert!(matches!(memory.recall(key, 1), Recalled::LastKnown(_)));
        assert_eq!(memory.known_of("example.test", 1), 1, "a person all the same");
    }

    #[test]
    fn a_no_ends_with_its_time_and_with_a_yes() {
        let memory = Memory::new(LIFETIMES, [1; 16]);
        let key = memory.key(b"a", "example.test");
        memory.keep_negative(key, kept(0));
        assert!(matches!(memory.recall(key, 9), Recalled::Unknown(_)));
        assert!(matches!(memory.recall(key, 10), Recalled::Nothing));
        memory.keep_negative(key, kept(0));
        memory.keep_positive(key, kept(1));
        assert!(matches!(memory.recall(key, 2), Recalled::Exists { .. }));
        memory.keep_negative(key, kept(2));
        assert!(matches!(memory.recall(key, 3), Recalled::Unknown(_)));
    }

    #[test]
    fn a_dictionary_pushes_nobody_out() {
        let memory = Memory::new(LIFETIMES, [1; 16]);
        for person in 0..1_000 {
            let key = memory.key(format!("person{person}").as_bytes(), "example.test");
            memory.keep_positive(key, kept(0));
        }
        for word in 0..3 * NEGATIVES_MAX {
            let key = memory.key(format!("word{word}").as_bytes(), "example.test");
            memory.keep_negative(key, kept(0));
        }
        assert_eq!(memory.positives(), 1_000);
        assert!(memory.negatives() <= NEGATIVES_MAX);
    }

    #[test]
    fn what_is_forgotten_is_what_was_meant() {
        let memory = Memory::new(LIFETIMES, [1; 16]);
        for name in ["a", "b"] {
            let address = format!("{name}@example.test").into();
            let key = memory.key(name.as_bytes(), "example.test");
            memory.keep_positive(
                key,
                MemoryEntry { address, asked: 0, target: None, is_outdated: false },
            );
        }
        assert_eq!(memory.forget(|address| address == "a@example.test"), 1);
        assert!(matches!(memory.recall(memory.key(b"a", "example.test"), 0), Recalled::Nothing));
        assert_eq!(memory.positives(), 1);
    }

    #[test]
    fn known_are_those_of_the_domain_who_were_there_lately() {
        let memory = Memory::new(LIFETIMES, [1; 16]);
        for (name, domain, asked) in
            [("a", "one.test", 0), ("b", "one.test", -7 * 86_400), ("a", "two.test", 0)]
        {
            let address = format!("{name}@{domain}").into();
            let kept = MemoryEntry { address, asked, target: None, is_outdated: false };
            memory.keep_positive(memory.key(name.as_bytes(), domain), kept);
        }
        assert_eq!(memory.known_of("one.test", 0), 1);
    }
}
