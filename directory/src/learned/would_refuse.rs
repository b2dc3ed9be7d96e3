//! What enforcing would say to a recipient that passes while `learned` observes.

use super::Unseen;
use super::evidence::Belief;
use serde::{Deserialize, Serialize};

/// What would be said to a recipient if what was learned were enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WouldRefuse {
    /// 550: evidence speaks against it.
    ByEvidence,
    /// 550: nothing is known of it, and everybody has been seen.
    UnseenRefused,
    /// 451: nothing is known of it.
    UnseenDeferred,
}

impl WouldRefuse {
    const ALL: [Self; 3] = [Self::ByEvidence, Self::UnseenRefused, Self::UnseenDeferred];

    /// What follows from a belief.
    #[must_use]
    pub fn of(belief: Belief, unseen: Unseen) -> Option<Self> {
        match (belief, unseen) {
            (Belief::Exists, _) | (Belief::Unseen, Unseen::Accept) => None,
            (Belief::Unknown, _) => Some(Self::ByEvidence),
            (Belief::Unseen, Unseen::Refuse) => Some(Self::UnseenRefused),
            (Belief::Unseen, Unseen::Defer) => Some(Self::UnseenDeferred),
        }
    }

    /// Its name where it is kept.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ByEvidence => "by_evidence",
            Self::UnseenRefused => "unseen_refused",
            Self::UnseenDeferred => "unseen_deferred",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }

    /// The reply code.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::ByEvidence | Self::UnseenRefused => 550,
            Self::UnseenDeferred => 451,
        }
    }
}
