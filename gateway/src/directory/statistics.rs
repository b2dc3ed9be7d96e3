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
