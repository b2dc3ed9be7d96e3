//! A session that goes on for ever keeps its place from others.

use super::prelude::*;

/// Ends a session after so many messages.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let messages_max = settings.limits.under(facts.pressure).messages_max;
    let many = !facts.client.limits_lifted && facts.session_messages >= messages_max;
    Ok(many.then_some(Refusal::TooManyMessages))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    if facts.client.limits_lifted {
        return LIFTED.into();
    }
    let most = settings.limits.under(facts.pressure).messages_max;
    format!("{} before in the session, {most} may be", facts.session_messages)
}
