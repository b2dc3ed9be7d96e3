//! One client, its transaction and the next hop as one machine: the heart.
//! [`Exchange::next`] says one thing to do at a time, the edge does it and reports by
//! [`Exchange::done`]. What needs no waiting (replies, content, events) goes to a [`Sink`].
//!
//! Order at the final dot: content complete → rules → next hop's own reply → ours. A 250 there
//! means that the next hop said 250, or that every recipient is a bitbucket; nothing else does.

mod act;
mod clock;
mod facts;
mod refuse;
mod report;
mod transaction;

use crate::client::{Client, Prefix};
use crate::event::{Kind, SessionCost};
use crate::moment::Moment;
use crate::next_hop::Outcome;
use crate::policy::facts::{Arrival, Found, Need, ReverseName, Standing};
use crate::policy::judge_from;
use crate::policy::verdict::Refusal;
use crate::recipient::RecipientStatus;
use crate::settings::{DomainId, ListenerTerms, Pressure, Settings};
use crate::split::Splitting;
use crate::turns::Party;
pub use act::{Do, Done, Sink};
use clock::{Awaited, Clock};
use mail::address::{Domain, LocalPart};
use mail::message::received::Trace;
use mail::smtp::content::ContentLimits;
use mail::smtp::extension::Offer;
use mail::smtp::introduction::ClientDetails;
use mail::smtp::reply::Reply;
use mail::smtp::server::{Question, ServerSession, Step, Terms, Tolerance};
use mail::smtp::status;
use std::sync::Arc;
use transaction::Transaction;

/// What the exchange is in the middle of.
#[derive(Debug)]
enum Activity {
    /// Nothing: the session may go on.
    Idle,
    /// The rules run on the question; a fact is being looked up.
    Judging(Case),
    /// No rule objects to the client, who shakes hands before it is greeted.
    Welcome,
    /// The next hop is being asked.
    Asking,
    /// It has answered.
    Heard(Outcome),
    /// A refusal is being held back.
    Delaying {
        /// It.
        reply: Reply,
        /// Until then.
        until: Moment,
    },
}

/// Replies that wait to be sent before the next command is looked at, in octets.
const UNSENT_OCTETS_MAX: usize = 16 << 10;

/// One question before the rules: what was found out for it so far.
#[derive(Debug, Default)]
struct Case {
    /// The domain of ours that the recipient in question belongs to.
    domain: Option<DomainId>,
    /// The rules above this one have passed.
    at: usize,
    recipient: Option<RecipientStatus>,
    standing: Option<Standing>,
    split: Option<bool>,
}

/// Counts over the session.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    messages: u32,
    delivered: u32,
    /// Recipients of what was delivered, each once a message.
    delivered_to: u32,
    unknown: u32,
    refusals: u32,
    received_octets: u64,
    /// With a connection to the next hop.
    leased_milliseconds: u64,
    /// Names given to refusals and messages.
    ids: u32,
}

/// One client's exchange with us and, through us, with the next hop.
pub struct Exchange {
    settings: Arc<Settings>,
    client: Client,
    arrival: Arrival,
    /// What the DNS calls the client, once a rule wanted to know.
    reverse_name: Option<ReverseName>,
    listener: Arc<ListenerTerms>,
    offer: Offer,
    pressure: Pressure,
    session: ServerSession,
    activity: Activity,
    transaction: Option<Box<Transaction>>,
    counts: Counts,
    clock: Clock,
    draining: bool,
    /// Replies that were written and have not been sent, in octets.
    unsent_octets: usize,
    /// The end of the session has been told.
    has_ended: bool,
    why_closed: &'static str,
    last_code: u16,
}

