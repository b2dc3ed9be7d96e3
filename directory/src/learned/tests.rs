//! The judgement as properties; the memory under a dictionary and across a restart; what events
//! teach, and whom.

use super::evidence::Record;
use super::observe::Circumstances;
use super::report::{report_from, why_from};
use super::would_refuse::WouldRefuse;
use super::*;
use crate::kinds::learned::LearnedRecipients;
use crate::question::{Finding, Question, SourceAnswer};
use crate::source::RecipientSource;
use crate::store::Store;
use crate::{Answer, Directory, DomainDirectory};
use ::settings::networks::{Network, Networks};
use mail::address::Domain;
use mail::address::{ForwardPath, LocalPart, ReversePath};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::{HeardReply, Reply, ReplyId, SessionId};
use mail::smtp::status::Status;
use proptest::prelude::*;
use relay::client::Client;
use relay::event::{self, Event, Scene};
use relay::policy::verdict::Words;
use relay::policy::{Refuser, Stage};
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{DomainId, Harvest, Limits, LocalPartCase, NextHopId, Rates};
use std::cell::RefCell;
use std::sync::Arc;

const DAY: u32 = 86_400;
const NOW: u32 = 20_000 * DAY;

fn sighting() -> impl Strategy<Value = (Kind, u32)> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    (kind, prop::sample::select(vec![0, 1, DAY, 10 * DAY, 400 * DAY]))
}

fn record(seen: &[(Kind, u32)]) -> Record {
    let mut record = Record::default();
    seen.iter().for_each(|&(kind, age)| record.of_mut(kind).add(NOW - age));
    record
}

proptest! {
    #[test]
    fn a_positive_as_new_as_every_negative_wins(
        seen in prop::collection::vec(sighting(), 0..40),
        outbound in any::<bool>(),
    ) {
        let mut record = record(&seen);
        let kind = if outbound { Kind::OutboundSender } else { Kind::Delivered };
        record.of_mut(kind).add(NOW);
        prop_assert_eq!(record.belief(NOW), Belief::Exists);
    }

    #[test]
    fn evidence_never_speaks_for_the_other_side(
        seen in prop::collection::vec(sighting(), 0..40),
        (kind, age) in sighting(),
    ) {
        let mut record = record(&seen);
        let before = record.belief(NOW);
        record.of_mut(kind).add(NOW - age);
        let after = record.belief(NOW);
        if kind.is_positive() {
            prop_assert!(after == before || after == Belief::Exists, "{:?} {:?}", before, after);
        } else {
            prop_assert!(after == before || after == Belief::Unknown, "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn whoever_was_never_refused_is_never_unknown(
        seen in prop::collection::vec(sighting(), 0..40),
        later in 0..4_000 * DAY,
    ) {
        let positives: Vec<_> = seen.into_iter().filter(|(kind, _)| kind.is_positive()).collect();
        let expected = if positives.is_empty() { Belief::Unseen } else { Belief::Exists };
        prop_assert_eq!(record(&positives).belief(NOW + later), expected);
    }
}

#[test]
fn refusals_are_believed_for_a_while() {
    let believed = |seen: &[(Kind, u32)]| record(seen).belief(NOW);
    let refused = |days: u32| (Kind::RefusedByNextHop, days * DAY);
    assert_eq!(believed(&[refused(14)]), Belief::Unknown);
    assert_eq!(believed(&[refused(15)]), Belief::Unseen, "whoever was hired since is asked for");
    assert_eq!(believed(&[refused(35); 500]), Belief::Unknown);
    assert_eq!(believed(&[refused(36); 500]), Belief::Unseen);
    let plainly = [(Kind::RefusedPlainly, 0); 3];
    assert_eq!(believed(&plainly[..2]), Belief::Unseen, "it may have meant the client");
    assert_eq!(believed(&plainly), Belief::Unknown);
}

#[test]
fn one_refusal_does_not_outweigh_a_person_and_many_do() {
    let wrote = (Kind::OutboundSender, DAY);
    assert_eq!(record(&[wrote, (Kind::RefusedByNextHop, 0)]).belief(NOW), Belief::Exists);
    let refused = [(Kind::RefusedByNextHop, 0); 5];
    let all: Vec<_> = refused.into_iter().chain([wrote]).collect();
    assert_eq!(record(&all).belief(NOW), Belief::Unknown);
    let again: Vec<_> = all.into_iter().chain([(Kind::Delivered, 0)]).collect();
    assert_eq!(record(&again).belief(NOW), Belief::Exists, "until it is seen again");
}

#[test]
fn every_kind_is_found_by_its_word() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_word(kind.word()), Some(kind));
    }
    for would in [WouldRefuse::ByEvidence, WouldRefuse::UnseenRefused, WouldRefuse::UnseenDeferred]
    {
        assert_eq!(WouldRefuse::from_word(would.word()), Some(would));
    }
}

