//! Prints the map: each top module with its lines of code, what it uses, and what is in a circle.

use tidy::source::{CRATES, Module, modules};
use tidy::top_modules::{Graph, between_folders, circles, gathered, lines, top_module};
use tidy::uses::read;

fn main() -> Result<(), String> {
    let modules = modules(&CRATES).map_err(|error| error.to_string())?;
    let uses = read(&modules)?;
    let (top_modules, lines) = (gathered(&uses, top_module), lines(&modules));
    for name in CRATES {
        let own = |top_module: &&String| top_module.starts_with(&format!("{name}/"));
        println!(
            "{name}: {} lines",
            lines.iter().filter(|(top_module, _)| own(top_module)).map(|(_, n)| n).sum::<usize>()
        );
        for top_module in lines.keys().filter(own) {
            let used = top_modules.get(top_module).into_iter().flatten();
            let used: Vec<&str> =
                used.map(|to| to.strip_prefix(&format!("{name}/")).unwrap_or(to)).collect();
            println!("  {:24}{:>6}  → {}", top_module, lines[top_module], used.join(" "));
        }
    }
    let circle = |what: &str, graph: &Graph| {
        for circle in circles(graph) {
            println!("circle of {} {what}: {}", circle.len(), circle.join(" "));
        }
    };
    circle("top modules", &top_modules);
    circle("folders", &between_folders(&modules, &uses));
    circle("files", &gathered(&uses, |module: &Module| modules[module].path.clone()));
    Ok(())
}
