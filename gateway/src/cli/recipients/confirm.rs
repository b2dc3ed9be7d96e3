//! `postern recipients confirm`: a person says that a list is right although it is empty or
//! much shorter than before. The number of entries is repeated, so that what was seen is what
//! is adopted.

use super::Common;
use crate::cli::configuration::{print, print_json};
use crate::cli::{EXIT_MISTAKES, EXIT_NO};
use crate::config::built::{Config, FileSettings, listed};
use crate::directory::file::FileLister;
use crate::directory::guard::{Confirmation, Hold, Outcome};
use crate::directory::kinds::file_source;
use crate::directory::list::confirm;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `confirm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  postern recipients confirm --entries 812 /etc/postern/users.txt\n\n\
    `postern recipients stats` shows what is held back, why, and this command with its number.\n\
    The Postern that serves mail takes the confirmation within seconds and says so in its log; \
    one that is not running takes it when it starts.\n\
    Exit codes: 0 left for the relay, 1 nothing to confirm or another number, 2 mistakes."
)]
pub struct ConfirmArguments {
    /// The recipient file.
    file: PathBuf,
    /// How many entries it has, as `stats` and the log say.
    #[arg(long, value_name = "N")]
    entries: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &ConfirmArguments, config: &Config) -> ExitCode {
    let Some(directory) = &config.state_dir else {
        eprintln!("There is no `state_dir`, so there is nowhere to leave a confirmation.");
        eprintln!("Set it, or restart Postern: without it a start adopts what the file has now.");
        return ExitCode::from(EXIT_MISTAKES);
    };
    let Some(file) = file_named(&arguments.file, config) else {
        eprintln!("No domain lists {}.", arguments.file.display());
        eprintln!("`postern recipients stats` names the files.");
        return ExitCode::from(EXIT_MISTAKES);
    };
    if let Err(why) = may_be_confirmed(&file, arguments.entries, config) {
        eprintln!("{why}");
        return ExitCode::from(EXIT_NO);
    }
    let confirmation = Confirmation { entries: arguments.entries };
    match confirm(directory, &FileLister::new(file_source(&file)), confirmation) {
        Ok(place) => {
            if arguments.common.json {
                print_json(&json!({ "file": file.path, "confirmation": place }));
            } else {
                print(&format!(
                    "Left in {}. Look for RecipientsAdopted in the log.\n",
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

fn file_named(path: &Path, config: &Config) -> Option<FileSettings> {
    let path = std::path::absolute(path).ok()?;
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
    let outcomes = crate::run::recipients::open(config).outcomes;
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
