//! The commands as operators and scripts use them: the real binary, good and bad input, exit
//! codes, JSON.

#![allow(clippy::unwrap_used, reason = "a test that cannot run its command has failed")]

#[path = "cli/explain.rs"]
mod explain;

use serde_json::Value;
use socket2::{Domain as SocketDomain, Socket, Type};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const CONFIG: &str = r#"
hostname = "mx.example.test"
state_dir = "state"

[[listener]]
address = "127.0.0.1:2525"

[[domain]]
name = "example.test"
next_hop = "127.0.0.1:2600"
recipients = [{ file = "users.txt" }]
sub_address_separator = "+"
leavers = [{ address = "old@example.test", text = "has left" }]
bitbucket = [{ address = "noreply@example.test", reason = "nobody reads it" }]

[log]
file = "postern.log"
"#;
const USERS: &str =
    "jones@example.test sales@inside.example.test\nsmith@example.test\nteam-*@example.test\n";

/// A folder with a configuration.
struct ConfiguredFolder(TempDir);

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

impl ConfiguredFolder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("state")).unwrap();
        folder.write("postern.toml", CONFIG);
        folder.write("users.txt", USERS);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Beside it, then renamed: whoever watches it never sees half of it.
    fn write(&self, name: &str, text: &str) {
        let fresh = self.path("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.path(name)).unwrap();
    }

    /// Runs the command in the folder.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "")
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(arguments)
            .current_dir(self.0.path())
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

    /// With `--config postern.toml` at the end.
    fn configured(&self, arguments: &[&str]) -> Ran {
        self.run(&[arguments, &["--config", "postern.toml"]].concat())
    }
}

