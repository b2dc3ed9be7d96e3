//! The source that asks LDAP, on real slapd and on a fake that does what slapd cannot be made to
//! do. What is remembered of the answers, and what clients hear, is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod kit;

use gateway::directory::ldap::{Bind, Ldap, Mode, Preset, Protection, Settings, Template};
use gateway::directory::live::{LiveSource, Said, Trouble, TroubleKind};
use gateway::settings::server::NextHopHost;
use kit::slapd::{ADMIN_PASSWORD, READER_PASSWORD, Setup, is_here};
use kit::{FakeLdap, Folder, LdapAnswer, Shape, Slapd};
use mail::address::Mailbox;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

const PERSON: &str = "person0001@example.test";
const NOBODY: &str = "nobody@example.test";

fn settings(preset: Preset, servers: &[SocketAddr], base: &str) -> Settings {
    let host =
        |address: &SocketAddr| NextHopHost { host: address.ip().to_string(), port: address.port() };
    let filter = preset.filter().unwrap_or("(mail={address})");
    Settings {
        name: "test".to_owned(),
        preset,
        servers: servers.iter().map(host).collect(),
        protection: Protection::Plain,
        tls_ca: None,
        tls_name: None,
        bind: None,
        base: base.to_owned(),
        filter: Template::parse(filter).unwrap(),
        mode: Mode::Live,
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

fn of(slapd: &Slapd) -> Settings {
    let preset = match slapd.shape {
        Shape::OpenLdap => Preset::OpenLdap,
        Shape::ActiveDirectory => Preset::ActiveDirectory,
        Shape::Exchange55 => Preset::Exchange55,
    };
    settings(preset, &[slapd.address], slapd.shape.base())
}

fn of_fake(fake: &FakeLdap) -> Settings {
    settings(Preset::Custom, &[fake.address], "o=Example")
}

/// A directory and the thread that asks it.
struct Asker {
    runtime: Runtime,
    source: Arc<Ldap>,
}

impl Asker {
    fn new(settings: Settings) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, source: Arc::new(Ldap::new(Arc::new(settings)).unwrap()) }
    }

    fn ask(&self, address: &str) -> Result<Said, Trouble> {
        let asking = Arc::clone(&self.source).ask(Mailbox::parse(address).unwrap());
        self.runtime.block_on(async { timeout(kit::PATIENCE, asking).await.expect("it ends") })
    }

    fn knows(&self, address: &str) -> bool {
        match self.ask(address) {
            Ok(Said::Exists { .. }) => true,
            Ok(Said::Unknown) => false,
            Err(trouble) => panic!("{address}: {trouble}"),
        }
    }

    fn trouble(&self, address: &str) -> Trouble {
        self.ask(address).expect_err("trouble")
    }

    fn try_out(&self) -> Result<String, Trouble> {
        let trying = Arc::clone(&self.source).try_out();
        self.runtime.block_on(async { timeout(kit::PATIENCE, trying).await.expect("it ends") })
    }
}

/// Knows `person0001@example.test` and nobody else.
fn honest(search: &kit::fake_ldap::Search) -> Vec<LdapAnswer> {
    let mut answers = match search.filter.contains("person0001") {
        true => LdapAnswer::people(1),
        false => Vec::new(),
    };
    answers.push(LdapAnswer::done(0));
    answers
}

/// Lists in lists, so deep that whoever reads them by recursion does so no more.
fn nested() -> Vec<u8> {
    let (mut heads, mut octets): (Vec<[u8; 6]>, u32) = (Vec::new(), 0);
    for _ in 0..60_000 {
        let [a, b, c, d] = octets.to_be_bytes();
        heads.push([0x30, 0x84, a, b, c, d]);
        octets += 6;
    }
    heads.iter().rev().flatten().copied().collect()
}

fn password_file(folder: &Folder, password: &str) -> PathBuf {
    folder.write("password", format!("{password}\n"))
}

