//! `postern recipients confirm`: a person says that a list is right although it is empty or
//! much shorter than before, or that those whom a live source knows no more have left. Of a list
//! the number of entries is repeated, so that what was seen is what is adopted.

use super::diff::objection;
use super::running::{ask_or, failed, nobody};
use super::shared::{Common, Ended};
use super::sync::loaded_text;
use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use clap::Args;
use directory::load::guard::Confirmation;
use gateway::config::built::{Config, listed};
use gateway::control::client::Absent;
use gateway::control::message::{Confirm, Confirmed};
use gateway::control::names::pick;
use gateway::control::work::{Refusal, diff};
use std::path::Path;

/// Arguments of `confirm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  postern recipients confirm --entries 812 /etc/postern/users.txt\n\
  postern recipients confirm \"ldap ad\"\n\n\
    Of a list: `stats` and `sources` show what is held back, and why, and `stats` this command \
    with its number. Without --entries, of a source that is asked for each address: those who \
    existed and whom it knows no more have left; there is something to confirm when `sources` \
    shows it as lying, and names this command.\n\
    The Postern that serves mail takes the word at once; where none runs, that of a list is left \
    for one that starts.\n\
    Exit codes: 0 taken or left, 1 nothing to confirm or another number, 2 mistakes, 3 no \
    Postern runs that could take it, or the list cannot be read."
)]
pub struct ConfirmArguments {
    /// The source: a recipient file, or its name, or the end of that.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// How many entries it has, as `stats` and the log say.
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &ConfirmArguments, config: &Config) -> Ended {
    let source = whole_name(&arguments.source, config);
    let word = Confirm { source, entries: arguments.entries, is_new: false };
    let confirmed = ask_or(
        config,
        |client| client.ask_long("/v1/confirm", &word),
        |absent| leave(&word, config, &absent),
    )?;
    arguments.common.show(&confirmed, text);
    Ok(if confirmed.is_taken || confirmed.confirmation.is_some() { 0 } else { EXIT_NO })
}

/// A file may be named as it is seen from here.
fn whole_name(wanted: &str, config: &Config) -> String {
    let path = Path::new(wanted.strip_prefix("file ").unwrap_or(wanted));
    let sources = listed(&config.settings.domain, &config.domains);
    let mut files = sources.iter().filter_map(|listed| listed.settings.file());
    match std::path::absolute(path) {
        Ok(path) if files.any(|file| file.path == path) => format!("file {}", path.display()),
        _ => wanted.to_owned(),
    }
}

/// Where no process serves, the word is left in the state directory for one that starts.
fn leave(word: &Confirm, config: &Config, absent: &Absent) -> Result<Confirmed, u8> {
    let opened = directory::assembly::open_kept(&config.recipients());
    let names: Vec<&str> = opened.sources.iter().map(|opened| &**opened.source.name()).collect();
    let at = pick(&names, Some(&word.source)).map_err(|error| {
        eprintln!("postern: {error}\n`postern recipients sources` names the sources.");
        EXIT_MISTAKES
    })?;
    let (name, source) = (names[at], &opened.sources[at].source);
    let Some(list) = source.list() else {
        let advice = "Only a list can be confirmed for one that starts; of other sources only a \
                      Postern that runs knows what is doubted.";
        return nobody(absent, advice);
    };
    if !matches!(absent, Absent::NotRunning(_)) {
        return nobody(absent, "Without `state_dir` a start adopts what the list has now.");
    }
    let Some(entries) = word.entries else {
        return Err(failed(EXIT_MISTAKES)(&Refusal::EntriesMissing(name.to_owned())));
    };
    let diff = diff(name, list.preview()).map_err(|error| failed(EXIT_LATER)(&error))?;
    if !diff.is_held() {
        eprintln!("Nothing of {name} is held back. See `postern recipients stats`.");
        return Err(EXIT_NO);
    }
    let say = format!("postern recipients confirm \"{name}\" --entries");
    if let Some(why) = objection(&diff, word.entries, &say) {
        eprintln!("{why}");
        return Err(EXIT_NO);
    }
    let Some(left) = list.leave_confirmation(Confirmation { entries }) else { return Err(EXIT_NO) };
    let left = left.map_err(|error| {
        eprintln!("cannot write to the state directory: {error}");
        eprintln!("Run this as the user that owns `state_dir`.");
        EXIT_MISTAKES
    })?;
    let listed = listed(&config.settings.domain, &config.domains);
    let mut files = listed.iter().filter(|listed| listed.settings.name() == name);
    let file = files.find_map(|listed| listed.settings.file()).map(|file| file.path.clone());
    let (source, confirmation) = (name.to_owned(), Some(left));
    Ok(Confirmed { source, file, confirmation, ..Confirmed::default() })
}

fn text(confirmed: &Confirmed) -> String {
    let source = &confirmed.source;
    match (&confirmed.loaded, &confirmed.confirmation) {
        (Some(loaded), _) => loaded_text(source, loaded),
        (None, Some(left)) => {
            format!("No Postern runs. Left in {} for one that starts.\n", left.display())
        }
        (None, None) => {
            format!("{source}: taken. Those whom it knew and knows no more have left.\n")
        }
    }
}
