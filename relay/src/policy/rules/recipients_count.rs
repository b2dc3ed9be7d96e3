//! One message, so many recipients; the client sends the rest separately (RFC 5321 §4.5.3.1.10).

use super::prelude::*;

/// Refuses recipients beyond the limit, for now.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let recipients_max = settings.limits.under(facts.pressure).recipients_max;
    Ok((facts.recipients >= recipients_max).then_some(Refusal::TooManyRecipients))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    let most = settings.limits.under(facts.pressure).recipients_max;
    format!("{} before in the message, {most} may be", facts.recipients)
}
