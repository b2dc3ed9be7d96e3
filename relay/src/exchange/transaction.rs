//! The part of the exchange that deals with a transaction: where a recipient goes, what the next
//! hop knows, the content, and what the client is told in the end.

use super::clock::Awaited;
use super::refuse::No;
use super::{Activity, Case, Do, Exchange, Sink};
use crate::client::Prefix;
use crate::event::Kind;
use crate::moment::Moment;
use crate::next_hop::{Lack, Outcome, Request};
use crate::policy::verdict::{Guilt, Refusal, Words};
use crate::policy::{Refuser, Stage};
use crate::recipient::{Ground, RecipientStatus, always_exists};
use crate::route::{Accepted, Destination, Plan, Route};
use crate::settings::DomainId;
use mail::address::{ForwardPath, Mailbox, ReversePath};
use mail::message::header::HeaderScan;
use mail::smtp::reply::{Class, HeardReply, Reply, ReplyId};
use mail::smtp::server::{ContentSummary, Question};
use mail::smtp::status;
use std::sync::Arc;

/// What lives from MAIL to the end of the transaction beside the session's envelope.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Fixed by the first accepted recipient whose mail goes anywhere.
    pub(super) plan: Option<Plan>,
    /// One for each recipient of the envelope.
    accepted: Vec<Accepted>,
    hop: Hop,
    /// Since when it has a connection to the next hop.
    leased_since: Option<Moment>,
    /// The recipient that the next hop is being asked about.
    asked: Option<Asked>,
    content: Option<Content>,
    /// Recipients who exist, each once.
    pub(super) existing: u32,
    /// How long its guesses were delayed so far, in milliseconds.
    pub(super) delayed_milliseconds: u64,
    /// Commands in it that were refused for no fault of the client's.
    pub(super) refusals: u32,
    /// Nothing more is told of its recipients.
    pub(super) is_suspected: bool,
}

/// A recipient that policy has accepted, before the next hop has.
#[derive(Debug)]
struct Asked {
    plan: Plan,
    heard: ForwardPath,
    ground: Ground,
}

/// What is known of content that is being received.
#[derive(Debug)]
pub(super) struct Content {
    /// The name of the message in log, trace field and reply.
    pub(super) id: ReplyId,
    pub(super) header: HeaderScan,
}

/// What the next hop knows of the transaction.
#[derive(Debug, Default, PartialEq, Eq)]
enum Hop {
    /// Nothing.
    #[default]
    Closed,
    /// MAIL, and so many recipients.
    Open {
        /// Who knows it.
        route: Route,
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

    /// Why the first is discarded, when all are: then, and only then, may the message be.
    fn discarded(&self) -> Option<&str> {
        let mut reasons = self.accepted.iter().map(|accepted| match &accepted.destination {
            Destination::Discarded { reason } => Some(&**reason),
            Destination::Next { .. } => None,
        });
        let first = reasons.next()??;
        reasons.all(|reason| reason.is_some()).then_some(first)
    }
}

impl Exchange {
    /// Policy has accepted a recipient: the next hop hears of it, or its mail is discarded.
    pub(super) fn route(&mut self, case: Case, sink: &mut impl Sink) -> Option<Do> {
        let (target, ground) = match case.recipient {
            Some(RecipientStatus::Bitbucket { reason }) => {
                return self.accept_recipient(
                    Destination::Discarded { reason },
                    Ground::Rule,
                    sink,
                );
            }
            Some(RecipientStatus::Exists { target, ground }) => (target, ground),
            _ => return self.refuse(Stage::Recipient, Refuser::Route, &Refusal::NoRoute, sink),
        };
        let Some((asked, request)) = self.ask(case.domain, target, ground) else {
            return self.refuse(Stage::Recipient, Refuser::Route, &Refusal::NoRoute, sink);
        };
        let transaction = self.transaction.get_or_insert_default();
        if transaction.hop == Hop::Lost {
            return self.refuse(Stage::Recipient, Refuser::NextHop, &Refusal::NextHopLost, sink);
        }
        if matches!(request, Request::Open { .. }) {
            // Another next hop may be open when it has accepted nobody: then there is no plan, and
            // it is let go.
            transaction.hop = Hop::Closed;
        }
        transaction.asked = Some(asked);
        self.activity = Activity::Asking;
        Some(Do::Carry { request, until: self.begin(Awaited::Recipient) })
    }

