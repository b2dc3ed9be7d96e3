//! What was read from a list, before a guard has judged it. Made by `intake.rs`.

use super::error::LineError;
use crate::pattern::Pattern;
use crate::snapshot::Snapshot;
use crate::target::Target;
use std::sync::Arc;

/// A pattern from a file, with its target at the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternEntry {
    /// What matches.
    pub pattern: Pattern,
    /// What the next hop hears.
    pub target: Target,
}

/// What a list holds for one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainPart {
    /// Addresses; one that is listed twice counts twice.
    pub addresses: u64,
    /// In the order of the list.
    pub patterns: Vec<PatternEntry>,
}

impl DomainPart {
    /// Addresses and patterns.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.addresses + self.patterns.len() as u64
    }
}

/// What a list holds. A clone shares the addresses.
#[derive(Clone, Debug)]
pub struct Load {
    /// The addresses of all domains.
    pub snapshot: Arc<Snapshot>,
    /// In the order of the scope.
    pub parts: Vec<DomainPart>,
    /// Addresses of domains the source is not read for.
    pub foreign: u64,
    /// Rows that were passed over.
    pub skipped: Skipped,
}

impl Load {
    /// Addresses and patterns of all domains.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.parts.iter().map(DomainPart::entries).sum()
    }
}

/// Rows that are malformed, and how many are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Malformed {
    /// The first [`MALFORMED_KEPT_MAX`](super::MALFORMED_KEPT_MAX), in the order of the list.
    pub lines: Vec<LineError>,
    /// How many more there are.
    pub more: u64,
    /// Addresses and patterns that were understood.
    pub good: u64,
}

impl Malformed {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lines.len() as u64 + self.more
    }
}

/// What the load of an export goes without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Those that hold no address.
    pub malformed: Malformed,
    /// Values of other types than SMTP: X.400, SIP.
    pub not_smtp: u64,
    /// Where the rest of the list is, when it is a part: who is not in it may be there.
    pub elsewhere: Option<Box<str>>,
}
