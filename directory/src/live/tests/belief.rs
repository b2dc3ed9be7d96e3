//! What is believed of a live source and what is doubted: canaries, people who turn unknown, a yes to
//! anybody.

use super::*;

/// Sixty people who are all known, of whom the first is the canary.
async fn crowd() -> (Scene, Vec<String>) {
    let lifetimes = Lifetimes { positive_seconds: 0, ..LIFETIMES };
    let names: Vec<String> = (0..60).map(|n| format!("person{n}")).collect();
    let people: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::with(&people, lifetimes, Some("person0@example.test"), Store::none());
    for name in &names {
        assert_eq!(scene.ask(name).await, YES);
    }
    (scene, names)
}

#[tokio::test]
async fn a_no_is_not_believed_from_a_source_that_never_knew_anybody() {
    let scene = Scene::new(&["jones"]);
    scene.mood(Mood::Empty);
    assert_eq!(scene.ask("jones").await, Finding::Unavailable);
    scene.mood(Mood::Right);
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(scene.ask("nobody").await, Finding::Unknown);
}

#[tokio::test]
async fn a_no_is_believed_when_the_canary_is_there() {
    let canary = Some("jones@example.test");
    let scene = Scene::with(&["jones"], LIFETIMES, canary, Store::none());
    assert_eq!(scene.ask("nobody").await, Finding::Unknown);
    scene.mood(Mood::Empty);
    assert_eq!(scene.ask("somebody").await, Finding::Unavailable);
    assert_eq!(scene.class(), "lying");
}

#[tokio::test]
async fn an_emptied_directory_costs_nobody_a_550_and_is_told_once() {
    let scene = Scene::with(
        &["jones", "brown"],
        Lifetimes { positive_seconds: 0, ..LIFETIMES },
        None,
        Store::none(),
    );
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(scene.ask("brown").await, YES);
    scene.mood(Mood::Empty);
    assert_eq!(scene.ask("jones").await, YES, "the last known");
    assert_eq!(scene.ask("never-seen").await, Finding::Unavailable);
    assert_eq!(scene.ask("brown").await, YES);
    assert_eq!(scene.class(), "lying");
    let told = lock(&scene.told).iter().filter(|told| told.contains("-> lying")).count();
    assert_eq!(told, 1, "{:?}", lock(&scene.told));
    scene.mood(Mood::Right);
    assert_eq!(scene.ask("never-seen").await, Finding::Unknown);
    assert_eq!(scene.class(), "honest");
}

#[tokio::test]
async fn one_who_has_left_is_unknown_while_others_are_still_there() {
    let lifetimes = Lifetimes { positive_seconds: 0, ..LIFETIMES };
    let scene = Scene::with(&["jones", "brown"], lifetimes, None, Store::none());
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(scene.ask("brown").await, YES);
    lock(&scene.fake.people).remove("brown");
    assert_eq!(scene.ask("brown").await, Finding::Unknown);
    assert_eq!(scene.ask("jones").await, YES);
}

#[tokio::test]
async fn too_many_who_turn_unknown_are_doubted_until_a_person_confirms() {
    let lifetimes = Lifetimes { positive_seconds: 0, negative_seconds: 0, vouch_milliseconds: 0 };
    let names: Vec<String> = (0..60).map(|n| format!("person{n}")).collect();
    let people: Vec<&str> = names.iter().map(String::as_str).collect();
    let canary = Some("person0@example.test");
    let scene = Scene::with(&people, lifetimes, canary, Store::none());
    for name in &names {
        assert_eq!(scene.ask(name).await, YES);
    }
    lock(&scene.fake.people).retain(|name| name == "person0");
    let mut unknown = 0;
    for name in &names[1..] {
        unknown += u32::from(scene.ask(name).await == Finding::Unknown);
    }
    assert_eq!(unknown, 19, "one less than it takes to look at their share");
    assert_eq!(scene.class(), "lying");
    assert!(scene.source.confirm_people_left());
    assert_eq!(scene.ask("person59").await, Finding::Unknown);
    assert_ne!(scene.class(), "lying");
}

