//! Lists that are no files: odd rows, changes in between, servers that hang, and previews.

use super::*;
use crate::file::{self, FileSource};
use crate::load::guard::{Confirmation, Hold, Outcome};
use crate::snapshot::Differences;
use crate::snapshot::overlay::CHANGES_MAX;
use crate::target::Target;
use crate::watch::Watcher;
use crate::{
    Canonical, Environment, Finding, Question, RecipientList, RecipientSource, SourceAnswer,
};
use mail::address::{Domain, LocalPart, Mailbox};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// What a server would say.
#[derive(Default)]
struct Script {
    rows: Vec<String>,
    token: u64,
    is_due: bool,
    reads: usize,
    changes: VecDeque<Changes>,
    /// The version of the last question for changes.
    asked: Option<Version>,
    /// Says that reading has begun, and waits to be let go on.
    gate: Option<(Sender<()>, Receiver<()>)>,
}

#[derive(Clone)]
struct Server {
    name: Arc<str>,
    script: Arc<Mutex<Script>>,
}

impl Server {
    fn new(rows: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let rows = rows.into_iter().map(Into::into).collect();
        let script = Script { rows, is_due: true, ..Script::default() };
        Self { name: "sql people".into(), script: Arc::new(Mutex::new(script)) }
    }

    fn script<T>(&self, what: impl FnOnce(&mut Script) -> T) -> T {
        what(&mut self.script.lock().unwrap())
    }

    fn has(&self, rows: impl IntoIterator<Item = impl Into<String>>) {
        let rows = rows.into_iter().map(Into::into).collect();
        self.script(|script| (script.rows, script.is_due) = (rows, true));
    }

    fn says(&self, changes: impl IntoIterator<Item = (String, Change)>) {
        let changes = changes.into_iter();
        let changes =
            changes.map(|(address, change)| ListChange { address: address.into(), change });
        self.script(|script| {
            script.token += 1;
            let version = version(script.token);
            script.changes.push_back(Changes::Some { changes: changes.collect(), version });
        });
    }

    /// Lets the next reading begin, and hang.
    fn hangs(&self) -> (Receiver<()>, Sender<()>) {
        let ((begun, has_begun), (go_on, let_go)) = (channel(), channel());
        self.script(|script| script.gate = Some((begun, let_go)));
        (has_begun, go_on)
    }
}

fn version(token: u64) -> Version {
    Version { modified_nanoseconds: 1, token: token.to_string().into() }
}

impl Lister for Server {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn identity(&self) -> String {
        self.name.to_string()
    }

    fn fingerprint(&self) -> String {
        String::new()
    }

    fn resume(&self, _kept: &Version) -> bool {
        self.script(|script| script.is_due = false);
        true
    }

    fn is_due(&self, _now: i64) -> bool {
        self.script(|script| script.is_due)
    }

    fn read(&self, intake: &mut Intake<'_>) -> Result<Version, LoadError> {
        let gate = self.script(|script| script.gate.take());
        if let Some((begun, let_go)) = gate {
            begun.send(()).unwrap();
            let _ = let_go.recv_timeout(LONG);
        }
        self.script(|script| {
            script.reads += 1;
            for (row, value) in (1..).zip(&script.rows) {
                let (value, target) = value
                    .split_once(' ')
                    .map_or((&**value, None), |(v, t)| (v, Some(t.as_bytes())));
                let targets: Vec<Vec<u8>> = target.map(Vec::from).into_iter().collect();
                intake.take_value(row, value.as_bytes(), &targets);
            }
            Ok(version(script.token))
        })
    }

    fn took(&self, _read: Result<&Version, &LoadError>, _now: i64) {
        self.script(|script| script.is_due = false);
    }

    fn changes(&self, version: &Version, _now: i64) -> Result<Changes, LoadError> {
        self.script(|script| {
            script.asked = Some(version.clone());
            Ok(script.changes.pop_front().unwrap_or(Changes::None))
        })
    }
}

