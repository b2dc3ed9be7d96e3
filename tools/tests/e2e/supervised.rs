//! What a supervisor hears, in the order in which it hears it (`sd_notify`(3)).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use kit::{Folder, Hop, LIFTED, Postern, config};
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

/// The next message, as the assignments that matter.
fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut octets = [0; 512];
    let length = socket.recv(&mut octets).unwrap();
    let text = String::from_utf8_lossy(&octets[..length]).into_owned();
    text.lines().filter(|line| !line.starts_with("STATUS=")).map(str::to_owned).collect()
}

#[test]
fn a_supervisor_hears_when_the_port_is_open_when_a_reload_ends_and_of_the_end() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let path = folder.file("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.env("NOTIFY_SOCKET", &path);
    let postern = Postern::start_by(&mut command, &folder, &config(hop.address, LIFTED));
    assert_eq!(heard(&supervisor), ["READY=1"]);

    postern.signal(Signal::SIGHUP);
    let reloading = heard(&supervisor);
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(heard(&supervisor), ["READY=1"]);

    postern.signal(Signal::SIGTERM);
    assert_eq!(heard(&supervisor), ["STOPPING=1"]);
}
