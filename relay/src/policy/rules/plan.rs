//! The first accepted recipient fixes the plan of the transaction; one that needs another is
//! sent separately. Otherwise one 250 would answer for two servers, and one of them might have
//! to bounce.

use super::prelude::*;
use crate::recipient::RecipientStatus;

/// Refuses, for now, a recipient whose mail goes another way than the first one's.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let (Some(plan), Some(domain)) = (facts.plan, facts.domain) else { return Ok(None) };
    let exists = matches!(facts.recipient()?, RecipientStatus::Exists { .. });
    let other = settings.plan(domain) != *plan;
    Ok((exists && other).then_some(Refusal::OtherPlan))
}

/// What it looked at, in words.
pub fn looked_at(_: &Facts<'_>, _: &Settings) -> String {
    "the first recipient of the message".into()
}