#[test]
fn each_shape_of_directory_says_who_exists() {
    if !is_here() {
        return;
    }
    for shape in [Shape::OpenLdap, Shape::ActiveDirectory, Shape::Exchange55] {
        let slapd = Slapd::start(Setup { people: 5, ..Setup::new(shape) });
        let asker = Asker::new(of(&slapd));
        assert!(asker.knows(PERSON), "{shape:?}");
        assert!(asker.knows("ALIAS0003@EXAMPLE.TEST"), "{shape:?}");
        assert!(!asker.knows(NOBODY), "{shape:?}");
        asker.try_out().unwrap();
    }
}

#[test]
fn no_address_means_more_than_itself() {
    if !is_here() {
        return;
    }
    let slapd = Slapd::start(Setup { people: 2, ..Setup::new(Shape::OpenLdap) });
    slapd.add_ldif(&Shape::OpenLdap.entry("odd", 7, "o'hara(x)*\\&|!=~@example.test", &[]));
    let asker = Asker::new(of(&slapd));
    for address in [
        "*@example.test",
        "person*@example.test",
        "\"person0001@example.test)(mail=*\"@example.test",
        "\"*)(objectClass=*\"@example.test",
        "\"\\\\2a\"@example.test",
        "\"person0001 \"@example.test",
        "\"';--\"@example.test",
    ] {
        assert!(!asker.knows(address), "{address}");
    }
    assert!(asker.knows("\"o'hara(x)*\\\\&|!=~\"@example.test"));
}

#[test]
fn the_next_hop_hears_the_target_where_an_entry_has_one() {
    let fake = FakeLdap::start(|search| {
        let target =
            search.filter.contains("moved").then_some(("mailRoutingAddress", "b@inside.test"));
        vec![LdapAnswer::entry("cn=x", target.as_slice()), LdapAnswer::done(0)]
    });
    let target_attribute = Some("mailRoutingAddress".to_owned());
    let asker = Asker::new(Settings { target_attribute, ..of_fake(&fake) });
    let target = Some(Mailbox::parse("b@inside.test").unwrap());
    assert_eq!(asker.ask("moved@example.test").unwrap(), Said::Exists { target });
    assert_eq!(asker.ask(PERSON).unwrap(), Said::Exists { target: None });
    assert_eq!(fake.searches()[0].attributes, ["mailRoutingAddress"]);
}

#[test]
fn no_attributes_and_few_entries_are_asked_for() {
    let fake = FakeLdap::start(honest);
    let asker = Asker::new(of_fake(&fake));
    assert!(asker.knows(PERSON));
    let search = fake.searches().remove(0);
    assert_eq!(
        (search.attributes, search.size_limit, search.scope),
        (vec!["1.1".to_owned()], 2, 2)
    );
}

#[test]
fn whoever_was_deleted_from_exchange_is_unknown_although_the_entry_is_kept_for_a_month() {
    if !is_here() {
        return;
    }
    let shape = Shape::Exchange55;
    let gone = shape.entry("gone", 9, "gone@example.test", &[]);
    let ldif = format!("{}Is-Deleted: TRUE\n\n", gone.trim_end().to_owned() + "\n");
    let slapd = Slapd::start(Setup { ldif, people: 1, ..Setup::new(shape) });
    let folder = Folder::new();
    let bind = Bind { dn: slapd.admin(), password_file: password_file(&folder, ADMIN_PASSWORD) };
    let bind = Some(bind);
    let asker = Asker::new(Settings { bind, ..of(&slapd) });
    assert!(asker.knows(PERSON));
    assert!(!asker.knows("gone@example.test"));
    // The address has another owner by now.
    slapd.add_ldif(&shape.entry("new", 10, "gone@example.test", &[]));
    assert!(asker.knows("gone@example.test"));
}

