//! A thread with a runtime for work that no client waits for: looking after recipient sources.
//! Sessions never use it, so that a directory that hangs holds nobody up.

use std::io;
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads for file access and names, beside it.
const BLOCKING_THREADS_MAX: usize = 4;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Background {
    handle: Handle,
    /// Hung up to end it.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it.
    /// # Errors
    /// When there can be no further thread.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("background".into()).spawn(move || {
            let _ = runtime.block_on(stopped);
            // What still waits for a directory is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where to spawn.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop = None;
        // A panic of the thread was reported when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
