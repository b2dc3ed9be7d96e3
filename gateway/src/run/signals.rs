//! What the process is told: SIGHUP reads the configuration again, SIGTERM and SIGINT end it in
//! peace, a second one at once.

use super::Running;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until told to end; how many sessions were cut off.
/// # Errors
/// When signals cannot be waited for.
pub fn serve(running: Running) -> io::Result<u32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    if let Err(report) = running.reload() {
                        eprintln!("{report}");
                    }
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        let stopping = tokio::task::spawn_blocking(move || running.stop());
        tokio::select! {
            left = stopping => left.map_err(io::Error::other),
            _ = terminate.recv() => std::process::exit(130),
            _ = interrupt.recv() => std::process::exit(130),
        }
    })
}
