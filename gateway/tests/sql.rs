//! Recipients in real databases: PostgreSQL, MariaDB and SQLite, what they say and how they fail.

mod kit;

use gateway::directory::live::{LiveSource, Said, Trouble, TroubleKind};
use gateway::directory::sql::{
    Database, Dialect, Mode, Place, Server, Settings, Sql, Statement, Tls, Values,
};
use kit::{Folder, mariadb, postgres, wait_until};
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

    fn ask(&self, address: &str) -> Result<Said, Trouble> {
        let mailbox = Mailbox::parse(address).unwrap();
        self.runtime.block_on(Arc::clone(&self.sql).ask(mailbox))
    }

    fn ask_text(&self, text: &str) -> Result<Said, Trouble> {
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
        timeout: Duration::from_secs(10),
        connections_max: 4,
        positive: Duration::ZERO,
        negative: Duration::ZERO,
    }
}

fn server(address: SocketAddr, password_file: PathBuf, tls: Tls) -> Server {
    Server {
        place: Place::Host { host: address.ip().to_string(), port: address.port(), tls },
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

fn exists(target: Option<&str>) -> Said {
    Said::Exists { target: target.map(|target| Mailbox::parse(target).unwrap()) }
}

/// What every database must answer about [`PEOPLE`].
fn answers(database: &Database, execute: &dyn Fn(&str)) {
    execute(PEOPLE);
    let people = Asked::new(database.clone(), QUERY);
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    assert_eq!(people.ask("smith@example.test").unwrap(), exists(Some("smith@inside.test")));
    assert_eq!(people.ask("o'brien@Example.TEST").unwrap(), exists(None));
    assert_eq!(people.ask("nobody@example.test").unwrap(), Said::Unknown);
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
    assert_eq!(halves.ask("smith@example.test").unwrap(), Said::Unknown);

    let named = match database.dialect() {
        Dialect::MySql => "`exists`",
        Dialect::Postgres | Dialect::Sqlite => "\"exists\"",
    };
    for flag in ["count(*)", "max(1) is not null"] {
        let text = format!("select {flag} as {named} from people where address = {{address}}");
        let flagged = Asked::new(database.clone(), &text);
        assert_eq!(flagged.ask("jones@example.test").unwrap(), exists(None), "{flag}");
        assert_eq!(flagged.ask("nobody@example.test").unwrap(), Said::Unknown, "{flag}");
        flagged.try_out().unwrap();
    }
}

/// What no address may do to any database.
fn is_never_spliced(database: &Database, count: &dyn Fn() -> String) {
    let people = Asked::new(database.clone(), QUERY);
    let text = settings(database.clone(), QUERY).query.unwrap().text;
    for spliced in SPLICED {
        assert_eq!(people.ask_text(spliced).unwrap(), Said::Unknown, "{spliced}");
        if let Ok(mailbox) = Mailbox::parse(&format!("\"{spliced}\"@example.test")) {
            let said = people.runtime.block_on(Arc::clone(&people.sql).ask(mailbox));
            assert_eq!(said.unwrap(), Said::Unknown, "{spliced}");
        }
    }
    // The usual collations of MySQL take `ö` for `o`, so that is not asked.
    for odd in ["\0", "jones@example.test\0", "j\u{f8}rn@example.test", "\u{1f4ec}", "\u{fffd}"] {
        assert_eq!(people.ask_text(odd).unwrap(), Said::Unknown, "{odd:?}");
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

/// A server that is stopped, started, and loses what the query needs.
fn survives(database: &Database, stop: &mut dyn FnMut(), start: &mut dyn FnMut()) {
    let people = Asked::new(database.clone(), QUERY);
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    start();
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None), "first after a restart");
    stop();
    assert_eq!(people.trouble("jones@example.test").0, TroubleKind::Down);
    assert_eq!(people.found_wrong_kind(), TroubleKind::Down);
    start();
    assert_eq!(people.ask("nobody@example.test").unwrap(), Said::Unknown, "first after an outage");
}

impl Asked {
    fn found_wrong_kind(&self) -> TroubleKind {
        self.try_out().unwrap_err().kind
    }
}

/// A short deadline.
fn hurried(database: &Database, query: &str) -> Asked {
    let timeout = Duration::from_secs(1);
    Asked::with(Settings { timeout, ..settings(database.clone(), query) })
}

#[test]
fn faults_of_postgresql_are_told_apart_and_end() {
    if !postgres::is_here() {
        return;
    }
    let server_ = std::cell::RefCell::new(postgres::Postgres::start());
    let database = on_postgres(&server_.borrow());
    server_.borrow().execute(PEOPLE);
    let stop = &mut || server_.borrow_mut().stop();
    survives(&database, stop, &mut || server_.borrow_mut().restart());
    let server_ = server_.into_inner();

    let sleeps = "select pg_sleep(60) from people where address = {address}";
    let slow = hurried(&database, sleeps);
    assert_eq!(slow.trouble("jones@example.test").0, TroubleKind::Slow);
    assert_eq!(slow.ask("nobody@example.test").unwrap(), Said::Unknown);
    wait_until("what nobody waits for has ended on the server, too", || {
        server_.execute_as_superuser(
            "select count(*) from pg_stat_activity where state = 'active' \
             and application_name = 'postern'",
        ) == "0"
    });

    let people = Asked::new(database.clone(), QUERY);
    people.ask("jones@example.test").unwrap();
    server_.execute("alter table people alter target type text, add column more int");
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None), "prepared again");
    server_.execute_as_superuser("alter table people owner to postgres");
    let (kind, what) = people.trouble("jones@example.test");
    assert_eq!((kind, what.contains("permission")), (TroubleKind::Misconfigured, true), "{what}");
    assert!(people.found_wrong().1.contains("permission"));
    server_.execute_as_superuser("grant select on people to postern");
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    server_.execute_as_superuser("drop table people");
    assert!(people.trouble("jones@example.test").1.contains("table"));

    server_.freeze();
    let hurried = hurried(&database, QUERY);
    assert_eq!(hurried.trouble("jones@example.test").0, TroubleKind::Down);
    server_.thaw();
}

