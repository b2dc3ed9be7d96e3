//! What the decoder found: sizes beyond the limits, and line ends that two servers could read
//! differently.

use super::prelude::*;
use mail::smtp::content::ContentFault;

/// Refuses content that cannot be handed on as it is.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let Some(content) = facts.content else { return Ok(None) };
    Ok(match content.summary.fault {
        Some(ContentFault::BareLineEnding) => Some(Refusal::BareLineEnding),
        Some(ContentFault::Nul) => Some(Refusal::Nul),
        Some(ContentFault::LineTooLong) => Some(Refusal::LineTooLong),
        Some(ContentFault::TooBig) => Some(Refusal::MessageTooBig),
        None => (content.header_octets > u64::from(settings.limits.header_octets_max))
            .then_some(Refusal::HeaderTooBig),
    })
}

/// What it looked at, in words.
pub fn looked_at(_: &Facts<'_>, _: &Settings) -> String {
    "supposed to be an ordinary message".into()
}
