//! From files to top modules: which of these uses which, how many lines each has, and which stand
//! in a circle.

use crate::source::{File, Module, code_lines};
use std::collections::{BTreeMap, BTreeSet};

/// Which use which.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// The top module of a module: `directory/live`. The root of a crate is a top module called `lib`.
#[must_use]
pub fn top_module(module: &Module) -> String {
    format!("{}/{}", module[0], module.get(1).map_or("lib", String::as_str))
}

/// The folder of a file: `directory/src/ldap/export`. One that stands directly below `src` belongs
/// to the folder of its own name.
#[must_use]
pub fn folder(file: &File) -> String {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder.ends_with("/src") { file.path.trim_end_matches(".rs") } else { folder }.to_owned()
}

/// The arrows between folders, without those between a folder and what it holds: a module may use
/// its own children, and they what it defines for them.
#[must_use]
pub fn between_folders(
    modules: &BTreeMap<Module, File>,
    uses: &BTreeMap<Module, BTreeSet<Module>>,
) -> Graph {
    let mut graph = gathered(uses, |module| folder(&modules[module]));
    let holds = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    for (from, targets) in &mut graph {
        targets.retain(|to| !holds(from, to) && !holds(to, from));
    }
    graph
}

/// The same arrows between what `name` makes of modules, without those within one.
#[must_use]
pub fn gathered(
    uses: &BTreeMap<Module, BTreeSet<Module>>,
    name: impl Fn(&Module) -> String,
) -> Graph {
    let mut graph = Graph::new();
    for (module, targets) in uses {
        let from = name(module);
        let to = targets.iter().map(&name).filter(|to| *to != from).collect::<Vec<_>>();
        graph.entry(from).or_default().extend(to);
    }
    graph
}

/// Lines of code by top module.
#[must_use]
pub fn lines(modules: &BTreeMap<Module, File>) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for (module, file) in modules {
        *lines.entry(top_module(module)).or_default() += code_lines(&file.text);
    }
    lines
}

/// Those that reach each other, two or more, largest circle first.
#[must_use]
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|from| (from, reached(graph, from))).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for from in graph.keys() {
        if !seen.insert(from) {
            continue;
        }
        let back =
            reach[from].iter().filter(|to| reach.get(**to).is_some_and(|r| r.contains(from)));
        let mut circle: Vec<String> = back.map(|to| (*to).clone()).collect();
        if circle.len() > 1 {
            seen.extend(graph.keys().filter(|name| circle.contains(name)));
            circle.sort();
            found.push(circle);
        }
    }
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

fn reached<'a>(graph: &'a Graph, from: &'a String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for to in graph.get(at).into_iter().flatten() {
            if found.insert(to) {
                open.push(to);
            }
        }
    }
    found
}
