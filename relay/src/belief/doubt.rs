//! Why something that a source said is not believed, as log and people are told. When that is so
//! is `credibility.rs`.

use mail::address::Mailbox;
use std::fmt;
use std::sync::Arc;

/// Why something that was said is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It says yes to a name that nobody has.
    AcceptsRandom,
    /// Its canary is not there any more.
    CanaryGone(Mailbox),
    /// Nobody whom it knew is there any more.
    KnownGone {
        /// Who it is, by the name that `confirm` takes.
        source: Arc<str>,
    },
    /// It has never known anybody, so that its no says nothing.
    NeverKnewAnybody,
    /// Too many people turned unknown.
    Vanished {
        /// Who it is, by the name that `confirm` takes.
        source: Arc<str>,
        /// How many.
        vanished: usize,
        /// How many are still known.
        known: usize,
    },
}

impl Doubt {
    /// Whether it is about every no of the source for the domain, and not about one answer.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        matches!(self, Self::CanaryGone(_) | Self::KnownGone { .. } | Self::Vanished { .. })
    }

    /// The word in log and figures.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::AcceptsRandom => "accepts-random",
            Self::CanaryGone(_) => "canary-gone",
            Self::KnownGone { .. } => "witnesses-gone",
            Self::NeverKnewAnybody => "never-knew-anybody",
            Self::Vanished { .. } => "many-turned-unknown",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptsRandom => {
                f.write_str("it says yes to an address that nobody has, so its yes proves nothing")
            }
            Self::CanaryGone(canary) => write!(f, "it does not know the canary {canary}"),
            Self::KnownGone { source } => write!(
                f,
                "people whom it knew are gone; if they have left: \
                 postern recipients confirm \"{source}\""
            ),
            Self::NeverKnewAnybody => f.write_str(
                "it has not known a single address yet; name one that it must know as `canary`",
            ),
            Self::Vanished { source, vanished, known } => write!(
                f,
                "{vanished} people whom it knew turned unknown within a week, against {known} that \
                 are known; if they have left: postern recipients confirm \"{source}\""
            ),
        }
    }
}
