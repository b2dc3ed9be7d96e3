//! We are the SMTP client of a next hop: the mirror of [`super::server`]. RFC 5321 §3, §4.5.3.2.
//! Requests go in ([`ClientSession::begin`] …), [`ClientSession::step`] says what to do with the
//! connection and what was heard. Commands are sent together where PIPELINING is offered.
//! Leaves to others: connections, time, and what a refusal means to our own client.

use super::command::Hello;
use super::content::ContentEncoder;
use super::extension::{Capabilities, ClientAttributes};
use super::parameter::{Body, MailParameters};
use super::reply::{HeardReply, ReplyFault, parse_reply};
use crate::address::{Domain, ForwardPath, ReversePath};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// What our trace field may add to the size that a client announced, in octets.
const TRACE_OCTETS: u64 = 1_024;

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
    /// The greeting, EHLO and HELO, or XCLIENT were refused.
    Refused(HeardReply),
    /// What came was no reply.
    Nonsense(ReplyFault),
    /// A reply came that nobody had asked for, such as 421 before a shutdown.
    Unasked(HeardReply),
    /// TLS is required and not offered, or was refused.
    NoTls,
    /// Bytes came between the reply to STARTTLS and the handshake (CVE-2011-0411).
    Injection,
}

/// Who the client is, for a next hop that offers XFORWARD or XCLIENT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDetails {
    /// Its address and port.
    pub address: SocketAddr,
    /// What it said in EHLO.
    pub hello: Option<Hello>,
}

/// What is awaited, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    XClient,
    /// XFORWARD or RSET: consumed in silence.
    Silent,
    Mail,
    Rcpt,
    Data,
    Content,
}

/// ```text
/// Connecting ──220, EHLO──► Idle ──MAIL──► Transaction ──DATA──► Content
///                             ▲                 │ RSET              │
///                             └─────────────────┴──end of mail data─┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Idle,
    Transaction,
    Content,
    Closed,
}

/// One connection to a next hop.
pub struct ClientSession {
    state: State,
    hostname: Domain,
    tls: TlsWish,
    capabilities: Capabilities,
    input: Vec<u8>,
    output: Vec<u8>,
    expected: VecDeque<Expect>,
    /// Commands that wait for the answer to the one before.
    waiting: VecDeque<(Vec<u8>, Expect)>,
    mail_refused: Option<HeardReply>,
    encoder: ContentEncoder,
}

impl ClientSession {
    /// A connection that was just made.
    #[must_use]
    pub fn new(hostname: Domain, tls: TlsWish) -> Self {
        Self {
            state: State::Connecting,
            hostname,
            tls,
            capabilities: Capabilities::default(),
            input: Vec::new(),
            output: Vec::new(),
            expected: [Expect::Greeting].into(),
            waiting: VecDeque::new(),
            mail_refused: None,
            encoder: ContentEncoder::default(),
        }
    }

