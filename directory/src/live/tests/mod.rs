//! A live source that is made for the purpose, and what is remembered of it; what is believed is
//! `belief.rs`, what a restart or a change of settings leaves of either `kept.rs`.

mod belief;
mod kept;

use super::class::Class;
use super::memory::Lifetimes;
use super::remembered::Remembered;
use super::trust;
use super::trust::{Doubt, Named, Trust, Unbelieved};
use super::{Asking, Behaviour, Existence, LiveSource, RcptReply, Trouble, TroubleKind};
use crate::list::DomainScope;
use crate::store::{Forget, KeptAnswer, Store};
use crate::{
    Canonical, Environment, Finding, Matched, Question, RecipientMemory, RecipientSource,
    SourceAnswer,
};
use mail::address::{Domain, LocalPart, Mailbox};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire::clock;
use wire::lock::lock;

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Right,
    Down,
    Empty,
    YesToAll,
    /// Answers nothing, ever.
    Hangs,
    /// Answers what says neither yes nor no, as with a wrong place in JSON.
    Strange,
    /// As that, but only of those whom it does not know.
    StrangeOfStrangers,
    /// Says 450 to those whom it does not know.
    PutsStrangersOff,
}

struct Fake {
    name: Arc<str>,
    /// As they were asked for.
    heard: Mutex<Vec<String>>,
    people: Mutex<HashSet<String>>,
    mood: Mutex<Mood>,
    /// What is set about whom it is asked for.
    filter: &'static str,
    asked: AtomicU64,
}

impl LiveSource for Fake {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn ask(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence> {
        Box::pin(async move {
            self.asked.fetch_add(1, Relaxed);
            lock(&self.heard).push(mailbox.to_string());
            tokio::task::yield_now().await;
            let mood = *lock(&self.mood);
            let is_there = lock(&self.people).contains(mailbox.local_part.as_str());
            match mood {
                Mood::Down => Err(Trouble::new(TroubleKind::Down, "nobody listens")),
                Mood::Hangs => std::future::pending().await,
                Mood::YesToAll => Ok(Existence::Exists { target: None }),
                Mood::Right | Mood::StrangeOfStrangers | Mood::PutsStrangersOff if is_there => {
                    Ok(Existence::Exists { target: None })
                }
                Mood::Strange | Mood::StrangeOfStrangers => {
                    Err(Trouble::new(TroubleKind::Unexpected, "no such place in the JSON"))
                }
                Mood::PutsStrangersOff => Err(Trouble::new(TroubleKind::Busy, "said 450")
                    .at_rcpt(Some(RcptReply { code: 450, status: None }))),
                Mood::Right | Mood::Empty => Ok(Existence::Unknown),
            }
        })
    }

    fn try_out(self: Arc<Self>) -> Asking<String> {
        Box::pin(async { Ok(String::new()) })
    }

    fn fingerprint(&self) -> String {
        self.filter.to_owned()
    }
}

struct Scene {
    fake: Arc<Fake>,
    source: Arc<Remembered>,
    told: Arc<Mutex<Vec<String>>>,
    settings: DomainSettings,
}

const LIFETIMES: Lifetimes =
    Lifetimes { positive_seconds: 3_600, negative_seconds: 600, vouch_milliseconds: 0 };

/// A second domain of the same source.
const ELSEWHERE: DomainId = DomainId(1);

impl Scene {
    fn new(people: &[&str]) -> Self {
        Self::with(people, LIFETIMES, None, Store::none())
    }

    fn with(people: &[&str], lifetimes: Lifetimes, canary: Option<&str>, store: Store) -> Self {
        Self::filtered("as ever", people, lifetimes, canary, store)
    }

    fn filtered(
        filter: &'static str,
        people: &[&str],
        lifetimes: Lifetimes,
        canary: Option<&str>,
        store: Store,
    ) -> Self {
        let fake = Arc::new(Fake {
            name: "fake".into(),
            heard: Mutex::default(),
            people: Mutex::new(people.iter().map(|name| (*name).to_owned()).collect()),
            mood: Mutex::new(Mood::Right),
            filter,
            asked: AtomicU64::new(0),
        });
        let settings = DomainSettings {
            name: Domain::new("example.test").unwrap(),
            next_hop: NextHopId(0),
            local_part_case: LocalPartCase::Folded,
            sub_address_separator: Some('+'),
            local_part_characters: "".into(),
            catch_all: None,
            postmaster: None,
        };
        let canary = canary.map(|canary| Mailbox::parse(canary).unwrap());
        let scope = DomainScope { canary, ..DomainScope::new(DomainId(0), &settings) };
        let name = Domain::new("example.org").unwrap();
        let elsewhere = DomainSettings { name, ..settings.clone() };
        let scopes = [scope, DomainScope::new(ELSEWHERE, &elsewhere)];
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = Arc::clone(&told);
        let environment = Environment {
            store,
            tell: Arc::new(move |event, _, detail| {
                lock(&teller).push(format!("{} {detail}", event.name()))
            }),
            ..Environment::bare(settings.name.clone())
        };
        let source = Remembered::open(Arc::clone(&fake) as _, lifetimes, &scopes, &environment);
        Self { fake, source: source.unwrap(), told, settings }
    }

