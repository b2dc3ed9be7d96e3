//! What a restart leaves, what damage does, and that nobody waits for the disk.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::channel;

fn open(folder: &Path) -> Store {
    Store::open(folder, |outcome| panic!("{outcome}")).unwrap()
}

fn now() -> i64 {
    i64::try_from(wire::clock::unix_seconds()).unwrap()
}

fn answer(address: &str, exists: bool) -> KeptAnswer {
    KeptAnswer { address: address.into(), exists, target: None, asked_at: now(), fingerprint: 1 }
}

fn evidence(address: &str, count: u32) -> KeptEvidence {
    KeptEvidence { address: address.into(), kind: "delivered".into(), first: 5, last: 9, count }
}

fn addresses(answers: &[KeptAnswer]) -> Vec<&str> {
    let mut all: Vec<_> = answers.iter().map(|answer| &*answer.address).collect();
    all.sort_unstable();
    all
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (ad, sql): (Arc<str>, Arc<str>) = ("ldap ad".into(), "sql crm".into());
    let target = Some("j@inside.test".into());
    let jones = KeptAnswer { target, ..answer("jones@example.test", true) };
    let doubt = KeptDoubt {
        address: "x@example.test".into(),
        refusal: "unseen".into(),
        count: 3,
        first: 1,
        last: 2,
        client: "192.0.2.1".into(),
        reverse_path: "".into(),
    };
    let store = open(folder.path());
    store.keep_answer(&ad, answer("jones@example.test", false));
    store.keep_answer(&ad, jones.clone());
    store.keep_answer(&sql, answer("green@example.test", false));
    store.keep_evidence(|| evidence("jones@example.test", 1));
    store.keep_evidence(|| evidence("jones@example.test", 2));
    store.keep_evidence(|| evidence("gone@example.test", 1));
    store.forget_evidence("gone@example.test");
    store.keep_doubt(|| doubt.clone());
    store.keep_doubt(|| KeptDoubt { address: "y@example.test".into(), ..doubt.clone() });
    store.forget_doubt("y@example.test");
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.load_answers("ldap ad").unwrap(), [jones], "the newer one took the place");
    assert_eq!(addresses(&store.load_answers("sql crm").unwrap()), ["green@example.test"]);
    assert_eq!(store.load_evidence().unwrap(), [evidence("jones@example.test", 2)]);
    let about = store.load_evidence_about("jones@example.test").unwrap();
    assert_eq!(about, [evidence("jones@example.test", 2)]);
    assert_eq!(store.load_doubts(9).unwrap(), [doubt]);
    assert_eq!(store.lost_changes(), 0);
}

#[test]
fn what_was_flushed_survives_a_kill() {
    let (folder, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source: Arc<str> = "ldap ad".into();
    let store = open(folder.path());
    store.keep_answer(&source, answer("jones@example.test", true));
    assert!(store.flush());
    // The files as they would be found, since nothing was closed.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, after.path().join(path.file_name().unwrap())).unwrap();
    }
    let answers = open(after.path()).load_answers("ldap ad").unwrap();
    assert_eq!(addresses(&answers), ["jones@example.test"]);
}

