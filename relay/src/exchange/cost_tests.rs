//! What refusals and guesses cost within one session, in virtual time: those who have a reason to
//! be here little, the others more and more.

use super::super::tests::{exchange, said};
use super::super::{Done, Moment};
use super::*;
use crate::next_hop::Outcome;
use crate::policy::facts::{Found, Need, Standing};
use crate::recipient::RecipientStatus;
use std::collections::VecDeque;

/// What a session came to.
#[derive(Debug, Default)]
struct Heard {
    codes: Vec<u16>,
    refusals: Vec<&'static str>,
    /// How long the client was made to wait, in milliseconds.
    waited: u64,
}

impl Sink for Heard {
    fn write(&mut self, reply: &Reply) {
        self.codes.push(reply.code());
    }
    fn keep(&mut self, _: &[u8]) {}
    fn record(&mut self, event: &Event<'_>) {
        if let Kind::Refused { refusal, .. } = event.kind {
            self.refusals.push(refusal);
        }
    }
    fn split(
        &mut self,
        _: crate::client::Prefix,
        _: &ReversePath,
        _: &[mail::address::ForwardPath],
    ) {
    }
}

impl Heard {
    fn count(&self, code: u16) -> usize {
        self.codes.iter().filter(|heard| **heard == code).count()
    }
}

/// Says these commands one by one, as a stranger. The status of each recipient is given by its
/// local part: `u…` is unknown, `d…` unavailable, all others exist.
fn say(commands: &[String]) -> Heard {
    let mut exchange = exchange();
    exchange.client.limits_lifted = false;
    let (mut heard, mut now) = (Heard::default(), Moment(0));
    let mut commands: VecDeque<&String> = commands.iter().collect();
    loop {
        let done = match exchange.next(&mut heard) {
            Do::Read { .. } => match commands.pop_front() {
                Some(command) => Done::Bytes(format!("{command}\r\n").into_bytes()),
                None => return heard,
            },
            Do::LookUp { need: Need::Recipient, .. } => {
                let asked = exchange.recipient_in_question().and_then(|(_, local)| local.cloned());
                let asked = asked.map(|local| local.as_str().to_owned()).unwrap_or_default();
                Done::Found(Found::Recipient(match asked.as_bytes().first() {
                    Some(b'u') => RecipientStatus::Unknown,
                    Some(b'd') => RecipientStatus::Unavailable,
                    _ => RecipientStatus::LISTED,
                }))
            }
            Do::LookUp { need: Need::Standing, .. } => {
                Done::Found(Found::Standing(Standing::default()))
            }
            Do::LookUp { need: Need::Split, .. } => Done::Found(Found::Split(false)),
            Do::LookUp { .. } => Done::Elapsed,
            Do::Carry { .. } => Done::Carried(Outcome::Recipient(said(250))),
            Do::Wait { until } => {
                heard.waited += until.milliseconds_since(now);
                now = until;
                Done::Elapsed
            }
            Do::Send { .. } | Do::Forget { .. } | Do::StartTls { .. } => Done::Yes,
            Do::Close => return heard,
        };
        exchange.done(done, now, &mut heard);
    }
}

fn session(recipients: impl Iterator<Item = String>) -> Vec<String> {
    let begin = ["EHLO c.example".to_owned(), "MAIL FROM:<x@c.example>".to_owned()];
    begin.into_iter().chain(recipients.map(|to| format!("RCPT TO:<{to}>"))).collect()
}

#[test]
fn a_message_for_200_people_of_whom_an_eighth_is_gone_goes_on() {
    let names = (0..200).map(|n| match n % 8 {
        7 => format!("u{n}@a.example"),
        _ => format!("p{n}@a.example"),
    });
    let heard = say(&session(names));
    // 220, EHLO, MAIL, and who exists.
    assert_eq!((heard.count(250), heard.count(550)), (2 + 175, 25), "{:?}", heard.refusals);
    assert_eq!(heard.count(421) + heard.count(450), 0);
    assert!(heard.waited <= 20_000, "{}", heard.waited);
}

#[test]
fn guesses_beside_one_who_exists_end_in_450_and_not_421() {
    let names = std::iter::once("jones@a.example".to_owned());
    let heard = say(&session(names.chain((0..60).map(|n| format!("u{n}@a.example")))));
    assert_eq!(heard.count(421), 0);
    // 20 for nothing, the 21st is the last that is told.
    assert_eq!((heard.count(550), heard.count(450)), (21, 39));
    assert!(heard.waited >= 20_000, "{}", heard.waited);
}

#[test]
fn one_who_is_named_again_and_again_outweighs_nothing() {
    let names = (0..400).map(|n| match n % 4 {
        3 => format!("u{n}@a.example"),
        _ => "jones@a.example".to_owned(),
    });
    let heard = say(&session(names));
    assert_eq!(heard.count(550), 21);
}

#[test]
fn refusals_that_are_nobodys_fault_end_no_session_and_become_slow() {
    let heard = say(&session((0..2_000).map(|n| format!("d{n}@a.example"))));
    assert_eq!(heard.count(451), 2_000);
    assert_eq!(heard.count(421), 0);
    // The first 50 at once, then up to one a second.
    assert!(heard.waited > 1_800_000, "{}", heard.waited);
    let few = say(&session((0..50).map(|n| format!("d{n}@a.example"))));
    assert_eq!(few.waited, 0);
}

#[test]
fn a_message_whose_people_cannot_be_looked_up_waits_for_20_seconds_at_most() {
    let names =
        (0..500).map(|n| if n == 0 { "p@a.example".into() } else { format!("d{n}@a.example") });
    let heard = say(&session(names));
    assert_eq!(heard.count(451), 499);
    assert!(heard.waited <= 20_000, "{}", heard.waited);
}
