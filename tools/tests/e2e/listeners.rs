//! How clients reach us: TLS of both kinds, PROXY headers, inherited sockets, IPv6, and the pause
//! before the greeting.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::certificates::Authority;
use kit::{Client, Folder, Hop, LIFTED, Postern, config, has};
use nix::sys::signal::Signal;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

const TLS: &str = "[tls]\ncertificate = \"mx.pem\"\nkey = \"mx.key\"\n";
const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

/// The least configuration, with more in its listener.
fn listening(hop: &Hop, address: &str, listener: &str, more: &str) -> String {
    config(hop.address, &format!("{LIFTED}{more}"))
        .replace("address = \"127.0.0.1:0\"", &format!("address = \"{address}\"\n{listener}"))
}

fn tls_listening(hop: &Hop, kind: &str) -> String {
    listening(hop, "127.0.0.1:0", &format!("tls = \"{kind}\""), TLS)
}

fn trace(hop: &Hop) -> String {
    String::from_utf8_lossy(&hop.taken().last().unwrap().content).into_owned()
}

#[test]
fn starttls_begins_a_new_session_under_tls() {
    let (folder, hop, authority) = (Folder::new(), Hop::start(), Authority::new());
    authority.sign("mx.example.test").write(&folder);
    let postern = Postern::start(&folder, &tls_listening(&hop, "starttls"));
    let mut client = Client::connect(postern.address());
    let offered = client.say("EHLO client.example");
    assert!(offered.lines.contains(&"STARTTLS".to_owned()), "{offered:?}");
    client.say("STARTTLS").expect("220 ");
    client.shake_hands(&authority.client()).unwrap();
    // What was said before TLS is forgotten (RFC 3207 §4.2).
    client.say("MAIL FROM:<a@client.example>").expect("503 ");
    let offered = client.say("EHLO client.example");
    assert!(!offered.lines.contains(&"STARTTLS".to_owned()), "{offered:?}");
    client.message(MESSAGE).expect("250 ");
    assert!(trace(&hop).contains("(Postern) with ESMTPS\r\n"), "{}", trace(&hop));
}

#[test]
fn commands_behind_starttls_are_not_taken_for_commands_under_tls() {
    let (folder, hop, authority) = (Folder::new(), Hop::start(), Authority::new());
    authority.sign("mx.example.test").write(&folder);
    let postern = Postern::start(&folder, &tls_listening(&hop, "starttls"));
    let mut client = Client::greeted(postern.address());
    client.send(b"STARTTLS\r\nMAIL FROM:<injected@client.example>\r\n");
    let reply = client.reply();
    // Either it is refused at once, or the handshake begins and knows nothing of MAIL.
    if reply.code == 220 {
        let handshake = client.shake_hands(&authority.client());
        if handshake.is_ok() {
            client.say("RCPT TO:<jones@example.test>").expect("503 ");
        }
    } else {
        assert!(reply.code >= 400, "{}", reply.text());
    }
    assert!(!hop.commands().iter().any(|command| command.starts_with("MAIL")));
}

#[test]
fn implicit_tls_comes_before_the_greeting() {
    let (folder, hop, authority) = (Folder::new(), Hop::start(), Authority::new());
    authority.sign("mx.example.test").write(&folder);
    let postern = Postern::start(&folder, &tls_listening(&hop, "implicit"));
    let mut client = Client::silent(postern.address());
    client.shake_hands(&authority.client()).unwrap();
    client.reply().expect("220 ");
    client.say("EHLO client.example").expect("250 ");
    client.message(MESSAGE).expect("250 ");
    assert!(trace(&hop).contains(" with ESMTPS"));
    // Whoever talks SMTP in the clear there hears none.
    let mut plain = Client::silent(postern.address());
    plain.send(b"EHLO client.example\r\n");
    assert!(plain.try_reply().is_err());
}

#[test]
fn a_new_certificate_is_used_at_once_and_open_sessions_go_on() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let (old, new) = (Authority::new(), Authority::new());
    old.sign("mx.example.test").write(&folder);
    let postern = Postern::start(&folder, &tls_listening(&hop, "starttls"));
    let under_tls = |authority: &Authority| {
        let mut client = Client::greeted(postern.address());
        client.say("STARTTLS").expect("220 ");
        client.shake_hands(&authority.client()).map(|()| client)
    };
    let mut before = under_tls(&old).unwrap();
    before.say("EHLO before.example").expect("250 ");
    before.envelope("a@client.example", &["jones@example.test"]);

    new.sign("mx.example.test").write(&folder);
    postern.wait_for("CertificateReloaded");
    assert!(under_tls(&old).is_err());
    under_tls(&new).unwrap().say("EHLO after.example").expect("250 ");
    before.content(MESSAGE).expect("250 ");

    folder.write("mx.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    postern.wait_for("CertificateRefused");
    under_tls(&new).unwrap().say("EHLO still.example").expect("250 ");
    before.say("QUIT").expect("221 ");
}

