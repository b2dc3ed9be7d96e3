//! Connections to the next hop are served by turns: who takes all of them and is silent does not
//! keep the others' mail waiting.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::{Client, Folder, Hop, Postern, config};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a person may feel of it, for a whole message; far above what it takes.
const PATIENCE: Duration = Duration::from_secs(2);

fn from(source: &str, address: SocketAddr) -> Client {
    let mut client = Client::silent_from(source.parse().unwrap(), address);
    client.reply().expect("220 ");
    client.say("EHLO client.example").expect("250 ");
    client
}

/// Begins a transaction, and is silent from then on.
fn idle(source: &str, address: SocketAddr) -> Client {
    let mut client = from(source, address);
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.send(b"RCPT TO:<postmaster@example.test>\r\n");
    client
}

fn mail_goes_on_from(good: &str, attackers: &[&str], connections_max: u32, each: usize) {
    let (folder, hop) = (Folder::new(), Hop::start());
    folder.write("users.txt", "jones@example.test\n");
    let table = format!(
        "[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\nconnections_max = {connections_max}\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    let sources = attackers.iter().flat_map(|source| std::iter::repeat_n(source, each));
    let _idle: Vec<Client> = sources.map(|source| idle(source, postern.address())).collect();
    // Those that wait are there when every connection is in use.
    kit::wait_until("all are in use", || hop.connections() >= connections_max as usize);
    for n in 1..=5 {
        let begun = Instant::now();
        let mut client = from(good, postern.address());
        client.envelope("sender@client.example", &["jones@example.test"]);
        client.content(b"Subject: x\r\n\r\nx\r\n").expect("250 2.0.0 ");
        let took = begun.elapsed();
        assert!(took < PATIENCE, "message {n} took {took:?}");
    }
    assert_eq!(hop.taken().len(), 5);
}

#[test]
fn twelve_idle_transactions_of_three_neighbours_keep_no_mail_waiting() {
    mail_goes_on_from("127.0.0.9", &["127.0.0.2", "127.0.0.3", "127.0.0.4"], 4, 4);
}

#[test]
fn idle_transactions_of_two_other_networks_keep_no_mail_waiting() {
    let attackers = ["127.0.1.2", "127.0.1.3", "127.0.2.2", "127.0.2.3"];
    mail_goes_on_from("127.0.3.9", &attackers, 4, 3);
}

#[test]
fn idle_transactions_by_the_dozen_keep_no_mail_waiting_for_the_connections_there_are() {
    let attackers = ["127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5"];
    mail_goes_on_from("127.0.3.9", &attackers, 20, 10);
}
