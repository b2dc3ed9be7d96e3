//! Looks after sources that change: a thread asks each of them every second whether anything is
//! new, and reports what came of it. Loading happens on this thread, never where recipients are
//! looked up. What a change is, and whether to adopt it, is the source's matter.

use super::RecipientSource;
use super::file::Stamp;
use super::guard::Outcome;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks. A file must be the same at two of them before it is loaded.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Decides when a file that changed has been quiet long enough to be read: a list that is being
/// copied into place is cut off anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet {
    /// What was there when it was last loaded; the inner nothing is a missing file.
    loaded: Option<Option<Stamp>>,
    /// What was there at the last look, when it differs from that.
    changed: Option<Option<Stamp>>,
}

impl Quiet {
    /// Notes what was loaded, or found missing.
    pub fn loaded(&mut self, stamp: Option<Stamp>) {
        *self = Self { loaded: Some(stamp), changed: None };
    }

    /// Takes what is there now and says whether to load it.
    pub fn observe(&mut self, now: Option<Stamp>) -> bool {
        if self.loaded == Some(now) {
            self.changed = None;
            return false;
        }
        self.changed.replace(now) == Some(now)
    }
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// Hung up to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts to look after `sources` and calls `report` with every outcome, on the thread.
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        sources: Vec<Arc<dyn RecipientSource>>,
        interval: Duration,
        report: impl Fn(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("recipients".into()).spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                sources.iter().flat_map(|source| source.poll()).for_each(&report);
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop = None;
        // A panic of the thread was reported when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