#[test]
fn hidden_mailboxes_of_exchange_are_seen_by_the_administrator() {
    if !is_here() {
        return;
    }
    let shape = Shape::Exchange55;
    let hidden = shape.entry("hidden", 9, "hidden@example.test", &[]);
    let ldif = format!("{}Hide-From-Address-Book: TRUE\n\n", hidden.trim_end().to_owned() + "\n");
    let slapd = Slapd::start(Setup { ldif, ..Setup::new(shape) });
    assert!(!Asker::new(of(&slapd)).knows("hidden@example.test"));
    let folder = Folder::new();
    let bind = Bind { dn: slapd.admin(), password_file: password_file(&folder, ADMIN_PASSWORD) };
    assert!(Asker::new(Settings { bind: Some(bind), ..of(&slapd) }).knows("hidden@example.test"));
}

#[test]
fn tls_is_verified() {
    if !is_here() {
        return;
    }
    let slapd = Slapd::start(Setup { people: 1, ..Setup::new(Shape::OpenLdap) });
    let authority = Some(slapd.folder.file("authority.pem"));
    let ldaps = Settings {
        protection: Protection::Ldaps,
        tls_ca: authority.clone(),
        ..settings(Preset::OpenLdap, &[slapd.tls_address.unwrap()], slapd.shape.base())
    };
    let starttls = Settings { protection: Protection::StartTls, tls_ca: authority, ..of(&slapd) };
    for right in [&ldaps, &starttls] {
        let asker = Asker::new(right.clone());
        assert!(asker.knows(PERSON));
        assert!(!asker.knows(NOBODY));
        for wrong in [
            Settings { tls_name: Some("other.example.test".to_owned()), ..right.clone() },
            Settings { tls_ca: None, ..right.clone() },
        ] {
            let trouble = Asker::new(wrong).trouble(PERSON);
            assert_eq!(trouble.kind, TroubleKind::Misconfigured, "{trouble}");
            assert!(trouble.remedy.contains("tls_ca"), "{}", trouble.remedy);
        }
        let name = Some("localhost".to_owned());
        assert!(Asker::new(Settings { tls_name: name, ..right.clone() }).knows(PERSON));
    }
    let swapped = Settings { protection: Protection::Ldaps, ..of(&slapd) };
    let connect_max = Duration::from_secs(1);
    let trouble = Asker::new(Settings { connect_max, ..swapped }).trouble(PERSON);
    assert!(matches!(
        trouble.kind,
        TroubleKind::Misconfigured | TroubleKind::Down | TroubleKind::Slow
    ));
}

#[test]
fn a_refused_bind_is_trouble_and_is_not_repeated_for_each_address() {
    let (fake, folder) = (FakeLdap::start(honest), Folder::new());
    fake.answer_binds(49);
    let bind = Bind { dn: "cn=x".to_owned(), password_file: password_file(&folder, "wrong") };
    let asker = Asker::new(Settings { bind: Some(bind), ..of_fake(&fake) });
    let trouble = asker.trouble(PERSON);
    assert_eq!(trouble.kind, TroubleKind::Misconfigured);
    assert!(trouble.remedy.contains("password_file"), "{}", trouble.remedy);
    // The wait after the first refusal is a second: these take none.
    (0..20).for_each(|_| drop(asker.trouble(PERSON)));
    assert!(fake.binds().len() < 10, "{:?}", fake.binds());
    fake.answer_binds(0);
    password_file(&folder, "another, right");
    assert!(asker.knows(PERSON));
    assert_eq!(fake.binds().last().unwrap().password.as_deref(), Some("another, right"));
}

#[test]
fn a_name_without_a_password_is_never_bound() {
    let (fake, folder) = (FakeLdap::start(honest), Folder::new());
    let bind = Bind { dn: "cn=x".to_owned(), password_file: password_file(&folder, "") };
    let asker = Asker::new(Settings { bind: Some(bind), ..of_fake(&fake) });
    assert_eq!(asker.trouble(PERSON).kind, TroubleKind::Misconfigured);
    assert!(fake.binds().is_empty());
}

