//! Next hops that fail in every way: what the client hears, and what the log says of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::servers::Sink;
use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, closed_port, config, has};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// What smtp-sink is told to do wrong, and what the client hears: at RCPT where that is no 250,
/// else at the final dot.
struct Case {
    options: &'static [&'static str],
    /// Limits of the next hop, as TOML.
    limits: &'static str,
    expected: &'static str,
    /// The log says that the outcome is unknown.
    unknown: bool,
}

const fn case(options: &'static [&'static str], expected: &'static str) -> Case {
    Case { options, limits: "", expected, unknown: false }
}

const fn hasty(
    options: &'static [&'static str],
    limits: &'static str,
    expected: &'static str,
) -> Case {
    Case { options, limits, expected, unknown: false }
}

const HARD: &str = "550 5.7.1 not here";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // It cannot be reached, or does not get as far as MAIL.
    case(&["-q", "connect"], "451 4.4.1 "),
    case(&["-Q", "connect"], "451 4.4.1 "),
    case(&["-r", "connect"], "451 4.4.1 "),
    case(&["-f", "connect"], "451 4.4.1 "),
    case(&["-q", "ehlo"], "451 4.4.1 "),
    case(&["-Q", "ehlo"], "451 4.4.1 "),
    case(&["-r", "ehlo"], "451 4.4.1 "),
    case(&["-f", "ehlo"], "250 2.0.0 "), // then HELO
    case(&["-f", "ehlo,helo"], "451 4.4.1 "),
    // It leaves in the middle.
    case(&["-q", "mail"], "451 4.4.2 "),
    case(&["-q", "rcpt"], "451 4.4.2 "),
    case(&["-q", "data"], "451 4.4.2 "),
    Case { unknown: true, ..case(&["-q", "."], "451 4.4.2 ") },
    // It says so before it leaves: the client's session goes on.
    case(&["-Q", "mail"], "451 4."),
    case(&["-Q", "rcpt"], "451 4."),
    case(&["-Q", "data"], "451 4."),
    case(&["-Q", "."], "451 4."),
    // It refuses for now: so do we.
    case(&["-r", "mail"], "450 4.3.0 Error: command failed"),
    case(&["-r", "rcpt"], "450 4.3.0 Error: command failed"),
    case(&["-r", "data"], "450 4.3.0 Error: command failed"),
    case(&["-r", "."], "450 4.3.0 Error: command failed"),
    // It refuses for good: so do we.
    case(&["-B", HARD, "-f", "mail"], HARD),
    case(&["-B", HARD, "-f", "rcpt"], HARD),
    case(&["-B", HARD, "-f", "data"], HARD),
    case(&["-B", HARD, "-f", "."], HARD),
    // What it refuses is us, and not the message: a wrong setting returns nobody's mail.
    case(&["-B", "530 5.7.0 Must issue a STARTTLS command first", "-f", "mail"], "451 4.7.0 "),
    case(&["-B", "503 5.5.1 Error: need MAIL command", "-f", "rcpt"], "451 4.5.1 "),
    case(&["-B", "502 5.5.2 not implemented", "-f", "data"], "451 4.5.2 "),
    // It is slow, and we are patient.
    case(&["-H", "1"], "250 2.0.0 "),
    case(&["-W", "connect:1"], "250 2.0.0 "),
    case(&["-p", "-W", "mail:1"], "250 2.0.0 "), // with pipelining it answers out of order
    case(&["-W", ".:1"], "250 2.0.0 "),
    // It is slow, and we are not.
    hasty(&["-W", "connect:4"], "greeting_seconds_max = 1", "451 4.4.1 "),
    hasty(&["-W", "ehlo:4"], "greeting_seconds_max = 1", "451 4.4.1 "),
    hasty(&["-W", "mail:4"], "command_seconds_max = 1", "451 4.4.2 "),
    hasty(&["-W", "rcpt:4"], "command_seconds_max = 1", "451 4.4.2 "),
    hasty(&["-W", "data:4"], "data_seconds_max = 1", "451 4.4.2 "),
    Case { unknown: true, ..hasty(&["-W", ".:4"], "final_reply_seconds_max = 1", "451 4.4.2 ") },
];

