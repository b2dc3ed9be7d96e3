//! What operators feed: text and CSV in every shape, and every malformed line told.

use super::*;
use crate::chain::{Answer, Directory, DomainDirectory};
use crate::list::{self, Checked, DomainScope, LineProblem as P, MALFORMED_KEPT_MAX};
use crate::load::guard::{Confirmation, Hold, Origin, Outcome};
use crate::snapshot::HashKey;
use crate::snapshot::overlay::Change;
use crate::target::Target;
use crate::{Environment, RecipientList, RecipientSource};
use mail::address::{AddressError, Domain, LocalPart, Mailbox};
use proptest::collection::hash_set;
use proptest::prelude::*;
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use tempfile::TempDir;

fn settings(name: &str, case: LocalPartCase) -> DomainSettings {
    DomainSettings {
        name: Domain::from_unicode(name).unwrap(),
        next_hop: NextHopId(0),
        local_part_case: case,
        sub_address_separator: Some('+'),
        local_part_characters: "".into(),
        catch_all: None,
        postmaster: None,
    }
}

pub(super) fn check(source: &FileSource, scope: &Scope) -> Result<Checked, LoadError> {
    list::check(&FileLister::new(source.clone()), scope)
}

/// A folder with a file and, beside it, a state directory.
pub(super) struct Bench {
    folder: TempDir,
    names: Vec<&'static str>,
    case: LocalPartCase,
    file: &'static str,
    canary: Option<Mailbox>,
    keep: bool,
    pub(super) allowances: Allowances,
}

