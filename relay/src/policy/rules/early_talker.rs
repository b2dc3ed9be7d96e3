//! A client that speaks before it is greeted does not listen: it is a program that was written to
//! push mail, not to deliver it (RFC 5321 §3.1 makes it wait).

use super::prelude::*;
use crate::policy::facts::Need;

/// Refuses whoever spoke first. Stands last: listening takes a while, and nobody is listened to who
/// is not welcome anyway.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    let arrival = &facts.arrival;
    if arrival.is_unheard && !arrival.early_talker {
        return Err(Need::EarlyTalker);
    }
    Ok(arrival.early_talker.then_some(Refusal::EarlyTalker))
}

/// What it looked at, in words.
pub fn looked_at(_: &Facts<'_>, _: &Settings) -> String {
    "supposed to wait for the greeting".into()
}