#[tokio::test]
async fn who_turned_before_it_was_too_many_is_not_refused_for_it_afterwards() {
    let (scene, names) = crowd().await;
    lock(&scene.fake.people).retain(|name| name == "person0");
    for name in &names[1..] {
        scene.ask(name).await;
    }
    for name in &names[1..] {
        assert_ne!(scene.ask(name).await, Finding::Unknown, "{name}");
    }
    // They were there all the time, so nobody has turned.
    lock(&scene.fake.people).extend(names.iter().cloned());
    for name in &names {
        assert_eq!(scene.ask(name).await, YES);
    }
    lock(&scene.fake.people).remove("person7");
    assert_eq!(scene.ask("person7").await, Finding::Unknown);
    assert_eq!(scene.class(), "honest");
}

#[tokio::test]
async fn the_people_of_another_domain_do_not_make_a_loss_look_small() {
    let lifetimes = Lifetimes { positive_seconds: 0, ..LIFETIMES };
    let names: Vec<String> = (0..60).map(|n| format!("person{n}")).collect();
    let many: Vec<String> = (0..2_000).map(|n| format!("other{n}")).collect();
    let people: Vec<&str> = names.iter().chain(&many).map(String::as_str).collect();
    let scene = Scene::with(&people, lifetimes, Some("person0@example.test"), Store::none());
    for name in &many {
        assert_eq!(scene.ask_at(ELSEWHERE, name).await, YES);
    }
    for name in &names {
        assert_eq!(scene.ask(name).await, YES);
    }
    lock(&scene.fake.people).retain(|name| name == "person0" || name.starts_with("other"));
    let mut unknown = 0;
    for name in &names[1..] {
        unknown += u32::from(scene.ask(name).await == Finding::Unknown);
    }
    assert_eq!(unknown, 19);
}

#[tokio::test]
async fn one_who_is_asked_for_again_and_again_is_one() {
    let lifetimes = Lifetimes { positive_seconds: 0, negative_seconds: 0, vouch_milliseconds: 0 };
    let people = ["jones", "brown", "smith"];
    let scene = Scene::with(&people, lifetimes, Some("jones@example.test"), Store::none());
    for _ in 0..30 {
        lock(&scene.fake.people).insert("brown".to_owned());
        assert_eq!(scene.ask("brown").await, YES);
        lock(&scene.fake.people).remove("brown");
        assert_eq!(scene.ask("brown").await, Finding::Unknown);
    }
}

#[tokio::test]
async fn once_it_was_found_lying_nothing_from_before_speaks_for_it() {
    let lifetimes =
        Lifetimes { positive_seconds: 0, negative_seconds: 0, vouch_milliseconds: 60_000 };
    let scene = Scene::with(&["jones", "brown"], lifetimes, None, Store::none());
    assert_eq!(scene.ask("jones").await, YES);
    scene.mood(Mood::Empty);
    assert_eq!(scene.ask("jones").await, YES, "the last known");
    assert_eq!(scene.class(), "lying");
    assert_eq!(scene.ask("brown").await, Finding::Unavailable);
}

#[tokio::test]
async fn a_yes_speaks_for_the_moment_it_was_asked_for() {
    let scene = Scene::new(&["jones"]);
    let (jones, domain) = (Mailbox::parse("jones@example.test").unwrap(), &scene.settings.name);
    let live: Arc<dyn LiveSource> = Arc::clone(&scene.fake) as _;
    let trust = Trust::new(live, [(domain.clone(), None)], 100, Arc::new(|_, _, _| {}));
    let long_ago = clock::uptime_microseconds() - 1_000_000;
    let jones = Named { mailbox: &jones, key: 1 };
    trust.judge_yes(0, jones, long_ago).await.unwrap();
    scene.mood(Mood::Empty);
    assert!(matches!(
        trust.judge_no(0, Named { key: 2, ..jones }, false, None).await,
        Err(Unbelieved::Doubted(Doubt::KnownGone { .. }))
    ));
}

#[tokio::test]
async fn a_source_that_says_yes_to_anybody_is_refused() {
    let scene = Scene::new(&["jones"]);
    scene.mood(Mood::YesToAll);
    assert_eq!(scene.ask("jones").await, Finding::Unavailable);
    assert_eq!(scene.class(), Class::AcceptAll.word());
    assert!(lock(&scene.told)[0].contains("accept-all"), "{:?}", lock(&scene.told));
}

