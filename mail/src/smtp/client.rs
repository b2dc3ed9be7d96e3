//! We are the SMTP client of a next hop: the mirror of [`super::server`]. RFC 5321 §3, §4.5.3.2.
//! Requests go in ([`ClientSession::begin`] …), [`ClientSession::step`] says what to do with the
//! connection and what was heard. Commands are sent together where PIPELINING is offered.
//! Leaves to others: connections, time, and what a refusal means to our own client.

use super::client_state::{Expect, State};
use super::content::ContentEncoder;
use super::extension::{Capabilities, TRACE_OCTETS};
use super::introduction::{ClientDetails, Introduction, Told};
use super::parameter::{Body, MailParameters};
use super::reply::{Class, HEARD_LINE_OCTETS_MAX, HeardReply, ReplyFault, parse_reply};
use crate::address::{Domain, ForwardPath, ReversePath};
use std::collections::VecDeque;

/// Commands that are sent before the first of them is answered. Their replies find room on the way
/// while we write (RFC 2920 §3.1 warns of two sides that both write and do not read).
const FLIGHT_COMMANDS_MAX: usize = 64;

/// Whether TLS is wanted on the way to a next hop (RFC 3207).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsWish {
    /// It is not.
    None,
    /// If it is offered.
    Opportunistic,
    /// Or nothing is sent.
    Required,
}

/// What to do with the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// Send [`ClientSession::take_output`].
    Send,
    /// Give it more bytes.
    Receive,
    /// Shake hands, then call [`ClientSession::behind_tls`].
    StartTls,
    /// An answer to the last request.
    Heard(Answer),
    /// The connection is of no more use.
    Failed(ClientFault),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The next hop has greeted us and is ready for a transaction.
    Ready,
    /// The next hop refused MAIL.
    MailRefused(HeardReply),
    /// The reply to RCPT.
    Rcpt(HeardReply),
    /// The reply to DATA.
    Data(HeardReply),
    /// The reply to the final dot.
    Content(HeardReply),
}

/// Why a connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFault {
    /// The greeting, EHLO and HELO, XCLIENT or RSET were refused, or 421 was said.
    Refused(HeardReply),
    /// What came was no reply, or none to what was said.
    Nonsense(ReplyFault),
    /// A reply came that nobody had asked for, such as 421 before a shutdown.
    Unasked(HeardReply),
    /// TLS is required and not offered, or was refused.
    NoTls,
    /// Bytes came between the reply to STARTTLS and the handshake (CVE-2011-0411).
    Injection,
}

const NONSENSE: ClientFault = ClientFault::Nonsense(ReplyFault::Nonsense);

/// One connection to a next hop.
pub struct ClientSession {
    state: State,
    hostname: Domain,
    tls: TlsWish,
    introduction: Introduction,
    capabilities: Capabilities,
    /// The greeting's text, without 220.
    greeting: Box<str>,
    input: Vec<u8>,
    /// Octets of the input behind its last LF.
    line_octets: usize,
    /// A line came to its end since the input was last parsed, or to its limit: parsing before
    /// would let a next hop that sends octet by octet cost the square of what it sends.
    is_parsable: bool,
    output: Vec<u8>,
    expected: VecDeque<Expect>,
    /// Commands that wait for the answer to the one before.
    waiting: VecDeque<(Vec<u8>, Expect)>,
    /// Answers every request of the transaction to come.
    mail_refused: Option<HeardReply>,
    encoder: ContentEncoder,
    /// Why it was closed.
    fault: Option<ClientFault>,
    /// XCLIENT has made a client's own session of it.
    impersonates: bool,
}

impl ClientSession {
    /// A connection that was just made.
    #[must_use]
    pub fn new(hostname: Domain, tls: TlsWish, introduction: Introduction) -> Self {
        Self {
            state: State::Connecting,
            hostname,
            tls,
            introduction,
            capabilities: Capabilities::default(),
            greeting: Box::default(),
            input: Vec::new(),
            line_octets: 0,
            is_parsable: false,
            output: Vec::new(),
            expected: [Expect::Greeting].into(),
            waiting: VecDeque::new(),
            mail_refused: None,
            encoder: ContentEncoder::default(),
            fault: None,
            impersonates: false,
        }
    }

