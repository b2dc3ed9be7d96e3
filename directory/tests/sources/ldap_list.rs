//! Directories that are listed: on real slapd, whole and by what changes, and on a fake that does
//! what slapd cannot be made to do. What is done with any list is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod changes;
mod faults;
mod real;

use directory::ldap::{Bind, Export, Ldap, LdapList, Mode, Preset, Protection, Settings, Template};
use directory::list::{DomainScope, Failing, Listed, LoadError, Scope};
use directory::live::{TroubleKind, try_out};
use directory::load::guard::{Hold, Outcome};
use directory::{
    Canonical, Environment, Finding, Question, RecipientList, RecipientSource, SourceAnswer,
};
use kit::fake_ldap::Search;
use kit::slapd::{ADMIN_PASSWORD, READER_PASSWORD, Setup, is_here};
use kit::{FakeLdap, Folder, LdapAnswer, Shape, Slapd, wait_until};
use mail::address::{Domain, LocalPart};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire::server::{NextHopHost, Trust};

fn settings(preset: Preset, servers: &[SocketAddr], base: &str) -> Settings {
    let host =
        |address: &SocketAddr| NextHopHost { host: address.ip().to_string(), port: address.port() };
    let attributes = match preset {
        Preset::Custom => vec!["mail".to_owned()],
        preset => preset.attributes().iter().map(|&name| name.to_owned()).collect(),
    };
    let each: String = attributes.iter().map(|name| format!("({name}=*)")).collect();
    let filter = match preset {
        Preset::ActiveDirectory => "(proxyAddresses=smtp:*)".to_owned(),
        _ => format!("(|{each})"),
    };
    let (every, changes) = (Duration::from_secs(21_600), Duration::from_nanos(1));
    Settings {
        name: "test".to_owned(),
        preset,
        servers: servers.iter().map(host).collect(),
        protection: Protection::Plain,
        trust: Trust::SystemRoots,
        tls_name: None,
        bind: None,
        base: base.to_owned(),
        filter: Template::parse("(mail={address})").unwrap(),
        mode: Mode::Snapshot(Export { every, changes, attributes, filter }),
        target_attribute: None,
        answer_max: Duration::from_secs(30),
        connect_max: Duration::from_secs(30),
        connections_max: 2,
        outstanding_max: 32,
        idle_max: Duration::from_secs(300),
        age_max: Duration::from_secs(3_600),
        positive: Duration::ZERO,
        negative: Duration::ZERO,
    }
}

/// As the account that reads, and has limits.
fn of(slapd: &Slapd, folder: &Folder) -> Settings {
    let preset = match slapd.shape {
        Shape::OpenLdap => Preset::OpenLdap,
        Shape::ActiveDirectory => Preset::ActiveDirectory,
        Shape::Exchange55 => Preset::Exchange55,
    };
    let password_file = folder.write("password", format!("{READER_PASSWORD}\n"));
    let bind = Some(Bind { dn: slapd.reader(), password_file });
    Settings { bind, ..settings(preset, &[slapd.address], slapd.shape.base()) }
}

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

/// A list, as one process has it.
struct Listing {
    list: Listed,
    told: Arc<Mutex<Vec<String>>>,
}

