//! What `postern recipients check` shows: a list read and judged by nobody, with everything
//! that is malformed in it.

use super::intake::{Intake, Progress};
use super::{Lister, LoadError, Malformed, Scope};
use crate::directory::snapshot::HashKey;
use mail::address::Domain;

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
