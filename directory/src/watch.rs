//! Looks after sources that change: a thread asks each of them every second whether anything is
//! new, and reports what came of it; slow ones have a thread each. Loading happens there, never
//! where recipients are looked up. What a change is, and whether to adopt it, is the source's.

use super::load::guard::Outcome;
use super::{RecipientList, RecipientSource};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks. A file must be the same at two of them before it is loaded.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What a thread that reads lists adds to its nice value: mail goes first, and a list of ten
/// million that is a few seconds late harms nobody.
const NICENESS: i32 = 10;

/// Lets every other thread of the process go first from now on, where the system allows it.
pub fn give_way() {
    // On Linux a priority is a thread's own, and 0 is whoever calls.
    let nice = rustix::process::getpriority_process(None).unwrap_or(0);
    let _ = rustix::process::setpriority_process(None, nice.max(NICENESS));
}

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// Hung up to stop them.
    stop: Vec<Sender<()>>,
    /// The one that quick sources share.
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts to look after `sources` and calls `report` with every outcome, on the threads. A
    /// slow source has one of its own and is first asked at once: a server that hangs must not
    /// keep a changed file from being read.
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        sources: Vec<Arc<dyn RecipientSource>>,
        interval: Duration,
        report: impl Fn(Outcome) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let report = Arc::new(report);
        let (slow, quick): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|s| s.list().is_some_and(RecipientList::is_slow));
        let (sender, stopped) = channel();
        let tell = Arc::clone(&report);
        let thread = std::thread::Builder::new().name("recipients".into()).spawn(move || {
            give_way();
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                quick.iter().flat_map(|source| poll(&**source)).for_each(&*tell);
            }
        })?;
        // From here on an error ends the threads that are there already.
        let mut watcher = Self { stop: vec![sender], thread: Some(thread) };
        for source in slow {
            let (sender, stopped) = channel();
            let tell = Arc::clone(&report);
            std::thread::Builder::new().name("recipients-slow".into()).spawn(move || {
                give_way();
                loop {
                    poll(&*source).into_iter().for_each(&*tell);
                    if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
            watcher.stop.push(sender);
        }
        Ok(watcher)
    }
}

fn poll(source: &dyn RecipientSource) -> Vec<Outcome> {
    source.list().map_or_else(Vec::new, RecipientList::poll)
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.clear();
        // A panic of the thread was reported when it happened. Those of slow sources are not
        // waited for: each ends when what it asks has answered or not, and a source that goes on
        // under another watcher may have a load to finish.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nice_value() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn only_the_thread_that_gives_way_goes_last() {
        let before = nice_value();
        let behind = std::thread::spawn(|| {
            give_way();
            nice_value()
        });
        assert!(behind.join().unwrap() >= NICENESS);
        assert_eq!(nice_value(), before);
    }
}
