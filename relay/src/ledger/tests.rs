//! Who is blocked, who is spared, and that the books stay small.

use super::*;
use crate::event::{Scene, SessionCost};
use crate::policy::verdict::{Refusal, Words};
use crate::policy::{Refuser, Stage};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::SessionId;

pub(super) fn client(ip: &str) -> Client {
    Client {
        address: format!("{ip}:1").parse().unwrap(),
        session: SessionId(1),
        limits_lifted: false,
        endings: LineEndings::Strict,
        tls: false,
    }
}

pub(super) fn refuse(ledger: &mut Ledger, client: &Client, from: &str, to: usize, now: Moment) {
    refuse_by(&Harvest::default(), ledger, client, from, to, now);
}

/// An unknown recipient, with these limits.
fn refuse_by(
    harvest: &Harvest,
    ledger: &mut Ledger,
    client: &Client,
    from: &str,
    to: usize,
    now: Moment,
) {
    let from = ReversePath::parse(&format!("<{from}>")).unwrap();
    let path = ForwardPath::parse(&format!("<guess{to}@example.com>")).unwrap();
    let reply = Refusal::RecipientUnknown.reply();
    let kind = Kind::Refused {
        stage: Stage::Recipient,
        by: Refuser::Session,
        refusal: "recipient_unknown",
        reply: &reply,
        words: Words::Ours,
        forward_path: Some(&path),
        unknown: true,
    };
    let scene = Some(Scene { client, hello: None, reverse_path: Some(&from), accepted: 0 });
    ledger.observe(&Event { scene, kind }, harvest, 0, now);
}

#[test]
fn whoever_guesses_is_blocked_for_an_hour_after_the_last_guess() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..20 {
        refuse(&mut ledger, &client, "a@b.example", n, Moment(0));
    }
    assert!(!ledger.standing(&client, Moment(0)).harvest);
    refuse(&mut ledger, &client, "a@b.example", 20, Moment(1_000));
    assert!(ledger.standing(&client, Moment(3_600_999)).harvest);
    assert!(!ledger.standing(&client, Moment(3_601_000)).harvest);
}

#[test]
fn retries_are_spared() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..100 {
        refuse(&mut ledger, &client, "", n % 8, Moment(0));
        refuse(&mut ledger, &client, "a@b.example", n % 8, Moment(0));
    }
    let standing = ledger.standing(&client, Moment(0));
    assert!(!standing.harvest && !standing.notice_harvest);
}

#[test]
fn guesses_in_notices_cost_notices_alone() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..20 {
        refuse(&mut ledger, &client, "", n, Moment(0));
    }
    assert!(!ledger.standing(&client, Moment(0)).notice_harvest);
    refuse(&mut ledger, &client, "", 20, Moment(1_000));
    let standing = |at| ledger.standing(&client, Moment(at));
    assert!(standing(3_600_999).notice_harvest && !standing(1_000).harvest);
    assert!(!standing(3_601_000).notice_harvest);
}

#[test]
fn guesses_in_mail_cost_no_notice() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..40 {
        refuse(&mut ledger, &client, "a@b.example", n, Moment(0));
    }
    let standing = ledger.standing(&client, Moment(0));
    assert!(standing.harvest && !standing.notice_harvest);
}

#[test]
fn a_network_that_guesses_in_notices_is_asked_to_wait_with_notices() {
    let mut ledger = Ledger::new((1, 2));
    for n in 0..61 {
        let ip = format!("192.0.2.{}", n % 50);
        assert!(!ledger.standing(&client("192.0.2.250"), Moment(0)).notice_harvest);
        refuse(&mut ledger, &client(&ip), "", n, Moment(0));
    }
    let around = ledger.standing(&client("192.0.2.250"), Moment(1));
    assert!(around.notice_harvest && !around.harvest);
    assert!(!ledger.standing(&client("192.0.3.1"), Moment(1)).notice_harvest);
}

#[test]
fn a_network_of_guessers_is_blocked_whole_but_not_its_neighbour() {
    let mut ledger = Ledger::new((1, 2));
    for n in 0..101 {
        let ip = format!("192.0.2.{}", n % 50);
        refuse(&mut ledger, &client(&ip), "a@b.example", n, Moment(0));
    }
    assert!(ledger.standing(&client("192.0.2.250"), Moment(1)).harvest);
    assert!(!ledger.standing(&client("192.0.3.1"), Moment(1)).harvest);
}