fn name(address: &str) -> Names {
    let (local_part, domain) = address.rsplit_once('@').unwrap();
    Names { exact: Name::new(local_part.as_bytes(), domain), base: None }
}

#[test]
fn a_dictionary_pushes_out_no_person() {
    let learned = Learned::with_limits([1_600, 160, 160], Store::none());
    let people: Vec<_> = (0..40).map(|n| format!("person{n}@example.test")).collect();
    let now = memory::now();
    people.iter().for_each(|person| learned.learn(person, Kind::Delivered, now));
    for n in 0..20_000 {
        let invented = name(&format!("invented{n}@example.test"));
        learned.learn(invented.exact(), Kind::RefusedByNextHop, now);
        learned.doubt(&invented, Unseen::Refuse, [192, 0, 2, 1].into(), Box::default);
    }
    for person in &people {
        assert_eq!(learned.believe(&name(person)).0, Belief::Exists);
    }
    let figures = learned.figures();
    assert_eq!((figures.positives, figures.would_refuse), (40, 20_000));
    assert!(figures.negatives <= 160 && figures.doubts <= 160, "{figures:?}");
    assert!(figures.negatives >= 100, "the bound is one, and not a loss: {figures:?}");
}

#[test]
fn among_people_those_seen_least_make_room() {
    let learned = Learned::with_limits([1_600, 16, 16], Store::none());
    let now = memory::now();
    for n in 0..100 {
        for _ in 0..8 {
            learned.learn(&format!("regular{n}@example.test"), Kind::OutboundSender, now);
        }
    }
    for n in 0..20_000 {
        learned.learn(&format!("once{n}@example.test"), Kind::Delivered, now);
    }
    assert!(learned.figures().positives <= 1_600);
    // Eight are drawn and the least goes: a regular does only where all drawn are regulars.
    for n in 0..100 {
        let regular = name(&format!("regular{n}@example.test"));
        assert_eq!(learned.believe(&regular).0, Belief::Exists);
    }
}

#[test]
fn a_restart_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let store = Store::open(folder.path(), |outcome| panic!("{outcome}")).unwrap();
        Learned::open(store).unwrap()
    };
    let now = memory::now();
    let learned = open();
    let address = |n: u32| format!("{n}@example.test");
    for n in 0..400 {
        // Every address has another history, told by its number.
        for (bit, kind) in Kind::ALL.into_iter().cycle().take(8).enumerate() {
            if n >> bit & 1 == 1 {
                learned.learn(&address(n), kind, now - 9 + bit as u32);
            }
        }
    }
    learned
        .doubt(&name("x@example.test"), Unseen::Defer, [192, 0, 2, 1].into(), || "a@b.test".into());
    let beliefs = |learned: &Learned| -> Vec<Belief> {
        (0..400).map(|n| learned.believe(&name(&address(n))).0).collect()
    };
    let (before, why) = (beliefs(&learned), learned.why(&address(255)));
    for belief in [Belief::Exists, Belief::Unknown, Belief::Unseen] {
        assert!(before.contains(&belief), "{belief:?} is tried");
    }
    let report = learned.report(10);
    assert!(learned.store().flush());
    assert_eq!(why_from(learned.store(), &address(255)).unwrap().evidence.len(), 5);
    assert_eq!(report_from(learned.store(), 10).unwrap(), report);
    drop(learned);
    let learned = open();
    assert_eq!(beliefs(&learned), before);
    let after = learned.why(&address(255));
    assert_eq!((after.belief, after.evidence.len()), (why.belief, why.evidence.len()));
    assert_eq!(learned.report(10), report);
}

