//! `postern completions`: what a shell needs to complete our arguments.

use super::configuration::print;
use clap::{Args, Command};
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

/// Runs it, for this program.
#[must_use]
pub fn run(arguments: &CompletionsArguments, program: &mut Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, program, "postern", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
