//! Words that several rules share when they tell what they looked at.

use crate::policy::facts::{Facts, Standing};

/// Of a client whose limits are lifted.
pub(super) const LIFTED: &str = "limits are lifted for its network";

/// How many of something within the minute, and how many may be.
pub(super) fn rate(
    facts: &Facts<'_>,
    what: &str,
    number: fn(Standing) -> u32,
    most: u32,
) -> String {
    match facts.standing {
        _ if facts.client.limits_lifted => LIFTED.into(),
        Some(standing) => format!("{what}s within the minute: {}; {most} may be", number(standing)),
        None => String::new(),
    }
}
