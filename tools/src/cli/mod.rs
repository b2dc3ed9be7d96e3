//! The commands. Each file is one command: its arguments, its `run`, one example in its help.
//! Limits: `init` looks for directories, and is left out of a program without `ldap`.

pub mod check;
mod clients;
pub mod completions;
pub mod configuration;
pub mod demo;
pub mod exit;
pub mod explain;
#[cfg(feature = "ldap")]
pub mod init;
pub mod man;
pub mod probe;
pub mod recipients;
pub mod run;
pub mod talk;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

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
    /// Ask what is needed, look at the server behind, and write a configuration.
    #[cfg(feature = "ldap")]
    Init(init::InitArguments),
    /// Relay mail.
    Run(run::RunArguments),
    /// Find out what an SMTP server does: unknown recipients, relaying, line ends, TLS.
    Probe(crate::probe::Args),
    /// Play a dialogue file against a live server.
    Talk(crate::talk::Args),
    /// Tell every mistake in the configuration and in the recipient files.
    Check(check::CheckArguments),
    /// Show what would happen to a message and why, or what happened to one.
    Explain(Box<explain::ExplainArguments>),
    /// Show what the directory knows.
    Recipients(recipients::RecipientsArguments),
    /// Show who is put off for guessing addresses, and let somebody in again.
    Clients(clients::ClientsArguments),
    /// Print what a shell needs to complete arguments.
    Completions(completions::CompletionsArguments),
    /// Print manual pages, or write one per command.
    Man(man::ManArguments),
}

/// Does what the arguments say.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "ldap")]
        Command::Init(arguments) => init::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Talk(arguments) => talk::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Recipients(arguments) => recipients::run(&arguments),
        Command::Clients(arguments) => clients::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, &mut Arguments::command()),
        Command::Man(arguments) => man::run(&arguments, Arguments::command()),
    }
}
