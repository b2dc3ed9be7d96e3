//! What operators feed: text and CSV in every shape, and every malformed line told.

mod adoption;

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