impl Bench {
    pub(super) fn new(file: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let names = vec!["example.test"];
        Self {
            folder,
            names,
            case: LocalPartCase::Folded,
            file,
            canary: None,
            keep: false,
            allowances: Allowances::default(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(self.file)
    }

    pub(super) fn write(&self, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(), content).unwrap();
    }

    fn domains(&self) -> Vec<DomainSettings> {
        self.names.iter().map(|name| settings(name, self.case)).collect()
    }

    pub(super) fn scope(&self) -> Scope {
        let domains = self.domains();
        let scopes = domains.iter().enumerate().map(|(at, settings)| {
            let scope = DomainScope::new(DomainId(at as u32), settings);
            DomainScope { canary: self.canary.clone().filter(|_| at == 0), ..scope }
        });
        Scope::new(scopes.collect())
    }

    pub(super) fn source(&self) -> FileSource {
        FileSource { allowances: self.allowances, ..FileSource::new(self.path()) }
    }

    pub(super) fn open(&self) -> (Arc<Listed>, Vec<Outcome>) {
        let environment = Environment {
            state_directory: self.keep.then(|| self.folder.path().join("state")),
            new_key: || Ok(HashKey(*b"a key for tests.")),
            ..Environment::bare(Domain::new("mx.example.test").unwrap())
        };
        let (source, outcomes) = super::open(self.source(), self.scope(), &environment);
        (Arc::new(source), outcomes)
    }

    /// Opens a file with this content.
    pub(super) fn with(&self, content: impl AsRef<[u8]>) -> Arc<Listed> {
        self.write(content);
        let (source, outcomes) = self.open();
        assert!(outcomes.iter().all(Outcome::is_adopted), "{outcomes:?}");
        assert!(source.poll().is_empty(), "the state directory takes it");
        source
    }

    pub(super) fn problems(&self, content: impl AsRef<[u8]>) -> (Vec<(u64, P)>, u64, u64) {
        self.write(content);
        let malformed = check(&self.source(), &self.scope()).unwrap().malformed;
        let lines = malformed.lines.iter().map(|error| (error.line, error.problem));
        (lines.collect(), malformed.more, malformed.good)
    }

    pub(super) fn status(&self, source: &Arc<Listed>, address: &str) -> RecipientStatus {
        let (local_part, name) = address.rsplit_once('@').unwrap();
        let at = self.names.iter().position(|known| *known == name).unwrap();
        let sources: Arc<[Arc<dyn RecipientSource>]> = Arc::new([source.clone() as _]);
        let domain = DomainDirectory { sources, ..DomainDirectory::default() };
        let directory = Directory::new(vec![domain; self.names.len()]);
        let local_part = LocalPart::new(local_part).unwrap();
        let domain = &self.domains()[at];
        let zero = std::time::Duration::ZERO;
        let answer = directory.look_up(
            DomainId(at as u32),
            domain,
            &local_part,
            relay::turns::Party::NAMELESS,
            zero,
        );
        let Answer::Now(mut found) = answer else { panic!("a file answers at once") };
        if let RecipientStatus::Exists { ground, .. } = &mut found.status {
            *ground = Ground::Listed; // Patterns are for the tests of the chain.
        }
        found.status
    }

    pub(super) fn exists(&self, source: &Arc<Listed>, address: &str) -> bool {
        match self.status(source, address) {
            RecipientStatus::Exists { .. } => true,
            RecipientStatus::Unknown => false,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn to(target: &str) -> RecipientStatus {
    RecipientStatus::Exists { target: Mailbox::parse(target).ok(), ground: Ground::Listed }
}

pub(super) const PLAIN: RecipientStatus = RecipientStatus::LISTED;

#[test]
fn a_text_file_holds_addresses_targets_patterns_and_comments() {
    let bench = Bench::new("users.txt");
    let file = "# our people\r\n\r\nJones@Example.Test\r\n  green@example.test\t# Tom Green\n\
        info@example.test  sales@inside.test\nbrown@example.test\nsales-*@example.test team@inside.test # all\n\
        \"a b\"@example.test x\n\"s*\"@example.test\nelse@other.test\n*@other.test\n\
        last@example.test OK";
    let source = bench.with(file);
    for address in ["jones", "JONES", "green", "brown", "a b", "s*", "last", "last+tag"] {
        assert_eq!(bench.status(&source, &format!("{address}@example.test")), PLAIN, "{address}");
    }
    assert_eq!(bench.status(&source, "info@example.test"), to("sales@inside.test"));
    assert_eq!(bench.status(&source, "info+x@example.test"), to("sales@inside.test"));
    assert_eq!(bench.status(&source, "Sales-North@example.test"), to("team@inside.test"));
    for address in ["else", "sales", "sx", "our", "x", "ok"] {
        assert!(!bench.exists(&source, &format!("{address}@example.test")), "{address}");
    }
    let checked = check(&bench.source(), &bench.scope()).unwrap();
    assert_eq!((checked.foreign, checked.addresses, checked.targets), (2, 7, 1));
    assert_eq!(checked.domains[0].2, 1);
}

#[test]
fn a_star_alone_takes_every_address_of_its_domain_only() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["example.test", "other.test"];
    let source = bench.with("*@example.test\njones@other.test\n");
    assert!(bench.exists(&source, "anything@example.test"));
    assert!(!bench.exists(&source, "anything@other.test"));
}

#[test]
fn u_labels_aliases_and_trailing_dots_name_the_same_domain() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["b\u{fc}cher.test"];
    let source = bench.with("a@B\u{fc}cher.test\nb@xn--bcher-kva.test\nc@xn--BCHER-kva.test.\n");
    for address in ["a", "b", "c"] {
        assert!(bench.exists(&source, &format!("{address}@b\u{fc}cher.test")), "{address}");
    }
    let alias = Domain::new("alias.test").unwrap();
    let scope = DomainScope {
        id: DomainId(0),
        name: Domain::new("example.test").unwrap(),
        aliases: vec![alias],
        case: LocalPartCase::Folded,
        canary: None,
    };
    bench.write("a@alias.test\na@example.test\nb@alias.test\n");
    let checked = check(&bench.source(), &Scope::new(vec![scope])).unwrap();
    assert_eq!((checked.addresses, checked.foreign), (2, 0));
}

#[test]
fn every_malformed_line_is_told_with_its_number() {
    use AddressError as A;
    let bench = Bench::new("users.txt");
    let (lines, more, good) = bench.problems(
        "ok@example.test\n@example.test\na..b@example.test\na b c\nx@-bad.test\n\
         *********@example.test\na@example.test sales\nb@example.test c@\n\u{e9}@example.test\n\
         c@example.test 1@x.test\nc@example.test 2@x.test\nd@b..test\n",
    );
    let expected = [
        (2, P::LocalPartMissing),
        (3, P::Address(A::LocalPartSyntax)),
        (4, P::ColumnsTooMany),
        (5, P::Address(A::DomainSyntax)),
        (6, P::Pattern(crate::pattern::PatternError::Stars)),
        (7, P::Target(A::DomainMissing)),
        (8, P::Target(A::DomainMissing)),
        (9, P::Address(A::NotAscii)),
        (11, P::TargetConflict { first_line: 10 }),
        (12, P::Address(A::DomainSyntax)),
    ];
    assert_eq!(lines, expected);
    assert_eq!((more, good), (0, 2));
}

#[test]
fn a_file_with_a_malformed_line_is_not_adopted_and_the_good_lines_are_counted() {
    let bench = Bench::new("users.txt");
    let source = bench.with("a@example.test\n");
    bench.write("b@example.test\nbad@\nc@example.test\n");
    let outcomes = source.reload(None);
    let [Outcome::Failed { error: LoadError::Malformed { malformed, .. }, .. }] = &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!((malformed.good, malformed.lines.len()), (2, 1));
    assert!(bench.exists(&source, "a@example.test"));
    assert_eq!(bench.status(&source, "b@example.test"), RecipientStatus::Unavailable);
    assert!(malformed.lines[0].to_string().contains("example: jones@example.test"));
}

#[test]
fn more_than_a_hundred_malformed_lines_are_counted() {
    let bench = Bench::new("users.txt");
    let (lines, more, good) = bench.problems("@\n".repeat(250) + "a@example.test");
    assert_eq!((lines.len(), more, good), (MALFORMED_KEPT_MAX, 150, 1));
}

#[test]
fn endless_lines_and_the_ends_of_pieces_lose_nothing() {
    let bench = Bench::new("users.txt");
    let mut content = String::new();
    for number in 0..40_000 {
        content.push_str(&format!("someone.number.{number}@example.test\n"));
    }
    let source = bench.with(&content);
    for number in 0..40_000 {
        assert!(bench.exists(&source, &format!("someone.number.{number}@example.test")));
    }
    let long = format!("a@example.test\n{}\nb@example.test\n@\n", "x".repeat(700_000));
    let (lines, _, good) = bench.problems(long);
    assert_eq!(lines, [(2, P::TooLong), (4, P::LocalPartMissing)]);
    assert_eq!(good, 2);
}

#[test]
fn a_local_part_alone_needs_a_file_of_one_domain() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["example.test", "other.test"];
    assert_eq!(bench.problems("jones\n").0, [(1, P::DomainMissing)]);
}

#[test]
fn what_windows_tools_write_is_understood() {
    let bench = Bench::new("users.txt");
    let text = "jones@example.test\r\ngreen@example.test\r\n";
    let utf16 = |to: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(to).collect()
    };
    let files =
        [format!("\u{feff}{text}").into_bytes(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)];
    for file in files {
        let source = bench.with(&file);
        assert!(bench.exists(&source, "jones@example.test"));
        assert!(bench.exists(&source, "green@example.test"));
    }
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let source = bench.with(&utf16(order)[2..]);
        assert!(bench.exists(&source, "green@example.test"));
    }
    bench.write("jones@example.test\n\0\0\0\0\0");
    let refused = check(&bench.source(), &bench.scope());
    assert!(matches!(refused, Err(LoadError::Encoding(_))));
    assert_eq!(
        bench.problems(b"a@ex\xe4mple.test").0,
        [(1, P::Address(AddressError::DomainSyntax))]
    );
}

