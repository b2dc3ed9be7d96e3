//! Call-out against next hops that are scripted, and against real Postfix and Exim.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod connections;
mod servers;
mod trials;
mod turns;

use directory::callout::{Callout, Settings, Until};
use directory::live::{Existence, LiveSource, Trouble, TroubleKind};
use directory::trials::Trials;
use kit::certificates::Authority;
use kit::{Act, Folder, Hop, Stage, closed_port, wait_until};
use mail::address::{Domain, Mailbox};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use wire::server::{NextHopHost, NextHopTls, Trust};

const EXISTS: Existence = Existence::Exists { target: None };

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn settings(hosts: &[SocketAddr]) -> Settings {
    let host = |at: &SocketAddr| NextHopHost { host: at.ip().to_string(), port: at.port() };
    Settings {
        name: "inside".into(),
        hosts: hosts.iter().map(host).collect(),
        tls: NextHopTls::Opportunistic,
        until: Until::Rcpt,
        sender: None,
        concurrency_max: 8,
        questions_per_second_max: 1_000,
        connect_max: Duration::from_secs(30),
        question_max: Duration::from_secs(30),
        positive_seconds: 60,
        negative_seconds: 60,
    }
}

fn open(settings: &Settings) -> Arc<Callout> {
    let hostname = Domain::new("mx.example.test").unwrap();
    Callout::open(settings, &hostname, &Trials::default()).unwrap()
}

fn mailbox(local_part: &str) -> Mailbox {
    Mailbox::parse(&format!("{local_part}@example.test")).unwrap()
}

/// A call-out and the runtime it is used on.
struct Asker {
    runtime: Runtime,
    callout: Arc<Callout>,
}

impl Asker {
    fn of(address: SocketAddr) -> Self {
        Self::with(&settings(&[address]))
    }

    fn with(settings: &Settings) -> Self {
        Self { runtime: runtime(), callout: open(settings) }
    }

    fn ask(&self, local_part: &str) -> Result<Existence, Trouble> {
        self.runtime.block_on(Arc::clone(&self.callout).ask(mailbox(local_part)))
    }

    fn ask_until_data(&self, local_part: &str) -> Result<Existence, Trouble> {
        self.runtime.block_on(Arc::clone(&self.callout).ask_until_data(mailbox(local_part)))
    }

    fn try_out(&self) -> Result<String, Trouble> {
        self.runtime.block_on(Arc::clone(&self.callout).try_out())
    }

    fn trouble(&self, local_part: &str) -> TroubleKind {
        self.ask(local_part).expect_err("trouble").kind
    }
}

/// Knows jones and smith.
fn honest(stage: Stage, command: &str) -> Act {
    let knows = command.contains("jones") || command.contains("smith");
    match stage {
        Stage::Rcpt if !knows => Act::Say("550 5.1.1 no such user"),
        _ => Act::Obey,
    }
}

fn count(hop: &Hop, start: &str) -> usize {
    hop.commands().iter().filter(|command| command.starts_with(start)).count()
}

#[test]
fn an_honest_next_hop_is_asked_on_one_connection_and_hears_no_data() {
    let hop = Hop::acting(honest);
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    assert_eq!(asker.ask("smith").unwrap(), EXISTS);
    assert_eq!(hop.connections(), 1);
    assert_eq!(count(&hop, "MAIL FROM:<>"), 3);
    assert_eq!(count(&hop, "DATA"), 0);
    assert!(!asker.callout.behaviour().refuses_null && !asker.callout.behaviour().is_late);
    assert_eq!(&**asker.callout.name(), "callout inside");
}

#[test]
fn until_one_recipient_was_accepted_from_the_null_path_a_refusal_is_checked_with_a_name() {
    let hop = Hop::acting(honest);
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    assert_eq!(count(&hop, "MAIL FROM:<postmaster@mx.example.test>"), 1);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    assert_eq!(count(&hop, "MAIL FROM:<postmaster@mx.example.test>"), 1, "not again");
    assert!(!asker.callout.behaviour().refuses_null);
}

#[test]
fn where_the_null_path_is_refused_a_named_sender_asks_and_that_is_remembered() {
    for (stage, reply) in [
        (Stage::Mail, "553 5.7.1 we take no bounces"),
        (Stage::Mail, "501 what is that?"),
        (Stage::Rcpt, "554 5.7.1 <>: Sender address rejected: Access denied"),
        (Stage::Rcpt, "550 we take no bounces"),
        (Stage::Rcpt, "550 5.1.8 no such sender"),
    ] {
        let from_null = Arc::new(Mutex::new(false));
        let hop = Hop::acting(move |at, command| {
            if at == Stage::Mail {
                *from_null.lock().unwrap() = command.contains("<>");
            }
            if at == stage && *from_null.lock().unwrap() {
                return Act::Say(reply);
            }
            honest(at, command)
        });
        let settings =
            Settings { sender: Some("asker@b.example".into()), ..settings(&[hop.address]) };
        let asker = Asker::with(&settings);
        assert_eq!(asker.ask("jones").unwrap(), EXISTS, "{reply}");
        assert!(asker.callout.behaviour().refuses_null, "{reply}");
        let nulls = count(&hop, "MAIL FROM:<>");
        assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown, "{reply}");
        assert_eq!(count(&hop, "MAIL FROM:<>"), nulls, "{reply}");
        assert_eq!(count(&hop, "MAIL FROM:<asker@b.example>"), 2, "{reply}");
    }
}

