//! What holds for every input: laws of framing, content, addresses, replies and the server
//! session, each one sentence. The rules of the session are for `model.rs`.
#![allow(clippy::unwrap_used, reason = "a test may")]

use mail::address::{Domain, ForwardPath, Host, LocalPart, Mailbox, ReversePath};
use mail::smtp::client::{ClientSession, ClientStep, TlsWish};
use mail::smtp::command::Command;
use mail::smtp::content::{ContentDecoder, ContentEncoder, ContentLimits};
use mail::smtp::introduction::Introduction;
use mail::smtp::line::LineEndings;
use mail::smtp::reply::{
    QUOTED_OCTETS_MAX, REPLY_LINE_OCTETS_MAX, Reply, ReplyId, SessionId, parse_reply,
};
use mail::smtp::server::{Question, ServerSession, Step, Terms, Tolerance};
use mail::smtp::status::{self, Status};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: ContentLimits =
    ContentLimits { size_octets_max: 400, line_octets_max: 100, endings: LineEndings::Strict };

fn endings() -> impl Strategy<Value = LineEndings> {
    prop_oneof![Just(LineEndings::Strict), Just(LineEndings::Normalized)]
}

fn terms(endings: LineEndings, start_tls: bool) -> Terms {
    let tolerance = Tolerance { errors_max: 6, junk_commands_max: 3 };
    Terms { start_tls, tolerance, content: ContentLimits { endings, ..LIMITS } }
}

/// Cuts `bytes` at `cuts`, taken modulo the length.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| &bytes[w[0]..w[1]]).filter(|piece| !piece.is_empty()).collect()
}

// ---- the session ----

/// What a session did, in order.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Said(String),
    Asked(String),
    Content(Vec<u8>),
    Tls,
    Closed,
}

/// A driver with an answer for every question, chosen by `verdicts` in turn.
struct Driver {
    session: ServerSession,
    terms: Terms,
    verdicts: Vec<u8>,
    asked: usize,
    content: Vec<u8>,
    happened: Vec<Happened>,
}

impl Driver {
    fn new(terms: Terms, verdicts: Vec<u8>) -> Self {
        let session = ServerSession::new(terms);
        Self { session, terms, verdicts, asked: 0, content: Vec::new(), happened: Vec::new() }
    }

    fn verdict(&mut self) -> Result<Reply, Reply> {
        let choice = self.verdicts.get(self.asked % self.verdicts.len().max(1)).copied();
        self.asked += 1;
        let question = self.session.question().unwrap().clone();
        if let Question::Content(mut summary) = question {
            let content = std::mem::take(&mut self.content);
            if summary.fault.is_some() {
                summary.octets = 0;
                summary.longest_line_octets = 0;
            } else {
                assert_eq!(summary.octets, content.len() as u64);
                self.happened.push(Happened::Content(content));
            }
            self.happened.push(Happened::Asked(format!("{summary:?}")));
        } else {
            self.happened.push(Happened::Asked(format!("{question:?}")));
        }
        let id = ReplyId { session: SessionId(u64::MAX), count: 7 };
        if let Question::Malformed(_, reply) = question {
            return Err(reply);
        }
        match choice.unwrap_or_default() {
            0..32 => Err(Reply::new(550, status::OTHER, "n\u{e9}\r\n".repeat(300)).with_id(id)),
            32..64 => Err(Reply::new(451, status::DIRECTORY_SERVER_FAILURE, "later")),
            64..67 => Err(Reply::new(421, status::CONGESTION, "busy")),
            _ => Ok(match question {
                Question::Connect => Reply::bare(220, "mx.example.com ESMTP"),
                Question::Hello(_) => {
                    Reply::bare(250, "mx").and_lines(vec!["PIPELINING".into(), "SIZE 400".into()])
                }
                Question::Data => Reply::bare(354, "go"),
                Question::Mail(..)
                | Question::Rcpt(_)
                | Question::Malformed(..)
                | Question::Content(_) => Reply::new(250, status::OTHER, "ok"),
            }),
        }
    }