#[test]
fn check_sums_up_what_is_right_and_tells_every_mistake() {
    let folder = ConfiguredFolder::new();
    let right = folder.configured(&["check"]);
    assert_eq!(right.code, 0, "{}", right.err);
    assert!(right.out.contains("1 domain, 2 addresses, 1 pattern, 1 next hop, 1 listener"));
    let right = folder.configured(&["check", "--json"]).json();
    assert_eq!((&right["ok"], &right["summary"]["addresses"]), (&true.into(), &2.into()));

    folder.write("users.txt", "jones@example.test\nsmith@-example.test\njones@\n");
    folder.write("postern.toml", &CONFIG.replace("hostname", "hostnme"));
    let wrong = folder.configured(&["check"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
    assert!(wrong.err.contains("users.txt:2:1") && wrong.err.contains("did you mean `hostname`"));
    let wrong = folder.configured(&["check", "--json"]);
    assert_eq!(wrong.code, 2);
    let mistakes = wrong.json()["mistakes"].as_array().unwrap().clone();
    let lines: Vec<_> = mistakes.iter().map(|m| m["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 2, 3]);
}

#[test]
fn every_command_that_reads_a_configuration_tells_one_that_is_not_there() {
    let folder = ConfiguredFolder::new();
    for command in [
        &["check"][..],
        &["run"],
        &["explain", "--client", "192.0.2.7", "--from", "<>", "--to", "a@b.test"],
        &["explain", "--id", "0b0k3m8c1g7f2.1"],
        &["recipients", "lookup", "a@b.test"],
        &["recipients", "stats"],
        &["recipients", "check"],
        &["recipients", "confirm", "--entries", "1", "users.txt"],
        &["recipients", "sources"],
        &["recipients", "flush", "--all"],
        &["recipients", "why", "a@b.test"],
        &["recipients", "report"],
        &["recipients", "sync"],
        &["recipients", "diff"],
        &["recipients", "export", "users.txt"],
        &["recipients", "import", "users.txt"],
    ] {
        let ran = folder.run(&[command, &["--config", "missing.toml"]].concat());
        assert_eq!(ran.code, 2, "{command:?}");
        assert!(ran.err.contains("missing.toml"), "{command:?}: {}", ran.err);
    }
}

#[test]
fn explain_ends_with_what_the_client_and_the_next_hop_would_hear() {
    let folder = ConfiguredFolder::new();
    let explain = |to: &str, more: &[&str]| {
        let arguments = ["explain", "--client", "192.0.2.7", "--from", "a@example.org", "--to", to];
        folder.configured(&[&arguments, more].concat())
    };
    let accepted = explain("Jones+lists@example.test", &[]);
    assert_eq!(accepted.code, 0, "{}", accepted.err);
    assert!(accepted.out.contains("RCPT TO:<sales@inside.example.test>"), "{}", accepted.out);
    assert!(accepted.out.contains("127.0.0.1:2600"));
    let refused = explain("nobody@example.test", &[]);
    assert_eq!(refused.code, 1);
    assert!(refused.out.contains("550 5.1.1 no such mailbox here"), "{}", refused.out);
    assert!(refused.out.contains("Not run, since that decides: plan"), "{}", refused.out);
    let harvest = explain("smith@example.test", &["--standing-harvest", "--json"]);
    assert_eq!(harvest.code, 3);
    let harvest = harvest.json();
    assert_eq!((&harvest["decided_by"], &harvest["code"]), (&"harvest".into(), &450.into()));
    let last = harvest["rules"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["rule"], &last["decides"]), (&"harvest".into(), &true.into()));
    assert_eq!(explain("noreply@example.test", &["--json"]).json()["discarded"], true);
    let malformed = explain("a@@example.test", &["--json"]);
    assert_eq!((malformed.code, &malformed.json()["decided_by"]), (1, &"syntax".into()));
    assert_eq!(folder.run(&["explain", "--client", "192.0.2.7"]).code, 2);
}

#[test]
fn explain_shows_a_source_that_is_down_as_a_refusal_for_now() {
    let folder = ConfiguredFolder::new();
    folder.write("users.txt", "<\n");
    let ran = folder.configured(&[
        "explain",
        "--client",
        "192.0.2.7",
        "--from",
        "<>",
        "--to",
        "smith@example.test",
        "--json",
    ]);
    assert_eq!((ran.code, &ran.json()["code"]), (3, &451.into()));
    assert!(ran.err.contains("line 1"), "{}", ran.err);
}

const LOG: &str = r#"{"time":"2026-11-23T10:00:00.000Z","event":"MessageDelivered","session":"0b0k3m8c1g7f2","client":"192.0.2.7","hello":"c.example.org","from":"a@example.org","message":"0b0k3m8c1g7f2.1","to":["smith@example.test"],"octets":1200,"host":"127.0.0.1:2600","reply":"250 ok"}
{"time":"2026-11-23T10:00:00.500Z","event":"RecipientRefused","session":"0b0k3m8c1g7f3","client":"192.0.2.8","from":"b@example.org","to":"x@example.test","rule":"recipient","refusal":"recipient_unknown","code":550,"status":"5.1.1","text":"no such mailbox here","id":"0b0k3m8c1g7f3.1"}
"#;
const LOG_TEXT: &str = r#"2026-11-23T10:00:01.000Z RecipientRefused session=0b0k3m8c1g7f2 client=192.0.2.7 hello=c.example.org from=a@example.org to=nobody@example.test rule=recipient refusal=recipient_unknown code=550 status=5.1.1 id=0b0k3m8c1g7f2.2
2026-11-23T10:00:02.000Z SessionClosed session=0b0k3m8c1g7f2 client=192.0.2.7 why=quit delivered=1 refusals=1
"#;

#[test]
fn an_id_is_found_in_the_configured_log_and_what_it_was_before_rotation() {
    let folder = ConfiguredFolder::new();
    folder.write("postern.log.1", LOG);
    folder.write("postern.log", LOG_TEXT);
    let refused = folder.configured(&["explain", "--id", "(id 0b0k3m8c1g7f2.2)"]);
    assert_eq!(refused.code, 0, "{}", refused.err);
    assert!(refused.out.contains("550 5.1.1 no such mailbox here"), "{}", refused.out);
    assert!(refused.out.contains("recipient: the recipient must exist"), "{}", refused.out);
    let at = |words: &str| refused.out.find(words).unwrap_or_else(|| panic!("{}", refused.out));
    assert!(at("was taken by 127.0.0.1:2600") < at("the session ended (quit)"));
    assert!(!refused.out.contains("0b0k3m8c1g7f3"), "another session");
    let delivered = folder.configured(&["explain", "--id", "0b0k3m8c1g7f2.1", "--json"]).json();
    assert_eq!(delivered["event"]["event"], "MessageDelivered");
    assert_eq!(delivered["session"].as_array().unwrap().len(), 3);
}

#[test]
fn an_id_that_is_nowhere_is_told_with_what_to_try() {
    let folder = ConfiguredFolder::new();
    let missing = folder.run_with_input(&["explain", "--id", "0b0k3m8c1g7f9.1", "--log", "-"], LOG);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(missing.err.contains("zcat"), "{}", missing.err);
    let other = folder.run_with_input(&["explain", "--id", "0b0k3m8c1g7f2.9", "--log", "-"], LOG);
    assert_eq!(other.code, 1);
    assert!(other.err.contains("explain --id 0b0k3m8c1g7f2\n"), "{}", other.err);
    let whole = folder.run_with_input(&["explain", "--id", "0b0k3m8c1g7f2", "--log", "-"], LOG);
    assert_eq!(whole.code, 0, "{}", whole.err);
    assert_eq!(folder.run(&["explain", "--id", "no id", "--log", "-"]).code, 2);
    assert_eq!(folder.run(&["explain", "--id", "a.1", "--log", "missing.log"]).code, 2);
    folder.write("postern.toml", &CONFIG.replace("file = \"postern.log\"", ""));
    let unlogged = folder.configured(&["explain", "--id", "a.1"]);
    assert_eq!(unlogged.code, 2);
    assert!(unlogged.err.contains("journalctl"), "{}", unlogged.err);
}

#[test]
fn lookup_says_what_every_source_says_and_where_mail_goes() {
    let folder = ConfiguredFolder::new();
    let lookup = |address| folder.configured(&["recipients", "lookup", address, "--json"]);
    for (address, code, status) in [
        ("jones@example.test", 0, "exists"),
        ("JONES+x@example.test", 0, "exists"),
        ("team-7@example.test", 0, "exists"),
        ("postmaster", 0, "exists"),
        ("noreply@example.test", 0, "bitbucket"),
        ("old@example.test", 1, "left"),
        ("nobody@example.test", 1, "unknown"),
        ("jones@elsewhere.test", 1, "not_ours"),
    ] {
        let ran = lookup(address);
        assert_eq!((ran.code, &ran.json()["status"]), (code, &status.into()), "{address}");
    }
    let jones = lookup("jones+x@example.test").json();
    assert_eq!(jones["target"], "sales@inside.example.test");
    assert_eq!(
        (&jones["found_by"], &jones["sub_address_base"]),
        (&"sub_address".into(), &"jones".into())
    );
    assert_eq!(lookup("team-7@example.test").json()["pattern"], "team-*");
    assert_eq!(jones["sources"].as_array().unwrap().len(), 1);
    let text = folder.configured(&["recipients", "lookup", "team-7@example.test"]);
    assert!(text.out.contains("the pattern team-*"), "{}", text.out);
    let malformed = folder.configured(&["recipients", "lookup", "a@@b"]);
    assert_eq!(malformed.code, 2);
    assert!(malformed.err.contains("For example"), "{}", malformed.err);
    fs::remove_file(folder.path("users.txt")).unwrap();
    folder.write("users.txt", "@\n");
    assert_eq!(lookup("smith@example.test").code, 3);
}

#[test]
fn recipients_check_names_each_malformed_line() {
    let folder = ConfiguredFolder::new();
    assert_eq!(folder.configured(&["recipients", "check"]).code, 0);
    folder.write("users.txt", "smith\n<jones>\n");
    let wrong = folder.configured(&["recipients", "check"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.out.contains("users.txt:2: `<jones>`"), "{}", wrong.out);
    let wrong = folder.configured(&["recipients", "check", "--json"]).json();
    assert_eq!(wrong["files"][0]["malformed"][0]["line"], 2);
}

/// A process that serves, ended when dropped, or after two minutes, so that a test that waits for a
/// line that never comes fails.
struct Serving(Arc<Mutex<Child>>);

impl Drop for Serving {
    fn drop(&mut self) {
        end(&self.0);
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap();
    let _ = child.kill();
    let _ = child.wait();
}

impl Serving {
    fn new(folder: &ConfiguredFolder) -> (Self, impl Iterator<Item = Value>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["run", "--config", "postern.toml"])
            .current_dir(folder.0.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let child = Arc::new(Mutex::new(child));
        let late = Arc::clone(&child);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(120));
            end(&late);
        });
        (Self(child), lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
    }
}

/// What a client hears to RCPT, without its id, and the id.
fn reply_to_rcpt(address: &str, to: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut reply = || loop {
        let line = lines.next().unwrap().unwrap();
        if line.as_bytes()[3] == b' ' {
            return line;
        }
    };
    reply();
    for command in ["EHLO [127.0.0.1]", "MAIL FROM:<a@example.org>"] {
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        assert!(reply().starts_with("250"));
    }
    stream.write_all(format!("RCPT TO:<{to}>\r\n").as_bytes()).unwrap();
    let reply = reply();
    let (text, id) = reply.split_once(" (id ").unwrap_or((&reply, ""));
    (text.to_owned(), id.trim_end_matches(')').to_owned())
}

#[test]
fn explain_says_what_a_relay_that_serves_says_and_finds_its_ids() {
    let folder = ConfiguredFolder::new();
    let config = CONFIG.replace("2525", "0").replace("127.0.0.1:2600", &accepts_all());
    folder.write("postern.toml", &config.replace("file = \"postern.log\"", ""));
    let (_serving, mut log) = Serving::new(&folder);
    let listening = log.find(|event| event["event"] == "Listening").unwrap();
    let address = listening["subject"].as_str().unwrap().to_owned();
    for to in [
        "jones@example.test",
        "Smith+x@Example.Test",
        "team-9@example.test",
        "postmaster",
        "noreply@example.test",
        "nobody@example.test",
        "old@example.test",
        "a%b@example.test",
        "jones@elsewhere.test",
        "a@@example.test",
    ] {
        let (heard, id) = reply_to_rcpt(&address, to);
        let explained = folder.configured(&[
            "explain",
            "--client",
            "127.0.0.1",
            "--from",
            "a@example.org",
            "--to",
            to,
            "--json",
        ]);
        let explained = explained.json();
        assert_eq!(explained["reply"], heard, "{to}");
        let Some(rule) = explained["decided_by"].as_str().filter(|rule| *rule != "syntax") else {
            continue;
        };
        let event = log.find(|event| event["id"] == id).unwrap();
        assert_eq!(event["rule"], rule, "{to}");
        let arguments = ["explain", "--log", "-", "--id", &id];
        let found = folder.run_with_input(&arguments, &event.to_string());
        assert!(found.out.contains(&heard), "{heard}: {}", found.out);
    }
}

#[test]
fn a_list_that_shrinks_is_held_until_a_person_confirms_its_number() {
    let folder = ConfiguredFolder::new();
    let config = CONFIG.replace("2525", "0").replace("file = \"postern.log\"", "");
    folder.write("postern.toml", &config);
    let people = |n| (0..n).map(|n| format!("p{n}@example.test\n")).collect::<String>();
    folder.write("users.txt", &people(100));
    let (_serving, mut log) = Serving::new(&folder);
    let mut await_event = |name: &str| log.find(|event| event["event"] == name).unwrap();
    await_event("Listening");
    // The first poll keeps what was adopted.
    let kept = || fs::read_dir(folder.path("state")).unwrap().count() > 0;
    assert!((0..1_200).any(|_| kept() || {
        std::thread::sleep(Duration::from_millis(50));
        false
    }));
    assert_eq!(folder.configured(&["recipients", "stats"]).code, 0);
    folder.write("users.txt", &people(10));
    let held = await_event("RecipientsHeld");
    assert!(held["detail"].as_str().unwrap().contains("postern recipients stats"), "{held}");

    let stats = folder.configured(&["recipients", "stats"]);
    assert_eq!(stats.code, 3);
    assert!(stats.out.contains("recipients confirm --entries 10 "), "{}", stats.out);
    let stats = folder.configured(&["recipients", "stats", "--json"]).json();
    assert_eq!(stats["sources"][0]["held"][0]["entries"], 10);
    assert_eq!(stats["sources"][0]["domains"][0]["entries"], 100);

    let confirm =
        |entries, file| folder.configured(&["recipients", "confirm", "--entries", entries, file]);
    assert_eq!(confirm("11", "users.txt").code, 1);
    assert_eq!(confirm("10", "other.txt").code, 2);
    let confirmed = confirm("10", "users.txt");
    assert_eq!(confirmed.code, 0, "{}", confirmed.err);
    let adopted = await_event("RecipientsAdopted");
    assert!(adopted["detail"].as_str().unwrap().contains("10 entries"), "{adopted}");
}

#[test]
fn confirm_refuses_where_nothing_is_held_and_where_it_cannot_be_left() {
    let folder = ConfiguredFolder::new();
    let confirm = || folder.configured(&["recipients", "confirm", "--entries", "3", "users.txt"]);
    assert_eq!(confirm().code, 1);
    folder.write("postern.toml", &CONFIG.replace("state_dir = \"state\"", ""));
    let nowhere = confirm();
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("state_dir"), "{}", nowhere.err);
}

/// A server that accepts every recipient, for as long as the test runs.
fn accepts_all() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || accept_all(stream));
        }
    });
    address
}

