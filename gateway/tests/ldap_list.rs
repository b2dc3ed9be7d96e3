//! Directories that are listed: on real slapd, whole and by what changes, and on a fake that does
//! what slapd cannot be made to do. What is done with any list is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod kit;

use gateway::config::built::NextHopHost;
use gateway::directory::guard::{Hold, Outcome};
use gateway::directory::ldap::{
    Bind, Export, Ldap, LdapList, Mode, Preset, Protection, Settings, Template,
};
use gateway::directory::list::{DomainScope, Failing, Listed, LoadError, Scope};
use gateway::directory::live::{TroubleKind, try_out};
use gateway::directory::{
    Canonical, Environment, Finding, Question, RecipientSource, SourceAnswer,
};
use kit::fake_ldap::Search;
use kit::slapd::{ADMIN_PASSWORD, READER_PASSWORD, Setup, is_here};
use kit::{FakeLdap, Folder, LdapAnswer, Shape, Slapd, wait_until};
use mail::address::{Domain, LocalPart};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
        tls_ca: None,
        tls_name: None,
        bind: None,
        base: base.to_owned(),
        filter: Template::parse("(mail={address})").unwrap(),
        mode: Mode::Snapshot(Export { every, changes, attributes, filter }),
        target_attribute: None,
        answer_max: Duration::from_secs(10),
        connect_max: Duration::from_secs(10),
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
                teller.lock().unwrap().push(format!("{event}: {detail}"));
            }),
            ..Environment::bare(Domain::new("mx.example.test").unwrap())
        };
        let alias = Domain::new("example.org").unwrap();
        let scope =
            DomainScope { aliases: vec![alias], ..DomainScope::new(DomainId(0), &domain()) };
        let lister = LdapList::new(&Arc::new(settings), &[scope.clone()], &environment);
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
        let question = Question { domain, settings: &settings, local_part: &local_part, canonical };
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
        self.list.statistics().unwrap().addresses
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

/// What the fake knows of somebody.
#[derive(Clone, Default)]
struct Somebody {
    name: &'static str,
    usn: u64,
    is_deleted: bool,
    attributes: Vec<(&'static str, &'static str)>,
}

/// A directory with numbers of changes.
#[derive(Clone)]
struct World {
    server: &'static str,
    usn: u64,
    people: Vec<Somebody>,
}

impl World {
    fn with(&mut self, usn: u64, name: &'static str, addresses: &[&'static str]) -> &mut Self {
        self.people.retain(|somebody| somebody.name != name);
        let attributes = addresses.iter().map(|address| ("proxyAddresses", *address)).collect();
        self.people.push(Somebody { name, usn, is_deleted: false, attributes });
        self.usn = usn;
        self
    }

    fn delete(&mut self, usn: u64, name: &'static str) {
        self.people.retain(|somebody| somebody.name != name);
        self.people.push(Somebody { name, usn, is_deleted: true, attributes: Vec::new() });
        self.usn = usn;
    }

    fn answer(&self, search: &Search) -> Vec<LdapAnswer> {
        if search.scope == 0 {
            let usn = self.usn.to_string();
            let root = match &*search.base {
                "" => LdapAnswer::entry(
                    "",
                    &[
                        ("highestCommittedUSN", &*usn),
                        ("dsServiceName", self.server),
                        ("namingContexts", "o=Example"),
                    ],
                ),
                server => LdapAnswer::entry(server, &[("invocationId", "0123456789abcdef")]),
            };
            return vec![root, LdapAnswer::done(0)];
        }
        let number = search.filter.split(">=").nth(1);
        let number = number.map(|text| text.trim_matches(|c: char| !c.is_ascii_digit()));
        let from = number.map_or(0, |text| text.split(')').next().unwrap().parse().unwrap());
        let shows_deleted = search.controls.iter().any(|oid| oid == "1.2.840.113556.1.4.417");
        let with_addresses = search.filter.contains("proxyAddresses");
        let found = self.people.iter().filter(|somebody| {
            somebody.usn >= from
                && (shows_deleted || !somebody.is_deleted)
                && (!with_addresses || !somebody.attributes.is_empty())
        });
        let mut answers: Vec<LdapAnswer> = found
            .map(|somebody| {
                let mut attributes = vec![("objectGUID", somebody.name)];
                if somebody.is_deleted {
                    attributes.push(("isDeleted", "TRUE"));
                }
                attributes.extend(&somebody.attributes);
                let place = if somebody.is_deleted { "cn=Deleted Objects," } else { "" };
                LdapAnswer::entry(&format!("cn={},{place}o=Example", somebody.name), &attributes)
            })
            .collect();
        answers.push(LdapAnswer::PageDone(Vec::new()));
        answers
    }
}