    /// Runs until more bytes are wanted; the replies said on the way. `None` when it closed.
    fn run(&mut self) -> Option<usize> {
        let mut said = 0;
        loop {
            match self.session.step() {
                Step::Receive => return Some(said),
                Step::Send(reply) => {
                    said += 1;
                    let mut wire = Vec::new();
                    reply.write_to(&mut wire);
                    self.happened.push(Happened::Said(String::from_utf8(wire).unwrap()));
                }
                Step::Ask => {
                    let verdict = self.verdict();
                    self.session.answer(verdict);
                }
                Step::Content => {
                    let content = &mut self.content;
                    self.session.take_content(&mut |slice| content.extend_from_slice(slice));
                }
                Step::StartTls => {
                    self.happened.push(Happened::Tls);
                    self.session = ServerSession::behind_tls(self.terms);
                }
                Step::Close => {
                    self.happened.push(Happened::Closed);
                    return None;
                }
            }
        }
    }

    fn play<'a>(mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Happened> {
        let mut pieces = pieces.into_iter();
        while self.run().is_some() {
            let Some(piece) = pieces.next() else { break };
            self.session.receive(piece.to_vec());
        }
        self.happened
    }
}

/// A line, and whether RFC 2920 §3.1 wants the client to wait behind it.
fn line() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let waits = prop_oneof![
        4 => Just("EHLO bar.example"),
        1 => Just("HELO bar.example"),
        6 => Just("DATA"),
        1 => Just("STARTTLS"),
        1 => Just("AUTH PLAIN"),
    ];
    let goes_on = prop_oneof![
        8 => Just("MAIL FROM:<smith@bar.example> SIZE=100"),
        2 => Just("MAIL FROM:<>"),
        12 => Just("RCPT TO:<jones@example.com>"),
        2 => Just("RCPT TO:<\"a b\"@example.com>"),
        1 => Just("RSET"),
        1 => Just("NOOP"),
        1 => Just("VRFY jones"),
        1 => Just("HELP"),
        1 => Just("EXPN x"),
        1 => Just("EHLO"),
        1 => Just("RCPT TO:jones"),
        1 => Just("MAIL FROM:<> RET=HDRS"),
        1 => Just("FOO \u{e9}\t"),
        1 => Just("BDAT 3 LAST"),
        1 => Just("GET / HTTP/1.1"),
        1 => Just("QUIT"),
    ];
    prop_oneof![
        8 => waits.prop_map(|line| (format!("{line}\r\n").into_bytes(), true)),
        20 => goes_on.prop_map(|line| (format!("{line}\r\n").into_bytes(), false)),
        1 => (2_000_usize..2_100).prop_map(|n| ([&vec![b'N'; n][..], b"\r\n"].concat(), false)),
        1 => Just((b"NOOP\nNOOP\r\n".to_vec(), false)),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => "[ -~]{0,40}".prop_map(String::into_bytes),
        2 => Just(b"..".to_vec()),
        1 => Just(vec![b'a'; 101]),
        1 => Just(b"a\nb".to_vec()),
        1 => Just(b"\n.".to_vec()),
        1 => Just(b"a\r.".to_vec()),
        1 => Just(b"a\0b".to_vec()),
    ];
    vec(line, 0..20).prop_map(|lines| {
        let mut content: Vec<u8> = Vec::new();
        for line in lines.iter().filter(|line| &line[..] != b".") {
            content.extend_from_slice(line);
            content.extend_from_slice(b"\r\n");
        }
        content.extend_from_slice(b".\r\n");
        content
    })
}

