//! The program under test: started on ports of the system's choice, its log read as it comes.

use super::PATIENCE;
use super::folder::Folder;
use super::process::Process;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

/// A running Postern.
pub struct Postern {
    /// Its process.
    pub process: Process,
    /// Where it listens, in the order of the configuration.
    pub smtp: Vec<SocketAddr>,
    /// Where it shows figures.
    pub figures: Option<SocketAddr>,
}

/// The least configuration, for one next hop: its address, or the name of a table in `more`.
pub fn config(next_hop: impl Display, more: &str) -> String {
    format!(
        r#"hostname = "mx.example.test"

[[listener]]
address = "127.0.0.1:0"

[[domain]]
name = "example.test"
next_hop = "{next_hop}"
recipients = [{{ file = "users.txt" }}]
{more}"#
    )
}

/// Where our binary is: cargo says it to the tests and benches of the package that has it.
#[must_use]
pub fn program() -> PathBuf {
    let path = std::env::var_os("CARGO_BIN_EXE_postern");
    path.expect("run by cargo, in the package of the program `postern`").into()
}

impl Postern {
    /// Starts with this configuration, and waits until it listens everywhere.
    pub fn start(folder: &Folder, config: &str) -> Self {
        Self::start_by(&mut Command::new(program()), folder, config)
    }

    /// As [`Postern::start`], by a command that has our binary's name as its last argument.
    pub fn start_by(command: &mut Command, folder: &Folder, config: &str) -> Self {
        let path = folder.write("postern.toml", config);
        let process = Process::start(command.arg("run").arg("--config").arg(path));
        let mut postern = Self { process, smtp: Vec::new(), figures: None };
        let expected = config.matches("[[listener]]").count();
        let shows_figures = config.contains("[metrics]");
        super::wait_until("Postern listens", || {
            if let Some(status) = postern.process.ended() {
                panic!("it ended, {status}: {}", postern.process.errors.all().join("\n"));
            }
            let listening = postern.events_named("Listening");
            let at = |detail| {
                let here = listening.iter().filter(move |event| event["detail"] == detail);
                here.map(|event| event["subject"].as_str().unwrap().parse().unwrap())
            };
            postern.smtp = at("SMTP").collect();
            postern.figures = at("figures").next();
            postern.smtp.len() == expected && postern.figures.is_some() == shows_figures
        });
        postern
    }

    /// Where the first listener is.
    pub fn address(&self) -> SocketAddr {
        self.smtp[0]
    }

    /// The page with figures.
    pub fn page(&self) -> String {
        let mut stream = TcpStream::connect(self.figures.unwrap()).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// Everything that it has logged so far.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.process.output.all();
        lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// What it has logged under this name.
    pub fn events_named(&self, name: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == name).collect()
    }

    /// Waits for an event.
    pub fn wait_for(&self, name: &str) -> Value {
        self.wait_for_nth(name, 1)
    }

    /// Waits until there have been so many of a name; the last of them.
    pub fn wait_for_nth(&self, name: &str, n: usize) -> Value {
        let seen = std::cell::Cell::new(0);
        let pick = |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            if event["event"] == name {
                seen.set(seen.get() + 1);
            }
            (seen.get() == n).then_some(event)
        };
        let found = self.process.output.wait_for(pick, PATIENCE);
        found.unwrap_or_else(|| panic!("no {name} ({n}) in {:#?}", self.process.output.all()))
    }

    /// Waits until one of a name says so: others of that name may come before it.
    pub fn wait_for_detail(&self, name: &str, detail: &str) {
        let pick = |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == name && event["detail"] == detail).then_some(())
        };
        let found = self.process.output.wait_for(pick, PATIENCE);
        found.unwrap_or_else(|| panic!("no {name}, {detail}: {:#?}", self.process.output.all()));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }
}
