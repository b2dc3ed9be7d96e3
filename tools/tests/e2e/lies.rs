//! Sources that answer and are wrong: a directory that was emptied or has lost a part, one that is
//! asked in the wrong place, a list that shrank, somebody who says yes to anybody. Whoever exists
//! never hears 550, it is told, and when the source is right again all is right.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::http::{Http, Request, Response};
use kit::postgres::{self, Postgres};
use kit::slapd::{self, Setup, Slapd};
use kit::{Client, Folder, Hop, LIFTED, Postern, Shape, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

const YES: &str = "250 2.1.5";
const NO: &str = "550 5.1.1";
const LATER: &str = "451 4.4.3";

/// The code and enhanced status of RCPT in a session of its own.
fn recipient(postern: &Postern, name: &str) -> String {
    recipients(postern, &[name]).remove(0)
}

/// The codes and enhanced statuses of several in one session, one transaction each.
fn recipients(postern: &Postern, names: &[&str]) -> Vec<String> {
    let mut client = Client::greeted(postern.address());
    let mut replies = Vec::new();
    for name in names {
        client.say("MAIL FROM:<a@client.example>").expect("250 ");
        let reply = client.say(&format!("RCPT TO:<{name}@example.test>")).text();
        client.say("RSET").expect("250 ");
        replies.push(reply.split(' ').take(2).collect::<Vec<_>>().join(" "));
    }
    replies
}

/// A configuration with one source; `domain` goes into the domain's table.
fn with_source(hop: &Hop, entry: &str, domain: &str, table: &str) -> String {
    let figures = "[metrics]\naddress = \"127.0.0.1:0\"\n";
    let config = kit::config(hop.address, &format!("{domain}{table}\n{figures}{LIFTED}"));
    let head = "hostname = \"mx.example.test\"\nstate_dir = \".\"\n";
    config
        .replace("hostname = \"mx.example.test\"\n", head)
        .replace("{ file = \"users.txt\" }", entry)
}

const CANARY: &str = "canary = \"person0001@example.test\"\n";

/// Whether an event of this name has been told whose detail has this in it.
fn has_told(postern: &Postern, event: &str, part: &str) -> bool {
    let told = postern.events_named(event);
    told.iter().any(|event| event["detail"].as_str().is_some_and(|detail| detail.contains(part)))
}

#[track_caller]
fn wait_for_told(postern: &Postern, event: &str, part: &str) {
    wait_until(&format!("{event} {part}"), || has_told(postern, event, part));
}

/// `postern recipients` with this: its exit code, and what it says.
fn command(folder: &Folder, what: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.arg("recipients").args(what).arg("--config").arg(folder.file("postern.toml"));
    let done = command.output().unwrap();
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code().unwrap(), said)
}

/// Figures and `postern recipients sources` show a source in this class.
#[track_caller]
fn is_shown_as(postern: &Postern, folder: &Folder, name: &str, class: &str) {
    let mut stream = TcpStream::connect(postern.figures.unwrap()).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let row = format!("postern_source_class{{source=\"{name}\",class=\"{class}\"}} 1");
    assert!(page.contains(&row), "{row}: {page}");
    let (code, said) = command(folder, &["sources"]);
    assert!(code == 3 && said.contains(class), "{said}");
}

fn table(slapd: &Slapd, base: &str, more: &str) -> String {
    let server = slapd.address;
    format!(
        "[[ldap]]\nname = \"people\"\npreset = \"openldap\"\nbase = \"{base}\"\n\
         servers = [\"{server}\"]\ntls = \"plain\"\n{more}"
    )
}

fn directory(people: usize) -> Slapd {
    Slapd::start(Setup { people, ..Setup::new(Shape::OpenLdap) })
}

/// Lifetimes that make the source be asked each time, or nearly never.
fn lifetimes(remembers: bool) -> &'static str {
    match remembers {
        true => "positive_seconds = 86400\nnegative_seconds = 86400\n",
        false => "positive_seconds = 0\nnegative_seconds = 0\n",
    }
}

