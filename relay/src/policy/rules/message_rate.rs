//! A client that sends message after message is slowed down.

use super::prelude::*;

/// Refuses messages beyond so many a minute.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    if facts.client.limits_lifted {
        return Ok(None);
    }
    let many = facts.standing()?.messages >= settings.rates.messages_per_minute_max;
    Ok(many.then_some(Refusal::MessageRate))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    rate(facts, "message", |s| s.messages, settings.rates.messages_per_minute_max)
}
