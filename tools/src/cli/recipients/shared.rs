//! What the commands of `recipients` have in common.

use crate::cli::configuration::{ConfigArgument, print, print_json};
use clap::Args;
use serde::Serialize;

/// What all of them take.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients stats\n\n\
    Exit codes: 0 every source answers, 2 mistakes in the configuration, 3 a source is \
    unavailable or a load is held back.")]
pub(in crate::cli) struct Common {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgument,
    /// As one JSON document.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

impl Common {
    /// Prints an answer, for a script or in words.
    pub(in crate::cli) fn show<A: Serialize>(&self, answer: &A, text: impl FnOnce(&A) -> String) {
        if self.json {
            print_json(answer);
        } else {
            print(&text(answer));
        }
    }
}

/// The exit code; as an error when the command came to an early end that was told.
pub(in crate::cli) type Ended = Result<u8, u8>;