fn is_emptied(domain: &str, remembers: bool) {
    if !slapd::is_here() {
        return;
    }
    let (folder, hop, slapd) = (Folder::new(), Hop::start(), directory(6));
    let base = Shape::OpenLdap.base();
    let table = table(&slapd, base, lifetimes(remembers));
    let config = with_source(&hop, "{ ldap = \"people\" }", domain, &table);
    let postern = Postern::start(&folder, &config);
    let known = ["person0001", "person0002", "person0003", "alias0004"];
    let unseen = ["person0005", "alias0006", "stranger"];
    assert_eq!(recipients(&postern, &known), [YES; 4], "{:#?}", postern.events());
    assert_eq!(recipient(&postern, "nobody"), NO);
    slapd.delete(Shape::OpenLdap.people_base());
    // What answers a moment later may still be vouched for by what answered before.
    let mut strangers = 0;
    wait_until("it is found out", || {
        strangers += 1;
        recipient(&postern, &format!("stranger{strangers}")) == LATER
    });
    for _ in 0..3 {
        assert_eq!(recipients(&postern, &known), [YES; 4], "{:#?}", postern.events());
        assert_eq!(recipients(&postern, &unseen), [LATER; 3], "{:#?}", postern.events());
    }
    wait_for_told(&postern, "SourceClassChanged", "honest -> lying");
    is_shown_as(&postern, &folder, "ldap people", "lying");
    postern.wait_for("SourceDoubted");
    slapd.add_ldif(&format!(
        "dn: {}\nobjectClass: organizationalUnit\nou: people\n\n{}",
        Shape::OpenLdap.people_base(),
        Shape::OpenLdap.people(6)
    ));
    assert_eq!(recipients(&postern, &known), [YES; 4], "{:#?}", postern.events());
    assert_eq!(recipients(&postern, &unseen), [YES, YES, NO], "{:#?}", postern.events());
    wait_for_told(&postern, "SourceClassChanged", "lying -> honest");
}

#[test]
fn a_directory_that_is_emptied_refuses_nobody_who_exists() {
    is_emptied("", false);
}

#[test]
fn a_directory_that_is_emptied_refuses_nobody_who_exists_and_is_remembered() {
    is_emptied("", true);
}

#[test]
fn a_directory_that_is_emptied_is_found_out_by_its_canary() {
    is_emptied(CANARY, false);
}

#[test]
fn a_directory_that_is_emptied_is_found_out_by_its_canary_where_all_is_remembered() {
    is_emptied(CANARY, true);
}

fn is_asked_in_the_wrong_place(domain: &str, doubt: &str) {
    if !slapd::is_here() {
        return;
    }
    let (folder, hop, slapd) = (Folder::new(), Hop::start(), directory(3));
    slapd.add_ldif("dn: ou=empty,dc=example,dc=test\nobjectClass: organizationalUnit\nou: empty\n");
    let of = |base| {
        let table = table(&slapd, base, lifetimes(true));
        with_source(&hop, "{ ldap = \"people\" }", domain, &table)
    };
    let postern = Postern::start(&folder, &of("ou=empty,dc=example,dc=test"));
    let everybody = ["person0001", "person0002", "alias0003", "stranger"];
    for _ in 0..3 {
        assert_eq!(recipients(&postern, &everybody), [LATER; 4], "{:#?}", postern.events());
    }
    wait_for_told(&postern, "SourceDoubted", doubt);
    folder.write("postern.toml", of("ou=people,dc=example,dc=test"));
    postern.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the right base is in use", || recipient(&postern, "person0001") == YES);
    assert_eq!(recipients(&postern, &everybody), [YES, YES, YES, NO], "{:#?}", postern.events());
}

#[test]
fn a_base_with_nobody_below_it_refuses_nobody() {
    is_asked_in_the_wrong_place("", "it has not known a single address yet");
}

#[test]
fn a_base_with_nobody_below_it_is_found_out_by_the_canary() {
    is_asked_in_the_wrong_place(CANARY, "does not know the canary");
}