    /// What the next hop is asked about the recipient in question; nothing when no route fits.
    fn ask(
        &self,
        domain: Option<DomainId>,
        target: Option<Mailbox>,
        ground: Ground,
    ) -> Option<(Asked, Request)> {
        let Some(Question::Rcpt(path)) = self.session.question() else { return None };
        let (domain, envelope) = (domain?, self.session.envelope()?);
        let plan = self.settings.plan(domain);
        let heard = self.settings.as_the_next_hop_knows_it(domain, path, target);
        let recipient = heard.clone();
        let request = match &self.transaction.as_ref()?.hop {
            Hop::Open { route, .. } if *route == plan.route => Request::Recipient(recipient),
            Hop::Open { .. } | Hop::Closed | Hop::Lost => Request::Open {
                route: plan.route.clone(),
                reverse_path: envelope.reverse_path.clone(),
                parameters: envelope.parameters,
                recipient,
            },
        };
        Some((Asked { plan, heard, ground }, request))
    }

    fn accept_recipient(
        &mut self,
        destination: Destination,
        ground: Ground,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        if let Some(Question::Rcpt(path)) = self.session.question() {
            let said = path.clone();
            let transaction = self.transaction.as_ref();
            let is_again = transaction.is_some_and(|t| t.accepted.iter().any(|a| a.said == said));
            let is_new = !is_again && !always_exists(&said);
            self.record(Kind::RecipientAccepted { forward_path: path, ground }, sink);
            let accepted = Accepted { said, destination, ground };
            let transaction = self.transaction.get_or_insert_default();
            transaction.accepted.push(accepted);
            transaction.existing += u32::from(is_new);
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
        self.clock.expect_content();
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
            self.clock.content_until(self.limits())
        } else {
            self.clock.command_until(self.limits())
        }
    }

    /// The session, or the message, has lasted longer than it may, whatever was just read.
    pub(super) fn is_overdue(&self) -> bool {
        if self.session.is_in_content() {
            self.clock.message_is_over(self.limits())
        } else {
            self.clock.session_is_over(self.limits())
        }
    }

    pub(super) fn on_read_elapsed(&mut self, sink: &mut impl Sink) {
        let refusal = if self.is_over_when_idle() {
            Refusal::Shutdown
        } else if self.session.is_in_content() {
            Refusal::ContentTimeout
        } else if self.clock.session_is_over(self.limits()) {
            Refusal::SessionTimeout
        } else {
            Refusal::CommandTimeout
        };
        self.end(&refusal, sink);
    }

    /// The content is complete and no rule objects: now the next hop decides.
    pub(super) fn hand_over(&mut self, sink: &mut impl Sink) -> Option<Do> {
        if let Some(reason) = self.transaction.as_ref().and_then(|t| t.discarded()) {
            let reason = reason.to_owned();
            self.discard(&reason, sink);
            return None;
        }
        let hop = self.transaction.as_ref().map(|transaction| &transaction.hop);
        if let (Some(Hop::Open { recipients: 1.., .. }), Some(summary)) =
            (hop, self.content_summary())
        {
            self.activity = Activity::Asking;
            let longest_line_octets = summary.longest_line_octets;
            let request = Request::Content { longest_line_octets };
            return Some(Do::Carry { request, until: self.begin(Awaited::FinalReply) });
        }
        // Whoever was promised to a next hop is never discarded, whatever became of that.
        self.refuse(Stage::Content, Refuser::NextHop, &Refusal::NextHopLost, sink)
    }

    /// All recipients are bitbuckets: accepted and discarded, on the operator's word.
    fn discard(&mut self, reason: &str, sink: &mut impl Sink) {
        self.counts.messages += 1;
        let envelope = self.session.envelope();
        self.record(
            Kind::Discarded {
                message: self.message_id(),
                recipients: envelope.map_or(&[], |e| &e.recipients),
                octets: self.content_octets(),
                reason,
            },
            sink,
        );
        self.session.answer(Ok(Reply::new(250, status::OTHER, "ok")));
    }

    /// The next hop's word is the last one.
    pub(super) fn on_outcome(&mut self, outcome: Outcome, sink: &mut impl Sink) -> Option<Do> {
        let stage = self.stage().unwrap_or(Stage::Content);
        let refusal = match outcome {
            Outcome::Recipient(reply) => return self.on_recipient(&reply, sink),
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
                if let Some(transaction) = &mut self.transaction {
                    transaction.hop.lose();
                    self.give_up_lease();
                }
                Refusal::NextHopLost
            }
            Outcome::Unavailable => Refusal::NextHopUnavailable,
            Outcome::Busy => Refusal::NextHopBusy,
            Outcome::Incapable(Lack::EightBitMime) => Refusal::EightBit,
            Outcome::Incapable(Lack::Size) => Refusal::MessageTooBig,
            Outcome::Incapable(Lack::LineLength) => Refusal::LineTooLong,
            Outcome::LocalTrouble => Refusal::LocalTrouble,
        };
        self.refuse(stage, Refuser::NextHop, &refusal, sink)
    }

