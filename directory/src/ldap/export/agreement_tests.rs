//! What a directory holds means the same whether it is asked for one address, read as a list, or
//! followed from change to change: nobody is unknown the one way who exists, or of whom nobody can
//! say where his mail goes, the other.

use super::followed::tell_of;
use super::person::{Person, address_in};
use super::take;
use crate::ldap::link::entry::{Entry, untyped};
use crate::ldap::{Reply, meaning};
use crate::list::{DomainScope, Intake, Rows, Scope};
use crate::live::Existence;
use crate::load::intake::Progress;
use crate::snapshot::overlay::Change;
use crate::snapshot::{self, HashKey};
use crate::target::Target;
use ldap3::LdapResult;
use mail::address::Domain;
use proptest::collection::vec;
use proptest::prelude::*;
use relay::settings::{DomainId, LocalPartCase};

const KEY: HashKey = HashKey([7; 16]);

/// Somebody as an administrator wrote him: addresses, and where his mail goes.
type PersonText = (Vec<&'static str>, Vec<&'static str>);

fn somebody() -> impl Strategy<Value = PersonText> {
    let addresses = prop::sample::select(vec![
        "jones@example.test",
        "SMTP:Jones@Example.Test",
        "smtp: jones@example.test",
        "smtp$jones@example.test ",
        "brown@example.test",
        "X400:c=DE;s=jones",
        "jones@elsewhere.test",
    ]);
    let targets = prop::sample::select(vec![
        "jones@inside.test",
        "SMTP:jones@inside.test",
        "Jones@inside.test",
        " other@inside.test",
        "jones",
        "two@signs @inside.test",
        "",
        " ",
    ]);
    (vec(addresses, 0..3), vec(targets, 0..3))
}

fn scope() -> Scope {
    Scope::new(vec![DomainScope {
        id: DomainId(0),
        name: Domain::new("example.test").unwrap(),
        aliases: Vec::new(),
        case: LocalPartCase::Folded,
        canary: None,
    }])
}

fn octets(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn person((addresses, targets): &PersonText) -> Person {
    let targets = targets.iter().map(|text| untyped(text.as_bytes()).to_vec()).collect();
    Person { values: octets(addresses), targets }
}

/// What a server answers that is asked for this address.
fn asked(directory: &[PersonText]) -> Option<Target> {
    let is_him = |value: &&str| {
        address_in(value.as_bytes()).is_some_and(|a| a.eq_ignore_ascii_case(b"jones@example.test"))
    };
    let found = directory.iter().filter(|(addresses, _)| addresses.iter().any(is_him));
    let entries = found.map(|(_, targets)| Entry {
        name: "cn=somebody".to_owned(),
        attributes: vec![("target".to_owned(), octets(targets))],
        controls: Vec::new(),
    });
    let (text, refs) = (String::new(), Vec::new());
    let result = LdapResult { rc: 0, matched: text.clone(), text, refs, ctrls: Vec::new() };
    let (entries, references, intermediates) = (entries.collect(), Vec::new(), Vec::new());
    match meaning(&Reply { entries, references, intermediates, result }, Some("target")) {
        Ok(Existence::Unknown) => None,
        Ok(Existence::Exists { target: None }) => Some(Target::Same),
        Ok(Existence::Exists { target: Some(mailbox) }) => Some(Target::Other(mailbox)),
        Err(_) => Some(Target::Unclear),
    }
}

/// What the list of it says, among so many others that a few odd entries do not matter.
fn listed(directory: &[PersonText]) -> Option<Target> {
    let (scope, progress) = (scope(), Progress::default());
    let mut intake = Intake::new(&scope, KEY, Rows::Exported, &progress, 0);
    (0..200).for_each(|n| intake.take(1_000 + n, format!("n{n}@example.test").as_bytes(), None));
    (1..).zip(directory).for_each(|(row, written)| take(row, &person(written), &mut intake));
    let (load, _) = intake.finish().expect("few are malformed");
    let found = load.snapshot.find(KEY.hash(b"jones", b"example.test"));
    found.map(|entry| match entry {
        snapshot::Entry::Plain => Target::Same,
        snapshot::Entry::Target(text) => Target::of_stored(Some(text)),
        snapshot::Entry::Unclear => Target::Unclear,
    })
}

/// What it comes to when every entry is told as a change.
fn followed(directory: &[PersonText]) -> Option<Target> {
    let scope = scope();
    let held = directory.iter().map(|written| person(written).held(&scope));
    let change = tell_of(held.collect(), "jones@example.test");
    match change {
        Change::Removed => None,
        Change::Added(target) => Some(target),
    }
}

/// Targets are compared as mail servers compare addresses that people have typed.
fn shown(target: Option<Target>) -> Option<String> {
    target.map(|target| format!("{target:?}").to_lowercase())
}

proptest! {
    #[test]
    fn whoever_exists_one_way_exists_every_way(directory in vec(somebody(), 0..4)) {
        let asked = shown(asked(&directory));
        prop_assert_eq!(&asked, &shown(listed(&directory)), "the list");
        prop_assert_eq!(&asked, &shown(followed(&directory)), "the changes");
    }
}