#[test]
fn a_lock_in_postgresql_costs_the_deadline_and_no_more() {
    if !postgres::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(PEOPLE);
    let database = on_postgres(&server_);
    let held = Asked::new(database.clone(), "select pg_advisory_lock(7), 1 where {address} <> ''");
    assert!(held.ask("jones@example.test").is_ok());
    let waits = "select pg_advisory_lock(7), 1 where {address} <> ''";
    let waits = hurried(&database, waits);
    assert_eq!(waits.trouble("jones@example.test").0, TroubleKind::Slow);
}

#[test]
fn who_may_not_enter_postgresql_is_told_why() {
    if !postgres::is_here() {
        return;
    }
    use TroubleKind::Misconfigured;
    let server_ = postgres::Postgres::start();
    server_.execute(PEOPLE);
    let right = server_.folder.write("password", postgres::PASSWORD);
    let wrong = server_.folder.write("wrong", "wrong\n");
    let ca = |name: &str| Tls::Require { ca: Some(server_.folder.file(name)) };
    let stranger = kit::certificates::Authority::new();
    server_.folder.write("stranger.pem", &stranger.pem);
    let at = |password: &PathBuf, tls| server(server_.address, password.clone(), tls);
    let nowhere = Server { database: "nowhere".into(), ..at(&right, Tls::Plain) };
    let gone = server_.folder.file("gone");
    for (server, word) in [
        (at(&wrong, Tls::Plain), "password is refused"),
        (at(&gone, Tls::Plain), "password cannot be read"),
        (nowhere, "no such database"),
        (at(&right, Tls::Require { ca: None }), "certificate is not believed"),
        (at(&right, ca("stranger.pem")), "certificate is not believed"),
    ] {
        let (kind, what) = Asked::new(Database::Postgres(server), QUERY).found_wrong();
        assert_eq!((kind, what.contains(word)), (Misconfigured, true), "{what}");
        assert!(!what.contains(postgres::PASSWORD));
    }
    let protected = Database::Postgres(at(&right, ca("authority.pem")));
    Asked::new(protected, QUERY).try_out().unwrap();
    let socket = Server {
        place: Place::Socket { path: server_.folder.file("server"), port: server_.address.port() },
        password_file: None,
        ..at(&right, Tls::Plain)
    };
    let socket = Asked::new(Database::Postgres(socket), QUERY);
    assert_eq!(socket.ask("jones@example.test").unwrap(), exists(None));
}

#[test]
fn threads_share_the_connections_that_are_set() {
    if !postgres::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(PEOPLE);
    let settings = Settings { connections_max: 3, ..settings(on_postgres(&server_), QUERY) };
    let sql = Sql::new(&settings).unwrap().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let runtime = runtime();
                for _ in 0..20 {
                    let jones = Mailbox::parse("jones@example.test").unwrap();
                    let said = runtime.block_on(Arc::clone(&sql).ask(jones));
                    assert_eq!(said.unwrap(), exists(None));
                }
                let open = server_.execute_as_superuser(
                    "select count(*) from pg_stat_activity where application_name = 'postern'",
                );
                // One more may be on its way out.
                assert!(open.parse::<u32>().unwrap() <= 6, "{open}");
            });
        }
    });
}

