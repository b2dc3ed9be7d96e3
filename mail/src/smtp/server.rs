//! We are the SMTP server: one client's session as a machine. RFC 5321 §3, §4.1.4.
//! Bytes go in by [`ServerSession::receive`]; [`ServerSession::step`] says one thing to do at a
//! time. Legality is checked here, everything else is asked ([`Question`]) and answered.
//! Leaves to others: what is allowed (relay), time, and how many sessions there are.

use super::command::{Command, Hello, PathCommand};
use super::content::{ContentDecoder, ContentFault, ContentLimits};
use super::input::{Input, Taken};
use super::parameter::MailParameters;
use super::reply::Reply;
use super::status;
use crate::address::{ForwardPath, ReversePath};

/// What the session wants done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Give it more bytes.
    Receive,
    /// Send this.
    Send(Reply),
    /// Answer [`ServerSession::question`]; nothing else happens before.
    Ask,
    /// Take content with [`ServerSession::take_content`].
    Content,
    /// The reply to STARTTLS has been sent: shake hands, then go on with
    /// [`ServerSession::behind_tls`].
    StartTls,
    /// Close the connection.
    Close,
}

/// What the session cannot decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A client is there. The answer is the greeting.
    Connect,
    /// EHLO or HELO. The answer ends any transaction.
    Hello(Hello),
    /// MAIL; opens a transaction.
    Mail(ReversePath, MailParameters),
    /// RCPT; the recipient joins the transaction.
    Rcpt(ForwardPath),
    /// MAIL or RCPT that cannot be read, and why. The answer is this refusal, by
    /// [`ServerSession::answer_error`]: it is asked so that it can be told and have a name.
    Malformed(PathCommand, Reply),
    /// DATA; the answer is 354.
    Data,
    /// The end of mail data. The answer ends the transaction, whatever it is.
    Content(ContentSummary),
}

/// What is known of the content when it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentSummary {
    /// Its size, in octets; with a fault, what was kept of it.
    pub octets: u64,
    /// Its longest line, in octets.
    pub longest_line_octets: u32,
    /// Why it cannot be accepted.
    pub fault: Option<ContentFault>,
}

/// MAIL to end of mail data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL.
    pub reverse_path: ReversePath,
    /// MAIL's parameters.
    pub parameters: MailParameters,
    /// The accepted RCPTs.
    pub recipients: Vec<ForwardPath>,
}

/// The transaction lives inside the state: leaving the state drops it whole.
///
/// ```text
/// Connected ──EHLO──► Greeted ──MAIL──► Transaction ──DATA──► Content
///                        ▲  ▲               │  ▲─RCPT─┘          │
///                        │  └─RSET,EHLO─────┘                    │
///                        └────────────end of mail data───────────┘
/// ```
enum State {
    Connected,
    Greeted(Hello),
    Transaction(Hello, Box<Envelope>),
    Content(Hello, Box<Envelope>, ContentDecoder),
    /// 220 was said to STARTTLS; nothing more is read in the clear.
    StartingTls,
    Closed,
}

/// What a session goes by; may change between commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// STARTTLS is offered.
    pub start_tls: bool,
    /// How much nonsense is borne.
    pub tolerance: Tolerance,
    /// The limits of content, and how bare line endings are met, in commands too, whose paths are
    /// mended where those are.
    pub content: ContentLimits,
}

/// Recipients of messages that were taken which outweigh one error: a list server with a few stale
/// addresses goes on.
const TAKEN_PER_ERROR: u32 = 4;
/// They outweigh at most so many times the errors that are borne of everybody.
const ERRORS_FACTOR_MAX: u32 = 10;

/// How much nonsense is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Commands refused for syntax or order, and what counts as such, before 421; recipients of
    /// messages that were taken outweigh some.
    pub errors_max: u32,
    /// Commands that move nothing, in a row without a message, before 421.
    pub junk_commands_max: u32,
}

/// One client's session.
pub struct ServerSession {
    state: State,
    input: Input,
    asked: Option<Question>,
    outbox: Option<Reply>,
    /// Behind the outbox: the last reply of all.
    farewell: Option<Reply>,
    terms: Terms,
    tls: bool,
    errors: u32,
    junk_commands: u32,
    /// Recipients of the messages that were taken.
    taken: u32,
}

