//! What the program is without the kinds of sources that bring many crates. Holds for every set of
//! features; `make test` runs it for the whole program and for the smallest.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use kit::process::run;
use kit::{Client, Folder, Hop, LIFTED, Postern, config};
use std::process::Command;

/// Whether nothing is wrong with it, and what `check` says; nobody elsewhere is asked.
fn check(folder: &Folder, config: &str) -> (bool, String) {
    folder.write("postern.toml", config);
    folder.write("users.txt", "jones@example.test\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let command = command.args(["check", "--offline", "--config", "postern.toml"]);
    run(command.current_dir(folder.path()))
}

#[test]
fn mail_is_relayed_and_strangers_to_the_list_are_refused() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.message(b"hello\r\n").expect("250 ");
    assert_eq!(hop.taken().len(), 1);
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<nobody-here@example.test>").expect("550 5.1.1 ");
}

#[test]
fn files_call_out_and_what_was_learned_are_in_every_program() {
    let all = "recipients = [{ file = \"users.txt\" }, { callout = true }, { learned = true }]";
    let config = config("127.0.0.1:2600", "");
    let (is_right, said) =
        check(&Folder::new(), &config.replace("recipients = [{ file = \"users.txt\" }]", all));
    assert!(is_right, "{said}");
}

#[test]
fn a_rule_that_would_ask_the_dns_needs_a_build_that_can() {
    let config = config("127.0.0.1:2600", "[dns]\nrequire_reverse_name = true\n");
    let (is_right, said) = check(&Folder::new(), &config);
    assert_eq!(is_right, cfg!(feature = "dns"), "{said}");
    assert_eq!(said.contains("--features dns"), !is_right, "{said}");
}

#[test]
fn a_kind_that_was_left_out_is_told_by_its_name_and_what_brings_it() {
    for (kind, is_missing) in [
        ("ldap", cfg!(not(feature = "ldap"))),
        ("sql", cfg!(not(feature = "sql"))),
        ("http", cfg!(not(feature = "http"))),
    ] {
        let listed = format!("recipients = [{{ {kind} = \"people\" }}]");
        let table = format!("[[{kind}]]\nname = \"people\"\n");
        let config = config("127.0.0.1:2600", &table);
        let config = config.replace("recipients = [{ file = \"users.txt\" }]", &listed);
        let (is_right, said) = check(&Folder::new(), &config);
        assert!(!is_right, "{kind}: a table with only a name is right nowhere");
        let told = format!("this build of Postern has no `{kind}`");
        // Once for the table, once for the entry, and nothing that follows from either.
        let expected = if is_missing { 2 } else { 0 };
        assert_eq!(said.matches(&told).count(), expected, "{said}");
        assert_eq!(said.contains(&format!("--features {kind}")), is_missing, "{said}");
    }
}
