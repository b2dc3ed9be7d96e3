//! Recipients in a database: PostgreSQL, MySQL or MariaDB, SQLite. Asks a query that the operator
//! wrote, with the address bound and never spliced; or lists all addresses for a snapshot
//! (`list.rs`). The address is in lower case when the domain folds, so the query should compare
//! with `lower(column)`, with citext, or under a collation that does not heed the case.

mod answer;
mod failure;
mod list;

pub(crate) mod configured;
mod mysql;
mod pool;
mod postgres;
mod remote;
mod settings;
mod sqlite;
mod sqlite_list;
mod statement;
pub(crate) mod table;

pub use answer::{ROWS_MAX, Values};

pub use list::SqlList;
pub use pool::{AGE_MAX, IDLE_MAX, WAITING_MAX};
pub use settings::{Database, Mode, Server, ServerAddress, Settings, Tls};
pub use statement::{Dialect, Fault, FaultKind, Placeholder, Statement};

use super::list::{DomainScope, Scope};
use super::live::memory::{Lifetimes, VOUCH_MILLISECONDS};
use super::live::remembered;
use super::live::{Asking, Existence, LiveSource, Trouble, TroubleKind};
use super::{Environment, Opened};
use answer::{judge_columns, said};
use failure::Failure;
use mail::address::Mailbox;
use mysql::MySqlServer;
use pool::Pool;
use postgres::PostgresServer;
use sqlite::Sqlite;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A password is never longer, in octets.
const PASSWORD_OCTETS_MAX: usize = 4_096;

/// A database that is asked about each address.
pub struct Sql {
    name: Arc<str>,
    settings: Settings,
    query: Statement,
    asked: Asked,
}

enum Asked {
    Postgres(Pool<PostgresServer>),
    MySql(Pool<MySqlServer>),
    Sqlite(Sqlite),
}

impl Sql {
    /// Nothing is connected yet. Nothing at all without a query.
    /// # Errors
    /// When the system gives no thread.
    pub fn new(settings: &Settings) -> io::Result<Option<Arc<Self>>> {
        let Some(query) = settings.query.clone() else { return Ok(None) };
        let (statement_max, max) = (settings.timeout, settings.connections_max);
        let asked = match &settings.database {
            Database::Postgres(server) => {
                let server = PostgresServer { server: server.clone(), statement_max };
                Asked::Postgres(Pool::new(server, max))
            }
            Database::MySql(server) => {
                let server = MySqlServer { server: server.clone(), statement_max };
                Asked::MySql(Pool::new(server, max))
            }
            Database::Sqlite(path) => Asked::Sqlite(Sqlite::start(path, statement_max)?),
        };
        let name = format!("sql {}", settings.name).into();
        Ok(Some(Arc::new(Self { name, settings: settings.clone(), query, asked })))
    }

    /// Asks about what is bound to the placeholders, whether or not it is an address.
    /// # Errors
    /// When the database gives no answer within the time that is set.
    pub async fn ask_values(&self, values: &Values) -> Result<Existence, Trouble> {
        let until = Instant::now() + self.settings.timeout;
        let rows = match &self.asked {
            Asked::Postgres(pool) => remote::ask(pool, &self.query, values, until).await,
            Asked::MySql(pool) => remote::ask(pool, &self.query, values, until).await,
            Asked::Sqlite(file) => file.ask(&self.query, values, until).await,
        };
        let rows = rows.map_err(|failure| self.at_its_place(failure.trouble))?;
        said(&rows).map_err(|trouble| self.at_its_place(trouble))
    }

    async fn columns(&self, statement: &Statement) -> Result<Vec<String>, Trouble> {
        let until = Instant::now() + self.settings.timeout;
        let names = match &self.asked {
            Asked::Postgres(pool) => remote::columns(pool, statement, until).await,
            Asked::MySql(pool) => remote::columns(pool, statement, until).await,
            Asked::Sqlite(file) => file.columns(statement, until).await,
        };
        names.map_err(|failure| self.at_its_place(failure.trouble))
    }

    /// Says which database has the trouble.
    fn at_its_place(&self, mut trouble: Trouble) -> Trouble {
        trouble.what = format!("{}: {}", self.settings.database.describe(), trouble.what);
        trouble
    }

    async fn examine(&self) -> Result<String, Trouble> {
        let names = self.columns(&self.query).await?;
        judge_columns(names.iter().map(String::as_str))
            .map_err(|trouble| self.at_its_place(trouble))?;
        // Some databases look only now whether the query is permitted.
        if let Existence::Exists { .. } = self.ask_values(&Values::of_nobody()).await? {
            let what = "query: it finds an address that was made up";
            let trouble = Trouble::new(TroubleKind::Misconfigured, what)
                .remedy("its condition lets everything through");
            return Err(self.at_its_place(trouble));
        }
        let columns = names.join(", ");
        Ok(format!("{}: the query gives {columns}", self.settings.database.describe()))
    }
}

impl LiveSource for Sql {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn fingerprint(&self) -> String {
        let Statement { text, parameters, .. } = &self.query;
        let database = &self.settings.database;
        // What a user may see is part of the question.
        let (place, user) = (database.describe(), database.user());
        format!("sql {place:?} {user:?} {text:?} {parameters:?}")
    }

    fn ask(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence> {
        Box::pin(async move { self.ask_values(&Values::new(&mailbox)).await })
    }

    fn try_out(self: Arc<Self>) -> Asking<String> {
        Box::pin(async move { self.examine().await })
    }
}

/// Opens a source as it is to be used.
#[must_use]
pub fn open(
    settings: &Settings,
    domains: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    if let Some(list) = SqlList::new(settings) {
        let scope = Scope::new(domains.to_vec());
        let (source, outcomes) = super::list::Listed::open(list, scope, environment);
        return Some(Opened { source: Arc::new(source), outcomes });
    }
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let lifetimes = Lifetimes {
        positive_seconds: seconds(settings.positive),
        negative_seconds: seconds(settings.negative),
        vouch_milliseconds: VOUCH_MILLISECONDS,
    };
    let neither = || io::Error::other("neither query nor list");
    let live = Sql::new(settings).and_then(|live| live.ok_or_else(neither));
    let name = format!("sql {}", settings.name);
    remembered::open(live, &name, lifetimes, domains, environment)
}

/// The first line of a file.
async fn password(path: &Path) -> Result<String, Failure> {
    let misconfigured = |what: &str| {
        Trouble::new(TroubleKind::Misconfigured, format!("{}: {what}", path.display()))
            .remedy("check `password_file`: the password is its first line")
    };
    let octets = tokio::fs::read(path)
        .await
        .map_err(|error| misconfigured("the password cannot be read").because(error))?;
    let text = String::from_utf8(octets).map_err(|_| misconfigured("no UTF-8"))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() > PASSWORD_OCTETS_MAX {
        return Err(misconfigured("no password in its first line").into());
    }
    Ok(line.to_owned())
}

fn no_column() -> Failure {
    Trouble::new(TroubleKind::Misconfigured, "list: it has no column with addresses")
        .remedy("for example: list = \"select address from people\"")
        .into()
}

fn not_text(column: &str, name: &str) -> Failure {
    let what = format!("list: column `{column}` is of type {name}, not text");
    Trouble::new(TroubleKind::Misconfigured, what).remedy("cast it to text").into()
}