impl ServerSession {
    /// A session at its very start; the first step asks [`Question::Connect`].
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self {
            state: State::Connected,
            input: Input::default(),
            asked: Some(Question::Connect),
            outbox: None,
            farewell: None,
            terms,
            tls: false,
            errors: 0,
            junk_commands: 0,
            taken: 0,
        }
    }

    /// The session that follows the handshake: nothing that was said in the clear is known to it
    /// (RFC 3207 §4.2).
    #[must_use]
    pub fn behind_tls(terms: Terms) -> Self {
        let terms = Terms { start_tls: false, ..terms };
        Self { asked: None, tls: true, ..Self::new(terms) }
    }

    /// Changes what the session goes by, from the next command on. Within TLS, STARTTLS stays
    /// out of it (RFC 3207 §4.2).
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = Terms { start_tls: terms.start_tls && !self.tls, ..terms };
    }

    /// What the session goes by.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Takes bytes from the client, in any pieces.
    pub fn receive(&mut self, bytes: Vec<u8>) {
        self.input.receive(bytes);
    }

    /// Gives back the buffer when little or nothing is left in it, so that a session that waits
    /// holds none.
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.input.take_buffer()
    }

    /// What is to be answered.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        self.asked.as_ref()
    }

    /// The open transaction.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.state {
            State::Transaction(_, envelope) | State::Content(_, envelope, _) => Some(envelope),
            State::Connected | State::Greeted(_) | State::StartingTls | State::Closed => None,
        }
    }

    /// What the client said of itself.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        match &self.state {
            State::Greeted(hello) | State::Transaction(hello, _) | State::Content(hello, _, _) => {
                Some(hello)
            }
            State::Connected | State::StartingTls | State::Closed => None,
        }
    }

    /// Whether content is being received.
    #[must_use]
    pub fn is_in_content(&self) -> bool {
        matches!(self.state, State::Content(..)) && self.asked.is_none()
    }

    /// Whether the client has said more that waits.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Ends the session with a last reply, as the server's own wish (RFC 5321 §3.8). It answers
    /// an open question; a reply that waits to be sent goes first.
    pub fn close_with(&mut self, reply: Reply) {
        self.asked = None;
        self.state = State::Closed;
        self.farewell = Some(reply);
    }

    /// The client is gone: nothing more is said.
    pub fn abandon(&mut self) {
        self.asked = None;
        self.outbox = None;
        self.farewell = None;
        self.state = State::Closed;
    }

    /// One thing to do.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(reply) = self.outbox.take().or_else(|| self.farewell.take()) {
                // RFC 5321 §4.2.2: 421 means that the channel closes, and so it does.
                if reply.code() == 421 {
                    self.state = State::Closed;
                    self.farewell = None;
                }
                return Step::Send(reply);
            }
            if self.asked.is_some() {
                return Step::Ask;
            }
            match self.state {
                State::Closed => return Step::Close,
                State::StartingTls => return Step::StartTls,
                State::Content(..) if self.has_input() => return Step::Content,
                State::Content(..) => return Step::Receive,
                State::Connected | State::Greeted(_) | State::Transaction(..) => {}
            }
            if !self.take_line() {
                return Step::Receive;
            }
        }
    }

    /// Decodes what there is of content; only after [`Step::Content`].
    pub fn take_content(&mut self, emit: &mut impl FnMut(&[u8])) {
        let (State::Content(_, _, decoder), None) = (&mut self.state, &self.asked) else { return };
        let decoded = decoder.decode(self.input.rest(), emit);
        self.input.consume(decoded.consumed);
        if decoder.is_endless() {
            // We deviate: RFC 5321 §3.8 would have us say 421, and have this tried again for days.
            self.close_with(Reply::new(552, status::MESSAGE_TOO_BIG, "message far too big"));
        } else if decoded.end {
            self.asked = Some(Question::Content(ContentSummary {
                octets: decoder.octets(),
                longest_line_octets: decoder.longest_line_octets(),
                fault: decoder.fault(),
            }));
        }
    }

    /// Proceed: the answer moves the state and becomes the reply. A refusal leaves the state as
    /// it was, but for the end of mail data, which ends the transaction in any case.
    pub fn answer(&mut self, verdict: Result<Reply, Reply>) {
        let Some(question) = self.asked.take() else {
            unreachable!("answer() follows Step::Ask");
        };
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (accepted, reply) = match verdict {
            Ok(reply) => (true, reply),
            Err(reply) => (false, reply),
        };
        // Else the two sides would disagree about what is open, which is what smuggling lives on.
        debug_assert_eq!(accepted, reply.code() < 400, "{question:?}: {reply}");
        debug_assert!(!accepted || (reply.code() == 354) == (question == Question::Data));
        self.state = match (question, state) {
            (Question::Content(_), State::Content(hello, envelope, _)) => {
                self.junk_commands = 0;
                let recipients = u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX);
                self.taken = self.taken.saturating_add(if accepted { recipients } else { 0 });
                State::Greeted(hello)
            }
            // We deviate: RFC 5321 §3.1 would have us wait for QUIT and say 503 until it comes.
            // A client that is not welcome hears why and costs no more.
            (Question::Connect, _) if !accepted => State::Closed,
            (_, state) if !accepted => state,
            (Question::Hello(hello), _) => State::Greeted(hello),
            (Question::Mail(reverse_path, parameters), State::Greeted(hello)) => {
                let recipients = Vec::new();
                State::Transaction(
                    hello,
                    Box::new(Envelope { reverse_path, parameters, recipients }),
                )
            }
            (Question::Rcpt(path), State::Transaction(hello, mut envelope)) => {
                envelope.recipients.push(path);
                State::Transaction(hello, envelope)
            }
            (Question::Data, State::Transaction(hello, envelope)) => {
                State::Content(hello, envelope, ContentDecoder::new(self.terms.content))
            }
            (_, state) => state,
        };
        self.send(reply);
    }

    /// As a refusal by [`Self::answer`], of something that no client with a reason to be here says:
    /// it counts as errors of syntax do, and one too many ends the session.
    pub fn answer_error(&mut self, reply: Reply) {
        self.answer(Err(reply));
        if !self.bears_error() {
            self.outbox = None;
        }
    }

    /// Takes one line and acts on it; false when there is none yet.
    fn take_line(&mut self) -> bool {
        let too_long = || Reply::new(500, status::SYNTAX_ERROR, "line too long");
        let endings = self.terms.content.endings;
        match self.input.take_line(endings) {
            Taken::Nothing => return false,
            Taken::Line(line) => {
                let line = self.input.slice(line);
                match Command::parse_from(line, endings) {
                    Ok(command) => self.on_command(command),
                    Err(reply) => match PathCommand::of(line) {
                        Some(command) => self.ask(Question::Malformed(command, reply)),
                        None => self.send_error(reply),
                    },
                }
            }
            Taken::Overlong => self.send_error(too_long()),
            Taken::Endless => self.close_with(too_long()),
            // Whoever sends these is broken or wants two servers to disagree; there is no line
            // after it that could be trusted.
            Taken::Bare => {
                let text = "lines end in CRLF, and CR and LF stand nowhere else";
                self.close_with(Reply::new(500, status::SYNTAX_ERROR, text));
            }
        }
        true
    }

    /// Check: is this command allowed here? Either reply at once or ask.
    fn on_command(&mut self, command: Command) {
        match (&self.state, command) {
            (_, Command::Quit) => {
                self.close_with(Reply::new(221, status::OTHER, "closing channel"));
            }
            (_, Command::OtherProtocol) => {
                self.close_with(Reply::new(221, status::OTHER, "this is no web server"));
            }
            (_, Command::Bdat) => {
                let text = "CHUNKING was not offered";
                self.close_with(Reply::new(502, status::INVALID_COMMAND, text));
            }
            (_, Command::Hello(_) | Command::Data | Command::StartTls | Command::Auth)
                if self.has_input() =>
            {
                self.refuse_flight();
            }
            (_, Command::Hello(hello)) => {
                if self.bears_junk() {
                    self.ask(Question::Hello(hello));
                }
            }
            (_, Command::Rset) => self.on_rset(),
            (_, Command::Noop) => self.send_junk(Reply::new(250, status::OTHER, "ok")),
            (_, Command::Vrfy) => {
                let text = "send some mail, it will be refused if there is no such mailbox";
                self.send_junk(Reply::new(252, status::OTHER_PROTOCOL, text));
            }
            (_, Command::Help) => self.send_junk(Reply::new(214, status::OTHER, "see RFC 5321")),
            (_, Command::NotImplemented) => {
                self.send_error(Reply::new(502, status::INVALID_COMMAND, "not implemented"));
            }
            (State::Connected | State::Greeted(_), Command::StartTls) => self.on_start_tls(),
            (_, Command::Auth) => self.send_error(bad_sequence("AUTH is not offered")),
            (State::Greeted(_), Command::Mail(path, parameters)) => {
                self.ask(Question::Mail(path, parameters));
            }
            (State::Transaction(..), Command::Rcpt(path)) => self.ask(Question::Rcpt(path)),
            (State::Transaction(_, envelope), Command::Data) if envelope.recipients.is_empty() => {
                self.send_error(Reply::new(554, status::INVALID_COMMAND, "no valid recipients"));
            }
            (State::Transaction(..), Command::Data) => self.ask(Question::Data),
            (State::Connected, Command::Mail(..)) => self.send_error(bad_sequence("EHLO first")),
            (State::Connected | State::Greeted(_), Command::Rcpt(_) | Command::Data) => {
                self.send_error(bad_sequence("MAIL first"));
            }
            (State::Transaction(..), Command::Mail(..)) => {
                self.send_error(bad_sequence("a transaction is open"));
            }
            (_, _) => self.send_error(bad_sequence("bad sequence of commands")),
        }
    }

    fn on_rset(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = match state {
            State::Transaction(hello, _) | State::Content(hello, ..) => State::Greeted(hello),
            state @ (State::Connected | State::Greeted(_) | State::StartingTls | State::Closed) => {
                state
            }
        };
        self.send_junk(Reply::new(250, status::OTHER, "ok"));
    }

    fn on_start_tls(&mut self) {
        if self.terms.start_tls {
            self.state = State::StartingTls;
            self.send(Reply::new(220, status::OTHER, "go ahead"));
        } else {
            self.send_error(bad_sequence("STARTTLS is not offered"));
        }
    }

    /// Bytes behind a command that must end its flight (RFC 2920 §3.1): whoever sends them does
    /// not read our answers, or wants them read twice (CVE-2011-0411).
    fn refuse_flight(&mut self) {
        let text = "wait for the reply before you go on";
        self.close_with(Reply::new(503, status::OTHER_PROTOCOL, text));
    }

    fn ask(&mut self, question: Question) {
        self.asked = Some(question);
    }

    fn send(&mut self, reply: Reply) {
        self.outbox = Some(reply);
    }

    fn send_error(&mut self, reply: Reply) {
        if self.bears_error() {
            self.send(reply);
        }
    }

    /// Counts an error; when it is one too many for what was taken, the reply to it is 421.
    fn bears_error(&mut self) -> bool {
        self.errors += 1;
        let max = self.terms.tolerance.errors_max;
        let earned = (self.taken / TAKEN_PER_ERROR).min(max.saturating_mul(ERRORS_FACTOR_MAX));
        let borne = self.errors <= max.saturating_add(earned);
        if !borne {
            let text = "too many errors";
            self.close_with(Reply::new(421, status::OTHER_SECURITY, text));
        }
        borne
    }

    fn send_junk(&mut self, reply: Reply) {
        if self.bears_junk() {
            self.send(reply);
        }
    }

    /// Counts a command that moves nothing; when it is one too many, the reply to it is 421.
    fn bears_junk(&mut self) -> bool {
        self.junk_commands += 1;
        let borne = self.junk_commands <= self.terms.tolerance.junk_commands_max;
        if !borne {
            let text = "too many commands without a message";
            self.close_with(Reply::new(421, status::OTHER_SECURITY, text));
        }
        borne
    }
}

fn bad_sequence(text: &'static str) -> Reply {
    Reply::new(503, status::INVALID_COMMAND, text)
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
