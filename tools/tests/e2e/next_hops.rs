//! Real servers as next hops: every octet arrives, and TLS keeps what its setting promises.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::certificates::Authority;
use kit::servers::{Server, needs};
use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, config, has};
use std::fs;
use std::net::IpAddr;

/// Header sections complete enough that no server adds to them.
fn header(subject: &str) -> String {
    format!(
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nFrom: sender@client.example\r\n\
         To: jones@example.test\r\nMessage-ID: <{subject}@client.example>\r\n\
         Subject: {subject}\r\n"
    )
}

/// Name and body of everything that relays are known to spoil.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let long = |octets: usize| [vec![b'x'; octets], b"\r\n".to_vec()].concat();
    let every: Vec<u8> = (1..=255).filter(|octet| ![b'\r', b'\n'].contains(octet)).collect();
    let folded = b"no colon here\r\n From the start\r\nFrom a mailbox\r\n\ttab \r\n  \r\n".to_vec();
    vec![
        ("plain", b"hello\r\n".to_vec()),
        ("dots", b".\r\n..\r\n...\r\n.a\r\n..b\r\n \r\n.\r\n".to_vec()),
        ("only-dots", b".\r\n".repeat(500)),
        ("long-lines", [long(998), long(997), [b".".to_vec(), long(997)].concat()].concat()),
        ("eight-bit", [every, "\r\ngrün, café, 日本\r\n".into()].concat()),
        ("empty", Vec::new()),
        ("empty-lines", b"\r\n\r\n\r\nend\r\n\r\n\r\n".to_vec()),
        ("like-a-header", folded),
        ("mebibyte", long(62).repeat(1 << 14)),
    ]
}

/// What follows the trace field that we put in front.
fn beyond_our_trace(mail: &[u8]) -> Vec<u8> {
    let text: Vec<&[u8]> = mail.split_inclusive(|&b| b == b'\n').collect();
    let ours = text.iter().position(|line| line.starts_with(b"\tby mx.example.test (Postern)"));
    let ours = ours.unwrap_or_else(|| panic!("no trace: {}", String::from_utf8_lossy(mail)));
    let end = (ours..text.len()).find(|&n| !text[n].starts_with(b"\t")).unwrap();
    text[end..].concat()
}

fn every_octet_arrives(kind: &str) {
    if !has(&["root", &needs(kind)]) {
        return;
    }
    let server = Server::start(kind, "");
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(server.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    let bodies = bodies();
    for (subject, body) in &bodies {
        let content = [header(subject).as_bytes(), b"\r\n", body].concat();
        client.message(&content).expect("250 2.0.0 ");
    }
    postern.wait_for_nth("MessageDelivered", bodies.len());
    let mail = server.mail(bodies.len());
    for (subject, body) in &bodies {
        let sent = String::from_utf8_lossy(body).len();
        let name = format!("Subject: {subject}\n");
        let is_it = |mail: &&Vec<u8>| memchr::memmem::find(mail, name.as_bytes()).is_some();
        let arrived = beyond_our_trace(mail.iter().find(is_it).expect(subject));
        let expected = [header(subject).as_bytes(), b"\r\n", body].concat();
        let expected: Vec<u8> = expected.into_iter().filter(|&b| b != b'\r').collect();
        assert!(arrived == expected, "{kind}, {subject}: {sent} octets became {}", arrived.len());
    }
}

#[test]
fn every_octet_arrives_through_postfix() {
    every_octet_arrives("postfix");
}

#[test]
fn every_octet_arrives_through_exim() {
    every_octet_arrives("exim");
}

#[test]
fn every_octet_arrives_through_opensmtpd() {
    every_octet_arrives("opensmtpd");
}

#[test]
fn content_without_a_single_octet_arrives_as_such() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    Client::greeted(postern.address()).message(b"").expect("250 ");
    let taken = hop.taken();
    assert!(taken[0].content.starts_with(b"Received: from client.example ([127.0.0.1])\r\n"));
    let field = taken[0].content.split_inclusive(|&b| b == b'\n').skip(1);
    assert!(field.clone().count() > 0 && field.clone().all(|line| line.starts_with(b"\t")));
}