#[test]
fn answers_are_forgotten_by_address_domain_and_source_and_those_who_are_there_are_only_outdated() {
    let folder = tempfile::tempdir().unwrap();
    let (ad, sql): (Arc<str>, Arc<str>) = ("ad".into(), "sql".into());
    let store = open(folder.path());
    let all = ["a@example.test", "b@example.test", "a@sub.example.test", "a%@other.test"];
    for source in [&ad, &sql] {
        all.iter().for_each(|address| store.keep_answer(source, answer(address, true)));
        all.iter().for_each(|there| store.keep_answer(source, answer(&format!("x{there}"), false)));
    }
    store.forget_answers(Some("ad"), &Forget::Address("a@example.test".into()));
    store.forget_answers(None, &Forget::Domain("sub.example.test".into()));
    assert!(store.flush());
    let of = |source, is_meant: fn(&KeptAnswer) -> bool| -> Vec<String> {
        let answers = store.load_answers(source).unwrap();
        let meant: Vec<_> = answers.into_iter().filter(is_meant).collect();
        addresses(&meant).into_iter().map(str::to_owned).collect()
    };
    let good = |answer: &KeptAnswer| answer.exists && answer.fingerprint == 1;
    let outdated = |answer: &KeptAnswer| answer.exists && answer.fingerprint == 0;
    let absent = |answer: &KeptAnswer| !answer.exists;
    assert_eq!(of("ad", good), ["a%@other.test", "b@example.test"]);
    assert_eq!(of("ad", outdated), ["a@sub.example.test"]);
    assert_eq!(of("ad", absent), ["xa%@other.test", "xa@example.test", "xb@example.test"]);
    assert_eq!(of("sql", good), ["a%@other.test", "a@example.test", "b@example.test"]);
    store.forget_answers(Some("sql"), &Forget::Domain("example.test".into()));
    store.forget_answers(Some("ad"), &Forget::All);
    assert!(store.flush());
    assert_eq!(of("sql", good), ["a%@other.test"]);
    assert_eq!(of("sql", absent), ["xa%@other.test"]);
    assert_eq!(of("ad", outdated), ["a%@other.test", "a@sub.example.test", "b@example.test"]);
    assert!(of("ad", good).is_empty() && of("ad", absent).is_empty());
}

#[test]
fn a_file_that_nobody_writes_says_how_many_answers_it_has_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.keep_answer(&"ad".into(), answer("a@example.test", true));
    store.keep_answer(&"ad".into(), answer("b@example.test", false));
    drop(store);
    let forget = |what| Store::forget_answers_in(folder.path(), Some("ad"), &what).unwrap();
    assert_eq!(forget(Forget::All), 2);
    assert_eq!(forget(Forget::Domain("example.test".into())), 0, "they have been forgotten");
    assert_eq!(forget(Forget::Address("a@example.test".into())), 1, "now he really is");
    // A file that no process of this version has written yet: all of it is outdated.
    let file = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
    let old = "INSERT INTO answer VALUES ('ad', 'a@example.test', 1, NULL, 5, 0);
        INSERT INTO answer VALUES ('ad', 'b@example.test', 0, NULL, 5, 0);
        ALTER TABLE answer DROP COLUMN fingerprint; DROP TABLE turned; PRAGMA user_version = 1;";
    file.execute_batch(old).unwrap();
    drop(file);
    assert_eq!(forget(Forget::All), 1);
}

#[test]
fn old_and_surplus_answers_go() {
    let folder = tempfile::tempdir().unwrap();
    let source: Arc<str> = "ad".into();
    let store = open(folder.path());
    let old = now() - ANSWER_SECONDS_MAX - 60;
    store.keep_answer(&source, KeptAnswer { asked_at: old, ..answer("old@example.test", true) });
    for (n, address) in ["1@example.test", "2@example.test", "3@example.test"].iter().enumerate() {
        let asked_at = now() - n as i64;
        store.keep_answer(&source, KeptAnswer { asked_at, ..answer(address, true) });
    }
    drop(store);
    let store = open(folder.path());
    let answers = store.load_answers("ad").unwrap();
    let order: Vec<_> = answers.iter().map(|answer| &*answer.address).collect();
    assert_eq!(order, ["1@example.test", "2@example.test", "3@example.test"], "newest first");
    drop(store);
    let connection = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    rows::forget_surplus_answers(&connection, 2).unwrap();
    let left = rows::answers(&connection, "ad").unwrap();
    assert_eq!(addresses(&left), ["1@example.test", "2@example.test"]);
}

#[test]
fn a_flood_of_names_that_nobody_has_pushes_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open(&folder.path().join(FILE_NAME), &|_| {}).unwrap();
    let person = KeptAnswer { asked_at: now() - 60, ..answer("person@example.test", true) };
    rows::keep_answer(&connection, "ldap", &person).unwrap();
    for n in 0..5 {
        let invented = answer(&format!("{n}@example.test"), false);
        rows::keep_answer(&connection, "ldap", &invented).unwrap();
    }
    rows::forget_surplus_answers(&connection, 2).unwrap();
    let kept = rows::answers(&connection, "ldap").unwrap();
    assert_eq!(kept.iter().filter(|answer| !answer.exists).count(), 2);
    assert!(kept.contains(&person));
}

