//! Remembers envelopes that a next hop refused as a whole, so that their retry is admitted one
//! recipient per transaction (docs/pictures/two-servers.md). Bounded: what has expired goes first.

use crate::client::Prefix;
use crate::moment::Moment;
use mail::address::{ForwardPath, ReversePath};
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hasher;

/// How long after the refusal, or after the last retry, the next one may come, in seconds: clients
/// try again after four hours at the latest (RFC 5321 §4.5.4.1 has them begin with half an hour).
const REMEMBERED_SECONDS_MAX: u32 = 5 * 3_600;
/// What is remembered, at most.
const ENTRIES_MAX: usize = 65_536;

/// Which recipients of which senders come one by one. A reverse-path can be forged, so it holds for
/// the network that sent the message; a retry from elsewhere, as out of a pool, is known by its
/// recipients in their order.
#[derive(Debug)]
pub struct SplitMemory {
    key: (u64, u64),
    until: HashMap<u64, Moment>,
}

/// An envelope, and the recipient in question.
#[derive(Clone, Copy, Debug)]
pub struct Splitting<'a> {
    /// Who sends it.
    pub network: Prefix,
    /// Where reports go.
    pub from: &'a ReversePath,
    /// Recipients that were accepted, in their order.
    pub accepted: &'a [ForwardPath],
    /// The next one.
    pub path: &'a ForwardPath,
}

impl SplitMemory {
    /// Empty; `key` is random, from the edge.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, until: HashMap::new() }
    }

    /// The next hop refused this envelope, from this network, as a whole.
    pub fn remember(
        &mut self,
        network: Prefix,
        from: &ReversePath,
        recipients: &[ForwardPath],
        now: Moment,
    ) {
        if self.until.len() + 2 * recipients.len() > ENTRIES_MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() + 2 * recipients.len() > ENTRIES_MAX {
            self.until.clear();
        }
        let until = now.plus_seconds(REMEMBERED_SECONDS_MAX);
        for (n, path) in recipients.iter().enumerate() {
            let split = Splitting { network, from, accepted: &recipients[..n], path };
            for print in self.fingerprints(&split) {
                self.until.insert(print, until);
            }
        }
    }

    /// Whether this recipient must have a transaction of its own. A retry is remembered for as
    /// long as the refusal was.
    pub fn is_remembered(&mut self, split: &Splitting<'_>, now: Moment) -> bool {
        let until = now.plus_seconds(REMEMBERED_SECONDS_MAX);
        let mut is_remembered = false;
        for print in self.fingerprints(split) {
            if let Some(known) = self.until.get_mut(&print).filter(|until| **until > now) {
                (*known, is_remembered) = (until, true);
            }
        }
        is_remembered
    }

    /// By the network, and by what was accepted before.
    fn fingerprints(&self, split: &Splitting<'_>) -> [u64; 2] {
        let Splitting { network, from, accepted, path } = split;
        let mut chain = Folded(SipHasher13::new_with_keys(self.key.0, self.key.1));
        for path in *accepted {
            let _ = writeln!(chain, "{path}");
        }
        let _ = write!(chain, "{from}\n{path}");
        let by_network = network.spread(self.key) ^ fingerprint(self.key, from, path);
        [by_network, !chain.0.finish()]
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

    fn network(ip: &str) -> Prefix {
        Prefix::network(ip.parse().unwrap())
    }

    /// Whether the last of these would have to come by itself.
    fn is_split(memory: &mut SplitMemory, ip: &str, from: &str, to: &[usize], now: Moment) -> bool {
        let from = ReversePath::parse(&format!("<{from}>")).unwrap();
        let all: Vec<ForwardPath> = to.iter().map(|n| path(*n)).collect();
        let (last, accepted) = all.split_last().unwrap();
        let split = Splitting { network: network(ip), from: &from, accepted, path: last };
        memory.is_remembered(&split, now)
    }

    fn refused() -> SplitMemory {
        let mut memory = SplitMemory::new((1, 2));
        let from = ReversePath::parse("<Smith@bar.example>").unwrap();
        memory.remember(network("192.0.2.1"), &from, &[path(1), path(2), path(3)], Moment(0));
        memory
    }

    #[test]
    fn what_was_refused_as_a_whole_comes_one_by_one_from_that_network() {
        let mut memory = refused();
        assert!(is_split(&mut memory, "192.0.2.9", "smith@BAR.example", &[3, 2], Moment(1)));
        assert!(!is_split(&mut memory, "192.0.2.9", "smith@bar.example", &[1, 4], Moment(1)));
        assert!(!is_split(&mut memory, "192.0.2.9", "", &[1, 2], Moment(1)));
    }

    #[test]
    fn elsewhere_only_the_envelope_that_is_repeated_does() {
        let mut memory = refused();
        let from = "smith@bar.example";
        assert!(is_split(&mut memory, "198.51.100.1", from, &[1, 2], Moment(1)));
        assert!(!is_split(&mut memory, "198.51.100.1", from, &[2, 1], Moment(1)));
        assert!(!is_split(&mut memory, "198.51.100.1", from, &[5, 2], Moment(1)));
    }

    #[test]
    fn it_lasts_for_as_long_as_retries_come() {
        let mut memory = refused();
        let hour = |n: u64| Moment(n * 3_600_000);
        for n in 1..10 {
            assert!(is_split(&mut memory, "192.0.2.1", "smith@bar.example", &[1, 2], hour(n * 4)));
        }
        assert!(!is_split(&mut memory, "192.0.2.1", "smith@bar.example", &[1, 2], hour(41)));
    }

    #[test]
    fn it_is_bounded() {
        let mut memory = SplitMemory::new((1, 2));
        for n in 0..ENTRIES_MAX {
            memory.remember(network("192.0.2.1"), &ReversePath::Null, &[path(n)], Moment(0));
            assert!(memory.until.len() <= ENTRIES_MAX);
        }
    }
}
