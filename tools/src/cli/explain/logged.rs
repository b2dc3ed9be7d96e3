//! `postern explain --id`: what a log remembers of one refusal or message.

use super::ExplainArguments;
use crate::cli::configuration::{print, print_json};
use crate::cli::exit::{EXIT_MISTAKES, EXIT_NO};
use gateway::explain::search::{self, Id, Logged};
use gateway::explain::story;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn run(written: &str, arguments: &ExplainArguments) -> ExitCode {
    let Some(id) = Id::parse(written) else {
        eprintln!("`{written}` is no id. It stands at the end of a reply, as in:");
        eprintln!("  550 5.1.1 no such mailbox here (id 0b0k3m8c1g7f2.3)");
        return ExitCode::from(EXIT_MISTAKES);
    };
    let files = match files(arguments) {
        Ok(files) => files,
        Err(code) => return code,
    };
    let mut events = Vec::new();
    for file in &files {
        let found = if file == Path::new("-") {
            search::read(std::io::stdin().lock(), &id)
        } else {
            search::in_file(file, &id)
        };
        match found {
            Ok(found) => events.extend(found),
            Err(error) => {
                eprintln!("cannot read {}: {error}", file.display());
                eprintln!("Run this as a user that may read the log, or name another by --log.");
                return ExitCode::from(EXIT_MISTAKES);
            }
        }
    }
    let mut named = events.iter().position(|event| event.is_named(&id));
    if named.is_none() && !id.is_session() {
        let repeats = repeats(&files, &id, &events);
        named = (!repeats.is_empty()).then_some(events.len());
        events.extend(repeats);
    }
    if events.is_empty() || (named.is_none() && !id.is_session()) {
        return not_found(&id, &files, !events.is_empty());
    }
    if arguments.json {
        let event = named.map(|at| &events[at]);
        let rule_help = event.and_then(story::rule_help);
        let named = event.map(|event| event.0.clone());
        let session: Value = events.into_iter().map(|event| Value::Object(event.0)).collect();
        print_json(&json!({
            "id": id.text, "event": named, "rule_help": rule_help, "session": session,
        }));
    } else {
        print(&text(&id, named, &events));
    }
    ExitCode::SUCCESS
}

/// The lines that may stand for it, where it was not written by itself. A file that could be read
/// a moment ago says what there is to say.
fn repeats(files: &[PathBuf], id: &Id, session: &[Logged]) -> Vec<Logged> {
    let client = session.iter().find_map(|event| event.field("client").parse().ok());
    let read = |file: &PathBuf| search::repeats_in(file, id, client).unwrap_or_default();
    files.iter().filter(|file| **file != Path::new("-")).flat_map(read).collect()
}

/// Where to look.
fn files(arguments: &ExplainArguments) -> Result<Vec<PathBuf>, ExitCode> {
    match &arguments.log {
        Some(log) if log == Path::new("-") => return Ok(vec![log.clone()]),
        Some(log) => return Ok(search::with_rotated(log)),
        None => {}
    }
    let config = arguments.config.load()?;
    config.log.file.as_deref().map(search::with_rotated).ok_or_else(|| {
        eprintln!("The log goes to standard output, so there is no file to search. Give one:");
        eprintln!("  postern explain --id ID --log FILE");
        eprintln!("  journalctl -u postern -o cat | postern explain --id ID --log -");
        ExitCode::from(EXIT_MISTAKES)
    })
}

fn not_found(id: &Id, files: &[PathBuf], session_is_known: bool) -> ExitCode {
    let files = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
    eprintln!("Nothing with the id {} in {}.", id.text, files.join(", "));
    if session_is_known {
        eprintln!("Its session is there: postern explain --id {}", id.session);
    } else {
        eprintln!("Letters count as they are written: b and B are two.");
        eprintln!("An older log: zcat LOG.2.gz | postern explain --id {} --log -", id.text);
        eprintln!("Another relay may have given it, if you have several.");
    }
    ExitCode::from(EXIT_NO)
}

fn text(id: &Id, named: Option<usize>, events: &[Logged]) -> String {
    let mut text = String::new();
    if let Some(event) = named.map(|at| &events[at]) {
        text.push_str(&format!("{}: {}.\n", event.field("time"), story::sentence(event)));
        let hello = event.field("hello");
        let hello =
            if hello.is_empty() { String::new() } else { format!(", which said EHLO {hello}") };
        text.push_str(&format!("  client  {}{hello}\n", event.field("client")));
        if event.0.contains_key("from") {
            text.push_str(&format!("  from    <{}>\n", event.field("from")));
        }
        if let Some(help) = story::rule_help(event) {
            text.push_str(&format!("  rule    {}: {help}\n", event.field("rule")));
        }
        if let Some(step) = story::next_step(event) {
            text.push_str(&format!("  now     {step}\n"));
        }
    }
    text.push_str(&format!("\nThe session {} in the log:\n", id.session));
    for (at, event) in events.iter().enumerate() {
        let mark = if named == Some(at) { '>' } else { ' ' };
        text.push_str(&format!("{mark} {}  {}\n", event.field("time"), story::sentence(event)));
    }
    text
}