    fn mood(&self, mood: Mood) {
        *lock(&self.fake.mood) = mood;
    }

    fn answer(&self, name: &str) -> SourceAnswer {
        self.answer_at(DomainId(0), name)
    }

    fn answer_at(&self, domain: DomainId, name: &str) -> SourceAnswer {
        let local_part = LocalPart::new(name).unwrap();
        let canonical = Canonical::new(&local_part, &self.settings);
        let settings = &self.settings;
        self.source.look_up(&Question {
            domain,
            settings,
            local_part: &local_part,
            canonical,
            party: relay::turns::Party::NAMELESS,
        })
    }

    async fn ask(&self, name: &str) -> Finding {
        self.ask_at(DomainId(0), name).await
    }

    async fn ask_at(&self, domain: DomainId, name: &str) -> Finding {
        match self.answer_at(domain, name) {
            SourceAnswer::Now(finding) => finding,
            SourceAnswer::Later(finding) => finding.await,
        }
    }

    fn class(&self) -> &'static str {
        self.source.report().class.map_or("", Class::word)
    }
}

const YES: Finding = Finding::Exists { target: None, by: Matched::Exact };

#[tokio::test]
async fn known_people_outlive_an_outage_and_strangers_wait_for_its_end() {
    let scene = Scene::new(&["jones", "brown"]);
    assert_eq!(scene.ask("Jones").await, YES);
    assert_eq!(scene.ask("nobody").await, Finding::Unknown);
    scene.mood(Mood::Down);
    assert!(matches!(scene.answer("jones"), SourceAnswer::Now(YES)));
    for _ in 0..3 {
        assert_eq!(scene.ask("brown").await, Finding::Unavailable);
    }
    assert_eq!(scene.ask("never-seen").await, Finding::Unavailable);
    assert_eq!(scene.class(), "down");
    scene.mood(Mood::Right);
    assert_eq!(scene.ask("brown").await, YES);
    assert_eq!(scene.ask("never-seen").await, Finding::Unknown);
    assert_eq!(scene.class(), "honest");
}

#[tokio::test]
async fn the_last_trouble_is_told_with_its_age_also_when_it_is_over() {
    let scene = Scene::new(&["jones"]);
    assert_eq!(scene.source.report().last_trouble_age_seconds, None);
    scene.mood(Mood::Down);
    assert_eq!(scene.ask("jones").await, Finding::Unavailable);
    scene.mood(Mood::Right);
    assert_eq!(scene.ask("jones").await, YES);
    lock(&scene.source.last_trouble).as_mut().unwrap().0 -= 120;
    let report = scene.source.report();
    assert_eq!(report.last_trouble.as_deref(), Some("nobody listens"));
    assert!((120..180).contains(&report.last_trouble_age_seconds.unwrap()), "{report:?}");
    let local_part = LocalPart::new("jones").unwrap();
    let canonical = Canonical::new(&local_part, &scene.settings);
    let (domain, settings) = (DomainId(0), &scene.settings);
    let question = Question {
        domain,
        settings,
        local_part: &local_part,
        canonical,
        party: relay::turns::Party::NAMELESS,
    };
    let account = scene.source.account(&question);
    assert_eq!(account.note.as_deref(), Some("nobody listens"));
    assert!((120..180).contains(&account.note_age_seconds.unwrap()), "{account:?}");
}

#[tokio::test]
async fn an_expired_yes_stands_while_the_source_is_down() {
    let lifetimes = Lifetimes { positive_seconds: 0, negative_seconds: 0, vouch_milliseconds: 0 };
    let scene = Scene::with(&["jones"], lifetimes, None, Store::none());
    assert_eq!(scene.ask("jones").await, YES);
    assert!(matches!(scene.answer("jones"), SourceAnswer::Later(_)), "not believed unasked");
    scene.mood(Mood::Down);
    assert_eq!(scene.ask("jones").await, YES);
}

