//! The order of top modules, as ARCHITECTURE.md has it: a table whose rows are crates, those above
//! using those below, and whose top modules stand in the same order, those that use others first.

use std::collections::BTreeMap;

/// What the table's head begins with.
const HEAD: &str = "| crate | modules";

/// How high each top module stands: whoever uses one must stand higher. Those between the same
/// arrows stand equally high and use none of each other.
#[must_use]
pub fn heights(architecture: &str) -> BTreeMap<String, usize> {
    let rows = architecture.lines().skip_while(|line| !line.starts_with(HEAD)).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let mut heights = BTreeMap::new();
    let mut height = 0;
    for row in rows.iter().rev() {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let name = cells.next().unwrap_or_default().trim_matches('`').to_owned();
        let top_modules: Vec<&str> = cells.next().unwrap_or_default().split('→').collect();
        for step in top_modules.iter().rev() {
            height += 1;
            for top_module in step.split(',').map(|top_module| top_module.trim_matches([' ', '`']))
            {
                heights.insert(format!("{name}/{top_module}"), height);
            }
        }
    }
    heights
}
