//! What the process is told: SIGHUP reads the configuration again, SIGTERM and SIGINT end it in
//! peace, a second one at once.

use super::supervisor::{Phase, tell};
use super::{Running, StartError};
use crate::config::Config;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How long a start may still take that is told to end; then the process ends in the middle of it,
/// when nobody is served yet.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// Exit code of a process that was ended in the middle of something.
const EXIT_ENDED: i32 = 130;

/// The signals that we act on. They wait from here on instead of ending the process, so they are
/// taken before the first socket listens: whoever can be talked to can be told to end in peace.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    hangup: Signal,
    end: End,
}

/// Either of those that end the process.
#[derive(Debug)]
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
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
        Ok(Self { runtime, hangup, end: End { terminate, interrupt } })
    }

    /// Starts, and serves until told to end; how many sessions were cut off.
    /// # Errors
    /// When it cannot start.
    pub fn serve(self, config: Config) -> Result<u32, StartError> {
        let Self { runtime, mut hangup, mut end } = self;
        runtime.block_on(async {
            let (running, is_to_end) = start(config, &mut end).await?;
            if !is_to_end {
                tell(Phase::Ready);
                serve_until_end(&running, &mut hangup, &mut end).await;
            }
            tell(Phase::Stopping);
            let stopping = spawn_blocking(move || running.stop());
            tokio::select! {
                left = stopping => Ok(left.map_err(io::Error::other)?),
                () = end.wanted() => std::process::exit(EXIT_ENDED),
            }
        })
    }
}

/// Starts, and says whether it was told to end meanwhile.
async fn start(config: Config, end: &mut End) -> Result<(Running, bool), StartError> {
    let mut starting = spawn_blocking(move || Running::start(config));
    let started = tokio::select! {
        biased;
        started = &mut starting => (started, false),
        () = end.wanted() => tokio::select! {
            started = &mut starting => (started, true),
            () = sleep(START_PATIENCE) => std::process::exit(EXIT_ENDED),
            () = end.wanted() => std::process::exit(EXIT_ENDED),
        },
    };
    Ok((started.0.map_err(io::Error::other)??, started.1))
}

async fn serve_until_end(running: &Running, hangup: &mut Signal, end: &mut End) {
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                tell(Phase::Reloading);
                if let Err(report) = running.reload() {
                    eprintln!("{report}");
                }
                tell(Phase::Ready);
            }
            () = end.wanted() => return,
        }
    }
}
