//! Every message over the control socket, question and answer, as `docs/control.md` promises that
//! they stay.

use super::{Golden, mask_numbers, masked, write_old};
use kit::http::{Http, Response};
use kit::{Folder, Hop, LIFTED, Postern, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Stands for a question of more than 16 KiB.
const TOO_LARGE: &str = "(20,000 octets)";

/// What is asked: a name, the route, the question.
const MESSAGES: &[(&str, &str, &str)] = &[
    ("sources", "GET /v1/sources", ""),
    ("lookup", "POST /v1/lookup", r#"{"address":"Jones+lists@example.test"}"#),
    ("lookup-unknown", "POST /v1/lookup", r#"{"address":"nobody@example.test"}"#),
    ("lookup-left", "POST /v1/lookup", r#"{"address":"old@example.test"}"#),
    ("lookup-discarded", "POST /v1/lookup", r#"{"address":"noreply@example.test"}"#),
    ("lookup-pattern", "POST /v1/lookup", r#"{"address":"team-red@example.test"}"#),
    ("lookup-not-ours", "POST /v1/lookup", r#"{"address":"jones@elsewhere.example"}"#),
    ("lookup-malformed", "POST /v1/lookup", r#"{"address":"@"}"#),
    ("why", "POST /v1/why", r#"{"address":"jones@example.org"}"#),
    ("report", "POST /v1/report", r#"{"addresses_max":5}"#),
    ("clients", "POST /v1/clients", r#"{"all":true}"#),
    ("clients-show", "POST /v1/clients/show", r#"{"client":"192.0.2.7"}"#),
    ("clients-lift", "POST /v1/clients/lift", r#"{"client":"2001:db8:1::/48"}"#),
    ("clients-malformed", "POST /v1/clients/lift", r#"{"client":"192.0.2.0/25"}"#),
    ("flush", "POST /v1/flush", r#"{"all":true}"#),
    ("flush-what", "POST /v1/flush", "{}"),
    ("sync", "POST /v1/sync", r#"{"source":"users.txt"}"#),
    ("sync-progress", "POST /v1/sync/progress", r#"{"source":"users.txt"}"#),
    ("sync-unknown", "POST /v1/sync", r#"{"source":"nobody.txt"}"#),
    ("sync-no-list", "POST /v1/sync", r#"{"source":"people"}"#),
    ("diff", "POST /v1/diff", r#"{"source":"users.txt"}"#),
    ("confirm-not-held", "POST /v1/confirm", r#"{"source":"users.txt","entries":101}"#),
    ("confirm-nobody", "POST /v1/confirm", r#"{"source":"people"}"#),
    ("no-such-route", "POST /v1/nothing", "{}"),
    ("no-such-field", "POST /v1/lookup", r#"{"address":"a@example.test","more":1}"#),
    ("other-method", "POST /v1/sources", "{}"),
    ("too-large", "POST /v1/lookup", TOO_LARGE),
];

/// What is asked once the list of users has shrunk, and waits for a person's word.
const HELD: &[(&str, &str, &str)] = &[
    ("held-sources", "GET /v1/sources", ""),
    ("held-diff", "POST /v1/diff", r#"{"source":"users.txt"}"#),
    ("held-confirm-other", "POST /v1/confirm", r#"{"source":"users.txt","entries":9}"#),
    ("held-confirm", "POST /v1/confirm", r#"{"source":"users.txt","entries":10}"#),
];

fn people(n: usize) -> String {
    (0..n).map(|n| format!("p{n}\n")).chain(["jones\n".to_owned(), "team-*\n".to_owned()]).collect()
}

fn config(folder: &Folder, hop: &Hop, server: &Http) -> String {
    write_old(folder, "users.txt", &people(99));
    fs::create_dir(folder.file("state")).unwrap();
    format!(
        r#"hostname = "mx.example.test"
state_dir = "state"

[[listener]]
address = "127.0.0.1:0"

[[domain]]
name = "example.test"
next_hop = "{hop}"
recipients = [{{ file = "users.txt" }}]
sub_address_separator = "+"
leavers = [{{ address = "old@example.test", text = "has left" }}]
bitbucket = [{{ address = "noreply@example.test", reason = "nobody reads it" }}]

[[domain]]
name = "example.org"
next_hop = "{hop}"
recipients = [{{ learned = true, mode = "observe" }}]

[[domain]]
name = "example.net"
next_hop = "{hop}"
recipients = [{{ http = "people" }}]

[[http]]
name = "people"
url = "{}"
{LIFTED}"#,
        server.url("/{address}"),
        hop = hop.address,
    )
}

/// The status line and the document of the answer.
fn ask(socket: &Path, route: &str, question: &str) -> (String, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let large = "x".repeat(20_000);
    let question = if question == TOO_LARGE { &large } else { question };
    let length = question.len();
    let head = format!("{route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let request = format!("{head}Content-Length: {length}\r\n\r\n{question}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, document) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().to_owned();
    // Every answer is one document, a refusal too.
    (status, serde_json::from_str(document).unwrap_or_else(|e| panic!("{route}: {e}: {answer}")))
}

#[test]
fn every_control_message_is_as_it_is_written_down() {
    let server = Http::start(|_| Response::new(404, ""));
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(&folder, &hop, &server));
    let socket = folder.file("state/control.sock");
    let progress = || ask(&socket, "POST /v1/sync/progress", r#"{"source":"users.txt"}"#).1;
    // What they are is found out by and by.
    wait_until("the source and the next hop have shown what they are", || {
        let (_, sources) = ask(&socket, "GET /v1/sources", "");
        !sources.to_string().contains("unproven")
    });
    let mut golden = Golden::new("control");
    let path = folder.path().display().to_string();
    let hop = hop.address.to_string();
    let masks = [(path.as_str(), "<folder>"), (hop.as_str(), "<next hop>")];
    let mut say = |(name, route, question): &(&str, &str, &str)| {
        let (status, mut document) = ask(&socket, route, question);
        mask_numbers(&mut document);
        if *name == "sync" {
            // It may be over before it is told of.
            for key in ["is_loading", "taken", "result"] {
                document[key] = "<how far it is>".into();
            }
            wait_until("the list is read", || progress()["is_loading"] == false);
        }
        let answer = serde_json::to_string_pretty(&document).unwrap();
        let text = format!("{route}\n{question}\n\n{status}\n{answer}\n");
        golden.compare(name, &without_invented(&masked(&text, &masks)));
    };
    MESSAGES.iter().for_each(&mut say);
    write_old(&folder, "users.txt", &people(8));
    postern.wait_for("RecipientsHeld");
    HELD.iter().for_each(&mut say);
    golden.finish();
}

/// Names that nobody has are invented anew each time: `postern` and 16 digits.
fn without_invented(text: &str) -> String {
    let mut parts = text.split("postern");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let is_invented = digits == 16;
        masked += if is_invented { "<invented>" } else { "postern" };
        masked += if is_invented { &part[digits..] } else { part };
    }
    masked
}

#[test]
fn every_route_has_its_messages_and_its_row_in_the_manual() {
    let code = include_str!("../../../../gateway/src/control/server.rs");
    let manual = include_str!("../../../../docs/control.md");
    let routes = code.split(".route(\"").skip(1).map(|rest| {
        let (route, rest) = rest.split_once('"').unwrap();
        let method = if rest.starts_with(", get(") { "GET" } else { "POST" };
        format!("{method} {route}")
    });
    let routes: BTreeSet<String> = routes.collect();
    assert!(routes.len() >= 9, "{routes:?}");
    for route in routes {
        assert!(MESSAGES.iter().any(|(_, asked, _)| *asked == route), "{route} is not asked");
        assert!(manual.contains(&format!("| `{route}` |")), "{route} has no row");
    }
}
