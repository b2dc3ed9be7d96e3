//! Who is blocked, who is spared, and that the books stay small.

use super::*;
use crate::event::Scene;
use crate::policy::verdict::{Refusal, Words};
use crate::policy::{Refuser, Stage};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::SessionId;

fn client(ip: &str) -> Client {
    Client {
        address: format!("{ip}:1").parse().unwrap(),
        session: SessionId(1),
        limits_lifted: false,
        endings: LineEndings::Strict,
        tls: false,
    }
}

fn refuse(ledger: &mut Ledger, client: &Client, from: &str, to: usize, now: Moment) {
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
    let scene = Some(Scene { client, hello: None, reverse_path: Some(&from) });
    ledger.observe(&Event { scene, kind }, &Harvest::default(), now);
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
fn the_books_are_bounded() {
    let mut ledger = Ledger::new((1, 2));
    let harvest = Harvest { entries_max: 100, ..Harvest::default() };
    for n in 0..10_000_u32 {
        let client = client(&std::net::Ipv4Addr::from(n << 8).to_string());
        let scene = Some(Scene { client: &client, hello: None, reverse_path: None });
        ledger.observe(&Event { scene, kind: Kind::SessionOpened }, &harvest, Moment(0));
        assert!(ledger.young.len() + ledger.old.len() <= 100);
    }
}

#[test]
fn rates_begin_anew_every_minute() {
    let (mut ledger, client) = (Ledger::new((1, 2)), client("192.0.2.1"));
    let scene = Some(Scene { client: &client, hello: None, reverse_path: None });
    for _ in 0..3 {
        let event = Event { scene, kind: Kind::SessionOpened };
        ledger.observe(&event, &Harvest::default(), Moment(1));
    }
    assert_eq!(ledger.standing(&client, Moment(59_999)).sessions, 3);
    assert_eq!(ledger.standing(&client, Moment(60_000)).sessions, 0);
}
