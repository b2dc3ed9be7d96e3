//! The one vocabulary of log, metrics, ledger and dialogues. Events borrow: on the way from the
//! exchange to the log nothing is copied.

pub mod process;
pub mod repeats;

pub use process::ProcessEvent;
pub use repeats::Repeated;

use crate::client::Client;
use crate::policy::verdict::Words;
use crate::policy::{Refuser, Stage};
use crate::recipient::Ground;
use mail::address::{ForwardPath, Mailbox, ReversePath};
use mail::smtp::reply::{Reply, ReplyId};
use std::fmt::Display;

/// Something that an administrator may want to know.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// In which session, when in one.
    pub scene: Option<Scene<'a>>,
    /// What.
    pub kind: Kind<'a>,
}

/// The session in which something happens.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Who.
    pub client: &'a Client,
    /// What it said in EHLO.
    pub hello: Option<&'a str>,
    /// The open transaction's MAIL.
    pub reverse_path: Option<&'a ReversePath>,
    /// Recipients of the open transaction who exist, each once.
    pub accepted: u32,
}

/// What one session, or all of a client's that have ended, cost us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCost {
    /// Refusals given.
    pub refusals: u32,
    /// What the client has sent, in octets.
    pub received_octets: u64,
    /// For how long it had a connection to a next hop, in milliseconds.
    pub leased_milliseconds: u64,
}

impl std::ops::AddAssign for SessionCost {
    fn add_assign(&mut self, other: Self) {
        self.refusals = self.refusals.saturating_add(other.refusals);
        self.received_octets = self.received_octets.saturating_add(other.received_octets);
        self.leased_milliseconds =
            self.leased_milliseconds.saturating_add(other.leased_milliseconds);
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// A client was greeted.
    SessionOpened,
    /// A session ended.
    SessionClosed {
        /// `quit`, `client_gone`, `protocol` (too many errors, or one that nothing can follow), or
        /// the name of the refusal that ended it.
        why: &'static str,
        /// Messages handed over.
        delivered: u32,
        /// What it cost.
        cost: SessionCost,
    },
    /// A rule, or the machine itself, said no.
    Refused {
        /// When.
        stage: Stage,
        /// Who.
        by: Refuser,
        /// The refusal's name.
        refusal: &'static str,
        /// What the client heard.
        reply: &'a Reply,
        /// Whose words these are.
        words: Words,
        /// RCPT, when it was about one.
        forward_path: Option<&'a ForwardPath>,
        /// The recipient is unknown: counts towards harvest.
        unknown: bool,
    },
    /// A transaction began.
    MailAccepted,
    /// A recipient was accepted.
    RecipientAccepted {
        /// Who.
        forward_path: &'a ForwardPath,
        /// Why it is thought to exist.
        ground: Ground,
    },
    /// The next hop said 250 to the final dot, before we did.
    Delivered {
        /// Which message of the session, as in the trace field.
        message: ReplyId,
        /// To whom.
        recipients: &'a [ForwardPath],
        /// Its size, in octets.
        octets: u64,
        /// The host that took it.
        host: &'a str,
        /// What that host said.
        reply: &'a str,
    },
    /// All recipients were bitbuckets.
    Discarded {
        /// Which message of the session.
        message: ReplyId,
        /// To whom.
        recipients: &'a [ForwardPath],
        /// Its size, in octets.
        octets: u64,
        /// Why, as the operator wrote it.
        reason: &'a str,
    },
    /// The next hop went away behind the final dot: it may have the message.
    OutcomeUnknown {
        /// Which message of the session.
        message: ReplyId,
        /// To whom.
        recipients: &'a [ForwardPath],
        /// The host that may have taken it.
        host: &'a str,
    },
    /// Lines of one client that were not written one by one.
    Repeated(Repeated),
    /// Something about the process, told by the edge.
    Process {
        /// What.
        event: ProcessEvent,
        /// What it is about: a host, a file, an address.
        subject: &'a str,
        /// What happened to it.
        detail: &'a str,
    },
}

/// The value of a field.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Text, not yet escaped for any format.
    Text(&'a str),
    /// A word of our own: printable, and nothing that any format would have to escape.
    Word(&'a str),
    /// An enhanced status code (RFC 3463).
    Status(u16, u16, u16),
    /// Something that prints itself.
    Shown(&'a dyn Display),
    /// An address; the most frequent of those.
    Address(&'a Mailbox),
    /// Several recipients.
    List(&'a [ForwardPath]),
    /// A number.
    Number(u64),
}

impl Kind<'_> {
    /// The name of the event.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SessionOpened => "SessionOpened",
            Self::SessionClosed { .. } => "SessionClosed",
            Self::Refused { stage, .. } => match stage {
                Stage::Connect => "ConnectionRefused",
                Stage::Hello => "HelloRefused",
                Stage::Mail => "MailRefused",
                Stage::Recipient => "RecipientRefused",
                Stage::Content => "MessageRefused",
            },
            Self::MailAccepted => "MailAccepted",
            Self::RecipientAccepted { .. } => "RecipientAccepted",
            Self::Delivered { .. } => "MessageDelivered",
            Self::Discarded { .. } => "MessageDiscarded",
            Self::OutcomeUnknown { .. } => "OutcomeUnknown",
            Self::Repeated(_) => "LinesRepeated",
            Self::Process { event, .. } => event.name(),
        }
    }

    /// Whether only somebody who looks closely wants to read it: steps on the way to a fate.
    #[must_use]
    pub fn is_detail(&self) -> bool {
        matches!(self, Self::SessionOpened | Self::MailAccepted | Self::RecipientAccepted { .. })
    }
}

impl Event<'_> {
    /// Names and values, in a fixed order.
    pub fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        if let Some(scene) = &self.scene {
            let digits = scene.client.session.digits();
            visit("session", Value::Word(std::str::from_utf8(&digits).unwrap_or_default()));
            visit("client", Value::Shown(&scene.client.address.ip()));
            if let Some(hello) = scene.hello {
                visit("hello", Value::Text(hello));
            }
            if let Some(path) = scene.reverse_path {
                visit("from", path.mailbox().map_or(Value::Text(""), Value::Address));
            }
        }
        self.kind.fields(visit);
    }
}

