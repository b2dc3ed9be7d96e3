//! Clients, next hops and a directory, all simulated and all failing, around real exchanges; no
//! socket, no clock, one seed. A judge with its own books checks the invariants after each run.
//! `SEED=n` runs one seed and prints what happened, `SEEDS=n` runs so many, `SECONDS=n` so long.
//!
//! Injected: see `next_hop::{Point, Kind}`, `stranger::Kind`, `world::weather`. Not injected: a
//! disk, since nothing is spooled yet.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; what fails here must be seen")]
#![allow(clippy::disallowed_methods, reason = "how many seeds, and for how long, is asked outside")]

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/content.rs"]
mod content;
#[path = "simulation/directory.rs"]
mod directory;
#[path = "simulation/edge.rs"]
mod edge;
#[path = "simulation/hop_edge.rs"]
mod hop_edge;
#[path = "simulation/journal.rs"]
mod journal;
#[path = "simulation/judge.rs"]
mod judge;
#[path = "simulation/matrix.rs"]
mod matrix;
#[path = "simulation/mutants.rs"]
mod mutants;
#[path = "simulation/next_hop.rs"]
mod next_hop;
#[path = "simulation/seed.rs"]
mod seed;
#[path = "simulation/stranger.rs"]
mod stranger;
#[path = "simulation/world.rs"]
mod world;

use edge::Pieces;
use journal::{Fate, Heard, Journal, Note};
use seed::Seed;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use world::World;

/// What one run came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    delivered: usize,
    unknown_outcomes: usize,
}

fn run(seed: u64, pieces: Pieces) -> World {
    let mut world = World::seeded(seed, pieces, None);
    world.run();
    world
}

/// What must not depend on how the streams were cut.
#[derive(Debug, Default, PartialEq, Eq)]
struct Essence {
    /// Of every reply, by session.
    codes: BTreeMap<u64, Vec<u16>>,
    /// Recipients and content of every message that a next hop has.
    taken: Vec<(String, Vec<u8>)>,
    fates: Vec<Fate>,
}

fn essence(journal: &Journal) -> Essence {
    let Essence { mut codes, mut taken, mut fates } = Essence::default();
    for (_, note) in &journal.notes {
        match note {
            Note::Wrote { session, bytes } => {
                codes.entry(*session).or_default().push(Heard::read(bytes).code);
            }
            Note::HopTook { rcpts, content, .. } => taken.push((rcpts.join(" "), content.clone())),
            Note::End { fate, .. } => fates.push(*fate),
            _ => {}
        }
    }
    Essence { codes, taken, fates }
}

fn check(seed: u64, sum: &mut Sum) {
    let fail = |what: &str| -> ! {
        panic!(
            "seed {seed}: {what}\n\
             again: SEED={seed} cargo test -p relay --test simulation seeds -- --nocapture"
        )
    };
    let whole = run(seed, Pieces::Whole);
    let (broken, judge) = judge::judge(&whole.shared.journal, &whole.truth);
    if !broken.is_empty() {
        fail(&broken.join("\n"));
    }
    sum.seeds += 1;
    sum.delivered += judge.delivered;
    sum.unknown_outcomes += judge.unknown_outcomes;
    // I14
    let pieces = match seed % 3 {
        0 => Pieces::Of(1),
        1 => Pieces::Of(7),
        _ => Pieces::Seeded(Seed::new(seed)),
    };
    let cut = run(seed, pieces.clone());
    let (broken, _) = judge::judge(&cut.shared.journal, &cut.truth);
    if !broken.is_empty() {
        fail(&format!("in pieces {pieces:?}: {}", broken.join("\n")));
    }
    if !whole.has_injector() && essence(&whole.shared.journal) != essence(&cut.shared.journal) {
        fail(&format!("I14: other fates in pieces {pieces:?}"));
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_invariant_holds_for_as_many_seeds_as_there_is_time_for() {
    let mut sum = Sum::default();
    if let Some(seed) = number("SEED") {
        let pieces = number("PIECES").map_or(Pieces::Whole, |n| Pieces::Of(n as usize));
        println!("{}", run(seed, pieces).shared.journal.print());
        return check(seed, &mut sum);
    }
    let seconds = number("SECONDS").unwrap_or(if number("SEEDS").is_some() { 1 << 20 } else { 30 });
    let (most, began) = (number("SEEDS").unwrap_or(u64::MAX), Instant::now());
    let first = number("FIRST").unwrap_or(0);
    while sum.seeds < most && began.elapsed() < Duration::from_secs(seconds) {
        check(first + sum.seeds, &mut sum);
    }
    println!("{sum:?} in {:?}", began.elapsed());
    assert!(sum.delivered > 0 && (sum.seeds < 50 || sum.unknown_outcomes > 0), "{sum:?}");
}