    /// What the next hop offers.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The first line of its greeting, without the code: printable ASCII, at most 400 octets.
    #[must_use]
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Whether a new transaction may begin here: none is open, and no answer to one is due. After
    /// XCLIENT only where it is offered again; Postfix does so to the same client only, and would
    /// take the next one's mail for his.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        if self.impersonates && !self.capabilities.xclient.addr {
            return false;
        }
        let mut due = self.expected.iter().chain(self.waiting.iter().map(|(_, expect)| expect));
        self.state == State::Idle && due.all(|e| matches!(e, Expect::Rset | Expect::Forgotten))
    }

    /// Takes bytes from the next hop, in any pieces.
    pub fn receive(&mut self, bytes: &[u8]) {
        match memchr::memrchr(b'\n', bytes) {
            Some(end) => self.line_octets = bytes.len() - end - 1,
            None => self.line_octets += bytes.len(),
        }
        self.is_parsable |=
            self.line_octets < bytes.len() || self.line_octets >= HEARD_LINE_OCTETS_MAX;
        self.input.extend_from_slice(bytes);
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// TLS is on: what was said in the clear is forgotten (RFC 3207 §4.2).
    pub fn behind_tls(&mut self) {
        self.tls = TlsWish::None;
        self.capabilities = Capabilities::default();
        self.say_ehlo();
    }

    /// One thing to do. After [`ClientStep::Failed`], and behind the answer that held a 421,
    /// there is only [`ClientStep::Failed`].
    pub fn step(&mut self) -> ClientStep {
        loop {
            if self.state == State::Closed {
                self.input.clear();
                return self.fault.clone().map_or(ClientStep::Receive, ClientStep::Failed);
            }
            if self.expected.is_empty() && !self.input.is_empty() {
                // What came before its command answers nothing, least of all the final dot.
                return match self.unasked() {
                    None if self.waiting.is_empty() => {
                        self.is_parsable = false;
                        ClientStep::Receive
                    }
                    fault => self.fail(fault.unwrap_or(NONSENSE)),
                };
            }
            self.pump();
            if !self.output.is_empty() {
                return ClientStep::Send;
            }
            if let Some(refusal) = self.refuse_waiting() {
                return ClientStep::Heard(Answer::MailRefused(refusal));
            }
            let (reply, consumed) = match self.parse() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.is_parsable = false;
                    return ClientStep::Receive;
                }
                Err(fault) => return self.fail(ClientFault::Nonsense(fault)),
            };
            self.input.drain(..consumed);
            if let Some(step) = self.heard(reply) {
                return step;
            }
        }
    }

    /// Opens a transaction with its first recipient; answered by [`Answer::Rcpt`] or
    /// [`Answer::MailRefused`]. Only where [`ClientSession::is_idle`].
    pub fn begin(
        &mut self,
        reverse_path: &ReversePath,
        parameters: MailParameters,
        first: &ForwardPath,
        details: Option<&ClientDetails>,
    ) {
        self.mail_refused = None;
        if self.state == State::Idle {
            self.state = State::Transaction;
        }
        if let Some(details) = details {
            match self.introduction.command(&self.capabilities, details) {
                Some(Told::Xforward(line)) => {
                    self.waiting.push_back((line.into_bytes(), Expect::Forgotten));
                }
                Some(Told::Xclient(line)) => {
                    self.waiting.push_back((line.into_bytes(), Expect::XClient));
                }
                None => {}
            }
        }
        let mut mail = format!("MAIL FROM:<{reverse_path}>");
        if let Some(octets) = parameters.size_octets.filter(|_| self.capabilities.size) {
            mail.push_str(&format!(" SIZE={}", octets.saturating_add(TRACE_OCTETS)));
        }
        if parameters.body == Body::EightBitMime && self.capabilities.eight_bit_mime {
            mail.push_str(" BODY=8BITMIME");
        }
        mail.push_str("\r\n");
        self.waiting.push_back((mail.into_bytes(), Expect::Mail));
        self.recipient(first);
    }

    /// One more recipient; answered by [`Answer::Rcpt`], or [`Answer::MailRefused`] when it was
    /// added before the answer to the first: so a whole envelope leaves in one flight.
    pub fn recipient(&mut self, path: &ForwardPath) {
        self.waiting.push_back((format!("RCPT TO:<{path}>\r\n").into_bytes(), Expect::Rcpt));
    }

    /// DATA; answered by [`Answer::Data`].
    pub fn data(&mut self) {
        self.waiting.push_back((b"DATA\r\n".to_vec(), Expect::Data));
    }

    /// Encodes content for the connection, after 354.
    pub fn encode<'a>(&mut self, content: &'a [u8], emit: impl FnMut(&'a [u8])) {
        self.encoder.encode(content, emit);
    }

    /// Whether something has come that was not asked for: a whole reply, or what can be none.
    #[must_use]
    pub fn has_unasked(&self) -> bool {
        self.expected.is_empty() && !self.input.is_empty() && self.unasked().is_some()
    }

    /// The final dot, to be sent behind the content; answered by [`Answer::Content`]. Empty when
    /// the next hop spoke before its turn: then nothing was delivered, and the next step fails.
    pub fn finish(&mut self) -> &'static [u8] {
        if self.state == State::Content && !self.input.is_empty() {
            let fault = self.unasked().unwrap_or(NONSENSE);
            self.fail(fault);
        }
        if self.state != State::Content {
            return b"";
        }
        self.expected.push_back(Expect::Content);
        std::mem::take(&mut self.encoder).finish()
    }

    /// Ends a transaction that came to nothing; its answers are not told any more. They are read
    /// when the connection is used again. Where RSET could be taken for content, and within
    /// content, the session is not idle afterwards, and the connection must be closed.
    pub fn reset(&mut self) {
        if !matches!(self.state, State::Transaction | State::Idle) {
            return;
        }
        self.waiting.retain(|(_, expect)| self.state == State::Idle && *expect == Expect::Rset);
        if self.expected.iter().any(|e| e.must_end_flight()) {
            self.state = State::Closed;
            return;
        }
        for expect in &mut self.expected {
            if matches!(expect, Expect::Mail | Expect::Rcpt) {
                *expect = Expect::Forgotten;
            }
        }
        if self.state == State::Transaction {
            self.state = State::Idle;
            self.waiting.push_back((b"RSET\r\n".to_vec(), Expect::Rset));
        }
    }

    /// The farewell, for which no reply is awaited.
    #[must_use]
    pub fn quit(&self) -> &'static [u8] {
        b"QUIT\r\n"
    }

    /// Sends what waits: in flights where the next hop offers PIPELINING (RFC 2920), else one
    /// command at a time.
    fn pump(&mut self) {
        if !matches!(self.state, State::Idle | State::Transaction) || self.mail_refused.is_some() {
            return;
        }
        // The next flight leaves when half of the last was answered, not one by one.
        let is_on_its_way = self.expected.len() > FLIGHT_COMMANDS_MAX / 2;
        let flight =
            if self.capabilities.pipelining && !is_on_its_way { FLIGHT_COMMANDS_MAX } else { 1 };
        while self.expected.len() < flight {
            if self.expected.iter().any(|e| e.must_end_flight()) {
                return;
            }
            let Some((command, expect)) = self.waiting.pop_front() else { return };
            self.output.extend_from_slice(&command);
            self.expected.push_back(expect);
        }
    }

    fn parse(&self) -> Result<Option<(HeardReply, usize)>, ReplyFault> {
        if self.is_parsable { parse_reply(&self.input) } else { Ok(None) }
    }

    /// What is in the input although nothing is expected; `None` while it is no whole reply.
    fn unasked(&self) -> Option<ClientFault> {
        match self.parse() {
            Ok(found) => found.map(|(reply, _)| ClientFault::Unasked(reply)),
            Err(fault) => Some(ClientFault::Nonsense(fault)),
        }
    }

    /// What was not sent before MAIL was refused is not sent, but answered.
    fn refuse_waiting(&mut self) -> Option<HeardReply> {
        let refusal = self.mail_refused.as_ref().filter(|_| self.expected.is_empty())?;
        while let Some((_, expect)) = self.waiting.pop_front() {
            if matches!(expect, Expect::Rcpt | Expect::Data) {
                return Some(refusal.clone());
            }
        }
        None
    }

    fn heard(&mut self, reply: HeardReply) -> Option<ClientStep> {
        let Some(expect) = self.expected.pop_front() else {
            return Some(self.fail(ClientFault::Unasked(reply)));
        };
        if !expect.is_answered_by(&reply) {
            return Some(self.fail(NONSENSE));
        }
        let positive = reply.class() == Class::Completion;
        let closing = (reply.code == 421).then(|| ClientFault::Refused(reply.clone()));
        let step = match expect {
            Expect::Greeting if reply.code == 220 => {
                self.greeting = reply.text;
                self.say_ehlo();
                None
            }
            Expect::Ehlo if positive => self.on_ehlo(&reply),
            // A server of before 1993, or one whose ESMTP was switched off (RFC 5321 §3.2). One
            // that only cannot now (4yz) is not spoken to without what EHLO would offer, TLS.
            Expect::Ehlo if reply.class() == Class::Permanent => {
                let helo = format!("HELO {}\r\n", self.hostname);
                self.output.extend_from_slice(helo.as_bytes());
                self.expected.push_front(Expect::Helo);
                None
            }
            Expect::Helo if positive => {
                if self.tls == TlsWish::Required {
                    return Some(self.fail(ClientFault::NoTls));
                }
                self.capabilities = Capabilities::default();
                self.ready()
            }
            Expect::StartTls if closing.is_none() => self.on_start_tls(&reply),
            Expect::XClient if reply.code == 220 => {
                self.impersonates = true;
                self.say_ehlo();
                None
            }
            Expect::Rset if positive => None,
            Expect::Forgotten => None,
            Expect::Greeting | Expect::Ehlo | Expect::Helo => {
                return Some(self.fail(ClientFault::Refused(reply)));
            }
            Expect::StartTls | Expect::XClient | Expect::Rset => {
                return Some(self.fail(ClientFault::Refused(reply)));
            }
            Expect::Mail | Expect::Rcpt | Expect::Data | Expect::Content => {
                self.on_transaction_reply(expect, reply)
            }
        };
        if let Some(fault) = closing {
            self.fail(fault);
        }
        step
    }

    fn on_transaction_reply(&mut self, expect: Expect, reply: HeardReply) -> Option<ClientStep> {
        let answer = match (expect, &self.mail_refused) {
            (Expect::Mail, _) if reply.class() == Class::Completion => return None,
            (Expect::Mail, _) => {
                self.state = State::Idle;
                // What was sent along with MAIL is answered too, unless the channel closes.
                if reply.code != 421 {
                    self.mail_refused = Some(reply);
                    return None;
                }
                Answer::MailRefused(reply)
            }
            (Expect::Data, Some(_)) if reply.code == 354 => return Some(self.fail(NONSENSE)),
            (Expect::Rcpt | Expect::Data, Some(refusal)) => Answer::MailRefused(refusal.clone()),
            (Expect::Rcpt, None) => Answer::Rcpt(reply),
            (Expect::Data, None) => {
                if reply.code == 354 {
                    self.state = State::Content;
                    self.encoder = ContentEncoder::default();
                }
                Answer::Data(reply)
            }
            _ => {
                self.state = State::Idle;
                Answer::Content(reply)
            }
        };
        Some(ClientStep::Heard(answer))
    }

    fn on_ehlo(&mut self, reply: &HeardReply) -> Option<ClientStep> {
        self.capabilities = Capabilities::heard(reply);
        match self.tls {
            TlsWish::Opportunistic | TlsWish::Required if self.capabilities.start_tls => {
                self.output.extend_from_slice(b"STARTTLS\r\n");
                self.expected.push_front(Expect::StartTls);
                None
            }
            TlsWish::Required => Some(self.fail(ClientFault::NoTls)),
            TlsWish::None | TlsWish::Opportunistic => self.ready(),
        }
    }

    fn on_start_tls(&mut self, reply: &HeardReply) -> Option<ClientStep> {
        match self.tls {
            _ if reply.code == 220 && !self.input.is_empty() => {
                Some(self.fail(ClientFault::Injection))
            }
            _ if reply.code == 220 => Some(ClientStep::StartTls),
            TlsWish::Required => Some(self.fail(ClientFault::NoTls)),
            TlsWish::None | TlsWish::Opportunistic => self.ready(),
        }
    }

    /// Ready for the first time is an answer; ready again after XCLIENT is not.
    fn ready(&mut self) -> Option<ClientStep> {
        let first = self.state == State::Connecting;
        if first {
            let idle = self.waiting.is_empty();
            self.state = if idle { State::Idle } else { State::Transaction };
        }
        first.then_some(ClientStep::Heard(Answer::Ready))
    }

    fn say_ehlo(&mut self) {
        self.output.extend_from_slice(format!("EHLO {}\r\n", self.hostname).as_bytes());
        self.expected.push_front(Expect::Ehlo);
    }

    fn fail(&mut self, fault: ClientFault) -> ClientStep {
        self.state = State::Closed;
        self.waiting.clear();
        self.fault = Some(fault.clone());
        ClientStep::Failed(fault)
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