#[test]
fn whoever_writes_leaves_the_report() {
    let learned = Learned::empty();
    for _ in 0..3 {
        for address in ["jones@example.test", "invented@example.test"] {
            learned.doubt(&name(address), Unseen::Defer, [192, 0, 2, 1].into(), Box::default);
        }
    }
    assert_eq!(learned.report(9).len(), 2);
    learned.learn("jones@example.test", Kind::OutboundSender, memory::now());
    let report = learned.report(9);
    assert_eq!(report.len(), 1);
    assert_eq!((report[0].address.as_str(), report[0].count), ("invented@example.test", 3));
    assert_eq!((report[0].code, report[0].because), (451, WouldRefuse::UnseenDeferred));
    assert_eq!(report[0].client, "192.0.2.1");
}

fn domain(name: &str, next_hop: u32, sub_address_separator: Option<char>) -> DomainSettings {
    DomainSettings {
        name: Domain::new(name).unwrap(),
        next_hop: NextHopId(next_hop),
        local_part_case: LocalPartCase::Folded,
        sub_address_separator,
        local_part_characters: "".into(),
        catch_all: None,
        postmaster: None,
    }
}

/// `example.test`, also as `example.org`, learns; `other.test` has a list.
fn settings_of_two() -> Settings {
    let names = [("example.test", 0), ("example.org", 0), ("other.test", 1)];
    Settings {
        hostname: Domain::new("mx.example.test").unwrap(),
        domains: names.map(|(name, id)| (name.into(), DomainId(id))).into(),
        domain: vec![domain("example.test", 0, Some('+')), domain("other.test", 1, None)],
        limits: Limits::default(),
        harvest: Harvest::default(),
        rates: Rates::default(),
        require_reverse_name: false,
    }
}

/// The office teaches, and its printers do not.
fn office_and_printers() -> Networks {
    let network = |name: &str, addresses: &str, teaches| Network {
        name: name.into(),
        addresses: vec![addresses.parse().unwrap()],
        limits_lifted: false,
        normalizes_line_endings: false,
        teaches,
    };
    Networks::new(vec![
        network("office", "10.0.0.0/8", true),
        network("printers", "10.9.0.0/16", false),
    ])
}

/// A session as events tell of it.
struct Played {
    settings: Settings,
    networks: Networks,
    learned: Learned,
    is_honest: bool,
    shown: RefCell<Vec<Vec<u8>>>,
}

impl Played {
    fn new(is_honest: bool) -> Self {
        Self {
            settings: settings_of_two(),
            networks: office_and_printers(),
            learned: Learned::empty(),
            is_honest,
            shown: RefCell::default(),
        }
    }

    fn happens(&self, client: &str, from: &str, kind: event::Kind<'_>) {
        let client = Client {
            address: format!("{client}:999").parse().unwrap(),
            session: SessionId(1),
            limits_lifted: false,
            endings: LineEndings::Strict,
            tls: false,
        };
        let from = ReversePath::parse(&format!("<{from}>")).unwrap();
        let scene = Scene { client: &client, hello: None, reverse_path: Some(&from), accepted: 0 };
        let circumstances = Circumstances {
            settings: &self.settings,
            networks: &self.networks,
            lists_learned: &|id| id == DomainId(0),
            is_honest: &|_| self.is_honest,
            shown: &|_, local_part| self.shown.borrow_mut().push(local_part.to_vec()),
        };
        self.learned.observe(&Event { scene: Some(scene), kind }, &circumstances);
    }

    fn delivers(&self, client: &str, from: &str, to: &[&str]) {
        let recipients: Vec<_> = to.iter().map(|to| path(to)).collect();
        let message = ReplyId { session: SessionId(1), count: 1 };
        let (host, reply) = ("127.0.0.1:1", "250 ok");
        let recipients = recipients.as_slice();
        let kind = event::Kind::Delivered { message, recipients, octets: 1, host, reply };
        self.happens(client, from, kind);
    }

    fn refuses(&self, to: &str, code: u16, status: Option<(u16, u16)>, unknown: bool) {
        let status = status.map(|(subject, detail)| Status { subject, detail });
        let reply = Reply::relayed(&HeardReply {
            code,
            status,
            text: "no".into(),
            more: Vec::new(),
            contradicts: false,
        });
        let kind = event::Kind::Refused {
            stage: Stage::Recipient,
            by: Refuser::NextHop,
            refusal: "next_hop_refused",
            reply: &reply,
            words: Words::NextHop,
            forward_path: Some(&path(to)),
            unknown,
        };
        self.happens("192.0.2.1", "a@b.test", kind);
    }

