//! The figures as Prometheus reads them, and the page of the manual that describes them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use kit::{Folder, Hop, Postern};
use relay::event::ProcessEvent;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

const MANUAL: &str = include_str!("../../../docs/control.md");

/// A page of a process with all that has figures, with this line in the head of the question.
fn page(accept: &str) -> String {
    let (folder, hop) = (Folder::new(), Hop::start());
    folder.write("people.txt", "jones@example.test\n");
    kit::certificates::Authority::new().sign("mx.example.test").write(&folder);
    let config = format!(
        "hostname = \"mx.example.test\"\nstate_dir = \".\"\n[[listener]]\n\
         address = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n\
         [tls]\ncertificate = \"mx.pem\"\nkey = \"mx.key\"\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"{}\"\n\
         recipients = [{{ file = \"people.txt\" }}, {{ callout = true }}, {{ learned = true }}]\n",
        hop.address
    );
    let postern = Postern::start(&folder, &config);
    let mut stream = TcpStream::connect(postern.figures.unwrap()).unwrap();
    let question =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}Connection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

fn families(page: &str) -> BTreeSet<&str> {
    let named = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    named.filter_map(|rest| rest.split(' ').next()).collect()
}

#[test]
fn every_figure_and_every_event_is_in_the_manual_and_no_other() {
    let page = page("");
    let described: BTreeSet<&str> = MANUAL
        .split('`')
        .filter(|word| word.starts_with("postern_") && !word.contains('{'))
        .collect();
    assert_eq!(families(&page), described);
    for event in ProcessEvent::ALL {
        assert!(MANUAL.contains(&format!("`{}`", event.name())), "{}", event.name());
    }
}

#[test]
fn prometheus_takes_the_page_in_either_format() {
    let classic = page("Accept: text/plain\r\n");
    assert!(classic.contains("text/plain; version=0.0.4"), "{classic}");
    let open = page("Accept: application/openmetrics-text;version=1.0.0;q=0.5\r\n");
    assert!(open.contains("application/openmetrics-text; version=1.0.0") && open.contains("# EOF"));
    if !kit::has(&["promtool"]) {
        return;
    }
    let body = classic.split_once("\r\n\r\n").unwrap().1;
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
