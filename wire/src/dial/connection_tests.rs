//! Connections to servers on loopback that say what they were told to.

use super::*;
use crate::dial::settings::Bounds;
use crate::pool::{self, Pool};
use crate::server::{NextHopHost, NextHopTls};
use mail::address::Domain as Name;
use mail::smtp::introduction::Introduction;
use relay::turns::Party;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream as Plain};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// An address where connections are neither taken nor refused.
fn silent() -> (SocketAddr, Vec<Socket>) {
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = new();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    // The backlog is full after these.
    for _ in 0..4 {
        let socket = new();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        sockets.push(socket);
    }
    (address.as_socket().unwrap(), sockets)
}

#[tokio::test]
async fn an_address_that_drops_every_packet_does_not_hide_the_next() {
    let (silent, _sockets) = silent();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let until = || Instant::now() + Duration::from_millis(400);
    let alone = connect_any(&[silent], until()).await;
    assert!(matches!(alone, Err(ConnectionError::TimedOut)), "{alone:?}");
    let connected = connect_any(&[silent, good], until()).await.unwrap();
    assert_eq!(connected.peer_addr().unwrap(), good);
    assert!(connect_any(&[], until()).await.is_err());
}

pub(in crate::dial) const LONG: Duration = Duration::from_secs(30);

pub(in crate::dial) fn dial(tls: &NextHopTls) -> Arc<DialSettings> {
    let bounds = Bounds { connect_max: LONG, greeting_max: LONG, messages_max: 100 };
    let name = Name::new("mx.example.test").unwrap();
    Arc::new(DialSettings::new(&name, tls, Introduction::None, bounds).unwrap())
}

pub(in crate::dial) fn host(address: SocketAddr) -> Arc<Host> {
    let host = NextHopHost { host: address.ip().to_string(), port: address.port() };
    Arc::new(Host::new(&host, relay::breaker::Bounds::steady(3, 1_000)))
}

/// Serves one connection after the other, each by the function.
pub(in crate::dial) fn server(serve: impl Fn(Plain) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|socket| serve(socket.unwrap())));
    address
}

/// Answers RCPT by what it is for, and other commands with 250 or with what `mail` says; counts
/// what has come before the first answer. In one flight is what came although nothing was said.
fn answer_all(wire: impl Read + Write, commands: usize, mail: &str) {
    let mut wire = BufReader::new(wire);
    let mut line = String::new();
    let mut held = String::new();
    for n in 0.. {
        line.clear();
        if wire.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let reply = match line.get(..4).unwrap() {
            "MAIL" => mail,
            "RCPT" if line.contains("nobody") => "550 5.1.1 no",
            "RCPT" if line.contains("later") => "451 4.2.1 not now",
            "EHLO" => "250-in\r\n250 PIPELINING",
            _ => "250 ok",
        };
        held.push_str(reply);
        held.push_str("\r\n");
        if line.starts_with("EHLO") || n >= commands {
            wire.get_mut().write_all(held.as_bytes()).unwrap();
            held.clear();
        }
    }
}

fn paths(names: &[&str]) -> Vec<ForwardPath> {
    let path = |name: &&str| ForwardPath::parse(&format!("<{name}@example.test>")).unwrap();
    names.iter().map(path).collect()
}

async fn envelope_answer(mail: &'static str) -> (EnvelopeAnswer, Connection) {
    let address = server(move |mut socket| {
        socket.write_all(b"220 hi\r\n").unwrap();
        answer_all(socket, 4, mail);
    });
    let dial = dial(&NextHopTls::None);
    let mut connection = Connection::open_as_wished(&dial, &host(address), |_| {}).await.unwrap();
    let recipients = paths(&["jones", "nobody", "later"]);
    let parameters = MailParameters::default();
    let envelope = Envelope {
        reverse_path: &ReversePath::Null,
        parameters,
        recipients: &recipients,
        details: None,
    };
    (connection.envelope(&envelope, LONG).await.unwrap(), connection)
}

#[tokio::test]
async fn a_whole_envelope_is_answered_recipient_by_recipient() {
    let (answer, mut connection) = envelope_answer("250 ok").await;
    let EnvelopeAnswer::Recipients(replies) = answer else { panic!("{answer:?}") };
    assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [250, 550, 451]);
    assert!(!connection.is_fit(), "a transaction is open");
    connection.session().reset();
    connection.send_pending(LONG).await.unwrap();
    assert!(connection.is_fit());
}

