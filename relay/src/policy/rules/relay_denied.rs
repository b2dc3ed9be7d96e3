//! We relay for our domains and for nobody else, whatever the sender says of itself.

use super::prelude::*;

/// Refuses recipients of other domains, of address literals, and source routes.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    Ok(match facts.forward_path {
        Some(ForwardPath::Postmaster) | None => None,
        Some(ForwardPath::SourceRoute(_)) => Some(Refusal::RelayDenied),
        Some(ForwardPath::Mailbox(_)) => facts.domain.is_none().then_some(Refusal::RelayDenied),
    })
}