/// Flights of whole lines. What follows DATA is content if DATA is accepted.
fn flights() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec((line(), content()), 1..40).prop_map(|lines| {
        // Most sessions begin as they should, or little would be reached.
        let mut flights = vec![b"EHLO bar.example\r\n".to_vec(), Vec::new()];
        for ((line, waits), content) in lines {
            flights.last_mut().unwrap().extend_from_slice(&line);
            if waits {
                flights.push(Vec::new());
            }
            if line.starts_with(b"DATA") {
                flights.last_mut().unwrap().extend_from_slice(&content);
            }
        }
        flights.retain(|flight| !flight.is_empty());
        flights
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_a_flight_anywhere_changes_nothing(
        flights in flights(),
        cuts in vec(any::<usize>(), 0..30),
        verdicts in vec(any::<u8>(), 1..20),
        endings in endings(),
    ) {
        let terms = terms(endings, true);
        let whole = Driver::new(terms, verdicts.clone()).play(flights.iter().map(|f| &f[..]));
        let cut = flights.iter().flat_map(|flight| pieces(flight, &cuts));
        prop_assert_eq!(&Driver::new(terms, verdicts.clone()).play(cut), &whole);
        let octets = flights.iter().flat_map(|flight| flight.chunks(1));
        prop_assert_eq!(&Driver::new(terms, verdicts).play(octets), &whole);
    }

    #[test]
    fn every_command_gets_exactly_one_reply(
        lines in vec(line(), 0..60),
        contents in vec(content(), 1..4),
        verdicts in vec(any::<u8>(), 1..20),
    ) {
        let mut driver = Driver::new(terms(LineEndings::Strict, true), verdicts);
        if driver.run().is_none() {
            prop_assert_eq!(driver.happened.len(), 3, "asked, said, closed");
            return Ok(());
        }
        for (n, (line, _)) in lines.iter().enumerate() {
            let is_data = driver.session.is_in_content();
            let piece = if is_data { &contents[n % contents.len()] } else { line };
            let before = driver.happened.len();
            driver.session.receive(piece.clone());
            let ran = driver.run();
            let said = driver.happened[before..].iter();
            let said = said.filter(|h| matches!(h, Happened::Said(_))).count();
            prop_assert_eq!(said, 1, "{:?}", String::from_utf8_lossy(piece));
            if ran.is_none() {
                break;
            }
        }
    }

    #[test]
    fn every_reply_is_printable_short_and_of_one_class(
        flights in flights(),
        verdicts in vec(any::<u8>(), 1..20),
    ) {
        let happened = Driver::new(terms(LineEndings::Strict, true), verdicts)
            .play(flights.iter().map(|f| &f[..]));
        for event in &happened {
            let Happened::Said(wire) = event else { continue };
            check_reply(wire.as_bytes())?;
        }
    }

    #[test]
    fn whatever_comes_the_session_answers_with_replies(
        input in vec(vec(any::<u8>(), 0..200), 0..10),
        verdicts in vec(any::<u8>(), 1..5),
        endings in endings(),
    ) {
        let pieces = input.iter().map(|piece| &piece[..]);
        for event in Driver::new(terms(endings, true), verdicts).play(pieces) {
            let Happened::Said(wire) = event else { continue };
            check_reply(wire.as_bytes())?;
        }
    }
}

/// Lines of at most 512 octets, printable, with one code, and a status of its class (RFC 2034).
fn check_reply(wire: &[u8]) -> Result<(), TestCaseError> {
    let text = std::str::from_utf8(wire).unwrap();
    prop_assert!(text.ends_with("\r\n"));
    let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    for (n, line) in lines.iter().enumerate() {
        prop_assert!(line.len() + 2 <= REPLY_LINE_OCTETS_MAX, "{}", line.len());
        prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
        prop_assert_eq!(&line[..3], &lines[0][..3]);
        let separator = if n + 1 == lines.len() { " " } else { "-" };
        prop_assert_eq!(&line[3..4], separator);
        let word = line[4..].split(' ').next().unwrap_or_default();
        let numbers: Vec<&str> = word.split('.').collect();
        if numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u16>().is_ok()) {
            prop_assert_eq!(numbers[0], &line[..1]);
            prop_assert!(matches!(numbers[0], "2" | "4" | "5"), "{line}");
        } else {
            // RFC 2034 §4: only the greeting, EHLO, HELO and 354 go without.
            prop_assert!(matches!(&line[..3], "220" | "250" | "354" | "501"), "{line}");
        }
    }
    Ok(())
}

// ---- content ----

