//! A client that connects again and again is slowed down.

use super::prelude::*;

/// Refuses sessions beyond so many a minute.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    if facts.client.limits_lifted {
        return Ok(None);
    }
    let many = facts.standing()?.sessions > settings.rates.sessions_per_minute_max;
    Ok(many.then_some(Refusal::SessionRate))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    rate(facts, "session", |s| s.sessions, settings.rates.sessions_per_minute_max)
}
