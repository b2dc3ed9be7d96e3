//! Where the session of a client stands, and the replies that it awaits: which of them must come
//! before more is sent, and what can be one.

use super::reply::{Class, HeardReply};

/// ```text
/// Connecting ──220, EHLO──► Idle ──MAIL──► Transaction ──DATA──► Content
///                             ▲                 │ RSET              │
///                             └─────────────────┴──end of mail data─┘
/// ```
/// A fault, a 421, and giving up where RSET cannot be said lead to Closed, which nothing leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Idle,
    Transaction,
    Content,
    Closed,
}

/// What is awaited, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    XClient,
    Rset,
    /// XFORWARD, or a command of a transaction that was reset since: whatever comes, nobody asks.
    Forgotten,
    Mail,
    Rcpt,
    Data,
    Content,
}

impl Expect {
    /// Nothing may be sent before the reply: it decides how what follows is read (RFC 2920 §3.1;
    /// XCLIENT makes a new session of this one).
    pub(super) fn must_end_flight(self) -> bool {
        match self {
            Self::Greeting | Self::Ehlo | Self::Helo | Self::StartTls | Self::XClient => true,
            Self::Data | Self::Content => true,
            Self::Rset | Self::Forgotten | Self::Mail | Self::Rcpt => false,
        }
    }

    /// DATA alone is answered by an intermediate reply, and by no completion (RFC 5321 §4.3.2).
    /// Anything else means that the two sides have lost count of each other.
    pub(super) fn is_answered_by(self, reply: &HeardReply) -> bool {
        match reply.class() {
            Class::Completion => self != Self::Data,
            Class::Intermediate => self == Self::Data && reply.code == 354,
            Class::Transient | Class::Permanent => true,
        }
    }
}