#[test]
fn a_damaged_file_is_moved_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    for n in 1..=2 {
        std::fs::write(&path, [b'?'; 9_000]).unwrap();
        let (sender, outcomes) = channel();
        let store = Store::open(folder.path(), move |outcome| sender.send(outcome).unwrap());
        let store = store.unwrap();
        let Ok(StoreOutcome::Damaged { aside, .. }) = outcomes.try_recv() else { panic!() };
        assert_eq!(aside, folder.path().join(format!("{FILE_NAME}.damaged-{n}")));
        assert_eq!(std::fs::read(aside).unwrap(), [b'?'; 9_000]);
        store.keep_evidence(|| evidence("jones@example.test", 1));
        assert!(store.flush(), "the fresh one works");
    }
}

#[test]
fn damage_in_the_middle_is_found_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let store = open(folder.path());
    for n in 0..2_000 {
        store.keep_evidence(|| evidence(&format!("{n}@example.test"), 1));
    }
    drop(store);
    let mut octets = std::fs::read(&path).unwrap();
    assert!(octets.len() > 40_000);
    octets[8_192..40_000].fill(0xa5);
    std::fs::write(&path, octets).unwrap();
    let (sender, outcomes) = channel();
    let store = Store::open(folder.path(), move |outcome| sender.send(outcome).unwrap()).unwrap();
    assert!(matches!(outcomes.try_recv(), Ok(StoreOutcome::Damaged { .. })));
    assert!(store.load_evidence().unwrap().is_empty());
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    drop(open(folder.path()));
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(folder.path(), |outcome| panic!("{outcome}")).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 2, .. }), "{error}");
    assert!(Store::open_to_read(folder.path()).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn only_we_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.keep_evidence(|| evidence("jones@example.test", 1));
    assert!(store.flush());
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert!(seen >= 2, "the log of SQLite is looked at as well");
}

#[test]
fn a_full_queue_loses_changes_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let (holder, told) = channel();
    let store = Store::open(folder.path(), move |_| holder.send(()).unwrap()).unwrap();
    // Another process holds the file: the writer waits for it, and the queue fills.
    let other = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut sent: u64 = 0;
    while store.lost_changes() == 0 {
        store.keep_evidence(|| evidence("jones@example.test", 1));
        sent += 1;
    }
    assert!(sent > WAITING_CHANGES_MAX as u64);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.flush(), "it goes on");
    drop(store);
    // Had the writer lost patience with the other process, that would have been told.
    drop(told);
    assert_eq!(open(folder.path()).load_evidence().unwrap().len(), 1);
}

#[test]
fn a_group_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, outcomes) = channel();
    let store = Store::open(folder.path(), move |outcome| sender.send(outcome).unwrap()).unwrap();
    let other = Connection::open(folder.path().join(FILE_NAME)).unwrap();
    other.execute_batch("DROP TABLE evidence").unwrap();
    store.keep_evidence(|| evidence("jones@example.test", 1));
    assert!(!store.flush());
    let outcome = outcomes.recv_timeout(FLUSH_PATIENCE).unwrap();
    assert!(matches!(outcome, StoreOutcome::WriteFailed { .. }), "{outcome}");
    assert_eq!(outcome.path(), folder.path().join(FILE_NAME));
}

#[test]
fn another_process_reads_beside_the_one_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Store::open_to_read(folder.path()).unwrap().load_evidence().unwrap().is_empty());
    let store = open(folder.path());
    store.keep_evidence(|| evidence("jones@example.test", 1));
    assert!(store.flush());
    let reader = Store::open_to_read(folder.path()).unwrap();
    reader.keep_evidence(|| evidence("green@example.test", 1));
    assert!(reader.flush());
    assert_eq!(reader.load_evidence().unwrap(), [evidence("jones@example.test", 1)]);
    drop(store);
    let reader = Store::open_to_read(folder.path()).unwrap();
    assert_eq!(reader.load_evidence().unwrap().len(), 1, "and when nobody writes");
}

#[test]
fn without_a_state_directory_nothing_is_kept() {
    let store = Store::none();
    store.keep_answer(&"ad".into(), answer("jones@example.test", true));
    store.forget_answers(None, &Forget::All);
    assert!(store.flush());
    assert!(store.load_answers("ad").unwrap().is_empty());
    assert_eq!((store.path(), store.lost_changes()), (None, 0));
}
