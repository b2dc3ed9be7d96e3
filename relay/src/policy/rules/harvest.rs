//! Directory harvest: whoever guesses too many names hears the same about every name, known or
//! unknown, until it stops. A 250 that means nothing is never given. The postmaster, who always
//! exists, can be reached all the same (RFC 5321 §4.5.1).

use super::prelude::*;
use crate::recipient::always_exists;

/// Refuses every recipient of a client, or network, that guesses. What is guessed in notices is
/// counted apart and costs only notices: whoever has to send many of them for a worm goes on
/// sending mail, and whoever guesses in mail can still tell what became of ours.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    if facts.client.limits_lifted || facts.forward_path.is_some_and(always_exists) {
        return Ok(None);
    }
    if facts.is_transaction_suspected {
        return Ok(Some(Refusal::HarvestSuspected));
    }
    let standing = facts.standing()?;
    let guesses = match facts.reverse_path {
        Some(ReversePath::Null) => standing.notice_harvest,
        Some(ReversePath::Mailbox(_) | ReversePath::Name(_)) | None => standing.harvest,
    };
    Ok(guesses.then_some(Refusal::HarvestSuspected))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    match facts.standing {
        _ if facts.client.limits_lifted => LIFTED.into(),
        Some(_) if facts.reverse_path == Some(&ReversePath::Null) => {
            "supposed not to have guessed in notices, which are counted apart".into()
        }
        Some(standing) if standing.harvest => {
            "supposed to have guessed too many recipients of late".into()
        }
        Some(_) => "a client without history".into(),
        None => "an address that always exists is no guess".into(),
    }
}
