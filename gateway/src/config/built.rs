//! What the program uses: plain data, checked, with every default filled in and every path
//! absolute. Built by `build`, never changed; a new configuration is a new value.

use directory::SourceSettings;
use directory::assembly::Configured;
use relay::settings::{DomainId, Settings};
use settings::mistake::Mistake;
use settings::networks::Networks;
use settings::process::{Dns, Listener, Log};
use settings::user::DropTo;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use wire::server::NextHop;
use wire::tls::server::TlsFiles;

pub use directory::assembly::{DomainSources, ListedSource, SourceEntry, listed};

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
    /// Who is asked what the DNS says.
    pub dns: Dns,
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
    /// What is to be known of recipients.
    #[must_use]
    pub fn recipients(&self) -> Configured<'_> {
        Configured {
            hostname: &self.settings.hostname,
            state_dir: self.state_dir.as_deref(),
            settings: &self.settings.domain,
            domains: &self.domains,
        }
    }

    /// Whether a domain has `learned` among its sources.
    #[must_use]
    pub fn lists_learned(&self, domain: DomainId) -> bool {
        let sources = self.domains.get(domain.0 as usize).map_or(&[][..], |d| &d.sources);
        sources.iter().any(|entry| matches!(entry.settings, SourceSettings::Learned(_)))
    }
}
