//! Killed with SIGKILL while mail runs through, over and over: whoever heard 250 has a message at
//! the next hop, whoever heard a refusal has none there, and what was not answered is counted as
//! unknown. `KILLS=n` says how often; 20 by default.
//!
//! The next hop misbehaves as well: it refuses, goes away before and after it has taken a message.
//! Told to end or to read its configuration again, in the same situation, it loses not one answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::client::with_transparency;
use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, config};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Clients at work at the same time.
const CLIENTS: usize = 8;
/// What the messages consist of.
const LINE: &str = ".a line that begins with a dot\r\n";

/// What a client knows of one attempt to deliver a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// 250 to the final dot.
    Taken,
    /// A refusal, at whatever stage.
    Refused,
    /// A refusal that admits not to know: `451`, outcome unknown.
    SaidUnknown,
    /// The final dot was sent, or may have been, and no reply came.
    Unanswered,
    /// The connection was lost before the final dot.
    NotSent,
}

/// Attempts and what became of them; written by the client before and after.
type Book = Mutex<HashMap<String, Fate>>;

/// A cheap source of chance that is the same every time (xorshift).
struct Chance(AtomicU64);

impl Chance {
    fn per_mille(&self) -> u64 {
        let next = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        };
        let before = self.0.fetch_update(SeqCst, SeqCst, |x| Some(next(x))).unwrap();
        next(before) % 1_000
    }
}

fn unreliable_hop() -> Hop {
    let chance = Chance(AtomicU64::new(0x9e37_79b9_7f4a_7c15));
    Hop::acting(move |stage, _| match (stage, chance.per_mille()) {
        (Stage::Dot, 0..20) => Act::Say("554 5.7.1 not this one"),
        (Stage::Dot, 20..40) => Act::Say("452 4.3.1 not now"),
        (Stage::Dot, 40..50) => Act::Close,
        (Stage::Dot, 50..60) => Act::TakeAndClose,
        (Stage::Dot, 60..70) => Act::SayAndClose("421 4.3.2 going down"),
        (Stage::Data, 0..10) => Act::Close,
        (Stage::Data, 10..20) => Act::Say("451 4.3.0 not now"),
        (Stage::Rcpt, 0..10) => Act::Say("550 5.1.1 not known in here"),
        (Stage::Mail, 0..10) => Act::Close,
        (Stage::Connect, 0..10) => Act::SayAndClose("421 4.3.2 busy"),
        _ => Act::Obey,
    })
}

