//! Directory harvest: whoever guesses too many names hears the same about every name, known or
//! unknown, until it stops. A 250 that means nothing is never given.

use super::prelude::*;

/// Refuses every recipient of a client, or network, that guesses.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    if facts.client.limits_lifted || matches!(facts.reverse_path, Some(ReversePath::Null)) {
        return Ok(None);
    }
    Ok(facts.standing()?.harvest.then_some(Refusal::HarvestSuspected))
}
