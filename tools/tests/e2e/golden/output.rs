//! What commands print, on both outputs, and their exit codes, where nothing runs and where
//! nothing changes.

use super::{Golden, help, mask_numbers, masked, write_old};
use kit::Folder;
use std::fs;
use std::process::Command;

const CONFIG: &str = r#"hostname = "mx.example.test"
state_dir = "state"

[[listener]]
address = "127.0.0.1:2525"

[[domain]]
name = "example.test"
next_hop = "192.0.2.25:25"
recipients = [{ file = "users.txt" }]
sub_address_separator = "+"
leavers = [{ address = "old@example.test", text = "has left" }]
bitbucket = [{ address = "noreply@example.test", reason = "nobody reads it" }]
"#;

/// A name, and the words of a command.
type Line = (&'static str, &'static str);

/// What is run, each in the same folder.
const COMMANDS: &[Line] = &[
    ("check", "check --offline"),
    ("check-json", "check --offline --json"),
    ("check-mistakes", "check --config wrong.toml"),
    ("check-mistakes-json", "check --config wrong.toml --json"),
    ("explain-passes", "explain --client 203.0.113.7 --from a@b.example --to jones@example.test"),
    ("explain-refused", "explain --client 203.0.113.7 --from a@b.example --to x@example.test"),
    ("explain-json", "explain --client 203.0.113.7 --from <> --to x@example.test --json"),
    ("recipients-lookup", "recipients lookup jones+lists@example.test"),
    ("recipients-lookup-trace", "recipients lookup --trace nobody@example.test"),
    ("recipients-lookup-json", "recipients lookup --json old@example.test"),
    ("recipients-check", "recipients check"),
    ("recipients-sources", "recipients sources"),
    ("recipients-sources-json", "recipients sources --json"),
    ("recipients-stats", "recipients stats"),
    ("recipients-stats-json", "recipients stats --json"),
    ("recipients-flush", "recipients flush --all"),
    ("recipients-why", "recipients why jones@example.test"),
    ("recipients-report", "recipients report"),
    ("recipients-sync", "recipients sync"),
    ("recipients-diff", "recipients diff"),
    ("recipients-confirm", "recipients confirm users.txt --entries 1"),
    ("recipients-export", "recipients export users.txt"),
    ("recipients-export-json", "recipients export users.txt --json"),
    ("recipients-import", "recipients import other.txt --source users.txt --dry-run"),
    ("clients-list", "clients list"),
    ("clients-show", "clients show 192.0.2.7"),
    ("clients-lift", "clients lift 192.0.2.0/24"),
    ("version", "--version"),
    ("unknown-command", "recieve"),
    ("unknown-option", "check --jsn"),
];

/// Commands whose output is elsewhere, or is no text of ours.
const NOT_HERE: &[Line] = &[
    ("demo", "figures of a run; the module demo"),
    ("init", "asks; the module init"),
    ("run", "its log; every other module"),
    ("probe", "what a server does; the module probe"),
    ("talk", "what a server says; its own tests"),
    ("completions", "written by clap_complete; the module cli"),
    ("man", "written by clap_mangen; the module cli"),
];

#[test]
fn what_commands_print_is_as_it_is_written_down() {
    let folder = Folder::new();
    write_old(
        &folder,
        "users.txt",
        "jones@example.test sales@inside.example\nsmith@example.test\nteam-*@example.test\n",
    );
    folder.write("other.txt", "jones@example.test\nbrown@example.test\n");
    folder.write("postern.toml", CONFIG);
    folder.write("wrong.toml", CONFIG.replace("hostname", "hostnme").replace(":25\"", ":0\""));
    fs::create_dir(folder.file("state")).unwrap();
    let path = folder.path().display().to_string();
    let masks = [(path.as_str(), "<folder>"), (env!("CARGO_PKG_VERSION"), "<version>")];
    let mut golden = Golden::new("output");
    for (name, line) in COMMANDS {
        let mut words: Vec<&str> = line.split(' ').collect();
        let is_configured = ["check", "clients", "explain", "recipients"].contains(&words[0]);
        if is_configured && !line.contains("--config") && !line.contains("--jsn") {
            words.extend(["--config", "postern.toml"]);
        }
        let mut command = Command::new(kit::postern::program());
        let done = command.args(&words).current_dir(folder.path()).output().unwrap();
        let out = printed(&String::from_utf8_lossy(&done.stdout));
        let err = printed(&String::from_utf8_lossy(&done.stderr));
        let code = done.status.code().unwrap();
        let line = words.join(" ");
        let text =
            format!("$ postern {line}\n{out}--- error output\n{err}--- exit status {code}\n");
        golden.compare(name, &masked(&text, &masks));
    }
    golden.finish();
}

/// Without what differs: ages in JSON, and how wide a column is that has the folder in it.
fn printed(text: &str) -> String {
    if let Ok(mut document) = serde_json::from_str(text) {
        mask_numbers(&mut document);
        return serde_json::to_string_pretty(&document).unwrap() + "\n";
    }
    if !text.starts_with("SOURCE ") {
        return text.to_owned();
    }
    let columns =
        |line: &str| line.split("  ").filter(|s| !s.is_empty()).collect::<Vec<_>>().join("  ");
    text.lines().map(|line| columns(line) + "\n").collect()
}

#[test]
fn no_command_is_forgotten() {
    help::walk(&mut |words, command| {
        let line = words[1..].join(" ");
        if command.has_subcommands() {
            return;
        }
        let runs = |(_, run): &Line| *run == line || run.starts_with(&format!("{line} "));
        let shown = COMMANDS.iter().any(runs);
        let elsewhere = NOT_HERE.iter().any(|(command, _)| *command == line);
        assert!(shown != elsewhere, "`postern {line}` has to stand in one of the two lists");
    });
}
