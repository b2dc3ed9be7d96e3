//! A second, naive account of RFC 5321's rules for a server session, and random dialogues in
//! which the session must agree with it: on every code, on the open transaction, on its end.
//! `POSTERN_MODEL_SEQUENCES` makes runs longer, `POSTERN_MODEL_SEED` starts them elsewhere.
#![allow(clippy::unwrap_used, reason = "a test may")]

use mail::smtp::content::{ContentFault, ContentLimits};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::Reply;
use mail::smtp::server::{Question, ServerSession, Step, Terms, Tolerance};
use mail::smtp::status;

const ERRORS_MAX: u32 = 5;
const JUNK_MAX: u32 = 4;
const SIZE_MAX: u64 = 300;
const LINE_MAX: u32 = 80;
const COMMANDS_MAX: u64 = 40;

// ---- what is said ----

/// A command line by what it is, not by how it is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Greeting,
    Mail,
    Rcpt,
    Data,
    Rset,
    StartTls,
    Auth,
    Quit,
    /// Always answered so, and moves nothing.
    Idle(u16),
    /// Cannot be understood or is not done here.
    Wrong(u16),
    /// As above, and ends the session.
    Fatal(u16),
}

const LINES: &[(u64, Line, &str)] = &[
    (6, Line::Greeting, "EHLO bar.example"),
    (2, Line::Greeting, "helo [192.0.2.1]"),
    (14, Line::Mail, "MAIL FROM:<smith@bar.example>"),
    (3, Line::Mail, "MAIL FROM:<> SIZE=100 BODY=8BITMIME"),
    (2, Line::Mail, "mail from:<@a.example:smith@bar.example>"),
    (20, Line::Rcpt, "RCPT TO:<jones@example.com>"),
    (2, Line::Rcpt, "rcpt to:<Postmaster>"),
    (2, Line::Rcpt, "RCPT TO:<\"a>b\\\"c\"@[IPv6:2001:db8::1]>"),
    (14, Line::Data, "DATA"),
    (4, Line::Rset, "RSET"),
    (2, Line::StartTls, "STARTTLS"),
    (1, Line::Auth, "AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q="),
    (1, Line::Quit, "QUIT"),
    (2, Line::Idle(250), "NOOP whatever"),
    (1, Line::Idle(252), "VRFY jones"),
    (1, Line::Idle(214), "HELP MAIL"),
    (1, Line::Wrong(500), "FROBNICATE"),
    (1, Line::Wrong(500), ""),
    (1, Line::Wrong(500), "NOOP \0"),
    (1, Line::Wrong(501), "EHLO"),
    (1, Line::Wrong(501), "EHLO two words"),
    (1, Line::Wrong(501), "RSET now"),
    (1, Line::Wrong(501), "DATA 5"),
    (1, Line::Wrong(501), "QUIT now"),
    (1, Line::Wrong(501), "STARTTLS now"),
    (1, Line::Wrong(501), "MAIL FROM:smith@bar.example"),
    (1, Line::Wrong(501), "MAIL FROM:<smith>"),
    (1, Line::Wrong(501), "MAIL FROM:<smith@bar.example> SIZE=many"),
    (1, Line::Wrong(555), "MAIL FROM:<smith@bar.example> SMTPUTF8"),
    (1, Line::Wrong(501), "RCPT TO:<>"),
    (1, Line::Wrong(501), "RCPT TO:<jones..x@example.com>"),
    (1, Line::Wrong(553), "RCPT TO:<j\u{f6}nes@example.com>"),
    (1, Line::Wrong(555), "RCPT TO:<jones@example.com> NOTIFY=NEVER"),
    (1, Line::Wrong(502), "EXPN staff"),
    (1, Line::Wrong(502), "TURN"),
    (1, Line::Fatal(502), "BDAT 10 LAST"),
    (1, Line::Fatal(221), "GET / HTTP/1.1"),
    (1, Line::Fatal(500), "NOOP\nNOOP"),
    (1, Line::Fatal(500), "NOOP\rNOOP"),
];