#[tokio::test]
async fn a_refused_sender_is_one_answer_to_a_whole_envelope_and_leaves_the_connection_usable() {
    let (answer, connection) = envelope_answer("550 5.7.1 not you").await;
    assert!(matches!(answer, EnvelopeAnswer::MailRefused(reply) if reply.code == 550));
    assert!(connection.is_fit());
}

#[tokio::test]
async fn a_goodbye_to_a_whole_envelope_is_its_answer_and_ends_the_connection() {
    let (answer, connection) = envelope_answer("421 4.3.2 going down").await;
    assert!(matches!(answer, EnvelopeAnswer::MailRefused(reply) if reply.code == 421));
    assert!(!connection.is_fit());
}

/// Offers STARTTLS, and serves behind it; hangs up when it is told to.
fn tls_server(hang_up: Receiver<()>) -> (SocketAddr, JoinHandle<()>) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], der.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"220 hi\r\n").unwrap();
        let mut octet = [0];
        for reply in ["250-in\r\n250 STARTTLS\r\n", "220 go\r\n"] {
            while socket.read_exact(&mut octet).is_ok() && octet != *b"\n" {}
            socket.write_all(reply.as_bytes()).unwrap();
        }
        let closing = socket.try_clone().unwrap();
        let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        thread::spawn(move || answer_all(tls, 0, "250 ok"));
        hang_up.recv().unwrap();
        closing.shutdown(std::net::Shutdown::Both).unwrap();
    });
    (address, serving)
}

/// Leases a connection on a runtime of its own, names a recipient on it, and gives it back; whether
/// it had been used before.
fn use_once(pool: &Arc<Pool<Connection>>, dial: &Arc<DialSettings>, host: &Arc<Host>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pool, dial, host) = (Arc::clone(pool), Arc::clone(dial), Arc::clone(host));
    let work = async move {
        let slot = pool.slot(Party::NAMELESS, Instant::now() + LONG, || {}).await.unwrap();
        let mut lease = match slot.reuse() {
            Ok(lease) => lease,
            Err(slot) => {
                let opening = Connection::open_as_wished(&dial, &host, |_| {});
                slot.open(opening).await.map_err(|(_, error)| error).unwrap()
            }
        };
        let recipients = paths(&["jones"]);
        let parameters = MailParameters::default();
        let envelope = Envelope {
            reverse_path: &ReversePath::Null,
            parameters,
            recipients: &recipients,
            details: None,
        };
        let connection = lease.connection();
        assert_eq!(connection.is_encrypted(), dial.tls_wish() != TlsWish::None);
        let answer = connection.envelope(&envelope, LONG).await.unwrap();
        assert!(matches!(&answer, EnvelopeAnswer::Recipients(r) if r[0].code == 250), "{answer:?}");
        connection.session().reset();
        connection.send_pending(LONG).await.unwrap();
        let is_used = lease.rested.is_some();
        lease.give_back();
        is_used
    };
    thread::spawn(move || runtime.block_on(work)).join().unwrap()
}

fn pool() -> Arc<Pool<Connection>> {
    let (connections_max, waiting_max) = (1, 1);
    Pool::new(pool::Bounds { connections_max, waiting_max, idle_max: LONG, age_max: LONG })
}

#[test]
fn a_connection_outlives_the_runtime_that_opened_it() {
    let address = server(|mut socket| {
        socket.write_all(b"220 hi\r\n").unwrap();
        answer_all(socket, 0, "250 ok");
    });
    let (pool, dial, host) = (pool(), dial(&NextHopTls::None), host(address));
    let used: Vec<bool> = (0..5).map(|_| use_once(&pool, &dial, &host)).collect();
    assert_eq!(used, [false, true, true, true, true]);
}

#[test]
fn a_connection_under_tls_outlives_the_runtime_that_opened_it_and_is_missed_when_it_dies() {
    let (hang_up, hung_up) = channel();
    let (address, serving) = tls_server(hung_up);
    let (pool, dial, host) = (pool(), dial(&NextHopTls::Opportunistic), host(address));
    let used: Vec<bool> = (0..5).map(|_| use_once(&pool, &dial, &host)).collect();
    assert_eq!(used, [false, true, true, true, true]);
    hang_up.send(()).unwrap();
    serving.join().unwrap();
}
