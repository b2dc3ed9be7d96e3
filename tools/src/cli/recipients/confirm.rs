//! `postern recipients confirm`: a person says that a list is right although it is empty or
//! much shorter than before, or that those whom a live source knows no more have left. Of a list
//! the number of entries is repeated, so that what was seen is what is adopted.

use super::Common;
use super::running::{client, nobody, refused};
use super::sync::loaded_text;
use crate::cli::configuration::{print, print_json};
use crate::cli::{EXIT_MISTAKES, EXIT_NO};
use crate::config::built::{Config, listed};
use crate::control::client::{Absent, Client};
use crate::control::message::{Confirm, Confirmed};
use crate::control::names::pick;
use crate::directory::file::FileLister;
use crate::directory::guard::{Confirmation, Hold, Outcome};
use crate::directory::kinds::file_source;
use crate::directory::list::confirm;
use crate::settings::recipients::FileSettings;
use clap::Args;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Arguments of `confirm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  postern recipients confirm --entries 812 /etc/postern/users.txt\n\
  postern recipients confirm \"ldap ad\"\n\n\
    Of a list: `stats` and `sources` show what is held back, and why, and `stats` this command \
    with its number. Without --entries, of a source that is asked for each address: those who \
    existed and whom it knows no more have left; there is something to confirm when `sources` \
    shows it as lying, and names this command.\n\
    The Postern that serves mail takes the word at once; for a file it is left where none runs.\n\
    Exit codes: 0 taken or left, 1 nothing to confirm or another number, 2 mistakes, 3 no \
    Postern runs that could take it."
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

pub(super) fn run(arguments: &ConfirmArguments, config: &Config) -> ExitCode {
    match (client(config), file_named(&arguments.source, config)) {
        (Ok(client), file) => ask(arguments, file.as_ref(), &client),
        (Err(absent), None) if is_named(&arguments.source, config) => nobody(
            &absent,
            "Only a recipient file can be confirmed for one that starts; of other sources only a \
             Postern that runs knows what is held back.",
        ),
        (Err(absent), None) => {
            eprintln!("No domain lists a file {}.", arguments.source);
            eprintln!("`postern recipients sources` names the sources.");
            match absent {
                Absent::NotRunning(_) | Absent::NoStateDirectory => ExitCode::from(EXIT_MISTAKES),
                absent => nobody(&absent, ""),
            }
        }
        (Err(_), Some(file)) => leave(arguments, &file, config),
    }
}

/// Whether a source is meant.
fn is_named(wanted: &str, config: &Config) -> bool {
    let sources = listed(&config.settings.domain, &config.domains);
    let names: Vec<_> = sources.iter().map(|listed| listed.settings.name()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pick(&names, Some(wanted)).is_ok()
}

/// The process that serves takes it.
fn ask(arguments: &ConfirmArguments, file: Option<&FileSettings>, client: &Client) -> ExitCode {
    let source = match file {
        Some(file) => format!("file {}", file.path.display()),
        None => arguments.source.clone(),
    };
    let word = Confirm { source, entries: arguments.entries, is_new: false };
    let confirmed: Confirmed = match client.ask_long("/v1/confirm", &word) {
        Ok(confirmed) => confirmed,
        Err(error) => return refused(&error),
    };
    if arguments.common.json {
        print_json(&serde_json::to_value(&confirmed).unwrap_or(json!(null)));
    } else if let Some(loaded) = &confirmed.loaded {
        print(&loaded_text(&confirmed.source, loaded));
    } else if confirmed.is_taken {
        print(&format!(
            "{}: taken. Those whom it knew and knows no more have left.\n",
            confirmed.source
        ));
    } else {
        eprintln!(
            "Of {} only a list can be confirmed: say how many entries it has, --entries N",
            confirmed.source
        );
        return ExitCode::from(EXIT_MISTAKES);
    }
    if confirmed.is_taken { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) }
}

/// Where no process serves, the word is left for one that starts.
fn leave(arguments: &ConfirmArguments, file: &FileSettings, config: &Config) -> ExitCode {
    let Some(entries) = arguments.entries else {
        eprintln!("Say how many entries it has: --entries N. `stats` and the log do.");
        return ExitCode::from(EXIT_MISTAKES);
    };
    let Some(directory) = &config.state_dir else {
        eprintln!("There is no `state_dir`, so there is nowhere to leave a confirmation.");
        eprintln!("Set it, or restart Postern: without it a start adopts what the file has now.");
        return ExitCode::from(EXIT_MISTAKES);
    };
    if let Err(why) = may_be_confirmed(file, entries, config) {
        eprintln!("{why}");
        return ExitCode::from(EXIT_NO);
    }
    let lister = FileLister::new(file_source(file));
    match confirm(directory, &lister, Confirmation { entries }) {
        Ok(place) => {
            if arguments.common.json {
                print_json(&json!({ "file": file.path, "confirmation": place }));
            } else {
                print(&format!(
                    "No Postern runs. Left in {} for one that starts.\n",
                    place.display()
                ));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write to {}: {error}", directory.display());
            eprintln!("Run this as the user that owns `state_dir`.");
            ExitCode::from(EXIT_MISTAKES)
        }
    }
}

/// By its path, as seen from here or as its name ends.
fn file_named(wanted: &str, config: &Config) -> Option<FileSettings> {
    let wanted = wanted.strip_prefix("file ").unwrap_or(wanted);
    let path = std::path::absolute(Path::new(wanted)).ok()?;
    let sources = listed(&config.settings.domain, &config.domains);
    sources
        .into_iter()
        .filter_map(|listed| listed.settings.file())
        .find(|f| f.path == path)
        .cloned()
}

/// Whether the file is held back for a reason that a person may overrule, and has so many
/// entries now.
fn may_be_confirmed(file: &FileSettings, entries: u64, config: &Config) -> Result<(), String> {
    let name = format!("file {}", file.path.display());
    let outcomes = crate::run::recipients::open(&config.recipients()).outcomes;
    // The last word is that of the file; before it stands that of the state directory.
    let held = outcomes.iter().rev().find_map(|outcome| match outcome {
        Outcome::Judged { source, entries, .. } if **source == *name => {
            Some((outcome.held().map(|(_, hold)| hold.clone()).collect::<Vec<_>>(), *entries))
        }
        _ => None,
    });
    let shown = file.path.display();
    let (held, now) = held.unwrap_or_default();
    if let Some(Hold::CanaryMissing(canary)) =
        held.iter().find(|hold| matches!(hold, Hold::CanaryMissing(_)))
    {
        return Err(format!(
            "The canary {canary} is not in {shown}: that cannot be confirmed.\n\
             Add it to the file, or name another one in the configuration."
        ));
    }
    if held.is_empty() {
        return Err(format!("Nothing of {shown} is held back. See `postern recipients stats`."));
    }
    if now != entries {
        return Err(format!(
            "{shown} has {now} entries now, not {entries}. If that is right:\n  \
             postern recipients confirm --entries {now} {shown}"
        ));
    }
    Ok(())
}
