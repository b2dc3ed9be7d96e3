//! The recipients of one source as sorted keyed 64-bit hashes with one attribute octet each:
//! 9 octets an address, found by interpolation. Immutable; `overlay.rs` lies on top for single
//! changes, `stored.rs` keeps it on disk. Who may be adopted is decided in `guard.rs`.
//! Limits: two addresses of n share a hash with probability n / 2^64 per lookup (5e-13 at 10
//! million); the key is secret and random, so nobody can aim for it.

pub mod overlay;
pub mod stored;
#[cfg(test)]
mod tests;

use mail::address::{DOMAIN_OCTETS_MAX, LOCAL_PART_OCTETS_MAX};
use siphasher::sip::SipHasher13;
use std::cmp::Ordering;
use std::io;

/// Each step leaves about the square root of the distance when hashes are uniform: from 10
/// million entries, three lead into the right cache line or the one beside it. What is left is
/// found by doubling steps and a binary search, so that no data can make a lookup long.
const INTERPOLATION_STEPS_MAX: usize = 3;
/// Hashes in a cache line: as near as a guess needs to be.
const LINE_ENTRIES: usize = 8;
/// An address that is hashed in little room, in octets.
const SHORT_ADDRESS_OCTETS_MAX: usize = 128;
/// Attribute: the side table has a target for this entry.
const HAS_TARGET: u8 = 1;

/// The secret of one snapshot: random, so that nobody can choose addresses that collide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u8; 16]);

/// A key nobody can guess.
/// # Errors
/// When the system has no randomness.
pub fn random_key() -> io::Result<HashKey> {
    let mut key = HashKey([0; 16]);
    getrandom::fill(&mut key.0).map_err(io::Error::other)?;
    Ok(key)
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

impl HashKey {
    /// Hashes an address in canonical form. A domain holds no `@`, so no two addresses are
    /// written alike.
    #[must_use]
    pub fn hash(&self, local_part: &[u8], domain: &[u8]) -> u64 {
        // Nearly every address is short, and what is on the stack is cleared each time.
        if local_part.len() + domain.len() < SHORT_ADDRESS_OCTETS_MAX {
            self.hash_within::<SHORT_ADDRESS_OCTETS_MAX>(local_part, domain)
        } else {
            self.hash_within::<{ LOCAL_PART_OCTETS_MAX + 1 + DOMAIN_OCTETS_MAX }>(
                local_part, domain,
            )
        }
    }

    fn hash_within<const ROOM: usize>(&self, local_part: &[u8], domain: &[u8]) -> u64 {
        let mut written = [0; ROOM];
        let (at, end) = (local_part.len(), local_part.len() + 1 + domain.len());
        let hasher = SipHasher13::new_with_key(&self.0);
        let Some(place) = written.get_mut(..end) else {
            // Longer than any address: callers check, and a long one must still not collide.
            return hasher.hash(&[local_part, b"@", domain].concat());
        };
        place[..at].copy_from_slice(local_part);
        place[at] = b'@';
        place[at + 1..].copy_from_slice(domain);
        hasher.hash(place)
    }
}

/// What a snapshot knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// It exists.
    Plain,
    /// It exists, and the next hop hears this address instead.
    Target(&'a str),
    /// It exists, and what the next hop is to hear is not clear.
    Unclear,
}

/// One line of the side table; the text of a target ends where the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    hash: u64,
    text_end: u32,
}

/// An immutable set of recipients.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    key: HashKey,
    /// Sorted, without duplicates.
    hashes: Box<[u64]>,
    attributes: Box<[u8]>,
    /// Sorted by hash.
    targets: Box<[Target]>,
    target_text: Box<str>,
}

impl Snapshot {
    /// The key its hashes were made with.
    #[must_use]
    pub fn key(&self) -> HashKey {
        self.key
    }

    /// Addresses in it, duplicates counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Entries with a target at the next hop.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// What it occupies in memory, in octets, the side table included.
    #[must_use]
    pub fn octets(&self) -> usize {
        size_of_val(&*self.hashes)
            + self.attributes.len()
            + size_of_val(&*self.targets)
            + self.target_text.len()
    }

    /// Finds an address by its hash.
    #[must_use]
    pub fn find(&self, hash: u64) -> Option<Entry<'_>> {
        let at = position(&self.hashes, hash)?;
        // Most lists have no targets at all, and looking at the attribute is a cache miss.
        if self.targets.is_empty() || self.attributes[at] & HAS_TARGET == 0 {
            return Some(Entry::Plain);
        }
        let at = self.targets.binary_search_by_key(&hash, |target| target.hash).ok()?;
        let start = at.checked_sub(1).map_or(0, |before| self.targets[before].text_end);
        let end = self.targets[at].text_end;
        match &self.target_text[start as usize..end as usize] {
            "" => Some(Entry::Unclear),
            text => Some(Entry::Target(text)),
        }
    }
}

/// How one snapshot differs from another with the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Addresses only the newer one has.
    pub added: u64,
    /// Addresses only the older one has.
    pub removed: u64,
    /// Addresses in both, with another target, or with one only here or there.
    pub retargeted: u64,
}