    /// What the next hop offers.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether a new transaction may begin here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && self.waiting.is_empty()
    }

    /// Takes bytes from the next hop, in any pieces.
    pub fn receive(&mut self, bytes: &[u8]) {
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

    /// One thing to do.
    pub fn step(&mut self) -> ClientStep {
        loop {
            // What came before it was asked for answers nothing that is said from now on: taken
            // for the answer to the final dot it would be a 250 for a message nobody has.
            if self.expected.is_empty() && !self.input.is_empty() {
                match parse_reply(&self.input) {
                    Ok(Some((reply, _))) => return self.fail(ClientFault::Unasked(reply)),
                    Ok(None) => {}
                    Err(fault) => return self.fail(ClientFault::Nonsense(fault)),
                }
            }
            self.pump();
            if !self.output.is_empty() {
                return ClientStep::Send;
            }
            let (reply, consumed) = match parse_reply(&self.input) {
                Ok(Some(found)) => found,
                Ok(None) => return ClientStep::Receive,
                Err(fault) => return self.fail(ClientFault::Nonsense(fault)),
            };
            self.input.drain(..consumed);
            if let Some(step) = self.heard(reply) {
                return step;
            }
        }
    }

    /// Opens a transaction with its first recipient; answered by [`Answer::Rcpt`] or
    /// [`Answer::MailRefused`].
    pub fn begin(
        &mut self,
        reverse_path: &ReversePath,
        parameters: MailParameters,
        first: &ForwardPath,
        details: Option<&ClientDetails>,
    ) {
        self.mail_refused = None;
        if let Some(details) = details {
            self.introduce(details);
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

    /// One more recipient; answered by [`Answer::Rcpt`].
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

    /// The final dot, to be sent behind the content; answered by [`Answer::Content`].
    pub fn finish(&mut self) -> &'static [u8] {
        self.expected.push_back(Expect::Content);
        std::mem::take(&mut self.encoder).finish()
    }

    /// Ends a transaction that came to nothing. The reply is read when the connection is used
    /// again.
    pub fn reset(&mut self) {
        if self.state == State::Transaction {
            self.state = State::Idle;
            self.waiting.push_back((b"RSET\r\n".to_vec(), Expect::Silent));
        }
    }

    /// The farewell, for which no reply is awaited.
    #[must_use]
    pub fn quit(&self) -> &'static [u8] {
        b"QUIT\r\n"
    }

    /// Sends what waits: all of it where the next hop offers PIPELINING (RFC 2920), else one
    /// command at a time.
    fn pump(&mut self) {
        while self.capabilities.pipelining || self.expected.is_empty() {
            // XCLIENT makes a new session of this one: nothing may follow it before its reply.
            if self.expected.contains(&Expect::XClient) || self.expected.contains(&Expect::Ehlo) {
                return;
            }
            let Some((command, expect)) = self.waiting.pop_front() else { return };
            self.output.extend_from_slice(&command);
            self.expected.push_back(expect);
        }
    }

    fn heard(&mut self, reply: HeardReply) -> Option<ClientStep> {
        let Some(expect) = self.expected.pop_front() else {
            return Some(self.fail(ClientFault::Unasked(reply)));
        };
        let positive = reply.code < 300;
        let closing = reply.code == 421;
        let step = match expect {
            Expect::Greeting if reply.code == 220 => {
                self.say_ehlo();
                None
            }
            Expect::Ehlo if positive => self.on_ehlo(&reply),
            // A server of before 1993, or one whose ESMTP was switched off (RFC 5321 §3.2). One
            // that says "not now" would offer more another time: HELO now would make us refuse
            // 8-bit content for good.
            Expect::Ehlo if reply.code >= 500 => {
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
            Expect::StartTls => return self.on_start_tls(&reply),
            Expect::XClient if reply.code == 220 => {
                self.say_ehlo();
                None
            }
            Expect::Silent if positive => None,
            Expect::Greeting | Expect::Ehlo | Expect::Helo | Expect::XClient | Expect::Silent => {
                return Some(self.fail(ClientFault::Refused(reply)));
            }
            Expect::Mail | Expect::Rcpt | Expect::Data | Expect::Content => {
                self.on_transaction_reply(expect, reply)
            }
        };
        if closing {
            self.state = State::Closed;
        }
        step
    }

    fn on_transaction_reply(&mut self, expect: Expect, reply: HeardReply) -> Option<ClientStep> {
        match expect {
            Expect::Mail if reply.code < 300 => {
                self.state = State::Transaction;
                None
            }
            Expect::Mail => {
                // What was sent along with MAIL is answered too; what was not, is not sent.
                if self.waiting.pop_front().is_some() {
                    return Some(ClientStep::Heard(Answer::MailRefused(reply)));
                }
                self.mail_refused = Some(reply);
                None
            }
            Expect::Rcpt => Some(ClientStep::Heard(match self.mail_refused.take() {
                Some(refusal) => Answer::MailRefused(refusal),
                None => Answer::Rcpt(reply),
            })),
            // Whoever answers the final dot before it was sent answers something else.
            Expect::Data if reply.code == 354 && !self.input.is_empty() => {
                Some(self.fail(ClientFault::Unasked(reply)))
            }
            Expect::Data => {
                if reply.code == 354 {
                    self.state = State::Content;
                    self.encoder = ContentEncoder::default();
                }
                Some(ClientStep::Heard(Answer::Data(reply)))
            }
            _ => {
                self.state = State::Idle;
                Some(ClientStep::Heard(Answer::Content(reply)))
            }
        }
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
        self.state = State::Idle;
        first.then_some(ClientStep::Heard(Answer::Ready))
    }

    fn say_ehlo(&mut self) {
        self.output.extend_from_slice(format!("EHLO {}\r\n", self.hostname).as_bytes());
        self.expected.push_front(Expect::Ehlo);
    }

    /// XFORWARD where it is offered, else XCLIENT, else nothing.
    fn introduce(&mut self, details: &ClientDetails) {
        let (verb, takes, expect) = if self.capabilities.xforward.addr {
            ("XFORWARD", self.capabilities.xforward, Expect::Silent)
        } else if self.capabilities.xclient.addr {
            ("XCLIENT", self.capabilities.xclient, Expect::XClient)
        } else {
            return;
        };
        let line = format!("{verb}{}\r\n", attributes(details, takes));
        self.waiting.push_back((line.into_bytes(), expect));
    }

    fn fail(&mut self, fault: ClientFault) -> ClientStep {
        self.state = State::Closed;
        ClientStep::Failed(fault)
    }
}

/// ` ADDR=192.0.2.1 HELO=bar.example …`, in xtext (RFC 3461 §4).
fn attributes(details: &ClientDetails, takes: ClientAttributes) -> String {
    let mut text = match details.address.ip() {
        IpAddr::V4(ip) => format!(" ADDR={ip}"),
        IpAddr::V6(ip) => format!(" ADDR=IPV6:{ip}"),
    };
    if takes.name {
        text.push_str(" NAME=[UNAVAILABLE]");
    }
    if takes.port {
        text.push_str(&format!(" PORT={}", details.address.port()));
    }
    if let Some(hello) = &details.hello {
        if takes.proto {
            text.push_str(if hello.extended { " PROTO=ESMTP" } else { " PROTO=SMTP" });
        }
        if takes.helo {
            text.push_str(" HELO=");
            push_xtext(&mut text, &hello.name);
        }
    }
    text
}

fn push_xtext(out: &mut String, text: &str) {
    for b in text.bytes() {
        if (b'!'..=b'~').contains(&b) && b != b'+' && b != b'=' {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("+{b:02X}"));
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
