//! `user%elsewhere@ours`, `elsewhere!user@ours`, `"user@elsewhere"@ours`: the server behind may
//! expand them and relay. Encapsulated addresses of Exchange (`IMCEASMTP-…`, MS99-027) likewise.
//! Refused whatever the directory says; a domain may name characters that it really uses.

use super::prelude::*;

const ENCAPSULATION: &str = "IMCEA";

/// Refuses local parts that mean something to somebody else.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let Some(mailbox) = facts.forward_path.and_then(ForwardPath::mailbox) else { return Ok(None) };
    let allowed = facts.domain.map_or("", |id| &settings.domain(id).local_part_characters);
    let local_part = mailbox.local_part.as_str();
    let trick = |b: u8| {
        matches!(b, b'%' | b'!' | b'@' | b':' | b'/' | b'\\' | b'|' | b'"')
            && !allowed.as_bytes().contains(&b)
    };
    let encapsulated = local_part
        .get(..ENCAPSULATION.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(ENCAPSULATION))
        && local_part.contains('-');
    let refused =
        encapsulated || mailbox.local_part.needs_quotes() || local_part.bytes().any(trick);
    Ok(refused.then_some(Refusal::AddressTrick))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    let Some(mailbox) = facts.forward_path.and_then(ForwardPath::mailbox) else {
        return "no local part".into();
    };
    let allowed = facts.domain.map_or("", |id| &settings.domain(id).local_part_characters);
    let allowed =
        if allowed.is_empty() { String::new() } else { format!("; the domain allows {allowed}") };
    format!("the local part is {}{allowed}", mailbox.local_part)
}