    /// The next hop's reply to a recipient.
    fn on_recipient(&mut self, reply: &HeardReply, sink: &mut impl Sink) -> Option<Do> {
        let Some(transaction) = &mut self.transaction else {
            return self.refuse(Stage::Recipient, Refuser::NextHop, &Refusal::NextHopLost, sink);
        };
        let is_accepted = reply.class() == Class::Completion;
        transaction.leased_since.get_or_insert(self.clock.now);
        match transaction.asked.take() {
            Some(Asked { plan, heard, ground }) if is_accepted => {
                let route = plan.route.clone();
                transaction.hop.open(&route, 1);
                transaction.plan.get_or_insert(plan);
                return self.accept_recipient(Destination::Next { route, heard }, ground, sink);
            }
            // 421 is its farewell (RFC 5321 §3.8).
            Some(Asked { plan, .. }) if reply.code != 421 => transaction.hop.open(&plan.route, 0),
            _ => {
                transaction.hop.lose();
                self.give_up_lease();
            }
        }
        self.refuse_relayed(Stage::Recipient, false, reply, sink)
    }

    /// Counts the time for which the transaction had a connection to the next hop.
    pub(super) fn give_up_lease(&mut self) {
        let since =
            self.transaction.as_mut().and_then(|transaction| transaction.leased_since.take());
        if let Some(since) = since {
            self.counts.leased_milliseconds += self.clock.now.milliseconds_since(since);
        }
    }

    fn delivered(&mut self, reply: &HeardReply, host: &Arc<str>, sink: &mut impl Sink) {
        self.counts.messages += 1;
        self.counts.delivered += 1;
        self.counts.delivered_to += self.transaction.as_ref().map_or(0, |t| t.existing);
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
            let network = Prefix::network(self.client.address.ip());
            sink.split(network, from, &envelope.recipients);
            return self.refuse(Stage::Content, Refuser::NextHop, &Refusal::RefusedAsAWhole, sink);
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
            Class::Permanent if is_one_too_many(reply) => HeardReply { code: 452, ..reply.clone() },
            // Its code says never and its status says later: nobody is sent away for that.
            Class::Permanent if reply.contradicts => HeardReply { code: 451, ..reply.clone() },
            Class::Transient | Class::Permanent if !is_about_us(reply.code) => reply.clone(),
            Class::Transient | Class::Permanent => HeardReply { code: 451, ..reply.clone() },
            Class::Completion | Class::Intermediate => {
                return self.refuse(stage, Refuser::NextHop, &Refusal::NextHopLost, sink);
            }
        };
        let unknown = stage == Stage::Recipient
            && !of_mail
            && matches!(reply.code, 550 | 551 | 553)
            && reply.status.is_none_or(|s| s == status::BAD_DESTINATION_MAILBOX);
        let no = No {
            name: "next_hop_refused",
            reply: Reply::relayed(&reply),
            words: Words::NextHop,
            guilt: if unknown { Guilt::Guess } else { Guilt::None },
        };
        self.refuse_with(stage, Refuser::NextHop, no, sink)
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

/// Whether there were too many recipients for one transaction. RFC 5321 §4.5.3.1.10: the others
/// come in another, and 552 is an old word for 452.
fn is_one_too_many(reply: &HeardReply) -> bool {
    reply.code == 552 && reply.status == Some(status::TOO_MANY_RECIPIENTS)
}

impl Hop {
    /// MAIL is open there, with so many recipients more.
    fn open(&mut self, route: &Route, more: u32) {
        match self {
            Self::Open { route: open, recipients } if open == route => *recipients += more,
            Self::Closed | Self::Open { .. } => {
                *self = Self::Open { route: route.clone(), recipients: more };
            }
            Self::Lost => {}
        }
    }

    /// The connection was lost: with a recipient it takes the transaction with it, without one the
    /// next recipient begins anew.
    fn lose(&mut self) {
        *self = match self {
            Self::Closed | Self::Open { recipients: 0, .. } => Self::Closed,
            Self::Open { .. } | Self::Lost => Self::Lost,
        };
    }
}