fn settings() -> DomainSettings {
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

fn scope(canary: Option<&str>) -> Scope {
    let canary = canary.map(|canary| Mailbox::parse(canary).unwrap());
    Scope::new(vec![DomainScope { canary, ..DomainScope::new(DomainId(0), &settings()) }])
}

fn environment(state_directory: Option<&Path>) -> Environment {
    Environment {
        state_directory: state_directory.map(Path::to_owned),
        ..Environment::bare(Domain::new("mx.example.test").unwrap())
    }
}

/// Opened and read once.
fn opened(server: &Server, canary: Option<&str>) -> Listed {
    let (source, outcomes) = Listed::open(server.clone(), scope(canary), &environment(None));
    assert!(outcomes.is_empty(), "{outcomes:?}");
    let outcomes = source.poll();
    assert!(outcomes[0].is_adopted(), "{outcomes:?}");
    source
}

fn find(source: &dyn RecipientSource, local_part: &str) -> Finding {
    let (settings, local_part) = (settings(), LocalPart::new(local_part).unwrap());
    let canonical = Canonical::new(&local_part, &settings);
    let (settings, local_part) = (&settings, &local_part);
    match source.look_up(&Question {
        domain: DomainId(0),
        settings,
        local_part,
        canonical,
        party: relay::turns::Party::NAMELESS,
    }) {
        SourceAnswer::Now(finding) => finding,
        SourceAnswer::Later(_) => panic!("a list answers at once"),
    }
}

fn exists(source: &dyn RecipientSource, local_part: &str) -> bool {
    match find(source, local_part) {
        Finding::Exists { .. } => true,
        Finding::Unknown => false,
        other => panic!("{other}"),
    }
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("SMTP:p{number}@example.test")).collect()
}

fn removed(numbers: std::ops::Range<usize>) -> impl Iterator<Item = (String, Change)> {
    numbers.map(|number| (format!("p{number}@example.test"), Change::Removed))
}

