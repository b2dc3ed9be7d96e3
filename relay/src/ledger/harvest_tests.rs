//! What harvesters learn of 800 names out of a list of 8,000, with what is set when nothing is set.
//! The figures stand in `docs/attacks.md`.

use super::tests::client;
use super::*;
use crate::policy::verdict::{Refusal, Words};
use crate::policy::{Refuser, Stage};
use crate::recipient::Ground;

const WORDS: usize = 8_000;
/// Every tenth word of the list is the name of somebody.
const WORDS_PER_NAME: usize = 10;

/// All of Postern that a harvester meets, but for the delays.
struct World {
    ledger: Ledger,
    share: UnknownShare,
    harvest: Harvest,
    learned: usize,
    next: usize,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::new((1, 2));
        let (share, harvest) = (UnknownShare::default(), Harvest::default());
        Self { ledger, share, harvest, learned: 0, next: 0 }
    }

    /// One guess, of the next word; false when it was told nothing.
    fn guess(&mut self, ip: &str, from: &str, now: Moment) -> bool {
        let client = client(ip);
        let from = ReversePath::parse(&format!("<{from}>")).unwrap();
        let standing = self.ledger.standing(&client, now);
        let is_put_off = match from {
            ReversePath::Null => standing.notice_harvest,
            _ => standing.harvest,
        };
        if is_put_off || self.next == WORDS {
            return false;
        }
        let word = self.next;
        self.next += 1;
        let path = ForwardPath::parse(&format!("<w{word}@example.com>")).unwrap();
        let exists = word.is_multiple_of(WORDS_PER_NAME);
        self.learned += usize::from(exists);
        let reply = Refusal::RecipientUnknown.reply();
        let kind = if exists {
            Kind::RecipientAccepted { forward_path: &path, ground: Ground::Listed }
        } else {
            Kind::Refused {
                stage: Stage::Recipient,
                by: Refuser::Session,
                refusal: "recipient_unknown",
                reply: &reply,
                words: Words::Ours,
                forward_path: Some(&path),
                unknown: true,
            }
        };
        let scene =
            Some(Scene { client: &client, hello: None, reverse_path: Some(&from), accepted: 0 });
        self.tell(&Event { scene, kind }, now);
        true
    }

    fn tell(&mut self, event: &Event<'_>, now: Moment) {
        let halvings = self.share.halvings(now);
        let noted = self.ledger.observe(event, &self.harvest, halvings, now);
        if let Some(is_unknown) = noted.stranger_named_unknown {
            self.share.add(is_unknown, now);
        }
    }

    /// Guesses of these addresses in turn, spread over so many seconds; each stops when it is told
    /// nothing.
    fn harvest_from(&mut self, addresses: &[String], from: &str, seconds: u64) -> usize {
        let all = WORDS as u64;
        for n in 0..all {
            let now = Moment(n * seconds * 1_000 / all);
            self.guess(&addresses[n as usize % addresses.len()], from, now);
        }
        self.learned
    }
}

fn spread(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("198.{}.{}.1", 18 + n / 256, n % 256)).collect()
}

fn of_one_network(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("192.0.2.{n}")).collect()
}

#[test]
fn a_harvester_learns_little_however_it_goes_about_it() {
    for (what, addresses, from, seconds, most) in [
        ("one address, in notices", spread(1), "", 300, 3),
        ("16 addresses, in notices", spread(16), "", 1, 40),
        ("256 addresses, polite", spread(256), "a@b.example", 300, 100),
        ("256 addresses, slowly", spread(256), "a@b.example", 3_600, 110),
        ("one /24", of_one_network(256), "a@b.example", 300, 5),
        ("one address", spread(1), "a@b.example", 300, 3),
    ] {
        let learned = World::new().harvest_from(&addresses, from, seconds);
        println!("{what}: {learned} of {}", WORDS / WORDS_PER_NAME);
        assert!(learned <= most, "{what}: {learned}");
    }
}

#[test]
fn whoever_writes_for_the_first_time_while_strangers_guess_is_served() {
    let mut world = World::new();
    let guessers = spread(256);
    let mut n = 0;
    while world.share.halvings(Moment(1_000)) < 3 {
        world.guess(&guessers[n % 256], "a@b.example", Moment(1_000));
        n += 1;
    }
    // The limits are as strict as they get, and somebody mistypes twice.
    assert!(world.guess("203.0.113.9", "c@d.example", Moment(2_000)));
    assert!(world.guess("203.0.113.9", "c@d.example", Moment(2_000)));
    assert!(!world.ledger.standing(&client("203.0.113.9"), Moment(3_000)).harvest);
}
