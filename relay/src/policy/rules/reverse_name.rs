//! A client whose address has no name in the DNS is no mail server that somebody runs (RFC 1912
//! §2.1): it is put off, where the operator asks for it. A DNS that does not answer is no answer.
//! `postmaster` stays within reach, so that whoever runs such a server can ask.

use super::prelude::*;
use crate::policy::facts::ReverseName;
use crate::recipient::always_exists;

/// Refuses recipients of a client without a reverse name.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    if !settings.require_reverse_name || facts.client.limits_lifted {
        return Ok(None);
    }
    if facts.forward_path.is_some_and(always_exists) {
        return Ok(None);
    }
    let missing = *facts.reverse_name()? == ReverseName::Missing;
    Ok(missing.then_some(Refusal::NoReverseName))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    match facts.reverse_name {
        _ if !settings.require_reverse_name => "nobody asks for one".into(),
        _ if facts.client.limits_lifted => LIFTED.into(),
        Some(ReverseName::Confirmed(name)) => format!("it is {name}"),
        Some(ReverseName::Unconfirmed) => "it has one that does not lead back to it".into(),
        Some(ReverseName::Missing) => "it has none".into(),
        Some(ReverseName::Unavailable) => "the DNS was not asked, or did not answer".into(),
        None => "postmaster can always be reached".into(),
    }
}