/// Content by what is wrong with it, as mail data with its end.
fn contents() -> Vec<(Option<ContentFault>, bool, Vec<u8>)> {
    let wrong = |fault, data: &[u8]| (Some(fault), false, data.to_vec());
    vec![
        (None, false, b"Subject: x\r\n\r\nhello\r\n.\r\n".to_vec()),
        (None, false, b".\r\n".to_vec()),
        (None, false, b"..\r\n.x\r\n.\r\n".to_vec()),
        (None, false, b"QUIT\r\nMAIL FROM:<>\r\n.\r\n".to_vec()),
        wrong(ContentFault::BareLineEnding, b"a\n.\r\nQUIT\r\n.\r\n"),
        wrong(ContentFault::BareLineEnding, b"a\r\n.\rQUIT\r\n.\r\n"),
        wrong(ContentFault::Nul, b"a\0\r\n.\r\n"),
        wrong(ContentFault::LineTooLong, &[&[b'a'; 81][..], b"\r\n.\r\n"].concat()),
        wrong(ContentFault::TooBig, &[&b"12345678\r\n".repeat(31)[..], b".\r\n"].concat()),
        (Some(ContentFault::TooBig), true, [&b"12345678\r\n".repeat(61)[..], b".\r\n"].concat()),
    ]
}

/// What whoever is asked says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    Later,
    No,
    Goodbye,
}

// ---- the model ----

/// What is true of a session at one moment.
#[derive(Clone, Debug, Default)]
struct Model {
    start_tls_offered: bool,
    greeted: bool,
    mail: bool,
    recipients: usize,
    reading_content: bool,
    closed: bool,
    errors: u32,
    junk: u32,
    /// Recipients of messages that were taken.
    taken: usize,
}

impl Model {
    /// The code that answers one line. `more` says that the client did not wait for it.
    fn line(&mut self, line: Line, more: bool, verdict: Verdict) -> u16 {
        // RFC 2920 §3.1, RFC 3207 §4: these are the last of their flight.
        if more && matches!(line, Line::Greeting | Line::Data | Line::StartTls | Line::Auth) {
            return self.close(503);
        }
        match line {
            Line::Quit => self.close(221),
            Line::Fatal(code) => self.close(code),
            Line::Wrong(code) => self.wrong(code),
            Line::Idle(code) => self.idle(code),
            // RFC 5321 §4.1.1.5.
            Line::Rset => {
                self.end_transaction();
                self.idle(250)
            }
            // RFC 5321 §4.1.4: as RSET, once it is accepted.
            Line::Greeting => {
                let code = self.idle(250);
                if code != 250 {
                    return code;
                }
                self.asked(verdict, 250, |model| {
                    model.end_transaction();
                    model.greeted = true;
                })
            }
            // RFC 4954 §4 lets 503 say that it is not offered.
            Line::Auth => self.wrong(503),
            Line::StartTls if !self.start_tls_offered || self.mail => self.wrong(503),
            Line::StartTls => {
                *self = Self::default();
                220
            }
            Line::Mail if !self.greeted || self.mail => self.wrong(503),
            Line::Mail => self.asked(verdict, 250, |model| model.mail = true),
            Line::Rcpt if !self.mail => self.wrong(503),
            Line::Rcpt => self.asked(verdict, 250, |model| model.recipients += 1),
            Line::Data if !self.mail => self.wrong(503),
            // RFC 5321 §3.3.
            Line::Data if self.recipients == 0 => self.wrong(554),
            Line::Data => self.asked(verdict, 354, |model| model.reading_content = true),
        }
    }

    /// The code that answers the end of mail data.
    fn content(&mut self, endless: bool, verdict: Verdict) -> u16 {
        if endless {
            return self.close(552);
        }
        let recipients = self.recipients;
        self.end_transaction();
        self.junk = 0;
        self.asked(verdict, 250, |model| model.taken += recipients)
    }

    fn asked(&mut self, verdict: Verdict, yes: u16, accept: impl FnOnce(&mut Self)) -> u16 {
        match verdict {
            Verdict::Yes => {
                accept(self);
                yes
            }
            Verdict::Later => 451,
            Verdict::No => 550,
            Verdict::Goodbye => self.close(421),
        }
    }

