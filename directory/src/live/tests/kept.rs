//! What a restart, and what a change of a source's settings leaves of what was remembered, believed
//! and doubted.

use super::*;
use crate::store::FILE_NAME;
use std::path::Path;

const CANARY: Option<&str> = Some("person0@example.test");

fn store(folder: &Path) -> Store {
    Store::open(folder, |outcome| panic!("{outcome}")).unwrap()
}

fn crowd() -> Vec<String> {
    (0..60).map(|n| format!("person{n}")).collect()
}

/// A process that runs until this is dropped. Each yes must be asked for again.
fn run(folder: &Path, filter: &'static str) -> Scene {
    let names = crowd();
    let people: Vec<&str> = names.iter().map(String::as_str).collect();
    let lifetimes = Lifetimes { positive_seconds: 0, ..LIFETIMES };
    Scene::filtered(filter, &people, lifetimes, CANARY, store(folder))
}

fn lose_all_but_the_canary(scene: &Scene) {
    lock(&scene.fake.people).retain(|name| name == "person0");
}

/// Asks for these, and says how many are unknown.
async fn unknown_among(scene: &Scene, names: &[String]) -> usize {
    let mut unknown = 0;
    for name in names {
        unknown += usize::from(scene.ask(name).await == Finding::Unknown);
    }
    unknown
}

#[tokio::test]
async fn a_no_to_another_question_is_forgotten_when_the_settings_are_mended() {
    let folder = tempfile::tempdir().unwrap();
    let with = |filter, people: &[&str]| {
        let canary = Some("jones@example.test");
        Scene::filtered(filter, people, LIFETIMES, canary, store(folder.path()))
    };
    {
        let scene = with("misses brown", &["jones"]);
        assert_eq!(scene.ask("brown").await, Finding::Unknown);
    }
    {
        let scene = with("misses brown", &["jones", "brown"]);
        assert!(matches!(scene.answer("brown"), SourceAnswer::Now(Finding::Unknown)));
    }
    {
        let scene = with("has brown", &["jones", "brown"]);
        assert_eq!(scene.source.report().remembered_no, 0);
        assert_eq!(scene.ask("brown").await, YES);
    }
    // Nor does it come back with the settings it was said under.
    let scene = with("misses brown", &["jones"]);
    assert!(matches!(scene.answer("brown"), SourceAnswer::Later(_)));
}

#[tokio::test]
async fn a_yes_to_another_question_is_asked_again_and_stands_in_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let with = |filter, people: &[&str]| {
        let canary = Some("jones@example.test");
        Scene::filtered(filter, people, LIFETIMES, canary, store(folder.path()))
    };
    {
        let scene = with("has brown", &["jones", "brown", "green"]);
        assert_eq!(scene.ask("brown").await, YES);
        assert_eq!(scene.ask("green").await, YES);
    }
    {
        let scene = with("has only jones", &["jones"]);
        assert!(matches!(scene.answer("brown"), SourceAnswer::Later(_)), "it is asked again");
        scene.mood(Mood::Down);
        assert_eq!(scene.ask("brown").await, YES, "the last known");
        scene.mood(Mood::Right);
        assert_eq!(scene.ask("brown").await, Finding::Unknown);
    }
    let scene = with("has only jones", &["jones"]);
    assert!(matches!(scene.answer("green"), SourceAnswer::Later(_)), "also after a restart");
    assert!(matches!(scene.answer("brown"), SourceAnswer::Now(Finding::Unknown)));
}

#[tokio::test]
async fn what_a_store_of_before_there_were_fingerprints_has_counts_as_of_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let now = wire::clock::unix_seconds();
    let file = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
    let old = format!(
        "CREATE TABLE answer (
            source TEXT NOT NULL, address TEXT NOT NULL, is_there INTEGER NOT NULL,
            target TEXT, asked_at INTEGER NOT NULL, PRIMARY KEY (source, address)
        ) WITHOUT ROWID;
        CREATE INDEX answer_by_age ON answer (source, asked_at);
        CREATE TABLE evidence (
            address TEXT NOT NULL, kind TEXT NOT NULL, first INTEGER NOT NULL,
            last INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (address, kind)
        ) WITHOUT ROWID;
        CREATE TABLE doubt (
            address TEXT NOT NULL PRIMARY KEY, refusal TEXT NOT NULL, count INTEGER NOT NULL,
            first INTEGER NOT NULL, last INTEGER NOT NULL,
            client TEXT NOT NULL, reverse_path TEXT NOT NULL
        ) WITHOUT ROWID;
        INSERT INTO answer VALUES ('fake', 'brown@example.test', 0, NULL, {now});
        INSERT INTO answer VALUES ('fake', 'jones@example.test', 1, NULL, {now});
        PRAGMA user_version = 1;"
    );
    file.execute_batch(&old).unwrap();
    drop(file);
    // A command beside a process that has not been restarted yet.
    let beside = Store::open_to_read(folder.path()).unwrap();
    assert_eq!(beside.load_answers("fake").unwrap().len(), 2);
    assert_eq!(beside.load_turned("fake", 0).unwrap(), []);
    drop(beside);
    let scene = Scene::with(&["jones", "brown"], LIFETIMES, None, store(folder.path()));
    assert!(matches!(scene.answer("jones"), SourceAnswer::Later(_)));
    assert_eq!(scene.ask("brown").await, YES);
    scene.mood(Mood::Down);
    assert_eq!(scene.ask("jones").await, YES, "the last known");
}