#[test]
fn a_server_that_stops_is_trouble_and_one_that_is_back_is_right_at_once() {
    if !is_here() {
        return;
    }
    let mut slapd = Slapd::start(Setup { people: 1, ..Setup::new(Shape::OpenLdap) });
    let asker = Asker::new(of(&slapd));
    assert!(asker.knows(PERSON));
    slapd.restart();
    assert!(asker.knows(PERSON), "over a new connection");
    slapd.stop();
    for _ in 0..10 {
        assert_eq!(asker.trouble(NOBODY).kind, TroubleKind::Down);
    }
    slapd.restart();
    assert!(asker.knows(PERSON), "however often it failed");
    assert!(!asker.knows(NOBODY));
}

#[test]
fn the_next_server_is_asked_when_one_is_down_busy_or_wrong() {
    let (mut first, second) = (FakeLdap::start(honest), FakeLdap::start(honest));
    let two = settings(Preset::Custom, &[first.address, second.address], "o=Example");
    let asker = Asker::new(two);
    assert!(asker.knows(PERSON));
    assert!(second.searches().is_empty());
    for code in [51, 52, 32] {
        first.answer_with(move |_| vec![LdapAnswer::done(code)]);
        assert!(asker.knows(PERSON), "{code}");
        assert!(!asker.knows(NOBODY), "{code}");
    }
    first.stop();
    assert!(asker.knows(PERSON));
    assert_ne!(asker.source.epoch(), 0);
}

#[test]
fn a_server_that_is_back_is_the_first_again() {
    let (mut first, second) = (FakeLdap::start(honest), FakeLdap::start(honest));
    let two = settings(Preset::Custom, &[first.address, second.address], "o=Example");
    let asker = Asker::new(two);
    first.stop();
    (0..5).for_each(|_| assert!(asker.knows(PERSON)));
    first.restart();
    kit::wait_until("the first is asked for addresses again", || {
        assert!(asker.knows(PERSON));
        first.searches().iter().any(|search| search.filter.contains("person0001"))
    });
}

#[test]
fn a_connection_that_is_not_used_is_closed() {
    let fake = FakeLdap::start(honest);
    let idle_max = Duration::from_millis(50);
    let asker = Asker::new(Settings { idle_max, ..of_fake(&fake) });
    assert!(asker.knows(PERSON));
    kit::wait_until("it is closed", || {
        asker.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        fake.open() == 0
    });
    assert!(asker.knows(PERSON), "over another");
}