    fn wrong(&mut self, code: u16) -> u16 {
        self.errors += 1;
        let earned = u32::try_from(self.taken / 4).unwrap().min(ERRORS_MAX * 10);
        if self.errors > ERRORS_MAX + earned { self.close(421) } else { code }
    }

    fn idle(&mut self, code: u16) -> u16 {
        self.junk += 1;
        if self.junk > JUNK_MAX { self.close(421) } else { code }
    }

    fn end_transaction(&mut self) {
        self.mail = false;
        self.recipients = 0;
        self.reading_content = false;
    }

    fn close(&mut self, code: u16) -> u16 {
        self.end_transaction();
        self.greeted = false;
        self.closed = true;
        code
    }
}

// ---- dialogues ----

/// A generator of numbers (splitmix64), so that a seed is a dialogue.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn line(&mut self) -> (Line, Vec<u8>) {
        if self.below(150) == 0 {
            let octets = 2_047 + self.below(100) as usize;
            return (Line::Wrong(500), [&vec![b'N'; octets][..], b"\r\n"].concat());
        }
        let mut at = self.below(LINES.iter().map(|(weight, ..)| weight).sum());
        for (weight, line, text) in LINES {
            if at < *weight {
                return (*line, format!("{text}\r\n").into_bytes());
            }
            at -= weight;
        }
        unreachable!("the weights were summed")
    }

    /// Up to four lines that are sent together. Most go on as a client would, or little would be
    /// reached; most end where the client has to wait.
    fn flight(&mut self, model: &Model) -> Vec<(Line, Vec<u8>)> {
        let mut guess = model.clone();
        guess.reading_content = false;
        let mut lines = Vec::new();
        for _ in 0..self.below(5) {
            let expected = match &guess {
                guess if !guess.greeted => Line::Greeting,
                guess if !guess.mail || model.reading_content => Line::Mail,
                guess if guess.recipients == 0 || self.below(3) == 0 => Line::Rcpt,
                _ => Line::Data,
            };
            let sensible = self.below(10) < 7;
            let line = loop {
                let line = self.line();
                if !sensible || line.0 == expected {
                    break line;
                }
            };
            guess.line(line.0, false, Verdict::Yes);
            let waits = matches!(line.0, Line::Greeting | Line::Data | Line::StartTls | Line::Auth);
            lines.push(line);
            if waits && self.below(20) > 0 {
                break;
            }
        }
        lines
    }

    fn verdict(&mut self) -> Verdict {
        match self.below(40) {
            0 => Verdict::Goodbye,
            1..5 => Verdict::No,
            5..9 => Verdict::Later,
            _ => Verdict::Yes,
        }
    }
}

/// What was said last in a dialogue, for the session's side of it.
struct Dialogue {
    session: ServerSession,
    terms: Terms,
    /// Everything said and heard, for whoever reads a failure.
    log: Vec<String>,
}

impl Dialogue {
    /// The next code, asking `verdict` where the session asks; `None` when it wants more.
    fn next_code(&mut self, verdict: Verdict, fault: Option<ContentFault>) -> Option<u16> {
        loop {
            match self.session.step() {
                Step::Send(reply) => {
                    self.log.push(format!("S: {reply}"));
                    return Some(reply.code());
                }
                Step::Ask => {
                    let question = self.session.question().unwrap();
                    if let Question::Content(summary) = question {
                        assert_eq!(summary.fault, fault, "{:#?}", self.log);
                    }
                    if let Question::Malformed(_, reply) = question {
                        let reply = reply.clone();
                        self.session.answer_error(reply);
                        continue;
                    }
                    let yes = match question {
                        Question::Connect => Reply::bare(220, "mx.example.com"),
                        Question::Data => Reply::bare(354, "go"),
                        Question::Hello(_) => Reply::bare(250, "mx.example.com"),
                        Question::Mail(..)
                        | Question::Rcpt(_)
                        | Question::Malformed(..)
                        | Question::Content(_) => Reply::new(250, status::OTHER, "ok"),
                    };
                    self.session.answer(match verdict {
                        Verdict::Yes => Ok(yes),
                        Verdict::Later => Err(Reply::new(451, status::OTHER, "later")),
                        Verdict::No => Err(Reply::new(550, status::OTHER, "no")),
                        Verdict::Goodbye => Err(Reply::new(421, status::OTHER, "goodbye")),
                    });
                }
                Step::Content => self.session.take_content(&mut |_| ()),
                Step::StartTls => {
                    self.log.push("(TLS)".into());
                    self.session = ServerSession::behind_tls(self.terms);
                }
                Step::Receive | Step::Close => return None,
            }
        }
    }

