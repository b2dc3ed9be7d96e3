//! The relay set: 28 ways to ask an open relay, each from six forms of sender, with EHLO and
//! HELO, in the clear and over TLS: 672 cases. Every one is refused for good, whatever the
//! directory says, and the next hop hears nothing of it. RFC 5321 §3.6.1, §7.8.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that stops says where")]

#[path = "dialogues/fickle.rs"]
#[allow(dead_code, reason = "shared with the properties")]
mod fickle;
#[path = "dialogues/stage.rs"]
#[allow(dead_code, reason = "shared with the dialogues")]
mod stage;

use fickle::{Entry, Fickle};
use mail::smtp::extension::Offer;
use relay::recipient::RecipientStatus;
use relay::settings::DomainId;
use stage::{Stage, Visit, add_domain, client, hop, settings};

/// Elsewhere, ours, and our own address.
const E: &str = "elsewhere.example";
const L: &str = "example.com";
const I: &str = "192.0.2.25";

/// A way to ask: its number, what is said first, and the RCPTs with the codes that they must get.
/// 501 stands where the path is none at all, 500 where the line is none.
type Way = (&'static str, &'static [&'static str], &'static [(&'static str, u16)]);

const WAYS: &[Way] = &[
    ("R1", &[], &[("TO:<u@E>", 550)]),
    ("R2", &[], &[("TO:<u@E.>", 550)]),
    ("R3", &[], &[("TO: <U@E>", 550)]),
    ("R4", &[], &[("to:<u@mail.E>", 550)]),
    ("R5", &[], &[("TO:<u%E@[I]>", 550)]),
    ("R6", &[], &[("TO:<u%E@L>", 553)]),
    ("R7", &[], &[("TO:<\"u@E\">", 501)]),
    ("R8", &[], &[("TO:<\"u%E\">", 501), ("TO:<u%E>", 501)]),
    ("R9", &[], &[("TO:<u@E@[I]>", 501)]),
    ("R10", &[], &[("TO:<\"u@E\"@[I]>", 550)]),
    ("R11", &[], &[("TO:<u@E@L>", 501)]),
    ("R12", &[], &[("TO:<@[I]:u@E>", 550)]),
    ("R13", &[], &[("TO:<@L:u@E>", 550)]),
    ("R14", &[], &[("TO:<E!u>", 501)]),
    ("R15", &[], &[("TO:<E!u@[I]>", 550)]),
    ("R16", &[], &[("TO:<E!u@L>", 553)]),
    ("R17", &[], &[("TO:<\"u@E\"@L>", 553)]),
    ("R18", &[], &[("TO:<jones@[I]>", 550), ("TO:<jones@[127.0.0.1]>", 550)]),
    ("R19", &[], &[("TO:<u@L.>", 550), ("TO:<u@EXAMPLE.COM>", 550)]),
    ("R20", &[], &[("TO:<jones@sub.L>", 550)]),
    ("R21", &[], &[("TO:<E!u%E@L>", 553)]),
    ("R22", &[], &[("TO:<u@E%L>", 501), ("TO:<u%E%L>", 501), ("TO:<@a,@b:u@E>", 550)]),
    ("R23", &[], &[("TO:<jones@xn--exmple-cua.com>", 550), ("TO:<jones@example\u{ff0e}com>", 553)]),
    ("R24", &["RCPT TO:<jones@L>"], &[("TO:<u@E>", 550)]),
    (
        "R25",
        &[],
        &[
            ("TO:<\"u\\@E\"@L>", 553),
            ("TO:<u(@E)@L>", 501),
            ("TO:<<u@E>@L>", 501),
            ("TO:<u\t@E>", 501),
            ("TO:<u\r@E>", 500),
        ],
    ),
    ("R26", &[], &[("TO:<jones@L> ORCPT=rfc822;u@E", 555)]),
    (
        "R27",
        &["XCLIENT ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1", "MAIL FROM:<x@L> AUTH=jones@L"],
        &[("TO:<u@E>", 550)],
    ),
    (
        "R28",
        &["AUTH PLAIN AGd1ZXN0AA==", "AUTH LOGIN", "AUTH PLAIN AGpvbmVzAHdyb25n"],
        &[("TO:<u@E>", 550)],
    ),
];

const SENDERS: [&str; 6] = ["", "x@E", "x@L", "x@[I]", "x@localhost", "x"];

/// `E`, `L` and `I` for what they stand for, where they stand alone.
fn meant(text: &str) -> String {
    let mut said = String::new();
    let letters: Vec<char> = text.chars().collect();
    for (n, c) in letters.iter().enumerate() {
        let alone = |at: Option<&char>| at.is_none_or(|c| !c.is_alphanumeric());
        let before = n.checked_sub(1).and_then(|n| letters.get(n));
        match c {
            'E' if alone(before) && alone(letters.get(n + 1)) => said.push_str(E),
            'L' if alone(before) && alone(letters.get(n + 1)) => said.push_str(L),
            'I' if alone(before) && alone(letters.get(n + 1)) => said.push_str(I),
            c => said.push(*c),
        }
    }
    said
}

/// A directory that knows every trick by name: only policy stands between.
fn gullible() -> Stage<Fickle> {
    let mut settings = settings();
    let id = add_domain(&mut settings, L, 0);
    assert_eq!(id, DomainId(0));
    let mut stage = Stage::new(settings, vec![hop("inside")], Fickle::new([], false));
    let tricks = ["u%E", "E!u", "u@E", "E!u%E", "u\\@E", "u%E%L"];
    for name in tricks.iter().map(|name| meant(name)).chain(["jones".to_owned()]) {
        stage.directory.insert((id, name), RecipientStatus::LISTED);
    }
    stage.offer = Offer { start_tls: true, ..stage.offer };
    stage
}

/// Says one line and hears one code.
fn ask(stage: &mut Stage<Fickle>, visit: &mut Visit, line: &str) -> u16 {
    let before = stage.voice.log.len();
    stage.say(visit, format!("{line}\r\n").as_bytes());
    let codes: Vec<u16> = stage.voice.log[before..]
        .iter()
        .filter_map(|entry| if let Entry::Client(code, _) = entry { Some(*code) } else { None })
        .collect();
    assert_eq!(codes.len(), 1, "{line:?} was answered {codes:?}");
    codes[0]
}

fn refused(way: &Way, sender: &str, verb: &str, tls: bool) {
    let (name, before, recipients) = way;
    for (recipient, code) in *recipients {
        let case = format!("{name} {recipient} from <{sender}> by {verb}, TLS {tls}");
        let mut stage = gullible();
        let mut visit = stage.visit(client("198.51.100.7"));
        let visit = &mut visit;
        let hello = format!("{verb} client.example");
        assert_eq!(ask(&mut stage, visit, &hello), 250);
        if tls {
            assert_eq!(ask(&mut stage, visit, "STARTTLS"), 220);
            assert_eq!(ask(&mut stage, visit, &hello), 250);
        }
        // What comes in front of MAIL must be refused itself, but for the valid recipient.
        let (valid, first): (Vec<&str>, Vec<&str>) =
            before.iter().partition(|line| line.starts_with("RCPT"));
        for line in first {
            assert_eq!(ask(&mut stage, visit, &meant(line)) / 100, 5, "{case}");
        }
        let begun = ask(&mut stage, visit, &format!("MAIL FROM:<{}>", meant(sender))) == 250;
        // A sender without a domain is no mailbox, and without MAIL there is no RCPT.
        assert_eq!(begun, sender != "x", "{case}");
        for line in &valid {
            assert_eq!(ask(&mut stage, visit, &meant(line)) == 250, begun, "{case}");
        }
        let got = ask(&mut stage, visit, &format!("RCPT {}", meant(recipient)));
        // Without MAIL there is no RCPT; a path that is none may be found first.
        assert!(got == *code || (!begun && got == 503), "{case}: {got}");
        assert_eq!(got / 100, 5, "{case}");
        nothing_heard(&stage, !valid.is_empty() && begun, &case);
        if valid.is_empty() && got != 500 {
            assert_eq!(ask(&mut stage, visit, "DATA") / 100, 5, "{case}");
        }
    }
}

/// The next hop has heard nothing, or of the valid recipient only.
fn nothing_heard(stage: &Stage<Fickle>, valid: bool, case: &str) {
    let heard: Vec<&Entry> = stage.voice.heard_by_hops().collect();
    if valid {
        let recipients: Vec<&&Entry> = heard.iter().filter(|entry| is_rcpt(entry)).collect();
        assert_eq!(
            recipients,
            [&&Entry::Hop("inside".into(), meant("RCPT TO:<jones@L>"))],
            "{case}"
        );
    } else {
        assert!(heard.is_empty(), "{case}: the next hop heard {heard:?}");
    }
}

fn is_rcpt(entry: &Entry) -> bool {
    matches!(entry, Entry::Hop(_, line) if line.starts_with("RCPT"))
}

#[test]
fn no_way_of_the_relay_set_finds_an_open_relay() {
    let mut cases = 0;
    for way in WAYS {
        for sender in SENDERS {
            for verb in ["EHLO", "HELO"] {
                for tls in [false, true] {
                    refused(way, sender, verb, tls);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 672);
}

#[test]
fn the_directory_of_the_relay_set_would_say_yes() {
    let mut stage = gullible();
    let mut visit = stage.visit(client("198.51.100.7"));
    for (line, code) in [
        ("EHLO client.example", 250),
        ("MAIL FROM:<x@elsewhere.example>", 250),
        ("RCPT TO:<jones@example.com>", 250),
        ("RCPT TO:<jones@EXAMPLE.COM.>", 250),
    ] {
        assert_eq!(ask(&mut stage, &mut visit, line), code, "{line}");
    }
    assert_eq!(stage.voice.heard_by_hops().filter(|entry| is_rcpt(entry)).count(), 2);
}
