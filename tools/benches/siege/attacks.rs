//! The attacks: each is what any attacker has, as small as it goes.

use kit::hop::{Act, Stage};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Before whom it stands.
pub struct Target<'a> {
    pub smtp: SocketAddr,
    pub figures: SocketAddr,
    /// The second listener, where there is one.
    pub other: SocketAddr,
    pub stop: &'a AtomicBool,
}

/// What it cost the attacker.
pub struct Cost {
    pub who: String,
    pub octets: u64,
}

/// One attack.
pub struct Attack {
    pub name: &'static str,
    pub what: &'static str,
    /// What has to be set for it, beside the defaults.
    pub settings: &'static str,
    /// Who says which recipients exist.
    pub recipients: &'static str,
    /// How the server behind answers.
    pub next_hop: fn(Stage, &str) -> Act,
    /// How large a good mail is, in octets.
    pub good_octets: usize,
    /// For whom it is, in one transaction.
    pub good_to: &'static [&'static str],
    pub run: fn(&Target<'_>) -> Cost,
}

/// What most have in common: small mails, and what is set when nothing is set.
const PLAIN: Attack = Attack {
    name: "",
    what: "",
    settings: "",
    recipients: "{ file = \"users.txt\" }",
    next_hop: obeys,
    good_octets: 4 << 10,
    good_to: &["good@example.test"],
    run: idle,
};

/// The same with a second listener.
const BEHIND_PROXY: &str = "[[listener]]\naddress = \"__OTHER__\"\nproxy_protocol = true\n\
                            proxy_from = [\"127.0.0.0/8\"]\n";
const IMPLICIT_TLS: &str = "[tls]\ncertificate = \"mx.pem\"\nkey = \"mx.key\"\n\
                            [[listener]]\naddress = \"__OTHER__\"\ntls = \"implicit\"\n";
const SMALL_DISK: &str = "[limits]\nsize_octets_max = 8388608\n\
                          message_memory_octets_max = 65536\ndisk_octets_max = 67108864\n";

/// All of them, by the numbers of what they were found as.
#[rustfmt::skip]
pub const ATTACKS: &[Attack] = &[
    Attack { name: "pinned", what: "1 leases held by guessers", run: pinned, ..PLAIN },
    Attack { name: "idle", what: "1 idle transactions", run: idle, ..PLAIN },
    Attack { name: "deaf", what: "1, 8 clients that do not read", run: deaf, ..PLAIN },
    Attack { name: "silent", what: "2 silent connections", run: silent, ..PLAIN },
    Attack {
        name: "handshake", what: "2 handshakes that never come", settings: IMPLICIT_TLS,
        run: handshake, ..PLAIN
    },
    Attack { name: "notices", what: "3 harvest in notices", run: notices, ..PLAIN },
    Attack { name: "refusals", what: "4 refusals at full speed", run: refusals, ..PLAIN },
    Attack { name: "stranger", what: "4 one stranger at full speed", run: stranger, ..PLAIN },
    Attack { name: "network", what: "5 connections of one /24", run: network, ..PLAIN },
    Attack {
        name: "network6", what: "1, 5 one IPv6 /48, guessing with a lease", settings: BEHIND_PROXY,
        run: network6, ..PLAIN
    },
    Attack { name: "pool", what: "6 invented names out of a good client's /24", run: pool, ..PLAIN },
    Attack { name: "washing", what: "7 bare sessions", run: washing, ..PLAIN },
    Attack {
        name: "disk", what: "9 content that never ends, small limits", settings: SMALL_DISK,
        good_octets: 1 << 20, run: disk, ..PLAIN
    },
    Attack {
        name: "disk5", what: "9 content that never ends, mails of 5 MiB", good_octets: 5 << 20,
        run: disk, ..PLAIN
    },
    Attack { name: "figures", what: "10 half requests for figures", run: figures, ..PLAIN },
    Attack {
        name: "split", what: "12 forged envelopes that a list has, too", next_hop: refuses_forged,
        good_to: &["good@example.test", "jones@example.test"], run: split, ..PLAIN
    },
    Attack {
        name: "callout", what: "13 notices that take call-outs", recipients: "{ callout = true }",
        next_hop: knows_three, run: callout, ..PLAIN
    },
    Attack {
        name: "headers", what: "14 PROXY headers that never end", settings: BEHIND_PROXY,
        run: headers, ..PLAIN
    },
    Attack { name: "oversize", what: "14 content above the limit", run: oversize, ..PLAIN },
];

/// A server that takes everything.
fn obeys(_: Stage, _: &str) -> Act {
    Act::Obey
}

/// A server that has three people and says so.
fn knows_three(stage: Stage, line: &str) -> Act {
    let known = ["good@", "jones@", "smith@", "postmaster@"];
    if stage == Stage::Rcpt && !known.iter().any(|name| line.contains(name)) {
        return Act::Say("550 5.1.1 nobody has this name\r\n");
    }
    Act::Obey
}

