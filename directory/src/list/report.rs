//! What `postern recipients` shows of a list: for `check` it is read and judged by nobody, with
//! everything that is malformed in it; for `stats` and `sources`, what is in use.

use super::source::Listed;
use super::state::snapshots;
use super::{Lister, LoadError, Malformed, Scope};
use crate::Account;
use crate::load::intake::{Intake, Progress};
use crate::report::SourceReport;
use crate::snapshot::{HashKey, Snapshot};
use crate::statistics::{Age, DomainStatistics, Statistics};
use mail::address::Domain;
use relay::settings::DomainId;
use wire::clock;
use wire::lock::lock;

/// What a list would bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// For each domain: its addresses (one listed twice counts twice) and its patterns.
    pub domains: Vec<(Domain, u64, u64)>,
    /// Distinct addresses of all domains.
    pub addresses: u64,
    /// Entries with a target at the next hop.
    pub targets: u64,
    /// Addresses of other domains.
    pub foreign: u64,
    /// What is malformed; with any of it a file is not adopted.
    pub malformed: Malformed,
}

/// Reads a list and changes nothing.
/// # Errors
/// When it cannot be read at all; malformed lines are part of the result.
pub fn check(lister: &dyn Lister, scope: &Scope) -> Result<Checked, LoadError> {
    let progress = Progress::default();
    // Nothing is kept of it, so nobody can profit from a known key.
    let mut intake = Intake::new(scope, HashKey([0; 16]), lister.rows(), &progress, 0);
    intake.allow(lister.allowances());
    let read = lister.read(&mut intake).and_then(|_| intake.finish());
    let load = match read {
        Ok((load, _)) => load,
        Err(LoadError::Malformed { malformed, .. }) => {
            let (domains, addresses, targets, foreign) = (Vec::new(), 0, 0, 0);
            return Ok(Checked { domains, addresses, targets, foreign, malformed });
        }
        Err(error) => return Err(error),
    };
    let domains = scope.domains().iter().zip(&load.parts);
    let domains = domains
        .map(|(scope, part)| (scope.name.clone(), part.addresses, part.patterns.len() as u64));
    Ok(Checked {
        domains: domains.collect(),
        addresses: load.snapshot.len() as u64,
        targets: load.snapshot.targets() as u64,
        foreign: load.foreign,
        malformed: load.skipped.malformed,
    })
}

impl Listed {
    /// What it holds.
    #[must_use]
    pub(crate) fn figures(&self) -> Statistics {
        let state = self.state.load();
        let snapshots = snapshots(&state);
        let sum = |of: fn(&Snapshot) -> usize| snapshots.iter().map(|s| of(s) as u64).sum();
        let domains = self.scope.domains().iter().zip(state.iter()).map(|(scope, here)| {
            let here = here.as_ref();
            DomainStatistics {
                domain: scope.name.clone(),
                entries: here.map(|here| here.entries),
                patterns: here.map_or(0, |here| here.patterns.len() as u64),
                changes: here.map_or(0, |here| here.overlay.len() as u64),
                modified_nanoseconds: here.map(|here| here.modified_nanoseconds),
            }
        });
        Statistics {
            source: self.lister.name().clone(),
            addresses: sum(Snapshot::len),
            targets: sum(Snapshot::targets),
            octets: sum(Snapshot::octets),
            domains: domains.collect(),
        }
    }

    /// How old the list is that a domain's addresses are looked up in.
    pub(super) fn account_of(&self, domain: DomainId) -> Account {
        let state = self.state.load();
        let here = self.scope.place_of(domain).and_then(|place| state[place].as_ref());
        Account {
            age_seconds: here.map(|here| seconds_since(here.modified_nanoseconds)),
            note: lock(&self.last_trouble).as_ref().map(|not| not.why.clone()),
            ..Account::default()
        }
    }

    /// What it is, and why its last load is not in use.
    #[must_use]
    pub(super) fn status(&self) -> SourceReport {
        let state = self.state.load();
        let entries = state.iter().flatten().map(|here| here.entries).sum();
        let read = state.iter().flatten().map(|here| here.modified_nanoseconds).min();
        let trouble = lock(&self.last_trouble);
        SourceReport {
            name: self.lister.name().to_string(),
            why: read.map_or("nothing was adopted yet".into(), written_ago),
            domains: self.scope.domains().iter().map(|scope| scope.name.to_string()).collect(),
            entries: read.map(|_| entries),
            is_held: trouble.as_ref().is_some_and(|not| not.is_held),
            last_trouble: trouble.as_ref().map(|not| not.why.clone()),
            ..SourceReport::default()
        }
    }
}

fn written_ago(modified_nanoseconds: i64) -> String {
    format!("written {} ago", Age(seconds_since(modified_nanoseconds)))
}

fn seconds_since(modified_nanoseconds: i64) -> u64 {
    let ago = clock::unix_nanoseconds().saturating_sub(modified_nanoseconds) / 1_000_000_000;
    u64::try_from(ago).unwrap_or(0)
}
