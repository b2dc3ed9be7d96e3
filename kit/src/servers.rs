//! Postfix, Exim and OpenSMTPD as next hops, from the templates in tests/servers; and smtp-sink.

use super::folder::Folder;
use super::process::Process;
use super::{find_program, lasting_port, wait_for_port, wait_until};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

/// Where install-test-servers unpacks what cannot be installed.
fn unpacked(program: &str) -> String {
    let folder = std::env::var("POSTERN_TEST_SERVERS");
    format!("{}/{program}", folder.as_deref().unwrap_or("/var/cache/postern-test-servers"))
}

/// What is needed for a server, for [`super::has`].
pub fn needs(kind: &str) -> String {
    match kind {
        "exim" => unpacked("exim/usr/sbin/exim4"),
        "opensmtpd" => unpacked("opensmtpd/usr/sbin/smtpd"),
        kind => kind.into(),
    }
}

/// A mail server that takes everything for example.test.
pub struct Server {
    process: Option<Process>,
    /// Its configuration, queue, mail and log.
    pub folder: Folder,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one; `more` is appended to its main configuration.
    pub fn start(kind: &str, more: &str) -> Self {
        let folder = Folder::new();
        let port = lasting_port();
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(kind);
        for entry in fs::read_dir(templates).unwrap() {
            let template = entry.unwrap();
            let name = template.file_name().into_string().unwrap();
            let mut text = fs::read_to_string(template.path()).unwrap();
            if ["main.cf", "exim.conf", "smtpd.conf"].contains(&name.as_str()) {
                text = with_more(&text, kind, more);
            }
            let text = text
                .replace("@DIR@", &folder.path().display().to_string())
                .replace("@PORT@", &port.to_string())
                .replace("@USER@", "nobody");
            folder.write(&name, text);
        }
        let process =
            Process::start_server(Command::new("sh").arg(folder.file("start")).current_dir("/"));
        // OpenSMTPD completes what comes to 127.0.0.1, and nothing that comes to 127.0.0.2.
        let last = if kind == "opensmtpd" { 2 } else { 1 };
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        wait_for_port(address);
        Self { process: Some(process), folder, address }
    }

    /// Ends it; its folder stays.
    pub fn stop(&mut self) {
        self.process = None;
        wait_until("nobody listens", || TcpStream::connect(self.address).is_err());
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) {
        let start = self.folder.file("start");
        self.process = Some(Process::start_server(Command::new("sh").arg(start).current_dir("/")));
        wait_for_port(self.address);
    }

    /// Waits until so many messages have been delivered, and returns them, oldest first.
    pub fn mail(&self, count: usize) -> Vec<Vec<u8>> {
        let inbox = self.folder.file("mail/new");
        let list = || -> Vec<_> {
            let Ok(entries) = fs::read_dir(&inbox) else { return Vec::new() };
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
        };
        wait_until("mail is delivered", || list().len() >= count);
        let mut files = list();
        files.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
        files.iter().map(|path| fs::read(path).unwrap()).collect()
    }
}

/// Exim's sections end its main part; what follows `begin acl` in `more` comes first at RCPT.
fn with_more(text: &str, kind: &str, more: &str) -> String {
    if kind == "exim" {
        let (more, at_rcpt) = more.split_once("begin acl\n").unwrap_or((more, ""));
        let from = "begin acl\nacl_rcpt:\n";
        text.replacen(from, &format!("{more}\n{from}{at_rcpt}"), 1)
    } else {
        format!("{text}{more}\n")
    }
}

/// Postfix' smtp-sink, with these options.
pub struct Sink {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Sink {
    /// Starts it.
    pub fn start(options: &[&str]) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
        let mut command = Command::new(find_program("smtp-sink").unwrap());
        if nix::unistd::Uid::current().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.args(options).arg(address.to_string()).arg("128");
        let sink = Self { process: Process::start(&mut command), address };
        wait_for_port(address);
        sink
    }

    /// Messages that it has taken, when it was started with `-c`.
    pub fn messages(&self) -> usize {
        let lines = self.process.output.all();
        let counts =
            lines.iter().filter_map(|line| line.rsplit_once("mesg=")?.1.trim().parse().ok());
        counts.max().unwrap_or(0)
    }
}