impl Listing {
    /// Opened, and not read unless the state directory says so.
    fn open(settings: Settings, folder: &Folder) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = Arc::clone(&told);
        let environment = Environment {
            state_directory: Some(folder.path().to_owned()),
            tell: Arc::new(move |event, _, detail| {
                teller.lock().unwrap().push(format!("{}: {detail}", event.name()));
            }),
            ..Environment::bare(Domain::new("mx.example.test").unwrap())
        };
        let alias = Domain::new("example.org").unwrap();
        let scope =
            DomainScope { aliases: vec![alias], ..DomainScope::new(DomainId(0), &domain()) };
        let lister = LdapList::new(&Arc::new(settings), std::slice::from_ref(&scope), &environment);
        let lister = lister.unwrap().expect("a snapshot");
        let (list, _) = Listed::open(lister, Scope::new(vec![scope]), &environment);
        Self { list, told }
    }

    /// Opened and read.
    fn read(settings: Settings, folder: &Folder) -> Self {
        let listing = Self::open(settings, folder);
        let outcomes = listing.list.poll();
        assert!(
            outcomes[..].iter().all(Outcome::is_adopted) && !outcomes.is_empty(),
            "{outcomes:?}"
        );
        listing
    }

    /// Lets it look for changes, which are none that make it read everything.
    fn follow(&self) {
        let outcomes = self.list.poll();
        assert!(outcomes.is_empty(), "{outcomes:?} {:?}", self.told.lock().unwrap());
    }

    /// Lets it look for changes, which make it read everything.
    fn follow_by_reading(&self) {
        let outcomes = self.list.poll();
        assert!(!outcomes.is_empty() && outcomes.iter().all(Outcome::is_adopted), "{outcomes:?}");
    }

    fn find(&self, local_part: &str) -> Finding {
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
        match self.list.look_up(&question) {
            SourceAnswer::Now(finding) => finding,
            SourceAnswer::Later(_) => panic!("a list is in memory"),
        }
    }

    fn knows(&self, local_part: &str) -> bool {
        match self.find(local_part) {
            Finding::Exists { .. } => true,
            Finding::Unknown => false,
            other => panic!("{local_part}: {other:?}"),
        }
    }

    fn target(&self, local_part: &str) -> Option<String> {
        match self.find(local_part) {
            Finding::Exists { target, .. } => target.map(|target| target.to_string()),
            other => panic!("{local_part}: {other:?}"),
        }
    }

    fn addresses(&self) -> u64 {
        self.list.statistics().addresses
    }

    /// What goes wrong with a reading.
    fn failing(&self) -> (Failing, String) {
        match self.list.reload(None).pop() {
            Some(Outcome::Failed { error: LoadError::Elsewhere { failing, source }, .. }) => {
                (failing, source.to_string())
            }
            other => panic!("{other:?}"),
        }
    }
}

fn big(shape: Shape) -> Setup {
    Setup { people: 2_500, entries_max: Some(500), ..Setup::new(shape) }
}

#[test]
fn each_shape_of_directory_is_listed_in_pages_however_low_its_limit() {
    if !is_here() {
        return;
    }
    for shape in [Shape::OpenLdap, Shape::ActiveDirectory, Shape::Exchange55] {
        let (slapd, folder) = (Slapd::start(big(shape)), Folder::new());
        let settings = of(&slapd, &folder);
        let listing = Listing::read(settings.clone(), &folder);
        assert_eq!(listing.addresses(), 5_000, "{shape:?}");
        assert!(listing.knows("person0001") && listing.knows("Alias2500"), "{shape:?}");
        assert!(!listing.knows("nobody"), "{shape:?}");
        let said = try_out(Arc::new(Ldap::new(Arc::new(settings)).unwrap())).unwrap();
        assert!(said.contains("500 entries and more with "), "{said}");
        assert!(said.contains("changes by syncrepl"), "{said}");
        follows(&slapd, &listing);
    }
}

/// Adds, changes, renames and deletes people, of whom the directory tells by syncrepl.
fn follows(slapd: &Slapd, listing: &Listing) {
    let (shape, dn) = (slapd.shape, slapd.shape.dn("person0001"));
    slapd.add_ldif(&shape.entry("new", 9_001, "new@example.test", &["person0002@example.test"]));
    listing.follow();
    assert!(listing.knows("new"), "{shape:?}");
    let (attribute, value) = match shape {
        Shape::OpenLdap => ("mail", "changed@example.test"),
        Shape::ActiveDirectory => ("proxyAddresses", "SMTP:changed@example.test"),
        Shape::Exchange55 => ("mail", "changed@example.test"),
    };
    let replaced =
        format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n");
    slapd.modify(&replaced);
    listing.follow();
    assert!(listing.knows("changed"), "{shape:?}");
    assert!(!listing.knows("person0001"), "{shape:?}");
    let rdn = if shape == Shape::OpenLdap { "uid" } else { "cn" };
    slapd
        .modify(&format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}=renamed\ndeleteoldrdn: 1\n"));
    listing.follow();
    assert!(listing.knows("changed"), "{shape:?}: a new name is no new person");
    slapd.delete(&shape.dn("renamed"));
    slapd.delete(&shape.dn("person0002"));
    listing.follow();
    assert!(!listing.knows("changed") && !listing.knows("alias0002"), "{shape:?}");
    assert!(listing.knows("person0002"), "{shape:?}: somebody else has it, too");
    slapd.delete(&shape.dn("new"));
    listing.follow();
    assert!(!listing.knows("person0002"), "{shape:?}: and now nobody");
}

