//! Databases that are down, slow, locked, or refuse: each is told apart, and ends.

use super::*;
use kit::certificates::Authority;
use kit::wait_until;

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
    assert_eq!(
        people.ask("nobody@example.test").unwrap(),
        Existence::Unknown,
        "first after an outage"
    );
}

impl Asked {
    fn found_wrong_kind(&self) -> TroubleKind {
        self.try_out().unwrap_err().kind
    }
}

/// A short deadline, and long enough for a busy machine to log in and answer.
fn hurried(database: &Database, query: &str) -> Asked {
    let timeout = Duration::from_secs(3);
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
    assert_eq!(slow.ask("nobody@example.test").unwrap(), Existence::Unknown);
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
    let stranger = Authority::new();
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
        place: ServerAddress::Socket {
            path: server_.folder.file("server"),
            port: server_.address.port(),
        },
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
    assert_eq!(people.ask("jones@example.test").unwrap(), Existence::Unknown);
}

#[test]
fn an_sqlite_file_that_is_built_anew_and_copied_over_is_read_anew() {
    let folder = Folder::new();
    let (path, fresh) = (folder.file("people.sqlite"), folder.file("fresh.sqlite"));
    let build = |person: &str| {
        let file = rusqlite::Connection::open(&fresh).unwrap();
        file.execute_batch("create table people (address text, target text)").unwrap();
        file.execute("insert into people values (?1, null)", [person]).unwrap();
        drop(file);
        // Into the file that is there, as `cp` does.
        std::fs::copy(&fresh, &path).unwrap();
        std::fs::remove_file(&fresh).unwrap();
    };
    build("leaver@example.test");
    let people = hurried(&Database::Sqlite(path.clone()), QUERY);
    for pause in [0, 2_500] {
        // Afterwards the file is old enough that it is left open.
        std::thread::sleep(std::time::Duration::from_millis(pause));
        build("leaver@example.test");
        std::thread::sleep(std::time::Duration::from_millis(pause));
        assert_eq!(people.ask("leaver@example.test").unwrap(), exists(None));
        build("newcomer@example.test");
        assert_eq!(people.ask("newcomer@example.test").unwrap(), exists(None));
        assert_eq!(people.ask("leaver@example.test").unwrap(), Existence::Unknown);
    }
}
