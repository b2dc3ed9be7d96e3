//! Clients are asked for a name in the DNS, where the operator says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::{Client, Dns, DnsMood, Folder, Hop, Postern, config};

/// Clients come through a proxy, since addresses of this machine never have names of their own.
fn postern(folder: &Folder, hop: &Hop, dns: &Dns) -> Postern {
    let more = format!("[dns]\nrequire_reverse_name = true\nservers = [\"{}\"]\n", dns.address);
    let proxy = "\nproxy_protocol = true\nproxy_from = [\"127.0.0.1/32\"]\n";
    let config = config(hop.address, &more);
    let config = config.replace("\"127.0.0.1:0\"\n", &format!("\"127.0.0.1:0\"{proxy}"));
    Postern::start(folder, &config)
}

fn client(postern: &Postern, address: &str) -> Client {
    let mut client = Client::silent(postern.address());
    client.send(format!("PROXY TCP4 {address} 10.0.0.2 12345 25\r\n").as_bytes());
    client.reply().expect("220 ");
    client.say("EHLO client.example").expect("250 ");
    client
}

#[test]
fn a_client_without_a_name_is_put_off_and_one_with_a_name_is_called_by_it() {
    let (folder, hop, dns) = (Folder::new(), Hop::start(), Dns::start());
    dns.reverse("192.0.2.7", "out.client.example").forward("out.client.example", "192.0.2.7");
    let postern = postern(&folder, &hop, &dns);

    client(&postern, "192.0.2.7").message(b"Subject: x\r\n\r\nhello\r\n").expect("250 ");
    let content = String::from_utf8_lossy(&hop.taken().last().unwrap().content).into_owned();
    let trace = "Received: from client.example (out.client.example [192.0.2.7])\r\n";
    assert!(content.starts_with(trace), "{content}");

    let mut nameless = client(&postern, "192.0.2.8");
    nameless.say("MAIL FROM:<smith@client.example>").expect("250 ");
    nameless.say("RCPT TO:<jones@example.test>").expect("450 4.7.25 ");
    nameless.say("RCPT TO:<postmaster@example.test>").expect("250 ");
}

#[test]
fn a_dns_that_fails_costs_nobody_his_mail() {
    let (folder, hop, dns) = (Folder::new(), Hop::start(), Dns::start());
    let postern = postern(&folder, &hop, &dns);
    for (mood, address) in [(DnsMood::Says(2), "192.0.2.7"), (DnsMood::Silent, "192.0.2.8")] {
        dns.set_mood(mood);
        client(&postern, address).message(b"Subject: x\r\n\r\nhello\r\n").expect("250 ");
    }
    assert!(dns.questions() > 0);
}
