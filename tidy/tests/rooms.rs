//! The order of rooms: what the code uses, against the table in ARCHITECTURE.md.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::BTreeSet;
use tidy::rooms::{Graph, circles, gathered, lines, room};
use tidy::source::{CRATES, modules, root};
use tidy::table::heights;
use tidy::uses::read;

/// Arrows against the order that are still to be mended: none may come, and one that is gone goes
/// from here too.
const TO_BE_MENDED: &[(&str, &str)] = &[("gateway/control", "gateway/run")];

fn arrows() -> Graph {
    gathered(&read(&modules(&CRATES).unwrap()).unwrap(), room)
}

fn table() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn no_room_uses_one_that_stands_above_or_beside_it() {
    let heights = heights(&table());
    let graph = arrows();
    let all = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (&**from, &**to)));
    let wrong: BTreeSet<_> = all.filter(|(from, to)| heights[*from] <= heights[*to]).collect();
    let known: BTreeSet<_> = TO_BE_MENDED.iter().copied().collect();
    assert_eq!(wrong, known, "turn the arrow, or move what is wanted further down");
}

#[test]
fn the_table_has_every_room_and_no_other() {
    let rooms: BTreeSet<_> = lines(&modules(&CRATES).unwrap()).into_keys().collect();
    let listed: BTreeSet<_> = heights(&table()).into_keys().collect();
    assert_eq!(rooms, listed, "the table of rooms in ARCHITECTURE.md");
}

#[test]
fn a_circle_is_found_and_a_row_is_not() {
    let graph = |arrows: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry((*from).into()).or_default().insert((*to).into());
        }
        circles(&graph)
    };
    assert_eq!(graph(&[("a", "b"), ("b", "c")]), Vec::<Vec<String>>::new());
    assert_eq!(graph(&[("a", "b"), ("b", "c"), ("c", "b")]), [["b", "c"]]);
}