fn of_world(world: &Arc<Mutex<World>>) -> (FakeLdap, Settings) {
    let answering = Arc::clone(world);
    let fake = FakeLdap::start(move |search| answering.lock().unwrap().answer(search));
    let settings = settings(Preset::ActiveDirectory, &[fake.address], "ou=people,o=Example");
    (fake, settings)
}

fn world() -> Arc<Mutex<World>> {
    let mut world = World { server: "cn=NTDS Settings,cn=DC1", usn: 10, people: Vec::new() };
    world.with(5, "jones", &["SMTP:jones@example.test"]);
    world.with(6, "smith", &["SMTP:smith@example.test", "smtp:sales@example.test"]);
    world.with(7, "brown", &["SMTP:brown@example.test", "smtp:Sales@Example.Test"]);
    world.with(10, "green", &["X400:c=US;a= ;p=Example;s=green;", "smtp:green@example.test"]);
    // Enough of them that one who goes is no fifth.
    let few = ["a@example.test", "b@example.test", "c@example.test", "d@example.test"];
    let more = ["e@example.test", "f@example.test", "g@example.test", "h@example.test"];
    let most = ["i@example.test", "j@example.test", "k@example.test", "l@example.test"];
    world.with(10, "others", &[few, more, most].concat());
    Arc::new(Mutex::new(world))
}

#[test]
fn deleted_people_are_shown_by_a_control_and_their_addresses_go_with_the_last_who_had_them() {
    let (world, folder) = (world(), Folder::new());
    let (fake, settings) = of_world(&world);
    let listing = Listing::read(settings, &folder);
    assert_eq!(listing.addresses(), 17);
    listing.follow();
    world.lock().unwrap().delete(11, "smith");
    listing.follow();
    assert!(!listing.knows("smith") && listing.knows("sales"));
    let asked = fake.searches().into_iter().rfind(|search| search.controls.len() == 2).unwrap();
    assert_eq!((&*asked.filter, &*asked.base), ("(uSNChanged>=11)", "o=Example"));
    world.lock().unwrap().with(12, "brown", &["SMTP:brown@example.test"]);
    listing.follow();
    assert!(!listing.knows("sales") && listing.knows("brown"));
    // A mailbox is taken away, the person stays.
    world.lock().unwrap().with(13, "green", &[]);
    listing.follow();
    assert!(!listing.knows("green"));
    assert_eq!(listing.list.poll().len(), 0);
    assert_eq!(listing.told.lock().unwrap().len(), 0);
}

#[test]
fn an_address_in_another_name_of_the_domain_is_the_same_address() {
    let (world, folder) = (world(), Folder::new());
    world.lock().unwrap().with(11, "jones", &["SMTP:jones@example.test", "smtp:jones@example.org"]);
    let (_fake, settings) = of_world(&world);
    let listing = Listing::read(settings, &folder);
    world.lock().unwrap().with(12, "jones", &["SMTP:jones@example.test"]);
    listing.follow();
    assert!(listing.knows("jones"), "only its other name is gone");
}

#[test]
fn targets_are_listed_and_followed() {
    let (world, folder) = (world(), Folder::new());
    let add = |usn: u64, target: &'static str| {
        let mut world = world.lock().unwrap();
        world.with(usn, "jones", &["SMTP:jones@example.test"]);
        world.people.last_mut().unwrap().attributes.push(("targetAddress", target));
    };
    add(11, "SMTP:jones@inside.test");
    let (_fake, settings) = of_world(&world);
    let target_attribute = Some("targetAddress".to_owned());
    let listing = Listing::read(Settings { target_attribute, ..settings }, &folder);
    assert_eq!(listing.target("jones").as_deref(), Some("jones@inside.test"));
    assert_eq!(listing.target("green"), None);
    add(12, "SMTP:jones@other.test");
    listing.follow();
    assert_eq!(listing.target("jones").as_deref(), Some("jones@other.test"));
}

