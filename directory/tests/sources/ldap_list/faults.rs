//! Servers that do not say all, or not as it should be said.

use super::*;

#[test]
fn whatever_a_provider_says_instead_of_changes_everything_is_read_or_it_has_failed() {
    const SYNC: &str = "1.3.6.1.4.1.4203.1.9.1.1";
    let provider = |answers: Vec<LdapAnswer>| {
        move |search: &Search| {
            let uuid = ("entryUUID", "01234567-89ab-cdef-0123-456789abcdef");
            let person = [uuid, ("mail", "jones@example.test")];
            match (search.scope, search.controls.iter().any(|oid| oid == SYNC)) {
                (0, _) => vec![
                    LdapAnswer::entry("", &[("supportedControl", SYNC), ("contextCSN", "2026")]),
                    LdapAnswer::done(0),
                ],
                (_, false) => vec![LdapAnswer::entry("cn=jones", &person), LdapAnswer::done(0)],
                (_, true) => answers.clone(),
            }
        }
    };
    let message = |op: &[u8]| {
        // All of these are the fourth message of their connection, if not the third.
        let one = |id: u8| [&[0x30, op.len() as u8 + 3, 2, 1, id], op].concat();
        LdapAnswer::Octets([one(1), one(2), one(3)].concat())
    };
    let info = |value: &[u8]| {
        let name = b"1.3.6.1.4.1.4203.1.9.1.4";
        let parts = [&[0x80, 24], &name[..], &[0x81, value.len() as u8], value].concat();
        message(&[&[0x79, parts.len() as u8], &parts[..]].concat())
    };
    let (fake, folder) = (FakeLdap::start(provider(Vec::new())), Folder::new());
    let listing = Listing::read(of_fake(&fake), &folder);
    assert!(listing.knows("jones"));
    let done = LdapAnswer::done(0);
    for (name, answers) in [
        ("refresh required", vec![LdapAnswer::done(4096)]),
        ("too many", vec![LdapAnswer::done(4)]),
        ("a cookie of the future", vec![LdapAnswer::done(53)]),
        ("no word at the end", vec![done.clone()]),
        ("what is present", vec![info(&[0xa3, 2, 0x31, 0]), done.clone()]),
        ("no element", vec![info(&[0xa3, 0x84, 255, 255, 255, 255]), done.clone()]),
        ("somebody without a state", vec![LdapAnswer::entry("cn=x", &[]), done.clone()]),
    ] {
        fake.answer_with(provider(answers));
        let outcomes = listing.list.poll();
        assert!(!outcomes.is_empty() && outcomes[0].is_adopted(), "{name}: {outcomes:?}");
        assert!(listing.knows("jones"), "{name}");
    }
    fake.answer_with(provider(vec![LdapAnswer::done(51)]));
    let outcomes = listing.list.poll();
    assert!(matches!(outcomes[..], [Outcome::Failed { .. }]), "{outcomes:?}");
    assert!(listing.knows("jones"));
}

fn of_fake(fake: &FakeLdap) -> Settings {
    settings(Preset::Custom, &[fake.address], "o=Example")
}

/// The root says nothing; all else is answered by this.
fn rootless(
    answer: impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync + 'static,
) -> impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync + 'static {
    move |search| match search.base.is_empty() {
        true => vec![LdapAnswer::entry("", &[("objectClass", "top")]), LdapAnswer::done(0)],
        false => answer(search),
    }
}

/// So many people without pages.
fn unpaged(count: usize) -> Vec<LdapAnswer> {
    LdapAnswer::people(count).into_iter().chain([LdapAnswer::done(0)]).collect()
}

type Answering = Box<dyn Fn(&Search) -> Vec<LdapAnswer> + Send + Sync>;

