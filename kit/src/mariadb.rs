//! MariaDB with one database, `postern`, and a user of that name whose password crosses the wire:
//! its data in a scratch folder, and nothing synced to disk.

use super::certificates::Authority;
use super::folder::{Folder, give_to_nobody};
use super::process::{Daemon, run, unprivileged};
use super::{find_program, lasting_port};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The password of the user `postern`.
pub const PASSWORD: &str = "postern-secret";
/// Small and careless, for the creation of the database and for the server alike.
const SMALL: [&str; 6] = [
    // What its own tests use: of the time that a creation takes, nine tenths are waits for a disk.
    "--debug-no-sync",
    "--innodb-log-file-size=8M",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-doublewrite=0",
];

/// Whether this machine has one, as [`super::has`] says it.
pub fn is_here() -> bool {
    super::has(&["mariadbd", "mariadb-install-db", "mariadb"])
}

/// A running MariaDB.
pub struct Mariadb {
    daemon: Daemon,
    /// Its data, and `authority.pem`.
    pub folder: Folder,
    /// Where it listens, with and without TLS.
    pub address: SocketAddr,
    /// Who signed its certificate, which is for `localhost` and `127.0.0.1`.
    pub authority: Authority,
}

impl Mariadb {
    /// Starts it.
    pub fn start() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
        let data = folder.for_nobody("server").join("data");
        let mut create = unprivileged("mariadb-install-db");
        create.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        create.args(["--skip-test-db", "--auth-root-authentication-method=normal"]).args(SMALL);
        let (is_content, said) = run(create.current_dir("/"));
        assert!(is_content, "{said}");
        folder.write("authority.pem", &authority.pem);
        authority.sign_for(&["localhost", "127.0.0.1"]).write(&folder);
        fs::set_permissions(folder.file("mx.key"), fs::Permissions::from_mode(0o600)).unwrap();
        give_to_nobody(&folder.file("mx.key"));
        let daemon = Daemon::new(command(&folder, address.port()), Signal::SIGTERM);
        let mut mariadb = Self { daemon, folder, address, authority };
        mariadb.restart();
        mariadb.ask(
            "mysql",
            &format!(
                "CREATE DATABASE postern CHARACTER SET utf8mb4; \
                 CREATE USER postern@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; \
                 GRANT ALL ON postern.* TO postern@'127.0.0.1'"
            ),
        );
        mariadb
    }

    /// Stops it where it runs, and starts it with the same port and data.
    pub fn restart(&mut self) {
        self.daemon.stop();
        self.daemon.start(|process| {
            process.errors.all().iter().any(|line| line.contains("ready for connections"))
        });
    }

    /// Ends it, its connections with it, and waits until it has ended.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Makes it hang.
    pub fn freeze(&self) {
        self.daemon.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.daemon.thaw();
    }

    /// Runs statements in the database `postern` as the superuser, and returns the rows: one a
    /// line, columns parted by a tab.
    pub fn execute(&self, sql: &str) -> String {
        self.ask("postern", sql)
    }

    /// Where the user `postern` finds the database `postern`.
    pub fn url(&self) -> String {
        format!("mysql://postern:{PASSWORD}@{}/postern", self.address)
    }

    fn ask(&self, database: &str, sql: &str) -> String {
        let file = self.folder.write("statements.sql", sql);
        let mut command = unprivileged("mariadb");
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"]);
        command.arg(format!("--socket={}", self.folder.file("server/socket").display()));
        command.arg(format!("--database={database}"));
        command.arg(format!("--execute=source {}", file.display()));
        let (is_content, said) = run(command.current_dir("/"));
        assert!(is_content, "{sql}: {said}");
        said
    }
}

fn command(folder: &Folder, port: u16) -> Command {
    let mut command = unprivileged(find_program("mariadbd").unwrap());
    command.current_dir("/").args(["--no-defaults", "--bind-address=127.0.0.1"]);
    let path = |name: &str| folder.file(name).display().to_string();
    command.arg(format!("--port={port}"));
    command.arg(format!("--datadir={}", path("server/data")));
    command.arg(format!("--socket={}", path("server/socket")));
    command.arg(format!("--pid-file={}", path("server/pid")));
    command.arg(format!("--ssl-cert={}", path("mx.pem")));
    command.arg(format!("--ssl-key={}", path("mx.key")));
    // Nobody asks a name server about 127.0.0.1.
    command.args(["--skip-name-resolve", "--performance-schema=OFF"]).args(SMALL);
    command
}
