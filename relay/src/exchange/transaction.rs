//! The part of the exchange that deals with a transaction: where a recipient goes, what the next
//! hop knows, the content, and what the client is told in the end.

use super::{Activity, Do, Exchange, Sink};
use crate::event::Kind;
use crate::moment::Moment;
use crate::next_hop::{Lack, Outcome, Request};
use crate::policy::Stage;
use crate::policy::facts::Plan;
use crate::policy::verdict::{Guilt, Refusal};
use crate::recipient::RecipientStatus;
use crate::settings::NextHopId;
use mail::address::ReversePath;
use mail::message::header::HeaderScan;
use mail::smtp::reply::{Class, HeardReply, Reply, ReplyId};
use mail::smtp::server::{ContentSummary, Question};
use mail::smtp::status;
use std::sync::Arc;

/// What lives from MAIL to the end of the transaction beside the session's envelope.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Fixed by the first accepted recipient that has a next hop.
    pub(super) plan: Option<Plan>,
    hop: Hop,
    /// The plan that the recipient in question would fix.
    asked: Option<Plan>,
    /// Why the first bitbucket recipient is one.
    bitbucket: Option<Box<str>>,
    content: Option<Content>,
}

/// What is known of content that is being received.
#[derive(Debug)]
pub(super) struct Content {
    /// The name of the message in log, trace field and reply.
    pub(super) id: ReplyId,
    pub(super) header: HeaderScan,
}

/// What the next hop knows of the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hop {
    /// Nothing.
    #[default]
    Closed,
    /// MAIL, and so many recipients.
    Open {
        /// Who knows it.
        next_hop: NextHopId,
        /// How many it has accepted.
        recipients: u32,
    },
    /// Its connection was lost; what it knew is void.
    Lost,
}

impl Transaction {
    pub(super) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }
}

