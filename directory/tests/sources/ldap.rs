//! The source that asks LDAP, on real slapd and on a fake that does what slapd cannot be made to
//! do. What is remembered of the answers, and what clients hear, is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod connections;
mod passwords;

use directory::ldap::{Bind, Ldap, Mode, Preset, Protection, Settings, Template};
use directory::live::{Existence, LiveSource, Trouble, TroubleKind};
use kit::slapd::{ADMIN_PASSWORD, READER_PASSWORD, Setup, is_here};
use kit::{FakeLdap, Folder, LdapAnswer, Shape, Slapd};
use mail::address::Mailbox;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use wire::server::{NextHopHost, Trust};

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
        trust: Trust::SystemRoots,
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
pub(crate) struct Asker {
    runtime: Runtime,
    source: Arc<Ldap>,
}

impl Asker {
    pub(crate) fn new(settings: Settings) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, source: Arc::new(Ldap::new(Arc::new(settings)).unwrap()) }
    }

    fn ask(&self, address: &str) -> Result<Existence, Trouble> {
        let asking = Arc::clone(&self.source).ask(Mailbox::parse(address).unwrap());
        self.runtime.block_on(async { timeout(kit::PATIENCE, asking).await.expect("it ends") })
    }

    pub(crate) fn knows(&self, address: &str) -> bool {
        match self.ask(address) {
            Ok(Existence::Exists { .. }) => true,
            Ok(Existence::Unknown) => false,
            Err(trouble) => panic!("{address}: {trouble}"),
        }
    }

    pub(crate) fn trouble(&self, address: &str) -> Trouble {
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
    assert_eq!(asker.ask("moved@example.test").unwrap(), Existence::Exists { target });
    assert_eq!(asker.ask(PERSON).unwrap(), Existence::Exists { target: None });
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
    let authority = Trust::Authorities(slapd.folder.file("authority.pem"));
    let ldaps = Settings {
        protection: Protection::Ldaps,
        trust: authority.clone(),
        ..settings(Preset::OpenLdap, &[slapd.tls_address.unwrap()], slapd.shape.base())
    };
    let starttls = Settings { protection: Protection::StartTls, trust: authority, ..of(&slapd) };
    for right in [&ldaps, &starttls] {
        let asker = Asker::new(right.clone());
        assert!(asker.knows(PERSON));
        assert!(!asker.knows(NOBODY));
        for wrong in [
            Settings { tls_name: Some("other.example.test".to_owned()), ..right.clone() },
            Settings { trust: Trust::SystemRoots, ..right.clone() },
        ] {
            let trouble = Asker::new(wrong).trouble(PERSON);
            assert_eq!(trouble.kind, TroubleKind::Misconfigured, "{trouble}");
            assert!(trouble.remedy.contains("`tls_"), "{}", trouble.remedy);
        }
        let name = Some("localhost".to_owned());
        assert!(Asker::new(Settings { tls_name: name, ..right.clone() }).knows(PERSON));
    }
    let fingerprint = |certificate: &str| {
        let pem = std::fs::read_to_string(slapd.folder.file(certificate)).unwrap();
        Trust::Fingerprint(kit::certificates::sha256(&pem))
    };
    let other_name = Some("other.example.test".to_owned());
    let pinned = Settings { trust: fingerprint("mx.pem"), tls_name: other_name, ..ldaps.clone() };
    assert!(Asker::new(pinned.clone()).knows(PERSON), "whatever its name is");
    let wrong = Settings { trust: fingerprint("authority.pem"), ..pinned };
    assert!(Asker::new(wrong).trouble(PERSON).what.contains("tls_fingerprint"));
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
    (0..20).for_each(|_| drop(asker.trouble(PERSON)));
    assert_eq!(fake.binds().len(), 2, "{:?}", fake.binds());
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
