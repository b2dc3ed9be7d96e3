//! One client, its transaction and the next hop as one machine: the heart.
//! [`Exchange::next`] says one thing to do at a time, the edge does it and reports by
//! [`Exchange::done`]. What needs no waiting (replies, content, events) goes to a [`Sink`].
//!
//! Order at the final dot: content complete → rules → next hop's own reply → ours. A 250 there
//! means that the next hop said 250, or that every recipient is a bitbucket; nothing else does.

mod clock;
mod facts;
mod refuse;
mod transaction;

use crate::client::Client;
use crate::event::{Event, Kind};
use crate::moment::Moment;
use crate::next_hop::{Outcome, Request};
use crate::policy::facts::{Arrival, Facts, Found, Need, Standing};
use crate::policy::verdict::Refusal;
use crate::policy::{Rule, Stage, judge_from};
use crate::recipient::RecipientStatus;
use crate::settings::{DomainId, Pressure, Settings};
use clock::Clock;
use mail::address::{ForwardPath, LocalPart, ReversePath};
use mail::message::received::Trace;
use mail::smtp::content::ContentLimits;
use mail::smtp::extension::Offer;
use mail::smtp::introduction::ClientDetails;
use mail::smtp::reply::Reply;
use mail::smtp::server::{Question, ServerSession, Step, Terms, Tolerance};
use mail::smtp::status;
use std::sync::Arc;
use transaction::Transaction;

/// The one thing the edge must do now; it reports with the [`Done`] named.
#[derive(Debug, PartialEq, Eq)]
pub enum Do {
    /// Send what was written, then read: [`Done::Bytes`], [`Done::Gone`] or, at this moment,
    /// [`Done::Elapsed`].
    Read {
        /// Until when.
        until: Moment,
    },
    /// Look a fact up: [`Done::Found`].
    LookUp(Need),
    /// Ask the next hop: [`Done::NextHop`].
    NextHop(Request),
    /// The transaction is over: drop what was kept, give the next hop's connection back.
    /// [`Done::Yes`].
    Forget,
    /// Do nothing for a while: [`Done::Yes`].
    Wait {
        /// Until when.
        until: Moment,
    },
    /// Send what was written, then shake hands: [`Done::Yes`] or [`Done::Gone`].
    StartTls,
    /// Send what was written, then close. There is nothing after it.
    Close,
}

/// How it went.
#[derive(Debug)]
pub enum Done {
    /// It is done.
    Yes,
    /// Bytes from the client.
    Bytes(Vec<u8>),
    /// The client is gone.
    Gone,
    /// The time is over.
    Elapsed,
    /// A fact.
    Found(Found),
    /// What came of a request to the next hop.
    NextHop(Outcome),
}

/// Takes what needs no waiting.
pub trait Sink {
    /// A reply to the client, to be sent before the next read.
    fn write(&mut self, reply: &Reply);
    /// Content of the open transaction, transparency undone.
    fn keep(&mut self, content: &[u8]);
    /// Something to be told.
    fn record(&mut self, event: &Event<'_>);
    /// An envelope whose recipients are to come one by one from now on.
    fn split(&mut self, from: &ReversePath, recipients: &[ForwardPath]);
    /// A rule has run over these facts, and had all that it asked for: to explain it.
    fn ran(&mut self, _: Stage, _: &'static Rule, _: &Facts<'_>, _: Option<&Refusal>) {}
}

/// What the exchange is in the middle of.
#[derive(Debug)]
enum Activity {
    /// Nothing: the session may go on.
    Idle,
    /// The rules run on the question; a fact is being looked up.
    Judging(Case),
    /// The next hop is being asked.
    Asking,
    /// It has answered.
    Heard(Outcome),
    /// A refusal is being held back.
    Delaying(Reply),
}

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
    unknown: u32,
    refusals: u32,
    /// Names given to refusals and messages.
    ids: u32,
}

/// One client's exchange with us and, through us, with the next hop.
pub struct Exchange {
    settings: Arc<Settings>,
    client: Client,
    arrival: Arrival,
    offer: Offer,
    pressure: Pressure,
    session: ServerSession,
    activity: Activity,
    transaction: Option<Box<Transaction>>,
    counts: Counts,
    clock: Clock,
    draining: bool,
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
        let clock = Clock::new(now, settings.limits.under(pressure));
        Self {
            session: ServerSession::new(terms),
            settings,
            client,
            arrival,
            offer,
            pressure,
            activity: Activity::Idle,
            transaction: None,
            counts: Counts::default(),
            clock,
            draining: false,
            why_closed: "quit",
            last_code: 0,
        }
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

    /// The envelope in question: its reverse-path and the recipient that is being named.
    #[must_use]
    pub fn envelope_in_question(&self) -> Option<(&ReversePath, &ForwardPath)> {
        let Some(Question::Rcpt(path)) = self.session.question() else { return None };
        Some((&self.session.envelope()?.reverse_path, path))
    }

