//! A message that comes round and round is refused for good (RFC 5321 §6.3): 4yz would only make
//! it come again.

use super::prelude::*;

/// Refuses content with too many trace fields, or too many of ours.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let Some(content) = facts.content else { return Ok(None) };
    let limits = &settings.limits;
    let round = content.received_fields >= limits.received_fields_max
        || content.own_received_fields >= limits.own_received_fields_max;
    Ok(round.then_some(Refusal::Loop))
}

/// What it looked at, in words.
pub fn looked_at(_: &Facts<'_>, _: &Settings) -> String {
    "supposed to have one Received field".into()
}
