//! `postern recipients diff`: what the next load of a list would change.

use super::running::{ask_or, failed, of_list, tell_absent};
use super::shared::{Common, Ended};
use crate::cli::configuration::count;
use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use clap::Args;
use directory::RecipientList;
use gateway::config::built::Config;
use gateway::control::message::{Diff, OfSource};
use gateway::control::names::pick;
use gateway::control::work;

/// Addresses that are named; `--json` has up to a thousand.
pub(super) const NAMES_SHOWN_MAX: usize = 20;

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients diff users.txt\n\n\
    Reads the list now and adopts nothing. What goes is counted and not named: of lists in use, \
    hashes are kept and no names.\n\
    Exit codes: 0 it would be adopted, 1 it would be held back, 2 mistakes, 3 it cannot be read.")]
pub struct DiffArguments {
    /// Which: its name, or the end of it; needed where several sources hold lists.
    pub(super) source: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &DiffArguments, config: &Config) -> Ended {
    let question = OfSource { source: arguments.source.clone() };
    let diff = ask_or(
        config,
        |client| client.ask_long("/v1/diff", &question),
        |absent| {
            tell_absent(&absent, "This is beside the list that was last kept.");
            by_ourselves(arguments.source.as_deref(), config)
        },
    );
    let diff = diff.map_err(of_list)?;
    arguments.common.show(&diff, text);
    Ok(if diff.is_held() { EXIT_NO } else { 0 })
}

fn by_ourselves(wanted: Option<&str>, config: &Config) -> Result<Diff, u8> {
    let opened = directory::assembly::open_kept(&config.recipients());
    let sources = opened.sources.iter().map(|opened| &opened.source);
    let lists = sources.filter_map(|source| Some((&**source.name(), source.list()?)));
    let (names, lists): (Vec<&str>, Vec<&dyn RecipientList>) = lists.unzip();
    let at = pick(&names, wanted).map_err(|error| failed(EXIT_MISTAKES)(&error))?;
    work::diff(names[at], lists[at].preview()).map_err(|error| failed(EXIT_LATER)(&error))
}

/// Why the guards do not let a list pass, if `entries` is what a person says that it has; `say` is
/// how that is said.
pub(super) fn objection(diff: &Diff, entries: Option<u64>, say: &str) -> Option<String> {
    if !diff.is_held() {
        None
    } else if !diff.is_confirmable() {
        Some("A list without its canary is never taken: add it, or name another one.".into())
    } else if entries != Some(diff.entries) {
        let has = count(diff.entries, "entry");
        Some(format!("It has {has}. If that is right, say so: {say} {}", diff.entries))
    } else {
        None
    }
}

/// The whole, with what a person can do about what would be held back.
pub(super) fn text(diff: &Diff) -> String {
    let mut text = format!("{}: {}", diff.source, count(diff.entries, "entry"));
    if diff.foreign > 0 {
        text.push_str(&format!(", {} of other domains", diff.foreign));
    }
    if diff.malformed > 0 {
        text.push_str(&format!(", {} passed over", count(diff.malformed, "malformed row")));
    }
    text.push('\n');
    for domain in &diff.domains {
        let before = domain.before.map_or("nothing".into(), |before| before.to_string());
        text.push_str(&format!("  {}: {before} -> {}\n", domain.domain, domain.now));
        if let Some(hold) = &domain.hold {
            text.push_str(&format!("    would be held back: {hold}\n"));
        }
    }
    match (diff.added, diff.removed, diff.retargeted) {
        (Some(added), Some(removed), retargeted) => text.push_str(&format!(
            "  {} added, {removed} removed, {} with another target\n",
            count(added, "address"),
            retargeted.unwrap_or(0)
        )),
        _ => text.push_str("  nothing in use to compare the addresses with\n"),
    }
    names(&mut text, '+', &diff.added_names, diff.added.unwrap_or(diff.entries));
    text
}

/// The first few names, and how many more there are.
pub(super) fn names(text: &mut String, mark: char, names: &[String], all: u64) {
    for name in names.iter().take(NAMES_SHOWN_MAX) {
        text.push_str(&format!("  {mark} {name}\n"));
    }
    let more = all.saturating_sub(names.len().min(NAMES_SHOWN_MAX) as u64);
    if more > 0 && !names.is_empty() {
        text.push_str(&format!("  {mark} and {more} more\n"));
    }
}
