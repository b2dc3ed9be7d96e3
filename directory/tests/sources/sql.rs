//! Recipients in real databases: PostgreSQL, MariaDB and SQLite, what they say and how they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test whose server does not answer has failed"
)]

mod faults;
mod list;
#[path = "sql/pooler.rs"]
mod pooler;

use directory::live::{Existence, LiveSource, Trouble, TroubleKind};
use directory::sql::{
    Database, Dialect, Mode, Server, ServerAddress, Settings, Sql, Statement, Tls, Values,
};
use kit::{Folder, mariadb, postgres};
use mail::address::Mailbox;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const PEOPLE: &str = "create table people (address varchar(254), target varchar(254)); \
    insert into people values ('jones@example.test', null), \
    ('smith@example.test', 'smith@inside.test'), ('o''brien@example.test', null)";
const QUERY: &str = "select target from people where lower(address) = {address}";
/// What an attacker may write where an address is expected.
const SPLICED: [&str; 9] = [
    "'; drop table people; --",
    "' or '1'='1",
    "\" or \"\"=\"",
    "\\' or 1=1 #",
    "x' union select 'a@b.test' --",
    "%",
    "_____@example.test",
    "$1",
    "{address}",
];

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A source and a thread's runtime to ask it on.
struct Asked {
    sql: Arc<Sql>,
    runtime: Runtime,
}

impl Asked {
    fn new(database: Database, query: &str) -> Self {
        Self::with(settings(database, query))
    }

    fn with(settings: Settings) -> Self {
        Self { sql: Sql::new(&settings).unwrap().unwrap(), runtime: runtime() }
    }

    fn ask(&self, address: &str) -> Result<Existence, Trouble> {
        let mailbox = Mailbox::parse(address).unwrap();
        self.runtime.block_on(Arc::clone(&self.sql).ask(mailbox))
    }

    fn ask_text(&self, text: &str) -> Result<Existence, Trouble> {
        let (address, local_part) = (text.to_owned(), text.to_owned());
        let values = Values { address, local_part, domain: "example.test".into() };
        self.runtime.block_on(self.sql.ask_values(&values))
    }

    fn trouble(&self, address: &str) -> (TroubleKind, String) {
        let trouble = self.ask(address).unwrap_err();
        (trouble.kind, trouble.to_string())
    }

    fn try_out(&self) -> Result<String, Trouble> {
        self.runtime.block_on(Arc::clone(&self.sql).try_out())
    }

    /// What trying it out finds wrong.
    fn found_wrong(&self) -> (TroubleKind, String) {
        let trouble = self.try_out().unwrap_err();
        assert!(!trouble.remedy.is_empty(), "{trouble}");
        (trouble.kind, trouble.to_string())
    }
}

fn settings(database: Database, query: &str) -> Settings {
    Settings {
        name: "people".into(),
        query: Some(Statement::query(query, database.dialect()).unwrap()),
        list: None,
        database,
        mode: Mode::Live,
        timeout: Duration::from_secs(30),
        connections_max: 4,
        positive: Duration::ZERO,
        negative: Duration::ZERO,
    }
}

fn server(address: SocketAddr, password_file: PathBuf, tls: Tls) -> Server {
    Server {
        place: ServerAddress::Host { host: address.ip().to_string(), port: address.port(), tls },
        user: "postern".into(),
        database: "postern".into(),
        password_file: Some(password_file),
    }
}

fn on_postgres(server_: &postgres::Postgres) -> Database {
    let password = server_.folder.write("password", format!("{}\n", postgres::PASSWORD));
    Database::Postgres(server(server_.address, password, Tls::Plain))
}

fn on_mariadb(server_: &mariadb::Mariadb) -> Database {
    let password = server_.folder.write("password", format!("{}\n", mariadb::PASSWORD));
    Database::MySql(server(server_.address, password, Tls::Plain))
}

fn exists(target: Option<&str>) -> Existence {
    Existence::Exists { target: target.map(|target| Mailbox::parse(target).unwrap()) }
}

/// What every database must answer about [`PEOPLE`].
fn answers(database: &Database, execute: &dyn Fn(&str)) {
    execute(PEOPLE);
    let people = Asked::new(database.clone(), QUERY);
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    assert_eq!(people.ask("smith@example.test").unwrap(), exists(Some("smith@inside.test")));
    assert_eq!(people.ask("o'brien@Example.TEST").unwrap(), exists(None));
    assert_eq!(people.ask("nobody@example.test").unwrap(), Existence::Unknown);
    let found = people.try_out().unwrap();
    assert!(found.ends_with("the query gives target"), "{found}");

    let joined = match database.dialect() {
        Dialect::MySql => "concat({local_part}, '@', {domain})",
        Dialect::Postgres | Dialect::Sqlite => "{local_part} || '@' || {domain}",
    };
    let text =
        format!("select 1 from people where address = {joined} and {{local_part}} <> 'smith'");
    let halves = Asked::new(database.clone(), &text);
    assert_eq!(halves.ask("jones@example.test").unwrap(), exists(None));
    assert_eq!(halves.ask("smith@example.test").unwrap(), Existence::Unknown);

    let named = match database.dialect() {
        Dialect::MySql => "`exists`",
        Dialect::Postgres | Dialect::Sqlite => "\"exists\"",
    };
    for flag in ["count(*)", "max(1) is not null"] {
        let text = format!("select {flag} as {named} from people where address = {{address}}");
        let flagged = Asked::new(database.clone(), &text);
        assert_eq!(flagged.ask("jones@example.test").unwrap(), exists(None), "{flag}");
        assert_eq!(flagged.ask("nobody@example.test").unwrap(), Existence::Unknown, "{flag}");
        flagged.try_out().unwrap();
    }
}