impl Exchange {
    /// Policy has accepted a recipient: the next hop hears of it, or it is a bitbucket.
    pub(super) fn route(
        &mut self,
        status: Option<RecipientStatus>,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        let target = match status {
            Some(RecipientStatus::Bitbucket { reason }) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.bitbucket.get_or_insert(reason);
                }
                return self.accept_recipient(sink);
            }
            Some(RecipientStatus::Exists { target }) => target,
            _ => None,
        };
        let Some(Question::Rcpt(path)) = self.session.question() else { return None };
        let domain = self.settings.domain_of_path(path)?;
        let recipient = self.settings.as_the_next_hop_knows_it(path, target);
        let next_hop = self.settings.domain(domain).next_hop;
        let envelope = self.session.envelope()?;
        let (reverse_path, parameters) = (envelope.reverse_path.clone(), envelope.parameters);
        let transaction = self.transaction.as_mut()?;
        transaction.asked = Some(Plan { next_hop });
        let request = match transaction.hop {
            Hop::Open { next_hop: open, .. } if open == next_hop => Request::Recipient(recipient),
            // Another next hop may be open when it has accepted nobody: then there is no plan, and
            // it is let go.
            Hop::Closed | Hop::Open { .. } => {
                transaction.hop = Hop::Closed;
                Request::Open { next_hop, reverse_path, parameters, recipient }
            }
            Hop::Lost => {
                return self.refuse(Stage::Recipient, "next_hop", &Refusal::NextHopLost, sink);
            }
        };
        self.activity = Activity::Asking;
        Some(Do::NextHop(request))
    }

    fn accept_recipient(&mut self, sink: &mut impl Sink) -> Option<Do> {
        if let Some(Question::Rcpt(path)) = self.session.question() {
            self.record(Kind::RecipientAccepted { forward_path: path }, sink);
        }
        self.session.answer(Ok(Reply::new(250, status::DESTINATION_VALID, "ok")));
        None
    }

    /// DATA: from here on the content goes by the limits of now.
    pub(super) fn begin_content(&mut self) {
        let header = HeaderScan::new(self.settings.hostname.as_str());
        let id = self.next_id();
        if let Some(transaction) = &mut self.transaction {
            transaction.content = Some(Content { id, header });
        }
        self.clock.expect_content(self.settings.limits.under(self.pressure));
        self.session.answer(Ok(Reply::bare(354, "end with CRLF.CRLF")));
    }

    /// Content from the client, towards where it is kept.
    pub(super) fn carry(&mut self, sink: &mut impl Sink) {
        let mut known = self.transaction.as_mut().and_then(|t| t.content.as_mut());
        self.session.take_content(&mut |content| {
            if let Some(known) = known.as_deref_mut().filter(|known| !known.header.is_ended()) {
                known.header.read(content);
            }
            sink.keep(content);
        });
    }

    pub(super) fn on_content_bytes(&mut self, octets: usize, sink: &mut impl Sink) {
        let limits = *self.settings.limits.under(self.pressure);
        if !self.clock.content_came(octets, &limits) {
            self.end(&Refusal::ContentTimeout, sink);
        }
    }

    pub(super) fn read_until(&self) -> Moment {
        if self.session.is_in_content() {
            self.clock.content_until()
        } else {
            self.clock.command_until()
        }
    }

    /// The session, or the message, has lasted longer than it may, whatever was just read.
    pub(super) fn is_overdue(&self) -> bool {
        if self.session.is_in_content() {
            self.clock.message_is_over()
        } else {
            self.clock.session_is_over()
        }
    }

    pub(super) fn on_elapsed(&mut self, sink: &mut impl Sink) {
        let refusal = if self.session.is_in_content() {
            Refusal::ContentTimeout
        } else if self.clock.session_is_over() {
            Refusal::SessionTimeout
        } else {
            Refusal::CommandTimeout
        };
        self.end(&refusal, sink);
    }

    /// The content is complete and no rule objects: now the next hop decides.
    pub(super) fn hand_over(&mut self, sink: &mut impl Sink) -> Option<Do> {
        let transaction = self.transaction.as_ref()?;
        match transaction.hop {
            Hop::Open { recipients: 1.., .. } => {
                self.activity = Activity::Asking;
                let longest_line_octets = self.content_summary()?.longest_line_octets;
                Some(Do::NextHop(Request::Content { longest_line_octets }))
            }
            Hop::Lost => self.refuse(Stage::Content, "next_hop", &Refusal::NextHopLost, sink),
            // Whoever was promised to a next hop is never discarded, whatever became of that.
            Hop::Open { .. } | Hop::Closed if transaction.plan.is_some() => {
                self.refuse(Stage::Content, "next_hop", &Refusal::NextHopLost, sink)
            }
            Hop::Open { .. } | Hop::Closed => {
                self.discard(sink);
                None
            }
        }
    }

    /// All recipients are bitbuckets: accepted and discarded, on the operator's word.
    fn discard(&mut self, sink: &mut impl Sink) {
        self.counts.messages += 1;
        let envelope = self.session.envelope();
        self.record(
            Kind::Discarded {
                message: self.message_id(),
                recipients: envelope.map_or(&[], |e| &e.recipients),
                octets: self.content_octets(),
                reason: self
                    .transaction
                    .as_ref()
                    .and_then(|t| t.bitbucket.as_deref())
                    .unwrap_or(""),
            },
            sink,
        );
        self.session.answer(Ok(Reply::new(250, status::OTHER, "ok")));
    }

    /// The next hop's word is the last one.
    pub(super) fn on_outcome(&mut self, outcome: Outcome, sink: &mut impl Sink) -> Option<Do> {
        let stage = self.stage().unwrap_or(Stage::Content);
        let refusal = match outcome {
            Outcome::Recipient(reply) if reply.class() == Class::Completion => {
                let transaction = self.transaction.as_mut()?;
                transaction.plan = transaction.plan.or(transaction.asked);
                transaction.hop =
                    transaction.asked.map_or(Hop::Lost, |plan| transaction.hop.with(plan, 1));
                return self.accept_recipient(sink);
            }
            Outcome::Recipient(reply) => {
                let transaction = self.transaction.as_mut()?;
                transaction.hop = match transaction.asked {
                    // 421 is its farewell (RFC 5321 §3.8).
                    Some(plan) if reply.code != 421 => transaction.hop.with(plan, 0),
                    _ => transaction.hop.lost(),
                };
                return self.refuse_relayed(stage, false, &reply, sink);
            }
            Outcome::MailRefused(reply) => return self.refuse_relayed(stage, true, &reply, sink),
            Outcome::Content { reply, host } if reply.class() == Class::Completion => {
                self.delivered(&reply, &host, sink);
                return None;
            }
            Outcome::DataRefused(reply) | Outcome::Content { reply, .. } => {
                return self.refuse_content(&reply, sink);
            }
            Outcome::Unknown { host } => {
                self.outcome_unknown(&host, sink);
                Refusal::OutcomeUnknown
            }
            Outcome::Lost => {
                let transaction = self.transaction.as_mut()?;
                transaction.hop = transaction.hop.lost();
                Refusal::NextHopLost
            }
            Outcome::Unavailable => Refusal::NextHopUnavailable,
            Outcome::Busy => Refusal::NextHopBusy,
            Outcome::Incapable(Lack::EightBitMime) => Refusal::EightBit,
            Outcome::Incapable(Lack::Size) => Refusal::MessageTooBig,
            Outcome::Incapable(Lack::LineLength) => Refusal::LineTooLong,
            Outcome::LocalTrouble => Refusal::LocalTrouble,
        };
        self.refuse(stage, "next_hop", &refusal, sink)
    }

    fn delivered(&mut self, reply: &HeardReply, host: &Arc<str>, sink: &mut impl Sink) {
        self.counts.messages += 1;
        self.counts.delivered += 1;
        let envelope = self.session.envelope();
        let text = format!("{} {}", reply.code, reply.text);
        self.record(
            Kind::Delivered {
                message: self.message_id(),
                recipients: envelope.map_or(&[], |e| &e.recipients),
                octets: self.content_octets(),
                host,
                reply: &text,
            },
            sink,
        );
        let id = self.message_id();
        self.session.answer(Ok(Reply::new(250, status::OTHER, "ok, delivered").with_id(id)));
    }

    fn outcome_unknown(&mut self, host: &Arc<str>, sink: &mut impl Sink) {
        let recipients = self.session.envelope().map_or(&[][..], |e| &e.recipients);
        self.record(Kind::OutcomeUnknown { message: self.message_id(), recipients, host }, sink);
    }

    /// A refusal of the whole message. With one recipient it is the answer; with several it says
    /// nothing of any of them, and the retry comes one by one.
    fn refuse_content(&mut self, reply: &HeardReply, sink: &mut impl Sink) -> Option<Do> {
        let envelope = self.session.envelope()?;
        if envelope.recipients.len() > 1 && reply.class() == Class::Permanent {
            let from: &ReversePath = &envelope.reverse_path;
            sink.split(from, &envelope.recipients);
            return self.refuse(Stage::Content, "next_hop", &Refusal::RefusedAsAWhole, sink);
        }
        self.refuse_relayed(Stage::Content, false, reply, sink)
    }

    /// The next hop's refusal becomes ours, for now only where it is about us.
    fn refuse_relayed(
        &mut self,
        stage: Stage,
        of_mail: bool,
        reply: &HeardReply,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        let reply = match reply.class() {
            Class::Transient | Class::Permanent if !is_about_us(reply.code) => reply.clone(),
            Class::Transient | Class::Permanent => HeardReply { code: 451, ..reply.clone() },
            Class::Completion | Class::Intermediate => {
                return self.refuse(stage, "next_hop", &Refusal::NextHopLost, sink);
            }
        };
        let unknown = stage == Stage::Recipient
            && !of_mail
            && matches!(reply.code, 550 | 551 | 553)
            && reply.status.is_none_or(|s| s == status::BAD_DESTINATION_MAILBOX);
        let relayed = Reply::relayed(&reply);
        let guilt = if unknown { Guilt::Guess } else { Guilt::None };
        self.refuse_with(stage, "next_hop", "next_hop_refused", relayed, guilt, sink)
    }

    fn message_id(&self) -> ReplyId {
        let content = self.transaction.as_ref().and_then(|t| t.content.as_ref());
        content.map_or(ReplyId { session: self.client.session, count: 0 }, |content| content.id)
    }

    fn content_octets(&self) -> u64 {
        self.content_summary().map_or(0, |summary| summary.octets)
    }

    fn content_summary(&self) -> Option<ContentSummary> {
        match self.session.question() {
            Some(Question::Content(summary)) => Some(*summary),
            _ => None,
        }
    }
}

/// Whether a next hop's refusal speaks of its session with us, and not of the message: it leaves,
/// takes no mail at all (RFC 7504), wants TLS or AUTH of us, or does not know or expect a command
/// that no client chose. A sender's mail must not be returned to him for that.
fn is_about_us(code: u16) -> bool {
    matches!(code, 421 | 500 | 502 | 503 | 521 | 530 | 535 | 538)
}

impl Hop {
    /// The same, knowing so many recipients more.
    fn with(self, plan: Plan, more: u32) -> Self {
        match self {
            Self::Open { next_hop, recipients } if next_hop == plan.next_hop => {
                Self::Open { next_hop, recipients: recipients + more }
            }
            Self::Closed | Self::Open { .. } => {
                Self::Open { next_hop: plan.next_hop, recipients: more }
            }
            Self::Lost => Self::Lost,
        }
    }

    /// After the connection was lost: with a recipient it takes the transaction with it, without
    /// one the next recipient begins anew.
    fn lost(self) -> Self {
        match self {
            Self::Closed | Self::Open { recipients: 0, .. } => Self::Closed,
            Self::Open { .. } | Self::Lost => Self::Lost,
        }
    }
}
