//! What the exchange asks of a next hop, and what may come of it. How it is done (hosts, pool,
//! TLS, deadlines) is the edge's affair.

use crate::route::Route;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::HeardReply;
use std::sync::Arc;

/// To be asked of the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Take a connection, begin a transaction, name the first recipient.
    Open {
        /// Where to.
        route: Route,
        /// MAIL.
        reverse_path: ReversePath,
        /// MAIL's parameters.
        parameters: MailParameters,
        /// RCPT.
        recipient: ForwardPath,
    },
    /// One more recipient in the open transaction.
    Recipient(ForwardPath),
    /// DATA, the trace field and the content that was kept, the final dot.
    Content {
        /// The longest line of the content, in octets without its end.
        longest_line_octets: u32,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It refused MAIL; there is no transaction.
    MailRefused(HeardReply),
    /// Its reply to RCPT.
    Recipient(HeardReply),
    /// Its reply to DATA, when that was a refusal.
    DataRefused(HeardReply),
    /// Its reply to the final dot.
    Content {
        /// What it said.
        reply: HeardReply,
        /// Which host said it.
        host: Arc<str>,
    },
    /// It cannot be reached, does not greet, or is left alone for a while after failures.
    Unavailable,
    /// All connections that it may have are in use.
    Busy,
    /// The connection was lost or timed out before the final dot was sent: it does not have the
    /// message.
    Lost,
    /// The connection was lost or timed out after the final dot was sent: it may have the
    /// message (RFC 1047).
    Unknown {
        /// Which host.
        host: Arc<str>,
    },
    /// It does not offer what the message needs.
    Incapable(Lack),
    /// The content could not be kept or read back (memory, disk).
    LocalTrouble,
}

/// What a next hop lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// 8BITMIME, which the client was promised before it went away.
    EightBitMime,
    /// Its SIZE is below the message's.
    Size,
    /// It takes shorter lines only.
    LineLength,
}
