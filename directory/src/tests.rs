//! The chain of sources and what is configured around them, with sources made for the purpose.

use super::*;
use crate::list::DomainScope;
use crate::load::guard::Outcome;
use crate::pattern::Pattern;
use crate::store::Forget;
use crate::watch::Watcher;
use mail::address::Domain;
use mail::address::{LocalPart, Mailbox};
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use settings::recipients::{FileFormat, FileSettings};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Answers the same for every address but `only`, now or later.
struct Fixed {
    name: Arc<str>,
    only: Option<&'static str>,
    finding: Finding,
    later: bool,
}

impl RecipientSource for Fixed {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn look_up(&self, question: &Question<'_>) -> SourceAnswer {
        let here = self.only.is_none_or(|only| question.canonical.exact() == only.as_bytes());
        let finding = if here { self.finding.clone() } else { Finding::Unknown };
        match self.later {
            true => SourceAnswer::Later(Box::pin(std::future::ready(finding))),
            false => SourceAnswer::Now(finding),
        }
    }
}

const EXISTS: Finding = Finding::Exists { target: None, by: Matched::Exact };
const YES: RecipientStatus = RecipientStatus::LISTED;

fn fixed(only: Option<&'static str>, finding: Finding, later: bool) -> Arc<dyn RecipientSource> {
    let name = if later { "later" } else { "now" };
    Arc::new(Fixed { name: name.into(), only, finding, later })
}