/// A server that takes nothing for two of three people at once: see `docs/pictures/two-servers.md`.
fn refuses_forged(stage: Stage, line: &str) -> Act {
    match stage == Stage::Dot && line.contains("forged") {
        true => Act::Say("550 5.7.1 not this\r\n"),
        false => Act::Obey,
    }
}

/// A connection from this address of ours; nothing when it is turned away.
fn connect(source: Ipv4Addr, to: SocketAddr, sent: &AtomicU64) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into()).ok()?;
    socket.connect_timeout(&to.into(), Duration::from_secs(2)).ok()?;
    // A handshake and its end.
    sent.fetch_add(240, SeqCst);
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
    Some(stream)
}

fn say(stream: &mut TcpStream, octets: &[u8], sent: &AtomicU64) -> bool {
    sent.fetch_add(octets.len() as u64, SeqCst);
    stream.write_all(octets).is_ok()
}

fn hear(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 16 << 10]), Ok(0))
}

/// As far as a recipient, and it reads what is said.
fn begin(stream: &mut TcpStream, from: &str, to: &str, sent: &AtomicU64) -> bool {
    hear(stream)
        && say(stream, b"EHLO a.example\r\n", sent)
        && hear(stream)
        && say(stream, format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\n").as_bytes(), sent)
        && hear(stream)
}

/// So many connections from so many addresses, each of a network of its own unless `/24`; what each
/// does until the end.
fn all(
    target: &Target<'_>,
    (addresses, each): (u32, u32),
    source: fn(u32) -> Ipv4Addr,
    act: impl Fn(u32, Ipv4Addr, &AtomicU64) + Sync,
) -> Cost {
    let sent = AtomicU64::new(0);
    thread::scope(|scope| {
        for n in 0..addresses * each {
            let (act, sent) = (&act, &sent);
            let act = move || {
                while !target.stop.load(SeqCst) {
                    act(n, source(n % addresses), sent);
                    thread::sleep(Duration::from_millis(20));
                }
            };
            thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, act).unwrap();
        }
    });
    let who = format!("{} connections from {addresses} addresses", addresses * each);
    Cost { who, octets: sent.into_inner() }
}

fn spread(n: u32) -> Ipv4Addr {
    Ipv4Addr::new(127, 10 + (n / 250) as u8, (n % 250) as u8, 1)
}

fn neighbours(n: u32) -> Ipv4Addr {
    Ipv4Addr::new(127, 9, 9, 1 + (n % 250) as u8)
}

/// Says no more until the end, or until it is sent away.
fn stay(stream: &mut TcpStream, target: &Target<'_>) {
    while !stopped(target) && hear(stream) {
        thread::sleep(Duration::from_millis(200));
    }
}

fn stopped(target: &Target<'_>) -> bool {
    target.stop.load(SeqCst)
}

fn pinned(target: &Target<'_>) -> Cost {
    all(target, (2, 10), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if !begin(&mut stream, "a@a.example", "postmaster@example.test", sent) {
            return;
        }
        while !stopped(target) && say(&mut stream, b"RCPT TO:<nobody@example.test>\r\n", sent) {
            if !hear(&mut stream) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    })
}

fn idle(target: &Target<'_>) -> Cost {
    all(target, (15, 10), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if begin(&mut stream, "a@a.example", "postmaster@example.test", sent) {
            stay(&mut stream, target);
        }
    })
}

fn deaf(target: &Target<'_>) -> Cost {
    all(target, (4, 10), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if begin(&mut stream, "a@a.example", "postmaster@example.test", sent) {
            let flight = "RCPT TO:<nobody@example.test>\r\n".repeat(500);
            while !stopped(target) {
                say(&mut stream, flight.as_bytes(), sent);
                thread::sleep(Duration::from_millis(200));
            }
        }
    })
}

fn silent(target: &Target<'_>) -> Cost {
    all(target, (128, 2), spread, |_, source, sent| {
        let Some(stream) = connect(source, target.smtp, sent) else { return };
        while !stopped(target) {
            thread::sleep(Duration::from_millis(200));
        }
        drop(stream);
    })
}

fn notices(target: &Target<'_>) -> Cost {
    guess_in_notices(target, (16, 2))
}

fn guess_in_notices(target: &Target<'_>, addresses: (u32, u32)) -> Cost {
    all(target, addresses, spread, |n, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if !begin(&mut stream, "", &format!("n{n}@example.test"), sent) {
            return;
        }
        for word in 0.. {
            let more = format!("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<n{n}w{word}@example.test>\r\n");
            if stopped(target) || !say(&mut stream, more.as_bytes(), sent) || !hear(&mut stream) {
                return;
            }
        }
    })
}

/// As fast as it goes, in large flights, reading all the time.
fn flood(target: &Target<'_>, addresses: (u32, u32), to: &'static str) -> Cost {
    all(target, addresses, spread, move |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if !begin(&mut stream, "a@a.example", to, sent) {
            return;
        }
        let flight = format!("RCPT TO:<{to}>\r\n").repeat(400);
        while !stopped(target) && say(&mut stream, flight.as_bytes(), sent) && hear(&mut stream) {}
    })
}