#[test]
fn tables_of_people_have_semicolons_targets_and_patterns() {
    let bench = Bench::new("list.CSV");
    let source = bench.with(
        "Name;E-mail address;Target\nJones;jones@example.test;smtp:tj@inside.test\n\
         Sales;sales-*@example.test;\n;info@example.test, hello@example.test;\n",
    );
    assert_eq!(bench.status(&source, "jones@example.test"), to("tj@inside.test"));
    for local_part in ["sales-1", "info", "hello"] {
        assert_eq!(bench.status(&source, &format!("{local_part}@example.test")), PLAIN);
    }
    let tabs = bench.with("mail\tname\na@example.test\tx, y\n");
    assert!(bench.exists(&tabs, "a@example.test"));
}

#[test]
fn a_table_without_an_address_column_or_with_a_torn_row_is_refused() {
    let bench = Bench::new("list.csv");
    bench.write("Name,Phone\nJones,123\n");
    let refused = check(&bench.source(), &bench.scope());
    assert!(matches!(refused, Err(LoadError::ColumnMissing { .. })));
    let torn = "name,mail\nJones,jones@example.test\nGreen\nTom,Tom Brown\n\
        x,\"open@example.test\na@example.test\n";
    let (lines, _, good) = bench.problems(torn);
    let syntax = P::Address(AddressError::LocalPartSyntax);
    let differ = P::ColumnsDiffer { header: 2, found: 1 };
    assert_eq!(lines, [(3, differ), (4, syntax), (5, P::LineBreak)]);
    assert_eq!(good, 1);
}