/// What a server does, what that is, and words that say it.
fn faults() -> Vec<(&'static str, Answering, Failing, &'static str)> {
    use Failing::{Answer, Connection, Query};
    let page = |from: usize, cookie: &[u8]| {
        let people = LdapAnswer::people(from + 10).split_off(from);
        people.into_iter().chain([LdapAnswer::PageDone(cookie.to_vec())]).collect::<Vec<_>>()
    };
    let again = |answers: Vec<LdapAnswer>| -> Answering { Box::new(move |_| answers.clone()) };
    let with_end = |answers: Vec<LdapAnswer>, end: LdapAnswer| {
        answers.into_iter().chain([end]).collect::<Vec<_>>()
    };
    let reference = LdapAnswer::Reference(vec!["ldap://other/".to_owned()]);
    let second = move |search: &Search, then: Vec<LdapAnswer>| match &search.page {
        Some((_, cookie)) if cookie.is_empty() => page(0, b"next"),
        _ => then,
    };
    vec![
        ("1,000 without pages", again(unpaged(1_000)), Answer, "its limit"),
        ("100 without pages", again(unpaged(100)), Answer, "its limit"),
        ("as many as we ask for in a page", again(unpaged(500)), Answer, "its limit"),
        ("2,000 without pages", again(unpaged(2_000)), Answer, "its limit"),
        (
            "size limit",
            again(with_end(LdapAnswer::people(500), LdapAnswer::done(4))),
            Answer,
            "its limit",
        ),
        ("the same page", again(page(0, b"next")), Answer, "again and again"),
        (
            "empty pages",
            again(vec![LdapAnswer::PageDone(b"next".to_vec())]),
            Answer,
            "page after page",
        ),
        (
            "pages end half-way",
            Box::new(move |search| second(search, unpaged(3))),
            Answer,
            "stopped counting",
        ),
        (
            "size limit half-way",
            Box::new(move |search| second(search, vec![LdapAnswer::done(4)])),
            Answer,
            "its limit",
        ),
        (
            "dies half-way",
            Box::new(move |search| {
                second(search, vec![LdapAnswer::CutAfter(5), LdapAnswer::done(0)])
            }),
            Connection,
            "lost",
        ),
        ("nobody", again(vec![LdapAnswer::done(0)]), Answer, "nobody below"),
        (
            "nobody with an address",
            again(vec![LdapAnswer::entry("cn=x", &[("cn", "x")]), LdapAnswer::done(0)]),
            Answer,
            "none with an address",
        ),
        (
            "referral",
            again(vec![LdapAnswer::referral(&["ldap://other/"])]),
            Answer,
            "another server",
        ),
        ("references only", again(vec![reference, LdapAnswer::done(0)]), Answer, "another server"),
        ("no such base", again(vec![LdapAnswer::done(32)]), Query, "no such base"),
        ("busy", again(vec![LdapAnswer::done(51)]), Connection, "busy"),
    ]
}

/// A server without pages that breaks off without a word at 500, of so many people: those who
/// have a 1 in their address, or have none, are found by that.
fn breaks_off_at_500(people: usize) -> impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync {
    move |search| {
        let has_a_one = |n: usize| format!("person{n:04}").contains('1');
        let is_meant = |n: &usize| match &search.filter {
            filter if !filter.contains("*1*") => true,
            filter => has_a_one(n + 1) != filter.contains("(!"),
        };
        let everybody = LdapAnswer::people(people).into_iter().enumerate();
        let meant = everybody.filter(|(n, _)| is_meant(n)).map(|(_, answer)| answer);
        meant.take(500).chain([LdapAnswer::done(0)]).collect()
    }
}

#[test]
fn a_list_of_as_many_as_a_limit_is_whole_where_its_halves_are_as_many() {
    let folder = Folder::new();
    let fake = FakeLdap::start(rootless(breaks_off_at_500(500)));
    let listing = Listing::read(of_fake(&fake), &folder);
    assert_eq!(listing.addresses(), 500);
    fake.answer_with(rootless(breaks_off_at_500(700)));
    assert!(listing.failing().1.contains("its limit"));
    assert_eq!(listing.addresses(), 500, "what was there goes on");
}