fn behind_a_proxy(folder: &Folder, hop: &Hop) -> Postern {
    let proxy = "proxy_protocol = true\nproxy_from = [\"127.0.0.1/32\"]";
    Postern::start(folder, &listening(hop, "127.0.0.1:0", proxy, ""))
}

fn version_2(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(source);
    header.extend([10, 0, 0, 2, 0x30, 0x39, 0, 25]);
    header
}

#[test]
fn a_proxy_header_of_either_version_names_the_client() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = behind_a_proxy(&folder, &hop);
    for (header, address) in [
        (b"PROXY TCP4 203.0.113.7 10.0.0.2 12345 25\r\n".to_vec(), "[203.0.113.7]"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::2 1234 25\r\n".to_vec(), "[IPv6:2001:db8::7]"),
        (version_2([203, 0, 113, 8]), "[203.0.113.8]"),
        // A health check of the proxy itself.
        (b"PROXY UNKNOWN\r\n".to_vec(), "[127.0.0.1]"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), "[127.0.0.1]"),
    ] {
        let mut client = Client::silent(postern.address());
        client.send(&header);
        client.reply().expect("220 ");
        client.say("EHLO client.example").expect("250 ");
        client.message(MESSAGE).expect("250 ");
        assert!(trace(&hop).contains(address), "{address} in {}", trace(&hop));
    }
    postern.wait_for_nth("MessageDelivered", 5);
    let logged = postern.events_named("MessageDelivered");
    assert!(logged.iter().any(|event| event["client"] == "203.0.113.8"), "{logged:?}");
}

#[test]
fn a_proxy_header_that_comes_in_pieces_swallows_nothing_behind_it() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = behind_a_proxy(&folder, &hop);
    let mut client = Client::silent(postern.address());
    let header = version_2([203, 0, 113, 9]);
    client.send(&header[..13]);
    std::thread::sleep(Duration::from_millis(100));
    // EHLO comes together with the rest of it, as from a proxy that has waited for both.
    client.send(&[&header[13..], b"EHLO client.example\r\n"].concat());
    client.reply().expect("220 ");
    client.reply().expect("250 ");
    client.message(MESSAGE).expect("250 ");
    assert!(trace(&hop).contains("[203.0.113.9]"));
}

#[test]
fn no_proxy_header_no_greeting() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = behind_a_proxy(&folder, &hop);
    let forged = b"PROXY TCP4 203.0.113.7 10.0.0.2 12345 25\r\n";
    let mut unlisted = Client::silent_from("127.0.0.9".parse().unwrap(), postern.address());
    let _ = unlisted.try_send(forged);
    assert!(unlisted.is_closed());

    let mut headless = Client::silent(postern.address());
    headless.send(b"EHLO client.example\r\n");
    assert!(headless.is_closed());

    let mut malformed = Client::silent(postern.address());
    malformed.send(b"PROXY TCP4 203.0.113.777 10.0.0.2 12345 25\r\n");
    assert!(malformed.is_closed());

    let began = Instant::now();
    assert!(Client::silent(postern.address()).is_closed());
    // After 5 seconds, on a machine that is not busy; without that limit, when the client gives up.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

/// Does what systemd does: sockets from descriptor 3 on, named by the environment.
const ACTIVATE: &str = "\
import os, socket, sys
sockets = [socket.socket() for _ in range(2)]
for s in sockets:
    s.bind(('127.0.0.1', 0)); s.listen(50)