fn encode(slices: &[&[u8]]) -> Vec<u8> {
    let mut encoder = ContentEncoder::default();
    let mut wire = Vec::new();
    for slice in slices {
        encoder.encode(slice, |slice| wire.extend_from_slice(slice));
    }
    wire.extend_from_slice(encoder.finish());
    wire
}

/// The content, and how much of the wire it took; `None` with a fault or without an end.
fn decode(pieces: &[&[u8]], endings: LineEndings) -> Option<(Vec<u8>, usize)> {
    let limits = ContentLimits { size_octets_max: 1 << 20, line_octets_max: 1 << 20, endings };
    let mut decoder = ContentDecoder::new(limits);
    let (mut content, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let decoded = decoder.decode(piece, &mut |slice| content.extend_from_slice(slice));
        consumed += decoded.consumed;
        if decoded.end {
            return decoder.fault().is_none().then_some((content, consumed));
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn encode_then_decode_is_identity(
        lines in vec(vec(prop_oneof![Just(b'.'), 1..=9_u8, 14..=255_u8], 0..20), 0..20),
        cuts in vec(any::<usize>(), 0..10),
        behind in vec(any::<u8>(), 0..10),
    ) {
        let content: Vec<u8> = lines.iter().flat_map(|l| [&l[..], b"\r\n"].concat()).collect();
        let mut wire = encode(&pieces(&content, &cuts));
        prop_assert_eq!(&wire, &encode(&[&content]));
        let octets = wire.len();
        wire.extend_from_slice(&behind);
        let decoded = decode(&pieces(&wire, &cuts), LineEndings::Strict);
        prop_assert_eq!(decoded, Some((content, octets)));
    }

    #[test]
    fn decode_then_encode_is_canonical(
        wire in vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(0), Just(b'a')], 0..40),
        lines in vec("[.a]{0,4}", 0..8),
        endings in endings(),
    ) {
        let lines: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
        for wire in [[&wire[..], b"\r\n.\r\n"].concat(), format!("{lines}.\r\n").into_bytes()] {
            let Some((content, _)) = decode(&[&wire], endings) else { continue };
            let canonical = encode(&[&content]);
            let ends = memchr::memmem::find_iter(&canonical, b"\r\n.\r\n").count();
            prop_assert_eq!(ends, usize::from(!content.is_empty()));
            let again = decode(&[&canonical], LineEndings::Strict);
            prop_assert_eq!(again, Some((content, canonical.len())));
        }
    }
}

// ---- addresses, replies, and what is not even that ----

