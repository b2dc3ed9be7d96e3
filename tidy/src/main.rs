//! Prints the map: each room with its lines of code, what it uses, and what stands in a circle.

use tidy::rooms::{Graph, between_folders, circles, gathered, lines, room};
use tidy::source::{CRATES, Module, modules};
use tidy::uses::read;

fn main() -> Result<(), String> {
    let modules = modules(&CRATES).map_err(|error| error.to_string())?;
    let uses = read(&modules)?;
    let (rooms, lines) = (gathered(&uses, room), lines(&modules));
    for name in CRATES {
        let own = |room: &&String| room.starts_with(&format!("{name}/"));
        println!(
            "{name}: {} lines",
            lines.iter().filter(|(room, _)| own(room)).map(|(_, n)| n).sum::<usize>()
        );
        for room in lines.keys().filter(own) {
            let used = rooms.get(room).into_iter().flatten();
            let used: Vec<&str> =
                used.map(|to| to.strip_prefix(&format!("{name}/")).unwrap_or(to)).collect();
            println!("  {:24}{:>6}  → {}", room, lines[room], used.join(" "));
        }
    }
    let circle = |what: &str, graph: &Graph| {
        for circle in circles(graph) {
            println!("circle of {} {what}: {}", circle.len(), circle.join(" "));
        }
    };
    circle("rooms", &rooms);
    circle("folders", &between_folders(&modules, &uses));
    circle("files", &gathered(&uses, |module: &Module| modules[module].path.clone()));
    Ok(())
}