#[test]
fn whatever_goes_wrong_is_trouble_and_is_over_when_it_is_over() {
    use TroubleKind::{Busy, Down, Misconfigured, Slow, Unexpected};
    let big = vec![("mail".to_owned(), vec![vec![b'x'; 10 << 20]])];
    let latin = b"\x30\x0e\x02\x01\x02\x65\x09\x0a\x01\x35\x04\x00\x04\x02\xe4\xf6".to_vec();
    let faults: Vec<(&str, Vec<LdapAnswer>, &[TroubleKind])> = vec![
        ("never answers", vec![], &[Slow]),
        ("half-closed", vec![LdapAnswer::HalfClose], &[Down]),
        ("closed", vec![LdapAnswer::Close], &[Down]),
        ("reset", vec![LdapAnswer::Reset], &[Down]),
        ("says goodbye", vec![LdapAnswer::Disconnect(52)], &[Down]),
        ("cut", vec![LdapAnswer::CutAfter(5), LdapAnswer::done(0)], &[Down]),
        ("message of another", vec![LdapAnswer::WrongMessageId, LdapAnswer::done(0)], &[Slow]),
        (
            "no LDAP",
            vec![LdapAnswer::Octets(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
            &[Slow, Down],
        ),
        ("half a message", vec![LdapAnswer::Octets(vec![0x30, 3, 2, 1, 1])], &[Slow, Unexpected]),
        ("nested", vec![LdapAnswer::Octets(nested())], &[Down]),
        (
            "odd operation",
            vec![LdapAnswer::Octets(vec![0x30, 5, 2, 1, 1, 0x7e, 0])],
            &[Slow, Unexpected],
        ),
        ("no UTF-8", vec![LdapAnswer::Octets(latin)], &[Slow, Unexpected]),
        (
            "10 MB",
            vec![LdapAnswer::Entry("cn=x".to_owned(), big), LdapAnswer::done(0)],
            &[Unexpected],
        ),
        ("time limit", vec![LdapAnswer::done(3)], &[Slow]),
        ("size limit, nobody", vec![LdapAnswer::done(4)], &[Unexpected]),
        ("referral", vec![LdapAnswer::referral(&["ldap://other/"])], &[Unexpected]),
        (
            "references only",
            vec![LdapAnswer::Reference(vec!["ldap://other/".to_owned()]), LdapAnswer::done(0)],
            &[Unexpected],
        ),
        ("admin limit", vec![LdapAnswer::done(11)], &[Unexpected]),
        ("no such base", vec![LdapAnswer::done(32)], &[Misconfigured]),
        ("may not", vec![LdapAnswer::done(50)], &[Misconfigured]),
        ("busy", vec![LdapAnswer::done(51)], &[Busy]),
        ("unavailable", vec![LdapAnswer::done(52)], &[Down]),
        ("unwilling", vec![LdapAnswer::done(53)], &[Unexpected]),
        ("a code nobody knows", vec![LdapAnswer::done(4711)], &[Unexpected]),
    ];
    let fake = FakeLdap::start(honest);
    let patient = Asker::new(of_fake(&fake));
    // What is right again must be answered in that time, too, on a busy machine.
    let hasty = Asker::new(Settings { answer_max: Duration::from_secs(3), ..of_fake(&fake) });
    for (name, answers, kinds) in faults {
        let asker = if kinds.contains(&Slow) { &hasty } else { &patient };
        fake.answer_with(move |_| answers.clone());
        let trouble = asker.trouble(NOBODY);
        assert!(kinds.contains(&trouble.kind), "{name}: {:?}: {trouble}", trouble.kind);
        fake.answer_with(honest);
        assert!(asker.knows(PERSON), "after {name}");
        assert!(!asker.knows(NOBODY), "after {name}");
    }
}

#[test]
fn more_entries_than_were_asked_for_are_as_good_as_one() {
    let fake = FakeLdap::start(|_| {
        LdapAnswer::people(2).into_iter().chain([LdapAnswer::done(4)]).collect()
    });
    assert!(Asker::new(of_fake(&fake)).knows(PERSON));
}

#[test]
fn one_search_that_hangs_does_not_hold_up_those_that_come_later() {
    // The fake answers one search of a connection after another, as some servers do.
    let fake = FakeLdap::start(|search| {
        let wait =
            search.filter.contains("hangs").then_some(LdapAnswer::Wait(Duration::from_secs(30)));
        wait.into_iter().chain(honest(search)).collect()
    });
    let asker = Asker::new(Settings { answer_max: Duration::from_secs(4), ..of_fake(&fake) });
    let hanging = Arc::clone(&asker.source).ask(Mailbox::parse("hangs@example.test").unwrap());
    let hanging = asker.runtime.spawn(hanging);
    kit::wait_until("the search has come", || {
        asker.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        !fake.searches().is_empty()
    });
    // Until the connection counts as stalled: a quarter of the time for an answer.
    asker.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1_200)).await });
    assert!(asker.knows(PERSON));
    assert_eq!(fake.connections(), 2);
    let result = asker.runtime.block_on(hanging).unwrap();
    assert_eq!(result.unwrap_err().kind, TroubleKind::Slow);
}

#[test]
fn many_askers_share_few_connections() {
    let fake = FakeLdap::start(honest);
    let asker = Asker::new(of_fake(&fake));
    let asking = (0..60).map(|_| {
        asker.runtime.spawn(Arc::clone(&asker.source).ask(Mailbox::parse(PERSON).unwrap()))
    });
    for asking in asking.collect::<Vec<_>>() {
        assert_eq!(asker.runtime.block_on(asking).unwrap().unwrap(), Said::Exists { target: None });
    }
    assert!(fake.connections() <= 2, "{}", fake.connections());
}

