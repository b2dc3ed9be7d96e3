//! What mail itself shows, through whole sessions: before a next hop that takes everything,
//! observing finds the invented names; what was learned survives a restart and is enforced.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use directory::learned::report::{Doubtful, report_from, why_from};
use directory::learned::{Belief, Kind};
use directory::store::Store;
use kit::{Act, Client, Folder, Hop, Postern, Stage, wait_until};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";
/// The office, whose mail teaches.
const OFFICE: &str = "127.0.0.2";
/// Anybody.
const STRANGER: &str = "127.0.0.9";

fn config(hop: &Hop, learned: &str) -> String {
    format!(
        r#"hostname = "mx.example.test"
state_dir = "state"

[[listener]]
address = "127.0.0.1:0"

[metrics]
address = "127.0.0.1:0"

[[network]]
name = "office"
addresses = ["{OFFICE}"]
teaches = true

[[network]]
name = "tests"
addresses = ["127.0.0.0/8"]
limits = "lifted"

[[domain]]
name = "example.test"
next_hop = "{}"
recipients = [{{ {learned} }}]
"#,
        hop.address
    )
}

fn start(folder: &Folder, hop: &Hop, learned: &str) -> Postern {
    std::fs::create_dir_all(folder.file("state")).unwrap();
    Postern::start(folder, &config(hop, learned))
}

fn stop(mut postern: Postern) {
    postern.signal(Signal::SIGTERM);
    assert!(postern.process.wait().success());
}

fn connect(from: &str, postern: &Postern) -> Client {
    let mut client = Client::silent_from(from.parse::<IpAddr>().unwrap(), postern.address());
    client.reply().expect("220 ");
    client.say("EHLO client.example").expect("250 ");
    client
}

fn send(client: &mut Client, from: &str, to: &[&str]) {
    client.envelope(from, to);
    client.content(MESSAGE).expect("250 2.0.0 ");
}

fn kept(folder: &Folder) -> Store {
    Store::open_to_read(&folder.file("state")).unwrap()
}

fn report(folder: &Folder) -> Vec<Doubtful> {
    report_from(&kept(folder), 100).unwrap()
}

fn figures(postern: &Postern) -> String {
    let mut stream = TcpStream::connect(postern.figures.unwrap()).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn before_an_accept_all_next_hop_observing_finds_the_invented_names() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = start(&folder, &hop, "learned = true, unseen = \"refuse\"");
    let mut stranger = connect(STRANGER, &postern);
    let invented = ["qa@example.test", "info42@example.test", "zz@example.test"];
    send(&mut stranger, "spam@client.example", &["Jones@example.test", invented[0], invented[1]]);
    send(&mut stranger, "", &[invented[2]]);
    send(&mut stranger, "worm@client.example", &[invented[0]]);
    // A stranger who writes in somebody's name teaches nothing.
    send(&mut stranger, "zz@example.test", &["green@example.test"]);
    let mut office = connect(OFFICE, &postern);
    send(&mut office, "jones@example.test", &["green@example.test"]);
    send(&mut office, "green@EXAMPLE.test", &["jones@example.test"]);
    // Those who are known by now.
    send(&mut stranger, "friend@client.example", &["jones@example.test", "green@example.test"]);
    wait_until("the report names the invented and nobody else", || {
        let mut named: Vec<_> = report(&folder).into_iter().map(|line| line.address).collect();
        named.sort_unstable();
        named == ["info42@example.test", "qa@example.test", "zz@example.test"]
    });
    let report = report(&folder);
    assert_eq!((report[0].address.as_str(), report[0].count), (invented[0], 2));
    assert_eq!((report[0].code, report[0].client.as_str()), (550, STRANGER));
    assert_eq!(report[0].reverse_path, "worm@client.example");
    let notice = report.iter().find(|line| line.address == invented[2]).unwrap();
    assert_eq!(notice.reverse_path, "", "the null one");
    let page = figures(&postern);
    for line in ["postern_learned_positives 2\n", "postern_learned_negatives 0\n", "_doubtful 3\n"]
    {
        assert!(page.contains(line), "{line}{page}");
    }
    // Four times an invented name, and three times somebody who had not written yet.
    assert!(page.contains("postern_learned_would_refuse 7\n"), "{page}");
    assert_eq!(hop.taken().len(), 7, "nothing was refused");
}

#[test]
fn what_was_observed_is_enforced_after_a_restart() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = start(&folder, &hop, "learned = true");
    send(&mut connect(OFFICE, &postern), "jones@example.test", &["green@example.test"]);
    stop(postern);
    let why = why_from(&kept(&folder), "jones@example.test").unwrap();
    assert_eq!((why.belief, why.evidence.len()), (Belief::Exists, 1));
    assert_eq!(why.evidence[0].kind, Kind::OutboundSender);

    let postern = start(&folder, &hop, "learned = true, mode = \"enforce\"");
    let mut client = connect(STRANGER, &postern);
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<jones@example.test>").expect("250 ");
    client.say("RCPT TO:<green@example.test>").expect("451 4.4.3 ");
    client.say("RCPT TO:<postmaster@example.test>").expect("250 ");
    drop(client);
    stop(postern);

    let everybody = "learned = true, mode = \"enforce\", unseen = \"refuse\"";
    let postern = start(&folder, &hop, everybody);
    let mut client = connect(STRANGER, &postern);
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<jones@example.test>").expect("250 ");
    client.say("RCPT TO:<green@example.test>").expect("550 5.1.1 ");
}

#[test]
fn whom_the_next_hop_refuses_it_is_not_asked_for_again() {
    let (folder, hop) = (Folder::new(), Hop::start());
    hop.behave(|stage, command| match stage {
        Stage::Rcpt if command.contains("gone@") => Act::Say("550 5.1.1 no such user"),
        Stage::Rcpt if command.contains("full@") => Act::Say("552 5.2.2 full"),
        _ => Act::Obey,
    });
    let settings = "learned = true, mode = \"enforce\", unseen = \"accept\"";
    let postern = start(&folder, &hop, settings);
    let ask = |postern: &Postern| {
        let mut client = connect(STRANGER, postern);
        client.say("MAIL FROM:<a@client.example>").expect("250 ");
        client.say("RCPT TO:<gone@example.test>").expect("550 5.1.1 ");
        client.say("RCPT TO:<full@example.test>").expect("552 5.2.2 ");
        client.say("RCPT TO:<jones@example.test>").expect("250 ");
    };
    let asked = |name: &str| hop.commands().iter().filter(|c| c.contains(name)).count();
    (0..3).for_each(|_| ask(&postern));
    stop(postern);
    ask(&start(&folder, &hop, settings));
    assert_eq!((asked("gone@"), asked("full@")), (1, 4));
}
