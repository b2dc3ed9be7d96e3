//! A message that is announced as too big is refused before it is sent (RFC 1870 §6.1).

use super::prelude::*;

/// Refuses a SIZE above what EHLO offered.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    let big = facts.parameters.size_octets.is_some_and(|octets| octets > facts.size_octets_max);
    Ok(big.then_some(Refusal::MessageTooBig))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    let offered = facts.size_octets_max;
    match facts.parameters.size_octets {
        Some(octets) => format!("SIZE={octets}; EHLO offers {offered}"),
        None => format!("no SIZE= is given; EHLO offers {offered}"),
    }
}
