//! Directory harvest: whoever guesses too many names hears the same about every name, known or
//! unknown, until it stops. A 250 that means nothing is never given. The postmaster, who always
//! exists, can be reached all the same (RFC 5321 §4.5.1).

use super::prelude::*;

/// Refuses every recipient of a client, or network, that guesses.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    let notice = matches!(facts.reverse_path, Some(ReversePath::Null));
    if facts.client.limits_lifted || notice || facts.forward_path.is_some_and(always_exists) {
        return Ok(None);
    }
    Ok(facts.standing()?.harvest.then_some(Refusal::HarvestSuspected))
}

/// `postmaster` and `abuse` are no guesses (RFC 2142 §2).
fn always_exists(path: &ForwardPath) -> bool {
    path.mailbox().is_none_or(|mailbox| {
        let local_part = mailbox.local_part.as_str();
        ["postmaster", "abuse"].iter().any(|name| local_part.eq_ignore_ascii_case(name))
    })
}
