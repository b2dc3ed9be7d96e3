//! What is refused again and again is told in one line, which `explain --id` finds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use kit::{Client, Folder, Hop, config};
use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;

#[test]
fn a_refusal_in_between_is_one_of_so_many() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let harvest = "[harvest]\nclient_unknown_max = 1000\nsession_unknown_max = 1000\n\
                   session_unknown_before_close_max = 1000\n[log]\nfile = \"postern.log\"\n";
    let address = kit::closed_port();
    let text = config(hop.address, harvest).replace("127.0.0.1:0", &address.to_string());
    let path = folder.write("postern.toml", text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let mut process = kit::process::Process::start(command.arg("run").arg("--config").arg(path));
    let log = || fs::read_to_string(folder.file("postern.log")).unwrap_or_default();
    kit::wait_until("it listens", || log().contains("\"Listening\""));

    let mut client = Client::greeted(address);
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    let mut replies = (0..50).map(|n| client.say(&format!("RCPT TO:<u{n}@example.test>")).text());
    let between = replies.nth(34).unwrap();
    assert_eq!(replies.count(), 15);
    client.say("QUIT").expect("221 ");
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());

    let lines = log().lines().filter(|line| line.contains("\"RecipientRefused\"")).count();
    assert_eq!(lines, 20, "{}", log());
    let id = between.rsplit_once("(id ").unwrap().1.trim_end_matches(')').to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["explain", "--id", &id, "--log", "postern.log"]);
    let (is_found, said) = kit::process::run(command.current_dir(folder.path()));
    assert!(is_found && said.contains("one of 30 of 127.0.0.1 (recipient_unknown)"), "{said}");
}