    fn compare(&self, model: &Model, code: Option<u16>, expected: u16) {
        let log = || self.log.join("\n");
        assert_eq!(code, Some(expected), "the model expects {expected}\n{}", log());
        let recipients = self.session.envelope().map(|envelope| envelope.recipients.len());
        let expected = model.mail.then_some(model.recipients);
        assert_eq!(recipients, expected, "the open transaction\n{}", log());
        assert_eq!(self.session.is_in_content(), model.reading_content, "{}", log());
        assert_eq!(self.session.hello().is_some(), model.greeted, "greeted\n{}", log());
    }
}

/// One dialogue; how many transactions it completed.
fn dialogue(seed: u64) -> u32 {
    let mut random = Random(seed);
    let start_tls = random.below(2) == 0;
    let content = ContentLimits {
        size_octets_max: SIZE_MAX,
        line_octets_max: LINE_MAX,
        endings: LineEndings::Strict,
    };
    let tolerance = Tolerance { errors_max: ERRORS_MAX, junk_commands_max: JUNK_MAX };
    let terms = Terms { start_tls, tolerance, content };
    let log = vec![format!("POSTERN_MODEL_SEED={seed}")];
    let mut dialogue = Dialogue { session: ServerSession::new(terms), terms, log };
    let mut model = Model { start_tls_offered: start_tls, ..Model::default() };
    let contents = contents();
    let mut messages = 0;

    let verdict = random.verdict();
    let expected = model.asked(verdict, 220, |_| ());
    model.closed |= verdict != Verdict::Yes;
    let code = dialogue.next_code(verdict, None);
    dialogue.compare(&model, code, expected);
    let mut commands = random.below(COMMANDS_MAX) + 1;
    while commands > 0 && !model.closed {
        let data = model.reading_content.then(|| {
            // Half of all content is as it should be.
            let pick = if random.below(2) == 0 { random.below(4) } else { random.below(10) };
            contents[pick as usize].clone()
        });
        let lines = random.flight(&model);
        if data.is_none() && lines.is_empty() {
            continue;
        }
        let mut flight = data.as_ref().map(|(_, _, data)| data.clone()).unwrap_or_default();
        lines.iter().for_each(|(_, text)| flight.extend_from_slice(text));
        dialogue.log.push(format!("C: {}", flight.escape_ascii()));
        dialogue.session.receive(flight);
        if let Some((fault, endless, _)) = data {
            let verdict = random.verdict();
            let expected = model.content(endless, verdict);
            messages += u32::from(expected == 250);
            let code = dialogue.next_code(verdict, fault);
            dialogue.compare(&model, code, expected);
        }
        for (n, (line, _)) in lines.iter().enumerate() {
            if model.closed {
                break;
            }
            commands = commands.saturating_sub(1);
            let verdict = random.verdict();
            let expected = model.line(*line, n + 1 < lines.len(), verdict);
            let code = dialogue.next_code(verdict, None);
            dialogue.compare(&model, code, expected);
        }
        let code = dialogue.next_code(Verdict::Yes, None);
        assert_eq!(code, None, "a reply too many\n{}", dialogue.log.join("\n"));
        let closes = dialogue.session.step() == Step::Close;
        assert_eq!(closes, model.closed, "closed\n{}", dialogue.log.join("\n"));
    }
    messages
}

#[allow(clippy::disallowed_methods, reason = "a test's settings, not the crate's")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn the_session_and_the_model_agree_in_every_dialogue() {
    let from = setting("POSTERN_MODEL_SEED", 0);
    let sequences = setting("POSTERN_MODEL_SEQUENCES", 20_000);
    let messages: u32 = (from..from + sequences).map(dialogue).sum();
    // Else the dialogues would not reach what they are meant to test.
    assert!(u64::from(messages) >= sequences / 20, "only {messages} messages");
}
