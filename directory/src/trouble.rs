//! Why a source gave no answer.

use serde::{Deserialize, Serialize};

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TroubleKind {
    /// No connection, or one that broke.
    Down,
    /// No answer within the deadline.
    Slow,
    /// Too much is asked already: by its limits or by ours.
    Busy,
    /// A person must change something: credentials, certificate, base, filter, column.
    Misconfigured,
    /// An answer that is none: a size limit, a referral, JSON of another shape.
    Unexpected,
}

impl TroubleKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Down, Self::Slow, Self::Busy, Self::Misconfigured, Self::Unexpected];

    /// Whether it may end without a person.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Down | Self::Slow | Self::Busy)
    }

    /// The word in log and figures.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow => "slow",
            Self::Busy => "busy",
            Self::Misconfigured => "misconfigured",
            Self::Unexpected => "unexpected",
        }
    }
}
