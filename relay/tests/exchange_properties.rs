//! Random dialogues over a whole `Exchange`: any commands, in any pieces, with next hops that say
//! anything or nothing. What must hold for all of them is asserted of the log of what everybody
//! heard (ARCHITECTURE, invariants 2, 3, 5, 6, 9, 13).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that stops says where")]

#[path = "dialogues/fickle.rs"]
#[allow(dead_code, reason = "shared with the relay set")]
mod fickle;
#[path = "dialogues/stage.rs"]
#[allow(dead_code, reason = "shared with the dialogues")]
mod stage;

use fickle::{Choice, Entry, Fickle};
use proptest::prelude::*;
use relay::recipient::RecipientStatus;
use stage::{Mark, Stage, Visit, add_domain, client, hop, settings};

/// What the client does.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A line, whose reply is awaited or not.
    Say(&'static str, bool),
    /// DATA and, after 354, this content.
    Data(&'static str),
    /// Time passes, in seconds.
    Pass(u64),
}

const COMMANDS: &[&str] = &[
    "MAIL FROM:<smith@bar.example>",
    "MAIL FROM:<>",
    "MAIL FROM:<smith@bar.example> SIZE=9999",
    "MAIL FROM:<smith@bar.example> BODY=8BITMIME",
    "MAIL FROM:<a@b@c>",
    "RCPT TO:<jones@example.com>",
    "RCPT TO:<green@example.com>",
    "RCPT TO:<brown@example.net>",
    "RCPT TO:<nobody@example.com>",
    "RCPT TO:<away@example.com>",
    "RCPT TO:<void@example.com>",
    "RCPT TO:<left@example.com>",
    "RCPT TO:<Postmaster>",
    "RCPT TO:<jones%example.com@example.com>",
    "RCPT TO:<victim@elsewhere.example>",
    "RCPT TO:<@example.com:jones@example.com>",
    "RSET",
    "NOOP",
    "VRFY jones",
    "AUTH PLAIN",
    "XYZZY",
    "QUIT",
];

/// Recipients whose mail goes to a next hop, as it hears them.
const EXISTING: &[&str] =
    &["jones@example.com", "green@example.com", "brown@example.net", "postmaster@example.com"];

const CONTENTS: &[&str] = &[
    "Subject: hello\r\n\r\nHi.\r\n",
    "",
    ".\r\n..\r\n.a\r\n",
    "a\nb\r\n",
    "a\rb\r\n",
    "a\0b\r\n",
    "a\n.\nMAIL FROM:<admin@example.com>\r\n",
    "Received: by mx.example.com\r\nReceived: by mx.example.com\r\nReceived: by mx.example.com\r\n\r\n",
];

fn op() -> impl Strategy<Value = Op> {
    let command = proptest::sample::select(COMMANDS);
    let content = proptest::sample::select(CONTENTS);
    prop_oneof![
        2 => Just(Op::Say("EHLO bar.example", true)),
        1 => Just(Op::Say("HELO bar.example", true)),
        4 => Just(Op::Say("MAIL FROM:<smith@bar.example>", false)),
        5 => Just(Op::Say("RCPT TO:<jones@example.com>", false)),
        12 => (command, any::<bool>()).prop_map(|(line, wait)| Op::Say(line, wait)),
        5 => content.prop_map(Op::Data),
        1 => (1..400_u64).prop_map(Op::Pass),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        12 => Just(Choice::Yes),
        1 => Just(Choice::Later),
        1 => Just(Choice::No),
        1 => Just(Choice::Farewell),
        1 => Just(Choice::Lost),
        1 => Just(Choice::Nonsense),
    ]
}

/// How the octets arrive: pieces of these sizes in turn, of the client and of the next hop.
#[derive(Clone, Debug)]
struct Cuts {
    pieces: Vec<usize>,
    bite: usize,
}

/// The log, how many lines the client said that want a reply, and its contents.
struct Run {
    log: Vec<Entry>,
    asked: usize,
    contents: Vec<Vec<u8>>,
}

fn world(choices: &[Choice], pipelining: bool) -> Stage<Fickle> {
    let mut settings = settings();
    let com = add_domain(&mut settings, "example.com", 0);
    let net = add_domain(&mut settings, "example.net", 1);
    settings.limits.size_octets_max = 5_000;
    let voice = Fickle::new(choices.iter().copied(), pipelining);
    let mut stage = Stage::new(settings, vec![hop("inside"), hop("outside")], voice);
    for (id, name, status) in [
        (com, "jones", RecipientStatus::LISTED),
        (com, "green", RecipientStatus::LISTED),
        (net, "brown", RecipientStatus::LISTED),
        (com, "away", RecipientStatus::Unavailable),
        (com, "void", RecipientStatus::Bitbucket { reason: "void".into() }),
        (com, "left", RecipientStatus::Left { text: "left".into() }),
        (com, "jones%example.com", RecipientStatus::LISTED),
    ] {
        stage.directory.insert((id, name.to_owned()), status);
    }
    stage
}

fn play(ops: &[Op], choices: &[Choice], pipelining: bool, cuts: &Cuts) -> Run {
    let mut stage = world(choices, pipelining);
    stage.bite = cuts.bite;
    let mut sizes = cuts.pieces.iter().copied().cycle();
    let mut visit = stage.visit(client("192.0.2.1"));
    let mut run = Run { log: Vec::new(), asked: 0, contents: Vec::new() };
    let mut flight = Vec::new();
    for op in ops {
        match op {
            Op::Say(line, wait) => {
                run.asked += 1;
                flight.extend_from_slice(format!("{line}\r\n").as_bytes());
                if *wait || line.starts_with("AUTH") {
                    fly(&mut stage, &mut visit, &mut flight, &mut sizes);
                }
            }
            Op::Data(content) => {
                run.asked += 1;
                flight.extend_from_slice(b"DATA\r\n");
                fly(&mut stage, &mut visit, &mut flight, &mut sizes);
                if visit.until.is_some() && stage.voice.last_code() == 354 {
                    run.asked += 1;
                    run.contents.push(content.as_bytes().to_vec());
                    let stuffed = format!("\r\n{content}").replace("\r\n.", "\r\n..");
                    flight.extend_from_slice(&stuffed.as_bytes()[2..]);
                    flight.extend_from_slice(b".\r\n");
                    fly(&mut stage, &mut visit, &mut flight, &mut sizes);
                }
            }
            Op::Pass(seconds) => {
                fly(&mut stage, &mut visit, &mut flight, &mut sizes);
                stage.pass(Some(&mut visit), seconds * 1_000);
            }
        }
    }
    fly(&mut stage, &mut visit, &mut flight, &mut sizes);
    run.log = stage.voice.log;
    run
}

fn fly(
    stage: &mut Stage<Fickle>,
    visit: &mut Visit,
    flight: &mut Vec<u8>,
    sizes: &mut impl Iterator<Item = usize>,
) {
    let mut rest = std::mem::take(flight);
    while !rest.is_empty() {
        let end = sizes.next().unwrap_or(usize::MAX).min(rest.len());
        let piece: Vec<u8> = rest.drain(..end).collect();
        stage.say(visit, &piece);
    }
}

fn replies(log: &[Entry]) -> Vec<(u16, &str)> {
    let entries = log.iter();
    entries
        .filter_map(|entry| match entry {
            Entry::Client(code, text) => Some((*code, text.as_str())),
            _ => None,
        })
        .collect()
}

/// Every command got exactly one reply, unless the session was closed before it.
fn every_command_has_its_reply(run: &Run) {
    let count = replies(&run.log).len();
    let closed = run.log.contains(&Entry::Mark(Mark::Closed));
    // A reply more: the greeting; and a timeout's 421 answers nothing.
    if closed {
        assert!(count <= run.asked + 2, "{count} replies to {}", run.asked);
    } else {
        assert_eq!(count, run.asked + 1, "replies to {}", run.asked);
    }
}

fn classes_agree_and_421_is_the_last(run: &Run) {
    let replies = replies(&run.log);
    for (n, (code, text)) in replies.iter().enumerate() {
        let status = text.get(4..).and_then(|rest| rest.split(' ').next()).unwrap_or("");
        if status.split('.').count() == 3 && status.as_bytes()[0].is_ascii_digit() {
            assert_eq!(&status[..1], &text[..1], "{text}");
        }
        assert!(
            *code != 421 || n + 1 == replies.len(),
            "421 and then {:?}",
            replies[n + 1..].first()
        );
        assert!(text.is_ascii() && text.split("\r\n").all(|line| line.len() <= 510), "{text}");
    }
}

/// The next hop hears of recipients that policy has accepted, and of nobody else; of MAIL only on
/// account of one.
fn the_next_hop_hears_of_the_accepted_only(run: &Run) {
    let mut mails = 0;
    for entry in &run.log {
        let Entry::Hop(hop, line) = entry else { continue };
        if let Some(path) = line.strip_prefix("RCPT TO:<") {
            let path = path.trim_end_matches('>');
            assert!(EXISTING.contains(&path), "{line}");
            assert_eq!(hop == "outside", path.ends_with("@example.net"), "{hop} heard {line}");
        }
        mails += usize::from(line.starts_with("MAIL"));
    }
    let refused = ["XYZZY", "AUTH", "VRFY"];
    assert!(mails <= 2 * run.asked);
    for entry in &run.log {
        assert!(
            !matches!(entry, Entry::Hop(_, line) if refused.iter().any(|v| line.starts_with(v)))
        );
    }
}

/// What is known at one point of the log.
#[derive(Default)]
struct Custody {
    /// 354 was said and not yet what came of it.
    open: bool,
    /// The next hop took the content.
    taken: bool,
    discarded: bool,
    unknown: bool,
    /// What we told the client: accepted recipients that are no bitbucket.
    promised: Vec<String>,
    /// What the next hop told us: the recipients of the transaction with it.
    held: Vec<String>,
    /// The recipient that the next hop heard last and has not answered.
    named: Option<String>,
}

/// A 250 to content: the next hop has taken it since our 354, for exactly those recipients that
/// we have accepted, or all of them were bitbuckets. A 5yz: it has not. An unknown outcome: 4yz.
fn custody_follows_the_next_hop(run: &Run) {
    let mut custody = Custody::default();
    let mut contents = run.contents.iter();
    for entry in &run.log {
        match entry {
            Entry::Client(354, _) => custody.open = true,
            Entry::Client(code, text) if custody.open => {
                let Custody { taken, discarded, unknown, promised, held, .. } = custody;
                let nothing = promised.is_empty();
                match code / 100 {
                    2 if discarded => assert!(nothing, "{text}, and {promised:?} have nothing"),
                    2 => assert!(taken && promised == held, "{text}, and nobody has it"),
                    5 => assert!(!taken && !unknown, "{text}, and the next hop has it"),
                    _ => assert!(!taken, "{text}, and the next hop has it"),
                }
                custody = Custody::default();
                contents.next();
            }
            Entry::Content(heard) => {
                assert!(custody.open, "content that nobody sent");
                assert_eq!(contents.as_slice().first(), Some(heard), "another content");
            }
            Entry::Answer(code, true) => custody.taken = code / 100 == 2,
            Entry::Answer(code, false) => {
                custody.held.extend(custody.named.take().filter(|_| code / 100 == 2));
            }
            Entry::Hop(_, line) if line.starts_with("MAIL") => {
                (custody.held, custody.named) = (Vec::new(), None);
            }
            Entry::Hop(_, line) => {
                let path = line.strip_prefix("RCPT TO:<");
                custody.named = path.map(|path| path.trim_end_matches('>').to_owned());
            }
            Entry::Event("MailAccepted", _) => custody = Custody::default(),
            Entry::Event("RecipientAccepted", to) if to == "Postmaster" => {
                custody.promised.push("postmaster@example.com".to_owned());
            }
            Entry::Event("RecipientAccepted", to) if to != "void@example.com" => {
                assert_eq!(custody.held.last(), Some(to), "accepted before the next hop did");
                custody.promised.push(to.clone());
            }
            Entry::Event("MessageDiscarded", _) => custody.discarded = true,
            Entry::Event("OutcomeUnknown", _) => custody.unknown = true,
            _ => {}
        }
    }
}

/// 5yz for a recipient is never said because the directory does not answer.
fn unavailable_is_never_unknown(ops: &[Op], choices: &[Choice]) {
    let only: Vec<Op> = ops
        .iter()
        .filter(|op| matches!(op, Op::Say(line, _) if !line.starts_with("RCPT")))
        .filter(|op| !matches!(op, Op::Say("QUIT", _)))
        .copied()
        .chain([Op::Say("RSET", true), Op::Say("EHLO bar.example", true)])
        .chain([Op::Say("MAIL FROM:<smith@bar.example>", true)])
        .chain([Op::Say("RCPT TO:<away@example.com>", true)])
        .collect();
    let cuts = Cuts { pieces: vec![usize::MAX], bite: usize::MAX };
    let run = play(&only, choices, true, &cuts);
    if !run.log.contains(&Entry::Mark(Mark::Closed)) {
        assert_eq!(replies(&run.log).last().unwrap().0, 451);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_said_the_promises_hold_and_the_cuts_change_nothing(
        ops in proptest::collection::vec(op(), 1..40),
        choices in proptest::collection::vec(choice(), 0..60),
        pipelining in any::<bool>(),
        pieces in proptest::collection::vec(1..60_usize, 1..5),
        bite in 1..30_usize,
    ) {
        let ops: Vec<Op> = [Op::Say("EHLO bar.example", true)].into_iter().chain(ops).collect();
        // What must end its flight does: whether it did would depend on the cuts.
        let mut said: Vec<Op> = Vec::new();
        for op in ops {
            if let Op::Say(line @ ("EHLO bar.example" | "HELO bar.example"), _) = op {
                said.push(Op::Say(line, true));
            } else {
                said.push(op);
            }
        }
        let whole = Cuts { pieces: vec![usize::MAX], bite: usize::MAX };
        let run = play(&said, &choices, pipelining, &whole);
        let cut = play(&said, &choices, pipelining, &Cuts { pieces, bite });
        prop_assert_eq!(&run.log, &cut.log);
        every_command_has_its_reply(&run);
        classes_agree_and_421_is_the_last(&run);
        the_next_hop_hears_of_the_accepted_only(&run);
        custody_follows_the_next_hop(&run);
        unavailable_is_never_unknown(&said, &choices);
    }
}

#[test]
fn random_dialogues_reach_what_they_are_about() {
    let ops = [
        Op::Say("EHLO bar.example", true),
        Op::Say("MAIL FROM:<smith@bar.example>", false),
        Op::Say("RCPT TO:<jones@example.com>", false),
        Op::Data(CONTENTS[2]),
    ];
    let cuts = Cuts { pieces: vec![7], bite: 3 };
    let run = play(&ops, &[], true, &cuts);
    assert!(run.log.contains(&Entry::Content(CONTENTS[2].as_bytes().to_vec())));
    let codes: Vec<u16> = replies(&run.log).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [220, 250, 250, 250, 354, 250]);
    custody_follows_the_next_hop(&run);
}

#[test]
#[should_panic(expected = "nobody has it")]
fn a_250_that_comes_too_early_would_be_noticed() {
    let log = vec![Entry::Client(354, "354 go".into()), Entry::Client(250, "250 ok".into())];
    custody_follows_the_next_hop(&Run { log, asked: 1, contents: vec![Vec::new()] });
}

#[test]
fn who_was_named_when_a_connection_broke_is_not_held_by_the_next() {
    let hop = |line: &str| Entry::Hop("inside".into(), line.into());
    let accepted = Entry::Event("RecipientAccepted", "jones@example.com".into());
    let log = vec![
        hop("MAIL FROM:<smith@bar.example>"),
        Entry::Answer(250, false),
        hop("RCPT TO:<green@example.com>"),
        hop("MAIL FROM:<smith@bar.example>"),
        Entry::Answer(250, false),
        hop("RCPT TO:<jones@example.com>"),
        Entry::Answer(250, false),
        accepted,
        Entry::Client(354, "354 go".into()),
        Entry::Content(Vec::new()),
        Entry::Answer(250, true),
        Entry::Client(250, "250 ok".into()),
    ];
    custody_follows_the_next_hop(&Run { log, asked: 1, contents: vec![Vec::new()] });
}