#[test]
fn no_other_refusal_than_of_the_recipient_is_ever_an_answer() {
    let reply = Arc::new(Mutex::new("250 ok"));
    let said = Arc::clone(&reply);
    let hop = Hop::acting(move |stage, _| match stage {
        Stage::Rcpt => Act::Say(*said.lock().unwrap()),
        _ => Act::Obey,
    });
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    for (line, kind) in [
        ("450 4.2.0 greylisted", TroubleKind::Busy),
        ("450 5.1.1 unknown", TroubleKind::Busy),
        ("451 4.3.0 later", TroubleKind::Busy),
        ("452 4.5.3 too many", TroubleKind::Busy),
        ("550 5.7.1 not from you", TroubleKind::Unexpected),
        ("550 4.1.1 which now?", TroubleKind::Unexpected),
        ("550-no\r\n550 5.7.1 you are listed", TroubleKind::Unexpected),
        ("552 full", TroubleKind::Unexpected),
        ("554 5.1.1 unknown", TroubleKind::Unexpected),
        ("252 perhaps", TroubleKind::Unexpected),
        ("354 go on", TroubleKind::Down),
        ("hello", TroubleKind::Down),
        ("550-a\r\n250 b", TroubleKind::Down),
    ] {
        *reply.lock().unwrap() = line;
        // Whoever has talked nonsense is left alone for a second.
        wait_until("it is asked", || count_after(&hop, || drop(asker.ask("jones"))) > 0);
        let trouble = asker.ask("jones").expect_err(line);
        assert!(trouble.kind == kind || trouble.kind == TroubleKind::Down, "{line}: {trouble:?}");
    }
    for line in ["550 5.2.1 disabled", "552 5.2.2 full"] {
        *reply.lock().unwrap() = line;
        wait_until("it answers", || asker.ask("jones").is_ok());
        assert_eq!(asker.ask("jones").unwrap(), EXISTS, "{line}: he is there");
    }
    for line in ["550 5.1.1 unknown", "550 unknown", "551 gone", "553-no\r\n553 such name"] {
        *reply.lock().unwrap() = line;
        wait_until("it answers", || asker.ask("jones").is_ok());
        assert_eq!(asker.ask("jones").unwrap(), Existence::Unknown, "{line}");
    }
}

/// How many commands came meanwhile.
fn count_after(hop: &Hop, act: impl FnOnce()) -> usize {
    let before = hop.commands().len();
    act();
    hop.commands().len() - before
}

#[test]
fn whoever_does_not_get_as_far_as_rcpt_says_nothing_of_the_recipient_and_is_asked_again() {
    for (stage, act, kind) in [
        (Stage::Connect, Act::SayAndClose("554 no SMTP service here"), TroubleKind::Down),
        (Stage::Connect, Act::SayAndClose("421 4.7.0 too many"), TroubleKind::Busy),
        (Stage::Connect, Act::Close, TroubleKind::Down),
        (Stage::Ehlo, Act::Say("421 not now"), TroubleKind::Busy),
        (Stage::Ehlo, Act::Say("451 not now"), TroubleKind::Down),
        (Stage::Mail, Act::Say("550 5.7.1 nobody from there"), TroubleKind::Misconfigured),
        (Stage::Mail, Act::Say("451 4.7.1 later"), TroubleKind::Busy),
        (Stage::Mail, Act::Close, TroubleKind::Down),
        (Stage::Rcpt, Act::Close, TroubleKind::Down),
        (Stage::Rcpt, Act::SayAndClose("421 4.3.2 going down"), TroubleKind::Busy),
    ] {
        let hop = Hop::acting({
            let act = act.clone();
            move |at, _| if at == stage { act.clone() } else { Act::Obey }
        });
        let asker = Asker::of(hop.address);
        assert_eq!(asker.trouble("jones"), kind, "{stage:?} {act:?}");
        hop.behave(honest);
        wait_until("it is asked again", || asker.ask("jones").is_ok_and(|said| said == EXISTS));
        assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown, "{stage:?} {act:?}");
    }
}

