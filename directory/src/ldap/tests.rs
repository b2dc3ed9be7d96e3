//! What replies mean: an address is unknown only when a search ended well, found nothing and led
//! nowhere else.

use super::*;
use ldap3::LdapResult;

fn reply(code: u32, entries: &[&[&str]], references: &[&str]) -> Reply {
    let entry = |values: &&[&str]| Entry {
        name: "cn=jones".to_owned(),
        attributes: vec![(
            "mailRoutingAddress".to_owned(),
            values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        )],
        controls: Vec::new(),
    };
    Reply {
        entries: entries.iter().map(entry).collect(),
        references: references.iter().map(|&text| text.to_owned()).collect(),
        intermediates: Vec::new(),
        result: LdapResult {
            rc: code,
            matched: String::new(),
            text: String::new(),
            refs: Vec::new(),
            ctrls: Vec::new(),
        },
    }
}

fn target(entries: &[&[&str]]) -> Option<Option<String>> {
    match meaning(&reply(0, entries, &[]), Some("MAILROUTINGADDRESS")) {
        Ok(Existence::Exists { target }) => Some(target.map(|mailbox| mailbox.to_string())),
        _ => None,
    }
}

#[test]
fn only_success_without_entries_and_references_is_unknown() {
    assert_eq!(meaning(&reply(0, &[], &[]), None).unwrap(), Existence::Unknown);
    for code in 1..=130 {
        assert!(meaning(&reply(code, &[], &[]), None).is_err(), "{code}");
    }
    assert!(meaning(&reply(0, &[], &["ldap://elsewhere/"]), None).is_err());
}

#[test]
fn an_entry_is_there_whatever_follows_it() {
    for code in [0, 3, 4, 10, 11, 51] {
        let said = meaning(&reply(code, &[&[]], &["ldap://elsewhere/"]), None).unwrap();
        assert_eq!(said, Existence::Exists { target: None }, "{code}");
    }
}

#[test]
fn a_referral_is_named() {
    let problem = meaning(&reply(0, &[], &["ldap://other.example.test/"]), None).unwrap_err();
    assert!(problem.what.contains("ldap://other.example.test/"), "{}", problem.what);
    let mut reply = reply(10, &[], &[]);
    reply.result.refs = vec!["ldap://third.example.test/".to_owned()];
    let problem = meaning(&reply, None).unwrap_err();
    assert!(problem.what.contains("ldap://third.example.test/"), "{}", problem.what);
}

#[test]
fn a_target_is_one_address_or_none() {
    assert_eq!(target(&[&["jones@inside.test"]]), Some(Some("jones@inside.test".to_owned())));
    assert_eq!(target(&[&["SMTP:jones@inside.test"]]), Some(Some("jones@inside.test".to_owned())));
    assert_eq!(target(&[&[]]), Some(None));
    assert_eq!(
        target(&[&["a@inside.test"], &["a@inside.test"]]).flatten().as_deref(),
        Some("a@inside.test")
    );
    assert_eq!(target(&[&["a@inside.test", "b@inside.test"]]), None);
    assert_eq!(target(&[&["a@inside.test"], &["b@inside.test"]]), None);
    assert_eq!(target(&[&["no address"]]), None);
}
