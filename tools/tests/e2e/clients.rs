//! Clients that others wrote, against our binary: swaks, Python's smtplib, nmap, smtp-source.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::certificates::Authority;
use kit::process::run;
use kit::servers::Sink;
use kit::{Folder, Hop, LIFTED, Postern, config, find_program, has};
use std::net::SocketAddr;
use std::process::Command;

fn swaks(server: SocketAddr, to: &str, more: &[&str]) -> (bool, String) {
    let mut command = Command::new("swaks");
    command.args(["--server", &server.ip().to_string(), "--port", &server.port().to_string()]);
    command.args(["--from", "sender@client.example", "--helo", "client.example", "--to", to]);
    run(command.args(["--timeout", "30"]).args(more))
}

fn python(server: SocketAddr, script: &str) -> String {
    let opening = "import smtplib, sys\n\
        s = smtplib.SMTP(sys.argv[1], int(sys.argv[2]), 'client.example', timeout=60)\n";
    let mut command = Command::new("python3");
    command.arg("-c").arg(format!("{opening}{script}"));
    let (content, said) = run(command.arg(server.ip().to_string()).arg(server.port().to_string()));
    assert!(content, "{said}");
    said
}

#[test]
fn swaks_delivers_to_a_known_recipient_and_is_refused_an_unknown_one() {
    if !has(&["swaks"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));

    let (content, said) = swaks(postern.address(), "jones@example.test", &["--body", "hello"]);
    assert!(content, "{said}");
    assert!(said.contains("<-  250 2.0.0 "), "{said}");
    let taken = hop.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (&*taken[0].from, &*taken[0].to[0]),
        ("sender@client.example", "jones@example.test")
    );
    assert!(String::from_utf8_lossy(&taken[0].content).contains("\r\n\r\nhello\r\n"));

    let (content, said) = swaks(postern.address(), "nobody-here@example.test", &[]);
    assert!(!content, "{said}");
    assert!(said.contains("<** 550 5.1.1 "), "{said}");
    assert_eq!(hop.taken().len(), 1);
    assert!(!hop.commands().iter().any(|command| command.contains("nobody-here")));
    assert_eq!(postern.wait_for("RecipientRefused")["status"], "5.1.1");
}

#[test]
fn swaks_delivers_over_starttls() {
    if !has(&["swaks"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    Authority::new().sign("mx.example.test").write(&folder);
    let tls = "[tls]\ncertificate = \"mx.pem\"\nkey = \"mx.key\"\n";
    let postern = Postern::start(&folder, &config(hop.address, tls));
    let (content, said) = swaks(postern.address(), "jones@example.test", &["--tls"]);
    assert!(content, "{said}");
    assert!(said.contains("=== TLS started"), "{said}");
    let received = String::from_utf8_lossy(&hop.taken()[0].content).into_owned();
    assert!(received.contains("with ESMTPS"), "{received}");
}

#[test]
fn smtplib_hears_of_the_one_recipient_who_is_unknown_and_delivers_to_the_others() {
    if !has(&["python3"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let said = python(
        postern.address(),
        "to = ['jones@example.test', 'green@example.test', 'smith@example.test']\n\
         print(s.sendmail('sender@client.example', to, 'Subject: three\\r\\n\\r\\n.\\r\\n..x\\r\\n'))\n\
         s.quit()",
    );
    assert!(said.contains("{'green@example.test': (550, b'5.1.1 "), "{said}");
    let taken = hop.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].to, ["jones@example.test", "smith@example.test"]);
    assert!(taken[0].content.ends_with(b"\r\nSubject: three\r\n\r\n.\r\n..x\r\n"));
}

#[test]
fn smtplib_sends_eight_bit_and_large_messages_that_arrive_octet_by_octet() {
    if !has(&["python3"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    // What the next hop offers is known once it has been greeted.
    kit::wait_until("8BITMIME is offered", || {
        let mut client = kit::Client::connect(postern.address());
        client.say("EHLO x.example").lines.contains(&"8BITMIME".into())
    });
    python(
        postern.address(),
        "head = b'Subject: big\\r\\n\\r\\n'\n\
         line = bytes(range(128, 256)) * 3 + b'\\r\\n.\\r\\n'\n\
         s.sendmail('a@client.example', ['jones@example.test'], head + line * 30000, ['BODY=8BITMIME'])\n\
         s.sendmail('b@client.example', ['smith@example.test'], head + b'caf\\xe9\\r\\n', ['BODY=8BITMIME'])\n\
         s.quit()",
    );
    let taken = hop.taken();
    assert_eq!(taken.len(), 2);
    let bytes: Vec<u8> = (128..=255).collect();
    let line = [bytes.repeat(3), b"\r\n.\r\n".to_vec()].concat();
    let expected = [b"Subject: big\r\n\r\n".to_vec(), line.repeat(30_000)].concat();
    assert!(taken[0].content.ends_with(&expected), "{} octets", taken[0].content.len());
    assert!(taken[1].content.ends_with(b"\r\n\r\ncaf\xe9\r\n"));
    assert!(hop.commands().iter().any(|command| command.contains("BODY=8BITMIME")));
}

#[test]
fn nmap_finds_our_commands_and_no_open_relay() {
    if !has(&["nmap"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut command = Command::new("nmap");
    command.args(["-Pn", "-n", "--script", "+smtp-commands,+smtp-open-relay", "-p"]);
    let (content, said) = run(command.arg(postern.address().port().to_string()).arg("127.0.0.1"));
    assert!(content, "{said}");
    assert!(said.contains("smtp-commands: mx.example.test, "), "{said}");
    assert!(said.contains("PIPELINING"), "{said}");
    assert!(said.contains("Server doesn't seem to be an open relay"), "{said}");
    let relayed = hop.commands().into_iter().find(|command| command.starts_with("RCPT"));
    assert_eq!(relayed, None);
    postern.wait_for_nth("RecipientRefused", 6);
}

#[test]
fn as_many_messages_leave_as_smtp_source_sends() {
    if !has(&["smtp-source", "smtp-sink"]) {
        return;
    }
    let folder = Folder::new();
    let sink = Sink::start(&["-c"]);
    let lifted = format!("{LIFTED}\n[limits]\nconnections_max = 1000\n");
    let postern = Postern::start(&folder, &config(sink.address, &lifted));
    let mut source = Command::new(find_program("smtp-source").unwrap());
    source.args(["-s", "40", "-m", "400", "-l", "3000", "-f", "sender@client.example"]);
    source.args(["-t", "jones@example.test", &postern.address().to_string()]);
    let (content, said) = run(&mut source);
    assert!(content, "{said}");
    let last = postern.wait_for_nth("MessageDelivered", 400);
    assert_eq!(last["to"][0], "jones@example.test");
    kit::wait_until("the sink has counted 400", || sink.messages() >= 400);
    assert_eq!(sink.messages(), 400);
}
