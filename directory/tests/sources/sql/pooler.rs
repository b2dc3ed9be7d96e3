//! PostgreSQL behind PgBouncer, which hands each transaction to whichever of its few connections
//! is free: what one of its clients leaves on a connection, another finds there.

use super::*;
use kit::pgbouncer::{self, PgBouncer};

/// Two tables of people, and nobody is in both.
const TWO: &str = "create table people (address varchar(254), target varchar(254)); \
    insert into people select 'person' || n || '@one.test', null from generate_series(0, 99) n; \
    create domain mail_name as varchar(254); \
    create table folk (address mail_name, target mail_name); \
    insert into folk select 'person' || n || '@two.test', 'p' || n || '@inside.test' \
    from generate_series(0, 99) n";
/// Threads that ask each source.
const THREADS: usize = 4;
/// How often each asks for everybody it asks for.
const ROUNDS: usize = 5;

fn behind(server_: &postgres::Postgres, pooler: &PgBouncer) -> Database {
    let password = server_.folder.write("password", format!("{}\n", postgres::PASSWORD));
    Database::Postgres(server(pooler.address, password, Tls::Plain))
}

/// Asks for everybody, and for as many who are not there; returns what was not right.
fn wrong(sql: &Arc<Sql>, domain: &str, right: impl Fn(usize) -> Existence) -> Vec<String> {
    let (runtime, mut wrong) = (runtime(), Vec::new());
    for n in (0..ROUNDS).flat_map(|_| 0..100) {
        for (name, expected) in [("person", right(n)), ("nobody", Existence::Unknown)] {
            let address = format!("{name}{n}@{domain}");
            let mailbox = Mailbox::parse(&address).unwrap();
            match runtime.block_on(Arc::clone(sql).ask(mailbox)) {
                Ok(said) if said == expected => {}
                other => wrong.push(format!("{address}: {other:?}")),
            }
        }
    }
    wrong
}

fn ask_two_at_once(database: &Database) -> Vec<String> {
    let source = |table: &str| {
        let query = format!(
            "select target, 1 as answer, 2 as answer, 3 as question from {table} \
             where lower(address) = {{address}} -- who"
        );
        Sql::new(&settings(database.clone(), &query)).unwrap().unwrap()
    };
    let (people, folk) = (source("people"), source("folk"));
    std::thread::scope(|threads| {
        let mut asking = Vec::new();
        for _ in 0..THREADS {
            asking.push(threads.spawn(|| wrong(&people, "one.test", |_| exists(None))));
            asking.push(threads.spawn(|| {
                wrong(&folk, "two.test", |n| exists(Some(&format!("p{n}@inside.test"))))
            }));
        }
        asking.into_iter().flat_map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn two_sources_behind_one_pooler_hear_their_own_answers() {
    if !pgbouncer::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(TWO);
    for mode in ["transaction", "session"] {
        let pooler = PgBouncer::start(&server_, mode);
        let wrong = ask_two_at_once(&behind(&server_, &pooler));
        assert_eq!(wrong.len(), 0, "{mode}: {:#?}", &wrong[..wrong.len().min(10)]);
    }
}

#[test]
fn what_is_set_for_us_does_not_hold_for_others_behind_the_pooler() {
    if !pgbouncer::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(PEOPLE);
    let pooler = PgBouncer::start(&server_, "transaction");
    let database = behind(&server_, &pooler);
    let people = Asked::new(database.clone(), QUERY);
    for _ in 0..10 {
        assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
    }
    people.try_out().unwrap();
    for _ in 0..10 {
        let others = pooler.execute(
            "show statement_timeout; show default_transaction_read_only; \
             begin; create temp table mine (a int); rollback",
        );
        assert_eq!(others, "0\noff");
    }
    // And yet it holds for us.
    let timeout = Duration::from_secs(3);
    let sleeps = "select pg_sleep(60) from people where address = {address}";
    let slow = Asked::with(Settings { timeout, ..settings(database.clone(), sleeps) });
    assert_eq!(slow.trouble("jones@example.test").0, TroubleKind::Slow);
    kit::wait_until("what nobody waits for has ended on the server, too", || {
        let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        server_.execute_as_superuser(asleep) == "0"
    });
    server_.execute("create sequence numbers");
    let writes = "select nextval('numbers') where {address} = 'jones@example.test'";
    let (kind, what) = Asked::new(database, writes).trouble("jones@example.test");
    assert_eq!((kind, what.contains("would write")), (TroubleKind::Misconfigured, true), "{what}");
}

#[test]
fn a_statement_that_others_left_behind_the_pooler_answers_nothing_of_ours() {
    if !pgbouncer::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(PEOPLE);
    let pooler = PgBouncer::start(&server_, "transaction");
    // On each of its connections, under the names that drivers give.
    let leave = ["s0", "s1", "s2", "sqlx_s_1", "sqlx_s_2"].map(|name| {
        format!(
            "select 'prepare {name}(text) as select null::text as target where false' \
             where not exists (select from pg_prepared_statements where name = '{name}') \\gexec"
        )
    });
    (0..20).for_each(|_| drop(pooler.execute(&leave.join("\n"))));
    let people = Asked::new(behind(&server_, &pooler), QUERY);
    for _ in 0..10 {
        assert_eq!(people.ask("jones@example.test").unwrap(), exists(None));
        people.try_out().unwrap();
    }
}

#[test]
fn who_is_refused_by_a_pooler_is_told_why() {
    if !pgbouncer::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(PEOPLE);
    let wrong = server_.folder.write("wrong", "wrong\n");
    let pooler = PgBouncer::start(&server_, "transaction");
    let at = |password: PathBuf| server(pooler.address, password, Tls::Plain);
    let right = server_.folder.write("password", postgres::PASSWORD);
    let nowhere = Server { database: "nowhere".into(), ..at(right.clone()) };
    for (server, word) in
        [(at(wrong), "refuses the user or password"), (nowhere, "no such database")]
    {
        let (kind, what) = Asked::new(Database::Postgres(server), QUERY).found_wrong();
        assert_eq!((kind, what.contains(word)), (TroubleKind::Misconfigured, true), "{what}");
    }
    let each = PgBouncer::start(&server_, "statement");
    let database = Database::Postgres(server(each.address, right, Tls::Plain));
    let (kind, what) = Asked::new(database, QUERY).found_wrong();
    assert_eq!(kind, TroubleKind::Misconfigured, "{what}");
    assert!(what.contains("each statement another connection"), "{what}");
}

#[test]
fn people_are_listed_through_a_pooler() {
    if !pgbouncer::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    server_.execute(TWO);
    let pooler = PgBouncer::start(&server_, "transaction");
    let database = behind(&server_, &pooler);
    let list = "select replace(address, '@two.test', '@example.test')::mail_name as address, \
                target from folk -- all of them";
    let (source, outcomes) = list::listed(&database, list);
    assert!(outcomes[0].is_adopted(), "{outcomes:?}");
    assert!(matches!(
        list::look_up(&source, "person42"),
        directory::Finding::Exists { target: Some(_), .. }
    ));
}