/// Several clients, one after the other, over one pooled connection: Postfix names each of them.
fn postfix_names_the_clients(setting: &str, details: &str) {
    if !has(&["root", "postfix"]) {
        return;
    }
    let server = Server::start("postfix", &format!("{setting} = 127.0.0.1"));
    let folder = Folder::new();
    let table = format!(
        "{LIFTED}[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\nconnections_max = 1\n\
         client_details = \"{details}\"\n",
        server.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    let log = || fs::read_to_string(server.folder.file("postfix.log")).unwrap_or_default();
    for last in [77, 78, 77, 79] {
        let source = IpAddr::from([127, 0, 0, last]);
        let mut client = Client::silent_from(source, postern.address());
        client.reply().expect("220 ");
        client.say("EHLO far-away.example").expect("250 ");
        let content = format!("{}\r\nhello\r\n", header(details));
        let reply = client.message(content.as_bytes());
        // Its queue id stands in what Postfix said, and in the line that names the client.
        reply.expect("250 ");
    }
    postern.wait_for_nth("MessageDelivered", 4);
    for event in postern.events_named("MessageDelivered") {
        let reply = event["reply"].as_str().unwrap();
        let id = reply.rsplit(' ').next().unwrap();
        let address = format!("[{}]", event["client"].as_str().unwrap());
        kit::wait_until(&format!("Postfix names {address} for {id}"), || {
            log().lines().any(|line| {
                line.contains(&format!(" {id}: ")) && line.contains("client=") && {
                    assert!(line.contains(&address), "{line}, not {address}");
                    true
                }
            })
        });
    }
}

#[test]
fn postfix_logs_each_clients_own_address_by_xforward() {
    postfix_names_the_clients("smtpd_authorized_xforward_hosts", "auto");
}

#[test]
fn postfix_logs_each_clients_own_address_by_xclient() {
    postfix_names_the_clients("smtpd_authorized_xclient_hosts", "xclient");
}

#[test]
fn what_the_next_hop_must_refuse_is_refused_before_it() {
    let (folder, hop) = (Folder::new(), Hop::offering("250-SIZE 4000\r\n"));
    let table = format!(
        "{LIFTED}[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\n\
         content_line_octets_max = 998\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    kit::wait_until("its SIZE is offered", || {
        let offered = Client::connect(postern.address()).say("EHLO client.example").lines;
        let is_heard = offered.contains(&"SIZE 2976".into());
        // A host that was not heard from yet lowers nothing.
        assert!(!is_heard || !offered.contains(&"8BITMIME".into()), "{offered:?}");
        is_heard
    });
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example> SIZE=2977").expect("552 5.3.4 ");
    let long = |octets: usize| [b"Subject: x\r\n\r\n", &*vec![b'x'; octets], b"\r\n"].concat();
    client.message(&long(999)).expect("554 5.6.");
    client.message(&[long(900), long(900), long(900), long(900)].concat()).expect("552 5.3.4 ");
    client.message(&long(998)).expect("250 ");
    assert_eq!(hop.taken().len(), 1);
}

/// A next hop with a certificate for its address, and Postern with these settings towards it.
fn with_tls(settings: impl Fn(&Authority, &kit::certificates::Certificate) -> String) -> Tls {
    with_tls_acting(|_, _| Act::Obey, settings)
}

fn with_tls_acting(
    act: impl Fn(Stage, &str) -> Act + Send + Sync + 'static,
    settings: impl Fn(&Authority, &kit::certificates::Certificate) -> String,
) -> Tls {
    let authority = Authority::new();
    let certificate = authority.sign("127.0.0.1");
    let folder = Folder::new();
    folder.write("ca.pem", &authority.pem);
    let hop = Hop::with_tls(certificate.server());
    hop.behave(act);
    let settings = settings(&authority, &certificate);
    let table =
        format!("[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\n{settings}\n", hop.address);
    let postern = Postern::start(&folder, &config("inside", &format!("{LIFTED}{table}")));
    let reply = {
        let mut client = Client::greeted(postern.address());
        client.say("MAIL FROM:<a@client.example>").expect("250 ");
        let reply = client.say("RCPT TO:<jones@example.test>");
        if reply.code == 250 {
            client.content(b"Subject: tls\r\n\r\nhello\r\n").expect("250 ");
        }
        reply.text()
    };
    Tls { _folder: folder, hop, postern, reply }
}

struct Tls {
    _folder: Folder,
    hop: Hop,
    postern: Postern,
    reply: String,
}

impl Tls {
    /// It went over TLS or not.
    fn was_delivered(&self, tls: bool) {
        assert!(self.reply.starts_with("250 "), "{}", self.reply);
        let taken = self.hop.taken();
        assert_eq!((taken.len(), taken[0].tls), (1, tls));
    }

