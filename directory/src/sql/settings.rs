//! What is set for one SQL source, ready to be used. What the operator writes about it, and what
//! may be wrong with that, is in `configured.rs`.

use super::statement::{Dialect, Statement};
use std::path::PathBuf;
use std::time::Duration;

/// One `[[sql]]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What domains call it.
    pub name: String,
    /// Where the database is.
    pub database: Database,
    /// Asks about one address; there is always one when the source is asked live.
    pub query: Option<Statement>,
    /// Lists all addresses, when there is such a query.
    pub list: Option<Statement>,
    /// How it is used.
    pub mode: Mode,
    /// How long one answer may take, connecting included.
    pub timeout: Duration,
    /// Connections at most.
    pub connections_max: u32,
    /// How long a yes is believed; zero is not at all.
    pub positive: Duration,
    /// How long a no is believed; zero is not at all.
    pub negative: Duration,
}

/// How a source is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Asked about each address.
    Live,
    /// Listed, as often as this.
    Snapshot {
        /// From the end of one listing to the beginning of the next.
        every: Duration,
    },
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Database {
    /// A PostgreSQL server.
    Postgres(Server),
    /// A MySQL or MariaDB server.
    MySql(Server),
    /// An SQLite file.
    Sqlite(PathBuf),
}

/// A server and how to log on to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where.
    pub place: ServerAddress,
    /// The user there.
    pub user: String,
    /// The database there.
    pub database: String,
    /// Where the password is; read for each connection, so that it may change.
    pub password_file: Option<PathBuf>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// On a port.
    Host {
        /// A name or an IP address.
        host: String,
        /// Its port.
        port: u16,
        /// Whether TLS protects it.
        tls: Tls,
    },
    /// On a Unix socket.
    Socket {
        /// For PostgreSQL its folder, for MySQL the socket itself.
        path: PathBuf,
        /// The port that PostgreSQL names the socket in the folder after.
        port: u16,
    },
}

/// Whether TLS is demanded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tls {
    /// It is, and the certificate must bear the host's name.
    Require {
        /// PEM file of authorities that are believed besides the public ones.
        ca: Option<PathBuf>,
    },
    /// It is not.
    Plain,
}

impl Database {
    /// Whose SQL it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Who logs on; nobody does to a file.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Postgres(server) | Self::MySql(server) => Some(&server.user),
            Self::Sqlite(_) => None,
        }
    }

    /// As it is called in logs: where it is, never who logs on with what.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Postgres(server) => server.describe("PostgreSQL"),
            Self::MySql(server) => server.describe("MySQL"),
            Self::Sqlite(path) => format!("SQLite file {}", path.display()),
        }
    }
}

impl Server {
    fn describe(&self, kind: &str) -> String {
        match &self.place {
            ServerAddress::Host { host, port, .. } => {
                format!("{kind} at {host}:{port}, database {}", self.database)
            }
            ServerAddress::Socket { path, .. } => {
                format!("{kind} at {}, database {}", path.display(), self.database)
            }
        }
    }
}
