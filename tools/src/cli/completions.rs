//! `postern completions`: what a shell needs to complete our arguments.

use super::Arguments;
use super::configuration::print;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    postern completions bash > /usr/share/bash-completion/completions/postern\n\n\
    Exit codes: 0 printed, 2 no such shell.")]
pub struct CompletionsArguments {
    /// Which shell.
    shell: Shell,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &CompletionsArguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "postern", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