copies = [os.dup(s.fileno()) for s in sockets]
high = [os.dup2(c, 40 + n) for n, c in enumerate(copies)]
for n, h in enumerate(high):
    os.dup2(h, 3 + n); os.set_inheritable(3 + n, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='other:smtp')
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn sockets_that_somebody_else_has_opened_are_served_by_number_and_by_name() {
    if !has(&["python3"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let second = "[[listener]]\naddress = \"systemd:0\"\n";
    let text = listening(&hop, "systemd:smtp", "", second);
    let mut command = Command::new("python3");
    command.arg("-c").arg(ACTIVATE).arg(env!("CARGO_BIN_EXE_postern"));
    let postern = Postern::start_by(&mut command, &folder, &text);
    assert_ne!(postern.smtp[0], postern.smtp[1]);
    for address in &postern.smtp {
        Client::greeted(*address).message(MESSAGE).expect("250 ");
    }
    assert_eq!(hop.taken().len(), 2);
}

/// Whether this machine speaks IPv6 at all.
fn speaks_ipv6() -> bool {
    let speaks = TcpListener::bind("[::1]:0").is_ok();
    if !speaks {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no IPv6 on loopback");
    }
    speaks
}

#[test]
fn ipv6_clients_and_next_hops_are_like_any_other() {
    if !speaks_ipv6() {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::at("[::1]:0".parse().unwrap()));
    let postern = Postern::start(&folder, &listening(&hop, "[::1]:0", "", ""));
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    assert!(trace(&hop).contains("([IPv6:::1])"), "{}", trace(&hop));
    assert_eq!(postern.wait_for("MessageDelivered")["client"], "::1");
}

#[test]
fn the_unspecified_ipv6_address_takes_ipv4_clients_under_their_own_address() {
    if !speaks_ipv6() {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &listening(&hop, "[::]:0", "", ""));
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let address = SocketAddr::new(ip, postern.address().port());
        Client::greeted(address).message(MESSAGE).expect("250 ");
    }
    postern.wait_for_nth("MessageDelivered", 2);
    let clients: Vec<_> = postern.events_named("MessageDelivered");
    assert!(clients.iter().any(|event| event["client"] == "127.0.0.1"), "{clients:?}");
}

#[test]
fn whoever_talks_before_the_greeting_is_refused_and_others_wait_a_moment() {
    let (folder, hop) = (Folder::new(), Hop::start());
    // So long that a busy machine gets round to talking within it.
    let delay = "greeting_delay_milliseconds = 3000";
    let postern = Postern::start(&folder, &listening(&hop, "127.0.0.1:0", delay, ""));
    let mut early = Client::silent(postern.address());
    early.send(b"EHLO early.example\r\n");
    early.reply().expect("554 5.5.0 ");
    assert_eq!(postern.wait_for("ConnectionRefused")["rule"], "early_talker");

    let began = Instant::now();
    let mut patient = Client::connect(postern.address());
    assert!(began.elapsed() >= Duration::from_millis(2_990), "{:?}", began.elapsed());
    patient.say("EHLO patient.example").expect("250 ");
    patient.message(MESSAGE).expect("250 ");
}

#[test]
fn without_a_delay_what_came_with_the_connection_is_heard() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, ""));
    postern.process.freeze();
    let mut early = Client::silent(postern.address());
    early.send(b"EHLO early.example\r\n");
    let mut patient = Client::silent(postern.address());
    postern.signal(Signal::SIGCONT);
    early.reply().expect("554 5.5.0 ");
    patient.reply().expect("220 ");
    assert_eq!(postern.wait_for("ConnectionRefused")["rule"], "early_talker");
}

/// A listener of this kind, for clients that may have two connections each.
fn two_for_each(folder: &Folder, hop: &Hop, listener: &str, more: &str) -> Postern {
    // Not at 127.0.0.1:0, which is the listener's.
    let figures = "[metrics]\naddress = \"127.0.0.2:0\"\n";
    let limits = format!("[limits]\nclient_connections_max = 2\n{figures}");
    let text = config(hop.address, &format!("{limits}{more}"));
    let listener = format!("address = \"127.0.0.1:0\"\n{listener}");
    Postern::start(folder, &text.replace("address = \"127.0.0.1:0\"", &listener))
}

fn are_counted(postern: &Postern, n: usize) {
    let line = format!("\npostern_connections {n}\n");
    kit::wait_until("they are counted", || postern.page().contains(&line));
}

fn was_one_too_many(postern: &Postern) {
    let refused = postern.wait_for("ConnectionRefused");
    assert_eq!(refused["refusal"], "too_many_client_connections", "{refused}");
}

#[test]
fn who_has_too_many_connections_is_sent_away_before_the_handshake() {
    let (folder, hop, authority) = (Folder::new(), Hop::start(), Authority::new());
    authority.sign("mx.example.test").write(&folder);
    let postern = two_for_each(&folder, &hop, "tls = \"implicit\"", TLS);
    let silent = || Client::silent_from([127, 0, 0, 5].into(), postern.address());
    let (mut first, _second) = (silent(), silent());
    are_counted(&postern, 2);
    assert!(silent().is_closed());
    was_one_too_many(&postern);
    // Those who are there may go on, and others may come.
    let mut other = Client::silent(postern.address());
    for client in [&mut first, &mut other] {
        client.shake_hands(&authority.client()).unwrap();
        client.reply().expect("220 ");
    }
}

