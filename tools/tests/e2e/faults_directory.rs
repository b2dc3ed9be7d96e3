//! Directories with every fault there is, while twenty clients ask: whoever is known stays known,
//! nobody is made up, nobody who exists is refused, and nobody waits for longer than a lookup may
//! take. A second domain, whose source is a file, notices nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::fake_ldap::Search;
use kit::http::{Http, Request, Response};
use kit::postgres::{self, Postgres};
use kit::{Client, FakeLdap, Folder, Hop, LIFTED, LdapAnswer, Postern, wait_until};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLIENTS: usize = 20;
/// How often each client asks for everybody while the fault lasts.
const ROUNDS: usize = 2;
/// A lookup takes 8 seconds at most (`lookup_seconds_max`); the rest is for a busy machine, and
/// less than a client waits before it gives up.
const REPLY_MAX: Duration = Duration::from_secs(8 + 32);
/// A connection that is given up stands until what is under way on it has had its second, and the
/// goodbye another: those do not count.
const GOODBYE: Duration = Duration::from_secs(2);
const YES: &str = "250 2.1.5";
const NO: &str = "550 5.1.1";
const LATER: &str = "451 4.4.3";

/// A source, and what goes wrong with it.
struct Scene {
    name: &'static str,
    /// The entry in `recipients`, and the table that it needs.
    entry: &'static str,
    table: String,
    files: Vec<(&'static str, String)>,
    /// Where connections go, and how many each thread may have; nothing where that is not ours
    /// to count.
    connections: Option<(SocketAddr, usize)>,
    begin: Box<dyn FnMut() + Send>,
    end: Box<dyn FnMut() + Send>,
    /// It answers no to everybody, so that it takes a moment until nothing vouches for it.
    lies: bool,
}

/// Codes and enhanced statuses of RCPT, and none that comes late.
fn recipients(address: SocketAddr, names: &[String]) -> Vec<String> {
    let mut client = Client::greeted(address);
    let ask = |name: &String| {
        client.say("MAIL FROM:<a@client.example>").expect("250 ");
        let asked = Instant::now();
        let reply = client.say(&format!("RCPT TO:<{name}>")).text();
        assert!(asked.elapsed() < REPLY_MAX, "{name}: {reply} after {:?}", asked.elapsed());
        client.say("RSET").expect("250 ");
        reply.split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    names.iter().map(ask).collect()
}

fn recipient(address: SocketAddr, name: &str) -> String {
    recipients(address, &[format!("{name}@example.test")]).remove(0)
}

/// What one client asks for, over and over.
fn ask_for_everybody(address: SocketAddr, client: usize) {
    for round in 0..ROUNDS {
        let names = [
            format!("person{client:04}@example.test"),
            "jones@files.test".to_owned(),
            format!("stranger{client}-{round}@example.test"),
            "stranger@files.test".to_owned(),
            format!("person{:04}@example.test", 1000 + client * 10 + round),
            "smith@files.test".to_owned(),
        ];
        let heard = recipients(address, &names);
        let [known, jones, stranger, nobody, unseen, smith] = heard.try_into().unwrap();
        assert_eq!(known, YES, "{}", names[0]);
        assert!([NO, LATER].contains(&&*stranger), "{}: {stranger}", names[2]);
        assert!([YES, LATER].contains(&&*unseen), "{}: {unseen}", names[4]);
        assert_eq!([&*jones, &*nobody, &*smith], [YES, NO, YES]);
    }
}

/// Connections of ours that stand to a port.
fn established(to: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let far = format!(":{:04X}", to.port());
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 3 && row[2].ends_with(&far) && row[3] == "01").count()
}

/// The most connections that stood to a port for all of [`GOODBYE`], until it is over.
fn most_that_stood(to: SocketAddr, is_over: &AtomicBool) -> Option<usize> {
    let (begun, mut seen, mut most) = (Instant::now(), VecDeque::new(), 0);
    while !is_over.load(SeqCst) || begun.elapsed() <= GOODBYE {
        seen.push_back((Instant::now(), established(to)));
        while seen.front().is_some_and(|(at, _)| at.elapsed() > GOODBYE) {
            most = most.max(seen.iter().map(|(_, count)| *count).min().unwrap_or(0));
            seen.pop_front();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(most)
}

fn configuration(hop: &Hop, scene: &Scene) -> String {
    let more = format!(
        "[[domain]]\nname = \"files.test\"\nnext_hop = \"{}\"\n\
         recipients = [{{ file = \"files.txt\" }}]\n{}{LIFTED}",
        hop.address, scene.table
    );
    kit::config(hop.address, &more).replace("{ file = \"users.txt\" }", scene.entry)
}

fn lives_through(mut scene: Scene) {
    let (folder, hop) = (Folder::new(), Hop::start());
    folder.write("files.txt", "jones@files.test\nsmith@files.test\n");
    for (name, text) in &scene.files {
        folder.write(name, text);
    }
    let mut postern = Postern::start(&folder, &configuration(&hop, &scene));
    let address = postern.address();
    let known: Vec<_> = (0..CLIENTS).map(|n| format!("person{n:04}@example.test")).collect();
    // It has a second for an answer, which a busy machine may need more than once.
    let hears = |name: &str, right: &str| {
        let heard = recipient(address, name);
        assert!([right, LATER].contains(&&*heard), "{name}: {heard}");
        heard == right
    };
    let names = (0..CLIENTS).map(|n| format!("person{n:04}"));
    names.for_each(|name| wait_until(&name, || hears(&name, YES)));
    wait_until("nobody is unknown", || hears("nobody", NO));
    (scene.begin)();
    if scene.lies {
        let mut asked = 0;
        wait_until("nothing vouches for it any more", || {
            asked += 1;
            recipient(address, &format!("nobody{asked}")) == LATER
        });
    }
    let is_over = AtomicBool::new(false);
    let most = std::thread::scope(|threads| {
        let watching = threads.spawn(|| most_that_stood(scene.connections?.0, &is_over));
        let ask = |client| threads.spawn(move || ask_for_everybody(address, client));
        let clients: Vec<_> = (0..CLIENTS).map(ask).collect();
        let results: Vec<_> =
            clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, SeqCst);
        let most = watching.join().unwrap();
        let failed = results.into_iter().filter(Result::is_err).count();
        assert_eq!(failed, 0, "{}: {:#?}", scene.name, last_events(&postern));
        most
    });
    if let (Some((_, each)), Some(most)) = (scene.connections, most) {
        // One thread a core serves, and one more looks after sources.
        let threads = std::thread::available_parallelism().unwrap().get() + 1;
        assert!(most <= threads * each, "{most} connections for {threads} threads");
    }
    assert!(postern.process.ended().is_none(), "it ended");
    wait_until("the fault is told", || {
        ["SourceTrouble", "SourceDoubted"].iter().any(|name| !postern.events_named(name).is_empty())
    });
    (scene.end)();
    let unseen: Vec<_> = (2000..2005).map(|n| format!("person{n}@example.test")).collect();
    wait_until("it is right again", || recipients(address, &unseen) == [YES; 5]);
    wait_until("it knows again who is not there", || recipient(address, "stranger") == NO);
    assert_eq!(recipients(address, &known), [YES; CLIENTS], "{:#?}", last_events(&postern));
}

fn last_events(postern: &Postern) -> Vec<String> {
    let lines = postern.process.output.all();
    let lines = lines.into_iter().filter(|line| !line.contains("\"session\""));
    lines.collect()
}

/// All of them at the same time: most of it is waiting.
fn live_through(scenes: Vec<Scene>) {
    // Every connection has both of its ends here, and some have copies.
    kit::raise_descriptor_limit();
    kit::scene::begin();
    let start = |scene: Scene| {
        let name = scene.name;
        let thread = std::thread::Builder::new().name(name.to_owned());
        let live = move || {
            kit::scene::join();
            lives_through(scene);
        };
        (name, thread.spawn(live).unwrap())
    };
    let running: Vec<_> = scenes.into_iter().map(start).collect();
    let failed = running.into_iter().filter_map(|(name, one)| one.join().is_err().then_some(name));
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Whether somebody of this name exists: `person` and four digits, at our domain.
fn exists(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("person") else { return false };
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    digits == 4 && (rest[4..].starts_with("@example.test") || rest[4..].starts_with("%40example"))
}

fn right(search: &Search) -> Vec<LdapAnswer> {
    let entry = LdapAnswer::entry("cn=somebody,o=Example", &[("mail", "somebody@example.test")]);
    let is_there = exists(&search.filter) || search.scope == 0;
    is_there.then_some(entry).into_iter().chain([LdapAnswer::done(0)]).collect()
}

type Answer = dyn Fn(&Search) -> Vec<LdapAnswer> + Send + Sync;

fn ldap_scene(
    name: &'static str,
    begin: impl Fn(&mut FakeLdap) + Send + 'static,
    end: impl Fn(&mut FakeLdap) + Send + 'static,
) -> Scene {
    let fake = FakeLdap::start(right);
    let address = fake.address;
    let table = format!(
        "[[ldap]]\nname = \"people\"\npreset = \"custom\"\nbase = \"o=Example\"\n\
         servers = [\"{address}\"]\ntls = \"plain\"\nfilter = \"(mail={{address}})\"\n\
         target_attribute = \"mailRoutingAddress\"\nanswer_seconds_max = 1\n\
         connect_seconds_max = 1\npositive_seconds = 0\nnegative_seconds = 0\n"
    );
    let fake = Arc::new(Mutex::new(fake));
    let ours = Arc::clone(&fake);
    Scene {
        name,
        entry: "{ ldap = \"people\" }",
        table,
        files: Vec::new(),
        // Two, and two more in place of those that have gone silent.
        connections: Some((address, 4)),
        begin: Box::new(move || begin(&mut ours.lock().unwrap())),
        end: Box::new(move || end(&mut fake.lock().unwrap())),
        lies: false,
    }
}

/// A directory that answers so while the fault lasts.
fn answering(name: &'static str, answer: &'static Answer) -> Scene {
    ldap_scene(name, move |fake| fake.answer_with(answer), |fake| fake.answer_with(right))
}

#[test]
fn a_directory_that_is_gone_slow_or_broken_off_makes_nothing_up() {
    use LdapAnswer as Say;
    static BEGUN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    live_through(vec![
        ldap_scene("down", FakeLdap::stop, FakeLdap::restart),
        answering("10 s slow", &|search| {
            [vec![Say::Wait(Duration::from_secs(10))], right(search)].concat()
        }),
        answering("silent", &|_| Vec::new()),
        answering("half-closed", &|_| vec![Say::HalfClose]),
        answering("half-closed after an entry", &|search| {
            let mut all = right(search);
            all.pop();
            all.push(Say::HalfClose);
            all
        }),
        answering("flapping every second", &|search| match BEGUN.elapsed().as_secs() % 2 {
            0 => vec![Say::Close],
            _ => right(search),
        }),
        answering("an octet at a time", &|search| {
            [vec![Say::Slowly(Duration::from_millis(100))], right(search)].concat()
        }),
        answering("reset in the middle", &|_| {
            vec![Say::Octets(vec![0x30, 0x40, 0x02, 0x01]), Say::Reset]
        }),
        answering("cut in the middle", &|search| [vec![Say::CutAfter(9)], right(search)].concat()),
    ]);
}

#[test]
fn a_directory_whose_answers_are_none_makes_nothing_up() {
    use LdapAnswer as Say;
    static TURN: AtomicUsize = AtomicUsize::new(0);
    // operationsError, protocolError, timeLimitExceeded, sizeLimitExceeded,
    // adminLimitExceeded, noSuchObject, insufficientAccessRights, busy, unavailable,
    // unwillingToPerform, other, and one that nobody has defined.
    const CODES: [u32; 12] = [1, 2, 3, 4, 11, 32, 50, 51, 52, 53, 80, 4_000];
    let empty = answering("empty", &|_| vec![Say::done(0)]);
    live_through(vec![
        answering("wrong result codes", &|_| {
            vec![Say::done(CODES[TURN.fetch_add(1, SeqCst) % CODES.len()])]
        }),
        Scene { lies: true, ..empty },
        answering("referrals", &|_| vec![Say::referral(&["ldap://elsewhere.test/o=Example"])]),
        answering("a wrong attribute", &|_| {
            let routing = [("mailRoutingAddress", "this is \0 no address")];
            vec![Say::entry("cn=somebody,o=Example", &routing), Say::done(0)]
        }),
        answering("10 MB in a value", &|_| {
            let value = "x".repeat(10 << 20);
            let entry = Say::entry("cn=somebody,o=Example", &[("mail", &value)]);
            vec![entry, Say::done(0)]
        }),
        answering("10 MB of entries", &|_| {
            let mut all = Say::people(150_000);
            all.push(Say::done(0));
            all
        }),
        answering("a wrong message id", &|search| {
            [vec![Say::WrongMessageId], right(search)].concat()
        }),
        answering("no LDAP", &|_| vec![Say::Octets(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())]),
        answering("leaving", &|_| vec![Say::Disconnect(52)]),
    ]);
}

fn http_scene(name: &'static str, answer: fn(&Request) -> Response) -> Scene {
    let knows =
        |request: &Request| Response::new(if exists(&request.path) { 200 } else { 404 }, "");
    let http = Arc::new(Http::start(knows));
    let table = format!(
        "[[http]]\nname = \"people\"\nurl = \"{}\"\nquestion_seconds_max = 1\n\
         positive_seconds = 0\nnegative_seconds = 0\n",
        http.url("/{address}")
    );
    let ours = Arc::clone(&http);
    Scene {
        name,
        entry: "{ http = \"people\" }",
        table,
        files: Vec::new(),
        connections: Some((http.address, 8)),
        begin: Box::new(move || ours.answer_with(answer)),
        end: Box::new(move || http.answer_with(knows)),
        lies: false,
    }
}

/// `begin` and `end` are done to the server.
fn postgres_scene(
    name: &'static str,
    begin: impl Fn(&Postgres) + Send + 'static,
    end: impl Fn(&Postgres) + Send + 'static,
) -> Scene {
    let server = Postgres::start();
    server.execute(
        "create table people (address varchar(254) primary key); insert into people select \
         'person' || lpad(n::text, 4, '0') || '@example.test' from generate_series(0, 9999) n",
    );
    let table = format!(
        "[[sql]]\nname = \"people\"\nserver = \"postgres://postern@{}/postern\"\n\
         password_file = \"sql-password\"\nanswer_seconds_max = 1\n\
         query = \"select 1 from people where address = {{address}}\"\n\
         positive_seconds = 0\nnegative_seconds = 0\n",
        server.address
    );
    let server = Arc::new(server);
    let (address, ours) = (server.address, Arc::clone(&server));
    Scene {
        name,
        entry: "{ sql = \"people\" }",
        table,
        files: vec![("sql-password", postgres::PASSWORD.to_owned())],
        connections: Some((address, 8)),
        begin: Box::new(move || begin(&ours)),
        end: Box::new(move || end(&server)),
        lies: false,
    }
}

#[test]
fn a_web_service_or_a_database_that_hangs_or_breaks_off_makes_nothing_up() {
    let mut scenes = vec![
        http_scene("a slow web service", |_| Response::new(404, "").after(Duration::from_secs(10))),
        http_scene("a web service that breaks off", |_| Response::new(404, "").cut_at(9)),
        http_scene("a web service that is confused", |_| Response::new(500, "no such user")),
        http_scene("a web service that sends elsewhere", |_| {
            Response::new(302, "").with("Location", "/person0000@example.test")
        }),
    ];
    if postgres::is_here() {
        scenes.push(postgres_scene("a frozen PostgreSQL", Postgres::freeze, Postgres::thaw));
        let holds = "begin; update people set address = address where false; \
                     lock table people in access exclusive mode; prepare transaction 'held'";
        let lets_go = "rollback prepared 'held'";
        let hold = move |server: &Postgres| drop(server.execute(holds));
        let let_go = move |server: &Postgres| drop(server.execute(lets_go));
        scenes.push(postgres_scene("a PostgreSQL whose table is locked", hold, let_go));
    }
    live_through(scenes);
}
