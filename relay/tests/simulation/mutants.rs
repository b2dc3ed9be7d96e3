//! The judge, judged: edges that are wrong on purpose must each be caught.

use super::edge::{Mutant, Pieces};
use super::judge::judge;
use super::world::World;

/// Each mutant, and the invariant whose breach must be seen.
const MUTANTS: [(Mutant, &str); 26] = [
    (Mutant::SuccessBeforeTheDot, "I1:"),
    (Mutant::UnknownAsSuccess, "I1:"),
    (Mutant::UnknownAsLost, "I4"),
    (Mutant::UnknownAsRefused, "I4"),
    (Mutant::LostAsSuccess, "I1:"),
    (Mutant::RetriesAfterUnknown, "I3"),
    (Mutant::DropsALineEnd, "I5"),
    (Mutant::SendsABareLineFeed, "I13"),
    (Mutant::DoublesDotsTwice, "I5"),
    (Mutant::ForgetsToDoubleDots, "I5"),
    (Mutant::NamesRefusedRecipients, "I10"),
    (Mutant::HidesARefusedRecipient, "I12"),
    (Mutant::KeepsFormerContent, "I18"),
    (Mutant::KeepsFormerTransaction, "I15"),
    (Mutant::UnavailableAsUnknown, "I11"),
    (Mutant::UnknownAsExists, "I10"),
    (Mutant::LeavesTheTraceOut, "I18"),
    (Mutant::PutsTheTraceLast, "I5"),
    (Mutant::NotifiesTheSender, "I8"),
    (Mutant::SaysEveryReplyTwice, "I17"),
    (Mutant::SwallowsAReply, "I15, I16, I17"),
    (Mutant::WaitsTooLongAtTheDot, "I20"),
    (Mutant::NeverHearsAClock, "I20"),
    (Mutant::LosesReadsOfOneOctet, "I"),
    (Mutant::GreetsForTheClientBehindTls, "I15"),
    (Mutant::SendsToTheWrongHop, "I5"),
];
const SEEDS_MAX: u64 = 150;

fn caught(mutant: Mutant, invariant: &str) -> bool {
    (0..SEEDS_MAX).any(|seed| {
        let octets = if mutant == Mutant::LosesReadsOfOneOctet { 7 } else { 65_536 };
        let mut world = World::seeded(seed, Pieces::Of(octets), Some(mutant));
        world.run();
        let (broken, _) = judge(&world.shared.journal, &world.truth);
        broken.iter().any(|what| what.starts_with(invariant))
    })
}

#[test]
fn every_mutant_is_caught() {
    let survivors: Vec<Mutant> = MUTANTS
        .into_iter()
        .filter(|(mutant, invariant)| !caught(*mutant, invariant))
        .map(|(mutant, _)| mutant)
        .collect();
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
