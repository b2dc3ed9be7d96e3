//! A judgement is the live one, and what the log says is read back as it was meant.

use super::judgement::{Case, Decision, Judgement, judge};
use super::search::{Id, Logged, read, with_rotated};
use super::story;
use crate::config::Config;
use crate::observe::write::{LineFormat, line};
use directory::assembly as recipients;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::{ReplyId, SessionId};
use relay::client::Client;
use relay::event::{Event, Kind, Scene, SessionCost};
use relay::policy::facts::Standing;
use relay::policy::verdict::{Refusal, Words};
use relay::policy::{Refuser, Stage, rules};

const CONFIG: &str = r#"
hostname = "mx.example.test"

[[listener]]
address = "127.0.0.1:2525"

[[network]]
name = "inside"
addresses = ["10.0.0.0/8"]
limits = "lifted"

[[domain]]
name = "example.test"
aliases = ["example.org"]
next_hop = "127.0.0.1:2600"
recipients = [{ file = "users.txt" }]
bitbucket = [{ address = "noreply@example.test", reason = "nobody reads it" }]
"#;

fn case(client: &str, from: &str, to: &str) -> Case {
    Case {
        client: client.parse().unwrap(),
        hello: "client.example.net".into(),
        from: from.into(),
        to: to.into(),
        size_octets: None,
        standing: Standing { sessions: 1, ..Standing::default() },
    }
}

fn judged(case: &Case) -> Judgement {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("users.txt"),
        "jones@example.test sales@in.test\nsmith@example.test\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("postern.toml"), CONFIG).unwrap();
    let config = Config::load(&folder.path().join("postern.toml")).unwrap();
    judge(&config, &recipients::open(&config.recipients()).directory, case).unwrap()
}

fn decided_by(case: &Case) -> String {
    match judged(case).decision {
        Decision::Refused(rule) => rule.name.into(),
        Decision::Malformed(stage) => format!("malformed at {}", stage.name()),
        Decision::Relayed(route) => route.recipient.to_string(),
        Decision::Discarded(reason) => reason.into(),
    }
}

#[test]
fn every_case_is_decided_by_the_rule_that_decides_it_for_mail() {
    let stranger = |to| decided_by(&case("192.0.2.7", "a@example.net", to));
    assert_eq!(stranger("jones@example.test"), "sales@in.test");
    assert_eq!(stranger("Smith@Example.Org"), "Smith@example.test");
    assert_eq!(stranger("postmaster"), "postmaster@example.test");
    assert_eq!(stranger("nobody@example.test"), "recipient");
    assert_eq!(stranger("a@elsewhere.test"), "relay_denied");
    assert_eq!(stranger("a%b@example.test"), "address_tricks");
    assert_eq!(stranger("noreply@example.test"), "nobody reads it");
    assert_eq!(stranger("a@@example.test"), "malformed at recipient");
    assert_eq!(decided_by(&case("192.0.2.7", "a b", "smith@example.test")), "malformed at mail");
    let big = Case { size_octets: Some(1 << 40), ..case("192.0.2.7", "", "smith@example.test") };
    assert_eq!(decided_by(&big), "size");
}

#[test]
fn supposed_history_counts_for_strangers_and_not_where_limits_are_lifted() {
    let with = |client, from, standing| {
        decided_by(&Case { standing, ..case(client, from, "smith@example.test") })
    };
    let harvest = Standing { harvest: true, ..Standing::default() };
    assert_eq!(with("192.0.2.7", "a@example.net", harvest), "harvest");
    assert_eq!(with("192.0.2.7", "", harvest), "smith@example.test");
    assert_eq!(with("10.1.2.3", "a@example.net", harvest), "smith@example.test");
    let sessions = Standing { sessions: 1_000, ..Standing::default() };
    assert_eq!(with("192.0.2.7", "a@example.net", sessions), "session_rate");
}

#[test]
fn every_rule_is_run_or_named_as_not_run_and_has_words_for_its_facts() {
    let all = Stage::ALL.iter().map(|stage| rules::at(*stage).len()).sum::<usize>();
    let accepted = judged(&case("192.0.2.7", "a@example.net", "smith@example.test"));
    assert_eq!((accepted.ran.len(), accepted.not_run.len()), (all, 0));
    for ran in &accepted.ran {
        assert!(!ran.fact.is_empty(), "no words for {}", ran.rule.name);
    }
    let refused = judged(&case("192.0.2.7", "a@example.net", "nobody@example.test"));
    assert_eq!(refused.ran.len() + refused.not_run.len(), all);
    assert_eq!(refused.not_run[0].1.name, "plan");
    assert!(refused.ran.last().unwrap().refusal.is_some());
}