fn refusals(target: &Target<'_>) -> Cost {
    flood(target, (10, 1), "jones@elsewhere.example")
}

fn stranger(target: &Target<'_>) -> Cost {
    flood(target, (1, 10), "nobody@example.test")
}

fn network(target: &Target<'_>) -> Cost {
    all(target, (250, 4), neighbours, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if hear(&mut stream) {
            stay(&mut stream, target);
        }
    })
}

fn washing(target: &Target<'_>) -> Cost {
    all(target, (250, 1), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        hear(&mut stream);
        say(&mut stream, b"QUIT\r\n", sent);
    })
}

fn disk(target: &Target<'_>) -> Cost {
    all(target, (20, 2), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        if !begin(&mut stream, "a@a.example", "postmaster@example.test", sent)
            || !say(&mut stream, b"DATA\r\n", sent)
            || !hear(&mut stream)
        {
            return;
        }
        let part = ("y".repeat(70) + "\r\n").repeat(1_000);
        for n in 0.. {
            // Up to almost as much as is let pass, and then only so much that it goes on.
            let pause = if n < 110 { 5 } else { 500 };
            if stopped(target)
                || !say(&mut stream, &part.as_bytes()[..if n < 110 { 72_000 } else { 72 }], sent)
            {
                return;
            }
            thread::sleep(Duration::from_millis(pause));
        }
    })
}

fn figures(target: &Target<'_>) -> Cost {
    all(target, (50, 30), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.figures, sent) else { return };
        say(&mut stream, b"GET /metrics HTTP/1.1\r\nX: ", sent);
        stay(&mut stream, target);
    })
}

fn handshake(target: &Target<'_>) -> Cost {
    all(target, (128, 2), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.other, sent) else { return };
        stay(&mut stream, target);
    })
}

/// One /48 behind a listed proxy: each connection is of another /64, says who exists, and guesses.
fn network6(target: &Target<'_>) -> Cost {
    all(target, (1, 64), spread, |n, source, sent| {
        let Some(mut stream) = connect(source, target.other, sent) else { return };
        let header = format!("PROXY TCP6 2001:db8:1:{n:x}::1 2001:db8::1 4000 25\r\n");
        if !say(&mut stream, header.as_bytes(), sent)
            || !begin(&mut stream, "a@a.example", "postmaster@example.test", sent)
        {
            return;
        }
        for word in 0.. {
            let guess = format!("RCPT TO:<n{n}w{word}@example.test>\r\n");
            if stopped(target) || !say(&mut stream, guess.as_bytes(), sent) || !hear(&mut stream) {
                return;
            }
        }
    })
}

/// Neighbours of a good client, as in a provider's pool.
fn pool(target: &Target<'_>) -> Cost {
    let neighbours = |n| Ipv4Addr::new(127, 200, 0, 2 + (n % 250) as u8);
    all(target, (2, 2), neighbours, |n, source, sent| {
        for word in 0.. {
            let Some(mut stream) = connect(source, target.smtp, sent) else { return };
            let to = format!("n{n}w{word}@example.test");
            if stopped(target) || !begin(&mut stream, "a@a.example", &to, sent) {
                return;
            }
            say(&mut stream, b"QUIT\r\n", sent);
        }
    })
}

/// Sends what the server behind refuses as a whole, with the reverse-path of good mail.
fn split(target: &Target<'_>) -> Cost {
    all(target, (20, 1), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        let envelope = "RCPT TO:<good@example.test>\r\nDATA\r\n";
        if begin(&mut stream, "somebody@good.example", "jones@example.test", sent)
            && say(&mut stream, envelope.as_bytes(), sent)
            && hear(&mut stream)
        {
            say(&mut stream, b"Subject: forged\r\n\r\nforged\r\n.\r\nQUIT\r\n", sent);
            hear(&mut stream);
        }
    })
}

fn callout(target: &Target<'_>) -> Cost {
    guess_in_notices(target, (20, 10))
}

fn headers(target: &Target<'_>) -> Cost {
    all(target, (8, 250), neighbours, |_, source, sent| {
        let Some(mut stream) = connect(source, target.other, sent) else { return };
        say(&mut stream, b"PROXY TCP4 192.0.2", sent);
        stay(&mut stream, target);
    })
}

/// As fast as it goes, without an end.
fn oversize(target: &Target<'_>) -> Cost {
    all(target, (8, 1), spread, |_, source, sent| {
        let Some(mut stream) = connect(source, target.smtp, sent) else { return };
        let part = ("y".repeat(70) + "\r\n").repeat(1_000);
        if begin(&mut stream, "a@a.example", "postmaster@example.test", sent)
            && say(&mut stream, b"DATA\r\n", sent)
            && hear(&mut stream)
        {
            while !stopped(target) && say(&mut stream, part.as_bytes(), sent) {}
        }
    })
}