fn settings() -> DomainSettings {
    DomainSettings {
        name: Domain::new("example.test").unwrap(),
        next_hop: NextHopId(0),
        local_part_case: LocalPartCase::Folded,
        sub_address_separator: Some('+'),
        local_part_characters: "".into(),
        catch_all: None,
        postmaster: None,
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

const PATIENCE: Duration = Duration::from_secs(8);

fn ask(domain: &DomainDirectory, settings: &DomainSettings, local_part: &str) -> Found {
    let directory = Directory::new(vec![domain.clone()]);
    let local_part = LocalPart::new(local_part).unwrap();
    let found = match directory.look_up(
        DomainId(0),
        settings,
        &local_part,
        relay::turns::Party::NAMELESS,
        PATIENCE,
    ) {
        Answer::Now(found) => found,
        Answer::Later(found) => ready(found),
    };
    let trace = ready(directory.trace(DomainId(0), settings, &local_part));
    assert_eq!(trace.found, found, "explain tells what happens");
    found
}

fn chain(sources: Vec<Arc<dyn RecipientSource>>) -> DomainDirectory {
    DomainDirectory { sources: sources.into(), ..DomainDirectory::default() }
}

#[test]
fn an_address_is_unknown_only_when_every_source_says_so() {
    use Finding::{Unavailable, Unknown};
    use RecipientStatus as S;
    for later in [false, true] {
        for (first, second, status) in [
            (EXISTS, Unavailable, YES),
            (Unknown, EXISTS, YES),
            (Unavailable, EXISTS, YES),
            (Unknown, Unknown, S::Unknown),
            (Unknown, Unavailable, S::Unavailable),
            (Unavailable, Unknown, S::Unavailable),
        ] {
            for both in [false, true] {
                let sources =
                    vec![fixed(None, first.clone(), later), fixed(None, second.clone(), both)];
                assert_eq!(ask(&chain(sources), &settings(), "x").status, status);
            }
        }
    }
    assert_eq!(ask(&chain(Vec::new()), &settings(), "x").status, S::Unavailable);
}

#[test]
fn a_pattern_is_a_ground_of_its_own() {
    let finding = Finding::Exists { target: None, by: Matched::Pattern("*x".into()) };
    let status = ask(&chain(vec![fixed(None, finding, false)]), &settings(), "x").status;
    assert_eq!(status, RecipientStatus::Exists { target: None, ground: Ground::Pattern });
}

#[test]
fn catch_all_takes_the_unknown_and_never_the_unavailable() {
    let target = Mailbox::parse("all@inside.test").unwrap();
    let settings = DomainSettings { catch_all: Some(target.clone()), ..settings() };
    let unknown = chain(vec![fixed(None, Finding::Unknown, false)]);
    let found = ask(&unknown, &settings, "x");
    let ground = Ground::CatchAll;
    assert_eq!(found.status, RecipientStatus::Exists { target: Some(target), ground });
    assert_eq!(&*found.source, "catch-all");
    let unavailable = chain(vec![fixed(None, Finding::Unavailable, false)]);
    assert_eq!(ask(&unavailable, &settings, "x").status, RecipientStatus::Unavailable);
    assert_eq!(ask(&chain(Vec::new()), &settings, "x").status, RecipientStatus::Unavailable);
}

#[test]
fn postmaster_and_abuse_always_exist() {
    let target = Mailbox::parse("admin@inside.test").unwrap();
    let with = DomainSettings { postmaster: Some(target.clone()), ..settings() };
    for finding in [Finding::Unknown, Finding::Unavailable] {
        for local_part in ["postmaster", "Abuse", "POSTMASTER"] {
            let domain = chain(vec![fixed(None, finding.clone(), true)]);
            let reserved = |target| RecipientStatus::Exists { target, ground: Ground::Reserved };
            assert_eq!(ask(&domain, &settings(), local_part).status, reserved(None));
            let status = ask(&domain, &with, local_part).status;
            assert_eq!(status, reserved(Some(target.clone())));
        }
    }
    let known = chain(vec![fixed(Some("postmaster"), EXISTS, false)]);
    let exact = DomainSettings { local_part_case: LocalPartCase::Exact, ..with };
    assert_eq!(ask(&known, &exact, "PostMaster").status, YES, "the directory knows it");
}

#[test]
fn rules_come_before_sources_and_spare_postmaster() {
    let pattern = |text| Pattern::new(text, LocalPartCase::Folded).unwrap();
    let mut domain = chain(vec![fixed(None, EXISTS, false)]);
    domain.bitbuckets = vec![Bitbucket { pattern: pattern("no*"), reason: "loud".into() }];
    let text: Box<str> = "write to green@example.test".into();
    domain.leavers = vec![Leaver { pattern: pattern("Jones"), text: text.clone() }];
    let bitbucket = RecipientStatus::Bitbucket { reason: "loud".into() };
    let left = RecipientStatus::Left { text };
    assert_eq!(ask(&domain, &settings(), "NoReply").status, bitbucket);
    assert_eq!(ask(&domain, &settings(), "jones").status, left);
    assert_eq!(ask(&domain, &settings(), "jones+lists").status, left);
    assert_eq!(ask(&domain, &settings(), "green").status, YES);
    let all = pattern("*");
    domain.leavers[0].pattern = all.clone();
    domain.bitbuckets[0].pattern = all;
    assert_eq!(ask(&domain, &settings(), "postmaster").status, YES);
    domain.bitbuckets[0].pattern = pattern("abuse");
    assert_eq!(ask(&domain, &settings(), "abuse").status, bitbucket);
    domain.bitbuckets.clear();
    domain.leavers[0].pattern = pattern("postmaster");
    assert_eq!(ask(&domain, &settings(), "postmaster").status, YES);
}

#[test]
fn a_sub_address_has_a_base_unless_nothing_stands_before_it() {
    let canonical = |text: &str| {
        let canonical = Canonical::new(&LocalPart::new(text).unwrap(), &settings());
        canonical.base().map(<[u8]>::to_vec)
    };
    assert_eq!(canonical("Jones+a+b"), Some(b"jones".to_vec()));
    assert_eq!(canonical("jones"), None);
    assert_eq!(canonical("+jones"), None);
    assert_eq!(canonical("jones+${run{id}}"), None);
    let longest = format!("{}+J", "a".repeat(253));
    assert_eq!(canonical(&longest), Some(vec![b'a'; 253]));
    let longest = Canonical::new(&LocalPart::new(&longest).unwrap(), &settings());
    assert_eq!((longest.exact().len(), longest.exact().last()), (255, Some(&b'j')));
}

#[test]
fn explain_names_everyone_who_was_asked() {
    let domain = chain(vec![
        fixed(Some("other"), EXISTS, false),
        fixed(None, EXISTS, true),
        fixed(None, EXISTS, false),
    ]);
    let directory = Directory::new(vec![domain]);
    let jones = LocalPart::new("jones").unwrap();
    let trace = ready(directory.trace(DomainId(0), &settings(), &jones));
    let steps: Vec<_> = trace.steps.iter().map(|step| (&*step.source, &step.finding)).collect();
    let expected: [(&str, &Option<Finding>); 4] = [
        ("bitbucket", &None),
        ("leaver", &None),
        ("now", &Some(Finding::Unknown)),
        ("later", &Some(EXISTS)),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn the_watcher_reports_what_became_of_a_changed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.txt");
    std::fs::write(&path, "a@example.test\n").unwrap();
    let environment = Environment::bare(settings().name);
    let scope = DomainScope::new(DomainId(0), &settings());
    let file = FileSettings {
        path: path.clone(),
        format: FileFormat::Lines,
        bare_names: false,
        accept_good_lines: false,
    };
    let opened = open(&SourceSettings::File(file), &[scope], &environment).ok().unwrap();
    assert!(opened.outcomes[0].is_adopted());
    let domain = chain(vec![opened.source.clone()]);
    assert_eq!(ask(&domain, &settings(), "b").status, RecipientStatus::Unknown);
    let (sender, outcomes) = channel();
    let interval = Duration::from_millis(5);
    let watcher = Watcher::start(vec![opened.source], interval, move |outcome: Outcome| {
        let _ = sender.send(outcome.is_adopted());
    });
    let watcher = watcher.unwrap();
    // Beside it, then renamed: the watcher never sees half of it.
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, "a@example.test\nb@example.test\n").unwrap();
    std::fs::rename(fresh, &path).unwrap();
    assert_eq!(outcomes.recv_timeout(Duration::from_secs(60)), Ok(true));
    assert_eq!(ask(&domain, &settings(), "b").status, YES);
    drop(watcher);
    assert!(outcomes.recv().is_err(), "the thread is gone");
}

#[cfg(feature = "http")]
#[test]
fn a_source_that_cannot_be_opened_makes_nobody_unknown() {
    let settings_ = http::Settings {
        name: "people".into(),
        url: "https://127.0.0.1:1/{address}".into(),
        method: http::Method::Get,
        answer: http::Answer::default(),
        token_file: None,
        trust: wire::server::Trust::Authorities("/nonexistent/ca.pem".into()),
        question_max: Duration::from_secs(1),
        connections_max: 1,
        positive_seconds: 0,
        negative_seconds: 0,
    };
    let environment = Environment::bare(settings().name);
    let scope = DomainScope::new(DomainId(0), &settings());
    let unopened = open(&SourceSettings::Http(Arc::new(settings_)), &[scope], &environment);
    let unopened = unopened.err().unwrap();
    assert_eq!(&**unopened.name(), "http people");
    let domain = chain(vec![fixed(None, Finding::Unknown, false), unopened]);
    assert_eq!(ask(&domain, &settings(), "b").status, RecipientStatus::Unavailable);
}

#[test]
fn random_keys_differ() {
    assert!(snapshot::random_key().unwrap() != snapshot::random_key().unwrap());
}

#[test]
fn every_kind_has_a_name_and_a_sentence() {
    for kind in KINDS {
        assert!(!kind.name.is_empty() && kind.help.ends_with('.'), "{}", kind.name);
    }
}

/// Never answers, and last knew everybody or nobody.
struct Hangs(Arc<str>, bool);

impl RecipientSource for Hangs {
    fn name(&self) -> &Arc<str> {
        &self.0
    }

    fn look_up(&self, _: &Question<'_>) -> SourceAnswer {
        SourceAnswer::Later(Box::pin(std::future::pending()))
    }

    fn memory(&self) -> Option<&dyn RecipientMemory> {
        Some(self)
    }
}

impl RecipientMemory for Hangs {
    fn last_known(&self, _: &Question<'_>) -> Finding {
        if self.1 {
            Finding::Exists { target: None, by: Matched::Exact }
        } else {
            Finding::Unavailable
        }
    }

    fn forget(&self, _: &Forget) -> u64 {
        0
    }

    fn confirm_people_left(&self) -> bool {
        false
    }
}

#[test]
fn where_no_source_answers_in_time_counts_what_is_known_and_what_is_set() {
    let found = |knows, accepts_in_outage, local_part: &str| {
        let here = chain(vec![Arc::new(Hangs("hangs".into(), knows))]);
        let directory = Directory::new(vec![DomainDirectory { accepts_in_outage, ..here }]);
        let local_part = LocalPart::new(local_part).unwrap();
        let patience = Duration::from_millis(1);
        match directory.look_up(
            DomainId(0),
            &settings(),
            &local_part,
            relay::turns::Party::NAMELESS,
            patience,
        ) {
            Answer::Now(_) => panic!("nothing is remembered"),
            Answer::Later(found) => ready(found).status,
        }
    };
    assert_eq!(found(false, false, "jones"), RecipientStatus::Unavailable);
    let exists = |ground| RecipientStatus::Exists { target: None, ground };
    assert_eq!(found(true, false, "jones"), exists(Ground::Remembered));
    assert_eq!(found(false, false, "postmaster"), exists(Ground::Reserved));
    assert_eq!(found(false, true, "jones"), exists(Ground::Outage));
}