#[test]
fn who_has_too_many_connections_is_told_so_before_the_others_are_greeted() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = two_for_each(&folder, &hop, "greeting_delay_milliseconds = 10000", "");
    let began = Instant::now();
    let silent = || Client::silent_from([127, 0, 0, 5].into(), postern.address());
    let (mut first, _second) = (silent(), silent());
    are_counted(&postern, 2);
    silent().reply().expect("421 4.7.0 ");
    assert!(began.elapsed() < Duration::from_millis(9_900), "{:?}", began.elapsed());
    was_one_too_many(&postern);
    first.reply().expect("220 ");
}

#[test]
fn who_has_too_many_connections_behind_a_proxy_is_known_by_the_header() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let listener = "proxy_protocol = true\nproxy_from = [\"127.0.0.1/32\"]\n\
                    greeting_delay_milliseconds = 10000";
    let postern = two_for_each(&folder, &hop, listener, "");
    let began = Instant::now();
    let from = |last| {
        let mut client = Client::silent(postern.address());
        client.send(&version_2([203, 0, 113, last]));
        client
    };
    let (mut first, _second) = (from(7), from(7));
    // They are counted by the client, not by the proxy.
    let mut other = from(8);
    are_counted(&postern, 3);
    from(7).reply().expect("421 4.7.0 ");
    assert!(began.elapsed() < Duration::from_millis(9_900), "{:?}", began.elapsed());
    was_one_too_many(&postern);
    for client in [&mut first, &mut other] {
        client.reply().expect("220 ");
    }
}

#[test]
fn headers_that_never_come_from_one_proxy_leave_room_for_everybody_else() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let listener = "proxy_protocol = true\nproxy_from = [\"127.0.0.0/8\"]";
    let limits = "[limits]\nconnections_max = 8\n[metrics]\naddress = \"127.0.0.2:0\"\n";
    let postern = Postern::start(&folder, &listening(&hop, "127.0.0.1:0", listener, limits));
    // A quarter of all connections.
    let _silent = [Client::silent(postern.address()), Client::silent(postern.address())];
    are_counted(&postern, 2);
    Client::silent(postern.address()).reply().expect("421 4.3.2 ");
    let mut other = Client::silent_from("127.0.0.9".parse().unwrap(), postern.address());
    other.send(&version_2([203, 0, 113, 7]));
    other.reply().expect("220 ");
}

#[test]
fn who_was_shaking_hands_when_we_were_told_to_end_is_told_so() {
    let (folder, hop, authority) = (Folder::new(), Hop::start(), Authority::new());
    authority.sign("mx.example.test").write(&folder);
    // Not at 127.0.0.1:0, which is the listener's.
    let metrics = "[metrics]\naddress = \"127.0.0.2:0\"\n";
    let config = listening(&hop, "127.0.0.1:0", "tls = \"implicit\"", &format!("{TLS}{metrics}"));
    let mut postern = Postern::start(&folder, &config);
    let mut client = Client::silent(postern.address());
    kit::wait_until("it is served", || postern.page().contains("\npostern_connections 1\n"));
    postern.signal(nix::sys::signal::Signal::SIGTERM);
    postern.wait_for("Draining");
    client.shake_hands(&authority.client()).unwrap();
    client.reply().expect("220 ");
    client.reply().expect("421 4.3.2 ");
    assert!(postern.process.wait().success());
}

#[test]
fn each_listener_says_what_is_set_for_it() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let second = "\n[[listener]]\naddress = \"127.0.0.1:0\"\nhostname = \"relay.inside.example\"\n\
                  size_octets_max = 65536\nwithheld_keywords = [\"pipelining\"]\n";
    let postern = Postern::start(&folder, &listening(&hop, "127.0.0.1:0", "", second));
    let mut said = postern.smtp.iter().map(|address| {
        let mut client = Client::connect(*address);
        client.say("EHLO client.example").lines
    });
    let (first, second) = (said.next().unwrap(), said.next().unwrap());
    assert_eq!(first[0], "mx.example.test");
    assert!(first.contains(&"PIPELINING".to_owned()), "{first:?}");
    assert_eq!(second, ["relay.inside.example", "SIZE 65536", "8BITMIME", "ENHANCEDSTATUSCODES"]);

    let mut client = Client::greeted(postern.smtp[1]);
    client.say("MAIL FROM:<a@client.example> SIZE=65537").expect("552 5.3.4 ");
    client.message(MESSAGE).expect("250 ");
    // Loops are known by one name.
    assert!(trace(&hop).contains("by mx.example.test (Postern)"), "{}", trace(&hop));
}
