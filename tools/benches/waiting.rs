//! Figures: what a directory that hangs, and a list of ten million that is being read, cost those
//! who only want to know whether somebody exists. Prints milliseconds of RCPT; the whole program,
//! and clients beside it. `hangs` or `list` as an argument does only that.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::http::Listener;
use kit::postgres::{self, Postgres};
use kit::{Client, FakeLdap, Folder, Hop, LIFTED, LdapAnswer, Postern, wait_until};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long each run takes.
const RUN: Duration = Duration::from_secs(20);
const CLIENTS: usize = 50;
/// Between two questions of one client.
const PAUSE: Duration = Duration::from_millis(25);

/// How long replies took, and how many were of which code.
#[derive(Default)]
struct Taken {
    times: Vec<Duration>,
    codes: std::collections::BTreeMap<String, usize>,
}

impl Taken {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
    }

    fn print(mut self, what: &str) {
        self.times.sort_unstable();
        let at = |part: f64| {
            let last = self.times.len().saturating_sub(1);
            self.times.get((last as f64 * part) as usize).map_or(0.0, |t| t.as_secs_f64() * 1e3)
        };
        println!(
            "{what}: {} RCPT, p50 {:.2}, p99 {:.2}, p99.9 {:.2}, max {:.2} ms, {:?}",
            self.times.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            self.codes
        );
    }
}

/// One client after another question, until it is over.
fn ask(address: SocketAddr, is_over: &AtomicBool, name: impl Fn(usize) -> String) -> Taken {
    let mut taken = Taken::default();
    let mut client = Client::greeted(address);
    for n in 0.. {
        if is_over.load(SeqCst) {
            break;
        }
        if n % 50 == 49 {
            client = Client::greeted(address);
        }
        client.say("MAIL FROM:<a@client.example>").expect("250 ");
        let command = format!("RCPT TO:<{}>", name(n));
        let asked = Instant::now();
        let reply = client.say(&command);
        taken.times.push(asked.elapsed());
        *taken.codes.entry(reply.code.to_string()).or_default() += 1;
        client.say("RSET").expect("250 ");
        std::thread::sleep(PAUSE);
    }
    taken
}

fn beside_a_file(what: &str, ldap: Option<SocketAddr>) {
    let (folder, hop) = (Folder::new(), Hop::start());
    folder.write("files.txt", (0..1_000).map(|n| format!("p{n}@files.test\n")).collect::<String>());
    let server = ldap.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 1)));
    let more = format!(
        "canary = \"person0001@example.test\"\n\
         [[domain]]\nname = \"files.test\"\nnext_hop = \"{}\"\n\
         recipients = [{{ file = \"files.txt\" }}]\n\
         [[ldap]]\nname = \"people\"\npreset = \"custom\"\nbase = \"o=Example\"\n\
         servers = [\"{server}\"]\ntls = \"plain\"\nfilter = \"(mail={{address}})\"\n{LIFTED}",
        hop.address
    );
    let config = kit::config(hop.address, &more);
    let config = config.replace("{ file = \"users.txt\" }", "{ ldap = \"people\" }");
    let postern = Postern::start(&folder, &config);
    let (address, is_over) = (postern.address(), AtomicBool::new(false));
    let is_over = &is_over;
    let (mut of_ldap, mut of_file) = (Taken::default(), Taken::default());
    std::thread::scope(|threads| {
        let asked = if ldap.is_some() { CLIENTS } else { 0 };
        let of = |client| {
            threads.spawn(move || ask(address, is_over, |n| format!("s{client}-{n}@example.test")))
        };
        let ldap: Vec<_> = (0..asked).map(of).collect();
        let of = |client: usize| {
            let name = move |n: usize| match n % 2 {
                0 => format!("p{}@files.test", (client * 20 + n) % 1_000),
                _ => format!("nobody{n}@files.test"),
            };
            threads.spawn(move || ask(address, is_over, name))
        };
        let file: Vec<_> = (0..CLIENTS).map(of).collect();
        std::thread::sleep(RUN);
        is_over.store(true, SeqCst);
        ldap.into_iter().for_each(|one| of_ldap.add(one.join().unwrap()));
        file.into_iter().for_each(|one| of_file.add(one.join().unwrap()));
    });
    if ldap.is_some() {
        of_ldap.print(&format!("{what}, the directory's domain"));
    }
    of_file.print(&format!("{what}, the file's domain"));
}

