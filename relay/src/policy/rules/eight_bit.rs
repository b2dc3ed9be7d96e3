//! `BODY=8BITMIME` is for servers that offer 8BITMIME (RFC 6152 §3), and we offer it only when
//! every next hop does. A client that says it all the same would have us promise what nobody keeps.

use super::prelude::*;
use mail::smtp::parameter::Body;

/// Refuses 8-bit content that we did not offer to take.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    let asked = facts.parameters.body == Body::EightBitMime;
    Ok((asked && !facts.eight_bit_mime).then_some(Refusal::EightBitNotOffered))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    facts.reverse_path.map_or(String::new(), |path| format!("the sender is <{path}>"))
}
