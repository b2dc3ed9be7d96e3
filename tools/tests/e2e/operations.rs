//! What operators do to a running process, and what machines do to it: reload, drain, rights,
//! figures, logs, and too few descriptors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::http::{Http, Response};
use kit::process::run;
use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, config, has};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

/// What RCPT costs in a session of its own.
fn recipient(postern: &Postern, path: &str) -> String {
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say(&format!("RCPT TO:<{path}>")).text()
}

#[test]
fn hangup_puts_a_good_file_in_force_and_leaves_a_bad_one_alone() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let text = config(hop.address, LIFTED);
    let postern = Postern::start(&folder, &text);
    let mut before = Client::greeted(postern.address());
    before.envelope("a@client.example", &["jones@example.test"]);

    folder.write("postern.toml", text.replace("next_hop", "nxt_hop"));
    postern.signal(Signal::SIGHUP);
    let refused = postern.wait_for("ConfigurationRefused");
    assert!(refused["subject"].as_str().unwrap().ends_with("postern.toml"), "{refused}");
    let report = || postern.process.errors.all().join("\n");
    kit::wait_until("the report is complete", || report().contains("nxt_hop"));
    assert!(recipient(&postern, "jones@example.test").starts_with("250 "));

    let leaver = "leavers = [{ address = \"jones@example.test\", text = \"has left\" }]\n";
    folder.write("postern.toml", text.replace("recipients =", &format!("{leaver}recipients =")));
    postern.signal(Signal::SIGHUP);
    postern.wait_for("ConfigurationReloaded");
    assert!(recipient(&postern, "jones@example.test").starts_with("550 5.1.6 has left"));
    // What was open before goes on as it began.
    before.content(MESSAGE).expect("250 ");
}

#[test]
fn a_changed_recipients_file_is_in_force_within_seconds_and_an_emptied_one_is_not() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    assert!(recipient(&postern, "green@example.test").starts_with("550 5.1.1 "));
    let people = "jones@example.test\nsmith@example.test\nbrown@example.test\n";
    folder.write("users.txt", format!("{people}green@example.test\n"));
    let began = Instant::now();
    kit::wait_until("green exists", || {
        recipient(&postern, "green@example.test").starts_with("250 ")
    });
    // It is looked at every second; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());

    folder.write("users.txt", "");
    postern.wait_for("RecipientsHeld");
    for person in ["jones", "smith", "brown", "green"] {
        let heard = recipient(&postern, &format!("{person}@example.test"));
        assert!(heard.starts_with("250 "), "{person}: {heard}");
    }
    fs::remove_file(folder.file("users.txt")).unwrap();
    postern.wait_for("RecipientsFailed");
    assert!(recipient(&postern, "jones@example.test").starts_with("250 "));
}

#[test]
fn told_to_end_it_lets_open_transactions_end_and_tells_the_idle_so() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let metrics = format!("{LIFTED}[metrics]\naddress = \"127.0.0.1:0\"\n");
    let mut postern = Postern::start(&folder, &config(hop.address, &metrics));
    let mut idle = Client::greeted(postern.address());
    let mut open = Client::greeted(postern.address());
    open.envelope("a@client.example", &["jones@example.test"]);
    open.say("DATA").expect("354 ");
    open.send(b"Subject: half\r\n");

    postern.signal(Signal::SIGTERM);
    idle.reply().expect("421 4.3.2 ");
    assert!(idle.is_closed());
    kit::wait_until("nobody is greeted any more", || {
        TcpStream::connect(postern.address()).is_err()
    });
    let health = fetch(postern.figures.unwrap(), "/healthz");
    assert!(health.starts_with("HTTP/1.1 503 ") && health.ends_with("draining\n"), "{health}");
    open.send(b"\r\nthe other half\r\n.\r\n");
    open.reply().expect("250 2.0.0 ");
    open.reply().expect("421 4.3.2 ");
    assert!(postern.process.wait().success());
    assert!(hop.taken()[0].content.ends_with(b"half\r\n\r\nthe other half\r\n"));
    postern.wait_for("MessageDelivered");
    postern.wait_for("Stopped");
}