fn a_directory_that_hangs_beside_a_file() {
    let fake = FakeLdap::start(|search| {
        let mut all = match search.filter.contains("person0001") {
            true => LdapAnswer::people(1),
            false => Vec::new(),
        };
        all.push(LdapAnswer::done(0));
        all
    });
    let hanging =
        Listener::start(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())));
    for _ in 0..2 {
        beside_a_file("nobody asks the directory", None);
        beside_a_file("a directory that answers", Some(fake.address));
        beside_a_file("a directory that hangs", Some(hanging.address));
    }
}

/// A line of `/proc/…/status`, in KiB.
fn kib(postern: &Postern, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", postern.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// How long known people of the list take while something goes on.
fn while_it(postern: &Postern, what: &str, people: usize, it: impl FnOnce()) {
    let (address, is_over, mut all) = (postern.address(), AtomicBool::new(false), Taken::default());
    let is_over = &is_over;
    std::thread::scope(|threads| {
        let of = |client: usize| {
            let name = move |n: usize| {
                format!("person{}@example.test", 1 + (client * 7_919 + n * 104_729) % people)
            };
            threads.spawn(move || ask(address, is_over, name))
        };
        let clients: Vec<_> = (0..8).map(of).collect();
        it();
        is_over.store(true, SeqCst);
        clients.into_iter().for_each(|one| all.add(one.join().unwrap()));
    });
    let memory = (kib(postern, "VmRSS:") / 1024, kib(postern, "VmHWM:") / 1024);
    all.print(&format!("{what} (resident {} MiB, at most {} MiB)", memory.0, memory.1));
}

fn a_list_of_ten_million_is_read_and_swapped() {
    let people: usize = std::env::var("PEOPLE").map_or(10_000_000, |n| n.parse().unwrap());
    if !postgres::is_here() {
        return;
    }
    let (folder, hop, server) = (Folder::new(), Hop::start(), Postgres::start());
    server.execute(&format!(
        "create unlogged table people as select 'person' || n || '@example.test' as address \
         from generate_series(1, {people}) n"
    ));
    folder.write("sql-password", postgres::PASSWORD);
    let more = format!(
        "[[sql]]\nname = \"people\"\nserver = \"postgres://postern@{}/postern\"\n\
         password_file = \"sql-password\"\nmode = \"snapshot\"\nevery_seconds = 86400\n\
         list = \"select address from people\"\n{LIFTED}",
        server.address
    );
    let config = kit::config(hop.address, &more);
    let config = config.replace("{ file = \"users.txt\" }", "{ sql = \"people\" }").replace(
        "hostname = \"mx.example.test\"\n",
        "hostname = \"mx.example.test\"\nstate_dir = \".\"\n",
    );
    let postern = Postern::start(&folder, &config);
    println!("at the start: resident {} MiB", kib(&postern, "VmRSS:") / 1024);
    let begun = Instant::now();
    wait_until("it begins", || !postern.events_named("Listening").is_empty());
    while postern.events_named("RecipientsAdopted").is_empty() {
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(600), "{:#?}", postern.events());
    }
    println!(
        "read after {:.1} s: {} MiB",
        begun.elapsed().as_secs_f64(),
        kib(&postern, "VmRSS:") / 1024
    );
    while_it(&postern, "nothing is read", people, || std::thread::sleep(RUN));
    for _ in 0..3 {
        let begun = Instant::now();
        while_it(&postern, "while it is read", people, || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
            command.args(["recipients", "sync", "--config"]).arg(folder.file("postern.toml"));
            let done = command.output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
            println!("read in {:.1} s", begun.elapsed().as_secs_f64());
            // It is kept after that.
            std::thread::sleep(Duration::from_secs(3));
        });
    }
}

fn main() {
    let wants = |what: &str| {
        let mut named = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|word| word == what)
    };
    if wants("hangs") {
        a_directory_that_hangs_beside_a_file();
    }
    if wants("list") {
        a_list_of_ten_million_is_read_and_swapped();
    }
}
