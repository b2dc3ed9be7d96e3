//! A hostile next hop: whatever it says, in whatever pieces, the session comes to an end, holds
//! a bounded amount, and takes nothing for an acceptance that is not the answer to its command.

use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::client::{Answer, ClientSession, ClientStep, TlsWish};
use mail::smtp::command::Hello;
use mail::smtp::introduction::{ClientDetails, Introduction};
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::{Class, HeardReply, REPLY_LINE_OCTETS_MAX, REPLY_LINES_MAX};

/// What may wait in the session for the end of a reply, in octets.
const HELD_OCTETS_MAX: usize = REPLY_LINES_MAX * 4 * REPLY_LINE_OCTETS_MAX;

/// Our side of the conversation.
struct Edge<'a> {
    session: ClientSession,
    stream: &'a [u8],
    /// Octets of the stream that the session has been given.
    given: usize,
    /// How much had been given when the final dot was sent.
    at_final_dot: Option<usize>,
    recipients: u8,
    messages: u8,
    sent_octets: usize,
}

/// The option: bits 0 and 1 for TLS, bits 2 and 3 for recipients, bit 4 for XFORWARD, bit 5 to
/// give up after the first recipient. Then the pieces.
pub fn check(bytes: &[u8]) {
    let (option, rest) = crate::option(bytes);
    let (pieces, stream) = crate::pieces(rest);
    let tls = match option & 3 {
        0 | 1 => TlsWish::None,
        2 => TlsWish::Opportunistic,
        _ => TlsWish::Required,
    };
    let hostname = Domain::new("mx.example.com").expect("a domain");
    let session = ClientSession::new(hostname, tls, Introduction::AsOffered);
    let mut edge = Edge {
        session,
        stream,
        given: 0,
        at_final_dot: None,
        recipients: 0,
        messages: 0,
        sent_octets: 0,
    };
    edge.run(option, &pieces);
}

impl Edge<'_> {
    fn run(&mut self, option: u8, pieces: &[&[u8]]) {
        let mut pieces = pieces.iter();
        let mut since_heard = 0;
        let mut encrypted = false;
        for _ in 0..10 * self.stream.len() + 100 {
            match self.session.step() {
                ClientStep::Send => {
                    let output = self.session.take_output();
                    assert!(output.ends_with(b"\r\n"));
                    let mail = output.starts_with(b"MAIL");
                    assert!(!mail || encrypted || option & 3 != 3, "MAIL in the clear");
                    self.sent_octets += output.len();
                }
                ClientStep::Receive => {
                    assert!(since_heard <= HELD_OCTETS_MAX);
                    let Some(piece) = pieces.next() else { return };
                    self.session.receive(piece);
                    self.given += piece.len();
                    since_heard += piece.len();
                }
                ClientStep::StartTls => {
                    assert!(!encrypted && option & 2 != 0);
                    encrypted = true;
                    self.session.behind_tls();
                }
                ClientStep::Heard(answer) => {
                    since_heard = 0;
                    if !self.on_answer(option, answer) {
                        return;
                    }
                }
                ClientStep::Failed(fault) => {
                    assert!(!self.session.is_idle());
                    assert_eq!(self.session.step(), ClientStep::Failed(fault));
                    return;
                }
            }
        }
        panic!("the session does not come to an end");
    }

    /// False when the conversation is over.
    fn on_answer(&mut self, option: u8, answer: Answer) -> bool {
        if self.messages > 3 {
            return false;
        }
        match answer {
            Answer::Ready => self.begin(option),
            Answer::MailRefused(reply) => {
                assert_ne!(reply.class(), Class::Completion);
                return !self.is_over(&reply) && self.session.is_idle() && self.begin_next(option);
            }
            Answer::Rcpt(reply) => {
                assert_ne!(reply.class(), Class::Intermediate);
                if self.is_over(&reply) {
                    return false;
                }
                self.recipients = self.recipients.saturating_sub(1);
                if option & 32 != 0 {
                    self.session.reset();
                    return self.session.is_idle() && self.begin_next(option);
                }
                if self.recipients == 0 {
                    self.session.data();
                }
            }
            Answer::Data(reply) => {
                assert!(reply.code == 354 || reply.code >= 400);
                if reply.code != 354 {
                    self.session.reset();
                    return !self.is_over(&reply) && self.begin_next(option);
                }
                let mut wire = Vec::new();
                self.session.encode(b".\r\n", |slice| wire.extend_from_slice(slice));
                let dot = self.session.finish();
                assert_eq!(wire, b"..\r\n");
                assert!(dot.is_empty() || dot == b".\r\n");
                self.at_final_dot = (!dot.is_empty()).then_some(self.given);
            }
            Answer::Content(reply) => {
                assert_ne!(reply.class(), Class::Intermediate);
                let from = self.at_final_dot.take().expect("an answer to a final dot");
                let code = reply.code.to_string();
                // It was said behind the final dot, and is the first thing that was.
                assert!(self.stream[from..].starts_with(code.as_bytes()));
                return !self.is_over(&reply) && self.begin_next(option);
            }
        }
        true
    }

    /// 421 is the last that is heard.
    fn is_over(&mut self, reply: &HeardReply) -> bool {
        if reply.code == 421 {
            assert!(!self.session.is_idle());
            assert!(matches!(self.session.step(), ClientStep::Failed(_)));
        }
        reply.code == 421
    }

    fn begin_next(&mut self, option: u8) -> bool {
        self.messages += 1;
        // A next hop that took XCLIENT and offers it no second time knows us by the wrong name.
        if option & 16 != 0 && !self.session.is_idle() {
            assert!(!self.session.capabilities().xclient.addr);
            return false;
        }
        self.begin(option);
        true
    }

    fn begin(&mut self, option: u8) {
        assert!(self.session.is_idle());
        let path = ForwardPath::parse("<jones@example.com>").expect("a path");
        let details = ClientDetails {
            address: "192.0.2.1:25".parse().expect("an address"),
            hello: Some(Hello { name: "bar.example".into(), extended: true }),
        };
        let details = (option & 16 != 0).then_some(&details);
        let parameters = MailParameters { size_octets: Some(10), ..Default::default() };
        self.session.begin(&ReversePath::Null, parameters, &path, details);
        self.recipients = 1 + (option >> 2 & 3);
        for _ in 1..self.recipients {
            self.session.recipient(&path);
        }
    }
}
