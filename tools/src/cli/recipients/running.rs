//! What commands that ask the process that serves share: how they find it, and what they say where
//! there is none or it says no.

use crate::cli::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use crate::config::built::Config;
use crate::control::client::{Absent, CallError, Client};
use std::process::ExitCode;

/// The process that serves with this configuration's state directory.
pub(super) fn client(config: &Config) -> Result<Client, Absent> {
    Client::of(config.state_dir.as_deref())
}

/// Tells that nobody can be asked, and what is done instead.
pub(super) fn tell_absent(absent: &Absent, instead: &str) {
    eprintln!("{absent}");
    if !instead.is_empty() {
        eprintln!("{instead}");
    }
}

/// Tells that nobody can be asked where nothing can be done instead.
pub(super) fn nobody(absent: &Absent, advice: &str) -> ExitCode {
    tell_absent(absent, advice);
    ExitCode::from(match absent {
        Absent::NotRunning(_) | Absent::Io { .. } => EXIT_LATER,
        Absent::NoStateDirectory | Absent::Forbidden(_) => EXIT_MISTAKES,
    })
}

/// Tells what was answered instead of what was asked for.
pub(super) fn refused(error: &CallError) -> ExitCode {
    eprintln!("postern: {error}");
    ExitCode::from(match error {
        error if error.is_mistake() => EXIT_MISTAKES,
        error if error.is_no() => EXIT_NO,
        _ => EXIT_LATER,
    })
}