#[tokio::test]
async fn a_restart_gives_a_lying_directory_nobody_more_to_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let names = crowd();
    {
        let scene = run(folder.path(), "as ever");
        for name in &names {
            assert_eq!(scene.ask(name).await, YES);
        }
        lose_all_but_the_canary(&scene);
        assert_eq!(scene.ask("stranger").await, Finding::Unknown);
        assert_eq!(unknown_among(&scene, &names[1..]).await, 19);
    }
    for _ in 0..2 {
        let scene = run(folder.path(), "as ever");
        assert_eq!(scene.class(), "lying", "from the start");
        lose_all_but_the_canary(&scene);
        assert_eq!(unknown_among(&scene, &names[1..]).await, 0);
        // Not even one who was refused before it showed, from memory.
        assert_eq!(scene.ask("stranger").await, Finding::Unavailable);
    }
}

#[tokio::test]
async fn a_count_of_people_who_turned_that_is_half_full_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let names = crowd();
    {
        let scene = run(folder.path(), "as ever");
        for name in &names {
            assert_eq!(scene.ask(name).await, YES);
        }
        lose_all_but_the_canary(&scene);
        assert_eq!(unknown_among(&scene, &names[1..=12]).await, 12);
    }
    let scene = run(folder.path(), "as ever");
    assert_ne!(scene.class(), "lying");
    // One of them is back, and is none of those who are gone.
    assert_eq!(scene.source.forget(&Forget::Address("person1@example.test".into())), 1);
    assert_eq!(scene.ask("person1").await, YES);
    lose_all_but_the_canary(&scene);
    assert_eq!(unknown_among(&scene, &names[13..]).await, 8);
    assert_eq!(scene.class(), "lying");
}

#[tokio::test]
async fn a_persons_word_and_other_settings_end_a_count_also_over_a_restart() {
    for is_confirmed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let names = crowd();
        {
            let scene = run(folder.path(), "as ever");
            for name in &names {
                assert_eq!(scene.ask(name).await, YES);
            }
            lose_all_but_the_canary(&scene);
            unknown_among(&scene, &names[1..]).await;
            assert_eq!(scene.class(), "lying");
            if is_confirmed {
                assert!(scene.source.confirm_people_left());
            }
        }
        let scene = run(folder.path(), if is_confirmed { "as ever" } else { "mended" });
        assert_ne!(scene.class(), "lying");
        lose_all_but_the_canary(&scene);
        assert_eq!(scene.ask("stranger").await, Finding::Unknown);
    }
}

#[tokio::test]
async fn a_flush_of_many_makes_all_be_asked_again_and_lets_nobody_be_refused_for_it() {
    let all = [Forget::All, Forget::Domain("example.test".into())];
    for (what, is_restarted) in all.iter().flat_map(|what| [(what, false), (what, true)]) {
        let folder = tempfile::tempdir().unwrap();
        let names = crowd();
        let people: Vec<&str> = names.iter().map(String::as_str).collect();
        let start = || Scene::with(&people, LIFETIMES, CANARY, store(folder.path()));
        let mut scene = start();
        for name in &names {
            assert_eq!(scene.ask(name).await, YES);
        }
        assert_eq!(scene.ask("stranger").await, Finding::Unknown);
        assert_eq!(scene.source.forget(what), 61, "what the command says");
        assert_eq!(scene.source.forget(what), 0, "they have been forgotten");
        if is_restarted {
            drop(scene);
            scene = start();
        }
        for name in ["person1", "stranger"] {
            assert!(matches!(scene.answer(name), SourceAnswer::Later(_)), "{name} is asked again");
        }
        scene.mood(Mood::Down);
        assert_eq!(scene.ask("person1").await, YES, "the last known");
        assert_eq!(scene.ask("stranger").await, Finding::Unavailable);
        scene.mood(Mood::Right);
        lose_all_but_the_canary(&scene);
        assert_eq!(unknown_among(&scene, &names[1..]).await, 19, "as without a flush");
        assert_eq!(scene.class(), "lying");
    }
}

#[tokio::test]
async fn a_flush_forgets_who_was_flushed_by_his_address_and_of_a_domain_nobody_elsewhere() {
    let scene = Scene::with(&["jones", "brown"], LIFETIMES, CANARY, Store::none());
    for name in ["jones", "brown"] {
        assert_eq!(scene.ask(name).await, YES);
        assert_eq!(scene.ask_at(ELSEWHERE, name).await, YES);
    }
    assert_eq!(scene.source.forget(&Forget::Address("brown@example.test".into())), 1);
    assert_eq!(scene.source.forget(&Forget::Domain("example.test".into())), 1);
    assert!(matches!(scene.answer_at(ELSEWHERE, "brown"), SourceAnswer::Now(YES)));
    scene.mood(Mood::Down);
    assert_eq!(scene.ask("jones").await, YES, "the last known");
    assert_eq!(scene.ask("brown").await, Finding::Unavailable);
}

#[tokio::test]
async fn a_source_that_goes_down_is_one_event_however_many_domains_it_has() {
    let scene = Scene::new(&["jones"]);
    scene.mood(Mood::Down);
    for _ in 0..3 {
        assert_eq!(scene.ask("jones").await, Finding::Unavailable);
    }
    let told = lock(&scene.told).clone();
    let down: Vec<_> = told.iter().filter(|told| told.contains("-> down")).collect();
    let all = "SourceClassChanged 2 domains (example.test, example.org): unproven -> down: \
               nobody listens";
    assert_eq!(down, [all]);
}
