//! `postern probe`: see [`crate::probe`] for the work and the JSON form.

use super::exit::EXIT_MISTAKES;
pub use crate::probe::Args;
use std::process::ExitCode;

/// Probes on a runtime of its own.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(crate::probe::run(args)),
        Err(error) => {
            eprintln!("postern probe: {error}");
            ExitCode::from(EXIT_MISTAKES)
        }
    }
}