    /// The trace field for the message at hand; `date` is now, as RFC 5322 §3.3 writes it. Content
    /// that begins with white space would continue it: an empty line goes between, and it is body.
    #[must_use]
    pub fn trace_field(&self, date: &str) -> String {
        let Some(hello) = self.session.hello() else { return String::new() };
        let content = self.transaction.as_ref().and_then(|t| t.content());
        let mut field = Trace {
            hello,
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

    /// Whether nothing is lost if the session ends now.
    #[must_use]
    pub fn is_between_transactions(&self) -> bool {
        self.transaction.is_none()
    }

    /// Gives back the buffer of an idle session.
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.session.take_buffer()
    }

    /// Reports what came of the last [`Do`].
    pub fn done(&mut self, done: Done, now: Moment, sink: &mut impl Sink) {
        self.clock.now = now;
        match done {
            Done::Yes => {}
            // A client that never stops talking never lets the edge's deadline pass.
            Done::Bytes(_) if self.is_overdue() => self.on_elapsed(sink),
            Done::Bytes(bytes) => {
                if self.session.is_in_content() {
                    self.on_content_bytes(bytes.len(), sink);
                }
                self.session.receive(bytes);
            }
            Done::Gone => {
                self.why_closed = "client_gone";
                self.session.abandon();
            }
            Done::Elapsed => self.on_elapsed(sink),
            Done::Found(found) => {
                if let Activity::Judging(case) = &mut self.activity {
                    case.put(found);
                }
            }
            Done::NextHop(outcome) => self.activity = Activity::Heard(outcome),
        }
    }

    /// TLS was on before the first word.
    pub fn over_tls(&mut self) {
        self.client.tls = true;
    }

    /// Who the client is, for a next hop that wants to know.
    #[must_use]
    pub fn client_details(&self) -> ClientDetails {
        ClientDetails { address: self.client.address, hello: self.session.hello().cloned() }
    }

    /// The handshake is over: the session begins anew.
    pub fn behind_tls(&mut self) {
        self.client.tls = true;
        self.offer.start_tls = false;
        self.session = ServerSession::behind_tls(self.session.terms());
    }

    /// What to do next.
    pub fn next(&mut self, sink: &mut impl Sink) -> Do {
        loop {
            // The transaction lives exactly as long as the session's envelope.
            if self.transaction.is_some() && self.session.envelope().is_none() {
                self.transaction = None;
                return Do::Forget;
            }
            match self.session.step() {
                Step::Send(reply) => {
                    self.clock.expect_command(self.settings.limits.under(self.pressure));
                    self.last_code = reply.code();
                    sink.write(&reply);
                }
                Step::Receive if self.draining && self.is_between_transactions() => {
                    self.end(&Refusal::Shutdown, sink);
                }
                Step::Receive => return Do::Read { until: self.read_until() },
                Step::Content => self.carry(sink),
                Step::StartTls => return Do::StartTls,
                Step::Ask => {
                    if let Some(act) = self.consider(sink) {
                        return act;
                    }
                }
                Step::Close => {
                    let Counts { delivered, refusals, .. } = self.counts;
                    // The session ends by itself when the client quits, or breaks the protocol.
                    let broken = self.why_closed == "quit" && self.last_code != 221;
                    let why = if broken { "protocol" } else { self.why_closed };
                    self.record(Kind::SessionClosed { why, delivered, refusals }, sink);
                    return Do::Close;
                }
            }
        }
    }

    /// Moves the question on: judge it, ask the next hop, answer it.
    fn consider(&mut self, sink: &mut impl Sink) -> Option<Do> {
        match std::mem::replace(&mut self.activity, Activity::Idle) {
            // A whole flight of commands may be there already, each of which takes its time.
            Activity::Idle if self.clock.session_is_over() && !self.is_content_complete() => {
                self.end(&Refusal::SessionTimeout, sink);
                None
            }
            Activity::Idle | Activity::Asking => {
                let case = self.open_case();
                self.judge(case, sink)
            }
            Activity::Judging(case) => self.judge(case, sink),
            Activity::Heard(outcome) => self.on_outcome(outcome, sink),
            Activity::Delaying(reply) => {
                self.session.answer(Err(reply));
                None
            }
        }
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
        let mut at = case.at;
        let facts = self.facts(&case);
        let judged = judge_from(&mut at, stage, &facts, &self.settings, |rule, refusal| {
            sink.ran(stage, rule, &facts, refusal);
        });
        case.at = at;
        match judged {
            Err(need) => {
                self.activity = Activity::Judging(case);
                Some(Do::LookUp(need))
            }
            Ok(Some((by, refusal))) => self.refuse_by_rule(stage, by, &refusal, sink),
            Ok(None) => self.accept(case, sink),
        }
    }

    /// No rule objects.
    fn accept(&mut self, case: Case, sink: &mut impl Sink) -> Option<Do> {
        let reply = match self.session.question() {
            Some(Question::Connect) => {
                self.record(Kind::SessionOpened, sink);
                Reply::bare(220, format!("{} ESMTP Postern", self.settings.hostname))
            }
            Some(Question::Hello(hello)) => {
                let reply = Reply::bare(250, self.settings.hostname.to_string());
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
            Some(Question::Data) | None => return None,
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
