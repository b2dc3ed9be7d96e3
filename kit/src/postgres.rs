//! PostgreSQL with one database, `postern`, and a user of that name whose password crosses the
//! wire: its data in a scratch folder, and nothing synced to disk.

use super::certificates::Authority;
use super::folder::{Folder, give_to_nobody};
use super::lasting_port;
use super::process::{Daemon, run, unprivileged};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The password of the user `postern`.
pub const PASSWORD: &str = "postern-secret";

/// Where a program of the server is. They lie outside of the search path, in a folder of their
/// version; where there are several, the newest.
pub fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some((version(&entry)?, entry.path()))).max();
    let folder = newest.map_or_else(|| "/usr/lib/postgresql/15".into(), |(_, path)| path);
    folder.join("bin").join(name)
}

/// Whether this machine has one, as [`super::has`] says it.
pub fn is_here() -> bool {
    let path = |name| program(name).display().to_string();
    super::has(&[&path("postgres"), &path("initdb"), "psql"])
}

/// A running PostgreSQL.
pub struct Postgres {
    daemon: Daemon,
    /// Its data, and `authority.pem`.
    pub folder: Folder,
    /// Where it listens, with and without TLS.
    pub address: SocketAddr,
    /// Who signed its certificate, which is for `localhost` and `127.0.0.1`.
    pub authority: Authority,
}

impl Postgres {
    /// Starts it.
    pub fn start() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
        let data = folder.for_nobody("server").join("data");
        let mut create = unprivileged(program("initdb"));
        create.args(["--no-sync", "--no-instructions", "--auth=trust", "--username=postgres"]);
        create.args(["--encoding=UTF8", "--locale=C", "-D"]).arg(&data);
        let (is_content, said) = run(create.current_dir("/"));
        assert!(is_content, "{said}");
        // Whoever is on this machine and may enter the folder of the socket is trusted.
        let who = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), who).unwrap();
        folder.write("authority.pem", &authority.pem);
        authority.sign_for(&["localhost", "127.0.0.1"]).write(&folder);
        // It refuses a key that others may read.
        fs::set_permissions(folder.file("mx.key"), fs::Permissions::from_mode(0o600)).unwrap();
        give_to_nobody(&folder.file("mx.key"));
        let daemon = Daemon::new(command(&folder, address.port()), Signal::SIGINT);
        let mut postgres = Self { daemon, folder, address, authority };
        postgres.restart();
        postgres.ask(
            "postgres",
            &format!("CREATE ROLE postern LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE postern OWNER postern"),
        );
        postgres
    }

    /// Stops it where it runs, and starts it with the same port and data.
    pub fn restart(&mut self) {
        self.daemon.stop();
        self.daemon.start(|process| {
            let said = process.errors.all();
            said.iter().any(|line| line.contains("ready to accept connections"))
        });
    }

    /// Ends it, its connections with it, and waits until it has ended.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Makes it hang for whoever connects from now on: what serves the connections that are
    /// there already are processes of their own, and go on.
    pub fn freeze(&self) {
        self.daemon.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.daemon.thaw();
    }

    /// Runs statements in the database `postern` as that user, and returns the rows: one a line,
    /// columns parted by `|`.
    pub fn execute(&self, sql: &str) -> String {
        self.ask("postern", sql)
    }

    /// As [`Postgres::execute`], as the superuser.
    pub fn execute_as_superuser(&self, sql: &str) -> String {
        self.ask("postgres", &format!("\\connect postern\n{sql}"))
    }

    /// Where the user `postern` finds the database `postern`.
    pub fn url(&self) -> String {
        format!("postgres://postern:{PASSWORD}@{}/postern", self.address)
    }

    /// Every statement ends at its semicolon or at the end of a line of `sql`.
    fn ask(&self, who: &str, sql: &str) -> String {
        let statements = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        // Not through `-c`, which would make one transaction of it, and has a limit.
        // One file a question: several threads may ask at the same time.
        static QUESTIONS: AtomicU32 = AtomicU32::new(0);
        let name = format!("statements-{}.sql", QUESTIONS.fetch_add(1, Relaxed));
        let file = self.folder.write(&name, format!("{statements};\n"));
        let mut command = unprivileged("psql");
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        command.args(["--set=ON_ERROR_STOP=1", &format!("--port={}", self.address.port())]);
        command.args([&format!("--username={who}"), &format!("--dbname={who}")]);
        command.arg("--host").arg(self.folder.file("server")).arg("--file").arg(file);
        let (is_content, said) = run(command.current_dir("/"));
        assert!(is_content, "{sql}: {said}");
        said
    }
}

fn command(folder: &Folder, port: u16) -> Command {
    let mut command = unprivileged(program("postgres"));
    command.env("LC_ALL", "C").current_dir("/");
    command.arg("-D").arg(folder.file("server/data"));
    for setting in [
        "listen_addresses=127.0.0.1".into(),
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.file("server").display()),
        format!("ssl_cert_file={}", folder.file("mx.pem").display()),
        format!("ssl_key_file={}", folder.file("mx.key").display()),
        "ssl=on".into(),
        "fsync=off".into(),
        "full_page_writes=off".into(),
        "synchronous_commit=off".into(),
        "shared_buffers=32MB".into(),
        // A lock that outlives its session.
        "max_prepared_transactions=1".into(),
    ] {
        command.args(["-c", &setting]);
    }
    command
}
