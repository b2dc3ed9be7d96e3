//! The commands. Each file is one command: its arguments, its `run`, one example in its help.

pub mod demo;
pub mod probe;
pub mod run;
pub mod talk;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit code for mistakes in what the user gave; nothing was started.
pub const EXIT_MISTAKES: u8 = 2;

/// Postern: the SMTP relay in front of a mail server that cannot say no.
#[derive(Debug, Parser)]
#[command(name = "postern", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what Postern is for, in a minute, with nothing else installed.
    Demo(demo::DemoArguments),
    /// Relay mail.
    Run(run::RunArguments),
    /// Find out what an SMTP server does: unknown recipients, relaying, line ends, TLS.
    Probe(crate::probe::Args),
    /// Play a dialogue file against a live server.
    Talk(crate::talk::Args),
}

/// Does what the arguments say.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Talk(arguments) => talk::run(arguments),
    }
}