/// What no address may do to any database.
fn is_never_spliced(database: &Database, count: &dyn Fn() -> String) {
    let people = Asked::new(database.clone(), QUERY);
    let text = settings(database.clone(), QUERY).query.unwrap().text;
    for spliced in SPLICED {
        assert_eq!(people.ask_text(spliced).unwrap(), Existence::Unknown, "{spliced}");
        if let Ok(mailbox) = Mailbox::parse(&format!("\"{spliced}\"@example.test")) {
            let said = people.runtime.block_on(Arc::clone(&people.sql).ask(mailbox));
            assert_eq!(said.unwrap(), Existence::Unknown, "{spliced}");
        }
    }
    // The usual collations of MySQL take `ö` for `o`, so that is not asked.
    for odd in ["\0", "jones@example.test\0", "j\u{f8}rn@example.test", "\u{1f4ec}", "\u{fffd}"] {
        assert_eq!(people.ask_text(odd).unwrap(), Existence::Unknown, "{odd:?}");
    }
    assert_eq!(settings(database.clone(), QUERY).query.unwrap().text, text);
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    assert_eq!(count(), "3", "the table is as it was");
}

/// Queries and results that are wrong, and what they are called.
fn is_named(database: &Database) {
    use TroubleKind::{Misconfigured, Unexpected};
    let writes = if database.dialect() == Dialect::MySql { "would write" } else { "no rows" };
    for (query, kind, word) in [
        ("select 1 from nobody where a = {address}", Misconfigured, "table"),
        ("select wrong from people where address = {address}", Misconfigured, "column"),
        ("select from where = {address}", Misconfigured, "near"),
        ("select count(*) from people where address = {address}", Misconfigured, "for every"),
        ("select 1 where {address} <> ''", Misconfigured, "made up"),
        ("update people set target = null where address = {address}", Misconfigured, writes),
    ] {
        let found = Asked::new(database.clone(), query).found_wrong();
        assert_eq!(found.0, kind, "{query}: {}", found.1);
        assert!(found.1.contains(word), "{query}: {}", found.1);
    }
    for (query, kind, word) in [
        ("select 'x' as target from people where address = {address}", Unexpected, "`target`"),
        ("select 1.5 as target from people where address = {address}", Misconfigured, "`target`"),
        ("select 'yes' as \"exists\" from people where address = {address}", Misconfigured, "`ex"),
        (
            "select address as target from people where {address} <> ''",
            Unexpected,
            "several addresses",
        ),
        (
            "select 1 from people a, people b, people c, people d, people e where {address} <> ''",
            Misconfigured,
            "100 rows",
        ),
    ] {
        let query = match database.dialect() {
            Dialect::MySql => query.replace('"', "`"),
            Dialect::Postgres | Dialect::Sqlite => query.to_owned(),
        };
        let asked = Asked::new(database.clone(), &query);
        for _ in 0..2 {
            let found = asked.trouble("jones@example.test");
            assert_eq!(found.0, kind, "{query}: {}", found.1);
            assert!(found.1.contains(word), "{query}: {}", found.1);
        }
    }
}

#[test]
fn postgresql_says_who_exists() {
    if !postgres::is_here() {
        return;
    }
    let server = postgres::Postgres::start();
    let database = on_postgres(&server);
    answers(&database, &|sql| drop(server.execute(sql)));
    is_never_spliced(&database, &|| server.execute("select count(*) from people"));
    is_named(&database);

    // A comparison with citext heeds no case, as it would not in psql.
    server.execute_as_superuser("create extension citext");
    server.execute(
        "create domain email as varchar(254); create table folk (mail citext, target email); \
         insert into folk values ('Green@Example.test', 'g@inside.test')",
    );
    let folk = Asked::new(database.clone(), "select target from folk where mail = {address}");
    assert_eq!(folk.ask("green@example.test").unwrap(), exists(Some("g@inside.test")));
    folk.try_out().unwrap();
    for (text, word) in [
        ("select 1 from pg_class where oid = {address}", "{address} is compared with the type"),
        ("select 1 where concat({address}) = 'x'", "a type is not clear"),
    ] {
        let (kind, what) = Asked::new(database.clone(), text).found_wrong();
        assert_eq!(kind, TroubleKind::Misconfigured);
        assert!(what.contains(word), "{what}");
    }
}

#[test]
fn mariadb_says_who_exists() {
    if !mariadb::is_here() {
        return;
    }
    let server = mariadb::Mariadb::start();
    let database = on_mariadb(&server);
    answers(&database, &|sql| drop(server.execute(sql)));
    is_never_spliced(&database, &|| server.execute("select count(*) from people"));
    is_named(&database);
}

#[test]
fn an_sqlite_file_says_who_exists() {
    let folder = Folder::new();
    let path = folder.file("people.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    let database = Database::Sqlite(path.clone());
    answers(&database, &|sql| file.execute_batch(sql).unwrap());
    is_never_spliced(&database, &|| {
        let count = file.query_one("select count(*) from people", [], |row| row.get::<_, i64>(0));
        count.unwrap().to_string()
    });
    is_named(&database);
}
