//! `postern`: parses the arguments and calls one function.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    tools::cli::run(tools::cli::Arguments::parse())
}