#[test]
fn a_table_of_any_octets_is_read_to_its_end() {
    proptest!(ProptestConfig::with_cases(256), |(value in "[a@;,%:$ \t\nS\"*.]{0,24}")| {
        let bench = Bench::new("list.csv");
        bench.write(format!("mail,target\n{value}\n{value},\n"));
        // That this returns is the test: a value once made the splitter go round for ever.
        prop_assert!(check(&bench.source(), &bench.scope()).is_ok());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_address_put_in_is_found_in_any_case_and_no_other(
        inside in hash_set("[A-Za-z0-9][a-zA-Z0-9._=/-]{0,8}[a-z]", 1..40),
        outside in hash_set("[a-z]{1,9}", 0..40),
    ) {
        let inside: Vec<_> = inside.into_iter().filter(|l| !l.contains("..")).collect();
        prop_assume!(!inside.is_empty());
        let list: String = inside.iter().map(|l| format!("{l}@example.test\n")).collect();
        for case in [LocalPartCase::Folded, LocalPartCase::Exact] {
            let mut bench = Bench::new("users.txt");
            bench.case = case;
            let source = bench.with(&list);
            for local_part in &inside {
                let found = bench.exists(&source, &format!("{local_part}@example.test"));
                prop_assert!(found, "{}", local_part);
                for other in [local_part.to_ascii_uppercase(), local_part.to_ascii_lowercase()] {
                    let found = bench.exists(&source, &format!("{other}@example.test"));
                    let same = case == LocalPartCase::Folded || inside.contains(&other);
                    prop_assert_eq!(found, same);
                }
            }
            let listed = |l: &String| match case {
                LocalPartCase::Folded => inside.iter().any(|i| i.eq_ignore_ascii_case(l)),
                LocalPartCase::Exact => inside.contains(l),
            };
            for local_part in outside.iter().filter(|l| *l != "abuse" && *l != "postmaster") {
                let found = bench.exists(&source, &format!("{local_part}@example.test"));
                prop_assert_eq!(found, listed(local_part));
            }
        }
    }
}

pub(super) fn people(count: usize) -> String {
    (0..count).map(|number| format!("p{number}@example.test\n")).collect()
}

pub(super) fn holds(outcomes: &[Outcome]) -> Vec<Hold> {
    outcomes.iter().flat_map(Outcome::held).map(|(_, hold)| hold.clone()).collect()
}

#[test]
fn a_load_that_shrinks_waits_for_a_person_who_confirms_what_is_there() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(100));
    bench.write(people(70));
    assert_eq!(holds(&source.reload(None)), [Hold::Shrunk { before: 100, now: 70 }]);
    assert!(bench.exists(&source, "p99@example.test"));
    assert!(!source.reload(Some(Confirmation { entries: 71 }))[0].is_adopted());
    assert!(source.reload(Some(Confirmation { entries: 70 }))[0].is_adopted());
    assert!(!bench.exists(&source, "p99@example.test"));
}

