//! What becomes of a file that was read: the guards, a person's word, a restart, a change.

use super::*;

#[test]
fn a_load_that_shrinks_waits_for_a_person_who_confirms_what_is_there() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(100));
    bench.write(people(70));
    assert_eq!(holds(&source.reload(None)), [Hold::Shrunk { before: 100, now: 70 }]);
    assert!(bench.exists(&source, "p99@example.test"));
    assert!(!source.reload(Some(Confirmation { entries: 71 }))[0].is_adopted());
    assert!(source.reload(Some(Confirmation { entries: 70 }))[0].is_adopted());
    assert!(!bench.exists(&source, "p99@example.test"));
}

#[test]
fn a_source_that_fails_at_start_is_unavailable_and_never_unknown() {
    let mut bench = Bench::new("users.txt");
    let unavailable = |bench: &Bench| {
        let (source, outcomes) = bench.open();
        assert!(!outcomes[0].is_adopted());
        assert_eq!(bench.status(&source, "p1@example.test"), RecipientStatus::Unavailable);
        outcomes
    };
    assert!(matches!(
        unavailable(&bench)[0],
        Outcome::Failed { error: LoadError::Io { .. }, domains_in_use: 0, .. }
    ));
    bench.write("# nobody\n");
    assert_eq!(holds(&unavailable(&bench)), [Hold::Empty]);
    bench.write("bad@\n");
    unavailable(&bench);
    let canary = Mailbox::parse("Canary@example.test").unwrap();
    bench.canary = Some(canary.clone());
    bench.write(people(3));
    assert_eq!(holds(&unavailable(&bench)), [Hold::CanaryMissing(canary)]);
    bench.write(people(3) + "canary@example.test\n");
    assert!(bench.open().1[0].is_adopted());
    bench.canary = Some(Mailbox::parse("canary@elsewhere.test").unwrap());
    unavailable(&bench);
}

#[test]
fn in_a_shared_file_only_the_domain_that_lost_its_addresses_is_held_back() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["example.test", "other.test"];
    let source = bench.with(people(10) + "a@other.test\nb@other.test\n");
    bench.write(people(11));
    let outcomes = source.reload(None);
    assert_eq!(holds(&outcomes), [Hold::Empty]);
    assert!(bench.exists(&source, "p10@example.test"));
    assert!(bench.exists(&source, "b@other.test"));
    let statistics = source.statistics();
    assert_eq!(statistics.domains[0].entries, Some(11));
    assert_eq!(statistics.domains[1].entries, Some(2));
}

#[test]
fn a_missing_canary_holds_back_its_own_domain_and_no_confirmation_helps() {
    let mut bench = Bench::new("users.txt");
    bench.names = vec!["example.test", "other.test"];
    bench.canary = Mailbox::parse("p5@example.test").ok();
    bench.write(people(5) + "a@other.test\n");
    let (source, outcomes) = bench.open();
    assert!(matches!(holds(&outcomes)[..], [Hold::CanaryMissing(_)]));
    assert_eq!(bench.status(&source, "p1@example.test"), RecipientStatus::Unavailable);
    assert!(bench.exists(&source, "a@other.test"));
    assert!(!source.reload(Some(Confirmation { entries: 6 }))[0].is_adopted());
    bench.write(people(6) + "a@other.test\n");
    assert!(source.reload(None)[0].is_adopted());
    assert!(bench.exists(&source, "p1@example.test"));
}

#[test]
fn a_single_change_counts_until_the_next_load() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(10));
    let change = |local_part: &str, change| {
        source.change(DomainId(0), local_part.as_bytes(), change).unwrap()
    };
    assert!(change("new", Change::Added(Target::of_stored(Some("n@inside.test")))));
    assert!(change("p1", Change::Removed));
    assert_eq!(bench.status(&source, "new@example.test"), to("n@inside.test"));
    assert!(!bench.exists(&source, "p1@example.test"));
    assert!(source.reload(None)[0].is_adopted());
    assert!(!bench.exists(&source, "new@example.test"));
    assert!(bench.exists(&source, "p1@example.test"));
    assert_eq!(source.change(DomainId(9), b"x", Change::Removed), Ok(false));
}

fn origin(outcomes: &[Outcome]) -> Vec<Option<Origin>> {
    let origin = |outcome: &Outcome| match outcome {
        Outcome::Judged { origin, .. } => Some(*origin),
        Outcome::Failed { .. } | Outcome::CacheFailed { .. } => None,
    };
    outcomes.iter().map(origin).collect()
}

