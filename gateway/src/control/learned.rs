//! What mail itself has shown, as messages: by the process that serves, or by what it has kept.

use super::address::canonical;
use super::message::{Evidence, Report, rewritten};
use crate::directory::learned::Learned;
use crate::directory::learned::report::{report_from, why_from};
use crate::directory::store::{Store, StoreError};
use mail::address::AddressError;
use relay::settings::Settings;
use thiserror::Error;

/// Addresses in a report.
pub const REPORTED_ADDRESSES_MAX: usize = 10_000;

/// Why nothing is said.
#[derive(Debug, Error)]
pub enum Unsaid {
    /// What was given as an address is none.
    #[error("that is no address: {0}")]
    Address(#[from] AddressError),
    /// What was kept cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The two sides of the socket have grown apart.
    #[error("a bug: {0}")]
    Bug(#[from] serde_json::Error),
}

/// The evidence about an address, from memory.
/// # Errors
/// When it is none.
pub fn why(learned: &Learned, settings: &Settings, address: &str) -> Result<Evidence, Unsaid> {
    let names = canonical(settings, address)?;
    let names = names.iter().map(|name| rewritten(&learned.why(name)));
    Ok(Evidence { names: names.collect::<Result<_, _>>()? })
}

/// The evidence about an address, from what was kept.
/// # Errors
/// When it is none, or the store cannot be read.
pub fn why_kept(store: &Store, settings: &Settings, address: &str) -> Result<Evidence, Unsaid> {
    let mut evidence = Evidence::default();
    for name in canonical(settings, address)? {
        evidence.names.push(rewritten(&why_from(store, &name)?)?);
    }
    Ok(evidence)
}

/// Whom enforcement would have refused, from memory.
/// # Errors
/// Never, but for a bug.
pub fn report(learned: &Learned, addresses_max: usize) -> Result<Report, Unsaid> {
    let doubtful = learned.report(addresses_max.min(REPORTED_ADDRESSES_MAX));
    Ok(Report { would_refuse: rewritten(&doubtful)? })
}

/// Whom enforcement would have refused, from what was kept.
/// # Errors
/// When the store cannot be read.
pub fn report_kept(store: &Store, addresses_max: usize) -> Result<Report, Unsaid> {
    let doubtful = report_from(store, addresses_max.min(REPORTED_ADDRESSES_MAX))?;
    Ok(Report { would_refuse: rewritten(&doubtful)? })
}
