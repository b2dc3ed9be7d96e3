//! Who guesses is put off, a person sees that and lets him in again, and it outlives a restart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use kit::{Client, Folder, Hop, Postern, config};
use nix::sys::signal::Signal;
use std::process::Command;

const GUESSED: &str = "[harvest]\nclient_unknown_max = 3\nsession_unknown_max = 1000\n\
                       session_unknown_before_close_max = 1000\n";

fn text(hop: &Hop) -> String {
    format!("state_dir = \"state\"\n{}", config(hop.address, GUESSED))
}

/// `postern clients …`: whether it went well, and what it says.
fn clients(folder: &Folder, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let command = command.arg("clients").args(arguments).args(["--config", "postern.toml"]);
    kit::process::run(command.current_dir(folder.path()))
}

fn recipient(postern: &Postern, path: &str) -> String {
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say(&format!("RCPT TO:<{path}>")).text()
}

#[test]
fn who_guesses_is_put_off_and_a_person_lets_him_in_again() {
    let (folder, hop) = (Folder::new(), Hop::start());
    std::fs::create_dir(folder.file("state")).unwrap();
    let mut postern = Postern::start(&folder, &text(&hop));
    let (is_done, said) = clients(&folder, &["list"]);
    assert!(is_done && said.contains("Nobody is put off."), "{said}");

    for n in 0..4 {
        assert!(recipient(&postern, &format!("guess{n}@example.test")).starts_with("550 5.1.1 "));
    }
    assert_eq!(postern.wait_for("ClientBlocked")["subject"], "127.0.0.1");
    assert!(recipient(&postern, "jones@example.test").starts_with("450 "));
    let (is_done, said) = clients(&folder, &["list"]);
    assert!(is_done && said.contains("127.0.0.1") && said.contains("mail 60 min"), "{said}");

    postern.signal(Signal::SIGTERM);
    assert!(postern.process.wait().success());
    let postern = Postern::start(&folder, &text(&hop));
    assert!(recipient(&postern, "jones@example.test").starts_with("450 "), "after a restart");
    let (is_done, said) = clients(&folder, &["lift", "127.0.0.1"]);
    assert!(is_done && said.contains("127.0.0.1 is let in again."), "{said}");
    assert_eq!(postern.wait_for("ClientLifted")["subject"], "127.0.0.1");
    assert!(recipient(&postern, "jones@example.test").starts_with("250 "));
    let (is_done, said) = clients(&folder, &["lift", "127.0.0.300"]);
    assert!(!is_done && said.contains("is no client"), "{said}");
}
