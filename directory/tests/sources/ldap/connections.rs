//! Connections to a directory: which server, how many, how long, and what is the matter when one
//! hangs, lies or breaks off.

use super::*;

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
        assert_eq!(
            asker.runtime.block_on(asking).unwrap().unwrap(),
            Existence::Exists { target: None }
        );
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
