//! The reason we are here: a recipient that does not exist is refused now, so that nobody ever
//! has to report it. A directory that does not answer is no answer (RFC 5321 §3.3).

use super::prelude::*;
use crate::recipient::RecipientStatus;

/// Refuses recipients that are unknown, have left, or cannot be verified now.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    Ok(match facts.recipient()? {
        RecipientStatus::Exists { .. } | RecipientStatus::Bitbucket { .. } => None,
        RecipientStatus::Left { text } => Some(Refusal::RecipientLeft(text.clone())),
        RecipientStatus::Unknown => Some(Refusal::RecipientUnknown),
        RecipientStatus::Unavailable => Some(Refusal::DirectoryUnavailable),
    })
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    match facts.recipient {
        Some(RecipientStatus::Exists { target: None, .. }) => "it exists".into(),
        Some(RecipientStatus::Exists { target: Some(target), .. }) => {
            format!("it exists, as {target}")
        }
        Some(RecipientStatus::Bitbucket { reason }) => {
            format!("mail for it is discarded: {reason}")
        }
        Some(RecipientStatus::Left { .. }) => "whoever it was has left".into(),
        Some(RecipientStatus::Unknown) => "it is unknown".into(),
        Some(RecipientStatus::Unavailable) => "no source can say".into(),
        None => String::new(),
    }
}
