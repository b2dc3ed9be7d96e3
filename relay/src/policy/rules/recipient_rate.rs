//! A client that names recipient after recipient is slowed down.

use super::prelude::*;

/// Refuses recipients beyond so many a minute.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    if facts.client.limits_lifted {
        return Ok(None);
    }
    let many = facts.standing()?.recipients >= settings.rates.recipients_per_minute_max;
    Ok(many.then_some(Refusal::RecipientRate))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    rate(facts, "recipient", |s| s.recipients, settings.rates.recipients_per_minute_max)
}