impl Differences {
    /// Compares; nothing when the keys differ, since then the hashes have nothing in common.
    #[must_use]
    pub fn between(older: &Snapshot, newer: &Snapshot) -> Option<Self> {
        if older.key != newer.key {
            return None;
        }
        let (mut old, mut new) = (0, 0);
        let mut differences = Self::default();
        let has_targets = !older.targets.is_empty() || !newer.targets.is_empty();
        while let (Some(&before), Some(&after)) = (older.hashes.get(old), newer.hashes.get(new)) {
            match before.cmp(&after) {
                Ordering::Less => differences.removed += 1,
                Ordering::Greater => differences.added += 1,
                Ordering::Equal if has_targets && older.find(before) != newer.find(after) => {
                    differences.retargeted += 1;
                }
                Ordering::Equal => {}
            }
            old += usize::from(before <= after);
            new += usize::from(after <= before);
        }
        differences.removed += (older.hashes.len() - old) as u64;
        differences.added += (newer.hashes.len() - new) as u64;
        Some(differences)
    }
}

/// Where `hash` is among sorted, roughly uniform `hashes`. Every place looked at is a cache miss
/// in a large snapshot, so guesses go by the mean density and not by the ends of a bracket.
fn position(hashes: &[u64], hash: u64) -> Option<usize> {
    let (&first, &last) = (hashes.first()?, hashes.last()?);
    if hash < first || hash > last {
        return None;
    }
    // Floating point is exact enough to guess with, and far cheaper than a 128-bit division.
    let density = (hashes.len() - 1) as f64 / ((last - first) as f64).max(1.0);
    let entries_to = |from: u64| (from.abs_diff(hash) as f64 * density) as usize;
    let mut at = entries_to(first).min(hashes.len() - 1);
    for _ in 1..INTERPOLATION_STEPS_MAX {
        let distance = entries_to(hashes[at]);
        if distance < LINE_ENTRIES {
            break;
        }
        at = match hashes[at] < hash {
            true => at.saturating_add(distance).min(hashes.len() - 1),
            false => at.saturating_sub(distance),
        };
    }
    let mut step = LINE_ENTRIES;
    let (mut low, mut high) = (at, at + 1);
    while hashes[low] > hash {
        (low, high) = (low.saturating_sub(step), low);
        step *= 2;
    }
    while hashes[high - 1] < hash {
        (low, high) = (high, high.saturating_add(step).min(hashes.len()));
        step *= 2;
    }
    hashes[low..high].binary_search(&hash).ok().map(|at| low + at)
}

/// A target while a snapshot is being built.
#[derive(Debug)]
struct Pending {
    hash: u64,
    text: Box<str>,
    line: u64,
    is_unclear: bool,
}

/// Two lines that name different targets for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The line that was second, from 1.
    pub line: u64,
    /// The line that was first, from 1.
    pub first_line: u64,
    /// The target of the second.
    pub target: Box<str>,
}

/// Collects hashes in any order. While it works it holds 8 octets an address, so that 10
/// million cost 80 MB and not the 160 MB that pairs of hash and attribute would.
#[derive(Debug)]
pub struct Builder {
    key: HashKey,
    hashes: Vec<u64>,
    pending: Vec<Pending>,
}

impl Builder {
    /// Starts an empty one; `entries` is a guess that saves growing.
    #[must_use]
    pub fn new(key: HashKey, entries: usize) -> Self {
        Self { key, hashes: Vec::with_capacity(entries), pending: Vec::new() }
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, entries: usize) {
        self.hashes.reserve(entries);
    }

    /// The key to hash with.
    #[must_use]
    pub fn key(&self) -> &HashKey {
        &self.key
    }

    /// Adds an address; again is no harm.
    pub fn add(&mut self, hash: u64) {
        self.hashes.push(hash);
    }

    /// Adds an address with its target, an address in text, or nothing where that is not clear.
    pub fn add_target(&mut self, hash: u64, text: &str, line: u64) {
        self.hashes.push(hash);
        self.pending.push(Pending { hash, text: text.into(), line, is_unclear: false });
    }

    /// Sorts, drops duplicates and joins the targets to their entries; and says which lines
    /// contradict the target that an earlier one gave: what counts is not clear then.
    #[must_use]
    pub fn finish(mut self) -> (Snapshot, Vec<Conflict>) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let hashes = self.hashes.into_boxed_slice();
        let mut attributes = vec![0; hashes.len()].into_boxed_slice();
        self.pending.sort_unstable_by_key(|pending| (pending.hash, pending.line));
        let mut conflicts = Vec::new();
        self.pending.dedup_by(|second, first| {
            if second.hash != first.hash {
                return false;
            }
            if !second.text.eq_ignore_ascii_case(&first.text) {
                let (line, first_line) = (second.line, first.line);
                if !first.text.is_empty() && !second.text.is_empty() {
                    conflicts.push(Conflict { line, first_line, target: second.text.clone() });
                }
                first.is_unclear = true;
            }
            true
        });
        conflicts.sort_unstable_by_key(|conflict| conflict.line);
        let mut targets = Vec::with_capacity(self.pending.len());
        let mut target_text = String::new();
        for pending in &self.pending {
            if let Some(at) = position(&hashes, pending.hash) {
                attributes[at] |= HAS_TARGET;
            }
            if !pending.is_unclear {
                target_text.push_str(&pending.text);
            }
            // An address has at most 511 octets, so this holds for 8 million targets.
            let text_end = u32::try_from(target_text.len()).unwrap_or(u32::MAX);
            targets.push(Target { hash: pending.hash, text_end });
        }
        let (targets, target_text) = (targets.into_boxed_slice(), target_text.into_boxed_str());
        (Snapshot { key: self.key, hashes, attributes, targets, target_text }, conflicts)
    }
}