#[test]
fn started_as_root_it_serves_as_nobody() {
    if !has(&["root"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let text = format!("user = \"nobody\"\n{}", config(hop.address, LIFTED));
    let postern = Postern::start(&folder, &text);
    let status = fs::read_to_string(format!("/proc/{}/status", postern.process.id())).unwrap();
    let numbers = |name: &str| -> Vec<u32> {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().map(|n| n.parse().unwrap()).collect()
    };
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    assert_eq!(numbers("Uid:"), [nobody.uid.as_raw(); 4]);
    assert_eq!(numbers("Gid:"), [nobody.gid.as_raw(); 4]);
    assert_eq!(numbers("Groups:"), [nobody.gid.as_raw()]);
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
}

fn fetch(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn figures_count_what_happened_and_health_says_ok() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let metrics = format!("{LIFTED}[metrics]\naddress = \"127.0.0.1:0\"\n");
    let postern = Postern::start(&folder, &config(hop.address, &metrics));
    let figures = postern.figures.unwrap();
    for _ in 0..3 {
        Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    }
    assert!(recipient(&postern, "green@example.test").starts_with("550 "));
    assert!(fetch(figures, "/healthz").ends_with("\r\n\r\nok\n"));
    let page = fetch(figures, "/metrics");
    let has_line = |parts: &[&str], end: &str| {
        page.lines().any(|line| parts.iter().all(|part| line.contains(part)) && line.ends_with(end))
    };
    assert!(has_line(&["messages_delivered_total"], " 3"), "{page}");
    assert!(has_line(&["refused_total", "rule=\"recipient\""], " 1"), "{page}");
    assert!(has_line(&["postern_connections "], ""), "{page}");
}

/// Starts with a log file, `postern.log`.
fn with_log_file(folder: &Folder, hop: &Hop) -> (kit::process::Process, SocketAddr) {
    let address = kit::closed_port();
    let text = config(hop.address, &format!("{LIFTED}[log]\nfile = \"postern.log\"\n"))
        .replace("127.0.0.1:0", &address.to_string());
    let path = folder.write("postern.toml", text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let process = kit::process::Process::start(command.arg("run").arg("--config").arg(path));
    // The port takes connections before there is a log.
    kit::wait_until("it listens", || {
        let log = fs::read_to_string(folder.file("postern.log"));
        log.is_ok_and(|log| log.contains("\"Listening\""))
    });
    (process, address)
}

#[test]
fn what_it_is_told_while_it_starts_it_does_when_it_has_started() {
    let (folder, hop, address) = (Folder::new(), Hop::start(), kit::closed_port());
    // So many that the port takes connections for a while before anybody serves.
    let others = (0..200_000).map(|n| format!("other{n}@example.test\n"));
    folder.write("users.txt", others.chain(["jones@example.test\n".into()]).collect::<String>());
    let text = config(hop.address, LIFTED).replace("127.0.0.1:0", &address.to_string());
    let path = folder.write("postern.toml", text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let mut process = kit::process::Process::start(command.arg("run").arg("--config").arg(path));
    kit::wait_for_port(address);
    process.signal(Signal::SIGHUP);
    let is_reloaded = |line: &str| line.contains("\"ConfigurationReloaded\"").then_some(());
    process.output.wait_for(is_reloaded, kit::PATIENCE).expect("the signal ends or is lost");
    Client::greeted(address).message(MESSAGE).expect("250 ");
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

#[test]
fn a_start_that_waits_for_a_source_takes_no_clients_and_ends_when_it_is_told_to() {
    let (folder, hop, address) = (Folder::new(), Hop::start(), kit::closed_port());
    let source = Http::start(|_| Response::new(404, "").after(Duration::from_secs(20)));
    let text = config(hop.address, LIFTED)
        .replace("127.0.0.1:0", &address.to_string())
        .replace("{ file = \"users.txt\" }", "{ http = \"people\" }");
    let url = source.url("/{address}");
    let path = folder.write(
        "postern.toml",
        format!(
            "start_without_sources = false\n{text}\n[[http]]\nname = \"people\"\n\
             url = \"{url}\"\nquestion_seconds_max = 30\n"
        ),
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let mut process = kit::process::Process::start(command.arg("run").arg("--config").arg(path));
    kit::wait_until("the source is asked", || source.connections() > 0);
    assert!(TcpStream::connect(address).is_err(), "a client would wait for a start that may fail");
    process.signal(Signal::SIGTERM);
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{:#?}", process.errors.all());
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew_at_a_hangup() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let (mut process, address) = with_log_file(&folder, &hop);
    fs::rename(folder.file("postern.log"), folder.file("postern.log.1")).unwrap();
    process.signal(Signal::SIGHUP);
    kit::wait_until("the log is there again", || folder.file("postern.log").exists());
    Client::greeted(address).message(MESSAGE).expect("250 ");
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    let read = |name| fs::read_to_string(folder.file(name)).unwrap();
    assert!(read("postern.log").contains("MessageDelivered"));
    assert!(!read("postern.log.1").contains("MessageDelivered"));
}

#[test]
fn a_log_that_root_made_is_that_of_whom_we_become() {
    if !has(&["root"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let path = folder.for_nobody("log").join("postern.log");
    let log = format!("[log]\nfile = \"{}\"\n", path.display());
    let text = format!("user = \"nobody\"\n{}{log}", config(hop.address, LIFTED));
    let written = folder.write("postern.toml", text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let mut process = kit::process::Process::start(command.arg("run").arg("--config").arg(written));
    kit::wait_until("the log is there", || path.exists());
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    kit::wait_until("it is nobody's", || fs::metadata(&path).unwrap().uid() == nobody);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

#[test]
fn a_log_that_is_a_link_is_not_followed_by_root() {
    if !has(&["root"]) {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let path = folder.for_nobody("log").join("postern.log");
    let precious = folder.write("precious", "root's");
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    let log = format!("[log]\nfile = \"{}\"\n", path.display());
    let text = format!("user = \"nobody\"\n{}{log}", config(hop.address, LIFTED));
    let written = folder.write("postern.toml", text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let (is_started, said) = kit::process::run(command.arg("run").arg("--config").arg(written));
    assert!(!is_started && said.contains("cannot write the log"), "{said}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "root's");
    assert_eq!(fs::metadata(&precious).unwrap().uid(), 0);
}

#[test]
fn the_log_goes_to_its_file_a_json_object_a_line() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let (mut process, address) = with_log_file(&folder, &hop);
    // A client's name cannot forge a line of its own.
    let mut client = Client::connect(address);
    client.say("EHLO evil\u{1b}[31m\u{0}\",\"event\":\"x").expect("5");
    client.say("EHLO client.example").expect("250 ");
    client.message(MESSAGE).expect("250 ");
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    let log = fs::read_to_string(folder.file("postern.log")).unwrap();
    let events: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let named = |name| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((named("Listening"), named("MessageDelivered"), named("Stopped")), (1, 1, 1));
    assert_eq!(named("x"), 0);
    assert!(process.output.all().is_empty());
}

#[test]
fn a_large_message_waits_in_a_file_that_has_no_name() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let limits = format!("{LIFTED}[limits]\nmessage_memory_octets_max = 65536\n");
    let postern = Postern::start(&folder, &config(hop.address, &limits));
    let unlinked = || {
        let all = postern.process.descriptors();
        let files =
            all.into_iter().filter(|link| link.starts_with('/') && link.contains("deleted"));
        files.count()
    };
    let mut client = Client::greeted(postern.address());
    client.envelope("a@client.example", &["jones@example.test"]);
    client.say("DATA").expect("354 ");
    let line = [&[b'x'; 62][..], b"\r\n"].concat();
    client.send(b"Subject: large\r\n\r\n");
    client.send(&line.repeat(1 << 14));
    kit::wait_until("there is a file without a name", || unlinked() == 1);
    client.send(b"the end\r\n.\r\n");
    client.reply().expect("250 ");
    kit::wait_until("it is gone", || unlinked() == 0);
    let expected = [line.repeat(1 << 14), b"the end\r\n".to_vec()].concat();
    assert!(hop.taken()[0].content.ends_with(&expected));
}

#[test]
fn no_room_for_a_large_message_costs_that_message_and_nothing_else() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let limits = format!("{LIFTED}[limits]\nmessage_memory_octets_max = 65536\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.env("TMPDIR", "/nonexistent");
    let postern = Postern::start_by(&mut command, &folder, &config(hop.address, &limits));
    let mut client = Client::greeted(postern.address());
    client.envelope("a@client.example", &["jones@example.test"]);
    client.say("DATA").expect("354 ");
    let line = [&[b'x'; 62][..], b"\r\n"].concat();
    let _ = client.try_send(&[b"Subject: large\r\n\r\n", &*line.repeat(4_096)].concat());
    let _ = client.try_send(b".\r\n");
    // The reply may be lost with the connection, since much of the content was never read.
    if let Ok(reply) = client.try_reply() {
        reply.expect("452 4.3.1 ");
    }
    postern.wait_for("SpillFailed");
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    assert_eq!(hop.taken().len(), 1);
}

/// A wrapper, so that the limit holds for our binary and not for the test.
fn with_descriptors(limit: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_postern")]);
    command
}

#[test]
fn short_of_descriptors_it_says_421_rests_and_recovers() {
    kit::raise_descriptor_limit();
    let (folder, hop) = (Folder::new(), Hop::start());
    let text = config(hop.address, LIFTED);
    let postern = Postern::start_by(&mut with_descriptors(256), &folder, &text);
    let crowd: Vec<TcpStream> =
        (0..600).map(|_| TcpStream::connect(postern.address()).unwrap()).collect();
    let mut turned_away = 0;
    let mut greeted = 0;
    for stream in &crowd {
        stream.set_read_timeout(Some(kit::PATIENCE)).unwrap();
        let mut start = [0; 4];
        match (&*stream).read(&mut start) {
            Ok(4) if &start == b"421 " => turned_away += 1,
            Ok(4) if &start == b"220 " => greeted += 1,
            other => panic!("after {greeted} and {turned_away}: {other:?} {start:?}"),
        }
    }
    // A quarter of the descriptors is for clients, and every other one is told so.
    assert!(greeted <= 64 && turned_away > 500, "{greeted} greeted, {turned_away} turned away");
    let (ticks, began) = (postern.process.ticks(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let busy = (postern.process.ticks() - ticks) as f64 / 100.0 / began.elapsed().as_secs_f64();
    assert!(busy < 0.3, "it uses {:.0} % of a processor while it can do nothing", busy * 100.0);

    drop(crowd);
    kit::wait_until("it serves again", || {
        let mut client = Client::silent(postern.address());
        client.try_reply().is_ok_and(|reply| reply.code == 220) && {
            client.say("EHLO client.example").expect("250 ");
            client.message(MESSAGE).code == 250
        }
    });
    kit::wait_until("its descriptors are back", || postern.process.descriptors().len() < 60);
}

#[test]
fn clients_that_wait_for_their_greeting_have_seats_as_well() {
    kit::raise_descriptor_limit();
    let (folder, hop) = (Folder::new(), Hop::start());
    let text = config(hop.address, LIFTED).replace(
        "address = \"127.0.0.1:0\"",
        "address = \"127.0.0.1:0\"\ngreeting_delay_milliseconds = 50000",
    );
    let postern = Postern::start_by(&mut with_descriptors(256), &folder, &text);
    let crowd: Vec<TcpStream> =
        (0..150).map(|_| TcpStream::connect(postern.address()).unwrap()).collect();
    let began = Instant::now();
    Client::silent(postern.address()).reply().expect("421 4.3.2 ");
    // Those who wait are greeted after 50 seconds; who has no slot is told so before.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    kit::wait_until("no more descriptors are held than there are slots", || {
        postern.process.descriptors().len() < 120
    });
    drop(crowd);
}

#[test]
fn two_thousand_idle_clients_do_not_keep_good_ones_waiting() {
    if kit::raise_descriptor_limit() < 5_000 {
        let _ = writeln!(std::io::stderr(), "skipped: fewer than 5,000 descriptors are allowed");
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let idle: Vec<Client> = (0..2_000).map(|_| Client::connect(postern.address())).collect();
    let began = Instant::now();
    for _ in 0..50 {
        let mut client = Client::greeted(postern.address());
        client.message(MESSAGE).expect("250 ");
        client.say("QUIT").expect("221 ");
    }
    // A second each, where a good one takes some milliseconds: much for a busy machine, and nothing
    // to what waiting for the idle ones would be.
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    assert_eq!(hop.taken().len(), 50);
    // The idle ones are still there, and as welcome as before.
    for mut client in idle.into_iter().step_by(100) {
        client.say("NOOP").expect("250 ");
    }
}

#[test]
fn a_next_hop_that_never_answers_keeps_nobody_else_waiting() {
    let silent = Hop::acting(|stage, _| match stage {
        Stage::Rcpt => Act::Silence,
        _ => Act::Obey,
    });
    let (folder, hop) = (Folder::new(), Hop::start());
    let more = format!(
        "{LIFTED}[[domain]]\nname = \"other.test\"\nnext_hop = \"{}\"\n\
         recipients = [{{ file = \"others.txt\" }}]\n",
        silent.address
    );
    folder.write("others.txt", "jones@other.test\n");
    let postern = Postern::start(&folder, &config(hop.address, &more));
    let mut stuck: Vec<Client> = (0..30).map(|_| Client::greeted(postern.address())).collect();
    for client in &mut stuck {
        client.say("MAIL FROM:<a@client.example>").expect("250 ");
        client.send(b"RCPT TO:<jones@other.test>\r\n");
    }
    let began = Instant::now();
    Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
    // The silent one is waited for a minute, and a client of ours gives up then.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[test]
fn what_cannot_start_says_why_and_leaves() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (text, why) in [
        (config(hop.address, LIFTED).replace("127.0.0.1:0", &address.to_string()), "listen"),
        (config(hop.address, LIFTED).replace("hostname", "hostnme"), "hostnme"),
    ] {
        let path = folder.write("postern.toml", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        let (content, said) = run(command.arg("run").arg("--config").arg(path));
        assert!(!content && said.contains(why), "{said}");
    }
}

#[test]
fn an_unreadable_recipients_file_costs_451_and_never_550() {
    if !has(&["root"]) {
        return;
    }
    // As nobody, it cannot read what root has kept to itself.
    let (folder, hop) = (Folder::new(), Hop::start());
    fs::set_permissions(folder.file("users.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!("user = \"nobody\"\n{}", config(hop.address, LIFTED));
    let postern = Postern::start(&folder, &text);
    for path in ["jones@example.test", "green@example.test"] {
        let heard = recipient(&postern, path);
        assert!(heard.starts_with("451 4.4.3 "), "{heard}");
    }
}

#[test]
fn a_list_that_is_held_back_does_not_get_past_the_guard_by_a_reload() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let all: Vec<String> = (0..10).map(|n| format!("u{n}@example.test\n")).collect();
    folder.write("users.txt", all.concat());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    folder.write("users.txt", "u0@example.test\n");
    postern.wait_for("RecipientsHeld");
    postern.signal(Signal::SIGHUP);
    postern.wait_for("ConfigurationReloaded");
    let reply = recipient(&postern, "u9@example.test");
    assert!(reply.starts_with("250 "), "{reply}");
    // Mended, it is taken as ever.
    folder.write("users.txt", format!("{}new@example.test\n", all.concat()));
    kit::wait_until("the new list is in force", || {
        recipient(&postern, "new@example.test").starts_with("250 ")
    });
}

#[test]
fn a_reload_asks_a_new_next_hop_what_it_offers() {
    let (folder, old, new) = (Folder::new(), Hop::start(), Hop::start());
    let postern = Postern::start(&folder, &config(old.address, LIFTED));
    folder.write("postern.toml", config(new.address, LIFTED));
    postern.signal(Signal::SIGHUP);
    kit::wait_until("8BITMIME is offered before anybody sends", || {
        let offered = Client::connect(postern.address()).say("EHLO client.example").lines;
        new.connections() > 0 && offered.contains(&"8BITMIME".into())
    });
}

#[test]
fn a_reload_changes_how_much_memory_content_may_take() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let limits = format!("{LIFTED}[limits]\nmessage_memory_octets_max = 65536\n");
    folder.write("postern.toml", config(hop.address, &limits));
    postern.signal(Signal::SIGHUP);
    postern.wait_for("ConfigurationReloaded");
    let mut client = Client::greeted(postern.address());
    client.envelope("a@client.example", &["jones@example.test"]);
    client.say("DATA").expect("354 ");
    client.send("Subject: x\r\n\r\n".as_bytes());
    client.send("0123456789abcdef0123456789abcdef\r\n".repeat(10_000).as_bytes());
    kit::wait_until("it is in a file", || {
        postern.process.descriptors().iter().any(|path| path.ends_with(" (deleted)"))
    });
    client.send(b".\r\n");
    client.reply().expect("250 ");
}

#[test]
fn health_names_the_next_hop_that_cannot_be_reached() {
    let nobody = kit::closed_port();
    let figures = "[metrics]\naddress = \"127.0.0.1:0\"\n";
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(nobody, &format!("{LIFTED}{figures}")));
    let address = postern.figures.unwrap();
    for _ in 0..5 {
        assert!(recipient(&postern, "jones@example.test").starts_with("451 "));
    }
    let page = fetch(address, "/healthz");
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    assert!(page.contains(&format!("next hop {nobody} cannot be reached")), "{page}");
    assert!(fetch(address, "/healthz?live").starts_with("HTTP/1.1 200 "));
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 421 "), "{page}");
}
