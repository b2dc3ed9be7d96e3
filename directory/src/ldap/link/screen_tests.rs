//! What is let through to the library, and what is put in the place of the rest.

use super::{MESSAGE_OCTETS_MAX, Screen};
use ldap3::asn1::parse_tag;
use proptest::prelude::*;

const DONE: &[u8] = b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00";
const ENTRY: &[u8] =
    b"\x30\x1a\x02\x01\x02\x64\x15\x04\x04cn=x\x30\x0d\x30\x0b\x04\x04mail\x31\x03\x04\x01a";

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

/// What comes out, when these octets come in pieces of this size.
fn passed(octets: &[u8], piece: usize) -> std::io::Result<Vec<u8>> {
    let (mut screen, mut passed) = (Screen::default(), Vec::new());
    for piece in octets.chunks(piece) {
        screen.room().extend_from_slice(piece);
        passed.extend(screen.take()?);
    }
    Ok(passed)
}

fn failed(octets: &[u8], why: &str) -> bool {
    let passed = passed(octets, 4096).unwrap();
    let has_failed = passed.windows(why.len()).any(|said| said == why.as_bytes());
    has_failed && passed.starts_with(b"\x30") && passed[5] == 0x65
}

#[test]
fn whole_messages_pass_as_they_are_in_whatever_pieces_they_come() {
    let octets = [ENTRY, DONE, ENTRY, DONE].concat();
    for piece in [1, 2, 3, 7, 20, 4096] {
        assert_eq!(passed(&octets, piece).unwrap(), octets, "{piece}");
    }
}

#[test]
fn what_is_nested_too_deep_fails_alone() {
    let mut deep = Vec::new();
    for _ in 0..50_000 {
        deep = match deep.len() {
            0..=100 => [&[0x30, u8::try_from(deep.len()).unwrap()], &deep[..]].concat(),
            _ => break,
        };
    }
    let message = element(0x30, &[b"\x02\x01\x02", &element(0x64, &deep)[..]].concat());
    assert!(failed(&message, "one answer was none"));
    let both = passed(&[&message[..], DONE].concat(), 100).unwrap();
    assert!(both.ends_with(DONE));
}

#[test]
fn what_is_too_large_fails_alone() {
    let large = element(0x64, &vec![0; MESSAGE_OCTETS_MAX]);
    let message = element(0x30, &[b"\x02\x01\x02", &large[..]].concat());
    assert!(failed(&message, "one answer was larger than 1 MiB"));
    let both = passed(&[ENTRY, &message[..], DONE].concat(), 4096).unwrap();
    assert!(both.starts_with(ENTRY) && both.ends_with(DONE));
    assert!(both.len() < 200);
}

#[test]
fn what_is_no_ldap_ends_the_connection() {
    for octets in [
        &b"HTTP/1.1 400"[..],
        b"\x30\x80\x02\x01\x01",
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x01",
        b"\x30\x03\x04\x01x",
        b"\x30\x00",
    ] {
        assert!(passed(octets, 100).is_err(), "{octets:?}");
    }
}

#[test]
fn texts_of_old_servers_become_readable() {
    let message = b"\x30\x0e\x02\x01\x02\x65\x09\x0a\x01\x35\x04\x00\x04\x02\xe4x".to_vec();
    assert!(passed(&message, 100).unwrap().ends_with(b"?x"));
}

proptest! {
    #[test]
    fn whatever_a_server_sends_what_comes_out_is_messages_that_can_be_read(
        mut octets in prop::collection::vec(
            prop_oneof![Just(ENTRY.to_vec()), Just(DONE.to_vec())], 1..4
        ).prop_map(|messages| messages.concat()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        piece in 1..50_usize,
    ) {
        for (at, octet) in changes {
            *at.get_mut(&mut octets) = octet;
        }
        let passed = passed(&octets, piece).unwrap_or_default();
        let mut rest = &passed[..];
        while !rest.is_empty() {
            let (behind, message) = parse_tag(rest).unwrap();
            prop_assert!(message.expect_constructed().is_some_and(|parts| parts.len() >= 2));
            rest = behind;
        }
    }
}
