//! Sessions that go on in unusual ways, seen from both ends: pipelining, smuggling, leaving early,
//! silence, and more clients than connections to the next hop.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, config};
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

fn has_data(hop: &Hop) -> bool {
    hop.commands().iter().any(|command| command == "DATA")
}

#[test]
fn a_session_in_two_flights_gets_every_reply_in_order() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    let mut flight = String::from("NOOP\r\nMAIL FROM:<a@client.example>\r\n");
    for n in 0..60 {
        let _ = write!(flight, "RCPT TO:<nobody{n}@example.test>\r\n");
        flight.push_str("RCPT TO:<jones@example.test>\r\n");
    }
    // DATA ends a flight (RFC 2920 §3.1).
    client.send(format!("{flight}DATA\r\n").as_bytes());
    client.reply().expect("250 2.");
    client.reply().expect("250 2.1.0 ");
    for _ in 0..60 {
        client.reply().expect("550 5.1.1 ");
        client.reply().expect("250 2.1.5 ");
    }
    client.reply().expect("354 ");
    let rest = "MAIL FROM:<b@client.example>\r\nRSET\r\nVRFY jones\r\nQUIT\r\n";
    client.send(format!("Subject: x\r\n\r\nhello\r\n.\r\n{rest}").as_bytes());
    for expected in ["250 2.0.0 ", "250 2.1.0 ", "250 2.", "252 ", "221 "] {
        client.reply().expect(expected);
    }
    assert!(client.is_closed());
    assert_eq!(hop.taken().len(), 1);
    assert_eq!(hop.taken()[0].to.len(), 60);
}

#[test]
fn whoever_does_not_wait_for_the_reply_to_data_is_sent_away() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.envelope("a@client.example", &["jones@example.test"]);
    client.send(b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n");
    client.reply().expect("503 5.5.0 ");
    assert!(client.is_closed());
    assert!(!has_data(&hop));
}

#[test]
fn what_others_take_for_a_final_dot_smuggles_nothing() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    for dot in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"] {
        let mut client = Client::greeted(postern.address());
        client.envelope("a@client.example", &["jones@example.test"]);
        client.say("DATA").expect("354 ");
        let smuggled = "MAIL FROM:<ceo@example.test>\r\nRCPT TO:<smith@example.test>\r\nDATA\r\n";
        client.send(format!("Subject: x\r\n\r\nx{dot}{smuggled}evil\r\n.\r\n").as_bytes());
        let reply = client.reply();
        assert!(reply.text().starts_with("550 5.6.0 "), "{dot:?}: {}", reply.text());
        // Whoever tries that may try more: the session is over.
        assert!(client.is_closed());
    }
    assert!(hop.taken().is_empty() && !has_data(&hop));
}

#[test]
fn a_client_that_leaves_before_the_final_dot_leaves_nothing_behind() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    {
        let mut client = Client::greeted(postern.address());
        client.envelope("a@client.example", &["jones@example.test"]);
        client.say("DATA").expect("354 ");
        client.send(b"Subject: half\r\n\r\nhalf a li");
    }
    assert_eq!(postern.wait_for("SessionClosed")["why"], "client_gone");
    assert!(!has_data(&hop));
    // The next hop's connection is of use to the next client.
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    assert_eq!(hop.taken().len(), 1);
    assert!(!hop.taken()[0].content.windows(4).any(|part| part == b"half"));
}

#[test]
fn a_client_that_says_nothing_hears_421_and_frees_its_place() {
    let (folder, hop) = (Folder::new(), Hop::start());
    // A second for the content; more for commands, so that a busy machine says each in time.
    let limits = "[limits]\ncommand_seconds_max = 5\ncontent_stall_seconds_max = 1\n\
                  [limits.busy]\ncommand_seconds_max = 5\ncontent_stall_seconds_max = 1\n\
                  [limits.stress]\ncommand_seconds_max = 5\ncontent_stall_seconds_max = 1\n";
    let postern = Postern::start(&folder, &config(hop.address, &format!("{LIFTED}{limits}")));
    let mut idle = Client::greeted(postern.address());
    let mut stalled = Client::greeted(postern.address());
    stalled.envelope("a@client.example", &["jones@example.test"]);
    stalled.say("DATA").expect("354 ");
    stalled.send(b"Subject: x\r\n");
    idle.reply().expect("421 4.4.2 ");
    assert!(idle.is_closed());
    stalled.reply().expect("421 4.4.2 ");
    assert!(stalled.is_closed());
    assert!(!has_data(&hop));
}

