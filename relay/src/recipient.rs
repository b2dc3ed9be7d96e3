//! What is known of a recipient: the answer of the directory, as a fact that rules read.

use mail::address::Mailbox;

/// The answer of the first source that had a definite one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientStatus {
    /// Mail for it is handed to the next hop, as `target` where the directory names one.
    Exists {
        /// The address the next hop hears instead of the one the client said.
        target: Option<Mailbox>,
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
