//! An address that a person wrote, as it is remembered.

use crate::explain::asked::forward_path;
use directory::Canonical;
use mail::address::{AddressError, LocalPart};
use relay::settings::Settings;

/// The names under which an address is remembered: its own, and that without its sub-address.
/// # Errors
/// When it is none.
pub fn canonical(settings: &Settings, address: &str) -> Result<Vec<String>, AddressError> {
    let path = forward_path(address)?;
    let Some(mailbox) = path.mailbox() else { return Ok(vec![path.to_string()]) };
    let Some(domain) = settings.domain_of_path(&path) else { return Ok(vec![mailbox.to_string()]) };
    let domain = settings.domain(domain);
    let local_part = Canonical::new(&mailbox.local_part, domain);
    let name = domain.name.to_canonical();
    let parts = [Some(local_part.exact()), local_part.base()];
    let named = |part: &[u8]| {
        let local_part = LocalPart::new(&String::from_utf8_lossy(part))?;
        Ok(format!("{local_part}@{name}"))
    };
    parts.into_iter().flatten().map(named).collect()
}