#[test]
fn numbers_of_another_server_or_from_before_a_restore_mean_nothing() {
    let (world, folder) = (world(), Folder::new());
    let (mut fake, mut settings) = of_world(&world);
    let (other, _) = of_world(&world);
    settings.servers.push(NextHopHost { host: "127.0.0.1".into(), port: other.address.port() });
    let listing = Listing::read(settings, &folder);
    listing.follow();
    world.lock().unwrap().usn = 4;
    listing.follow_by_reading();
    listing.follow();
    world.lock().unwrap().server = "cn=NTDS Settings,cn=DC2";
    listing.follow_by_reading();
    listing.follow();
    fake.stop();
    listing.follow_by_reading();
    assert!(!other.searches().is_empty());
    let before = other.searches().len();
    fake.restart();
    listing.follow();
    assert!(other.searches().len() > before, "it stays with the server that it was read from");
}

#[test]
fn exchange_5_5_numbers_its_changes_under_another_name() {
    let (world, folder) = (world(), Folder::new());
    let (fake, settings) = of_world(&world);
    let listing = Listing::read(Settings { preset: Preset::Exchange55, ..settings }, &folder);
    world.lock().unwrap().delete(11, "jones");
    listing.follow();
    assert!(!listing.knows("jones"));
    assert!(fake.searches().iter().any(|search| search.filter == "(USN-Changed>=11)"));
}

#[test]
fn without_a_state_directory_a_list_is_read_and_not_followed() {
    let world = world();
    let (fake, settings) = of_world(&world);
    let environment = Environment::bare(Domain::new("mx.example.test").unwrap());
    let scope = DomainScope::new(DomainId(0), &domain());
    let lister = LdapList::new(&Arc::new(settings), &[scope.clone()], &environment);
    let lister = lister.unwrap().unwrap();
    let (list, _) = Listed::open(lister, Scope::new(vec![scope]), &environment);
    assert!(list.poll()[0].is_adopted());
    let searches = fake.searches().len();
    assert!(list.poll().is_empty());
    assert_eq!(fake.searches().len(), searches);
}

#[test]
fn whatever_a_provider_says_instead_of_changes_everything_is_read_or_it_has_failed() {
    const SYNC: &str = "1.3.6.1.4.1.4203.1.9.1.1";
    let provider = |answers: Vec<LdapAnswer>| {
        move |search: &Search| {
            let uuid = ("entryUUID", "01234567-89ab-cdef-0123-456789abcdef");
            let person = [uuid, ("mail", "jones@example.test")];
            match (search.scope, search.controls.iter().any(|oid| oid == SYNC)) {
                (0, _) => vec![
                    LdapAnswer::entry("", &[("supportedControl", SYNC), ("contextCSN", "2026")]),
                    LdapAnswer::done(0),
                ],
                (_, false) => vec![LdapAnswer::entry("cn=jones", &person), LdapAnswer::done(0)],
                (_, true) => answers.clone(),
            }
        }
    };
    let message = |op: &[u8]| {
        // All of these are the fourth message of their connection, if not the third.
        let one = |id: u8| [&[0x30, op.len() as u8 + 3, 2, 1, id], op].concat();
        LdapAnswer::Octets([one(1), one(2), one(3)].concat())
    };
    let info = |value: &[u8]| {
        let name = b"1.3.6.1.4.1.4203.1.9.1.4";
        let parts = [&[0x80, 24], &name[..], &[0x81, value.len() as u8], value].concat();
        message(&[&[0x79, parts.len() as u8], &parts[..]].concat())
    };
    let (fake, folder) = (FakeLdap::start(provider(Vec::new())), Folder::new());
    let listing = Listing::read(of_fake(&fake), &folder);
    assert!(listing.knows("jones"));
    let done = LdapAnswer::done(0);
    for (name, answers) in [
        ("refresh required", vec![LdapAnswer::done(4096)]),
        ("too many", vec![LdapAnswer::done(4)]),
        ("a cookie of the future", vec![LdapAnswer::done(53)]),
        ("no word at the end", vec![done.clone()]),
        ("what is present", vec![info(&[0xa3, 2, 0x31, 0]), done.clone()]),
        ("no element", vec![info(&[0xa3, 0x84, 255, 255, 255, 255]), done.clone()]),
        ("somebody without a state", vec![LdapAnswer::entry("cn=x", &[]), done.clone()]),
    ] {
        fake.answer_with(provider(answers));
        let outcomes = listing.list.poll();
        assert!(!outcomes.is_empty() && outcomes[0].is_adopted(), "{name}: {outcomes:?}");
        assert!(listing.knows("jones"), "{name}");
    }
    fake.answer_with(provider(vec![LdapAnswer::done(51)]));
    let outcomes = listing.list.poll();
    assert!(matches!(outcomes[..], [Outcome::Failed { .. }]), "{outcomes:?}");
    assert!(listing.knows("jones"));
}

