//! `postern recipients`: what the directory knows. Where a Postern serves mail it is asked
//! (`running.rs`); otherwise the sources are opened beside it, as one that starts now would.

mod check;
mod confirm;
mod diff;
mod export;
mod flush;
mod import;
mod learned;
mod lookup;
pub(super) mod running;
pub(super) mod shared;
mod sources;
mod stats;
mod sync;

use self::shared::{Common, Ended};
use crate::cli::exit::EXIT_MISTAKES;
use clap::{Args, Subcommand};
use gateway::config::built::Config;
use gateway::run::privileges::drop_to;
use std::process::ExitCode;

/// Arguments of `recipients`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients lookup jones@example.test")]
pub struct RecipientsArguments {
    /// What to do.
    #[command(subcommand)]
    command: RecipientsCommand,
}

#[derive(Debug, Subcommand)]
enum RecipientsCommand {
    /// Tell whether an address exists, who says so, and where its mail goes.
    Lookup(lookup::LookupArguments),
    /// Show what each source has shown itself to be, and what it did.
    Sources(sources::SourcesArguments),
    /// Show what mail itself has shown of an address.
    Why(learned::WhyArguments),
    /// Show whom `learned` would have refused if it were enforced.
    Report(learned::ReportArguments),
    /// Forget answers, so that they are asked for again.
    Flush(flush::FlushArguments),
    /// Read a list now.
    Sync(sync::SyncArguments),
    /// Show what reading a list now would change.
    Diff(diff::DiffArguments),
    /// Write the addresses of a source as a recipient file.
    Export(export::ExportArguments),
    /// Check a list and put it into the place of a recipient file.
    Import(import::ImportArguments),
    /// Show what each source holds, how old it is, and what is held back.
    Stats(Common),
    /// Read every recipient file and tell each malformed line.
    Check(check::CheckArguments),
    /// Say that a list is right although it shrank, or that people have left.
    Confirm(confirm::ConfirmArguments),
}

/// Runs it.
#[must_use]
pub fn run(arguments: &RecipientsArguments) -> ExitCode {
    let run = |common: &Common, command: &dyn Fn(&Config) -> Ended| match common.config.load() {
        Ok(config) => ExitCode::from(command(&config).unwrap_or_else(|code| code)),
        Err(code) => code,
    };
    // What belongs to the user that Postern becomes is touched by nobody with more rights than
    // his: he could have left a link there. What is written elsewhere is the caller's.
    let run_as_user = |common: &Common, command: &dyn Fn(&Config) -> Ended| {
        run(common, &|config| become_user(config).and_then(|()| command(config)))
    };
    match &arguments.command {
        RecipientsCommand::Lookup(lookup) => {
            run_as_user(&lookup.common, &|c| lookup::run(lookup, c))
        }
        RecipientsCommand::Sources(sources) => {
            run_as_user(&sources.common, &|c| sources::run(sources, c))
        }
        RecipientsCommand::Why(why) => run_as_user(&why.common, &|c| learned::why(why, c)),
        RecipientsCommand::Report(report) => {
            run_as_user(&report.common, &|c| learned::report(report, c))
        }
        RecipientsCommand::Flush(flush) => run_as_user(&flush.common, &|c| flush::run(flush, c)),
        RecipientsCommand::Sync(sync) => run_as_user(&sync.common, &|c| sync::run(sync, c)),
        RecipientsCommand::Diff(diff) => run_as_user(&diff.common, &|c| diff::run(diff, c)),
        RecipientsCommand::Export(export) => run(&export.common, &|c| export::run(export, c)),
        RecipientsCommand::Import(import) => run(&import.common, &|c| import::run(import, c)),
        RecipientsCommand::Stats(common) => run_as_user(common, &|c| stats::run(common, c)),
        RecipientsCommand::Check(check) => run_as_user(&check.common, &|c| check::run(check, c)),
        RecipientsCommand::Confirm(confirm) => {
            run_as_user(&confirm.common, &|c| confirm::run(confirm, c))
        }
    }
}

/// Becomes whom the configuration names, where we are root.
fn become_user(config: &Config) -> Result<(), u8> {
    if !nix::unistd::Uid::current().is_root() {
        return Ok(());
    }
    drop_to(config.drop_to.as_ref()).map_err(|error| {
        eprintln!("postern: {error}");
        EXIT_MISTAKES
    })
}
