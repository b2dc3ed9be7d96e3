//! A directory that numbers its changes, as far as a fake can be one.

use super::*;
use directory::kinds::{self, SourceSettings};

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
    let preview = listing.list.preview().unwrap();
    assert!(preview.is_removed(b"sales", "example.test"));
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
    let lister = LdapList::new(&Arc::new(settings), std::slice::from_ref(&scope), &environment);
    let lister = lister.unwrap().unwrap();
    let (list, _) = Listed::open(lister, Scope::new(vec![scope]), &environment);
    assert!(list.poll()[0].is_adopted());
    let searches = fake.searches().len();
    assert!(list.poll().is_empty());
    assert_eq!(fake.searches().len(), searches);
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
    let source = SourceSettings::Ldap(Arc::new(settings.clone()));
    let environment = Environment::bare(Domain::new("mx.example.test").unwrap());
    let said = kinds::try_out(&source, &environment).unwrap().unwrap();
    assert!(said.contains("without `state_dir`"), "{said}");
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