#[test]
fn a_source_that_fails_at_start_is_unavailable_and_never_unknown() {
    let mut bench = Bench::new("users.txt");
    let unavailable = |bench: &Bench| {
        let (source, outcomes) = bench.open();
        assert!(!outcomes[0].is_adopted());
        assert_eq!(bench.status(&source, "p1@example.test"), RecipientStatus::Unavailable);
        outcomes
    };
    assert!(matches!(
        unavailable(&bench)[0],
        Outcome::Failed { error: LoadError::Io { .. }, domains_in_use: 0, .. }
    ));
    bench.write("# nobody\n");
    assert_eq!(holds(&unavailable(&bench)), [Hold::Empty]);
    bench.write("bad@\n");
    unavailable(&bench);
    let canary = Mailbox::parse("Canary@example.test").unwrap();
    bench.canary = Some(canary.clone());
    bench.write(people(3));
    assert_eq!(holds(&unavailable(&bench)), [Hold::CanaryMissing(canary)]);
    bench.write(people(3) + "canary@example.test\n");
    assert!(bench.open().1[0].is_adopted());
    bench.canary = Some(Mailbox::parse("canary@elsewhere.test").unwrap());
    unavailable(&bench);
}

#[test]
fn in_a_shared_file_only_the_domain_that_lost_its_addresses_is_held_back() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["example.test", "other.test"];
    let source = bench.with(people(10) + "a@other.test\nb@other.test\n");
    bench.write(people(11));
    let outcomes = source.reload(None);
    assert_eq!(holds(&outcomes), [Hold::Empty]);
    assert!(bench.exists(&source, "p10@example.test"));
    assert!(bench.exists(&source, "b@other.test"));
    let statistics = source.statistics();
    assert_eq!(statistics.domains[0].entries, Some(11));
    assert_eq!(statistics.domains[1].entries, Some(2));
}

#[test]
fn a_missing_canary_holds_back_its_own_domain_and_no_confirmation_helps() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["example.test", "other.test"];
    bench.canary = Mailbox::parse("p5@example.test").ok();
    bench.write(people(5) + "a@other.test\n");
    let (source, outcomes) = bench.open();
    assert!(matches!(holds(&outcomes)[..], [Hold::CanaryMissing(_)]));
    assert_eq!(bench.status(&source, "p1@example.test"), RecipientStatus::Unavailable);
    assert!(bench.exists(&source, "a@other.test"));
    assert!(!source.reload(Some(Confirmation { entries: 6 }))[0].is_adopted());
    bench.write(people(6) + "a@other.test\n");
    assert!(source.reload(None)[0].is_adopted());
    assert!(bench.exists(&source, "p1@example.test"));
}

#[test]
fn a_single_change_counts_until_the_next_load() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(10));
    let change = |local_part: &str, change| {
        source.change(DomainId(0), local_part.as_bytes(), change).unwrap()
    };
    assert!(change("new", Change::Added(Target::of_stored(Some("n@inside.test")))));
    assert!(change("p1", Change::Removed));
    assert_eq!(bench.status(&source, "new@example.test"), to("n@inside.test"));
    assert!(!bench.exists(&source, "p1@example.test"));
    assert!(source.reload(None)[0].is_adopted());
    assert!(!bench.exists(&source, "new@example.test"));
    assert!(bench.exists(&source, "p1@example.test"));
    assert_eq!(source.change(DomainId(9), b"x", Change::Removed), Ok(false));
}

fn origin(outcomes: &[Outcome]) -> Vec<Option<Origin>> {
    let origin = |outcome: &Outcome| match outcome {
        Outcome::Judged { origin, .. } => Some(*origin),
        Outcome::Failed { .. } | Outcome::CacheFailed { .. } => None,
    };
    outcomes.iter().map(origin).collect()
}

#[test]
fn an_unchanged_file_is_taken_from_the_state_directory() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    bench.with(people(10) + "info@example.test a@b.test\ns-*@example.test c@d.test\n");
    let (source, outcomes) = bench.open();
    assert_eq!(origin(&outcomes), [Some(Origin::Cache)]);
    assert!(bench.exists(&source, "p9@example.test"));
    assert_eq!(bench.status(&source, "info@example.test"), to("a@b.test"));
    assert_eq!(bench.status(&source, "s-1@example.test"), to("c@d.test"));
    assert!(!bench.exists(&source, "p10@example.test"));
    bench.write(people(11));
    assert_eq!(origin(&bench.open().1), [Some(Origin::Cache), Some(Origin::Source)]);
}