fn of_fake(fake: &FakeLdap) -> Settings {
    settings(Preset::Custom, &[fake.address], "o=Example")
}

/// The root says nothing; all else is answered by this.
fn rootless(
    answer: impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync + 'static,
) -> impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync + 'static {
    move |search| match search.base.is_empty() {
        true => vec![LdapAnswer::entry("", &[("objectClass", "top")]), LdapAnswer::done(0)],
        false => answer(search),
    }
}

/// So many people without pages.
fn unpaged(count: usize) -> Vec<LdapAnswer> {
    LdapAnswer::people(count).into_iter().chain([LdapAnswer::done(0)]).collect()
}

#[test]
fn a_list_that_is_not_whole_is_none() {
    use Failing::{Answer, Connection, Query};
    let page = |from: usize, cookie: &[u8]| {
        let people = LdapAnswer::people(from + 10).split_off(from);
        people.into_iter().chain([LdapAnswer::PageDone(cookie.to_vec())]).collect::<Vec<_>>()
    };
    let (fake, folder) = (FakeLdap::start(rootless(|_| unpaged(1_001))), Folder::new());
    let listing = Listing::read(of_fake(&fake), &folder);
    assert_eq!(listing.addresses(), 1_001);
    type Answering = Box<dyn Fn(&Search) -> Vec<LdapAnswer> + Send + Sync>;
    let again = |answers: Vec<LdapAnswer>| -> Answering { Box::new(move |_| answers.clone()) };
    let with_end = |answers: Vec<LdapAnswer>, end: LdapAnswer| {
        answers.into_iter().chain([end]).collect::<Vec<_>>()
    };
    let reference = LdapAnswer::Reference(vec!["ldap://other/".to_owned()]);
    let second = move |search: &Search, then: Vec<LdapAnswer>| match &search.page {
        Some((_, cookie)) if cookie.is_empty() => page(0, b"next"),
        _ => then,
    };
    let faults: Vec<(&str, Answering, Failing, &str)> = vec![
        ("1,000 without pages", again(unpaged(1_000)), Answer, "its limit"),
        ("100 without pages", again(unpaged(100)), Answer, "its limit"),
        (
            "size limit",
            again(with_end(LdapAnswer::people(500), LdapAnswer::done(4))),
            Answer,
            "its limit",
        ),
        ("the same page", again(page(0, b"next")), Answer, "again and again"),
        (
            "empty pages",
            again(vec![LdapAnswer::PageDone(b"next".to_vec())]),
            Answer,
            "page after page",
        ),
        (
            "pages end half-way",
            Box::new(move |search| second(search, unpaged(3))),
            Answer,
            "stopped counting",
        ),
        (
            "size limit half-way",
            Box::new(move |search| second(search, vec![LdapAnswer::done(4)])),
            Answer,
            "its limit",
        ),
        (
            "dies half-way",
            Box::new(move |search| {
                second(search, vec![LdapAnswer::CutAfter(5), LdapAnswer::done(0)])
            }),
            Connection,
            "lost",
        ),
        ("nobody", again(vec![LdapAnswer::done(0)]), Answer, "nobody below"),
        (
            "nobody with an address",
            again(vec![LdapAnswer::entry("cn=x", &[("cn", "x")]), LdapAnswer::done(0)]),
            Answer,
            "none with an address",
        ),
        (
            "referral",
            again(vec![LdapAnswer::referral(&["ldap://other/"])]),
            Answer,
            "another server",
        ),
        ("references only", again(vec![reference, LdapAnswer::done(0)]), Answer, "another server"),
        ("no such base", again(vec![LdapAnswer::done(32)]), Query, "no such base"),
        ("busy", again(vec![LdapAnswer::done(51)]), Connection, "busy"),
    ];
    for (name, answer, failing, words) in faults {
        fake.answer_with(rootless(answer));
        let (kind, what) = listing.failing();
        assert_eq!((kind, what.contains(words)), (failing, true), "{name}: {what}");
        assert_eq!(listing.addresses(), 1_001, "{name}");
        assert!(listing.knows("person1001"), "{name}");
    }
    fake.answer_with(rootless(|_| unpaged(1_002)));
    assert!(listing.list.reload(None)[0].is_adopted());
    assert!(listing.knows("person1002"));
}