#[test]
fn a_directory_that_loses_half_of_the_people_is_doubted_until_they_are_back() {
    if !slapd::is_here() {
        return;
    }
    let ou = "ou=branch,ou=people,dc=example,dc=test";
    let names: Vec<String> = (1..=40).map(|n| format!("branch{n:02}")).collect();
    let mut branch = format!("dn: {ou}\nobjectClass: organizationalUnit\nou: branch\n\n");
    for name in &names {
        branch += &format!(
            "dn: uid={name},{ou}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\n\
             sn: {name}\nmail: {name}@example.test\n\n"
        );
    }
    let setup = Setup { people: 40, ldif: branch.clone(), ..Setup::new(Shape::OpenLdap) };
    let (folder, hop, slapd) = (Folder::new(), Hop::start(), Slapd::start(setup));
    // A no is remembered, and must still not outlive the doubt.
    let lifetimes = "positive_seconds = 0\nnegative_seconds = 86400\n";
    let table = table(&slapd, Shape::OpenLdap.base(), lifetimes);
    let config = with_source(&hop, "{ ldap = \"people\" }", CANARY, &table);
    let postern = Postern::start(&folder, &config);
    let branch_names: Vec<&str> = names.iter().map(String::as_str).collect();
    let others: Vec<String> = (1..=40).map(|n| format!("person{n:04}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let all_are = |names: &[&str], answer: &str| {
        let heard = recipients(&postern, names);
        assert!(heard.iter().all(|heard| heard == answer), "{heard:?} {:#?}", postern.events());
    };
    all_are(&branch_names, YES);
    all_are(&others, YES);
    slapd.delete(ou);
    // Fewer than twenty may have left; from there on nobody has.
    let refused = recipients(&postern, &branch_names).iter().filter(|heard| *heard == NO).count();
    assert!(refused < 20, "{refused} {:#?}", postern.events());
    wait_for_told(&postern, "SourceClassChanged", "people whom it knew turned unknown");
    let heard = recipients(&postern, &branch_names);
    assert!(heard.iter().all(|heard| heard != NO), "{heard:?} {:#?}", postern.events());
    all_are(&others, YES);
    assert_eq!(recipient(&postern, "stranger"), LATER, "he may be of the lost half");
    slapd.add_ldif(&branch);
    all_are(&branch_names, YES);
    assert_eq!(recipient(&postern, "another-stranger"), NO);
    wait_for_told(&postern, "SourceClassChanged", "lying -> honest");
    slapd.delete("uid=person0040,ou=people,dc=example,dc=test");
    assert_eq!(recipient(&postern, "person0040"), NO, "one who left: {:#?}", postern.events());
}

#[test]
fn a_flush_has_everybody_asked_again_and_half_of_them_are_refused_only_when_a_person_says_so() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let half = |request: &Request| {
        Response::new(if request.path.contains("person00") { 200 } else { 404 }, "")
    };
    let http = Http::start(move |request| match request.path.contains("person01") {
        true => Response::new(200, ""),
        false => half(request),
    });
    let table = format!("[[http]]\nname = \"people\"\nurl = \"{}\"\n", http.url("/{address}"));
    let config = with_source(&hop, "{ http = \"people\" }", CANARY, &(table + lifetimes(true)));
    let postern = Postern::start(&folder, &config);
    let names: Vec<String> = (70..130).map(|n| format!("person{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(recipients(&postern, &names), [YES; 60], "{:#?}", postern.events());
    assert_eq!(command(&folder, &["confirm", "http people"]).0, 1);
    http.answer_with(half);
    assert_eq!(recipients(&postern, &names), [YES; 60], "from memory");
    let (code, said) = command(&folder, &["flush", "--all"]);
    assert!(code == 0 && said.starts_with("60 answers forgotten.\n"), "{said}");
    let heard = recipients(&postern, &names);
    let refused = heard.iter().filter(|heard| *heard == NO).count();
    assert_eq!(refused, 19, "one less than it takes to look at their share: {heard:?}");
    assert_eq!(shown(&folder)["class"], "lying");
    let trouble = shown(&folder)["last_trouble"].to_string();
    let confirm = ["confirm", "http people"];
    assert!(trouble.contains("postern recipients confirm \\\"http people\\\""), "{trouble}");
    assert_eq!(command(&folder, &confirm).0, 0);
    let heard = recipients(&postern, &names);
    assert!(heard[..30].iter().all(|heard| heard == YES), "{heard:?}");
    assert!(heard[30..].iter().all(|heard| heard == NO), "{heard:?}");
    let (code, said) = command(&folder, &confirm);
    assert!(code == 1 && said.contains("nothing to confirm"), "{said}");
}

/// A source that says yes to anybody, and is right later.
fn says_yes_to_anybody(name: &str, config: &str, folder: &Folder, be_right: &dyn Fn()) {
    let postern = Postern::start(folder, config);
    for _ in 0..3 {
        let heard = recipients(&postern, &["person0001", "person0002", "stranger"]);
        assert_eq!(heard, [LATER; 3], "{:#?}", postern.events());
    }
    wait_for_told(&postern, "SourceClassChanged", "-> accept-all: it says yes to postern");
    wait_for_told(&postern, "SourceDoubted", "its yes proves nothing");
    is_shown_as(&postern, folder, name, "accept-all");
    be_right();
    // A test that went badly is repeated within a few minutes; a start tests as well.
    drop(postern);
    let postern = Postern::start(folder, config);
    wait_until("it is believed", || recipient(&postern, "person0001") == YES);
    assert_eq!(recipient(&postern, "stranger"), NO, "{:#?}", postern.events());
}

#[test]
fn a_web_service_that_says_yes_to_anybody_is_refused_as_a_source() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let http = Http::start(|_| Response::new(200, ""));
    let table = format!("[[http]]\nname = \"people\"\nurl = \"{}\"\n", http.url("/{address}"));
    let config = with_source(&hop, "{ http = \"people\" }", "", &table);
    let be_right = || {
        http.answer_with(|request| {
            Response::new(if request.path.contains("person000") { 200 } else { 404 }, "")
        });
    };
    says_yes_to_anybody("http people", &config, &folder, &be_right);
}

/// `class` and `last_trouble` of the first source, as the process says.
fn shown(folder: &Folder) -> serde_json::Value {
    let (_, said) = command(folder, &["sources", "--json"]);
    serde_json::from_str::<serde_json::Value>(&said).unwrap()["sources"][0].clone()
}

#[test]
fn a_web_service_whose_json_has_no_such_place_is_not_called_honest() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let http = Http::start(|request| {
        let is_there = request.path.contains("person000");
        Response::new(200, format!("{{\"exists\":{is_there}}}"))
    });
    let of = |pointer: &str| {
        let table = format!(
            "[[http]]\nname = \"people\"\nurl = \"{}\"\njson_pointer = \"{pointer}\"\n",
            http.url("/{address}")
        );
        with_source(&hop, "{ http = \"people\" }", "", &table)
    };
    let postern = Postern::start(&folder, &of("/wrong"));
    wait_until("it was tested", || shown(&folder)["last_trouble"].is_string());
    assert_eq!(shown(&folder)["class"], "unproven");
    let everybody = ["person0001", "stranger"];
    for _ in 0..3 {
        assert_eq!(recipients(&postern, &everybody), [LATER; 2], "{:#?}", postern.events());
    }
    assert_ne!(shown(&folder)["class"], "honest");
    let (code, said) = command(&folder, &["sources"]);
    assert!(code == 3 && said.contains("\n  last trouble, ") && said.contains(" ago: "), "{said}");
    let (_, said) = command(&folder, &["lookup", "--trace", "stranger@example.test"]);
    assert!(said.contains("\n    last trouble, "), "{said}");
    folder.write("postern.toml", of("/exists"));
    postern.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the right place is in use", || recipient(&postern, "person0001") == YES);
    assert_eq!(recipient(&postern, "stranger"), NO);
    assert_eq!(shown(&folder)["class"], "honest");
}

#[test]
fn a_next_hop_that_takes_everybody_is_refused_as_a_source() {
    use kit::{Act, Stage};
    let (folder, hop) = (Folder::new(), Hop::start());
    let config = with_source(&hop, "{ callout = true }", "", "");
    let be_right = || {
        hop.behave(|stage, command| match stage {
            Stage::Rcpt if !command.contains("person000") => Act::Say("550 5.1.1 no such user"),
            _ => Act::Obey,
        });
    };
    says_yes_to_anybody(&format!("callout {}", hop.address), &config, &folder, &be_right);
}

/// A list that shrinks and is empty is not taken over: `set` gives it so many people.
fn shrinks(folder: &Folder, config: &str, name: &str, set: &dyn Fn(usize)) {
    set(10);
    let postern = Postern::start(folder, config);
    wait_until("it is read", || recipient(&postern, "person0010") == YES);
    assert_eq!(recipient(&postern, "stranger"), NO);
    let told = |n: usize| {
        let held = postern.wait_for_nth("RecipientsHeld", n);
        assert!(held["subject"].as_str().unwrap().starts_with(name), "{held}");
        held["detail"].as_str().unwrap().to_owned()
    };
    // Files are watched; of a server a person may ask that it be read now.
    let read = |code| {
        if name.starts_with("sql") {
            let (found, said) = command(folder, &["sync"]);
            assert_eq!(found, code, "{said}");
        }
    };
    let everybody = ["person0001", "person0008", "person0009", "person0010", "stranger"];
    for (n, left) in [(1, 7), (2, 0)] {
        set(left);
        read(3);
        let detail = told(n);
        assert!(detail.contains("postern recipients"), "what to do: {detail}");
        let (code, said) = command(folder, &["diff"]);
        assert!(code == 1 && said.contains(&format!("example.test: 10 -> {left}")), "{said}");
        assert_eq!(recipients(&postern, &everybody), [YES, YES, YES, YES, NO]);
    }
    // By a fifth it may.
    set(8);
    read(0);
    wait_until("who left is gone", || recipient(&postern, "person0010") == NO);
    assert_eq!(recipients(&postern, &everybody), [YES, YES, NO, NO, NO]);
}

#[test]
fn a_file_that_shrinks_is_held_back() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let set = |people: usize| {
        let names = (1..=people).map(|n| format!("person{n:04}@example.test\n"));
        folder.write("users.txt", names.collect::<String>());
    };
    let config = with_source(&hop, "{ file = \"users.txt\" }", "", "");
    shrinks(&folder, &config, "file ", &set);
}