#[test]
fn the_next_hop_never_sees_more_connections_than_are_allowed_it() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let hop = {
        let (open, most) = (Arc::clone(&open), Arc::clone(&most));
        Hop::acting(move |stage, _| {
            // Between DATA and the dot at most as many as are allowed can be under way.
            match stage {
                Stage::Data => {
                    most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
                }
                Stage::Dot => {
                    std::thread::sleep(Duration::from_millis(5));
                    open.fetch_sub(1, SeqCst);
                }
                _ => {}
            }
            Act::Obey
        })
    };
    let folder = Folder::new();
    let table = format!(
        "{LIFTED}[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\nconnections_max = 3\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut client = Client::greeted(postern.address());
                    client.message(MESSAGE).expect("250 ");
                    client.say("QUIT").expect("221 ");
                }
            });
        }
    });
    assert_eq!(hop.taken().len(), 200);
    assert!(most.load(SeqCst) <= 3, "{} at once", most.load(SeqCst));
}

#[test]
fn a_reload_forgets_nothing_that_the_next_hop_offers_and_leaks_no_descriptors() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let offer = || Client::connect(postern.address()).say("EHLO x.example").lines;
    kit::wait_until("8BITMIME is offered", || offer().contains(&"8BITMIME".into()));
    let before = offer();
    let descriptors = postern.process.descriptors().len();
    for n in 1..=15 {
        postern.signal(Signal::SIGHUP);
        postern.wait_for_nth("ConfigurationReloaded", n);
        assert_eq!(offer(), before);
        Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    }
    kit::wait_until("descriptors are given back", || {
        postern.process.descriptors().len() <= descriptors + 6
    });
}

#[test]
fn told_to_end_twice_it_ends_at_once() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let mut postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut open = Client::greeted(postern.address());
    open.envelope("a@client.example", &["jones@example.test"]);
    postern.signal(Signal::SIGTERM);
    postern.wait_for("Draining");
    postern.signal(Signal::SIGTERM);
    assert_eq!(postern.process.wait().code(), Some(130));
}

#[test]
fn clients_that_trickle_their_content_do_not_keep_others_from_the_next_hop() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let table = format!(
        "[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\nconnections_max = 5\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    let mut slow: Vec<Client> = (0..5).map(|_| Client::greeted(postern.address())).collect();
    for client in &mut slow {
        client.envelope("a@client.example", &["jones@example.test"]);
        client.say("DATA").expect("354 ");
        client.send(b"Subject: slow\r\n\r\n");
    }
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    assert_eq!(postern.wait_for("ConnectionRecalled")["subject"], hop.address.to_string());
    // One of them has lost its connection for that, and nothing else.
    for client in &mut slow {
        client.send(b"at last\r\n.\r\n");
        client.reply().expect("250 ");
    }
    assert_eq!(hop.taken().len(), 6);
}

/// A next hop that takes one connection at a time, and as much more of the configuration.
fn with_one_connection(folder: &Folder, hop: &Hop, more: &str) -> Postern {
    let table = format!(
        "[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\nconnections_max = 1\n{more}",
        hop.address
    );
    Postern::start(folder, &config("inside", &table))
}

/// Mail of thirty clients that came together, so that every thread serves some of them: one after
/// the other, and then all at once.
fn thirty_are_served(connections_max: u32, admitted_max: usize) {
    let (folder, hop) = (Folder::new(), Hop::start());
    hop.admit(admitted_max);
    let table = format!(
        "{LIFTED}[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\n\
         connections_max = {connections_max}\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    let mut clients: Vec<Client> = (0..30).map(|_| Client::greeted(postern.address())).collect();
    for client in &mut clients {
        client.message(MESSAGE).expect("250 ");
    }
    assert_eq!((hop.taken().len(), hop.connections()), (30, 1), "one connection is enough");
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                client.message(MESSAGE).expect("250 ");
            });
        }
    });
    assert_eq!(hop.taken().len(), 60);
}

#[test]
fn a_next_hop_that_may_have_one_connection_gets_the_mail_of_all_threads() {
    thirty_are_served(1, usize::MAX);
}

#[test]
fn a_next_hop_that_takes_fewer_connections_than_it_may_have_costs_nobody_his_mail() {
    thirty_are_served(20, 1);
    thirty_are_served(1, 1);
}

