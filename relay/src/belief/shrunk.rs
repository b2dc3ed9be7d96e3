//! Whether a list may take the place of what is in use: an export that failed half-way, or a
//! wrong file, must not make every recipient unknown. Judged for each domain, so that in a
//! shared file only the domain that lost its addresses is held back.

use mail::address::Mailbox;
use std::fmt;

/// Why a load is not adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The canary is not in it. No confirmation helps: the list or the canary must be mended.
    CanaryMissing(Mailbox),
    /// It has nothing for the domain.
    Empty,
    /// It lost more than a fifth.
    Shrunk {
        /// Entries in use, or when last adopted.
        before: u64,
        /// Entries in the load.
        now: u64,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CanaryMissing(canary) => write!(f, "the canary {canary} is not in it"),
            Self::Empty => f.write_str("it is empty"),
            Self::Shrunk { before, now } => {
                write!(f, "it shrinks from {before} to {now}, by more than a fifth")
            }
        }
    }
}

/// Judges the size of a load. An empty list that was in use already is no news.
/// # Errors
/// Why it needs a confirmation.
pub fn judge(before: Option<u64>, now: u64) -> Result<(), Hold> {
    match before {
        Some(0) => Ok(()),
        _ if now == 0 => Err(Hold::Empty),
        Some(before) if u128::from(now) * 5 < u128::from(before) * 4 => {
            Err(Hold::Shrunk { before, now })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_load_is_held_unless_nothing_was_in_use() {
        assert_eq!(judge(None, 0), Err(Hold::Empty));
        assert_eq!(judge(Some(3), 0), Err(Hold::Empty));
        assert_eq!(judge(Some(0), 0), Ok(()));
    }

    #[test]
    fn a_load_may_shrink_by_a_fifth_and_no_more() {
        assert_eq!(judge(Some(100), 80), Ok(()));
        assert_eq!(judge(Some(100), 79), Err(Hold::Shrunk { before: 100, now: 79 }));
        assert_eq!(judge(Some(5), 4), Ok(()));
        assert_eq!(judge(Some(100), 1_000), Ok(()));
        assert_eq!(judge(None, 1), Ok(()));
        assert_eq!(judge(Some(u64::MAX), u64::MAX), Ok(()));
    }
}
