//! What a source holds, for `postern recipients stats` and the dashboard.

use mail::address::Domain;
use std::sync::Arc;

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Its name.
    pub source: Arc<str>,
    /// Distinct addresses in use.
    pub addresses: u64,
    /// Those with a target at the next hop.
    pub targets: u64,
    /// Memory they occupy, in octets.
    pub octets: u64,
    /// Every domain that lists it.
    pub domains: Vec<DomainStatistics>,
}

impl Statistics {
    /// Memory for each address, in octets; nothing when there are none.
    #[must_use]
    pub fn octets_per_address(&self) -> Option<f64> {
        (self.addresses > 0).then(|| self.octets as f64 / self.addresses as f64)
    }
}

/// One domain of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainStatistics {
    /// Which.
    pub domain: Domain,
    /// Addresses and patterns in use; nothing when the source is unavailable for it.
    pub entries: Option<u64>,
    /// Patterns among them.
    pub patterns: u64,
    /// Single addresses added or removed since.
    pub changes: u64,
    /// When the source of what is in use was last written, in nanoseconds since 1970: its age.
    pub modified_nanoseconds: Option<i64>,
}

/// An age in seconds, as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub u64);

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            seconds @ 0..120 => write!(f, "{seconds} s"),
            seconds @ 120..7_200 => write!(f, "{} min", seconds / 60),
            seconds @ 7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}