#[test]
fn faults_of_mariadb_are_told_apart_and_end() {
    if !mariadb::is_here() {
        return;
    }
    use TroubleKind::{Down, Misconfigured, Slow};
    let server_ = std::cell::RefCell::new(mariadb::Mariadb::start());
    let database = on_mariadb(&server_.borrow());
    server_.borrow().execute(PEOPLE);
    let stop = &mut || server_.borrow_mut().stop();
    survives(&database, stop, &mut || server_.borrow_mut().restart());
    let server_ = server_.into_inner();

    let sleeps = "select sleep(60) from people where address = {address}";
    assert_eq!(hurried(&database, sleeps).trouble("jones@example.test").0, Slow);
    wait_until("what nobody waits for has ended on the server, too", || {
        let running = "select count(*) from information_schema.processlist \
                       where user = 'postern' and command = 'Execute'";
        server_.execute(running) == "0"
    });

    let people = Asked::new(database.clone(), QUERY);
    people.ask("jones@example.test").unwrap();
    server_.execute("alter table people modify target text, add column more int");
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None), "prepared again");
    server_.execute("revoke all on postern.* from postern@'127.0.0.1'; flush privileges");
    let (kind, what) = Asked::new(database.clone(), QUERY).found_wrong();
    assert_eq!((kind, what.contains("may not use")), (Misconfigured, true), "{what}");
    server_.execute("grant select on postern.* to postern@'127.0.0.1'; flush privileges");
    let people = Asked::new(database.clone(), QUERY);
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    server_.execute("drop table people");
    assert!(people.trouble("jones@example.test").1.contains("table"));

    let ca = |name: &str| Tls::Require { ca: Some(server_.folder.file(name)) };
    let wrong = server_.folder.write("wrong", "wrong\n");
    let right = server_.folder.file("password");
    let at = |password: &PathBuf, tls| server(server_.address, password.clone(), tls);
    for (server, word) in [
        (at(&wrong, Tls::Plain), "password is refused"),
        (at(&right, Tls::Require { ca: None }), "certificate is not believed"),
    ] {
        let (kind, what) = Asked::new(Database::MySql(server), QUERY).found_wrong();
        assert_eq!((kind, what.contains(word)), (Misconfigured, true), "{what}");
    }
    server_.execute("create table people (address text, target text)");
    let protected = Database::MySql(at(&right, ca("authority.pem")));
    Asked::new(protected, QUERY).try_out().unwrap();

    server_.freeze();
    assert_eq!(hurried(&database, QUERY).trouble("jones@example.test").0, Down);
    server_.thaw();
}

#[test]
fn faults_of_an_sqlite_file_are_told_apart_and_end() {
    use TroubleKind::{Misconfigured, Slow, Unexpected};
    let folder = Folder::new();
    let path = folder.file("people.sqlite");
    let database = Database::Sqlite(path.clone());
    let people = hurried(&database, QUERY);
    assert_eq!(people.found_wrong().0, Misconfigured, "there is no file");
    folder.write("people.sqlite", "this is no database, whatever its name says ".repeat(100));
    assert!(people.found_wrong().1.contains("no SQLite database"));
    std::fs::remove_file(&path).unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(PEOPLE).unwrap();
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None), "at once right");

    file.execute_batch("begin exclusive").unwrap();
    assert_eq!(people.trouble("jones@example.test").0, Slow);
    file.execute_batch("commit").unwrap();
    assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));

    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) \
                   select max(i) as \"exists\" from n where {address} <> 'nobody@example.test'";
    let endless = hurried(&database, endless);
    assert_eq!(endless.trouble("jones@example.test").0, Slow);
    wait_until("the thread is free again", || {
        endless.trouble("jones@example.test").0 == Slow
            && endless.ask("nobody@example.test").is_err_and(|t| t.kind != Unexpected)
    });

    // Another file takes its place, as a restored copy does.
    let other = folder.file("other.sqlite");
    let copy = rusqlite::Connection::open(&other).unwrap();
    copy.execute_batch("create table people (address text, target text)").unwrap();
    drop(copy);
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(people.ask("jones@example.test").unwrap(), Said::Unknown);
}