#[test]
fn a_list_that_is_not_whole_is_none() {
    let (fake, folder) = (FakeLdap::start(rootless(|_| unpaged(1_001))), Folder::new());
    let listing = Listing::read(of_fake(&fake), &folder);
    assert_eq!(listing.addresses(), 1_001);
    for (name, answer, failing, words) in faults() {
        fake.answer_with(rootless(answer));
        let (kind, what) = listing.failing();
        assert_eq!((kind, what.contains(words)), (failing, true), "{name}: {what}");
        assert_eq!(listing.addresses(), 1_001, "{name}");
        assert!(listing.knows("person1001"), "{name}");
    }
    fake.answer_with(rootless(|_| unpaged(1_002)));
    assert!(listing.list.reload(None)[0].is_adopted());
    assert!(listing.knows("person1002"));
}

#[test]
fn values_that_are_held_back_are_asked_for_until_there_are_no_more() {
    fn values(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        range.map(|n| format!("smtp:list{n}@example.test").into_bytes()).collect()
    }
    fn part(name: &str, range: std::ops::Range<usize>) -> Vec<LdapAnswer> {
        let attributes =
            vec![("proxyAddresses".to_owned(), vec![]), (name.to_owned(), values(range))];
        vec![LdapAnswer::Entry("cn=group,o=Example".to_owned(), attributes), LdapAnswer::done(0)]
    }
    let honest = |search: &Search| match &*search.attributes[0] {
        "proxyAddresses" => part("proxyAddresses;range=0-1499", 0..1_500),
        "proxyAddresses;range=1500-*" => part("proxyAddresses;range=1500-2999", 1_500..3_000),
        _ => part("proxyAddresses;range=3000-*", 3_000..3_200),
    };
    let fake = FakeLdap::start(rootless(honest));
    let settings = settings(Preset::ActiveDirectory, &[fake.address], "o=Example");
    let folder = Folder::new();
    let listing = Listing::read(settings, &folder);
    assert_eq!(listing.addresses(), 3_200);
    let never = |search: &Search| match &*search.attributes[0] {
        "proxyAddresses" => part("proxyAddresses;range=0-1499", 0..1_500),
        _ => part("proxyAddresses;range=0-1499", 0..1_500),
    };
    fake.answer_with(rootless(never));
    assert!(listing.failing().1.contains("do not add up"));
    fake.answer_with(rootless(move |search| match &*search.attributes[0] {
        "proxyAddresses" => part("proxyAddresses;range=0-1499", 0..1_500),
        _ => vec![LdapAnswer::done(0)],
    }));
    assert!(listing.failing().1.contains("do not add up"));
    assert_eq!(listing.addresses(), 3_200);
}

#[test]
fn a_list_ends_soon_when_it_is_no_longer_wanted() {
    let fake = FakeLdap::start(rootless(|_| Vec::new()));
    let folder = Folder::new();
    let listing = Listing::open(of_fake(&fake), &folder);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| listing.list.poll());
        wait_until("it is asked", || fake.searches().iter().any(|search| search.scope == 2));
        listing.list.retire();
        reading.join().unwrap();
    });
}

/// A subtree that another server holds, as it stands in a directory (RFC 3296).
const BRANCH: &str = "dn: ou=branch,dc=example,dc=test\nobjectClass: referral\n\
                      objectClass: extensibleObject\nou: branch\n\
                      ref: ldap://branch.example.test/ou=branch,dc=example,dc=test\n";

#[test]
fn who_may_be_on_another_server_is_not_unknown_also_after_a_restart() {
    if !is_here() {
        return;
    }
    let setup = Setup { people: 50, ..Setup::new(Shape::OpenLdap) };
    let (slapd, folder) = (Slapd::start(setup), Folder::new());
    slapd.add_ldif(BRANCH);
    let listing = Listing::open(of(&slapd, &folder), &folder);
    let told = listing.list.poll()[0].to_string();
    assert!(told.contains("the rest is at ldap://branch.example.test/"), "{told}");
    for from in ["read", "kept"] {
        let listing = Listing::open(of(&slapd, &folder), &folder);
        assert!(matches!(listing.find("person0050"), Finding::Exists { .. }), "{from}");
        assert_eq!(listing.find("nobody"), Finding::Unavailable, "{from}");
    }
}
