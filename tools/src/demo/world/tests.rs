//! The embedded servers against a client of ours, over loopback.

use super::*;
use crate::demo::stream::letter::{Kind, Letter, Recipient};
use crate::demo::stream::people::DOMAIN;
use crate::demo::stream::send::{Connection, Fate, Way};
use crate::demo::stream::senders::{Tally, send_all};
use crate::demo::stream::{Behaviour, Sender};
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::reply::Reply;
use mail::smtp::server::Envelope;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn world() -> World {
    World::start(&["linda".to_owned()]).await.unwrap()
}

fn letter(from: &str, names: &[&str]) -> Letter {
    let recipient = |name: &&str| Recipient {
        path: ForwardPath::parse(&format!("<{name}@{DOMAIN}>")).unwrap(),
        name: (*name).to_owned(),
        exists: *name == "linda",
    };
    Letter {
        kind: Kind::Real,
        id: "demo.1@mail.example".into(),
        reverse_path: ReversePath::parse(&format!("<{from}>")).unwrap(),
        recipients: names.iter().map(recipient).collect(),
        subject: "Order".into(),
    }
}

async fn send(to: SocketAddr, wire: &Arc<Wire>, letter: &Letter) -> Fate {
    let way = Way {
        to,
        from: Some(Ipv4Addr::new(127, 1, 2, 3)),
        hello: Domain::new("far.example").unwrap(),
        wire: Some(Arc::clone(wire)),
        patience: Duration::from_secs(20),
    };
    let mut connection = Connection::open(&way).await.unwrap();
    let paths: Vec<_> = letter.recipients.iter().map(|recipient| &recipient.path).collect();
    let mut fate = Fate::default();
    connection.send(letter, &paths, &mut fate).await.unwrap();
    connection.quit().await;
    fate
}

async fn settle(world: &World) {
    while world.legacy.waiting() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_legacy_server_takes_everybody_and_reports_later_to_whoever_stood_in_mail() {
    let world = world().await;
    let wire = Arc::clone(&world.internet.wire);
    let letter = letter("victim@far.example", &["linda", "joe", "sam"]);
    let fate = send(world.legacy_address, &wire, &letter).await;
    assert_eq!(fate.recipients.iter().map(|r| r.code).collect::<Vec<_>>(), [250, 250, 250]);
    assert!(fate.is_taken());
    settle(&world).await;
    assert!(world.legacy.has("demo.1@mail.example", "linda"));
    assert!(!world.legacy.has("demo.1@mail.example", "joe"));
    let notices = world.internet.notices();
    assert_eq!(notices.len(), 1, "one report a message");
    assert_eq!(notices[0].to, "victim@far.example");
    assert_eq!(notices[0].failed, ["joe@example.test", "sam@example.test"]);
    assert_eq!(world.internet.domains().get("far.example"), Some(&1));
}

#[tokio::test]
async fn the_legacy_server_answers_no_notice_with_a_notice() {
    let world = world().await;
    let wire = Arc::clone(&world.internet.wire);
    assert!(send(world.legacy_address, &wire, &letter("", &["joe"])).await.is_taken());
    settle(&world).await;
    assert_eq!(world.internet.notices_count(), 0);
}

#[tokio::test]
async fn the_line_is_counted_in_both_directions_and_on_both_of_its_ends() {
    let world = world().await;
    let wire = Arc::clone(&world.internet.wire);
    let letter = letter("victim@far.example", &["joe"]);
    let octets = letter.content().len() as u64;
    send(world.legacy_address, &wire, &letter).await;
    settle(&world).await;
    assert!((octets..octets + 1_000).contains(&wire.inbound()), "{}", wire.inbound());
    // The report holds the original.
    assert!((octets + 500..octets + 4_000).contains(&wire.outbound()), "{}", wire.outbound());
}

#[tokio::test]
async fn the_legacy_server_greets_and_offers_as_its_like_did() {
    let world = world().await;
    let socket = TcpStream::connect(world.legacy_address).await.unwrap();
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("220 exchange.example.test ESMTP Server (Microsoft Exchange"));
    socket.write_all(b"EHLO far.example\r\n").await.unwrap();
    let mut offered = String::new();
    while !line.starts_with("250 ") {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
        offered.push_str(&line);
    }
    for keyword in ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"] {
        assert!(!offered.contains(keyword), "{offered}");
    }
    socket.write_all(b"MAIL FROM:<a@far.example>\r\nRCPT TO:<b@far.example>\r\n").await.unwrap();
    let mut replies = Vec::new();
    for _ in 0..2 {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
        replies.push(line[..3].to_owned());
    }
    assert_eq!(replies, ["250", "550"], "it is no open relay");
}

#[tokio::test]
async fn beyond_its_connections_the_legacy_server_lets_clients_wait() {
    let world = world().await;
    let mut open = Vec::new();
    for _ in 0..legacy::CONNECTIONS_MAX {
        let mut socket = BufReader::new(TcpStream::connect(world.legacy_address).await.unwrap());
        socket.read_line(&mut String::new()).await.unwrap();
        open.push(socket);
    }
    let mut late = BufReader::new(TcpStream::connect(world.legacy_address).await.unwrap());
    let mut line = String::new();
    let greeting = late.read_line(&mut line);
    assert!(tokio::time::timeout(Duration::from_millis(200), greeting).await.is_err());
    open.pop();
    late.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("220 "), "{line}");
}

/// Wants everybody to come a second time, except for those it does not know.
#[derive(Default)]
struct Greylister {
    asked: std::sync::Mutex<std::collections::HashSet<String>>,
    taken: std::sync::Mutex<Vec<usize>>,
}

impl serve::Host for Greylister {
    fn greeting(&self) -> String {
        "grey.example ESMTP".into()
    }
    fn hello(&self) -> (String, Vec<std::borrow::Cow<'static, str>>) {
        ("grey.example".into(), vec!["PIPELINING".into()])
    }
    fn recipient(&self, path: &ForwardPath) -> Result<Reply, Reply> {
        if path.to_string().starts_with("joe@") {
            Err(Reply::bare(550, "5.1.1 no such mailbox here"))
        } else if self.asked.lock().unwrap().insert(path.to_string()) {
            Err(Reply::bare(450, "4.7.1 come again"))
        } else {
            Ok(Reply::bare(250, "ok"))
        }
    }
    fn take(&self, envelope: &Envelope, _: Vec<u8>) -> Reply {
        self.taken.lock().unwrap().push(envelope.recipients.len());
        Reply::bare(250, "ok")
    }
    fn count(&self, _: usize, _: usize) {}
}

#[tokio::test]
async fn a_mail_server_comes_again_when_told_to_and_a_worm_does_not() {
    for (behaviour, retries, taken) in
        [(Behaviour::MailServer, 1, vec![2]), (Behaviour::Careless, 0, vec![])]
    {
        let grey = Arc::new(Greylister::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let door = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::listen(listener, Arc::clone(&grey), 5));
        let sender = Sender {
            ip: Ipv4Addr::new(127, 1, 2, 3),
            hello: Domain::new("far.example").unwrap(),
            behaviour,
            letters: vec![letter("hasty@far.example", &["linda", "joe", "maria"])],
        };
        let tally = Tally::default();
        send_all(&sender, door, &Arc::new(Wire::default()), &tally).await;
        assert_eq!(tally.retries.load(Relaxed), retries, "{behaviour:?}");
        assert_eq!(tally.refused.load(Relaxed), 1, "a refusal is not asked for twice");
        assert_eq!(*grey.taken.lock().unwrap(), taken, "{behaviour:?}");
    }
}
