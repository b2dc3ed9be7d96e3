//! Every reason we say no, and the only table from reason to reply.
//! What a client reads names no host, table or path of ours.

use mail::smtp::reply::Reply;
use mail::smtp::status::{self, Status};

/// A reason to refuse. Closed: a new one does not compile until the table knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client spoke before it was greeted.
    EarlyTalker,
    /// No room for another connection.
    TooManyConnections,
    /// Too many connections of this client's network.
    TooManyNetworkConnections,
    /// No room for another connection of this client.
    TooManyClientConnections,
    /// Too many sessions of this client within a minute.
    SessionRate,
    /// Shutting down, or short of descriptors or memory.
    NotAccepting,
    /// EHLO said something that is no name.
    HelloSyntax,
    /// EHLO said our own name.
    HelloOwnName,
    /// SIZE= promised, or the content is, more than may be.
    MessageTooBig,
    /// Too many messages in one session.
    TooManyMessages,
    /// Too many messages of this client within a minute.
    MessageRate,
    /// The recipient's domain is not ours.
    RelayDenied,
    /// The local part is one that the server behind might expand.
    AddressTrick,
    /// More recipients than one message may have.
    TooManyRecipients,
    /// A second recipient of a notice.
    NoticeToSeveral,
    /// The recipient needs another plan than the first one.
    OtherPlan,
    /// The next hop refused this envelope as a whole; now one recipient at a time.
    OneAtATime,
    /// The client has guessed too many names; known and unknown hear the same.
    HarvestSuspected,
    /// As above, and the session ends.
    HarvestClosed,
    /// Too many recipients of this client within a minute.
    RecipientRate,
    /// The client's address has no name in the DNS.
    NoReverseName,
    /// There is no such mailbox.
    RecipientUnknown,
    /// Whoever it was has left; the text says where to write.
    RecipientLeft(Box<str>),
    /// Nobody who could know has answered.
    DirectoryUnavailable,
    /// A CR or LF stands alone in the content.
    BareLineEnding,
    /// A NUL stands in the content.
    Nul,
    /// A line of the content is too long.
    LineTooLong,
    /// The header section is too long.
    HeaderTooBig,
    /// The message has come round.
    Loop,
    /// No route fits the recipient.
    NoRoute,
    /// The next hop is down.
    NextHopUnavailable,
    /// The next hop has all the connections it may have.
    NextHopBusy,
    /// The next hop went away in the middle.
    NextHopLost,
    /// The next hop went away after the final dot.
    OutcomeUnknown,
    /// The next hop refused the message for all of its recipients at once.
    RefusedAsAWhole,
    /// 8-bit content was announced, and is not offered to be taken.
    EightBitNotOffered,
    /// The next hop takes no octets above 127 any more, though it did when EHLO was answered.
    EightBit,
    /// Content could not be kept.
    LocalTrouble,
    /// The client took too long for a command.
    CommandTimeout,
    /// The client took too long for the content.
    ContentTimeout,
    /// The session has lasted too long.
    SessionTimeout,
    /// We are going down.
    Shutdown,
    /// A bug of ours.
    Bug,
}

/// Whose words a refusal has. Ours follow from its name; others are told with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Those of the one table below.
    Ours,
    /// What the operator wrote for somebody who has left.
    Operator,
    /// What the next hop answered.
    NextHop,
}

/// What a refusal says of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// Nothing.
    None,
    /// It has named somebody who is not there: counts towards harvest.
    Guess,
    /// Whoever has a reason to be here seldom says this: counts as an error, like those of syntax.
    Error,
}

impl Refusal {
    /// What it says of the client.
    #[must_use]
    pub fn guilt(&self) -> Guilt {
        match self {
            // Whoever asks for leavers learns names, too.
            Self::RecipientUnknown | Self::RecipientLeft(_) => Guilt::Guess,
            Self::RelayDenied
            | Self::AddressTrick
            | Self::MessageTooBig
            | Self::EightBitNotOffered => Guilt::Error,
            _ => Guilt::None,
        }
    }

    /// All whose words are ours: every one but [`Self::RecipientLeft`].
    pub const WORDED: &[Self] = &[
        Self::EarlyTalker,
        Self::TooManyConnections,
        Self::TooManyClientConnections,
        Self::TooManyNetworkConnections,
        Self::SessionRate,
        Self::NotAccepting,
        Self::HelloSyntax,
        Self::HelloOwnName,
        Self::MessageTooBig,
        Self::TooManyMessages,
        Self::MessageRate,
        Self::RelayDenied,
        Self::AddressTrick,
        Self::TooManyRecipients,
        Self::NoticeToSeveral,
        Self::OtherPlan,
        Self::OneAtATime,
        Self::HarvestSuspected,
        Self::HarvestClosed,
        Self::RecipientRate,
        Self::NoReverseName,
        Self::RecipientUnknown,
        Self::DirectoryUnavailable,
        Self::BareLineEnding,
        Self::Nul,
        Self::LineTooLong,
        Self::HeaderTooBig,
        Self::Loop,
        Self::NoRoute,
        Self::NextHopUnavailable,
        Self::NextHopBusy,
        Self::NextHopLost,
        Self::OutcomeUnknown,
        Self::RefusedAsAWhole,
        Self::EightBitNotOffered,
        Self::EightBit,
        Self::LocalTrouble,
        Self::CommandTimeout,
        Self::ContentTimeout,
        Self::SessionTimeout,
        Self::Shutdown,
        Self::Bug,
    ];

