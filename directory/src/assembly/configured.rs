//! What a configuration says of recipients, as plain data: the domains, their sources in order, and
//! each source once with the domains that list it.

use crate::SourceSettings;
use mail::address::{Domain, Mailbox};
use relay::settings::{DomainId, DomainSettings};
use settings::recipients::{BitbucketRule, LeaverRule};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// What a configuration says of recipients.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a> {
    /// What we call ourselves.
    pub hostname: &'a Domain,
    /// Where sources keep what outlives a restart, when anywhere.
    pub state_dir: Option<&'a Path>,
    /// What is set for each domain; [`DomainId`] counts into it.
    pub settings: &'a [DomainSettings],
    /// Where the addresses of each domain come from, in the same order.
    pub domains: &'a [DomainSources],
}

/// Where the addresses of one domain come from, and what is known of them beside that.
#[derive(Clone, Debug)]
pub struct DomainSources {
    /// Its name.
    pub name: Domain,
    /// Further names; addresses under them are looked up under `name`.
    pub aliases: Vec<Domain>,
    /// In the order they are asked; at least one.
    pub sources: Vec<SourceEntry>,
    /// An address that every source must know.
    pub canary: Option<Mailbox>,
    /// An address that no source can say anything of is accepted.
    pub accepts_in_outage: bool,
    /// Mail that is accepted and discarded.
    pub bitbucket: Vec<BitbucketRule>,
    /// Mail that is refused with a text.
    pub leavers: Vec<LeaverRule>,
}

/// One of `recipients`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEntry {
    /// What it is.
    pub settings: SourceSettings,
    /// Where the configuration says so: the name of its table, or the entry itself.
    pub place: Range<usize>,
}

/// A source and who lists it: one that is shared is opened once, for all of its domains.
#[derive(Clone, Debug)]
pub struct ListedSource<'a> {
    /// The source.
    pub settings: &'a SourceSettings,
    /// Where the configuration says so first.
    pub place: Range<usize>,
    /// In the order of the configuration; at least one.
    pub domains: Vec<(DomainId, &'a DomainSettings, &'a DomainSources)>,
}

/// Each source once, in the order of the configuration.
#[must_use]
pub fn listed<'a>(
    settings: &'a [DomainSettings],
    sources: &'a [DomainSources],
) -> Vec<ListedSource<'a>> {
    let mut all: Vec<ListedSource<'a>> = Vec::new();
    let mut places: HashMap<&SourceSettings, usize> = HashMap::new();
    for (n, (settings, sources)) in (0..).zip(settings.iter().zip(sources)) {
        for entry in &sources.sources {
            let place = *places.entry(&entry.settings).or_insert_with(|| {
                let (settings, place) = (&entry.settings, entry.place.clone());
                all.push(ListedSource { settings, place, domains: Vec::new() });
                all.len() - 1
            });
            let domains = &mut all[place].domains;
            // To list a source twice for one domain is a mistake that has been told.
            if domains.last().is_none_or(|(last, ..)| *last != DomainId(n)) {
                domains.push((DomainId(n), settings, sources));
            }
        }
    }
    all
}
