//! What the process is told: SIGHUP reads the configuration again, SIGTERM and SIGINT end it in
//! peace, a second one at once.

use super::Running;
use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that we act on. They wait from here on instead of ending the process, so they are
/// taken before the first socket listens: whoever can be talked to can be told to end in peace.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes them.
    /// # Errors
    /// When signals cannot be waited for.
    pub fn take() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let hangup = signal(SignalKind::hangup())?;
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        drop(context);
        Ok(Self { runtime, hangup, terminate, interrupt })
    }

    /// Serves until told to end; how many sessions were cut off.
    /// # Errors
    /// When the thread that stops it panics.
    pub fn serve(self, running: Running) -> io::Result<u32> {
        let Self { runtime, mut hangup, mut terminate, mut interrupt } = self;
        runtime.block_on(async {
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
}