#[test]
fn a_server_that_knows_no_ehlo_is_greeted_with_helo() {
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Ehlo => Act::Say("500 what?"),
        _ => honest(stage, command),
    });
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(count(&hop, "HELO mx.example.test"), 1);
}

#[test]
fn one_that_is_silent_costs_its_share_of_the_time_and_the_next_is_asked() {
    let silent = Hop::acting(|stage, _| match stage {
        Stage::Rcpt => Act::Silence,
        _ => Act::Obey,
    });
    let good = Hop::acting(honest);
    // Half of it is for the good one, however busy this machine is.
    let question_max = Duration::from_secs(6);
    let asker =
        Asker::with(&Settings { question_max, ..settings(&[silent.address, good.address]) });
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    let question_max = Duration::from_millis(1_500);
    let asker = Asker::with(&Settings { question_max, ..settings(&[silent.address]) });
    assert_eq!(asker.trouble("jones"), TroubleKind::Slow);
    assert_eq!(asker.trouble("jones"), TroubleKind::Slow);
    assert_eq!(asker.trouble("jones"), TroubleKind::Slow);
    assert_eq!(asker.trouble("jones"), TroubleKind::Down, "left alone now, at no cost");
    silent.behave(honest);
    wait_until("it is asked again", || asker.ask("jones").is_ok());
}

#[test]
fn nobody_there_is_trouble_until_somebody_is() {
    let address = closed_port();
    let asker = Asker::of(address);
    let trouble = asker.ask("jones").unwrap_err();
    assert_eq!(trouble.kind, TroubleKind::Down);
    assert!(trouble.to_string().contains(&address.to_string()), "{trouble}");
    let hop = Hop::at(address);
    hop.behave(honest);
    wait_until("it is asked again", || asker.ask("jones").is_ok());
}

/// Serves each connection with this function, on a thread of its own.
fn serve(with: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let with = Arc::new(with);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (with, socket) = (Arc::clone(&with), socket.unwrap());
            std::thread::spawn(move || with(socket));
        }
    });
    address
}

#[test]
fn replies_of_many_lines_that_come_octet_by_octet_are_read() {
    let address = serve(|socket| {
        socket.set_nodelay(true).unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
        let drip = |reply: &str| {
            for octet in reply.bytes() {
                (&socket).write_all(&[octet]).unwrap();
            }
        };
        drip("220-slow.example.test\r\n220-says hello\r\n220 at length\r\n");
        while let Some(Ok(line)) = lines.next() {
            match line.split(' ').next().unwrap() {
                "EHLO" => drip("250-slow.example.test\r\n250 8BITMIME\r\n"),
                "RCPT" if line.contains("nobody") => {
                    drip(
                        "550-5.1.1 The address\r\n550-5.1.1 that you gave\r\n550 5.1.1 is none\r\n",
                    );
                }
                _ => drip("250-2.0.0 well\r\n250 2.0.0 well\r\n"),
            }
        }
    });
    let asker = Asker::of(address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
}

/// Takes every recipient at RCPT, and refuses all but jones and smith behind DATA.
fn late(refusal: &'static str) -> impl Fn(Stage, &str) -> Act {
    let knows = Mutex::new(false);
    move |stage, command| {
        let mut knows = knows.lock().unwrap();
        if stage == Stage::Rcpt {
            *knows = matches!(honest(stage, command), Act::Obey);
        }
        match stage {
            Stage::Data if !*knows => Act::Say(refusal),
            _ => Act::Obey,
        }
    }
}

#[test]
fn one_that_is_late_is_found_out_and_is_asked_until_data() {
    let hop = Hop::acting(late("550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found"));
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("nobody").unwrap(), EXISTS, "as far as RCPT it looks like an accept-all");
    assert!(!asker.callout.behaviour().is_late);
    assert_eq!(asker.ask_until_data("nobody").unwrap(), Existence::Unknown);
    assert!(asker.callout.behaviour().is_late);

    let asker = Asker::with(&Settings { until: Until::Data, ..settings(&[hop.address]) });
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody").unwrap(), Existence::Unknown);
    assert!(asker.callout.behaviour().is_late);
    hop.behave(late("554 5.6.0 not with this content"));
    assert_eq!(asker.trouble("nobody"), TroubleKind::Unexpected);
    hop.behave(late("451 4.3.0 no room"));
    assert_eq!(asker.trouble("nobody"), TroubleKind::Busy);
    hop.behave(|_, _| Act::Obey);
    assert_eq!(asker.ask("nobody").unwrap(), EXISTS, "an accept-all at both");
    assert!(hop.taken().is_empty());
}

