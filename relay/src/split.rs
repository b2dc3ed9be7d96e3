//! Remembers envelopes that a next hop refused as a whole, so that their retry is admitted one
//! recipient per transaction (docs/pictures/two-servers.md). Bounded: what has expired goes first.

use crate::moment::Moment;
use mail::address::{ForwardPath, ReversePath};
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hasher;

/// How long a retry may take, in seconds; a client gives up after four or five days, but one that
/// is going to split does so at its first retries.
const REMEMBERED_SECONDS_MAX: u32 = 86_400;
/// Pairs of reverse-path and recipient remembered.
const ENTRIES_MAX: usize = 65_536;

/// Which recipients of which senders come one by one.
#[derive(Debug)]
pub struct SplitMemory {
    key: (u64, u64),
    until: HashMap<u64, Moment>,
}

impl SplitMemory {
    /// Empty; `key` is random, from the edge.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, until: HashMap::new() }
    }

    /// The next hop refused this envelope as a whole.
    pub fn remember(&mut self, from: &ReversePath, recipients: &[ForwardPath], now: Moment) {
        if self.until.len() + recipients.len() > ENTRIES_MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() + recipients.len() > ENTRIES_MAX {
            self.until.clear();
        }
        let until = now.plus_seconds(REMEMBERED_SECONDS_MAX);
        for path in recipients {
            self.until.insert(self.fingerprint(from, path), until);
        }
    }

    /// Whether a message of this sender to this recipient must have no other recipient.
    #[must_use]
    pub fn is_remembered(&self, from: &ReversePath, path: &ForwardPath, now: Moment) -> bool {
        self.until.get(&self.fingerprint(from, path)).is_some_and(|until| *until > now)
    }

    fn fingerprint(&self, from: &ReversePath, path: &ForwardPath) -> u64 {
        fingerprint(self.key, from, path)
    }
}

/// A keyed hash of sender and recipient, without regard to case.
#[must_use]
pub fn fingerprint(key: (u64, u64), from: &ReversePath, path: &ForwardPath) -> u64 {
    let mut hasher = Folded(SipHasher13::new_with_keys(key.0, key.1));
    let _ = write!(hasher, "{from}\n{path}");
    hasher.0.finish()
}

/// Hashes what is written to it, in lower case and without a copy.
struct Folded(SipHasher13);

impl Write for Folded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for b in text.bytes() {
            self.0.write_u8(b.to_ascii_lowercase());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(n: usize) -> ForwardPath {
        ForwardPath::parse(&format!("<u{n}@example.com>")).unwrap()
    }

    #[test]
    fn what_was_refused_as_a_whole_is_remembered_for_a_day() {
        let mut memory = SplitMemory::new((1, 2));
        let from = ReversePath::parse("<Smith@bar.example>").unwrap();
        memory.remember(&from, &[path(1), path(2)], Moment(0));
        let again = ReversePath::parse("<smith@BAR.example>").unwrap();
        assert!(memory.is_remembered(&again, &path(2), Moment(1)));
        assert!(!memory.is_remembered(&again, &path(3), Moment(1)));
        assert!(!memory.is_remembered(&ReversePath::Null, &path(2), Moment(1)));
        assert!(!memory.is_remembered(&again, &path(2), Moment(86_400_000)));
    }

    #[test]
    fn it_is_bounded() {
        let mut memory = SplitMemory::new((1, 2));
        for n in 0..ENTRIES_MAX * 2 {
            memory.remember(&ReversePath::Null, &[path(n)], Moment(0));
            assert!(memory.until.len() <= ENTRIES_MAX);
        }
    }
}
