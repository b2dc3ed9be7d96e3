//! Filters: what is refused and where, and that no address changes the shape of one.

use super::super::preset::Preset;
use super::Template;
use ldap3::asn1::{ASNTag, PL, StructureTag};
use ldap3::parse_filter;
use proptest::prelude::*;

fn tree(filter: &str) -> StructureTag {
    parse_filter(filter).unwrap().into_structure()
}

/// The tree without its leaves, and the leaves in order.
fn taken_apart(tag: &StructureTag) -> (String, Vec<Vec<u8>>) {
    let head = format!("{:?}{}", tag.class, tag.id);
    match &tag.payload {
        PL::P(leaf) => (head, vec![leaf.clone()]),
        PL::C(inner) => {
            let (mut shape, mut leaves) = (head + "(", Vec::new());
            for tag in inner {
                let (within, more) = taken_apart(tag);
                shape.push_str(&within);
                leaves.extend(more);
            }
            (shape + ")", leaves)
        }
    }
}

/// Compares what an address made of a template with what the harmless `LOCAL@DOMAIN` makes of it.
fn keeps_its_shape(template: &str, local_part: &[u8], domain: &[u8]) {
    let filter = Template::parse(template).unwrap().filled(local_part, domain).unwrap();
    let plain = Template::parse(template).unwrap().filled(b"LOCAL", b"DOMAIN").unwrap();
    let ((shape, leaves), (expected, places)) =
        (taken_apart(&tree(&filter)), taken_apart(&tree(&plain)));
    assert_eq!(shape, expected, "{filter}");
    for (leaf, place) in leaves.iter().zip(places) {
        let mut value = Vec::new();
        let mut rest = &place[..];
        while let Some(&first) = rest.first() {
            if let Some(behind) = rest.strip_prefix(b"LOCAL") {
                value.extend_from_slice(local_part);
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix(b"DOMAIN") {
                value.extend_from_slice(domain);
                rest = behind;
            } else {
                value.push(first);
                rest = &rest[1..];
            }
        }
        assert_eq!(*leaf, value, "{filter}");
    }
}

const CUSTOM: &str = "(&(objectClass=person)(!(locked=TRUE))(|(mail={address})(uid={local_part})\
                      (alias=*{local_part}*x{domain})(o:caseIgnoreMatch:={domain})(n>={domain})))";

fn templates() -> Vec<&'static str> {
    let presets = [Preset::ActiveDirectory, Preset::Exchange55, Preset::OpenLdap];
    presets.iter().filter_map(|preset| preset.filter()).chain([CUSTOM]).collect()
}

proptest! {
    #[test]
    fn no_octets_of_an_address_change_the_shape_of_a_filter(
        local_part in prop::collection::vec(any::<u8>(), 1..80),
        domain in prop::collection::vec(any::<u8>(), 1..80),
    ) {
        for template in templates() {
            keeps_its_shape(template, &local_part, &domain);
        }
    }

    #[test]
    fn no_characters_of_filters_in_an_address_change_the_shape_of_one(
        local_part in "[*()\\\\&|!=:~<>{}0-9a-f\0]{1,20}",
    ) {
        for template in templates() {
            keeps_its_shape(template, local_part.as_bytes(), b"example.test");
        }
    }

    #[test]
    fn whatever_is_configured_is_refused_or_keeps_its_shape(
        template in "[(]{0,2}[&|!]?[(]?[a-z*\\\\0-9=:{}]{0,6}(\\{address\\}|\\{local_part\\})[)*=a-f0-9]{0,4}",
        local_part in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        if Template::parse(&template).is_ok() {
            keeps_its_shape(&template, &local_part, b"x(*)\\");
        }
    }
}

#[test]
fn an_address_stands_in_each_of_its_places() {
    let template = Template::parse("(|(mail={address})(proxyAddresses=smtp:{address}))").unwrap();
    let filter = template.filled(b"o'hara*", b"example.test").unwrap();
    assert_eq!(
        filter,
        "(|(mail=o\\27hara\\2a@example.test)(proxyAddresses=smtp:o\\27hara\\2a@example.test))"
    );
}

#[test]
fn an_address_without_a_local_part_makes_no_filter() {
    assert_eq!(Template::parse("(mail={local_part}*)").unwrap().filled(b"", b"example.test"), None);
}

#[test]
fn a_malformed_filter_is_refused_with_its_place() {
    let cases = [
        ("", 0),
        ("(mail=jones@example.test)", 0),
        ("(mail={adress})", 6),
        ("(mail={address)", 6),
        ("mail={address}", 0),
        ("(mail={address}", 15),
        ("(mail={address}))", 16),
        ("(|(mail={address})(uid))", 19),
        ("(|(mail={address})x)", 18),
        ("(!mail={address})", 2),
        ("({address}=x)", 0),
        ("(mail=\\4{address})", 0),
        ("(mail=a\\zz{address})", 1),
        ("(&(mail={address})", 18),
        ("({local_part}:caseIgnoreMatch:=x)", 1),
    ];
    for (text, at) in cases {
        let error = Template::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
    }
}

#[test]
fn a_filter_that_is_too_deep_or_too_long_is_refused() {
    let deep = format!("{}(mail={{address}}){}", "(!".repeat(40), ")".repeat(40));
    assert!(Template::parse(&deep).is_err());
    assert!(Template::parse(&format!("(mail={{address}}{})", "x".repeat(5000))).is_err());
}
