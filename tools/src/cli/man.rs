//! `postern man`: the help of every command as manual pages.

use super::configuration::{count, print};
use super::exit::EXIT_MISTAKES;
use clap::{Args, Command};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  postern man | man -l -\n  \
    postern man --directory /usr/share/man/man1\n\n\
    Exit codes: 0 written, 2 the directory cannot be written to.")]
pub struct ManArguments {
    /// Write one page per command into this directory; without it postern(1) is printed.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs it, for this program.
#[must_use]
pub fn run(arguments: &ManArguments, program: Command) -> ExitCode {
    let Some(directory) = &arguments.directory else {
        let mut page = Vec::new();
        // Writing to memory does not fail.
        let _ = clap_mangen::Man::new(program).render(&mut page);
        print(&String::from_utf8_lossy(&page));
        return ExitCode::SUCCESS;
    };
    match write(directory, program) {
        Ok(()) => {
            let pages = std::fs::read_dir(directory).map_or(0, |pages| {
                let ours = |name: &str| name.starts_with("postern") && name.ends_with(".1");
                pages.flatten().filter(|p| p.file_name().to_str().is_some_and(ours)).count()
            });
            print(&format!("{} in {}\n", count(pages as u64, "page"), directory.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write to {}: {error}", directory.display());
            eprintln!("Name a directory you may write to: --directory");
            ExitCode::from(EXIT_MISTAKES)
        }
    }
}

fn write(directory: &Path, program: Command) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // The pages of `help` would repeat all others.
    clap_mangen::generate_to(program.disable_help_subcommand(true), directory)
}