#[test]
fn behind_354_the_connection_ends_without_a_word() {
    let (heard, behind_data) = mpsc::channel();
    let heard = Mutex::new(heard);
    let address = serve(move |mut socket| {
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        socket.write_all(b"220 mail.example.test\r\n").unwrap();
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 0 {
            if line.starts_with("DATA") {
                socket.write_all(b"354 go on\r\n").unwrap();
                let mut rest = Vec::new();
                let _ = reader.read_to_end(&mut rest);
                heard.lock().unwrap().send(rest).unwrap();
                return;
            }
            socket.write_all(b"250 ok\r\n").unwrap();
            line.clear();
        }
    });
    let asker = Asker::with(&Settings { until: Until::Data, ..settings(&[address]) });
    for _ in 0..3 {
        assert_eq!(asker.ask("jones").unwrap(), EXISTS);
        assert_eq!(behind_data.recv_timeout(kit::PATIENCE).unwrap(), b"");
    }
}

#[test]
fn another_banner_is_another_epoch_and_another_date_is_not() {
    let greeting =
        Arc::new(Mutex::new("220 a.example.test ESMTP Exim 4.96 Mon, 23 Nov 2026 15:58:23"));
    let said = Arc::clone(&greeting);
    let hop = Hop::acting(move |stage, command| match stage {
        Stage::Connect => Act::Say(*said.lock().unwrap()),
        // A connection each: nothing is heard of a new server on an old connection.
        Stage::Rcpt => match honest(stage, command) {
            Act::Obey => Act::SayAndClose("250 ok"),
            _ => Act::SayAndClose("550 5.1.1 no such user"),
        },
        _ => Act::Obey,
    });
    let asker = Asker::of(hop.address);
    let first = asker.callout.epoch();
    let ask = || assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    ask();
    *greeting.lock().unwrap() = "220 a.example.test ESMTP Exim 4.96 Tue, 24 Nov 2026 01:02:03";
    ask();
    assert_eq!(asker.callout.epoch(), first);
    *greeting.lock().unwrap() = "220 a.example.test Microsoft ESMTP MAIL Service ready";
    ask();
    assert_ne!(asker.callout.epoch(), first);
}

#[test]
fn what_was_learned_of_manners_is_forgotten_with_the_banner() {
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Connect => Act::Say("220 old.example.test"),
        Stage::Mail if command.contains("<>") => Act::Say("550 no"),
        Stage::Rcpt if command.contains("nobody") => Act::Close,
        _ => Act::Obey,
    });
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert!(asker.callout.behaviour().refuses_null);
    assert_eq!(asker.trouble("nobody"), TroubleKind::Down, "it hangs up");
    hop.behave(|stage, command| match stage {
        Stage::Connect => Act::Say("220 new.example.test"),
        _ => honest(stage, command),
    });
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    assert!(!asker.callout.behaviour().refuses_null);
}

#[test]
fn tls_is_used_as_it_is_set() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let certificate = authority.sign("127.0.0.1");
    let hop = Hop::with_tls(certificate.server());
    hop.behave(honest);
    let with = |tls| Asker::with(&Settings { tls, ..settings(&[hop.address]) });
    let believing = |pem: &str, name: &str| NextHopTls::Require {
        trust: Trust::Authorities(folder.write(name, pem)),
        name: None,
    };
    for (tls, said) in [
        (NextHopTls::None, "in the clear"),
        (NextHopTls::Opportunistic, "under TLS"),
        (believing(&authority.pem, "ca.pem"), "under TLS"),
    ] {
        let asker = with(tls);
        assert_eq!(asker.ask("jones").unwrap(), EXISTS);
        let found = asker.try_out().unwrap();
        assert!(found.contains(said) && found.contains("takes <>"), "{found}");
    }
    let wrong = with(believing(&Authority::new().pem, "other.pem"));
    assert_eq!(wrong.trouble("jones"), TroubleKind::Misconfigured);
    let plain = Hop::acting(honest);
    let tls = believing(&authority.pem, "again.pem");
    let asker = Asker::with(&Settings { tls, ..settings(&[plain.address]) });
    assert_eq!(asker.trouble("jones"), TroubleKind::Misconfigured);
    assert_eq!(count(&plain, "MAIL"), 0);
}

#[test]
fn a_trial_says_what_greets_and_whether_the_null_path_is_taken() {
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Mail if command.contains("<>") => Act::Say("550 5.7.1 no bounces"),
        _ => honest(stage, command),
    });
    let asker = Asker::of(hop.address);
    let found = asker.try_out().unwrap();
    assert!(found.contains("next-hop.example ESMTP"), "{found}");
    assert!(found.contains("refuses <>, takes <postmaster@mx.example.test>"), "{found}");
    hop.behave(|stage, _| match stage {
        Stage::Mail => Act::Say("550 5.7.1 nobody"),
        _ => Act::Obey,
    });
    let trouble = asker.try_out().unwrap_err();
    assert_eq!(trouble.kind, TroubleKind::Misconfigured);
    assert!(trouble.remedy.contains("`sender`"), "{trouble:?}");
}