    fn believes(&self, address: &str) -> Belief {
        let mailbox = Mailbox::parse(address).unwrap();
        self.learned.believe(&Names::of(&mailbox, &self.settings).unwrap()).0
    }
}

fn path(address: &str) -> ForwardPath {
    ForwardPath::parse(&format!("<{address}>")).unwrap()
}

#[test]
fn only_networks_that_teach_teach_by_writing() {
    let stage = Played::new(false);
    stage.delivers("10.1.1.1", "Jones+list@EXAMPLE.org", &["someone@other.test"]);
    assert_eq!(stage.believes("jones@example.test"), Belief::Exists);
    assert_eq!(stage.believes("JONES+other@example.test"), Belief::Exists);
    for (client, from) in [
        ("192.0.2.1", "forged@example.test"),
        ("10.9.0.1", "printer@example.test"),
        ("10.1.1.1", "someone@other.test"),
        ("10.1.1.1", "elsewhere@outside.test"),
        ("10.1.1.1", ""),
    ] {
        stage.delivers(client, from, &["green@example.test"]);
    }
    assert_eq!(*stage.shown.borrow(), [b"jones+list".to_vec(), b"jones".to_vec()]);
    assert_eq!(stage.learned.figures().positives, 1, "nor does a next hop that nobody knows");
}

#[test]
fn only_an_honest_next_hop_proves_by_taking() {
    for (is_honest, belief) in [(true, Belief::Exists), (false, Belief::Unseen)] {
        let stage = Played::new(is_honest);
        stage.delivers("192.0.2.1", "", &["green@example.test", "black@example.org"]);
        assert_eq!(stage.believes("green@example.test"), belief);
        assert_eq!(stage.believes("black@example.test"), belief);
    }
}

#[test]
fn only_what_is_said_of_the_mailbox_is_held_against_it() {
    let stage = Played::new(false);
    let cases = [
        ("a@example.test", 550, Some((1, 1)), true, Belief::Unknown),
        ("b@example.test", 550, Some((1, 10)), false, Belief::Unknown),
        ("c@example.test", 550, Some((7, 1)), false, Belief::Unseen),
        ("d@example.test", 550, Some((1, 8)), false, Belief::Unseen),
        ("e@example.test", 450, Some((1, 1)), false, Belief::Unseen),
        ("f@example.test", 554, Some((1, 1)), false, Belief::Unseen),
        ("g@example.test", 550, None, false, Belief::Unseen),
    ];
    for (to, code, status, unknown, belief) in cases {
        stage.refuses(to, code, status, unknown);
        assert_eq!(stage.believes(to), belief, "{to}");
    }
    for n in 1..=3 {
        stage.refuses("h@example.test", 550, None, true);
        let belief = if n == 3 { Belief::Unknown } else { Belief::Unseen };
        assert_eq!(stage.believes("h@example.test"), belief, "{n} times");
    }
    stage.refuses("someone@other.test", 550, Some((1, 1)), true);
    assert!(stage.learned.record("someone@other.test").is_none(), "that domain does not learn");
}

#[test]
fn a_refused_sub_address_says_nothing_of_the_mailbox() {
    let stage = Played::new(true);
    stage.refuses("jones+x@example.test", 550, Some((1, 1)), true);
    assert_eq!(stage.believes("jones@example.test"), Belief::Unseen);
    assert_eq!(stage.believes("jones+x@example.test"), Belief::Unknown);
    assert_eq!(stage.believes("jones+y@example.test"), Belief::Unseen);
    stage.delivers("192.0.2.1", "", &["jones+x@example.test"]);
    assert_eq!(stage.believes("jones+x@example.test"), Belief::Exists, "the newer one wins");
}