#[test]
fn a_client_that_guesses_names_does_not_keep_others_from_the_next_hop_while_it_is_held_back() {
    let (folder, hop) = (Folder::new(), Hop::start());
    // Longer than anybody waits for a connection.
    let harvest = "[harvest]\nsession_unknown_max = 1\ndelay_milliseconds = 60000\n";
    let postern = with_one_connection(&folder, &hop, harvest);
    let mut guessing = Client::greeted(postern.address());
    guessing.envelope("a@client.example", &["jones@example.test"]);
    guessing.say("RCPT TO:<guess@example.test>").expect("550 5.1.1 ");
    guessing.send(b"RCPT TO:<guess@example.test>\r\n");
    postern.wait_for_nth("RecipientRefused", 2);
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    assert_eq!(postern.wait_for("ConnectionRecalled")["subject"], hop.address.to_string());
}

#[test]
fn a_client_that_takes_no_replies_does_not_keep_others_from_the_next_hop() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = with_one_connection(&folder, &hop, LIFTED);
    let mut deaf = Client::reluctant_from([127, 0, 0, 1].into(), postern.address());
    deaf.reply().expect("220 ");
    deaf.say("EHLO client.example").expect("250 ");
    deaf.envelope("a@client.example", &["jones@example.test"]);
    // As much as fits on the way; from then on we wait until it takes our replies.
    let flight = "RCPT TO:<elsewhere@client.example>\r\n".repeat(100);
    deaf.set_write_timeout(Duration::from_millis(500));
    while deaf.try_send(flight.as_bytes()).is_ok() {}
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    assert_eq!(postern.wait_for("ConnectionRecalled")["subject"], hop.address.to_string());
}

#[test]
fn a_slow_next_hop_does_not_keep_back_what_was_said_of_the_message_before() {
    let (let_go, held) = mpsc::channel();
    let (held, was_let_go) = (Mutex::new(held), Arc::new(AtomicBool::new(false)));
    let so = Arc::clone(&was_let_go);
    let hop = Hop::acting(move |stage, command| {
        if stage == Stage::Rcpt && command.contains("smith") {
            // Less than the client waits: where it is kept back, it comes when this is over.
            let word = held.lock().unwrap().recv_timeout(Duration::from_secs(20));
            so.store(word.is_ok(), SeqCst);
        }
        Act::Obey
    });
    let folder = Folder::new();
    folder.write("users.txt", "jones@example.test\nsmith@example.test\n");
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.envelope("a@client.example", &["jones@example.test"]);
    client.say("DATA").expect("354 ");
    let next = "MAIL FROM:<a@client.example>\r\nRCPT TO:<smith@example.test>\r\n";
    client.send(format!("Subject: x\r\n\r\nhello\r\n.\r\n{next}").as_bytes());
    client.reply().expect("250 2.0.0 ");
    let_go.send(()).unwrap();
    client.reply().expect("250 2.1.0 ");
    client.reply().expect("250 2.1.5 ");
    assert!(was_let_go.load(SeqCst), "the client heard of its message when the next hop spoke");
}

#[test]
fn what_cannot_be_read_at_mail_and_rcpt_has_an_id_that_the_log_tells() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    let lines = [
        ("MAIL FROM:<a b>", "501 5.1.7 ", "MailRefused"),
        ("MAIL FROM:<a@client.example> FOO=1", "555 5.5.4 ", "MailRefused"),
        ("MAIL FROM:<a@client.example>", "250 2.", ""),
        ("RCPT TO:<jones@example.test> FOO=1", "555 5.5.4 ", "RecipientRefused"),
        ("RCPT TO:<x y>", "501 5.1.3 ", "RecipientRefused"),
    ];
    for (line, expected, event) in lines {
        let reply = client.say(line);
        let text = reply.expect(expected).text();
        if event.is_empty() {
            continue;
        }
        let id = text.split_once("(id ").expect("an id").1.split(')').next().unwrap();
        let told = |line: &str| {
            let told: serde_json::Value = serde_json::from_str(line).ok()?;
            (told["id"] == id).then_some(told)
        };
        let told = postern.process.output.wait_for(told, kit::PATIENCE).expect("it is told");
        assert_eq!((&told["event"], &told["refusal"]), (&event.into(), &"malformed".into()));
    }
}