#[tokio::test]
async fn however_many_ask_the_source_is_asked_once() {
    let scene = Arc::new(Scene::new(&["jones"]));
    assert_eq!(scene.ask("jones").await, YES);
    let before = scene.fake.asked.load(Relaxed);
    let answers: Vec<_> = (0..50).map(|_| scene.answer("brown")).collect();
    let mut asking = tokio::task::JoinSet::new();
    for answer in answers {
        let SourceAnswer::Later(finding) = answer else { panic!("it is not remembered") };
        asking.spawn(finding);
    }
    let found = asking.join_all().await;
    assert!(found.iter().all(|finding| *finding == Finding::Unknown));
    // Once for the address, once for somebody who must be there.
    assert_eq!(scene.fake.asked.load(Relaxed) - before, 2);
}

#[tokio::test]
async fn a_flood_of_names_at_a_hanging_source_is_bounded() {
    let scene = Scene::new(&[]);
    scene.mood(Mood::Hangs);
    let waiting: Vec<_> = (0..300).map(|n| scene.answer(&format!("name{n}"))).collect();
    let mut refused = 0;
    for answer in waiting {
        let SourceAnswer::Later(finding) = answer else { panic!("nothing is remembered") };
        if let Ok(finding) = tokio::time::timeout(Duration::from_millis(1), finding).await {
            assert_eq!(finding, Finding::Unavailable);
            refused += 1;
        }
    }
    assert_eq!(refused, 44);
}

#[tokio::test]
async fn a_sub_address_is_asked_for_by_its_base() {
    let scene = Scene::new(&["jones"]);
    assert_eq!(scene.ask("jones").await, YES);
    let by_base = Finding::Exists { target: None, by: Matched::SubAddress };
    assert_eq!(scene.ask("jones+lists").await, by_base);
    assert!(matches!(scene.answer("jones+lists"), SourceAnswer::Now(found) if found == by_base));
    assert_eq!(scene.ask("brown+lists").await, Finding::Unknown);
}

#[tokio::test]
async fn what_was_answered_outlives_a_restart_and_what_is_forgotten_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path(), |_| {}).unwrap();
    {
        let scene = Scene::with(&["jones", "brown"], LIFETIMES, None, open());
        assert_eq!(scene.ask("jones").await, YES);
        assert_eq!(scene.ask("brown").await, YES);
        assert_eq!(scene.source.forget(&Forget::Address("brown@example.test".into())), 1);
    }
    let scene = Scene::with(&["jones", "brown"], LIFETIMES, None, open());
    scene.mood(Mood::Down);
    assert!(matches!(scene.answer("jones"), SourceAnswer::Now(YES)));
    assert_eq!(scene.ask("brown").await, Finding::Unavailable);
}

#[tokio::test]
async fn what_was_asked_for_before_a_flush_is_not_remembered_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), |_| {}).unwrap();
    let canary = Some("jones@example.test");
    let scene = Scene::with(&["jones"], LIFETIMES, canary, store.clone());
    let SourceAnswer::Later(finding) = scene.answer("brown") else { panic!("nothing is known") };
    let asking = tokio::spawn(finding);
    while scene.fake.asked.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    scene.source.forget(&Forget::All);
    assert_eq!(asking.await.unwrap(), Finding::Unknown);
    assert!(matches!(scene.answer("brown"), SourceAnswer::Later(_)), "not remembered");
    assert!(store.flush());
    assert_eq!(store.load_answers("fake").unwrap(), []);
}

#[tokio::test]
async fn a_no_that_something_else_disproves_is_forgotten_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), |_| {}).unwrap();
    let canary = Some("jones@example.test");
    let scene = Scene::with(&["jones"], LIFETIMES, canary, store.clone());
    assert_eq!(scene.ask("brown").await, Finding::Unknown);
    scene.source.doubt_negative(DomainId(0), b"brown");
    assert!(store.flush());
    assert_eq!(store.load_answers("fake").unwrap(), []);
}

#[tokio::test]
async fn a_sub_address_passes_by_its_mailbox_while_the_source_is_down() {
    let lifetimes = Lifetimes { positive_seconds: 0, negative_seconds: 0, vouch_milliseconds: 0 };
    let scene = Scene::with(&["jones"], lifetimes, None, Store::none());
    assert_eq!(scene.ask("jones").await, YES);
    scene.mood(Mood::Down);
    let by_base = Finding::Exists { target: None, by: Matched::SubAddress };
    assert_eq!(scene.ask("jones+lists").await, by_base);
    assert_eq!(scene.ask("brown+lists").await, Finding::Unavailable);
}