#[test]
fn a_restart_on_either_side_loses_no_change() {
    if !is_here() {
        return;
    }
    let (mut slapd, folder) = (Slapd::start(big(Shape::OpenLdap)), Folder::new());
    let shape = slapd.shape;
    let listing = Listing::read(of(&slapd, &folder), &folder);
    slapd.delete(&shape.dn("person0003"));
    listing.follow();
    assert!(!listing.knows("person0003"));
    drop(listing);
    slapd.delete(&shape.dn("person0004"));
    slapd.add_ldif(&shape.entry("late", 9_001, "late@example.test", &[]));
    // What was kept is of before all of that, and is brought up to date without a reading.
    let listing = Listing::open(of(&slapd, &folder), &folder);
    assert!(listing.knows("person0003") && listing.knows("person0004"));
    listing.follow();
    assert!(!listing.knows("person0003") && !listing.knows("person0004"));
    assert!(listing.knows("late"));
    slapd.stop();
    let outcomes = listing.list.poll();
    assert!(matches!(outcomes[..], [Outcome::Failed { .. }]), "{outcomes:?}");
    assert!(listing.knows("late"), "what is in use stays in use");
    slapd.restart();
    slapd.delete(&shape.dn("late"));
    // It has forgotten what was deleted before, so it may say what is still there instead.
    wait_until("the deletion is found", || {
        listing.list.poll();
        !listing.knows("late")
    });
    assert!(listing.knows("person0005") && !listing.knows("person0004"));
}

#[test]
fn numbers_of_changes_are_followed_and_who_was_deleted_is_known_by_its_guid() {
    if !is_here() {
        return;
    }
    let root = |usn: u32| {
        format!(
            "highestCommittedUSN: {usn}\ndsServiceName: cn=NTDS Settings,cn=DC1,dc=example,dc=test"
        )
    };
    let setup = Setup { root: root(3_500), ..big(Shape::ActiveDirectory) };
    let (mut slapd, folder) = (Slapd::start(setup), Folder::new());
    let listing = Listing::read(of(&slapd, &folder), &folder);
    listing.follow();
    let shape = slapd.shape;
    let gone = shape.entry("person0001", 1_001, "x@example.test", &[]);
    let gone: String = gone
        .replace("cn=Users", "cn=Deleted Objects")
        .replace("uSNChanged: 1001", "uSNChanged: 3501\nisDeleted: TRUE")
        .lines()
        .filter(|line| !line.starts_with("mail:") && !line.starts_with("proxyAddresses:"))
        .map(|line| format!("{line}\n"))
        .collect();
    slapd.delete(&shape.dn("person0001"));
    slapd.add_ldif(&format!("{gone}\n"));
    slapd.add_ldif(&shape.entry("new", 3_502, "new@example.test", &[]));
    slapd.folder.write("root.ldif", format!("dn:\n{}\n\n", root(3_502)));
    slapd.restart();
    listing.follow();
    assert!(listing.knows("new") && !listing.knows("person0001") && !listing.knows("alias0001"));
    drop(listing);
    let listing = Listing::open(of(&slapd, &folder), &folder);
    assert!(listing.knows("person0001"));
    listing.follow();
    assert!(listing.knows("new") && !listing.knows("person0001"));
}

#[test]
fn an_emptied_tree_takes_nobody_away_and_says_so() {
    if !is_here() {
        return;
    }
    let setup = Setup { people: 50, ..Setup::new(Shape::OpenLdap) };
    let (slapd, folder) = (Slapd::start(setup), Folder::new());
    let listing = Listing::read(of(&slapd, &folder), &folder);
    for n in 2..=50 {
        slapd.delete(&slapd.shape.dn(&format!("person{n:04}")));
    }
    // What changed would take too many away, so everything is read, and held back.
    let outcomes = listing.list.poll();
    let [Outcome::Judged { domains, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(domains[0].hold, Some(Hold::Shrunk { before: 100, now: 2 }));
    assert!(listing.knows("person0050"));
    let preview = listing.list.preview().unwrap();
    assert_eq!((preview.entries, preview.domains[0].before), (2, Some(100)));
    assert_eq!(preview.differences.as_ref().unwrap().removed, 98);
    assert!(preview.is_removed(b"person0050", "example.test"));
    slapd.delete(&slapd.shape.dn("person0001"));
    let (failing, what) = listing.failing();
    assert_eq!(failing, Failing::Answer);
    assert!(what.contains("nobody below"), "{what}");
    assert!(listing.knows("person0001"));
}