    /// The one that the log calls so, to find the words that a log leaves out.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::WORDED.iter().find(|refusal| refusal.name() == name)
    }

    /// Whose words the client hears.
    #[must_use]
    pub fn words(&self) -> Words {
        match self {
            Self::RecipientLeft(_) => Words::Operator,
            _ => Words::Ours,
        }
    }

    /// As it is written in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row().0
    }

    /// What the client hears.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let (_, code, status, text) = self.row();
        match self {
            Self::RecipientLeft(text) => Reply::new(code, status, text.to_string()),
            // What answers EHLO bears no enhanced status (RFC 2034 §4).
            Self::HelloSyntax | Self::HelloOwnName => Reply::bare(code, text),
            _ => Reply::new(code, status, text),
        }
    }

    /// The table: name, reply code, enhanced status, text.
    #[allow(clippy::too_many_lines, reason = "one table, one row a reason")]
    fn row(&self) -> (&'static str, u16, Status, &'static str) {
        match self {
            Self::EarlyTalker => {
                ("early_talker", 554, status::OTHER_PROTOCOL, "you spoke before you were greeted")
            }
            Self::TooManyConnections => (
                "too_many_connections",
                421,
                status::NOT_ACCEPTING_MESSAGES,
                "too many connections, try again later",
            ),
            Self::TooManyClientConnections => (
                "too_many_client_connections",
                421,
                status::OTHER_SECURITY,
                "too many connections from you, try again later",
            ),
            Self::TooManyNetworkConnections => (
                "too_many_network_connections",
                421,
                status::OTHER_SECURITY,
                "too many connections from your network, try again later",
            ),
            Self::SessionRate => {
                ("session_rate", 421, status::OTHER_SECURITY, "you come too often, try again later")
            }
            Self::NotAccepting => (
                "not_accepting",
                421,
                status::NOT_ACCEPTING_MESSAGES,
                "not accepting connections now",
            ),
            Self::HelloSyntax => {
                ("hello_syntax", 501, status::INVALID_ARGUMENTS, "this is no host name")
            }
            Self::HelloOwnName => {
                ("hello_own_name", 550, status::NOT_AUTHORIZED, "this is our name, not yours")
            }
            Self::MessageTooBig => {
                ("message_too_big", 552, status::MESSAGE_TOO_BIG, "message too big")
            }
            Self::TooManyMessages => (
                "too_many_messages",
                421,
                status::OTHER_SECURITY,
                "enough messages for one session",
            ),
            Self::MessageRate => {
                ("message_rate", 450, status::NOT_AUTHORIZED, "too many messages, try again later")
            }
            Self::RelayDenied => ("relay_denied", 550, status::NOT_AUTHORIZED, "relaying denied"),
            Self::AddressTrick => (
                "address_trick",
                553,
                status::BAD_DESTINATION_MAILBOX_SYNTAX,
                "no such form of address here",
            ),
            Self::TooManyRecipients => (
                "too_many_recipients",
                452,
                status::TOO_MANY_RECIPIENTS,
                "too many recipients, send the rest separately",
            ),
            Self::NoticeToSeveral => (
                "notice_to_several",
                452,
                status::TOO_MANY_RECIPIENTS,
                "a notice has one recipient, send the rest separately",
            ),
            Self::OtherPlan => {
                ("other_plan", 452, status::TOO_MANY_RECIPIENTS, "send this recipient separately")
            }
            Self::OneAtATime => (
                "one_at_a_time",
                452,
                status::TOO_MANY_RECIPIENTS,
                "one recipient at a time, send the rest separately",
            ),
            Self::HarvestSuspected => (
                "harvest_suspected",
                450,
                status::NOT_AUTHORIZED,
                "too many unknown recipients, try again later",
            ),
            Self::HarvestClosed => {
                ("harvest_closed", 421, status::OTHER_SECURITY, "too many unknown recipients")
            }
            Self::RecipientRate => (
                "recipient_rate",
                450,
                status::NOT_AUTHORIZED,
                "too many recipients, try again later",
            ),
            Self::NoReverseName => (
                "no_reverse_name",
                450,
                status::REVERSE_DNS_FAILED,
                "your address has no name in the DNS (PTR), try again later",
            ),
            Self::RecipientUnknown => {
                ("recipient_unknown", 550, status::BAD_DESTINATION_MAILBOX, "no such mailbox here")
            }
            Self::RecipientLeft(_) => ("recipient_left", 550, status::MAILBOX_MOVED, ""),
            Self::DirectoryUnavailable => (
                "directory_unavailable",
                451,
                status::DIRECTORY_SERVER_FAILURE,
                "cannot verify this recipient now, try again later",
            ),
            Self::BareLineEnding => (
                "bare_line_ending",
                550,
                status::OTHER_MEDIA,
                "a CR or LF stands alone in the message",
            ),
            Self::Nul => ("nul", 550, status::OTHER_MEDIA, "a NUL stands in the message"),
            Self::LineTooLong => {
                ("line_too_long", 554, status::OTHER_MEDIA, "a line of the message is too long")
            }
            Self::HeaderTooBig => {
                ("header_too_big", 554, status::OTHER_MEDIA, "the header section is too long")
            }
            Self::Loop => ("loop", 554, status::ROUTING_LOOP, "the message has been here before"),
            Self::NoRoute => (
                "no_route",
                451,
                status::UNABLE_TO_ROUTE,
                "nobody takes mail for this recipient now, try again later",
            ),
            Self::NextHopUnavailable => (
                "next_hop_unavailable",
                451,
                status::NO_ANSWER_FROM_HOST,
                "the mail server does not answer now, try again later",
            ),
            Self::NextHopBusy => (
                "next_hop_busy",
                451,
                status::CONGESTION,
                "the mail server is busy, try again later",
            ),
            Self::NextHopLost => (
                "next_hop_lost",
                451,
                status::BAD_CONNECTION,
                "the mail server went away, try again later",
            ),
            Self::OutcomeUnknown => (
                "outcome_unknown",
                451,
                status::BAD_CONNECTION,
                "the mail server went away at the end, try again later",
            ),
            Self::RefusedAsAWhole => (
                "refused_as_a_whole",
                451,
                status::OTHER_MAIL_SYSTEM,
                "not accepted for all recipients together, try again",
            ),
            Self::EightBitNotOffered => {
                ("eight_bit_not_offered", 555, status::INVALID_ARGUMENTS, "8BITMIME is not offered")
            }
            Self::EightBit => (
                "eight_bit",
                451,
                status::CONVERSION_REQUIRED,
                "the mail server takes no 8-bit content now, look again at EHLO",
            ),
            Self::LocalTrouble => (
                "local_trouble",
                452,
                status::MAIL_SYSTEM_FULL,
                "no room for the message now, try again later",
            ),
            Self::CommandTimeout => {
                ("command_timeout", 421, status::BAD_CONNECTION, "you took too long")
            }
            Self::ContentTimeout => {
                ("content_timeout", 421, status::BAD_CONNECTION, "the message took too long")
            }
            Self::SessionTimeout => {
                ("session_timeout", 421, status::BAD_CONNECTION, "the session took too long")
            }
            Self::Shutdown => {
                ("shutdown", 421, status::NOT_ACCEPTING_MESSAGES, "closing down, try again later")
            }
            Self::Bug => ("bug", 421, status::OTHER_MAIL_SYSTEM, "internal error, try again later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_transient_and_what_is_wrong_is_permanent() {
        for (refusal, class) in [
            (Refusal::DirectoryUnavailable, 4),
            (Refusal::NextHopUnavailable, 4),
            (Refusal::OutcomeUnknown, 4),
            (Refusal::OtherPlan, 4),
            (Refusal::RecipientUnknown, 5),
            (Refusal::RelayDenied, 5),
            (Refusal::Loop, 5),
        ] {
            assert_eq!(refusal.reply().enhanced().unwrap().0, class, "{}", refusal.name());
        }
    }

    #[test]
    fn every_refusal_is_found_by_its_name() {
        let source = include_str!("verdict.rs");
        let (_, body) = source.split_once("pub enum Refusal {\n").unwrap();
        let (body, _) = body.split_once("\n}\n").unwrap();
        let variants =
            body.lines().filter(|line| line.trim_start().starts_with(char::is_uppercase));
        assert_eq!(variants.count(), Refusal::WORDED.len() + 1, "add the new one to WORDED");
        for refusal in Refusal::WORDED {
            assert_eq!(Refusal::named(refusal.name()), Some(refusal));
        }
    }

    #[test]
    fn a_leaver_is_answered_in_the_operators_words() {
        let refusal = Refusal::RecipientLeft("write to info@example.com".into());
        assert_eq!(refusal.reply().to_string(), "550 5.1.6 write to info@example.com");
    }
}
