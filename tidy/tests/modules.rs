//! The order of top modules: what the code uses, against the table in ARCHITECTURE.md; and that folders
//! and files stand in no circle that nobody can think through.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::BTreeSet;
use tidy::source::{CRATES, modules, root};
use tidy::table::heights;
use tidy::top_modules::{Graph, between_folders, circles, gathered, lines, top_module};
use tidy::uses::read;

/// Files that may all need each other; more are a tangle, whatever folder they stand in.
const CIRCLE_FILES_MAX: usize = 8;

fn arrows() -> Graph {
    gathered(&read(&modules(&CRATES).unwrap()).unwrap(), top_module)
}

fn table() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn no_module_uses_one_that_stands_above_or_beside_it() {
    let heights = heights(&table());
    let graph = arrows();
    let all = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (&**from, &**to)));
    // A top module that is missing from the table is told by the test below.
    let is_wrong = |from: &str, to: &str| Some(heights.get(from)? <= heights.get(to)?);
    let wrong: BTreeSet<_> = all.filter(|(from, to)| is_wrong(from, to) == Some(true)).collect();
    assert!(wrong.is_empty(), "turn the arrow, or move what is wanted further down: {wrong:?}");
}

#[test]
fn the_table_has_every_module_and_no_other() {
    let top_modules: BTreeSet<_> = lines(&modules(&CRATES).unwrap()).into_keys().collect();
    let listed: BTreeSet<_> = heights(&table()).into_keys().collect();
    let missing: Vec<_> = top_modules.difference(&listed).collect();
    assert!(missing.is_empty(), "add to the table of modules in ARCHITECTURE.md: {missing:?}");
    let gone: Vec<_> = listed.difference(&top_modules).collect();
    assert!(gone.is_empty(), "no top modules any more, so they go from the table: {gone:?}");
}

#[test]
fn no_circle_goes_beyond_one_folder() {
    let modules = modules(&CRATES).unwrap();
    let circles = circles(&between_folders(&modules, &read(&modules).unwrap()));
    assert!(circles.is_empty(), "move down what both want: {circles:#?}");
}

#[test]
fn no_circle_of_files_is_large() {
    let modules = modules(&CRATES).unwrap();
    let files = gathered(&read(&modules).unwrap(), |module| modules[module].path.clone());
    let large = circles(&files).into_iter().filter(|circle| circle.len() > CIRCLE_FILES_MAX);
    let large: Vec<_> = large.collect();
    assert!(large.is_empty(), "move what they share into files that they stand on: {large:#?}");
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