    /// The next hop heard of nothing, the client 451.
    fn was_held_back(&self) {
        assert!(self.reply.starts_with("451 4.4.1 "), "{}", self.reply);
        let commands = self.hop.commands();
        assert!(commands.iter().all(|c| c.starts_with("EHLO") || c == "STARTTLS"), "{commands:?}");
        let failed = self.postern.wait_for("NextHopFailed");
        assert_eq!(failed["subject"], self.hop.address.to_string());
    }
}

#[test]
fn opportunistic_tls_believes_any_certificate() {
    with_tls(|_, _| String::new()).was_delivered(true);
}

#[test]
fn opportunistic_tls_that_cannot_be_agreed_on_is_clear_text() {
    let acts = [Act::SayAndClose("220 go ahead"), Act::Say("454 4.7.0 not now")];
    for (n, act) in acts.into_iter().enumerate() {
        let act = move |stage, _: &str| match stage {
            Stage::StartTls => act.clone(),
            _ => Act::Obey,
        };
        let tls = with_tls_acting(act, |_, _| String::new());
        tls.was_delivered(false);
        if n == 0 {
            let failed = tls.postern.wait_for("NextHopTlsFailed");
            assert_eq!(failed["subject"], tls.hop.address.to_string());
        }
    }
}

#[test]
fn tls_that_is_no_longer_offered_is_told() {
    let mut tls = with_tls(|_, _| String::new());
    tls.was_delivered(true);
    let address = tls.hop.address;
    drop(std::mem::replace(&mut tls.hop, Hop::start()));
    let clear = Hop::at(address);
    Client::greeted(tls.postern.address()).message(b"Subject: clear\r\n\r\nhello\r\n");
    // A handshake that the end of the first server cut off is told before it.
    let detail = "it offers no STARTTLS any more; its mail goes in the clear";
    tls.postern.wait_for_detail("NextHopTlsFailed", detail);
    assert!(clear.taken().iter().all(|taken| !taken.tls));
}

#[test]
fn required_tls_that_cannot_be_agreed_on_sends_nothing() {
    let act = |stage, _: &str| match stage {
        Stage::StartTls => Act::SayAndClose("220 go ahead"),
        _ => Act::Obey,
    };
    let settings = |_: &_, _: &_| "tls = \"require\"\ntls_ca = \"ca.pem\"".to_owned();
    with_tls_acting(act, settings).was_held_back();
}

#[test]
fn no_tls_is_no_tls() {
    with_tls(|_, _| "tls = \"none\"".into()).was_delivered(false);
}

#[test]
fn required_tls_believes_its_authority_and_no_other() {
    let settings = |_: &_, _: &_| "tls = \"require\"\ntls_ca = \"ca.pem\"".to_owned();
    with_tls(settings).was_delivered(true);
    with_tls(|_, _| {
        // The system's roots do not know our authority.
        "tls = \"require\"".into()
    })
    .was_held_back();
}

#[test]
fn required_tls_wants_the_name_that_is_set() {
    let name =
        |name: &str| format!("tls = \"require\"\ntls_ca = \"ca.pem\"\ntls_name = \"{name}\"");
    with_tls(|_, _| name("exchange.example.test")).was_held_back();
}

#[test]
fn required_tls_believes_one_fingerprint() {
    let settings = |hex: &str| format!("tls = \"require\"\ntls_fingerprint = \"{hex}\"");
    with_tls(|_, certificate| settings(&certificate.fingerprint())).was_delivered(true);
    with_tls(|authority, _| settings(&authority.sign("127.0.0.1").fingerprint())).was_held_back();
}

#[test]
fn required_tls_sends_nothing_to_a_server_without_it() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let table = format!(
        "[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\ntls = \"require\"\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config("inside", &table));
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<jones@example.test>").expect("451 4.4.1 ");
    assert!(!hop.commands().iter().any(|command| command.starts_with("MAIL")));
}

#[test]
fn postfix_is_reached_over_tls_with_a_certificate_of_its_own_making() {
    if !has(&["root", "postfix"]) {
        return;
    }
    let certificate = Authority::new().sign("127.0.0.1");
    let keys = Folder::new();
    certificate.write(&keys);
    let more = format!(
        "smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = {0}/mx.pem\n\
         smtpd_tls_key_file = {0}/mx.key\nsmtpd_tls_loglevel = 1\nsmtpd_tls_received_header = yes",
        keys.path().display()
    );
    let server = Server::start("postfix", &more);
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(server.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.message(format!("{}\r\nhello\r\n", header("tls")).as_bytes()).expect("250 ");
    let mail = String::from_utf8_lossy(&server.mail(1)[0]).into_owned();
    assert!(mail.contains("using TLSv1.3"), "{mail}");
}
