//! What commands that ask the process that serves share: how they find it, and what they say where
//! there is none or it says no.

use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use gateway::config::built::Config;
use gateway::control::client::{Absent, CallError, Client};
use std::fmt::Display;

/// Asks the process that serves with this configuration's state directory; where there is none,
/// `otherwise` answers.
pub(in crate::cli) fn ask_or<A>(
    config: &Config,
    ask: impl FnOnce(&Client) -> Result<A, CallError>,
    otherwise: impl FnOnce(Absent) -> Result<A, u8>,
) -> Result<A, u8> {
    match Client::of(config.state_dir.as_deref()) {
        Ok(client) => ask(&client).map_err(|error| refused(&error)),
        Err(absent) => otherwise(absent),
    }
}

/// Tells that nobody can be asked, and what is done instead.
pub(in crate::cli) fn tell_absent(absent: &Absent, instead: &str) {
    eprintln!("{absent}");
    if !instead.is_empty() {
        eprintln!("{instead}");
    }
}

/// Tells that nobody can be asked where nothing can be done instead.
pub(in crate::cli) fn nobody<A>(absent: &Absent, advice: &str) -> Result<A, u8> {
    tell_absent(absent, advice);
    Err(match absent {
        Absent::NotRunning(_) | Absent::Io { .. } => EXIT_LATER,
        Absent::NoStateDirectory | Absent::Forbidden(_) => EXIT_MISTAKES,
    })
}

/// Tells what was answered instead of what was asked for.
pub(in crate::cli) fn refused(error: &CallError) -> u8 {
    eprintln!("postern: {error}");
    match error {
        error if error.is_mistake() => EXIT_MISTAKES,
        error if error.is_no() => EXIT_NO,
        _ => EXIT_LATER,
    }
}

/// Tells why a command cannot go on.
pub(in crate::cli) fn failed(code: u8) -> impl Fn(&dyn Display) -> u8 {
    move |error| {
        eprintln!("postern: {error}");
        code
    }
}

/// That a source holds no list is no answer but a mistake: another one was meant.
pub(in crate::cli) fn of_list(code: u8) -> u8 {
    if code == EXIT_NO { EXIT_MISTAKES } else { code }
}