impl Exchange {
    /// A client has connected.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        client: Client,
        arrival: Arrival,
        offer: Offer,
        pressure: Pressure,
        now: Moment,
    ) -> Self {
        let terms = terms(&settings, &client, &offer, pressure);
        let clock = Clock::new(now);
        Self {
            session: ServerSession::new(terms),
            settings,
            client,
            arrival,
            reverse_name: None,
            listener: Arc::default(),
            offer,
            pressure,
            activity: Activity::Idle,
            transaction: None,
            counts: Counts::default(),
            clock,
            draining: false,
            unsent_octets: 0,
            has_ended: false,
            why_closed: "quit",
            last_code: 0,
        }
    }

    /// As this listener receives it.
    #[must_use]
    pub fn received_by(mut self, listener: Arc<ListenerTerms>) -> Self {
        self.arrival.is_unheard =
            !listener.is_tls_first && listener.greeting_delay_milliseconds > 0;
        self.listener = listener;
        self
    }

    /// What we call ourselves before this client.
    fn hostname(&self) -> &Domain {
        self.listener.hostname.as_ref().unwrap_or(&self.settings.hostname)
    }

    /// Who the client is.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The recipient in question: its domain and local part, for a directory. `None` stands for
    /// `<Postmaster>`.
    #[must_use]
    pub fn recipient_in_question(&self) -> Option<(DomainId, Option<&LocalPart>)> {
        let Activity::Judging(case) = &self.activity else { return None };
        let Some(Question::Rcpt(path)) = self.session.question() else { return None };
        Some((case.domain?, path.mailbox().map(|mailbox| &mailbox.local_part)))
    }

    /// The envelope in question, and the recipient that is being named.
    #[must_use]
    pub fn envelope_in_question(&self) -> Option<Splitting<'_>> {
        let Some(Question::Rcpt(path)) = self.session.question() else { return None };
        let envelope = self.session.envelope()?;
        Some(Splitting {
            network: Prefix::network(self.client.address.ip()),
            from: &envelope.reverse_path,
            accepted: &envelope.recipients,
            path,
        })
    }

    /// The trace field for the message at hand; `date` is now, as RFC 5322 §3.3 writes it. Content
    /// that begins with white space would continue it: an empty line goes between, and it is body.
    #[must_use]
    pub fn trace_field(&self, date: &str) -> String {
        let Some(hello) = self.session.hello() else { return String::new() };
        let content = self.transaction.as_ref().and_then(|t| t.content());
        let reverse_name = match &self.reverse_name {
            Some(ReverseName::Confirmed(name)) => Some(&**name),
            _ => None,
        };
        let mut field = Trace {
            hello,
            reverse_name,
            address: self.client.address.ip(),
            hostname: &self.settings.hostname,
            message: content.map(|content| content.id),
            tls: self.client.tls,
            date,
        }
        .field();
        if content.is_some_and(|content| content.header.begins_with_white_space()) {
            field.push_str("\r\n");
        }
        field
    }

    /// The process is more or less loaded than before.
    pub fn set_pressure(&mut self, pressure: Pressure) {
        if pressure != self.pressure {
            self.pressure = pressure;
            self.session.set_terms(terms(&self.settings, &self.client, &self.offer, pressure));
        }
    }

    /// We are going down: what is open is finished, nothing new begins.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Until when what is being done may last: as it was said by the last [`Do`], unless the
    /// pressure has changed since, or we are going down and nothing is open.
    #[must_use]
    pub fn until(&self) -> Option<Moment> {
        match self.clock.awaited() {
            Awaited::Reading if self.is_over_when_idle() => Some(self.clock.now),
            Awaited::Reading => Some(self.read_until()),
            _ => self.clock.until(self.limits()),
        }
    }

    /// Whether nothing is lost if the session ends now.
    #[must_use]
    pub fn is_between_transactions(&self) -> bool {
        self.transaction.is_none()
    }

    /// Gives back the buffer of an idle session.
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.session.take_buffer()
    }

    /// We go down, and nothing of this session would be lost.
    fn is_over_when_idle(&self) -> bool {
        self.draining && self.is_between_transactions()
    }

    /// Who the client is, for a next hop that wants to know.
    #[must_use]
    pub fn client_details(&self) -> ClientDetails {
        ClientDetails { address: self.client.address, hello: self.session.hello().cloned() }
    }

    /// On whose behalf it asks for what is scarce.
    #[must_use]
    pub fn party(&self) -> Party {
        Party::of(self.client.address.ip(), self.client.limits_lifted)
    }

    /// The handshake is over: the session begins anew, unless it has not begun.
    pub fn behind_tls(&mut self) {
        self.client.tls = true;
        self.offer.start_tls = false;
        if self.session.question() == Some(&Question::Connect) {
            return;
        }
        self.session = ServerSession::behind_tls(self.session.terms());
    }

    /// What to do next.
    pub fn next(&mut self, sink: &mut impl Sink) -> Do {
        loop {
            // The transaction lives exactly as long as the session's envelope.
            if self.transaction.is_some() && self.session.envelope().is_none() {
                self.give_up_lease();
                self.transaction = None;
                return Do::Forget { until: self.begin(Awaited::Forgetting) };
            }
            // A client that does not read what it is told is told nothing more.
            if self.unsent_octets > UNSENT_OCTETS_MAX {
                return self.send();
            }
            match self.session.step() {
                Step::Send(reply) => {
                    self.clock.expect_command();
                    self.last_code = reply.code();
                    // What is said before the handshake, nobody could hear.
                    if !self.is_before_handshake() {
                        self.unsent_octets += reply.octets_max();
                        sink.write(&reply);
                    }
                }
                Step::Receive if self.is_over_when_idle() => self.end(&Refusal::Shutdown, sink),
                Step::Receive | Step::StartTls if self.has_unsent() => return self.send(),
                Step::Receive => return Do::Read { until: self.begin(Awaited::Reading) },
                Step::Content => self.carry(sink),
                Step::StartTls => return Do::StartTls { until: self.begin(Awaited::Handshake) },
                Step::Ask => {
                    if let Some(act) = self.consider(sink) {
                        return act;
                    }
                }
                Step::Close => {
                    self.tell_end(sink);
                    return if self.has_unsent() { self.send() } else { Do::Close };
                }
            }
        }
    }

    fn has_unsent(&self) -> bool {
        self.unsent_octets > 0
    }

    fn send(&mut self) -> Do {
        Do::Send { until: self.begin(Awaited::Sending) }
    }

    fn tell_end(&mut self, sink: &mut impl Sink) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.give_up_lease();
        let Counts { delivered, refusals, received_octets, leased_milliseconds, .. } = self.counts;
        // The session ends by itself when the client quits, or breaks the protocol.
        let broken = self.why_closed == "quit" && self.last_code != 221;
        let why = if broken { "protocol" } else { self.why_closed };
        let cost = SessionCost { refusals, received_octets, leased_milliseconds };
        self.record(Kind::SessionClosed { why, delivered, cost }, sink);
    }

    /// Moves the question on: judge it, ask the next hop, answer it.
    fn consider(&mut self, sink: &mut impl Sink) -> Option<Do> {
        match std::mem::replace(&mut self.activity, Activity::Idle) {
            // A whole flight of commands may be there already, each of which takes its time.
            Activity::Idle
                if self.clock.session_is_over(self.limits()) && !self.is_content_complete() =>
            {
                self.end(&Refusal::SessionTimeout, sink);
                None
            }
            Activity::Idle | Activity::Asking => {
                if self.is_content_complete() {
                    self.clock.complete(self.settings.limits.final_reply_seconds_max);
                }
                let case = self.open_case();
                self.judge(case, sink)
            }
            Activity::Judging(case) => self.judge(case, sink),
            Activity::Welcome => self.accept(Case::default(), sink),
            Activity::Heard(outcome) => self.on_outcome(outcome, sink),
            Activity::Delaying { reply, until } if self.clock.now < until => {
                self.activity = Activity::Delaying { reply, until };
                if self.has_unsent() {
                    return Some(self.send());
                }
                Some(Do::Wait { until: self.begin(Awaited::Pause(until)) })
            }
            Activity::Delaying { reply, .. } => {
                self.session.answer(Err(reply));
                None
            }
        }
    }

    fn is_before_handshake(&self) -> bool {
        self.listener.is_tls_first && !self.client.tls
    }

    fn is_content_complete(&self) -> bool {
        matches!(self.session.question(), Some(Question::Content(_)))
    }

    fn judge(&mut self, mut case: Case, sink: &mut impl Sink) -> Option<Do> {
        let Some(stage) = self.stage() else {
            // DATA: all that could be refused was refused at MAIL and RCPT.
            self.begin_content();
            return None;
        };
        if let Some(Question::Malformed(_, reply)) = self.session.question() {
            let reply = reply.clone();
            return self.refuse_malformed(stage, reply, sink);
        }
        let (mut at, facts) = (case.at, self.facts(&case));
        let judged = judge_from(&mut at, stage, &facts, &self.settings, |rule, refusal| {
            sink.ran(stage, rule, &facts, refusal);
        });
        case.at = at;
        match judged {
            Err(need) => {
                self.activity = Activity::Judging(case);
                let milliseconds = match need {
                    Need::EarlyTalker => u64::from(self.listener.greeting_delay_milliseconds),
                    _ => u64::from(self.limits().lookup_seconds_max) * 1_000,
                };
                let until = self.clock.now.plus_milliseconds(milliseconds);
                Some(Do::LookUp { need, until: self.begin(Awaited::Fact { need, until }) })
            }
            Ok(Some((by, refusal))) => self.refuse_by_rule(stage, by, &refusal, sink),
            Ok(None) => self.accept(case, sink),
        }
    }

    /// No rule objects.
    fn accept(&mut self, case: Case, sink: &mut impl Sink) -> Option<Do> {
        let reply = match self.session.question() {
            Some(Question::Connect) if self.is_before_handshake() => {
                self.activity = Activity::Welcome;
                return Some(Do::StartTls { until: self.begin(Awaited::Handshake) });
            }
            Some(Question::Connect) => {
                self.record(Kind::SessionOpened, sink);
                Reply::bare(220, format!("{} ESMTP Postern", self.hostname()))
            }
            Some(Question::Hello(hello)) => {
                let reply = Reply::bare(250, self.hostname().to_string());
                if hello.extended { reply.and_lines(self.offer.keywords()) } else { reply }
            }
            Some(Question::Mail(..)) => {
                self.transaction = Some(Box::default());
                self.session.answer(Ok(Reply::new(250, status::OTHER_ADDRESS, "ok")));
                self.record(Kind::MailAccepted, sink);
                return None;
            }
            Some(Question::Rcpt(_)) => return self.route(case, sink),
            Some(Question::Content(_)) => return self.hand_over(sink),
            Some(Question::Malformed(..) | Question::Data) | None => return None,
        };
        self.session.answer(Ok(reply));
        None
    }
}

impl Case {
    fn put(&mut self, found: Found) {
        match found {
            Found::Recipient(status) => self.recipient = Some(status),
            Found::Standing(standing) => self.standing = Some(standing),
            Found::Split(split) => self.split = Some(split),
            // Of the connection, not of the question.
            Found::EarlyTalker(_) | Found::ReverseName(_) => {}
        }
    }
}

/// What the session goes by under this pressure.
fn terms(settings: &Settings, client: &Client, offer: &Offer, pressure: Pressure) -> Terms {
    let limits = settings.limits.under(pressure);
    let lift = |limit| if client.limits_lifted { u32::MAX } else { limit };
    Terms {
        start_tls: offer.start_tls,
        tolerance: Tolerance {
            errors_max: lift(limits.errors_max),
            junk_commands_max: lift(limits.junk_commands_max),
        },
        content: ContentLimits {
            size_octets_max: offer.size_octets_max,
            line_octets_max: settings.limits.content_line_octets_max,
            endings: client.endings,
        },
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
