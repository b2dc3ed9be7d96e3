//! What is known of a recipient: the answer of the directory, as a fact that rules read.

use mail::address::{ForwardPath, Mailbox};

/// The answer of the first source that had a definite one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientStatus {
    /// Mail for it is handed to the next hop, as `target` where the directory names one.
    Exists {
        /// The address the next hop hears instead of the one the client said.
        target: Option<Mailbox>,
        /// Why it is thought to exist.
        ground: Ground,
    },
    /// Its mail is accepted and discarded on purpose, for this reason.
    Bitbucket {
        /// Why, as the operator wrote it.
        reason: Box<str>,
    },
    /// Whoever it was has left; the text says where to write instead.
    Left {
        /// What the client is told.
        text: Box<str>,
    },
    /// A source that was able to know says that there is none.
    Unknown,
    /// No source was able to say. Never treated as [`Self::Unknown`].
    Unavailable,
}

/// `postmaster` and `abuse` are no guesses: every domain has them (RFC 5321 §4.5.1, RFC 2142 §2).
#[must_use]
pub fn always_exists(path: &ForwardPath) -> bool {
    path.mailbox().is_none_or(|mailbox| {
        let local_part = mailbox.local_part.as_str();
        ["postmaster", "abuse"].iter().any(|name| local_part.eq_ignore_ascii_case(name))
    })
}

/// Why a recipient is thought to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ground {
    /// A source names the address, or the address without its sub-address.
    Listed,
    /// A source that asks elsewhere named it before, and is not asked again for now.
    Remembered,
    /// A pattern of a source matches it.
    Pattern,
    /// Every domain has it: `postmaster`, `abuse` (RFC 5321 §4.5.1, RFC 2142 §2).
    Reserved,
    /// No source has it; it goes to the domain's catch-all.
    CatchAll,
    /// Nobody has said anything: the source that would decide only observes.
    Observed {
        /// What is set there for an address that nothing is known of.
        unseen: Unseen,
    },
    /// Nobody has said anything, and the operator lets such addresses pass.
    Presumed,
    /// No source was able to say, and the operator lets mail pass in an outage.
    Outage,
    /// A rule of the operator's names it, and discards its mail.
    Rule,
}

/// What becomes of an address that nothing is known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unseen {
    /// Nobody knows: 451, unless another source does.
    Defer,
    /// The operator says that everybody has been seen: 550.
    Refuse,
    /// It passes: only whom the next hop has refused is refused.
    Accept,
}

impl RecipientStatus {
    /// A source names it, and the next hop hears it as it was said.
    pub const LISTED: Self = Self::Exists { target: None, ground: Ground::Listed };
}
