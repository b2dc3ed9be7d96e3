//! Directories as they are out of the box: Samba as a domain controller, and 389. What they answer
//! when they are asked and what they list is the same.

use super::{Listing, settings};
use crate::ldap::Asker;
use directory::Finding;
use directory::ldap::{Bind, Export, Mode, Preset, Protection, Settings};
use kit::Folder;
use kit::dirsrv::{self, Dirsrv};
use kit::samba::{self, Samba};
use std::path::PathBuf;
use std::time::Duration;
use wire::server::Trust;

/// People of Samba, with two addresses each.
const PEOPLE: usize = 2_100;
/// More than 389 looks through for somebody who has no say in it.
const MANY_PEOPLE: usize = 5_100;

/// As they are asked for each address.
fn live(listed: &Settings) -> Settings {
    let filter = listed.preset.filter().unwrap_or("(mail={address})");
    let filter = directory::ldap::Template::parse(filter).unwrap();
    Settings { mode: Mode::Live, filter, ..listed.clone() }
}

fn bind(dn: String, folder: &Folder, password: &str) -> Option<Bind> {
    let password_file: PathBuf = folder.write("password", password);
    Some(Bind { dn, password_file })
}

/// Nobody hears one thing when the directory is asked, and another of the list.
fn agree(listed: &Settings, names: impl Iterator<Item = String>) {
    let state = Folder::new();
    let (listing, asker) = (Listing::read(listed.clone(), &state), Asker::new(live(listed)));
    for name in names {
        let is_there = name.starts_with('p');
        let found = listing.find(&name);
        assert_eq!(matches!(found, Finding::Exists { .. }), is_there, "{name}: {found:?}");
        assert_eq!(asker.knows(&format!("{name}@example.test")), is_there, "{name}");
        assert!(is_there || found == Finding::Unknown, "{name}: {found:?}");
    }
}

fn nobodies() -> impl Iterator<Item = String> {
    (0..100).map(|n| format!("nobody{n}"))
}

#[test]
fn samba_is_asked_and_listed_alike_under_its_own_certificate() {
    if !samba::is_here() {
        return;
    }
    let (samba, folder) = (Samba::start(PEOPLE), Folder::new());
    let of = |server, protection, trust| Settings {
        protection,
        trust,
        bind: bind(samba.reader(), &folder, samba::READER_PASSWORD),
        ..settings(Preset::ActiveDirectory, &[server], samba.base())
    };
    // What it says of itself leads to what works.
    let refused = |settings: Settings| Asker::new(live(&settings)).trouble("x@example.test");
    let trouble = refused(of(samba.plain(), Protection::Plain, Trust::SystemRoots));
    assert!(trouble.remedy.contains("\"ldaps\""), "{trouble} {}", trouble.remedy);
    let trouble = refused(of(samba.ldaps(), Protection::Ldaps, Trust::SystemRoots));
    assert!(trouble.what.contains("nobody who is believed has signed"), "{trouble}");
    assert!(trouble.remedy.contains("`tls_fingerprint`"), "{}", trouble.remedy);
    let shown = std::fs::read_to_string(samba.folder.file("private/tls/cert.pem")).unwrap();
    let trust = Trust::Fingerprint(kit::certificates::sha256(&shown));
    let listed = of(samba.ldaps(), Protection::Ldaps, trust);
    let people = (0..PEOPLE).flat_map(|n| [format!("person{n:04}"), format!("p.{n:04}")]);
    agree(&listed, people.chain(nobodies()));
}

#[test]
fn the_limits_of_389_show_when_it_is_listed_and_within_them_it_is_listed_as_asked() {
    if !dirsrv::is_here() {
        return;
    }
    let (server, folder) = (Dirsrv::start(MANY_PEOPLE), Folder::new());
    let every = Duration::from_secs(3_600);
    let list = settings(Preset::OpenLdap, &[server.address], server.base());
    let Mode::Snapshot(export) = list.mode.clone() else { panic!("a list") };
    let listed = Settings {
        bind: bind(server.reader(), &folder, dirsrv::READER_PASSWORD),
        mode: Mode::Snapshot(Export { every, changes: Duration::ZERO, ..export }),
        ..list
    };
    let state = Folder::new();
    let (_, why) = Listing::open(listed.clone(), &state).failing();
    assert!(why.contains("limit"), "{why}");
    server.modify(
        "dn: uid=reader,dc=example,dc=test\nchangetype: modify\nadd: nsSizeLimit\n\
         nsSizeLimit: -1\n-\nadd: nsLookThroughLimit\nnsLookThroughLimit: -1\n",
    );
    agree(&listed, (0..MANY_PEOPLE).map(|n| format!("person{n:04}")).chain(nobodies()));
    // A part of the tree is on another server: who is not here may be there.
    server.modify(
        "dn: ou=elsewhere,dc=example,dc=test\nchangetype: add\nobjectClass: extensibleObject\n\
         objectClass: referral\nou: elsewhere\nref: ldap://127.0.0.1:9/ou=x,dc=example,dc=test\n",
    );
    let state = Folder::new();
    let (listing, asker) = (Listing::read(listed.clone(), &state), Asker::new(live(&listed)));
    assert!(matches!(listing.find("person0001"), Finding::Exists { .. }));
    assert!(asker.knows("person0001@example.test"));
    assert_eq!(listing.find("nobody"), Finding::Unavailable);
    asker.trouble("nobody@example.test");
}
