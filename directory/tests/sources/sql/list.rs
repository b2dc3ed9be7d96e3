//! Databases that are listed for a snapshot.

use super::*;
use directory::list::{DomainScope, Failing, Listed, LoadError, Scope};
use directory::load::guard::Outcome;
use directory::sql::SqlList;
use directory::{
    Canonical, Environment, Finding, Matched, Question, RecipientList, RecipientSource,
    SourceAnswer,
};
use kit::wait_until;
use mail::address::{Domain, LocalPart};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};

fn domain() -> DomainSettings {
    DomainSettings {
        name: Domain::new("example.test").unwrap(),
        next_hop: NextHopId(0),
        local_part_case: LocalPartCase::Folded,
        sub_address_separator: None,
        local_part_characters: "".into(),
        catch_all: None,
        postmaster: None,
    }
}

fn list_of(database: &Database, list: &str) -> SqlList {
    list_within(database, list, Duration::from_secs(30))
}

fn list_within(database: &Database, list: &str, timeout: Duration) -> SqlList {
    let settings = Settings {
        timeout,
        list: Some(Statement::listing(list, database.dialect()).unwrap()),
        mode: Mode::Snapshot { every: Duration::from_secs(900) },
        ..settings(database.clone(), QUERY)
    };
    SqlList::new(&settings).unwrap()
}

/// A list that has been read once, and what came of it.
pub fn listed(database: &Database, list: &str) -> (Listed, Vec<Outcome>) {
    read(list_of(database, list))
}

fn read(list: SqlList) -> (Listed, Vec<Outcome>) {
    let scope = Scope::new(vec![DomainScope::new(DomainId(0), &domain())]);
    let environment = Environment::bare(Domain::new("mx.example.test").unwrap());
    let (source, outcomes) = Listed::open(list, scope, &environment);
    assert!(outcomes.is_empty(), "nobody waits for it: {outcomes:?}");
    let outcomes = source.poll();
    (source, outcomes)
}

pub fn look_up(source: &Listed, local_part: &str) -> Finding {
    let (settings, local_part) = (domain(), LocalPart::new(local_part).unwrap());
    let canonical = Canonical::new(&local_part, &settings);
    let domain = DomainId(0);
    let question = Question {
        domain,
        settings: &settings,
        local_part: &local_part,
        canonical,
        party: relay::turns::Party::NAMELESS,
    };
    match source.look_up(&question) {
        SourceAnswer::Now(finding) => finding,
        SourceAnswer::Later(_) => panic!("a list is in memory"),
    }
}

/// What went wrong with a list.
fn failing(database: &Database, list: &str) -> (Failing, String) {
    match listed(database, list).1.pop() {
        Some(Outcome::Failed { error: LoadError::Elsewhere { failing, source }, .. }) => {
            (failing, source.to_string())
        }
        other => panic!("{list}: {other:?}"),
    }
}

/// What every database must list.
fn lists(database: &Database, execute: &dyn Fn(&str)) {
    execute(PEOPLE);
    execute("insert into people values ('Green@EXAMPLE.test', null), ('x@elsewhere.test', null)");
    let (source, outcomes) = listed(database, "select address, target from people");
    assert!(outcomes[0].is_adopted(), "{outcomes:?}");
    let found = |target: Option<&str>| Finding::Exists {
        target: target.map(|target| Mailbox::parse(target).unwrap()),
        by: Matched::Exact,
    };
    assert_eq!(look_up(&source, "green"), found(None));
    assert_eq!(look_up(&source, "o'brien"), found(None));
    assert_eq!(look_up(&source, "smith"), found(Some("smith@inside.test")));
    assert_eq!(look_up(&source, "nobody"), Finding::Unknown);
    let described = list_of(database, "select address from people").try_out().unwrap();
    assert!(described.ends_with("the listing gives address"), "{described}");
    for (list, word) in [
        ("select wrong from people", "column"),
        ("select address from nobody", "table"),
        ("select target from people", "no column with addresses"),
        ("select 1.5 as address from people", "not text"),
    ] {
        let (failing, what) = failing(database, list);
        assert_eq!(failing, Failing::Query, "{list}: {what}");
        assert!(what.contains(word), "{list}: {what}");
    }
}

#[test]
fn postgresql_is_listed_and_a_list_that_breaks_off_is_not_adopted() {
    if !postgres::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    let database = on_postgres(&server_);
    lists(&database, &|sql| drop(server_.execute(sql)));
    // The last row divides by zero: what came before it must not count.
    let breaks =
        "select 'a' || 1 / (20000 - i) || '@example.test' from generate_series(1, 20000) i";
    assert_eq!(failing(&database, breaks).0, Failing::Answer);
    // Longer than an answer may take, and in the end all there.
    let slow = "select i || '@example.test', pg_sleep(0.5) from generate_series(1, 8) i";
    let (source, outcomes) = read(list_within(&database, slow, Duration::from_secs(3)));
    assert!(outcomes[0].is_adopted(), "{outcomes:?}");
    assert!(matches!(look_up(&source, "8"), Finding::Exists { .. }));
}

#[test]
fn a_list_ends_soon_when_it_is_no_longer_wanted() {
    if !postgres::is_here() {
        return;
    }
    let server_ = postgres::Postgres::start();
    let scope = Scope::new(vec![DomainScope::new(DomainId(0), &domain())]);
    let environment = Environment::bare(Domain::new("mx.example.test").unwrap());
    let endless = list_of(&on_postgres(&server_), "select pg_sleep(3600)::text as address");
    let (source, _) = Listed::open(endless, scope, &environment);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| source.poll());
        let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        wait_until("it is read", || server_.execute_as_superuser(asleep) == "1");
        source.retire();
        reading.join().unwrap();
    });
}

#[test]
fn mariadb_is_listed() {
    if !mariadb::is_here() {
        return;
    }
    let server_ = mariadb::Mariadb::start();
    lists(&on_mariadb(&server_), &|sql| drop(server_.execute(sql)));
}

#[test]
fn an_sqlite_file_is_listed() {
    let folder = Folder::new();
    let path = folder.file("people.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    let database = Database::Sqlite(path);
    lists(&database, &|sql| file.execute_batch(sql).unwrap());
    let many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) \
                select i || '@example.test' from n";
    let (source, outcomes) = listed(&database, many);
    assert!(outcomes[0].is_adopted(), "{outcomes:?}");
    assert!(matches!(look_up(&source, "5000"), Finding::Exists { .. }));
}
