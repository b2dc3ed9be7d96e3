//! `postern demo`: what Postern is for, in a minute, with nothing else installed.

use crate::demo::progress::Progress;
use crate::demo::stream::Size;
use crate::demo::{Wishes, give};
use clap::Args;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern demo --once --json\n\n\
    Everything runs on loopback, on ports that the system chooses.\n\
    Exit codes: 0 the promise was kept (no unknown recipient accepted, no NDR to an innocent,\n\
    all real mail delivered), 1 it was not, or the demo could not be given.")]
pub struct DemoArguments {
    /// Leave after the table instead of waiting for your own mail.
    #[arg(long)]
    pub once: bool,
    /// Print the table as one JSON object, and leave.
    #[arg(long)]
    pub json: bool,
    /// A few hundred messages instead of some thousands.
    #[arg(long)]
    pub small: bool,
    /// The same seed is the same mail.
    #[arg(long, default_value_t = 2004)]
    pub seed: u64,
}

/// Gives it.
#[must_use]
pub fn run(arguments: &DemoArguments) -> ExitCode {
    let shown = !arguments.json && io::stderr().is_terminal();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let wishes = Wishes {
        size: if arguments.small { Size::SMALL } else { Size::FULL },
        seed: arguments.seed,
        once: arguments.once,
        json: arguments.json,
        colour: io::stdout().is_terminal() && !no_colour,
        progress: if shown { Progress::Shown } else { Progress::Hidden },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let given =
        runtime.map_err(Into::into).and_then(|r| r.block_on(give(&wishes, &mut io::stdout())));
    match given {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::FAILURE
        }
    }
}