/// Close to an address, so that many are one.
fn nearly_an_address() -> impl Strategy<Value = String> {
    let local_part = prop_oneof![
        "[a-z.!%+]{0,12}",
        "\"([a-z.@!%> ]|\\\\.){0,12}\"",
        "[a-z]{250,260}",
        "\"[ -~]{0,300}\"",
    ];
    let host = prop_oneof![
        "[a-z0-9-]{1,5}(\\.[a-zA-Z0-9_-]{0,5}){0,4}",
        "\\[[0-9]{1,3}(\\.[0-9]{1,3}){3}\\]",
        "\\[IPv6:[0-9a-f:]{2,12}(1\\.2\\.3\\.4)?\\]",
        "([a-z]{50,64}\\.){3,5}example",
    ];
    let route = prop_oneof![4 => Just(String::new()), 1 => "@[a-z]{1,3}(,@[a-z]{1,3})?:"];
    (route, local_part, host).prop_map(|(route, local, host)| format!("{route}{local}@{host}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_parsed_prints_and_parses_as_itself(text in nearly_an_address()) {
        let path = format!("<{text}>");
        if let Ok(reverse) = ReversePath::parse(&path) {
            if let Some(mailbox) = reverse.mailbox() {
                let local_part = format!("{}@", mailbox.local_part);
                prop_assert!(path.contains(&local_part), "{} of {}", local_part, path);
            }
            prop_assert_eq!(ReversePath::parse(&format!("<{reverse}>")), Ok(reverse));
        }
        if let Ok(forward) = ForwardPath::parse(&path) {
            let mailbox = forward.mailbox().unwrap().clone();
            prop_assert_eq!(Mailbox::parse(&forward.to_string()), Ok(mailbox.clone()));
            let again = ForwardPath::parse(&format!("<{forward}>"));
            prop_assert_eq!(again, Ok(ForwardPath::Mailbox(mailbox)));
        }
        if let Ok(mailbox) = Mailbox::parse(&text) {
            let printed = mailbox.to_string();
            prop_assert!(printed.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(Mailbox::parse(&printed), Ok(mailbox));
        }
    }

    #[test]
    fn every_local_part_can_be_written(text in "[ -~]{0,300}") {
        let Ok(local_part) = LocalPart::new(&text) else { return Ok(()) };
        let host = Host::Domain(Domain::new("example.com").unwrap());
        let mailbox = Mailbox { local_part, host };
        let path = ForwardPath::parse(&format!("<{mailbox}>"));
        prop_assert_eq!(path, Ok(ForwardPath::Mailbox(mailbox.clone())));
        let command = Command::parse(format!("RCPT TO:<{mailbox}>").as_bytes());
        prop_assert_eq!(command, Ok(Command::Rcpt(ForwardPath::Mailbox(mailbox))));
    }

    #[test]
    fn a_reply_is_heard_as_it_was_said(
        class in prop_oneof![Just(200_u16), Just(400), Just(500)],
        code in 0_u16..100,
        subject in 0_u16..1_000,
        detail in 0_u16..1_000,
        text in "([!-~][ -~]{0,399})?",
        lines in vec("[ -~]{0,400}", 0..5),
        behind in vec(any::<u8>(), 0..10),
    ) {
        let mut wire = Vec::new();
        let status = Status { subject, detail };
        Reply::new(class + code, status, text.clone()).write_to(&mut wire);
        check_reply(&wire)?;
        let octets = wire.len();
        wire.extend_from_slice(&behind);
        let (heard, consumed) = parse_reply(&wire).unwrap().unwrap();
        prop_assert_eq!((heard.code, heard.status), (class + code, Some(status)));
        prop_assert_eq!((&*heard.text, consumed), (&*text, octets));

        wire.clear();
        let more = lines.iter().map(|line| line.clone().into()).collect();
        Reply::bare(250, "mx").and_lines(more).write_to(&mut wire);
        for end in (0..wire.len()).step_by(7) {
            prop_assert_eq!(parse_reply(&wire[..end]), Ok(None));
        }
        let (heard, consumed) = parse_reply(&wire).unwrap().unwrap();
        prop_assert_eq!(consumed, wire.len());
        prop_assert!(heard.more.iter().map(|l| &**l).eq(lines.iter().map(String::as_str)));
    }

    #[test]
    fn what_a_next_hop_says_is_quoted_harmlessly(said in vec(any::<u8>(), 0..600), code in 200_u16..600) {
        let wire = [format!("{code} ").as_bytes(), &said, b"\r\n"].concat();
        let Ok(Some((heard, _))) = parse_reply(&wire) else { return Ok(()) };
        prop_assert!(heard.text.len() <= QUOTED_OCTETS_MAX);
        prop_assert!(heard.text.bytes().all(|b| (b' '..=b'~').contains(&b)));
        let mut relayed = Vec::new();
        if heard.code / 100 != 3 {
            Reply::relayed(&heard).write_to(&mut relayed);
            check_reply(&relayed)?;
        }
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Command::parse(&bytes);
        let _ = parse_reply(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (ForwardPath::parse(&text), ReversePath::parse(&text), Mailbox::parse(&text));
        let _ = (Domain::new(&text), Domain::from_unicode(&text), Host::parse(&text));
        let hostname = Domain::new("mx.example.com").unwrap();
        let mut client = ClientSession::new(hostname, TlsWish::Opportunistic, Introduction::AsOffered);
        client.receive(&bytes);
        for _ in 0..bytes.len() + 4 {
            match client.step() {
                ClientStep::Send => drop(client.take_output()),
                ClientStep::StartTls => client.behind_tls(),
                ClientStep::Heard(_) => {}
                ClientStep::Receive | ClientStep::Failed(_) => break,
            }
        }
    }
}
