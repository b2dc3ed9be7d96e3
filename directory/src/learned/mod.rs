//! A source without any directory: what mail itself shows. `evidence.rs` judges, `memory.rs`
//! remembers, `observe.rs` takes evidence from the events of sessions, `report.rs` tells people.
//! Limits: this version relays nothing outward, so that "who writes" is seen only in mail that
//! a network which teaches sends to domains of ours.

pub mod evidence;
mod memory;
mod observe;
pub mod report;
pub mod settings;
mod table;
#[cfg(test)]
mod tests;
mod would_refuse;

pub use evidence::{Belief, Kind};
pub use memory::{Learned, NEGATIVE_ADDRESSES_MAX, POSITIVE_ADDRESSES_MAX, REPORT_ADDRESSES_MAX};
pub use observe::Circumstances;
pub use settings::{LearnedSettings, Mode, Unseen};

use crate::question::Canonical;
use mail::address::{DOMAIN_OCTETS_MAX, LOCAL_PART_OCTETS_MAX, Mailbox};
use relay::settings::{DomainSettings, Settings};

/// The source's name, for people: it says under which settings it decides.
pub(crate) const fn name(settings: LearnedSettings) -> &'static str {
    match (settings.mode, settings.unseen) {
        (Mode::Enforce, _) => "learned",
        (Mode::Observe, Unseen::Defer) => "learned, observing",
        (Mode::Observe, Unseen::Refuse) => "learned, observing (unseen: refuse)",
        (Mode::Observe, Unseen::Accept) => "learned, observing (unseen: accept)",
    }
}

const NAME_OCTETS_MAX: usize = LOCAL_PART_OCTETS_MAX + 1 + DOMAIN_OCTETS_MAX;

/// `local@domain` in canonical form, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    octets: [u8; NAME_OCTETS_MAX],
    len: usize,
}

impl Name {
    pub(crate) fn new(local_part: &[u8], domain: &str) -> Self {
        let mut name = Self { octets: [0; NAME_OCTETS_MAX], len: 0 };
        for part in [local_part, b"@", domain.as_bytes()] {
            // Neither a local part nor a domain is longer than there is room for.
            let end = (name.len + part.len()).min(NAME_OCTETS_MAX);
            name.octets[name.len..end].copy_from_slice(&part[..end - name.len]);
            name.len = end;
        }
        name.octets[local_part.len().min(name.len)..name.len].make_ascii_lowercase();
        name
    }

    pub(crate) fn as_str(&self) -> &str {
        // The parts were text.
        std::str::from_utf8(&self.octets[..self.len]).unwrap_or_default()
    }
}

/// The names under which an address is known: its own, and that without its sub-address.
#[derive(Clone, Copy)]
pub struct Names {
    exact: Name,
    base: Option<Name>,
}

impl Names {
    /// Those of a local part at a domain of ours.
    #[must_use]
    pub fn new(canonical: &Canonical, settings: &DomainSettings) -> Self {
        let domain = settings.name.as_str();
        let base = canonical.base().map(|base| Name::new(base, domain));
        Self { exact: Name::new(canonical.exact(), domain), base }
    }

    /// Those of a mailbox, when its domain, or an alias of it, is ours.
    #[must_use]
    pub fn of(mailbox: &Mailbox, settings: &Settings) -> Option<Self> {
        let domain = settings.domain(settings.domain_of(mailbox.host.domain()?)?);
        Some(Self::new(&Canonical::new(&mailbox.local_part, domain), domain))
    }

    /// The address itself.
    #[must_use]
    pub fn exact(&self) -> &str {
        self.exact.as_str()
    }

    /// The address without its sub-address, when it has one.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.base.as_ref().map(Name::as_str)
    }

    /// What evidence for it speaks for: whoever has a sub-address has the mailbox, and a flood of
    /// sub-addresses is one.
    fn owner(&self) -> &str {
        self.base().unwrap_or(self.exact())
    }
}
