//! What commands ask of a process that serves mail, over its socket: the real binary on both sides,
//! with lists that change and shrink, and a source that is asked for each address. And what they
//! do where no process serves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use directory::store::{Forget, KeptAnswer, KeptEvidence, Store};
use kit::http::{Http, Request, Response};
use kit::{Client, Folder, Hop, LIFTED, Postern};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What a command did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

/// `postern recipients …` in the folder.
fn recipients(folder: &Folder, arguments: &[&str]) -> Ran {
    recipients_with(folder, arguments, "")
}

fn recipients_with(folder: &Folder, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
        .arg("recipients")
        .args(arguments)
        .args(["--config", "postern.toml"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Ran { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

fn people(domain: &str, n: usize) -> String {
    (0..n).map(|n| format!("p{n}@{domain}\n")).collect()
}

/// Two domains with a file of a hundred each, and a state directory.
fn two_files(folder: &Folder, next_hop: &str) -> String {
    folder.write("users.txt", people("example.test", 100));
    folder.write("staff.txt", people("example.org", 100));
    fs::create_dir_all(folder.file("state")).unwrap();
    let text = format!(
        r#"hostname = "mx.example.test"
state_dir = "state"

[[listener]]
address = "127.0.0.1:0"

[metrics]
address = "127.0.0.1:0"

[[domain]]
name = "example.test"
next_hop = "{next_hop}"
recipients = [{{ file = "users.txt" }}]
sub_address_separator = "+"

[[domain]]
name = "example.org"
next_hop = "{next_hop}"
recipients = [{{ file = "staff.txt" }}]
{LIFTED}"#
    );
    folder.write("postern.toml", &text);
    text
}

/// Started, and what it adopted is kept.
fn started(folder: &Folder, config: &str) -> Postern {
    let postern = Postern::start(folder, config);
    kit::wait_until("both lists are kept", || {
        let files = fs::read_dir(folder.file("state")).unwrap().flatten();
        files.filter(|file| file.path().extension().is_some_and(|e| e == "snapshot")).count() == 2
    });
    postern
}

#[test]
fn a_list_that_shrinks_is_shown_held_compared_and_confirmed_while_mail_is_served() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let config = two_files(&folder, &hop.address.to_string());
    let postern = started(&folder, &config);

    let sources = recipients(&folder, &["sources", "--json"]);
    assert_eq!(sources.code, 0, "{}{}", sources.out, sources.err);
    let sources = sources.json();
    assert!(sources["process_id"].is_u64(), "{sources}");
    let entries: Vec<_> =
        sources["sources"].as_array().unwrap().iter().map(|s| s["entries"].clone()).collect();
    assert_eq!(entries, [100, 100]);

    let found = recipients(&folder, &["lookup", "--trace", "P7+lists@example.test"]);
    assert_eq!(found.code, 0, "{}", found.err);
    for shown in ["bitbucket: does not apply", "exists without its sub-address", "Answered by the"]
    {
        assert!(found.out.contains(shown), "{shown}: {}", found.out);
    }

    folder.write("users.txt", people("example.test", 10));
    postern.wait_for("RecipientsHeld");
    let sources = recipients(&folder, &["sources"]);
    assert_eq!(sources.code, 3);
    assert!(sources.out.contains("list, held"), "{}", sources.out);
    assert!(sources.out.contains("it shrinks from 100 to 10"), "{}", sources.out);

    let unclear = recipients(&folder, &["diff"]);
    assert_eq!(unclear.code, 2);
    assert!(unclear.err.contains("staff.txt"), "{}", unclear.err);
    let diff = recipients(&folder, &["diff", "users.txt"]);
    assert_eq!(diff.code, 1);
    assert!(diff.out.contains("example.test: 100 -> 10"), "{}", diff.out);
    let diff = recipients(&folder, &["diff", "users.txt", "--json"]).json();
    assert_eq!((&diff["added"], &diff["removed"]), (&0.into(), &90.into()));

    let sync = recipients(&folder, &["sync", "users.txt"]);
    assert_eq!(sync.code, 3);
    assert!(sync.out.contains("confirm --entries 10 "), "{}", sync.out);
    assert_eq!(recipients(&folder, &["lookup", "p99@example.test"]).code, 0, "still in use");

    let confirm = |n, file| recipients(&folder, &["confirm", "--entries", n, file]);
    assert_eq!(confirm("11", "users.txt").code, 1);
    assert_eq!(confirm("100", "staff.txt").code, 1, "nothing of it is held back");
    assert_eq!(confirm("10", "nobody.txt").code, 2);
    assert_eq!(recipients(&folder, &["confirm", "users.txt"]).code, 2);
    let confirmed = confirm("10", "users.txt");
    assert_eq!(confirmed.code, 0, "{}{}", confirmed.out, confirmed.err);
    // Not within a second, but when the command ends.
    assert_eq!(recipients(&folder, &["lookup", "p99@example.test"]).code, 1);
    assert_eq!(recipients(&folder, &["diff", "users.txt"]).code, 0);
    assert_eq!(recipients(&folder, &["sources"]).code, 0);
}

#[test]
fn a_list_is_read_when_a_person_says_so_and_not_only_when_it_is_seen_to_have_changed() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = started(&folder, &two_files(&folder, &hop.address.to_string()));
    folder.write("users.txt", people("example.test", 120));
    let sync = recipients(&folder, &["sync", "users.txt", "--json"]);
    assert_eq!(sync.code, 0, "{}{}", sync.out, sync.err);
    let sync = sync.json();
    assert_eq!(sync["result"]["entries"], 120, "{sync}");
    assert_eq!(sync["is_loading"], false);
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<p119@example.test>").expect("250 ");
    assert_eq!(recipients(&folder, &["sync", "nobody.txt"]).code, 2);
}

#[test]
fn a_list_is_imported_whole_and_exported_again() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let config = two_files(&folder, &hop.address.to_string());
    let postern = started(&folder, &config);
    let import = |arguments: &[&str], list: &str| {
        let arguments = [&["import", "-", "--source", "users.txt"], arguments].concat();
        recipients_with(&folder, &arguments, list)
    };
    let before = fs::read_to_string(folder.file("users.txt")).unwrap();
    let malformed = import(&[], "jones@\n");
    assert_eq!(malformed.code, 2);
    assert!(malformed.err.contains("line 1: `jones@`"), "{}", malformed.err);
    let shrinking = import(&[], "p1@example.test\nnew@example.test\n");
    assert_eq!(shrinking.code, 1);
    for shown in ["100 -> 2", "+ new@example.test", "- p0@example.test", "and 79 more"] {
        assert!(shrinking.out.contains(shown), "{shown}: {}", shrinking.out);
    }
    assert!(shrinking.err.contains("--confirm 2"), "{}", shrinking.err);
    let as_json = import(&["--json"], "p1@example.test\n").json();
    assert_eq!(as_json["is_in_place"], json!(false), "{as_json}");
    assert_eq!(import(&["--confirm", "3"], "p1@example.test\nnew@example.test\n").code, 1);
    assert_eq!(import(&["--dry-run"], &people("example.test", 101)).code, 0);
    assert_eq!(fs::read_to_string(folder.file("users.txt")).unwrap(), before);

    fs::set_permissions(folder.file("users.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let taken = import(&["--confirm", "2"], "p1@example.test info@inside.test\nnew@example.test\n");
    assert_eq!(taken.code, 0, "{}{}", taken.out, taken.err);
    assert_eq!(fs::metadata(folder.file("users.txt")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(recipients(&folder, &["lookup", "new@example.test"]).code, 0);
    assert_eq!(recipients(&folder, &["lookup", "p2@example.test"]).code, 1);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert!(
        names.iter().all(|n| !n.file_name().to_string_lossy().contains(".import")),
        "{names:?}"
    );

    let exported = recipients(&folder, &["export", "example.test"]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    let lines: Vec<_> = exported.out.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["p1@example.test info@inside.test", "new@example.test"]);
    let as_json = recipients(&folder, &["export", "example.test", "--json"]).json();
    let target = json!({ "address": "p1@example.test", "target": "info@inside.test" });
    assert_eq!((&as_json["recipients"][0], &as_json["addresses"]), (&target, &json!(2)));
    let output = ["export", "staff.txt", "--output", "copy.txt"];
    assert_eq!(recipients(&folder, &output).code, 0);
    let copy = fs::read_to_string(folder.file("copy.txt")).unwrap();
    assert_eq!(copy.lines().filter(|line| !line.starts_with('#')).count(), 100);

    drop(postern);
    let shrinking = import(&["--confirm", "1"], "p1@example.test\n");
    assert_eq!(shrinking.code, 0, "{}{}", shrinking.out, shrinking.err);
    let again = Postern::start(&folder, &config);
    // Held at the start, then confirmed by the word that was left.
    kit::wait_until("the word is taken", || {
        recipients(&folder, &["lookup", "new@example.test"]).code == 1
    });
    drop(again);
}

/// A database with ten people, of which the list `staff` is read and who asks `people` finds
/// nobody: its query is wrong.
fn database(folder: &Folder) -> String {
    let people = rusqlite::Connection::open(folder.file("people.sqlite")).unwrap();
    people.execute_batch("create table people (mail)").unwrap();
    for n in 0..10 {
        people.execute("insert into people values (?1)", [format!("p{n}@example.test")]).unwrap();
    }
    let text = two_files(folder, "127.0.0.1:1");
    let text = text.replace(r#"{ file = "users.txt" }"#, r#"{ sql = "staff" }"#);
    text.replace(r#"{ file = "staff.txt" }"#, r#"{ sql = "people" }"#)
        + r#"
[[sql]]
name = "staff"
file = "people.sqlite"
mode = "snapshot"
list = "select mail from people"

[[sql]]
name = "people"
file = "people.sqlite"
query = "select 1 from people where lower(mial) = {address}"
"#
}

#[test]
fn a_list_from_elsewhere_that_is_held_back_and_a_source_that_fails_are_told_by_the_exit_code() {
    let folder = Folder::new();
    let config = database(&folder);
    let postern = Postern::start(&folder, &config);
    kit::wait_until("the list is in use", || {
        recipients(&folder, &["lookup", "p9@example.test"]).code == 0
    });
    assert_eq!(recipients(&folder, &["stats"]).code, 0);
    let people = rusqlite::Connection::open(folder.file("people.sqlite")).unwrap();
    people.execute("delete from people where mail > 'p4'", []).unwrap();
    assert_eq!(recipients(&folder, &["sync", "staff"]).code, 3);
    let held = recipients(&folder, &["stats"]);
    assert_eq!(held.code, 3, "{}", held.out);
    assert!(held.out.contains("postern recipients diff \"sql staff\""), "{}", held.out);
    assert_eq!(recipients(&folder, &["stats", "--json"]).json()["sources"][0]["is_held"], true);
    let confirmed = recipients(&folder, &["confirm", "staff", "--entries", "4"]);
    assert_eq!(confirmed.code, 0, "{}", confirmed.err);
    assert_eq!(recipients(&folder, &["stats"]).code, 0);

    // Nothing is held back any more, and yet the other has never answered: it is tried out at the
    // start, and nobody waits for that.
    kit::wait_until("the other is found to be wrong", || {
        recipients(&folder, &["sources"]).out.contains("no such column")
    });
    let sources = recipients(&folder, &["sources"]);
    assert_eq!(sources.code, 3, "{}", sources.out);
    for command in ["sync", "diff"] {
        assert_eq!(recipients(&folder, &[command, "people"]).code, 2, "{command}");
    }
    assert!(recipients(&folder, &["report"]).err.contains("learned = true"));
    drop(postern);
    let absent = recipients(&folder, &["confirm", "people"]);
    assert_eq!(absent.code, 3, "{}", absent.err);

    // The word for a list, wherever it is, is left for one that starts.
    people.execute("delete from people where mail > 'p2'", []).unwrap();
    assert_eq!(recipients(&folder, &["confirm", "staff", "--entries", "3"]).code, 1);
    assert_eq!(recipients(&folder, &["confirm", "staff"]).code, 2);
    let left = recipients(&folder, &["confirm", "staff", "--entries", "2", "--json"]);
    assert_eq!(left.code, 0, "{}", left.err);
    assert!(left.json()["confirmation"].is_string(), "{}", left.out);
    let again = Postern::start(&folder, &config);
    kit::wait_until("the word is taken", || {
        recipients(&folder, &["lookup", "p3@example.test"]).code == 1
    });
    drop(again);
}

/// One request over the socket, and all that comes back.
fn raw(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn post(socket: &Path, route: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("POST {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    raw(socket, &format!("{head}Content-Length: {length}\r\n\r\n{body}"))
}

#[test]
fn the_socket_is_its_owners_and_whatever_is_said_to_it_is_bounded() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = started(&folder, &two_files(&folder, &hop.address.to_string()));
    let socket = folder.file("state/control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    for (route, body, code) in [
        ("/v1/lookup", r#"{"address":"p1@example.test"}"#, "200"),
        ("/v1/lookup", r#"{"address":"@"}"#, "400"),
        ("/v1/lookup", "{", "400"),
        ("/v1/lookup", r#"{"address":"p1@example.test","more":1}"#, "400"),
        ("/v1/flush", "{}", "400"),
        ("/v1/flush", r#"{"all":true,"domain":"example.test"}"#, "400"),
        ("/v1/sync", r#"{"source":"nobody.txt"}"#, "404"),
        ("/v1/nothing", "{}", "404"),
        ("/v1/sources", "{}", "405"),
        ("/v1/lookup", &format!("{{\"address\":\"{}\"}}", "a".repeat(20_000)), "413"),
    ] {
        let reply = post(&socket, route, body);
        assert!(reply.starts_with(&format!("HTTP/1.1 {code} ")), "{route} {body}: {reply}");
        let (_, document) = reply.split_once("\r\n\r\n").unwrap();
        let document: Value = serde_json::from_str(document).expect(document);
        assert_eq!(document["error"].is_string(), code != "200", "{route} {body}: {document}");
    }
    postern.signal(Signal::SIGTERM);
    postern.wait_for("Stopped");
    kit::wait_until("the socket is gone", || !socket.exists());
}

#[test]
fn a_dead_process_leaves_its_place_and_a_living_one_does_not() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let config = two_files(&folder, &hop.address.to_string());
    let postern = started(&folder, &config);
    let socket = folder.file("state/control.sock");
    postern.signal(Signal::SIGKILL);
    drop(postern);
    assert!(socket.exists());
    let dead = recipients(&folder, &["sync", "users.txt"]);
    assert_eq!(dead.code, 3);
    assert!(dead.err.contains("No Postern runs here"), "{}", dead.err);

    let living = Postern::start(&folder, &config);
    let process = || recipients(&folder, &["sources", "--json"]).json()["process_id"].clone();
    let first = process();
    assert!(first.is_u64());
    let second = Postern::start(&folder, &config);
    let refused = second.wait_for("ControlRefused");
    assert!(refused["detail"].as_str().unwrap().contains("another Postern"), "{refused}");
    second.signal(Signal::SIGTERM);
    second.wait_for("Stopped");
    drop(second);
    assert_eq!(process(), first);
    drop(living);
}

#[test]
fn where_no_process_serves_each_command_says_what_it_does_instead() {
    let folder = Folder::new();
    let config = two_files(&folder, "127.0.0.1:1");
    for (arguments, code, says) in [
        (&["sources"][..], 0, "starts now"),
        (&["lookup", "--trace", "p1@example.test"], 0, "starts now"),
        (&["sync", "users.txt"], 3, "A start reads every list"),
        (&["diff", "users.txt"], 0, "last kept"),
        (&["flush", "--all"], 0, "kept for the next one"),
        (&["confirm", "ad"], 2, "`postern recipients sources` names"),
    ] {
        let ran = recipients(&folder, arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(recipients(&folder, &["why", "p1@example.test"]).code, 3);
    assert_eq!(recipients(&folder, &["report"]).code, 0);
    // A plain answer is not cluttered.
    let plain = recipients(&folder, &["lookup", "p1@example.test"]);
    assert_eq!((plain.code, plain.err.as_str()), (0, ""));

    folder.write("postern.toml", config.replace("state_dir = \"state\"\n", ""));
    for arguments in [&["sync", "users.txt"][..], &["flush", "--all"]] {
        let ran = recipients(&folder, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.err.contains("state_dir = \"/var/lib/postern\""), "{}", ran.err);
    }
}

/// What a process that is gone has kept of a source.
fn keep(store: &Store, source: &str, address: &str, exists: bool) {
    let answer = KeptAnswer {
        address: address.into(),
        exists,
        target: None,
        asked_at: now(),
        fingerprint: 0,
    };
    store.keep_answer(&Arc::from(source), answer);
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn what_was_kept_is_forgotten_exported_and_explained_without_a_process() {
    let folder = Folder::new();
    let config = two_files(&folder, "127.0.0.1:1");
    let config =
        config.replace("{ file = \"users.txt\" }", "{ learned = true, mode = \"observe\" }");
    folder
        .write("postern.toml", config.replacen("example.test\"\nnext", "Example.Test\"\nnext", 1));
    let store = Store::open(&folder.file("state"), |_| {}).unwrap();
    let learned = "learned, observing";
    keep(&store, learned, "jones@example.test", true);
    keep(&store, learned, "smith@example.test", false);
    keep(&store, "ldap gone", "jones@example.test", true);
    let evidence = |address: &str, kind: &str| {
        let (address, kind, last) = (address.into(), kind.into(), now());
        store.keep_evidence(|| KeptEvidence { address, kind, first: last, last, count: 3 });
    };
    evidence("jones@example.test", "outbound_sender");
    evidence("nobody@example.test", "refused_by_next_hop");
    assert!(store.flush());
    drop(store);

    let why = recipients(&folder, &["why", "Jones+lists@example.test"]);
    assert_eq!(why.code, 0, "{}", why.err);
    assert!(why.out.contains("jones@example.test: mail shows that it exists"), "{}", why.out);
    assert!(why.out.contains("3 times"), "{}", why.out);
    assert_eq!(recipients(&folder, &["why", "nobody@example.test"]).code, 1);
    let why = recipients(&folder, &["why", "nobody@example.test", "--json"]).json();
    assert_eq!(why["names"][0]["belief"], "unknown");

    let exported = recipients(&folder, &["export", "learned, observing"]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    let lines: Vec<_> = exported.out.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["jones@example.test"]);
    assert!(exported.err.contains("not the whole"), "{}", exported.err);

    let flush = |what: &[&str]| {
        recipients(&folder, &[&["flush", "--json"], what].concat()).json()["forgotten"].clone()
    };
    assert_eq!(flush(&["--address", "JONES+x@example.test", "--source", learned]), json!(1));
    assert_eq!(flush(&["--domain", "example.org"]), json!(0));
    assert_eq!(flush(&["--domain", "example.test"]), json!(1));
    let store = Store::open_to_read(&folder.file("state")).unwrap();
    assert_eq!(store.load_answers("ldap gone").unwrap().len(), 1, "not in the configuration");
    store.forget_answers(None, &Forget::All);
    assert_eq!(recipients(&folder, &["flush", "--all", "--source", "ldap"]).code, 2);
}

/// The page for Prometheus.
fn figures(postern: &Postern) -> String {
    let mut stream = TcpStream::connect(postern.figures.unwrap()).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn what_a_live_source_said_is_shown_with_its_age_and_class_and_forgotten_when_told() {
    let known = |request: &Request| {
        Response::new(if request.path.contains("jones") { 200 } else { 404 }, "")
    };
    let server = Http::start(known);
    let (folder, hop) = (Folder::new(), Hop::start());
    let config = two_files(&folder, &hop.address.to_string());
    let table = format!("[[http]]\nname = \"people\"\nurl = \"{}\"\n", server.url("/{address}"));
    let canary = "{ http = \"people\" }]\ncanary = \"jones@example.test\"";
    let config = config.replace("{ file = \"users.txt\" }]", canary) + &table;
    let mut postern = Postern::start(&folder, &config);
    let lookup = |name: &str| recipients(&folder, &["lookup", "--trace", name]);

    kit::wait_until("jones is known", || lookup("jones@example.test").code == 0);
    kit::wait_until("nobody is known not to be", || lookup("nobody@example.test").code == 1);
    // The process remembers it, and so says how old it is.
    let found = lookup("jones@example.test");
    assert!(found.out.contains("http people: exists, "), "{}", found.out);
    assert!(found.out.contains(" s old, honest"), "{}", found.out);
    let source = || {
        let all = recipients(&folder, &["sources", "--json"]).json()["sources"].clone();
        all.as_array().unwrap().iter().find(|s| s["name"] == "http people").unwrap().clone()
    };
    let before = source();
    assert_eq!(before["class"], "honest", "{before}");
    assert_eq!((&before["remembered_yes"], &before["remembered_no"]), (&json!(1), &json!(1)));
    let table = recipients(&folder, &["sources"]);
    assert!(table.out.contains("1 yes, 1 no"), "{}", table.out);

    let flush = |what: &[&str]| {
        recipients(&folder, &[&["flush", "--json"], what].concat()).json()["forgotten"].clone()
    };
    assert_eq!(flush(&["--address", "Jones+x@EXAMPLE.test"]), json!(1));
    assert_eq!(flush(&["--domain", "example.org"]), json!(0));
    assert_eq!(flush(&["--all", "--source", "people"]), json!(1));
    assert_eq!(source()["remembered_yes"], 0);
    assert_eq!(lookup("jones@example.test").code, 0);
    assert!(source()["asked"].as_u64() > before["asked"].as_u64(), "it was asked again");

    let page = figures(&postern);
    for row in [
        "postern_source_class{source=\"http people\",class=\"honest\"} 1",
        "postern_source_remembered{source=\"http people\",answer=\"yes\"} 1",
        "postern_events_total{event=\"SourceClassChanged\"} ",
    ] {
        assert!(page.contains(row), "{row}: {page}");
    }
    assert_eq!(recipients(&folder, &["sync", "people"]).code, 2, "it holds no list");
    let confirmed = recipients(&folder, &["confirm", "people"]);
    assert!(confirmed.code == 1 && confirmed.out.is_empty(), "{}", confirmed.out);
    assert!(confirmed.err.contains("nothing to confirm: no people"), "{}", confirmed.err);

    postern.signal(Signal::SIGTERM);
    // What is queued is written before the process ends.
    assert!(postern.process.wait().success());
    let exported = recipients(&folder, &["export", "people"]);
    assert!(exported.out.contains("\njones@example.test\n"), "{}", exported.out);
    assert_eq!(flush(&["--address", "jones@example.test"]), json!(1));
    let exported = recipients(&folder, &["export", "people"]);
    assert!(!exported.out.contains("jones"), "{}", exported.out);
}

#[test]
fn figures_show_each_source_by_its_name() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = started(&folder, &two_files(&folder, &hop.address.to_string()));
    let page = figures(&postern);
    for file in ["users.txt", "staff.txt"] {
        let path = folder.file(file);
        let row = format!("postern_source_entries{{source=\"file {}\"}} 100", path.display());
        assert!(page.contains(&row), "{row}: {page}");
    }
}
