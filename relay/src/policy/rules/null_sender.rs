//! A notice answers one message of one sender, so it has one recipient. `<>` itself is always
//! welcome (RFC 5321 §4.5.5).

use super::prelude::*;

/// Refuses the second recipient of a notice, for now.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    let notice = matches!(facts.reverse_path, Some(ReversePath::Null));
    Ok((notice && facts.recipients > 0).then_some(Refusal::NoticeToSeveral))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    match facts.reverse_path {
        Some(ReversePath::Null) => "a notice, and its first recipient".into(),
        _ => "no notice: MAIL names a mailbox".into(),
    }
}