#[tokio::test]
async fn a_canary_is_asked_for_as_any_address_is() {
    // As an operator may write it: in capitals, at another name of the domain.
    let canary = Some("Jones@Alias.Test");
    let scene = Scene::with(&["jones"], LIFETIMES, canary, Store::none());
    assert_eq!(scene.ask("nobody").await, Finding::Unknown);
    let heard = lock(&scene.fake.heard).clone();
    assert_eq!(heard, ["nobody@example.test", "jones@example.test"]);
}

#[tokio::test]
async fn nobody_is_refused_while_too_many_have_turned_unknown_and_it_ends_when_they_are_back() {
    let (scene, names) = crowd().await;
    lock(&scene.fake.people).retain(|name| name == "person0");
    for name in &names[1..] {
        scene.ask(name).await;
    }
    assert_eq!(scene.class(), "lying");
    // Those who were refused before it showed, and those whom the source may never have known.
    assert_eq!(scene.ask("person1").await, Finding::Unavailable);
    assert_eq!(scene.ask("never-seen").await, Finding::Unavailable);
    lock(&scene.fake.people).extend(names.iter().cloned());
    for name in &names {
        assert_eq!(scene.ask(name).await, YES);
    }
    assert_eq!(scene.ask("never-seen").await, Finding::Unknown);
    assert_eq!(scene.class(), "honest");
}

#[tokio::test]
async fn those_who_left_are_confirmed_once_however_many_they_are() {
    let lifetimes = Lifetimes { positive_seconds: 0, negative_seconds: 0, vouch_milliseconds: 0 };
    let names: Vec<String> = (0..90).map(|n| format!("person{n}")).collect();
    let people: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::with(&people, lifetimes, Some("person0@example.test"), Store::none());
    for name in &names {
        assert_eq!(scene.ask(name).await, YES);
    }
    lock(&scene.fake.people).retain(|name| name == "person0");
    for name in &names[1..40] {
        scene.ask(name).await;
    }
    assert_eq!(scene.class(), "lying");
    assert!(scene.source.confirm_people_left());
    for name in &names[1..] {
        assert_eq!(scene.ask(name).await, Finding::Unknown, "{name}");
    }
}

#[tokio::test]
async fn after_a_restart_the_latest_people_stand_in_for_a_canary() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), |_| {}).unwrap();
    let now = i64::try_from(wire::clock::unix_seconds()).unwrap();
    for n in 0..10 {
        let address = format!("person{n}@example.test").into();
        let (asked_at, fingerprint) = (now - 9 + n, 0);
        let answer = KeptAnswer { address, exists: true, target: None, asked_at, fingerprint };
        store.keep_answer(&"fake".into(), answer);
    }
    assert!(store.flush());
    // All others left long ago.
    let scene = Scene::with(&["person9"], LIFETIMES, None, store);
    assert_eq!(scene.ask("nobody").await, Finding::Unknown);
}

/// Refused somebody behind DATA once, and now nobody any more.
struct OnceLate(Arc<str>);

impl LiveSource for OnceLate {
    fn name(&self) -> &Arc<str> {
        &self.0
    }

    fn ask(self: Arc<Self>, _: Mailbox) -> Asking<Existence> {
        Box::pin(async { Ok(Existence::Exists { target: None }) })
    }

    fn ask_late(self: Arc<Self>, mailbox: Mailbox) -> Option<Asking<Existence>> {
        Some(self.ask(mailbox))
    }

    fn try_out(self: Arc<Self>) -> Asking<String> {
        Box::pin(async { Ok(String::new()) })
    }

    fn fingerprint(&self) -> String {
        String::new()
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour { is_late: true, ..Behaviour::default() }
    }
}

#[tokio::test]
async fn whoever_was_late_and_refuses_nobody_any_more_is_not_honest() {
    let domains = [(Domain::new("example.test").unwrap(), None)];
    let live = Arc::new(OnceLate("once late".into()));
    let trust = Trust::new(live, domains, 0, Arc::new(|_, _, _| {}));
    assert!(trust.examine(0).await.is_ok(), "nobody is known who could be missing");
    assert_eq!(trust.class().0, Class::AcceptAll);
}

