//! `postern probe` against real servers: what it is for, and our own listener beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::process::run;
use kit::servers::{Server, needs};
use kit::{Folder, Hop, LIFTED, Postern, config, has};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

/// The report, and whether nothing serious was found.
fn probe(server: SocketAddr, more: &[&str]) -> (bool, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["probe", &server.to_string(), "--domain", "example.test", "--json"]);
    let (clean, said) = run(command.args(more));
    let start = said.find('{').unwrap_or_else(|| panic!("{said}"));
    (clean, serde_json::from_str(&said[start..]).unwrap_or_else(|e| panic!("{e}: {said}")))
}

/// What was found under this id.
fn verdict(report: &Value, id: &str) -> String {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {report:#}"))["verdict"].as_str().unwrap().into()
}

#[test]
fn a_postfix_with_a_catch_all_domain_is_called_accept_all() {
    if !has(&[&needs("postfix")]) {
        return;
    }
    let server = Server::start("postfix", "");
    let (clean, report) = probe(server.address, &[]);
    assert!(!clean);
    assert_eq!(verdict(&report, "unknown-recipients"), "accept-all");
}

#[test]
fn our_own_listener_is_clean() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let known = ["--known", "jones@example.test"];
    let (clean, report) = probe(postern.address(), &known);
    assert!(clean, "{report:#}");
    assert_eq!(verdict(&report, "unknown-recipients"), "honest");
    assert_eq!(report["relay"]["accepted"], 0, "{report:#}");
    assert!(hop.taken().is_empty());
}
