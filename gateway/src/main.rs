//! `postern`: parses the arguments and calls one function.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::run(gateway::cli::Arguments::parse())
}
