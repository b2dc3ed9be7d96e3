//! What the program uses: plain data, checked, with every default filled in and every path
//! absolute. Built by `build`, never changed; a new configuration is a new value.

use crate::directory::SourceSettings;
use crate::settings::mistake::Mistake;
use crate::settings::networks::Networks;
use crate::settings::process::{DropTo, Listener, Log, TlsFiles};
use crate::settings::recipients::{BitbucketRule, LeaverRule};
use crate::settings::server::NextHop;
use mail::address::{Domain, Mailbox};
use relay::settings::{DomainId, DomainSettings, Settings};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// What the rules and the exchange read.
    pub settings: Arc<Settings>,
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// Our certificate. Always there when a listener speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Clients that are not strangers.
    pub networks: Networks,
    /// Who takes mail; `relay::settings::NextHopId` counts into it.
    pub next_hops: Vec<NextHop>,
    /// Where the addresses of each domain come from; `relay::settings::DomainId` counts into it.
    pub domains: Vec<DomainSources>,
    /// Where events are written.
    pub log: Log,
    /// Where figures are read, when they are.
    pub metrics: Option<SocketAddr>,
    /// Directory for what outlives a restart.
    pub state_dir: Option<PathBuf>,
    /// Who to become once the listeners are open.
    pub drop_to: Option<DropTo>,
    /// Whether to start although a recipient source cannot be used.
    pub starts_without_sources: bool,
    /// What the operator should know; the program may run.
    pub warnings: Vec<Mistake>,
}

impl Config {
    /// Whether a domain has `learned` among its sources.
    #[must_use]
    pub fn lists_learned(&self, domain: DomainId) -> bool {
        let sources = self.domains.get(domain.0 as usize).map_or(&[][..], |d| &d.sources);
        sources.iter().any(|entry| matches!(entry.settings, SourceSettings::Learned(_)))
    }
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
