//! A snapshot holds what was put in and nothing else, on disk as in memory.

use super::overlay::{CHANGES_MAX, Change, Overlay, OverlayFull};
use super::stored::{StoredError, read, write};
use super::*;
use crate::target::Target;
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;

const KEY: HashKey = HashKey(*b"a key for tests.");

fn built(hashes: &[u64]) -> Snapshot {
    let mut builder = Builder::new(KEY, 0);
    hashes.iter().for_each(|&hash| builder.add(hash));
    builder.finish().0
}

fn with_targets() -> Snapshot {
    let mut builder = Builder::new(KEY, 0);
    for number in 0..40u64 {
        let hash = KEY.hash(number.to_string().as_bytes(), b"example.test");
        match number % 3 {
            0 => builder.add_target(hash, &format!("t{number}@inside.test"), number),
            _ => builder.add(hash),
        }
    }
    builder.finish().0
}

proptest! {
    #[test]
    fn every_hash_put_in_is_found_and_no_other(
        inside in vec(any::<u64>(), 0..400), outside in vec(any::<u64>(), 0..50),
    ) {
        let snapshot = built(&inside);
        for hash in &inside {
            prop_assert_eq!(snapshot.find(*hash), Some(Entry::Plain));
        }
        for hash in outside.iter().filter(|hash| !inside.contains(hash)) {
            prop_assert_eq!(snapshot.find(*hash), None);
        }
    }

    #[test]
    fn hashes_that_are_not_uniform_are_found_too(
        inside in hash_set(prop_oneof![0..60u64, Just(u64::MAX), u64::MAX - 60..u64::MAX], 0..99),
    ) {
        let snapshot = built(&inside.iter().copied().collect::<Vec<_>>());
        for hash in (0..60).chain(u64::MAX - 60..=u64::MAX) {
            prop_assert_eq!(snapshot.find(hash).is_some(), inside.contains(&hash));
        }
    }

    #[test]
    fn a_written_snapshot_reads_back_the_same(
        hashes in vec(any::<u64>(), 0..200),
        targets in vec((any::<u64>(), "[a-z]{1,5}@[a-z]{1,5}"), 0..20),
        text in vec(any::<u8>(), 0..99),
    ) {
        let mut builder = Builder::new(KEY, 0);
        hashes.iter().for_each(|&hash| builder.add(hash));
        targets.iter().for_each(|(hash, target)| builder.add_target(*hash, target, 1));
        let snapshot = builder.finish().0;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.snapshot");
        write(&path, &snapshot, &text).unwrap();
        prop_assert_eq!(read(&path).unwrap(), (snapshot, text));
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn duplicates_count_once_and_a_target_wins_over_none() {
    let mut builder = Builder::new(KEY, 0);
    builder.add(7);
    builder.add_target(7, "a@b", 2);
    builder.add(7);
    builder.add_target(7, "a@b", 4);
    let snapshot = builder.finish().0;
    assert_eq!((snapshot.len(), snapshot.targets()), (1, 1));
    assert_eq!(snapshot.find(7), Some(Entry::Target("a@b")));
}

#[test]
fn two_targets_for_one_address_are_a_conflict_with_both_lines() {
    let mut builder = Builder::new(KEY, 0);
    builder.add_target(7, "c@d", 9);
    builder.add_target(7, "a@b", 2);
    let conflict = Conflict { line: 9, first_line: 2, target: "c@d".into() };
    let (snapshot, conflicts) = builder.finish();
    assert_eq!(conflicts, [conflict]);
    assert_eq!(snapshot.find(7), Some(Entry::Unclear), "neither counts");
}

#[test]
fn damage_at_any_octet_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.snapshot");
    write(&path, &with_targets(), b"{}").unwrap();
    let sound = std::fs::read(&path).unwrap();
    for at in 0..sound.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = sound.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, damaged).unwrap();
            assert!(read(&path).is_err(), "octet {at} xor {flip}");
        }
    }
    for len in 0..sound.len() {
        std::fs::write(&path, &sound[..len]).unwrap();
        assert!(matches!(read(&path), Err(StoredError::Length { .. })), "{len} octets");
    }
    let longer = [sound.as_slice(), b"x"].concat();
    std::fs::write(&path, longer).unwrap();
    assert!(matches!(read(&path), Err(StoredError::Length { .. })));
}

#[test]
fn damage_is_named_by_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.snapshot");
    write(&path, &with_targets(), b"{}").unwrap();
    let sound = std::fs::read(&path).unwrap();
    let damaged = |at: usize| {
        let mut octets = sound.clone();
        octets[at] ^= 0x40;
        std::fs::write(&path, octets).unwrap();
        read(&path).unwrap_err()
    };
    assert!(matches!(damaged(0), StoredError::NotSnapshot(_)));
    assert!(matches!(damaged(8), StoredError::Version { .. }));
    assert!(matches!(damaged(39), StoredError::Length { .. }));
    assert!(matches!(damaged(100), StoredError::Checksum(_)));
    assert!(matches!(read(&folder.path().join("none")), Err(StoredError::Io { .. })));
}

#[test]
fn a_snapshot_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.snapshot");
    write(&path, &with_targets(), b"").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_key_and_the_place_of_the_at_decide_the_hash() {
    let hash = KEY.hash(b"a", b"b.test");
    assert_eq!(KEY.hash(b"a", b"b.test"), hash);
    assert_ne!(HashKey([0; 16]).hash(b"a", b"b.test"), hash);
    assert_ne!(KEY.hash(b"a@b", b"c"), KEY.hash(b"a", b"b@c.test"));
    // In little room, in much, and beyond what an address can have: one hash for one address.
    for octets in [100, 120, 121, 122, 123, 255, 505, 504, 506, 1_000] {
        let long = vec![b'x'; octets];
        let whole = SipHasher13::new_with_key(&KEY.0).hash(&[&long[..], b"@a.test"].concat());
        assert_eq!(KEY.hash(&long, b"a.test"), whole, "{octets}");
    }
    let long = [b'x'; 400];
    assert_ne!(KEY.hash(&long, b"a.test"), KEY.hash(&long, b"b.test"));
}

#[test]
fn a_full_overlay_takes_only_changes_of_what_it_has() {
    let mut overlay = Overlay::default();
    for hash in 0..CHANGES_MAX as u64 {
        overlay.change(hash, Change::Removed).unwrap();
    }
    assert_eq!(overlay.change(u64::MAX, Change::Removed), Err(OverlayFull));
    assert_eq!(overlay.find(u64::MAX), None);
    overlay.change(3, Change::Added(Target::Same)).unwrap();
    assert_eq!(overlay.find(3), Some(&Change::Added(Target::Same)));
}