/// One domain for each case, each with its own sink.
fn config_for(cases: &[(&Case, Sink)]) -> (String, String) {
    let (mut users, mut text) = (String::new(), String::new());
    text.push_str("hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n");
    for (n, (case, sink)) in cases.iter().enumerate() {
        let _ = writeln!(users, "jones@d{n}.example");
        let _ = write!(
            text,
            "[[next_hop]]\nname = \"n{n}\"\nhosts = [\"{}\"]\n{}\n\
             [[domain]]\nname = \"d{n}.example\"\nnext_hop = \"n{n}\"\n\
             recipients = [{{ file = \"users.txt\" }}]\n",
            sink.address, case.limits
        );
    }
    text.push_str(LIFTED);
    (users, text)
}

fn hear(address: SocketAddr, recipient: &str) -> String {
    let mut client = Client::greeted(address);
    client.say("MAIL FROM:<sender@client.example>").expect("250 ");
    let reply = client.say(&format!("RCPT TO:<{recipient}>"));
    let reply = if reply.code == 250 { client.content(b"Subject: x\r\n\r\nx\r\n") } else { reply };
    // Whatever it was, the client's own session goes on.
    client.say("RSET").expect("250 ");
    client.say("QUIT").expect("221 ");
    reply.text()
}

#[test]
fn whatever_the_next_hop_does_the_client_hears_what_is_true() {
    if !has(&["smtp-sink"]) {
        return;
    }
    let cases: Vec<_> = CASES.iter().map(|case| (case, Sink::start(case.options))).collect();
    let folder = Folder::new();
    let (users, text) = config_for(&cases);
    folder.write("users.txt", users);
    let postern = Postern::start(&folder, &text);
    let heard: Vec<_> = std::thread::scope(|scope| {
        let (address, count) = (postern.address(), cases.len());
        let hear = |n: usize| scope.spawn(move || hear(address, &format!("jones@d{n}.example")));
        let threads: Vec<_> = (0..count).map(hear).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut wrong = String::new();
    for ((case, _), heard) in cases.iter().zip(&heard) {
        if !heard.starts_with(case.expected) {
            let _ = writeln!(wrong, "{:?}: {heard}, not {}", case.options, case.expected);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let expected = CASES.iter().filter(|case| case.unknown).count();
    postern.wait_for_nth("OutcomeUnknown", expected);
    postern.wait_for_nth("SessionClosed", cases.len());
    for event in postern.events_named("OutcomeUnknown") {
        let address = event["host"].as_str().unwrap();
        let (case, _) = cases.iter().find(|(_, s)| s.address.to_string() == address).unwrap();
        assert!(case.unknown, "{event}");
        assert!(event["message"].is_string() && event["from"] == "sender@client.example");
    }
    assert_eq!(postern.events_named("OutcomeUnknown").len(), expected);
}

#[test]
fn a_refusal_before_the_final_dot_is_never_consent() {
    if !has(&["smtp-sink"]) {
        return;
    }
    let (folder, sink) = (Folder::new(), Sink::start(&["-A", "0", "-c"]));
    let postern = Postern::start(&folder, &config(sink.address, LIFTED));
    for _ in 0..10 {
        // Whether its word arrives before its connection is gone is a race that nobody decides.
        let heard = hear(postern.address(), "jones@example.test");
        let is_true = heard.starts_with("550 ") || heard.starts_with("451 4.4.2 ");
        assert!(is_true, "{heard}");
    }
    assert_eq!(sink.messages(), 0);
}

fn table(hosts: &[SocketAddr], more: &str) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    format!("{LIFTED}[[next_hop]]\nname = \"inside\"\nhosts = [{}]\n{more}\n", hosts.join(", "))
}

#[test]
fn a_next_hop_that_is_down_costs_451_and_is_left_alone_until_it_is_back() {
    let (folder, address) = (Folder::new(), closed_port());
    let more = "breaker_failures = 3\nbreaker_retry_seconds = 1";
    let postern = Postern::start(&folder, &config("inside", &table(&[address], more)));
    for _ in 0..4 {
        assert!(hear(postern.address(), "jones@example.test").starts_with("451 4.4.1 "));
    }
    assert_eq!(postern.wait_for("NextHopDown")["subject"], address.to_string());
    // Each thread gathers its own lines, so these may come later.
    postern.wait_for_nth("NextHopFailed", 2);
    assert_eq!(postern.events_named("NextHopFailed").len(), 2);
    // An unknown recipient costs no look at the next hop.
    assert!(hear(postern.address(), "green@example.test").starts_with("550 5.1.1 "));

    let hop = Hop::at(address);
    kit::wait_until("it is tried again", || {
        hear(postern.address(), "jones@example.test").starts_with("250 ")
    });
    assert_eq!(postern.wait_for("NextHopUp")["subject"], address.to_string());
    assert_eq!(hop.taken().len(), 1);
}

#[test]
fn the_second_host_takes_over_from_the_first_and_gives_back() {
    let (folder, first, second) = (Folder::new(), closed_port(), Hop::start());
    let more = "breaker_failures = 2\nbreaker_retry_seconds = 1\nmessages_max = 1";
    let hosts = table(&[first, second.address], more);
    let postern = Postern::start(&folder, &config("inside", &hosts));
    for _ in 0..5 {
        assert!(hear(postern.address(), "jones@example.test").starts_with("250 "));
    }
    assert_eq!(second.taken().len(), 5);
    assert_eq!(postern.wait_for("NextHopDown")["subject"], first.to_string());
    assert_eq!(postern.wait_for("MessageDelivered")["host"], second.address.to_string());

    let back = Hop::at(first);
    kit::wait_until("the first is used again", || {
        assert!(hear(postern.address(), "jones@example.test").starts_with("250 "));
        !back.taken().is_empty()
    });
    postern.wait_for("NextHopUp");
}

#[test]
fn a_host_that_says_421_in_its_greeting_is_passed_over() {
    let busy = Hop::acting(|stage, _| match stage {
        Stage::Connect => Act::SayAndClose("421 4.3.2 too busy"),
        _ => Act::Obey,
    });
    let (folder, second) = (Folder::new(), Hop::start());
    let hosts = table(&[busy.address, second.address], "");
    let postern = Postern::start(&folder, &config("inside", &hosts));
    assert!(hear(postern.address(), "jones@example.test").starts_with("250 "));
    assert_eq!((busy.taken().len(), second.taken().len()), (0, 1));
}

#[test]
fn silence_at_the_dot_is_an_unknown_outcome_and_nothing_is_said_twice() {
    let hop = Hop::acting(|stage, _| match stage {
        Stage::Dot => Act::Silence,
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let hosts = table(&[hop.address], "final_reply_seconds_max = 1");
    let postern = Postern::start(&folder, &config("inside", &hosts));
    let began = Instant::now();
    assert!(hear(postern.address(), "jones@example.test").starts_with("451 4.4.2 "));
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let event = postern.wait_for("OutcomeUnknown");
    assert_eq!(event["to"][0], "jones@example.test");
    assert_eq!(event["host"], hop.address.to_string());
    assert_eq!(postern.wait_for("MessageRefused")["refusal"], "outcome_unknown");
    // It was not sent again behind the client's back.
    assert_eq!(hop.commands().iter().filter(|command| *command == "DATA").count(), 1);
}

#[test]
fn a_message_taken_without_a_word_is_an_unknown_outcome() {
    let hop = Hop::acting(|stage, _| match stage {
        Stage::Dot => Act::TakeAndClose,
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    assert!(hear(postern.address(), "jones@example.test").starts_with("451 4.4.2 "));
    postern.wait_for("OutcomeUnknown");
    assert_eq!(hop.taken().len(), 1);
}

#[test]
fn nonsense_from_the_next_hop_is_never_an_answer_to_the_client() {
    for nonsense in ["hello there", "999 what", "25 0 ok", "250\u{0}", "", "354 go on"] {
        // The one wait that a reply which never comes may cost; every other is as long as ever.
        for (stage, limit) in [
            (Stage::Connect, "greeting_seconds_max"),
            (Stage::Ehlo, "greeting_seconds_max"),
            (Stage::Mail, "command_seconds_max"),
            (Stage::Rcpt, "command_seconds_max"),
            (Stage::Data, "data_seconds_max"),
            (Stage::Dot, "final_reply_seconds_max"),
        ] {
            // What is right at one stage is nonsense at the others.
            if stage == Stage::Data && nonsense.starts_with("354") {
                continue;
            }
            let hop = Hop::acting(move |now, _| match now == stage {
                true => Act::Say(nonsense),
                false => Act::Obey,
            });
            let folder = Folder::new();
            let hosts = table(&[hop.address], &format!("{limit} = 1"));
            let postern = Postern::start(&folder, &config("inside", &hosts));
            let heard = hear(postern.address(), "jones@example.test");
            assert!(heard.starts_with("451 4.4."), "{nonsense:?} at {stage:?}: {heard}");
            assert!(hop.taken().is_empty(), "{nonsense:?} at {stage:?}");
            if stage == Stage::Dot {
                postern.wait_for("OutcomeUnknown");
            }
        }
    }
}

#[test]
fn one_refusal_for_several_recipients_makes_them_come_one_by_one() {
    let hop = Hop::acting(|stage, _| match stage {
        Stage::Dot => Act::Say("554 5.7.1 one of you does not want this"),
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.envelope("sender@client.example", &["jones@example.test", "smith@example.test"]);
    client.content(b"Subject: x\r\n\r\nx\r\n").expect("451 ");
    // The retry: one is admitted, the other hears to come separately.
    client.envelope("sender@client.example", &["jones@example.test"]);
    client.say("RCPT TO:<smith@example.test>").expect("45");
    client.content(b"Subject: x\r\n\r\nx\r\n").expect("554 5.7.1 ");
    assert!(hop.taken().is_empty());
}

#[test]
fn a_pooled_connection_that_died_unseen_costs_nothing() {
    let address = closed_port();
    let (folder, hop) = (Folder::new(), Hop::at(address));
    let postern = Postern::start(&folder, &config(address, LIFTED));
    assert!(hear(postern.address(), "jones@example.test").starts_with("250 "));
    drop(hop);
    let hop = Hop::at(address);
    assert!(hear(postern.address(), "jones@example.test").starts_with("250 "));
    assert_eq!(hop.taken().len(), 1);
}

/// Misbehaves once, at DATA; the second connection finds it as it should be.
fn hung_up_at_data(act: Act) -> Hop {
    let is_first = AtomicBool::new(true);
    Hop::acting(move |stage, _| match stage {
        Stage::Data if is_first.swap(false, SeqCst) => act.clone(),
        _ => Act::Obey,
    })
}

#[test]
fn a_next_hop_that_hung_up_while_the_client_was_sending_is_told_everything_once_more() {
    for act in [Act::Close, Act::SayAndClose("421 4.4.2 you took too long")] {
        let (folder, hop) = (Folder::new(), hung_up_at_data(act));
        folder.write("users.txt", "jones@example.test\nsmith@example.test\nlee@example.test\n");
        let hosts = table(&[hop.address], "connections_max = 1");
        let postern = Postern::start(&folder, &config("inside", &hosts));
        let mut client = Client::greeted(postern.address());
        let all = ["jones@example.test", "smith@example.test", "lee@example.test"];
        client.envelope("sender@client.example", &all);
        client.content(b"Subject: x\r\n\r\nx\r\n").expect("250 ");
        let taken = hop.taken();
        assert_eq!(taken.len(), 1);
        assert_eq!(
            (taken[0].from.as_str(), taken[0].to.as_slice()),
            ("sender@client.example", &all.map(String::from)[..])
        );
    }
}

#[test]
fn a_recipient_that_is_refused_the_second_time_is_not_left_out_in_silence() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let (is_first, gone) = (AtomicBool::new(true), AtomicBool::new(false));
    hop.behave(move |stage, line| match stage {
        Stage::Data if is_first.swap(false, SeqCst) => {
            gone.store(true, SeqCst);
            Act::Close
        }
        Stage::Rcpt if line.contains("smith") && gone.load(SeqCst) => Act::Say("450 4.2.1 not now"),
        _ => Act::Obey,
    });
    folder.write("users.txt", "jones@example.test\nsmith@example.test\n");
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.envelope("sender@client.example", &["jones@example.test", "smith@example.test"]);
    client.content(b"Subject: x\r\n\r\nx\r\n").expect("451 4.4.2 ");
    assert!(hop.taken().is_empty());
}

#[test]
fn what_a_next_hop_says_before_the_final_dot_is_no_acceptance_and_may_be_a_refusal() {
    for (early, expected) in [
        ("354 go on\r\n250 2.0.0 taken", "451 4.4.2 "),
        ("354 go on\r\n552 5.3.4 too big", "552 5.3.4 too big"),
        ("354 go on\r\n421 4.3.2 not now", "451 4.3.2 not now"),
    ] {
        let hop = Hop::acting(move |stage, _| match stage {
            Stage::Data => Act::SayAndClose(early),
            _ => Act::Obey,
        });
        let folder = Folder::new();
        let postern = Postern::start(&folder, &config(hop.address, LIFTED));
        let heard = hear(postern.address(), "jones@example.test");
        assert!(heard.starts_with(expected), "{early:?}: {heard}");
        assert!(postern.events_named("OutcomeUnknown").is_empty());
    }
}

#[test]
fn a_next_hop_that_takes_no_connection_at_all_keeps_nobody_waiting() {
    let hop = Hop::acting(|stage, _| match stage {
        Stage::Connect => Act::SayAndClose("421 4.3.2 not now"),
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let hosts = table(&[hop.address], "breaker_failures = 100");
    let postern = Postern::start(&folder, &config("inside", &hosts));
    // At the same time: connections that are being refused are none that could become free.
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let address = postern.address();
            std::thread::spawn(move || {
                let begun = Instant::now();
                (hear(address, "jones@example.test"), begun.elapsed())
            })
        })
        .collect();
    for asked in asking {
        let (reply, took) = asked.join().unwrap();
        assert!(reply.starts_with("451 4.4.1 "), "{reply} after {took:?}");
    }
}

#[test]
fn a_next_hop_that_takes_no_further_connection_is_not_left_alone() {
    let hop = Hop::start();
    let folder = Folder::new();
    let hosts = table(&[hop.address], "breaker_failures = 1");
    let postern = Postern::start(&folder, &config("inside", &hosts));
    let mut open = Client::greeted(postern.address());
    open.envelope("sender@client.example", &["jones@example.test"]);
    hop.behave(|stage, _| match stage {
        Stage::Connect => Act::SayAndClose("421 4.3.2 too many connections"),
        _ => Act::Obey,
    });
    let ask = || {
        let mut client = Client::greeted(postern.address());
        client.say("MAIL FROM:<sender@client.example>").expect("250 ");
        let reply = client.say("RCPT TO:<jones@example.test>").text();
        (client, reply)
    };
    // The connection that there is goes from one to the next: nobody hears that it is down, and
    // whoever waits for his client does not keep it.
    let asked: Vec<_> = (0..3).map(|_| ask()).collect();
    for (_, reply) in &asked {
        assert!(reply.starts_with("250 "), "{reply}");
    }
    drop(asked);
    hop.behave(|_, _| Act::Obey);
    assert!(hear(postern.address(), "jones@example.test").starts_with("250 "));
    open.content(b"Subject: x\r\n\r\nx\r\n").expect("250 ");
    assert!(postern.events_named("NextHopDown").is_empty());
}
