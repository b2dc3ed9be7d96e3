//! EHLO takes a domain or an address literal (RFC 5321 §4.1.1.1). Many honest appliances say
//! something that is neither, so only what can be no name at all is refused.

use super::prelude::*;

/// Refuses a name with characters that no host name, address or literal has.
pub fn rule(facts: &Facts<'_>, _: &Settings) -> Ruling {
    let plausible = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    let wrong = facts.hello.is_some_and(|hello| !hello.name.bytes().all(plausible));
    Ok(wrong.then_some(Refusal::HelloSyntax))
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, _: &Settings) -> String {
    facts.hello.map_or(String::new(), |hello| format!("it says {}", hello.name))
}
