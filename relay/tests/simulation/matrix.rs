//! T8: every fault of a next hop, for one recipient and several, in the clear and behind TLS,
//! with the exact codes that the client hears and what the next hop has in the end.

use super::client::{Arrives, Client, Honest, Message, Move, Unit};
use super::content;
use super::edge::Pieces;
use super::journal::{Heard, Note, Told};
use super::judge::judge;
use super::next_hop::{Fault, Kind, Point};
use super::seed::Seed;
use super::world::{World, calm_hop, calm_shared};
use std::net::Ipv4Addr;

/// Comes once and does not try again.
struct Once(Honest);

impl Client for Once {
    fn arrives(&self) -> Arrives {
        self.0.arrives()
    }
    fn begin(&mut self, now: u64) {
        self.0.begin(now);
    }
    fn next(&mut self, heard: &[Heard], now: u64) -> Move {
        self.0.next(heard, now)
    }
    fn ended(&mut self, _: u64) -> Option<u64> {
        None
    }
}

/// What one case must come to.
struct Case {
    name: &'static str,
    point: Point,
    kind: Kind,
    taken: bool,
    /// The answer to the final dot, or to RCPT where it does not come so far: for one recipient,
    /// for several.
    answers: (u16, u16),
    /// Messages the next hop has, and outcomes that we say we do not know.
    has: (usize, usize),
}

#[rustfmt::skip]
const CASES: [Case; 15] = {
    use Kind::{Closing, Code, Drop, Garbage, Half, Huge, Silent, Slow};
    use Point::{Banner, Connect, Data, Dot, Ehlo, Mail, MidData, Rcpt};
    const fn case(
        name: &'static str, point: Point, kind: Kind, taken: bool,
        answers: (u16, u16), has: (usize, usize),
    ) -> Case {
        Case { name, point, kind, taken, answers, has }
    }
    [
        case("connect",             Connect, Drop,             false, (451, 451), (0, 0)),
        case("banner",              Banner,  Drop,             false, (451, 451), (0, 0)),
        case("EHLO",                Ehlo,    Drop,             false, (451, 451), (0, 0)),
        case("MAIL",                Mail,    Drop,             false, (451, 451), (0, 0)),
        case("RCPT",                Rcpt,    Drop,             false, (451, 451), (0, 0)),
        case("DATA",                Data,    Drop,             false, (451, 451), (0, 0)),
        case("mid-data",            MidData, Drop,             false, (451, 451), (0, 0)),
        case("before the dot's reply", Dot,  Drop,             false, (451, 451), (0, 1)),
        case("after the dot, no reply", Dot, Silent,           true,  (451, 451), (1, 1)),
        case("half a reply",        Dot,     Half,             true,  (451, 451), (1, 1)),
        case("421",                 Dot,     Closing,          false, (451, 451), (0, 0)),
        case("5yz",                 Dot,     Code(554),        false, (554, 451), (0, 0)),
        case("garbage",             Dot,     Garbage,          true,  (451, 451), (1, 1)),
        case("one octet a second",  Dot,     Slow(1_000),      true,  (250, 250), (1, 0)),
        case("a reply of 10 MB",    Dot,     Huge(10_000_000), true,  (451, 451), (1, 1)),
    ]
};

fn world(case: &Case, recipients: usize, tls: bool) -> World {
    let mut hop = calm_hop(Seed::new(1), tls);
    let Case { point, kind, taken, .. } = *case;
    let fault = Fault { point, kind, skip: 0, taken, noticed: true, octets: 300 };
    // Every connection suffers it: each recipient may bring a new one.
    hop.planned.extend([fault; 5]);
    let mut world = World::new(calm_shared(vec![hop], Pieces::Whole, None));
    let mut seed = Seed::new(2);
    let units = (0..recipients).map(|n| Unit::new(format!("user{n}@a.example"))).collect();
    let (token, from) = (7, "sender@else.example".to_owned());
    let wire = content::compose(token, false, &mut seed);
    let message = Message { token, from, eight_bit: false, wire, units };
    let address = Ipv4Addr::new(192, 0, 2, 1);
    let arrives = Arrives { address, mends: false, early_talker: false, start_tls: false };
    let mut honest = Honest::new(arrives, vec![message], seed);
    (honest.pipelining, honest.extended) = (false, true);
    world.enter(Box::new(Once(honest)), 0);
    world
}

fn expected(case: &Case, recipients: usize) -> Vec<u16> {
    let answer = if recipients == 1 { case.answers.0 } else { case.answers.1 };
    let reaches_the_dot = matches!(case.point, Point::Data | Point::MidData | Point::Dot);
    let mut codes = vec![220, 250, 250];
    if reaches_the_dot {
        codes.extend(vec![250; recipients]);
        codes.extend([354, answer, 221]);
    } else {
        codes.extend(vec![answer; recipients]);
        codes.extend([250, 221]);
    }
    codes
}

#[test]
fn sixty_ways_of_a_next_hop_to_fail_have_sixty_exact_answers() {
    let mut cases = 0;
    for case in &CASES {
        for (recipients, tls) in [(1, false), (3, false), (1, true), (3, true)] {
            let name = format!("{}, {recipients} recipients, TLS {tls}", case.name);
            let mut world = world(case, recipients, tls);
            world.run();
            let journal = &world.shared.journal;
            let (broken, _) = judge(journal, &world.truth);
            assert!(broken.is_empty(), "{name}: {broken:?}\n{}", journal.print());
            let notes = || journal.notes.iter().map(|(_, note)| note);
            let codes: Vec<u16> = notes()
                .filter_map(|note| match note {
                    Note::Wrote { bytes, .. } => Some(Heard::read(bytes).code),
                    _ => None,
                })
                .collect();
            assert_eq!(codes, expected(case, recipients), "{name}\n{}", journal.print());
            let taken = notes().filter(|note| matches!(note, Note::HopTook { .. })).count();
            let is_unknown = |note: &&Note| {
                matches!(note, Note::Event { told: Told::OutcomeUnknown { .. }, .. })
            };
            let unknown = notes().filter(is_unknown).count();
            assert_eq!((taken, unknown), case.has, "{name}\n{}", journal.print());
            cases += 1;
        }
    }
    assert_eq!(cases, 60);
}

#[test]
fn a_positive_reply_before_the_final_dot_delivers_nothing() {
    let (point, kind) = (Point::Data, Kind::Early);
    let case = Case { name: "early", point, kind, taken: false, answers: (451, 451), has: (0, 0) };
    let mut world = world(&case, 1, false);
    world.run();
    let journal = &world.shared.journal;
    let (broken, _) = judge(journal, &world.truth);
    assert!(broken.is_empty(), "{broken:?}\n{}", journal.print());
    let replies = journal.notes.iter().filter_map(|(_, note)| match note {
        Note::Wrote { bytes, .. } => Some(Heard::read(bytes).code),
        _ => None,
    });
    assert_eq!(replies.collect::<Vec<_>>(), expected(&case, 1));
}
