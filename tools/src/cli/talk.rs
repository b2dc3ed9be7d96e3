//! `postern talk`: see [`crate::talk`] for the work, `talk::script` for the format.

use super::exit::EXIT_MISTAKES;
pub use crate::talk::Args;
use std::process::ExitCode;

/// Plays on a runtime of its own.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(crate::talk::run(args)),
        Err(error) => {
            eprintln!("postern talk: {error}");
            ExitCode::from(EXIT_MISTAKES)
        }
    }
}
