//! A next hop that refuses a message as a whole does not say for whom. The envelope is
//! remembered, and its retry admits one recipient per transaction, so that each gets the answer
//! that is meant for it.

use super::prelude::*;

/// Refuses, for now, further recipients of an envelope that was refused as a whole.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    if facts.recipients == 0 {
        return Ok(None);
    }
    Ok(facts.split()?.then_some(Refusal::OneAtATime))
}

/// What it looked at, in words.
pub fn looked_at(_: &Facts<'_>, _: &Settings) -> String {
    "the first recipient of the message".into()
}
