//! Names that nobody has, as the hosts that are asked hear them: one budget for each host, whoever
//! asks it. It outlives reloads; a restart begins anew.

use relay::belief::budget::TrialBudget;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use wire::lock::lock;
use wire::server::NextHopHost;

/// Hosts beyond which those that no source asks any more are forgotten.
const HOSTS_MAX: usize = 1_024;

/// The budgets of all hosts.
#[derive(Debug, Default)]
pub struct Trials {
    hosts: Mutex<HashMap<(String, u16), Budget>>,
    sources: AtomicU64,
}

/// Of one host.
pub type Budget = Arc<Mutex<TrialBudget>>;

impl Trials {
    /// The budget of a host, which all who ask it share.
    #[must_use]
    pub fn budget(&self, host: &NextHopHost) -> Budget {
        let mut hosts = lock(&self.hosts);
        if hosts.len() >= HOSTS_MAX {
            hosts.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        let key = (host.host.to_ascii_lowercase(), host.port);
        Arc::clone(hosts.entry(key).or_default())
    }

    /// A number for one who asks.
    pub fn source(&self) -> u64 {
        self.sources.fetch_add(1, Relaxed)
    }
}