#[test]
fn an_unchanged_file_is_taken_from_the_state_directory() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    bench.with(people(10) + "info@example.test a@b.test\ns-*@example.test c@d.test\n");
    let (source, outcomes) = bench.open();
    assert_eq!(origin(&outcomes), [Some(Origin::Cache)]);
    assert!(bench.exists(&source, "p9@example.test"));
    assert_eq!(bench.status(&source, "info@example.test"), to("a@b.test"));
    assert_eq!(bench.status(&source, "s-1@example.test"), to("c@d.test"));
    assert!(!bench.exists(&source, "p10@example.test"));
    bench.write(people(11));
    assert_eq!(origin(&bench.open().1), [Some(Origin::Cache), Some(Origin::Source)]);
}

#[test]
fn the_guards_remember_over_a_restart_and_what_was_in_use_stays_in_use() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    bench.with(people(100));
    bench.write(people(10));
    for _ in 0..2 {
        let (source, outcomes) = bench.open();
        assert_eq!(holds(&outcomes), [Hold::Shrunk { before: 100, now: 10 }]);
        assert!(bench.exists(&source, "p99@example.test"));
    }
    // With other settings the hashes are worthless, but not the count.
    bench.case = LocalPartCase::Exact;
    let (source, outcomes) = bench.open();
    assert_eq!(holds(&outcomes), [Hold::Shrunk { before: 100, now: 10 }]);
    assert_eq!(bench.status(&source, "p1@example.test"), RecipientStatus::Unavailable);
}

#[test]
fn a_damaged_state_directory_is_told_and_the_file_read() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    bench.with(people(100));
    let mut entries = std::fs::read_dir(bench.folder.path().join("state")).unwrap();
    let kept = entries.next().unwrap().unwrap().path();
    let mut octets = std::fs::read(&kept).unwrap();
    octets[200] ^= 1;
    std::fs::write(&kept, octets).unwrap();
    let (source, outcomes) = bench.open();
    assert_eq!(origin(&outcomes), [None, Some(Origin::Source)]);
    assert!(matches!(outcomes[0], Outcome::CacheFailed { .. }));
    assert!(source.poll().is_empty());
    assert!(bench.exists(&source, "p99@example.test"));
    assert_eq!(origin(&bench.open().1), [Some(Origin::Cache)]);
}

#[test]
fn a_changed_file_is_loaded_once_it_has_been_quiet() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(10));
    assert!(source.poll().is_empty());
    bench.write(people(11));
    assert!(source.poll().is_empty());
    bench.write(people(12));
    assert!(source.poll().is_empty());
    assert!(source.poll()[0].is_adopted());
    assert!(bench.exists(&source, "p11@example.test"));
    assert!(source.poll().is_empty());
    std::fs::remove_file(bench.path()).unwrap();
    assert!(source.poll().is_empty());
    assert!(matches!(source.poll()[0], Outcome::Failed { domains_in_use: 1, .. }));
    assert!(source.poll().is_empty(), "a missing file is told once");
    assert!(bench.exists(&source, "p11@example.test"));
}

#[test]
fn statistics_say_what_an_address_costs() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(1_000) + "s-*@example.test\n");
    let statistics = source.statistics();
    assert_eq!(statistics.octets_per_address(), Some(9.0));
    assert_eq!((statistics.addresses, statistics.domains[0].patterns), (1_000, 1));
    assert_eq!(statistics.domains[0].entries, Some(1_001));
    assert!(statistics.domains[0].modified_nanoseconds > Some(0));
}

#[test]
fn a_confirmation_in_the_state_directory_is_taken_at_the_next_poll() {
    let mut bench = Bench::new("users.txt");
    bench.keep = true;
    let source = bench.with(people(100));
    source.poll();
    bench.write(people(70));
    source.poll();
    assert_eq!(holds(&source.poll()), [Hold::Shrunk { before: 100, now: 70 }]);
    source.leave_confirmation(Confirmation { entries: 71 }).unwrap().unwrap();
    assert_eq!(holds(&source.poll()), [Hold::Shrunk { before: 100, now: 70 }]);
    assert!(source.poll().is_empty());
    source.leave_confirmation(Confirmation { entries: 70 }).unwrap().unwrap();
    assert!(source.poll()[0].is_adopted());
    assert!(!bench.exists(&source, "p99@example.test"));
    // One that comes too late is not kept for another day.
    source.leave_confirmation(Confirmation { entries: 10 }).unwrap().unwrap();
    bench.write(people(69));
    source.poll();
    assert!(source.poll()[0].is_adopted());
    bench.write(people(10));
    source.poll();
    assert!(!source.poll()[0].is_adopted());
    assert!(source.poll().is_empty());
}