fn accept_all(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let _ = stream.write_all(b"220 inside.example.test ESMTP\r\n");
    for line in lines {
        let Ok(line) = line else { break };
        let reply = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-inside.example.test\r\n250 SIZE 1000000\r\n",
            "DATA" => "354 go\r\n",
            _ => "250 ok\r\n",
        };
        let _ = stream.write_all(reply.as_bytes());
    }
}

fn init(folder: &ConfiguredFolder, next_hop: &str, more: &[&str]) -> Ran {
    let arguments = ["init", "--hostname", "mx.example.test", "--domain", "example.test"];
    let next_hop = ["--next-hop", next_hop, "--recipients", "users.txt", "--output", "new.toml"];
    folder.run(&[&arguments, &next_hop[..], more].concat())
}

#[test]
fn init_looks_at_the_next_hop_and_writes_what_check_finds_right() {
    let folder = ConfiguredFolder::new();
    let made = init(&folder, &accepts_all(), &["--yes"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("SIZE 1000000"), "{}", made.err);
    assert!(made.err.contains("refused at RCPT"), "{}", made.err);
    assert!(made.out.contains("postern run --config new.toml"), "{}", made.out);
    assert_eq!(folder.run(&["check", "--config", "new.toml"]).code, 0);
    let again = init(&folder, "127.0.0.1:1", &["--offline"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("--force"), "{}", again.err);
    assert_eq!(init(&folder, "127.0.0.1:1", &["--offline", "--force"]).code, 0);
}

#[test]
fn init_writes_although_the_next_hop_is_down_and_says_so() {
    let folder = ConfiguredFolder::new();
    // Bound, so that nobody else is; and not listening.
    let closed = Socket::new(SocketDomain::IPV4, Type::STREAM, None).unwrap();
    closed.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = closed.local_addr().unwrap().as_socket().unwrap().to_string();
    let made = init(&folder, &address, &[]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("cannot connect"), "{}", made.err);
}

#[test]
fn init_without_a_terminal_names_the_flags_that_are_missing() {
    let folder = ConfiguredFolder::new();
    let asked = folder.run(&["init", "--domain", "example.test", "--output", "new.toml"]);
    assert_eq!(asked.code, 2);
    for flag in ["--hostname", "--next-hop", "--recipients"] {
        assert!(asked.err.contains(flag), "{}", asked.err);
    }
    assert!(!asked.err.contains("--domain"), "{}", asked.err);
    let malformed = init(&folder, "10.0.0.5", &["--offline"]);
    assert_eq!(malformed.code, 2);
    assert!(malformed.err.contains("the port is missing"), "{}", malformed.err);
    assert!(!folder.path("new.toml").exists());
}

#[test]
fn init_tells_what_is_still_wrong_with_what_it_wrote() {
    let folder = ConfiguredFolder::new();
    fs::remove_file(folder.path("users.txt")).unwrap();
    let made = init(&folder, "127.0.0.1:2600", &["--offline"]);
    assert_eq!(made.code, 2);
    assert!(made.err.contains("users.txt") && made.err.contains("postern check"), "{}", made.err);
    assert!(folder.path("new.toml").exists());
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = ConfiguredFolder::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.out.contains("recipients"), "{shell}");
    }
    assert_eq!(folder.run(&["completions", "cmd.exe"]).code, 2);
    let page = folder.run(&["man"]);
    assert!(page.out.starts_with(".ie") || page.out.starts_with(".TH"), "{}", page.out);
    assert_eq!(folder.run(&["man", "--directory", "pages"]).code, 0);
    for name in ["postern", "postern-check", "postern-explain", "postern-recipients-lookup"] {
        let page = fs::read_to_string(folder.path(&format!("pages/{name}.1"))).unwrap();
        assert!(page.contains("Example") || name == "postern", "{name}");
    }
    folder.write("file", "");
    assert_eq!(folder.run(&["man", "--directory", "file"]).code, 2);
}

/// The names of the commands, as the help lists them.
fn commands(folder: &ConfiguredFolder, path: &[&str]) -> Vec<String> {
    let help = folder.run(&[path, &["--help"]].concat()).out;
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let names = list.lines().take_while(|line| line.starts_with("  "));
    let names = names.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_shows_an_example_and_says_what_its_exit_codes_mean() {
    let folder = ConfiguredFolder::new();
    let mut all: Vec<Vec<String>> = Vec::new();
    for name in commands(&folder, &[]) {
        for below in commands(&folder, &[&name]) {
            all.push(vec![name.clone(), below]);
        }
        all.push(vec![name]);
    }
    assert!(all.len() >= 12, "{all:?}");
    for command in all {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = folder.run(&[&words[..], &["--help"]].concat()).out;
        assert!(help.contains("Example"), "{command:?} has no example");
        let codes = help.contains("Exit codes:") || help.contains("Exit status:");
        assert!(codes || help.contains("Commands:"), "{command:?} says nothing of exit codes");
    }
}
