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

use super::kinds::{Kind as SourceKind, Listed};
use super::{
    Canonical, Finding, Matched, Opened, Question, RecipientSource, SourceAnswer, SourceSettings,
};
use crate::observe::reports::SourceReport;
use crate::settings::reader::FromTable;
use mail::address::{DOMAIN_OCTETS_MAX, Domain, LOCAL_PART_OCTETS_MAX, Mailbox};
use relay::recipient::Ground;
use relay::settings::{DomainId, DomainSettings, Settings};
use std::sync::Arc;

/// `{ learned = true }`.
pub const KIND: SourceKind = SourceKind {
    name: "learned",
    help: "What mail itself shows: who writes, whose mail is taken, who is refused.",
    entry: settings::Entry::TABLE.keys,
    table: None,
    read: |entry, _, site| {
        let settings = settings::read(&settings::Entry::read_from(entry, site), site)?;
        Some(Listed::Itself(SourceSettings::Learned(settings)))
    },
    try_out: |_, _| None,
    open: |settings, domains, environment| {
        let SourceSettings::Learned(settings) = settings else { return None };
        let source = LearnedRecipients::new(
            *settings,
            Arc::clone(&environment.learned),
            domains.iter().map(|domain| (domain.id, domain.name.clone())).collect(),
        );
        Some(Opened { source: Arc::new(source), outcomes: Vec::new() })
    },
};

/// What was learned, as a source of the domains that list it with the same settings.
#[derive(Debug)]
pub struct LearnedRecipients {
    name: Arc<str>,
    settings: LearnedSettings,
    learned: Arc<Learned>,
    domains: Vec<(DomainId, Domain)>,
}

impl LearnedRecipients {
    /// Answers from this memory, for these domains.
    #[must_use]
    pub fn new(
        settings: LearnedSettings,
        learned: Arc<Learned>,
        domains: Vec<(DomainId, Domain)>,
    ) -> Self {
        Self { name: name(settings).into(), settings, learned, domains }
    }
}

/// The source's name, for people: it says under which settings it decides.
const fn name(settings: LearnedSettings) -> &'static str {
    match (settings.mode, settings.unseen) {
        (Mode::Enforce, _) => "learned",
        (Mode::Observe, Unseen::Defer) => "learned, observing",
        (Mode::Observe, Unseen::Refuse) => "learned, observing (unseen: refuse)",
        (Mode::Observe, Unseen::Accept) => "learned, observing (unseen: accept)",
    }
}

impl RecipientSource for LearnedRecipients {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn look_up(&self, question: &Question<'_>) -> SourceAnswer {
        let exists = |by| Finding::Exists { target: None, by };
        let LearnedSettings { mode, unseen } = self.settings;
        if mode == Mode::Observe {
            let passes = Some(Ground::Observed { unseen });
            return SourceAnswer::Now(Finding::Abstains { passes });
        }
        let names = Names::new(&question.canonical, question.settings);
        SourceAnswer::Now(match self.learned.believe(&names) {
            (Belief::Exists, false) => exists(Matched::Exact),
            (Belief::Exists, true) => exists(Matched::SubAddress),
            (Belief::Unknown, _) => Finding::Unknown,
            (Belief::Unseen, _) => match unseen {
                Unseen::Refuse => Finding::Unknown,
                Unseen::Defer => Finding::Abstains { passes: None },
                Unseen::Accept => Finding::Abstains { passes: Some(Ground::Presumed) },
            },
        })
    }

    fn doubt_negative(&self, domain: DomainId, local_part: &[u8]) {
        if let Some((_, name)) = self.domains.iter().find(|(id, _)| *id == domain) {
            self.learned.forgive(Name::new(local_part, name.as_str()).as_str());
        }
    }

    /// The memory is one for all domains that learn.
    fn report(&self) -> SourceReport {
        let figures = self.learned.figures();
        SourceReport {
            name: self.name.to_string(),
            domains: self.domains.iter().map(|(_, name)| name.to_string()).collect(),
            remembered_yes: figures.positives,
            remembered_no: figures.negatives,
            ..SourceReport::default()
        }
    }
}

const NAME_OCTETS_MAX: usize = LOCAL_PART_OCTETS_MAX + 1 + DOMAIN_OCTETS_MAX;

/// `local@domain` in canonical form, on the stack.
#[derive(Clone, Copy)]
struct Name {
    octets: [u8; NAME_OCTETS_MAX],
    len: usize,
}

impl Name {
    fn new(local_part: &[u8], domain: &str) -> Self {
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

    fn as_str(&self) -> &str {
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
