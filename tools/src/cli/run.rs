//! `postern run`: relay mail until told to stop.

use super::exit::{EXIT_LATER, EXIT_MISTAKES};
use clap::Args;
use gateway::config::built::Config;
use gateway::run::StartError;
use gateway::run::signals::Signals;
use settings::mistake::{Mistake, render};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern run --config /etc/postern/postern.toml\n\n\
    SIGHUP reads the configuration again; SIGTERM lets open messages end, then stops.\n\
    Exit codes: 0 stopped as told, 1 could not start or sessions were cut off, 2 mistakes in the \
    configuration, 3 a recipient source cannot be used and `start_without_sources` is false.")]
pub struct RunArguments {
    /// The configuration.
    #[arg(long, short, default_value = "/etc/postern/postern.toml")]
    pub config: PathBuf,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &RunArguments) -> ExitCode {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprint!("{}", mistakes.render(100, std::io::stderr().is_terminal()));
            eprintln!("Nothing was started. `postern check` says the same without starting.");
            return ExitCode::from(EXIT_MISTAKES);
        }
    };
    if !config.warnings.is_empty() {
        let colour = std::io::stderr().is_terminal();
        eprint!("{}", render(&config.warnings, 100, colour));
    }
    match serve(config) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(StartError::Sources(mistakes)) => without_sources(&mistakes),
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Which sources cannot be used, why, and what to do.
fn without_sources(mistakes: &[Mistake]) -> ExitCode {
    eprint!("{}", render(mistakes, 100, std::io::stderr().is_terminal()));
    eprintln!(
        "Nothing was started: a recipient source cannot be used, and `start_without_sources` is \
         false. Mend it (`postern check` tries it out again), or take that line out to start \
         without it: who only that source knows then hears 451."
    );
    ExitCode::from(EXIT_LATER)
}

/// From the first socket to the last session; how many were cut off.
fn serve(config: Config) -> Result<u32, StartError> {
    Signals::take()?.serve(config)
}