/// One attempt; the error is the connection's, and the book is written in any case.
fn attempt(client: &mut Client, id: &str, lines: usize, book: &Book) -> io::Result<Fate> {
    let note = |fate| {
        book.lock().unwrap().insert(id.to_owned(), fate);
        fate
    };
    note(Fate::NotSent);
    for command in ["MAIL FROM:<a@client.example>", "RCPT TO:<jones@example.test>", "DATA"] {
        client.try_send(format!("{command}\r\n").as_bytes())?;
        let reply = client.try_reply()?;
        if reply.code == 421 {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if reply.code >= 400 {
            note(Fate::Refused);
            client.try_send(b"RSET\r\n")?;
            client.try_reply()?;
            return Ok(Fate::Refused);
        }
    }
    let content = format!("Subject: {id}\r\n\r\n{}", LINE.repeat(lines));
    let wire = [with_transparency(content.as_bytes()), b".\r\n".to_vec()].concat();
    note(Fate::Unanswered);
    client.try_send(&wire)?;
    let reply = client.try_reply()?;
    Ok(note(match reply.code {
        250 => Fate::Taken,
        451 if reply.text().contains("went away at the end") => Fate::SaidUnknown,
        421 => Fate::Unanswered,
        400..600 => Fate::Refused,
        code => panic!("{code} to the final dot"),
    }))
}

/// Sends message after message until the process is killed. What was not taken is sent again, as
/// mail servers do: each attempt has a name of its own.
fn work(address: SocketAddr, name: &str, taken: &AtomicU64, stop: &AtomicBool, book: &Book) {
    let mut count = 0;
    while !stop.load(SeqCst) {
        let Ok(mut client) = connect(address) else { return };
        loop {
            count += 1;
            match attempt(&mut client, &format!("{name}.{count}"), lines_of(count), book) {
                Ok(Fate::Taken) => {
                    taken.fetch_add(1, SeqCst);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<Client> {
    // Nobody listens any more once it is killed.
    std::net::TcpStream::connect(address)?;
    let mut client = Client::silent(address);
    client.try_reply()?;
    client.try_send(b"EHLO client.example\r\n")?;
    client.try_reply()?;
    Ok(client)
}

/// Most are small; some go to the next hop in many pieces, by way of a file.
fn lines_of(count: usize) -> usize {
    if count.is_multiple_of(10) { 10_000 } else { 16 }
}

/// Whether the content is whole: all of its lines, dots included.
fn is_whole(id: &str, content: &[u8]) -> bool {
    let count = id.rsplit('.').next().unwrap().parse().unwrap();
    let at = memchr::memmem::find(content, b"\r\n\r\n").unwrap();
    content[at + 4..] == LINE.repeat(lines_of(count)).into_bytes()
}

fn subject(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(&content[..content.len().min(2_000)]).into_owned();
    text.split("Subject: ").nth(1).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn told_to_end_in_the_middle_it_leaves_no_message_without_an_answer() {
    let (hop, folder, book) = (Hop::start(), Folder::new(), Book::default());
    let text = config(hop.address, LIFTED);
    for round in 0..5 {
        let mut postern = Postern::start(&folder, &text);
        let (address, taken) = (postern.address(), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for n in 0..CLIENTS {
                let (taken, stop, book) = (&taken, &stop, &book);
                scope.spawn(move || work(address, &format!("{round}.{n}"), taken, stop, book));
            }
            kit::wait_until("mail runs", || taken.load(SeqCst) > 20);
            stop.store(true, SeqCst);
            postern.signal(Signal::SIGTERM);
            assert!(postern.process.wait().success());
        });
    }
    let arrived: Vec<_> = hop.taken().iter().map(|m| subject(&m.content)).collect();
    let book = book.lock().unwrap();
    let mut taken: Vec<_> = book.iter().filter(|(_, fate)| **fate == Fate::Taken).collect();
    taken.sort_by_key(|(id, _)| *id);
    let unanswered: Vec<_> = book.iter().filter(|(_, f)| **f == Fate::Unanswered).collect();
    assert!(unanswered.is_empty(), "{unanswered:?}");
    assert_eq!(taken.len(), arrived.len());
    assert!(taken.iter().all(|(id, _)| arrived.contains(id)));
}

#[test]
fn mail_runs_on_while_the_configuration_is_read_again_and_again() {
    let (hop, folder, book) = (Hop::start(), Folder::new(), Book::default());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let (address, taken) = (postern.address(), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..CLIENTS {
            let (taken, stop, book) = (&taken, &stop, &book);
            scope.spawn(move || work(address, &n.to_string(), taken, stop, book));
        }
        for n in 1..=20 {
            postern.signal(Signal::SIGHUP);
            postern.wait_for_nth("ConfigurationReloaded", n);
        }
        let now = taken.load(SeqCst);
        kit::wait_until("mail runs on", || taken.load(SeqCst) > now + 50);
        stop.store(true, SeqCst);
        // Ends the sessions, and with them the clients.
        postern.signal(Signal::SIGTERM);
    });
    let book = book.lock().unwrap();
    let fates = |fate| book.values().filter(|known| **known == fate).count();
    assert_eq!((fates(Fate::Refused), fates(Fate::Unanswered)), (0, 0));
    assert_eq!(fates(Fate::Taken), hop.taken().len());
}

#[test]
fn killed_in_the_middle_it_has_never_said_250_of_a_message_that_is_lost() {
    let kills: usize = std::env::var("KILLS").map_or(20, |n| n.parse().expect("KILLS=n"));
    let (hop, folder, book) = (unreliable_hop(), Folder::new(), Book::default());
    let limits = "[limits]\nmessages_max = 100000\nmessage_memory_octets_max = 100000\n";
    // The hop fails often enough that a breaker would spend the test waiting.
    let table = format!(
        "{LIFTED}{limits}[[next_hop]]\nname = \"inside\"\nhosts = [\"{}\"]\n\
         breaker_failures = 1000\n",
        hop.address
    );
    let text = config("inside", &table);
    for round in 0..kills {
        let postern = Postern::start(&folder, &text);
        let (address, taken) = (postern.address(), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for n in 0..CLIENTS {
                let (taken, stop, book) = (&taken, &stop, &book);
                scope.spawn(move || work(address, &format!("{round}.{n}"), taken, stop, book));
            }
            kit::wait_until("mail runs", || taken.load(SeqCst) > 20);
            // Somewhere within a message, each time elsewhere.
            std::thread::sleep(Duration::from_millis(round as u64 * 7 % 50));
            stop.store(true, SeqCst);
            drop(postern); // SIGKILL
        });
    }

    // The hop's threads may still be reading what was sent before the kill.
    kit::wait_until("everything is read that was sent", || hop.is_idle());
    let mut arrived: HashMap<String, u32> = HashMap::new();
    for message in hop.taken() {
        let id = subject(&message.content);
        assert!(is_whole(&id, &message.content), "{id} was cut short");
        *arrived.entry(id).or_default() += 1;
    }
    let book = book.lock().unwrap();
    let (mut taken, mut refused, mut unknown, mut unknown_and_taken) = (0, 0, 0, 0);
    for (id, fate) in book.iter() {
        let times = arrived.remove(id).unwrap_or(0);
        assert!(times <= 1, "{id} has arrived {times} times");
        match fate {
            Fate::Taken => {
                assert_eq!(times, 1, "{id} was answered 250 and is lost");
                taken += 1;
            }
            Fate::Refused | Fate::NotSent => {
                assert_eq!(times, 0, "{id} ({fate:?}) has arrived");
                refused += 1;
            }
            Fate::Unanswered | Fate::SaidUnknown => {
                unknown += 1;
                unknown_and_taken += times;
            }
        }
    }
    assert!(arrived.is_empty(), "nobody sent {:?}", arrived.keys());
    println!(
        "{kills} kills: {taken} answered 250, all there; {refused} refused or never sent, none \
         there; {unknown} unknown, of which {unknown_and_taken} there"
    );
    assert!(taken > 20 * kills && unknown > 0 && refused > 0, "too little happened");
}
