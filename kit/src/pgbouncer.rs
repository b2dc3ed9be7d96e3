//! PgBouncer before a PostgreSQL of the kit, with everything as it comes from Debian but for the
//! mode of its pools, and few connections to the server, so that clients share them.

use super::folder::Folder;
use super::process::{Daemon, run, unprivileged};
use super::{Postgres, find_program, lasting_port, postgres};
use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// Connections to the server, whoever asks.
const SERVER_CONNECTIONS: u32 = 3;

/// Whether this machine has one and a PostgreSQL, as [`super::has`] says it.
pub fn is_here() -> bool {
    super::has(&["pgbouncer"]) && postgres::is_here()
}

/// A running PgBouncer.
pub struct PgBouncer {
    _daemon: Daemon,
    folder: Folder,
    /// Where it listens, for the database `postern` and the user of that name.
    pub address: SocketAddr,
}

impl PgBouncer {
    /// Starts one whose pools have this mode: `session`, `transaction` or `statement`.
    pub fn start(server: &Postgres, pool_mode: &str) -> Self {
        let folder = Folder::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
        let home = folder.for_nobody("pooler");
        let users = home.join("users.txt");
        std::fs::write(&users, format!("\"postern\" \"{}\"\n", postgres::PASSWORD)).unwrap();
        let settings = format!(
            "[databases]\npostern = host=127.0.0.1 port={} dbname=postern\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = {pool_mode}\n\
             default_pool_size = {SERVER_CONNECTIONS}\nserver_round_robin = 1\n",
            server.address.port(),
            address.port(),
            users.display(),
        );
        let file = home.join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = unprivileged(find_program("pgbouncer").unwrap());
        command.arg(file).current_dir("/");
        let mut daemon = Daemon::new(command, Signal::SIGINT);
        daemon.start(|_| TcpStream::connect(address).is_ok());
        Self { _daemon: daemon, folder, address }
    }

    /// Runs statements in the database `postern` as that user, through it; the rows, columns
    /// parted by `|`.
    pub fn execute(&self, sql: &str) -> String {
        let file = self.folder.write("statements.sql", sql);
        let mut command = unprivileged("psql");
        command.env("PGPASSWORD", postgres::PASSWORD).current_dir("/");
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        command.args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1", "--username=postern"]);
        command.args([&format!("--port={}", self.address.port()), "--dbname=postern"]);
        let (is_content, said) = run(command.arg("--file").arg(file));
        assert!(is_content, "{sql}: {said}");
        said
    }
}