#[test]
fn a_table_that_shrinks_is_held_back() {
    if !postgres::is_here() {
        return;
    }
    let (folder, hop, server) = (Folder::new(), Hop::start(), Postgres::start());
    server.execute("create table people (address varchar(254))");
    folder.write("sql-password", postgres::PASSWORD);
    let table = format!(
        "[[sql]]\nname = \"people\"\nserver = \"postgres://postern@{}/postern\"\n\
         password_file = \"sql-password\"\nmode = \"snapshot\"\nevery_seconds = 3600\n\
         list = \"select address from people\"\n",
        server.address
    );
    let set = |people: usize| {
        server.execute(&format!(
            "begin; delete from people; insert into people select 'person' || \
             lpad(n::text, 4, '0') || '@example.test' from generate_series(1, {people}) n; commit;"
        ));
    };
    let config = with_source(&hop, "{ sql = \"people\" }", "", &table);
    shrinks(&folder, &config, "sql people", &set);
}

#[test]
fn check_warns_of_a_directory_that_no_canary_watches() {
    if !slapd::is_here() {
        return;
    }
    let (folder, hop, slapd) = (Folder::new(), Hop::start(), directory(6));
    let checked = |domain: &str| {
        let table = table(&slapd, Shape::OpenLdap.base(), "");
        folder.write("postern.toml", with_source(&hop, "{ ldap = \"people\" }", domain, &table));
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        let command = command.args(["check", "--config", "postern.toml"]);
        let (is_right, told) = kit::process::run(command.current_dir(folder.path()));
        assert!(is_right, "a warning is no mistake: {told}");
        told
    };
    let told = checked("");
    assert!(told.contains("example.test has no canary"), "{told}");
    assert!(told.contains("set `canary = \"somebody@example.test\"`"), "{told}");
    assert!(!checked(CANARY).contains("no canary"));
}