#[tokio::test]
async fn a_source_that_says_neither_yes_nor_no_has_shown_nothing() {
    let canary = Some("jones@example.test");
    let scene = Scene::with(&["jones"], LIFETIMES, canary, Store::none());
    scene.mood(Mood::Strange);
    for _ in 0..2 {
        assert!(matches!(scene.source.trust.examine(0).await, Err(Unbelieved::Untested(_))));
        assert_eq!(scene.class(), "unproven");
        assert!(!scene.source.trust.is_test_due(0), "it was asked, and need not be at once again");
    }
    assert!(scene.source.report().why.contains("no such place"), "{:?}", scene.source.report());
    for _ in 0..3 {
        assert_eq!(scene.ask("jones").await, Finding::Unavailable);
    }
    assert_eq!(scene.class(), "down", "it is no answer");
    let _ = scene.source.trust.examine(0).await;
    assert_eq!(scene.class(), "down", "a test that says nothing does not end that");
    scene.mood(Mood::Right);
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(scene.class(), "honest");
}

#[tokio::test]
async fn a_source_that_says_yes_to_people_and_something_odd_to_strangers_is_believed() {
    let scene = Scene::new(&["jones"]);
    scene.mood(Mood::StrangeOfStrangers);
    assert!(matches!(scene.source.trust.examine(0).await, Err(Unbelieved::Untested(_))));
    assert_eq!(scene.class(), "unproven");
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(scene.class(), "honest", "it does not say yes to anybody");
    assert_eq!(scene.ask("stranger").await, Finding::Unavailable);
}

#[tokio::test]
async fn a_word_that_people_have_left_is_taken_where_some_are_missing_and_nowhere_else() {
    let (scene, names) = crowd().await;
    let nobody_doubted = || {
        assert!(!scene.source.confirm_people_left(), "{}", scene.class());
    };
    nobody_doubted();
    lock(&scene.fake.people).retain(|name| name == "person0" || name > &"person2".to_owned());
    for name in &names[1..] {
        scene.ask(name).await;
    }
    nobody_doubted();
    lock(&scene.fake.people).retain(|name| name == "person0");
    for name in &names[1..] {
        scene.ask(name).await;
    }
    assert!(scene.source.report().why.ends_with("postern recipients confirm \"fake\""));
    assert!(scene.source.confirm_people_left());
    nobody_doubted();
    // Its canary is no person who could have left.
    lock(&scene.fake.people).clear();
    assert_eq!(scene.ask("person0").await, YES, "the last known");
    assert_eq!(scene.class(), "lying");
    nobody_doubted();
    assert_eq!(scene.class(), "lying");
}

#[tokio::test]
async fn a_name_that_was_put_off_is_asked_for_again_until_it_is_answered() {
    let scene = Scene::new(&["jones"]);
    scene.mood(Mood::PutsStrangersOff);
    assert_eq!(scene.ask("jones").await, YES, "it may take everybody, and people do not wait");
    assert_eq!(scene.source.report().remembered_yes, 0, "nothing follows from that");
    let invented = || {
        let heard = lock(&scene.fake.heard).clone();
        heard.into_iter().filter(|name| name.starts_with("postern")).collect::<Vec<_>>()
    };
    let first = invented();
    assert!(!scene.source.trust.is_test_due(0), "not at once");
    assert!(matches!(scene.source.trust.examine(0).await, Err(Unbelieved::Untested(_))));
    assert_eq!(invented(), [&first[..], &first[..]].concat());
    scene.mood(Mood::Right);
    assert!(scene.source.trust.examine(0).await.is_ok());
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(invented()[2], first[0]);
    scene.source.trust.examine(0).await.unwrap();
    assert_ne!(invented()[3], first[0], "it was answered");
}

#[tokio::test]
async fn people_are_found_where_others_are_put_off_for_good() {
    let scene = Scene::new(&["jones"]);
    scene.mood(Mood::PutsStrangersOff);
    assert_eq!(scene.ask("jones").await, YES);
    assert_eq!(scene.class(), Class::Unproven.word());
    let hour_ago = trust::now() - 3_600_000_000;
    {
        let mut credibility = lock(&scene.source.trust.domains[0].credibility);
        *credibility = relay::belief::credibility::Credibility::new("fake".into(), None);
        for minutes in [0, 1, 3] {
            credibility.put_off(0, hour_ago + minutes * 60_000_000, "450");
        }
    }
    scene.source.trust.examine(0).await.unwrap_err();
    assert_eq!(scene.ask("jones").await, YES, "and somebody is taken");
    assert_eq!(scene.ask("brown").await, Finding::Unavailable);
    assert_eq!(scene.class(), Class::Honest.word());
}