#[test]
fn an_odd_row_of_an_export_is_passed_over_and_told() {
    let odd = ["x@", "X400:c=DE;s=Jones", "p0@example.test a@b.test", "p1@example.test c@d.test"];
    let server = Server::new(people(20).into_iter().chain(odd.map(String::from)));
    server.script(|script| script.rows.push("p1@example.test e@f.test".into()));
    let (source, _) = Listed::open(server, scope(None), &environment(None));
    let outcomes = source.poll();
    let Outcome::Judged { skipped, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!((skipped.malformed.count(), skipped.not_smtp), (2, 1));
    let rows: Vec<u64> = skipped.malformed.lines.iter().map(|row| row.line).collect();
    assert_eq!(rows, [21, 25]);
    assert!(outcomes[0].to_string().contains("2 malformed rows: line 21"));
    assert!(exists(&source, "p19"));
    assert_eq!(find(&source, "p1"), Finding::Unavailable, "nobody can say where his mail goes");
}

#[test]
fn who_has_a_malformed_target_is_there_and_his_mail_waits() {
    let odd = ["p0@example.test jones", "new@example.test two@words @d.test"].map(String::from);
    let server = Server::new(people(20).into_iter().chain(odd));
    let (source, _) = Listed::open(server, scope(None), &environment(None));
    let outcomes = source.poll();
    let Outcome::Judged { entries, skipped, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!((*entries, skipped.malformed.count(), skipped.malformed.good), (22, 2, 20));
    assert_eq!(find(&source, "p0"), Finding::Unavailable);
    assert_eq!(find(&source, "new"), Finding::Unavailable);
    assert_eq!(find(&source, "newer"), Finding::Unknown);
}

#[test]
fn an_address_as_long_as_tools_make_them_is_an_entry_like_any_other() {
    let longest = "v".repeat(255);
    let rows =
        [format!("{longest}@example.test {longest}@d.test"), format!("w{longest}@example.test")];
    let server = Server::new(people(20).into_iter().chain(rows));
    let (source, _) = Listed::open(server, scope(None), &environment(None));
    let outcomes = source.poll();
    let Outcome::Judged { skipped, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    let rows: Vec<u64> = skipped.malformed.lines.iter().map(|row| row.line).collect();
    assert_eq!(rows, [22]);
    let target = Mailbox::parse(&format!("{longest}@d.test")).ok();
    assert!(matches!(find(&source, &longest), Finding::Exists { target: t, .. } if t == target));
    assert!(!exists(&source, &longest[1..]));
}

#[test]
fn an_export_of_which_a_fifth_is_malformed_is_a_wrong_query() {
    let rows = |odd| people(80).into_iter().chain(vec!["@".into(); odd]);
    let server = Server::new(rows(20));
    let source = opened(&server, None);
    server.has(rows(21));
    let outcomes = source.poll();
    let is_malformed = |outcome: &Outcome| {
        matches!(outcome, Outcome::Failed { error: LoadError::Malformed { .. }, .. })
    };
    assert!(is_malformed(&outcomes[0]), "{outcomes:?}");
    assert!(exists(&source, "p79"));
}

#[test]
fn a_star_in_an_export_is_a_character_and_no_wildcard() {
    let rows = ["*@example.test", "sales-*@example.test", "smtp:a@example.test"];
    let source = opened(&Server::new(rows), None);
    assert!(exists(&source, "*") && exists(&source, "sales-*") && exists(&source, "a"));
    assert!(!exists(&source, "anybody") && !exists(&source, "sales-north"));
    assert_eq!(source.statistics().domains[0].patterns, 0);
}

#[test]
fn a_slow_list_is_unavailable_until_it_was_read_and_then_kept_over_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let environment = environment(Some(state.path()));
    let server = Server::new(people(10));
    let (source, outcomes) = Listed::open(server.clone(), scope(None), &environment);
    assert!(outcomes.is_empty() && find(&source, "p1") == Finding::Unavailable);
    assert!(source.poll()[0].is_adopted());
    assert!(exists(&source, "p1"));
    let (source, outcomes) = Listed::open(server.clone(), scope(None), &environment);
    assert!(outcomes[0].is_adopted() && exists(&source, "p1"));
    assert!(source.poll().is_empty());
    assert_eq!(server.script(|script| script.reads), 1);
    source.reload_soon();
    assert!(source.poll()[0].is_adopted());
    assert_eq!(server.script(|script| script.reads), 2);
}

#[test]
fn changes_are_taken_over_and_asked_for_again_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let environment = environment(Some(state.path()));
    let server = Server::new(people(10));
    let (source, _) = Listed::open(server.clone(), scope(None), &environment);
    source.poll();
    server.says([
        ("New@Example.Test".into(), Change::Added(Target::of_stored(Some("n@inside.test")))),
        ("p1@example.test".into(), Change::Removed),
        ("a@elsewhere.test".into(), Change::Added(Target::Same)),
        ("@".into(), Change::Removed),
    ]);
    assert!(source.poll().is_empty());
    assert!(exists(&source, "new") && !exists(&source, "p1"));
    let statistics = source.statistics();
    assert_eq!((statistics.domains[0].entries, statistics.domains[0].changes), (Some(10), 2));
    source.poll();
    assert_eq!(server.script(|script| script.asked.take()), Some(version(1)));
    let (source, _) = Listed::open(server.clone(), scope(None), &environment);
    source.poll();
    assert_eq!(server.script(|script| script.asked.take()), Some(version(0)));
    assert_eq!(server.script(|script| script.reads), 1);
}

#[test]
fn changes_that_a_guard_would_hold_back_have_the_list_read_whole_and_judged() {
    let server = Server::new(people(100));
    let source = opened(&server, Some("p7@example.test"));
    // The server lies: its own list still has them.
    server.says(removed(20..60));
    assert!(source.poll()[0].is_adopted());
    assert!(exists(&source, "p20"));
    server.says(removed(7..8));
    assert!(source.poll()[0].is_adopted());
    assert!(exists(&source, "p7"));
    // The list says the same: a person is asked, and nothing follows until then.
    server.script(|script| script.rows.truncate(50));
    server.says(removed(20..60));
    let outcomes = source.poll();
    let holds: Vec<_> = outcomes[0].held().map(|(_, hold)| hold.clone()).collect();
    assert_eq!(holds, [Hold::Shrunk { before: 100, now: 50 }]);
    server.says(removed(1..2));
    assert!(source.poll().is_empty());
    assert!(exists(&source, "p1") && exists(&source, "p99"));
}

#[test]
fn more_changes_than_the_overlay_holds_have_the_list_read_whole() {
    let server = Server::new(people(10));
    let source = opened(&server, None);
    let new = |number| (format!("n{number}@example.test"), Change::Added(Target::Same));
    server.says((0..=CHANGES_MAX).map(new));
    assert!(source.poll()[0].is_adopted());
    assert_eq!(server.script(|script| script.reads), 2);
    assert!(!exists(&source, "n0"), "all changes or none");
    let none: [(DomainId, &[u8], Change); 0] = [];
    assert_eq!(source.change_many(none), Ok(0));
    let many: Vec<String> = (0..=CHANGES_MAX).map(|number| format!("n{number}")).collect();
    let many = many.iter().map(|name| (DomainId(0), name.as_bytes(), Change::Added(Target::Same)));
    assert!(source.change_many(many.clone()).is_err() && !exists(&source, "n0"));
    assert_eq!(source.change_many(many.take(CHANGES_MAX)), Ok(CHANGES_MAX as u64));
    assert!(exists(&source, "n0"));
}

#[test]
fn a_confirmation_of_a_list_that_lives_allows_one_in_a_hundred() {
    let server = Server::new(people(1_000));
    let source = opened(&server, None);
    server.has(people(500));
    assert!(!source.poll()[0].is_adopted());
    assert!(!source.reload(Some(Confirmation { entries: 494 }))[0].is_adopted());
    assert!(source.reload(Some(Confirmation { entries: 497 }))[0].is_adopted());
}

#[test]
fn a_preview_says_what_would_change_and_changes_nothing() {
    let server = Server::new(people(100));
    let source = opened(&server, None);
    let rows = people(70).into_iter().chain(["New@example.test".into(), "new@example.test".into()]);
    server.has(rows);
    server.script(|script| script.rows[3] = "p3@example.test t@inside.test".into());
    let preview = source.preview().unwrap();
    let differences = Differences { added: 1, removed: 30, retargeted: 1 };
    assert_eq!(preview.differences, Some(differences));
    assert_eq!(preview.added, ["new@example.test".into()]);
    let judged = &preview.domains[0];
    assert_eq!((judged.before, judged.now, judged.in_use), (Some(100), 72, true));
    assert_eq!(judged.hold, Some(Hold::Shrunk { before: 100, now: 72 }));
    assert!(preview.is_removed(b"p99", "example.test"));
    assert!(!preview.is_removed(b"p1", "example.test"));
    assert!(!preview.is_removed(b"nobody", "example.test"));
    assert!(exists(&source, "p99") && !exists(&source, "new"));
    assert!(server.script(|script| script.is_due), "the schedule has not seen it");
}

#[test]
fn what_is_read_out_says_the_same_as_a_file_of_it() {
    let rows = ["Jones@example.test t@inside.test", "a*b@example.test", "#c@example.test"];
    let odd = ["\"d,e*\"@example.test", "foreign@elsewhere.test"];
    let server = Server::new(rows.into_iter().chain(odd));
    let source = opened(&server, None);
    let mut lines = Vec::new();
    let mut take = |recipient: Recipient<'_>| lines.push(recipient.to_string());
    assert!(source.read_out(&mut take).is_ok());
    let expected = [
        "jones@example.test t@inside.test",
        "\"a*b\"@example.test",
        "\"#c\"@example.test",
        "\"d,e*\"@example.test",
    ];
    assert_eq!(lines, expected);

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let file = crate::file::FileSource::new(file.path());
    let (read, outcomes) = crate::file::open(file, scope(None), &environment(None));
    assert!(outcomes[0].is_adopted(), "{}", outcomes[0]);
    assert!(exists(&read, "a*b") && !exists(&read, "axb"));
    assert!(exists(&read, "#c") && exists(&read, "jones"));
    assert_eq!(read.report().entries, Some(4));
}

#[test]
fn a_list_that_is_not_in_use_says_why_until_one_is() {
    let server = Server::new(people(100));
    let source = opened(&server, None);
    assert_eq!(source.report().last_trouble, None);
    server.has(people(10));
    assert!(!source.poll()[0].is_adopted());
    let report = source.report();
    assert!(report.is_held && report.last_trouble.unwrap().contains("from 100 to 10"));
    assert_eq!(report.entries, Some(100));
    server.has(people(90));
    assert!(source.poll()[0].is_adopted());
    let report = source.report();
    assert_eq!((report.is_held, report.last_trouble, report.entries), (false, None, Some(90)));
}

#[test]
fn a_preview_beside_nothing_names_the_first_thousand() {
    let server = Server::new(people(ADDED_NAMED_MAX + 5));
    let (source, _) = Listed::open_kept(server, scope(None), &environment(None));
    let preview = source.preview().unwrap();
    assert_eq!((preview.differences, preview.added.len()), (None, ADDED_NAMED_MAX));
    assert_eq!(preview.entries, ADDED_NAMED_MAX as u64 + 5);
    assert_eq!(find(&source, "p1"), Finding::Unavailable);
}

#[test]
fn a_server_that_hangs_keeps_no_file_from_being_read_and_no_watcher_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.txt");
    std::fs::write(&path, "a@example.test\n").unwrap();
    let (file, _) = file::open(FileSource::new(&path), scope(None), &environment(None));
    let server = Server::new(people(10));
    let (has_begun, go_on) = server.hangs();
    let (slow, _) = Listed::open(server, scope(None), &environment(None));
    let (file, slow) = (Arc::new(file), Arc::new(slow));
    let (sender, outcomes) = channel();
    let sources: Vec<Arc<dyn RecipientSource>> = vec![slow.clone(), file.clone()];
    let watcher = Watcher::start(sources, Duration::from_millis(5), move |outcome: Outcome| {
        let _ = sender.send(outcome.to_string());
    });
    has_begun.recv_timeout(LONG).unwrap();
    assert_eq!(slow.progress(), Some(0));
    assert!(slow.poll().is_empty(), "whoever else polls does not wait");
    assert_eq!(slow.change(DomainId(0), b"x", Change::Removed), Ok(false), "nor who changes");
    // Beside it, then renamed: the watcher never sees half of it.
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, "a@example.test\nb@example.test\n").unwrap();
    std::fs::rename(fresh, &path).unwrap();
    assert!(outcomes.recv_timeout(LONG).unwrap().starts_with("file "));
    assert!(exists(&*file, "b"));
    drop(watcher);
    // The load that was under way is finished and told.
    go_on.send(()).unwrap();
    assert!(outcomes.recv_timeout(LONG).unwrap().starts_with("sql people"));
    assert!(exists(&*slow, "p9") && slow.progress().is_none());
    let end = outcomes.recv_timeout(LONG);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected), "both threads are gone");
}

#[test]
fn what_a_source_reads_that_was_retired_meanwhile_is_dropped() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::new(people(10));
    let (has_begun, go_on) = server.hangs();
    let (source, _) = Listed::open(server, scope(None), &environment(Some(state.path())));
    let source = Arc::new(source);
    let polling = std::thread::spawn({
        let source = Arc::clone(&source);
        move || source.poll().len()
    });
    has_begun.recv_timeout(LONG).unwrap();
    source.retire();
    go_on.send(()).unwrap();
    assert_eq!(polling.join().unwrap(), 0);
    assert_eq!(find(&*source, "p1"), Finding::Unavailable);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}