#[test]
fn the_guards_remember_over_a_restart_and_what_was_in_use_stays_in_use() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    bench.with(people(100));
    bench.write(people(10));
    for _ in 0..2 {
        let (source, outcomes) = bench.open();
        assert_eq!(holds(&outcomes), [Hold::Shrunk { before: 100, now: 10 }]);
        assert!(bench.exists(&source, "p99@example.test"));
    }
    // With other settings the hashes are worthless, but not the count.
    bench.case = LocalPartCase::Exact;
    let (source, outcomes) = bench.open();
    assert_eq!(holds(&outcomes), [Hold::Shrunk { before: 100, now: 10 }]);
    assert_eq!(bench.status(&source, "p1@example.test"), RecipientStatus::Unavailable);
}

#[test]
fn a_damaged_state_directory_is_told_and_the_file_read() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    bench.with(people(100));
    let mut entries = std::fs::read_dir(bench.folder.path().join("state")).unwrap();
    let kept = entries.next().unwrap().unwrap().path();
    let mut octets = std::fs::read(&kept).unwrap();
    octets[200] ^= 1;
    std::fs::write(&kept, octets).unwrap();
    let (source, outcomes) = bench.open();
    assert_eq!(origin(&outcomes), [None, Some(Origin::Source)]);
    assert!(matches!(outcomes[0], Outcome::CacheFailed { .. }));
    assert!(source.poll().is_empty());
    assert!(bench.exists(&source, "p99@example.test"));
    assert_eq!(origin(&bench.open().1), [Some(Origin::Cache)]);
}

#[test]
fn a_changed_file_is_loaded_once_it_has_been_quiet() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(10));
    assert!(source.poll().is_empty());
    bench.write(people(11));
    assert!(source.poll().is_empty());
    bench.write(people(12));
    assert!(source.poll().is_empty());
    assert!(source.poll()[0].is_adopted());
    assert!(bench.exists(&source, "p11@example.test"));
    assert!(source.poll().is_empty());
    std::fs::remove_file(bench.path()).unwrap();
    assert!(source.poll().is_empty());
    assert!(matches!(source.poll()[0], Outcome::Failed { domains_in_use: 1, .. }));
    assert!(source.poll().is_empty(), "a missing file is told once");
    assert!(bench.exists(&source, "p11@example.test"));
}

#[test]
fn statistics_say_what_an_address_costs() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(1_000) + "s-*@example.test\n");
    let statistics = source.statistics();
    assert_eq!(statistics.octets_per_address(), Some(9.0));
    assert_eq!((statistics.addresses, statistics.domains[0].patterns), (1_000, 1));
    assert_eq!(statistics.domains[0].entries, Some(1_001));
    assert!(statistics.domains[0].modified_nanoseconds > Some(0));
}

#[test]
fn a_confirmation_in_the_state_directory_is_taken_at_the_next_poll() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    let source = bench.with(people(100));
    source.poll();
    bench.write(people(70));
    source.poll();
    assert_eq!(holds(&source.poll()), [Hold::Shrunk { before: 100, now: 70 }]);
    source.leave_confirmation(Confirmation { entries: 71 }).unwrap().unwrap();
    assert_eq!(holds(&source.poll()), [Hold::Shrunk { before: 100, now: 70 }]);
    assert!(source.poll().is_empty());
    source.leave_confirmation(Confirmation { entries: 70 }).unwrap().unwrap();
    assert!(source.poll()[0].is_adopted());
    assert!(!bench.exists(&source, "p99@example.test"));
    // One that comes too late is not kept for another day.
    source.leave_confirmation(Confirmation { entries: 10 }).unwrap().unwrap();
    bench.write(people(69));
    source.poll();
    assert!(source.poll()[0].is_adopted());
    bench.write(people(10));
    source.poll();
    assert!(!source.poll()[0].is_adopted());
    assert!(source.poll().is_empty());
}