#[test]
fn a_directory_that_is_busy_for_long_is_not_given_ever_more_connections() {
    let fake = FakeLdap::start(|_| vec![LdapAnswer::done(51)]);
    let asker = Asker::new(Settings { connections_max: 1, ..of_fake(&fake) });
    let a_moment = || asker.runtime.block_on(async { sleep(Duration::from_millis(20)).await });
    // Each second somebody is sent to find out, on a connection of his own.
    kit::wait_until("several were sent to find out", || {
        assert_eq!(asker.trouble(PERSON).kind, TroubleKind::Busy);
        a_moment();
        fake.connections() >= 7
    });
    kit::wait_until("one is left, and two in case that it hangs", || {
        a_moment();
        fake.open() <= 3
    });
}

#[test]
fn those_for_whom_there_is_no_room_to_wait_hear_so_at_once() {
    let fake = FakeLdap::start(|_| Vec::new());
    let narrow = Settings { connections_max: 1, outstanding_max: 1, ..of_fake(&fake) };
    let asker = Asker::new(Settings { answer_max: Duration::from_secs(2), ..narrow });
    let asking = (0..300).map(|_| {
        asker.runtime.spawn(Arc::clone(&asker.source).ask(Mailbox::parse(PERSON).unwrap()))
    });
    let mut busy = 0;
    for asking in asking.collect::<Vec<_>>() {
        let trouble = asker.runtime.block_on(asking).unwrap().unwrap_err();
        busy += usize::from(trouble.kind == TroubleKind::Busy);
    }
    assert_eq!(busy, 300 - 1 - 256);
}

#[test]
fn settings_are_tried_out_and_what_is_wrong_is_named() {
    if !is_here() {
        return;
    }
    let slapd = Slapd::start(Setup { people: 3, ..Setup::new(Shape::OpenLdap) });
    let folder = Folder::new();
    let bind = |dn: String, password: &str| {
        Some(Bind { dn, password_file: password_file(&folder, password) })
    };
    let right = Settings { bind: bind(slapd.reader(), READER_PASSWORD), ..of(&slapd) };
    let said = Asker::new(right.clone()).try_out().unwrap();
    assert!(said.contains("1 server") && said.contains(slapd.shape.base()), "{said}");
    let named = |settings: Settings, key: &str| {
        let trouble = Asker::new(settings).try_out().expect_err(key);
        assert_eq!(trouble.kind, TroubleKind::Misconfigured, "{trouble}");
        let said = format!("{trouble} {}", trouble.remedy);
        assert!(said.contains(&format!("`{key}`")), "{said}");
    };
    named(Settings { base: "dc=other,dc=test".to_owned(), ..right.clone() }, "base");
    named(Settings { base: "no name".to_owned(), ..right.clone() }, "base");
    let filter = Template::parse("(|(objectClass=*)(mail={address}))").unwrap();
    named(Settings { filter, ..right.clone() }, "filter");
    named(Settings { bind: bind(slapd.reader(), "wrong"), ..right.clone() }, "bind_dn");
    named(Settings { bind: bind("cn=nobody,dc=x".to_owned(), "wrong"), ..right }, "bind_dn");
}

#[test]
fn every_server_is_tried_out() {
    let (right, mut wrong) = (FakeLdap::start(honest), FakeLdap::start(honest));
    let base = |search: &kit::fake_ldap::Search| match search.scope {
        0 => vec![LdapAnswer::entry("o=Example", &[]), LdapAnswer::done(0)],
        _ => honest(search),
    };
    right.answer_with(base);
    wrong.answer_with(base);
    let two = settings(Preset::Custom, &[right.address, wrong.address], "o=Example");
    let asker = Asker::new(two);
    asker.try_out().unwrap();
    wrong.stop();
    let trouble = asker.try_out().unwrap_err();
    assert!(trouble.what.contains(&wrong.address.to_string()), "{trouble}");
    assert!(!trouble.what.contains(&right.address.to_string()), "{trouble}");
}