/// A log with two sessions, the second of which was refused something hostile.
fn log(format: LineFormat) -> (Vec<u8>, Id) {
    let client = |n| Client {
        address: "192.0.2.7:4711".parse().unwrap(),
        session: SessionId(n),
        limits_lifted: false,
        endings: LineEndings::Strict,
        tls: false,
    };
    let mut out = Vec::new();
    let path = ForwardPath::parse("<\"a = \\\"b\\\"\"@example.test>").unwrap();
    let from = ReversePath::parse("<x@example.net>").unwrap();
    let id = ReplyId { session: SessionId(99), count: 3 };
    let mut refusers = Refuser::at(Stage::Recipient);
    let recipient = refusers.find(|by| by.name(Stage::Recipient) == "recipient").unwrap();
    for n in [98, 99] {
        let client = client(n);
        let scene = Some(Scene {
            client: &client,
            hello: Some("h\" x=1"),
            reverse_path: Some(&from),
            accepted: 0,
        });
        let reply = Refusal::RecipientUnknown.reply().with_id(id);
        let kind = Kind::Refused {
            stage: Stage::Recipient,
            by: recipient,
            refusal: "recipient_unknown",
            reply: &reply,
            words: Words::Ours,
            forward_path: Some(&path),
            unknown: true,
        };
        line(&mut out, format, &Event { scene, kind });
        let cost = SessionCost { refusals: 1, ..SessionCost::default() };
        let kind = Kind::SessionClosed { why: "quit", delivered: 0, cost };
        line(&mut out, format, &Event { scene, kind });
    }
    (out, Id::parse(&format!(" (id {id}).")).unwrap())
}

#[test]
fn an_id_finds_its_session_in_both_formats_and_reads_hostile_text_back() {
    for format in [LineFormat::Json, LineFormat::Text] {
        let (log, id) = log(format);
        let events = read(&log[..], &id).unwrap();
        assert_eq!(events.len(), 2, "{format:?}");
        let refused = &events[0];
        assert!(refused.is_named(&id) && !events[1].is_named(&id));
        assert_eq!(refused.field("to"), "\"a = \\\"b\\\"\"@example.test", "{format:?}");
        assert_eq!(refused.field("hello"), "h\" x=1");
        assert_eq!(refused.field("code"), "550");
        assert_eq!(story::rule_help(refused).unwrap(), "the recipient must exist");
        let sentence = story::sentence(refused);
        assert!(sentence.contains("550 5.1.1 no such mailbox here"), "{sentence}");
        assert!(story::next_step(refused).unwrap().starts_with("postern recipients lookup "));
    }
}

#[test]
fn lines_that_are_none_of_ours_are_passed_over() {
    let (mut log, id) = log(LineFormat::Json);
    let session = id.session.clone();
    log.splice(0..0, format!("{session}\n\u{fffd} {{{session}\n").into_bytes());
    log.extend_from_slice(&[0xff, b'\n']);
    log.extend_from_slice(session.as_bytes());
    assert_eq!(read(&log[..], &id).unwrap().len(), 2);
}

#[test]
fn what_is_no_id_is_told() {
    for text in ["", "a b", "a.b", ".3", "1.2.3", "../../x"] {
        assert_eq!(Id::parse(text), None, "{text}");
    }
    assert!(Id::parse("0b0k3m8c1g7f2").unwrap().is_session());
}

#[test]
fn rotated_logs_are_read_first() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("postern.log");
    for name in ["postern.log", "postern.log.1", "postern.log.2", "postern.log.x"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let names = with_rotated(&log);
    let names = names.iter().map(|path| path.extension().unwrap().to_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["2", "1", "log"]);
}

#[test]
fn events_that_nobody_has_words_for_keep_their_name() {
    let fields = serde_json::json!({ "event": "Novelty" });
    let serde_json::Value::Object(fields) = fields else { panic!("an object") };
    assert_eq!(story::sentence(&Logged(fields)), "Novelty");
}

#[test]
fn what_a_stranger_said_reaches_neither_terminal_nor_shell() {
    let fields = serde_json::json!({
        "event": "RecipientRefused", "rule": "recipient", "client": "192.0.2.7",
        "to": "\"x'; reboot '\"@example.test", "hello": "\u{1b}[2J\u{202e}",
    });
    let serde_json::Value::Object(fields) = fields else { panic!("an object") };
    let event = Logged(fields);
    assert_eq!(event.field("hello"), "\u{fffd}[2J\u{fffd}");
    let step = story::next_step(&event).unwrap();
    assert_eq!(step, r#"postern recipients lookup '"x'\''; reboot '\''"@example.test'"#);
}