/// What becomes of a seen, a refused and an unseen recipient.
fn statuses(mode: Mode, unseen: Unseen, other: Option<Finding>) -> [RecipientStatus; 3] {
    struct Other(Arc<str>, Finding);
    impl RecipientSource for Other {
        fn name(&self) -> &Arc<str> {
            &self.0
        }
        fn look_up(&self, _: &Question<'_>) -> SourceAnswer {
            SourceAnswer::Now(self.1.clone())
        }
    }
    let stage = Played::new(true);
    stage.delivers("192.0.2.1", "", &["seen@example.test"]);
    stage.refuses("refused@example.test", 550, Some((1, 1)), true);
    let settings = LearnedSettings { mode, unseen };
    let other = other.map(|finding| Arc::new(Other("other".into(), finding)) as Arc<_>);
    let learned: Arc<dyn RecipientSource> =
        Arc::new(LearnedRecipients::new(settings, Arc::new(stage.learned), Vec::new()));
    let sources = other.into_iter().chain([learned]).collect();
    let directory = Directory::new(vec![DomainDirectory { sources, ..Default::default() }]);
    ["seen", "refused", "unseen"].map(|local_part| {
        let local_part = LocalPart::new(local_part).unwrap();
        let domain = stage.settings.domain(DomainId(0));
        let answer = directory.look_up(
            DomainId(0),
            domain,
            &local_part,
            relay::turns::Party::NAMELESS,
            std::time::Duration::ZERO,
        );
        let Answer::Now(found) = answer else { panic!("from memory") };
        found.status
    })
}

const SEEN: RecipientStatus = RecipientStatus::LISTED;

const fn passes(ground: Ground) -> RecipientStatus {
    RecipientStatus::Exists { target: None, ground }
}

#[test]
fn what_another_source_shows_is_no_longer_held_against_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let store = Store::open(folder.path(), |outcome| panic!("{outcome}")).unwrap();
        Arc::new(Learned::open(store).unwrap())
    };
    let learned = open();
    let wrote = memory::now() - DAY;
    learned.learn("both@example.test", Kind::OutboundSender, wrote);
    for address in ["both@example.test", "accused@example.test", "guilty@example.test"] {
        (0..9).for_each(|_| learned.learn(address, Kind::RefusedByNextHop, memory::now()));
        assert_eq!(learned.believe(&name(address)).0, Belief::Unknown);
    }
    let settings = LearnedSettings { mode: Mode::Enforce, unseen: Unseen::Defer };
    let domains = vec![(DomainId(3), Domain::new("Example.test").unwrap())];
    let source = LearnedRecipients::new(settings, Arc::clone(&learned), domains);
    source.doubt_negative(DomainId(3), b"both");
    source.doubt_negative(DomainId(3), b"accused");
    source.doubt_negative(DomainId(4), b"guilty");
    drop(source);
    let mut learned = learned;
    for _ in 0..2 {
        assert_eq!(learned.believe(&name("both@example.test")).0, Belief::Exists);
        assert_eq!(learned.believe(&name("accused@example.test")).0, Belief::Unseen);
        assert_eq!(learned.believe(&name("guilty@example.test")).0, Belief::Unknown);
        drop(learned);
        learned = open();
    }
    assert!(learned.forget("guilty@example.test") && !learned.forget("guilty@example.test"));
    assert_eq!(learned.believe(&name("guilty@example.test")).0, Belief::Unseen);
}

#[test]
fn modes_say_who_is_refused() {
    use Mode::{Enforce, Observe};
    use RecipientStatus::{Unavailable, Unknown};
    use Unseen::{Accept, Defer, Refuse};
    for unseen in [Defer, Refuse, Accept] {
        let observed = || passes(Ground::Observed { unseen });
        assert_eq!(statuses(Observe, unseen, None), [observed(), observed(), observed()]);
        let known = Some(Finding::Unknown);
        assert_eq!(statuses(Observe, unseen, known), [Unknown, Unknown, Unknown], "no help either");
        let down = Some(Finding::Unavailable);
        assert_eq!(statuses(Observe, unseen, down), [Unavailable, Unavailable, Unavailable]);
    }
    assert_eq!(statuses(Enforce, Defer, None), [SEEN, Unknown, Unavailable]);
    assert_eq!(statuses(Enforce, Refuse, None), [SEEN, Unknown, Unknown]);
    assert_eq!(statuses(Enforce, Accept, None), [SEEN, Unknown, passes(Ground::Presumed)]);
    for unseen in [Defer, Refuse, Accept] {
        let with = |finding| statuses(Enforce, unseen, Some(finding));
        assert_eq!(with(Finding::Unknown), [SEEN, Unknown, Unknown], "the other one knows");
        assert_eq!(with(Finding::Unavailable), [SEEN, Unavailable, Unavailable]);
    }
}