#[test]
fn values_that_are_held_back_are_asked_for_until_there_are_no_more() {
    fn values(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        range.map(|n| format!("smtp:list{n}@example.test").into_bytes()).collect()
    }
    fn part(name: &str, range: std::ops::Range<usize>) -> Vec<LdapAnswer> {
        let attributes =
            vec![("proxyAddresses".to_owned(), vec![]), (name.to_owned(), values(range))];
        vec![LdapAnswer::Entry("cn=group,o=Example".to_owned(), attributes), LdapAnswer::done(0)]
    }
    let honest = |search: &Search| match &*search.attributes[0] {
        "proxyAddresses" => part("proxyAddresses;range=0-1499", 0..1_500),
        "proxyAddresses;range=1500-*" => part("proxyAddresses;range=1500-2999", 1_500..3_000),
        _ => part("proxyAddresses;range=3000-*", 3_000..3_200),
    };
    let fake = FakeLdap::start(rootless(honest));
    let settings = settings(Preset::ActiveDirectory, &[fake.address], "o=Example");
    let folder = Folder::new();
    let listing = Listing::read(settings, &folder);
    assert_eq!(listing.addresses(), 3_200);
    let never = |search: &Search| match &*search.attributes[0] {
        "proxyAddresses" => part("proxyAddresses;range=0-1499", 0..1_500),
        _ => part("proxyAddresses;range=0-1499", 0..1_500),
    };
    fake.answer_with(rootless(never));
    assert!(listing.failing().1.contains("do not add up"));
    fake.answer_with(rootless(move |search| match &*search.attributes[0] {
        "proxyAddresses" => part("proxyAddresses;range=0-1499", 0..1_500),
        _ => vec![LdapAnswer::done(0)],
    }));
    assert!(listing.failing().1.contains("do not add up"));
    assert_eq!(listing.addresses(), 3_200);
}

#[test]
fn a_list_ends_soon_when_it_is_no_longer_wanted() {
    let fake = FakeLdap::start(rootless(|_| Vec::new()));
    let folder = Folder::new();
    let listing = Listing::open(of_fake(&fake), &folder);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| listing.list.poll());
        wait_until("it is asked", || fake.searches().iter().any(|search| search.scope == 2));
        listing.list.retire();
        reading.join().unwrap();
    });
}

#[test]
fn a_trial_names_what_it_found_and_what_is_wrong() {
    let (world, folder) = (world(), Folder::new());
    let (fake, settings) = of_world(&world);
    let trial =
        |settings: &Settings| try_out(Arc::new(Ldap::new(Arc::new(settings.clone())).unwrap()));
    let said = trial(&settings).unwrap();
    assert!(said.contains("5 entries with 19 of proxyAddresses"), "{said}");
    assert!(said.contains("changes by update sequence number"), "{said}");
    world.lock().unwrap().people.clear();
    let trouble = trial(&settings).unwrap_err();
    assert_eq!(trouble.kind, TroubleKind::Misconfigured);
    fake.answer_binds(49);
    let password_file = folder.write("password", ADMIN_PASSWORD);
    let bind = Some(Bind { dn: "cn=x".to_owned(), password_file });
    let wrong = Settings { bind, ..settings };
    assert!(trial(&wrong).unwrap_err().remedy.contains("bind_dn"));
    let listing = Listing::open(wrong, &folder);
    assert_eq!(listing.failing().0, Failing::Login);
}
