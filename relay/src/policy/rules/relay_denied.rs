//! We relay for our domains and for nobody else, whatever the sender says of itself.

use super::prelude::*;
use mail::address::Host;

/// Refuses recipients of other domains, of address literals, and source routes.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    Ok(match facts.forward_path {
        Some(ForwardPath::Postmaster) | None => None,
        Some(ForwardPath::SourceRoute(_)) => Some(Refusal::RelayDenied),
        Some(ForwardPath::Mailbox(_)) => facts.domain.is_none().then_some(Refusal::RelayDenied),
    })
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    match (facts.forward_path, facts.domain) {
        (Some(ForwardPath::Postmaster), _) => "<Postmaster> is always ours".into(),
        (Some(ForwardPath::SourceRoute(_)), _) => "a source route".into(),
        (Some(ForwardPath::Mailbox(mailbox)), Some(id)) => {
            let name = &settings.domain(id).name;
            match mailbox.host.domain() {
                Some(written) if written != name => format!("{written} is an alias of {name}"),
                _ => format!("{name} is ours"),
            }
        }
        (Some(ForwardPath::Mailbox(mailbox)), None) => match &mailbox.host {
            Host::Domain(name) => format!("no [[domain]] is named {name}"),
            Host::Literal(_) => "an address literal, no domain".into(),
        },
        (None, _) => String::new(),
    }
}