impl Kind<'_> {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        match self {
            Self::SessionOpened | Self::MailAccepted => {}
            Self::SessionClosed { why, delivered, cost } => {
                visit("why", Value::Word(why));
                visit("delivered", Value::Number(u64::from(*delivered)));
                visit("refusals", Value::Number(u64::from(cost.refusals)));
                visit("received_octets", Value::Number(cost.received_octets));
                visit("leased_milliseconds", Value::Number(cost.leased_milliseconds));
            }
            Self::Refused { stage, by, refusal, reply, words, forward_path, .. } => {
                if let Some(path) = forward_path {
                    visit("to", path.mailbox().map_or(Value::Shown(path), Value::Address));
                }
                visit("rule", Value::Word(by.name(*stage)));
                visit("refusal", Value::Word(refusal));
                visit("code", Value::Number(u64::from(reply.code())));
                if let Some((class, subject, detail)) = reply.enhanced() {
                    visit("status", Value::Status(class, subject, detail));
                }
                // Our own words follow from the refusal; a next hop's, or an operator's, do not.
                if *words != Words::Ours {
                    visit("text", Value::Text(&reply.whole_text()));
                }
                if let Some(id) = reply.id() {
                    visit("id", Value::Shown(&id));
                }
            }
            Self::RecipientAccepted { forward_path, .. } => visit("to", Value::Shown(forward_path)),
            Self::Delivered { message, recipients, octets, host, reply } => {
                visit("message", Value::Shown(message));
                visit("to", Value::List(recipients));
                visit("octets", Value::Number(*octets));
                visit("host", Value::Text(host));
                visit("reply", Value::Text(reply));
            }
            Self::Discarded { message, recipients, octets, reason } => {
                visit("message", Value::Shown(message));
                visit("to", Value::List(recipients));
                visit("octets", Value::Number(*octets));
                visit("reason", Value::Text(reason));
            }
            Self::OutcomeUnknown { message, recipients, host } => {
                visit("message", Value::Shown(message));
                visit("to", Value::List(recipients));
                visit("host", Value::Text(host));
            }
            Self::Repeated(Repeated { client, reason, count, first, last }) => {
                match client {
                    Some(client) => visit("client", Value::Shown(client)),
                    None => visit("client", Value::Word("several")),
                }
                visit("reason", Value::Word(reason));
                visit("count", Value::Number(u64::from(*count)));
                visit("first_id", Value::Shown(first));
                visit("last_id", Value::Shown(last));
            }
            Self::Process { subject, detail, .. } => {
                visit("subject", Value::Text(subject));
                visit("detail", Value::Text(detail));
            }
        }
    }
}
