//! What mail itself has shown, as messages: by the process that serves, or by what it has kept.

use super::address::canonical;
use super::message::Evidence;
use directory::learned::report::Why;
use directory::store::StoreError;
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
}

/// The evidence about an address, by whoever can tell of one name.
/// # Errors
/// When it is none, or what was kept cannot be read.
pub fn why(
    settings: &Settings,
    address: &str,
    of_name: impl Fn(&str) -> Result<Why, StoreError>,
) -> Result<Evidence, Unsaid> {
    let names = canonical(settings, address)?;
    let names = names.iter().map(|name| of_name(name)).collect::<Result<_, _>>()?;
    Ok(Evidence { names })
}
