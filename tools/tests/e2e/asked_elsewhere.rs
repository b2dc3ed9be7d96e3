//! Recipients that are asked for by call-out and by HTTP, through the whole program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::http::{Http, Response};
use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, wait_until};
use nix::sys::signal::Signal;
use std::net::SocketAddr;

/// One domain whose recipients come from these sources.
fn config(next_hop: SocketAddr, recipients: &str, more: &str) -> String {
    let config = kit::config(next_hop, &format!("canary = \"jones@example.test\"\n{LIFTED}{more}"));
    config.replace(r#"[{ file = "users.txt" }]"#, recipients)
}

/// The reply to RCPT, in a session of its own.
fn rcpt(postern: &Postern, local_part: &str) -> String {
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<sender@b.example>").expect("250");
    client.say(&format!("RCPT TO:<{local_part}@example.test>")).text()
}

fn knows(command: &str) -> bool {
    command.contains("jones") || command.contains("smith")
}

#[test]
fn the_next_hop_itself_says_who_exists() {
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Rcpt if !knows(command) => Act::Say("550 5.1.1 no such user"),
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(hop.address, "[{ callout = true }]", ""));
    wait_until("jones is known", || rcpt(&postern, "jones").starts_with("250"));
    wait_until("nobody is known not to be", || rcpt(&postern, "nobody").starts_with("550 5.1.1"));
    assert!(hop.commands().iter().any(|command| command == "MAIL FROM:<>"));
    assert!(!hop.commands().iter().any(|command| command == "DATA"));
}

#[test]
fn a_next_hop_that_takes_everybody_is_not_believed() {
    let hop = Hop::start();
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(hop.address, "[{ callout = true }]", ""));
    assert!(rcpt(&postern, "nobody").starts_with("451"));
    let name = hop.address.to_string();
    wait_until("it is told", || {
        let lines = postern.process.output.all();
        lines
            .iter()
            .any(|line| line.contains(&format!("callout {name}")) && line.contains("says yes"))
    });
    assert!(rcpt(&postern, "jones").starts_with("451"));
}

#[test]
fn what_a_web_service_knew_outlasts_it_and_it_is_asked_again_when_it_is_back() {
    let answer = |request: &kit::http::Request| {
        Response::new(if knows(&request.path) { 200 } else { 404 }, "")
    };
    let mut server = Http::start(answer);
    let hop = Hop::start();
    let folder = Folder::new();
    let table = format!("[[http]]\nname = \"people\"\nurl = \"{}\"\n", server.url("/{address}"));
    let config = config(hop.address, "[{ http = \"people\" }]", &table);
    let postern = Postern::start(&folder, &config);
    wait_until("jones is known", || rcpt(&postern, "jones").starts_with("250"));
    wait_until("nobody is known not to be", || rcpt(&postern, "nobody").starts_with("550 5.1.1"));
    server.stop();
    assert!(rcpt(&postern, "jones").starts_with("250"), "from memory");
    assert!(rcpt(&postern, "smith").starts_with("451"), "never seen");
    server.restart();
    wait_until("smith is known", || rcpt(&postern, "smith").starts_with("250"));
}

#[test]
fn a_no_ends_with_the_settings_it_was_said_under_at_a_reload_and_at_a_restart() {
    // Asked at the wrong place, the service knows nobody but jones.
    let server = Http::start(|request| {
        let is_there = request.path.contains("jones")
            || request.path.starts_with("/right/") && knows(&request.path);
        Response::new(if is_there { 200 } else { 404 }, "")
    });
    let (folder, hop) = (Folder::new(), Hop::start());
    let at = |place: &str| {
        let url = server.url(&format!("/{place}/{{address}}"));
        let table =
            format!("[[http]]\nname = \"people\"\nurl = \"{url}\"\nnegative_seconds = 86400\n");
        let config = config(hop.address, "[{ http = \"people\" }]", &table);
        format!("state_dir = \".\"\n{config}")
    };
    let mut postern = Postern::start(&folder, &at("wrong"));
    assert!(rcpt(&postern, "jones").starts_with("250"));
    assert!(rcpt(&postern, "smith").starts_with("550 5.1.1"));
    folder.write("postern.toml", at("right"));
    postern.signal(Signal::SIGHUP);
    postern.wait_for("ConfigurationReloaded");
    assert!(rcpt(&postern, "smith").starts_with("250"), "{:#?}", postern.events());

    folder.write("postern.toml", at("wrong"));
    postern.signal(Signal::SIGHUP);
    postern.wait_for_nth("ConfigurationReloaded", 2);
    assert!(rcpt(&postern, "smith").starts_with("550 5.1.1"), "{:#?}", postern.events());
    postern.signal(Signal::SIGTERM);
    postern.wait_for("Stopped");
    assert!(postern.process.wait().success());
    let postern = Postern::start(&folder, &at("right"));
    assert!(rcpt(&postern, "smith").starts_with("250"), "{:#?}", postern.events());
}

#[test]
fn a_reload_does_not_wait_for_a_source_that_a_start_would() {
    let mut server =
        Http::start(|request| Response::new(if knows(&request.path) { 200 } else { 404 }, ""));
    let (folder, hop) = (Folder::new(), Hop::start());
    let with = |more: &str| {
        let url = server.url("/{address}");
        let table = format!("[[http]]\nname = \"people\"\nurl = \"{url}\"\n{more}");
        let config = config(hop.address, "[{ http = \"people\" }]", &table);
        format!("start_without_sources = false\n{config}")
    };
    let (before, after) = (with(""), with("question_seconds_max = 2\n"));
    let postern = Postern::start(&folder, &before);
    assert!(rcpt(&postern, "smith").starts_with("250"), "{:#?}", postern.events());
    server.stop();
    folder.write("postern.toml", after);
    postern.signal(Signal::SIGHUP);
    postern.wait_for("ConfigurationReloaded");
    assert!(rcpt(&postern, "jones").starts_with("451"), "{:#?}", postern.events());
}