#[test]
fn old_guesses_are_forgotten_with_their_window() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..40 {
        refuse(&mut ledger, &client, "a@b.example", n, Moment(n as u64 * 60_000));
    }
    assert!(!ledger.standing(&client, Moment(2_400_000)).harvest);
}

#[test]
fn what_the_ledger_holds_is_bounded() {
    let mut ledger = Ledger::new((1, 2));
    let harvest = Harvest { entries_max: 100, ..Harvest::default() };
    for n in 0..10_000_u32 {
        let client = client(&std::net::Ipv4Addr::from(n << 8).to_string());
        let scene = Some(Scene { client: &client, hello: None, reverse_path: None, accepted: 0 });
        ledger.observe(&Event { scene, kind: Kind::SessionOpened }, &harvest, 0, Moment(0));
        assert!(ledger.young.len() + ledger.old.len() <= 100);
    }
}

#[test]
fn rates_begin_anew_every_minute() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    let scene = Some(Scene { client: &client, hello: None, reverse_path: None, accepted: 0 });
    for _ in 0..3 {
        let event = Event { scene, kind: Kind::SessionOpened };
        ledger.observe(&event, &Harvest::default(), 0, Moment(1));
    }
    assert_eq!(ledger.standing(&client, Moment(59_999)).sessions, 3);
    assert_eq!(ledger.standing(&client, Moment(60_000)).sessions, 0);
}

/// A recipient of this client's, who exists, is accepted, and its mail delivered.
pub(super) fn deliver(ledger: &mut Ledger, client: &Client, recipients: usize, now: Moment) {
    let from = ReversePath::parse("<a@b.example>").unwrap();
    let paths: Vec<ForwardPath> = (0..recipients)
        .map(|n| ForwardPath::parse(&format!("<jones{n}@example.com>")).unwrap())
        .collect();
    let message = mail::smtp::reply::ReplyId { session: client.session, count: 1 };
    let kind = Kind::Delivered { message, recipients: &paths, octets: 1, host: "", reply: "" };
    let scene = Some(Scene { client, hello: None, reverse_path: Some(&from), accepted: 0 });
    ledger.observe(&Event { scene, kind }, &Harvest::default(), 0, now);
}

#[test]
fn a_list_server_with_two_percent_of_stale_addresses_is_never_put_off() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..200 {
        // A message for 50 people and one who is gone, every two seconds.
        let now = Moment(n as u64 * 2_000);
        refuse(&mut ledger, &client, "list@b.example", n, now);
        deliver(&mut ledger, &client, 50, now);
        assert!(!ledger.standing(&client, now).harvest, "{n}");
    }
}

#[test]
fn a_pool_with_one_abuser_goes_on_delivering() {
    let mut ledger = Ledger::new((1, 2));
    let of_pool = |n: usize| client(&format!("192.0.2.{}", n % 16));
    for n in 0..200 {
        deliver(&mut ledger, &of_pool(n), 1, Moment(n as u64 * 1_000));
    }
    for n in 0..101 {
        refuse(&mut ledger, &of_pool(n), "a@b.example", n, Moment(200_000 + n as u64 * 100));
    }
    for n in 0..16 {
        assert!(!ledger.standing(&of_pool(n), Moment(211_000)).harvest, "{n}");
    }
    assert!(!ledger.standing(&client("192.0.2.99"), Moment(211_000)).harvest, "nor a new one");
}

#[test]
fn a_single_guesser_is_put_off_without_its_neighbours() {
    let (mut ledger, guesser) = (Ledger::new((1, 2)), client("192.0.2.1"));
    for n in 0..1_000 {
        refuse(&mut ledger, &guesser, "a@b.example", n, Moment(0));
    }
    assert!(ledger.standing(&guesser, Moment(1)).harvest);
    assert!(!ledger.standing(&client("192.0.2.2"), Moment(1)).harvest);
}

#[test]
fn a_known_client_is_not_put_off_for_its_network() {
    const DAY: u64 = 86_400_000;
    let mut ledger = Ledger::new((1, 2));
    let known = client("192.0.2.250");
    deliver(&mut ledger, &known, 1, Moment(0));
    deliver(&mut ledger, &known, 1, Moment(DAY));
    for n in 0..200 {
        refuse(&mut ledger, &client(&format!("192.0.2.{}", n % 50)), "a@b.example", n, Moment(DAY));
    }
    assert!(ledger.standing(&client("192.0.2.251"), Moment(DAY)).harvest);
    let standing = ledger.standing(&known, Moment(DAY));
    assert!(standing.is_known && !standing.harvest);
}

#[test]
fn a_block_is_not_washed_away_by_other_clients() {
    let (mut ledger, guesser) = (Ledger::new((1, 2)), client("192.0.2.1"));
    let harvest = Harvest { entries_max: 100, ..Harvest::default() };
    for n in 0..30 {
        refuse(&mut ledger, &guesser, "a@b.example", n, Moment(0));
    }
    let from = ReversePath::parse("<a@b.example>").unwrap();
    for n in 0..10_000_u32 {
        let client = client(&std::net::Ipv4Addr::from(n << 8).to_string());
        let scene =
            Some(Scene { client: &client, hello: None, reverse_path: Some(&from), accepted: 0 });
        ledger.observe(&Event { scene, kind: Kind::MailAccepted }, &harvest, 0, Moment(1));
    }
    assert!(ledger.standing(&guesser, Moment(2)).harvest);
    assert!(ledger.young.len() + ledger.old.len() <= 100);
}

#[test]
fn a_session_leaves_no_account() {
    let mut ledger = Ledger::new((1, 2));
    let client = client("192.0.2.1");
    let scene = Some(Scene { client: &client, hello: None, reverse_path: None, accepted: 0 });
    let event = Event { scene, kind: Kind::SessionOpened };
    ledger.observe(&event, &Harvest::default(), 0, Moment(0));
    assert!(ledger.young.is_empty() && ledger.old.is_empty());
    assert_eq!(ledger.standing(&client, Moment(0)).sessions, 1);
}

#[test]
fn what_sessions_cost_is_added_up_for_who_has_an_account() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    let harvest = Harvest::default();
    let cost = SessionCost { refusals: 3, received_octets: 500, leased_milliseconds: 70 };
    let scene = Some(Scene { client: &client, hello: None, reverse_path: None, accepted: 0 });
    let closed = Event { scene, kind: Kind::SessionClosed { why: "quit", delivered: 0, cost } };
    ledger.observe(&closed, &harvest, 0, Moment(0));
    assert!(ledger.young.is_empty() && ledger.old.is_empty(), "a session alone leaves none");
    refuse(&mut ledger, &client, "a@b.example", 1, Moment(0));
    ledger.observe(&closed, &harvest, 0, Moment(0));
    ledger.observe(&closed, &harvest, 0, Moment(1));
    let summary = ledger.summary(Prefix::client(client.address.ip()), &harvest, Moment(1));
    let twice = SessionCost { refusals: 6, received_octets: 1_000, leased_milliseconds: 140 };
    assert_eq!(summary.unwrap().cost, twice);
    let around = ledger.summary(Prefix::network(client.address.ip()), &harvest, Moment(1));
    assert_eq!(around.unwrap().cost, twice);
}

#[test]
fn a_flood_of_blocked_64s_ends_in_their_48() {
    let mut ledger = Ledger::new((1, 2));
    let harvest = Harvest { entries_max: 64, client_unknown_max: 0, ..Harvest::default() };
    let of = |n: usize| client(&format!("[2001:db8:1:{n:x}::1]"));
    for n in 0..1_000 {
        refuse_by(&harvest, &mut ledger, &of(n), "a@b.example", n, Moment(0));
        assert!(ledger.young.len() + ledger.old.len() <= 64, "{n}");
    }
    assert!(ledger.standing(&of(9_999), Moment(1)).harvest, "the network is");
}

#[test]
fn a_block_can_be_lifted_and_outlives_a_restart() {
    let (mut ledger, guesser) = (Ledger::new((1, 2)), client("192.0.2.1"));
    let harvest = Harvest::default();
    for n in 0..30 {
        refuse(&mut ledger, &guesser, "a@b.example", n, Moment(0));
    }
    let kept = ledger.summaries(true, &harvest, Moment(1));
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].prefix.to_string(), "192.0.2.1");
    let mut after = Ledger::new((3, 4));
    after.restore(&kept[0], 0, &harvest, Moment(1));
    assert!(after.standing(&guesser, Moment(2)).harvest);
    assert!(after.lift("192.0.2.1".parse().unwrap(), Moment(2)));
    assert!(!after.standing(&guesser, Moment(3)).harvest);
    assert!(!after.lift("192.0.2.1".parse().unwrap(), Moment(4)), "there is nothing left to lift");
}
