//! The log: lines are made where the event happens, gathered per thread, and written by one
//! thread of their own. Bounded and lossy with a counter: a full disk or a stuck pipe costs lines,
//! never mail.

use super::write::{LINE_OCTETS_MAX, LineFormat, line};
use relay::event::{Event, Kind};
use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Lines gathered before they are handed over, in octets.
const BATCH_OCTETS_MAX: usize = 64 << 10;
/// Batches that wait for a slow disk.
const BATCHES_MAX: usize = 256;
/// How long a closing log waits for the writer.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A handle to the log; cheap to copy.
#[derive(Clone)]
pub struct Log {
    format: LineFormat,
    detail: bool,
    batches: SyncSender<Job>,
    lost_lines: Arc<AtomicU64>,
}

/// What the writer is to do.
enum Job {
    Write(Vec<u8>),
    /// Go on in another file: the old one was moved away.
    Reopen(Box<dyn Write + Send>),
}

/// The writer; joined at the end of the process.
pub struct LogWriter {
    thread: JoinHandle<()>,
}

thread_local! {
    static BATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    /// Starts the writer.
    /// # Errors
    /// When there can be no further thread.
    pub fn start(
        out: impl Write + Send + 'static,
        format: LineFormat,
        detail: bool,
    ) -> io::Result<(Self, LogWriter)> {
        let (batches, received) = sync_channel(BATCHES_MAX);
        let thread =
            thread::Builder::new().name("log".into()).spawn(move || write(out, &received))?;
        let lost_lines = Arc::new(AtomicU64::new(0));
        Ok((Self { format, detail, batches, lost_lines }, LogWriter { thread }))
    }

    /// Takes an event; it is written when this thread's batch is full or flushed.
    pub fn record(&self, event: &Event<'_>) {
        if event.kind.is_detail() && !self.detail {
            return;
        }
        let full = BATCH.with_borrow_mut(|batch| {
            if batch.capacity() == 0 {
                batch.reserve(BATCH_OCTETS_MAX + LINE_OCTETS_MAX);
            }
            line(batch, self.format, event);
            batch.len() >= BATCH_OCTETS_MAX
        });
        // What happens to the process is rare and wanted at once.
        if full || matches!(event.kind, Kind::Process { .. }) {
            self.flush();
        }
    }

    /// Hands this thread's lines to the writer.
    pub fn flush(&self) {
        let batch = BATCH.with_borrow_mut(|batch| {
            if batch.is_empty() { None } else { Some(std::mem::take(batch)) }
        });
        let Some(batch) = batch else { return };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
            self.batches.try_send(Job::Write(batch))
        {
            let Job::Write(batch) = job else { return };
            let lines = memchr::memchr_iter(b'\n', &batch).count() as u64;
            self.lost_lines.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Goes on in another file from here on. Given up when the writer is stuck.
    pub fn reopen(&self, out: impl Write + Send + 'static) {
        let _ = self.batches.try_send(Job::Reopen(Box::new(out)));
    }

    /// Lines that were given up so far.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.lost_lines.load(Ordering::Relaxed)
    }
}

impl LogWriter {
    /// Waits until everything is written, but not for ever, and says whether it is. All handles
    /// must be gone.
    pub fn close(self) -> bool {
        let until = std::time::Instant::now() + CLOSE_PATIENCE;
        while !self.thread.is_finished() && std::time::Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        self.thread.is_finished()
    }
}

fn write(out: impl Write + Send + 'static, jobs: &Receiver<Job>) {
    let mut out: Box<dyn Write + Send> = Box::new(out);
    while let Ok(job) = jobs.recv() {
        match job {
            // A log that cannot be written has nobody to be told to; what comes later may work.
            Job::Write(batch) => {
                let _ = out.write_all(&batch).and_then(|()| out.flush());
            }
            Job::Reopen(next) => out = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::event::ProcessEvent;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Never takes anything.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn event() -> Event<'static> {
        Event {
            scene: None,
            kind: Kind::Process { event: ProcessEvent::Listening, subject: "s", detail: "d" },
        }
    }

    #[test]
    fn every_line_arrives_whole() {
        let out = Shared::default();
        let (log, writer) = Log::start(out.clone(), LineFormat::Json, false).unwrap();
        for _ in 0..100 {
            log.record(&event());
        }
        drop(log);
        writer.close();
        let written = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().filter(|line| line.ends_with("\"detail\":\"d\"}")).count(), 100);
    }

    #[test]
    fn it_goes_on_in_another_file() {
        let (first, second) = (Shared::default(), Shared::default());
        let (log, writer) = Log::start(first.clone(), LineFormat::Json, false).unwrap();
        log.record(&event());
        log.reopen(second.clone());
        log.record(&event());
        drop(log);
        writer.close();
        for out in [first, second] {
            assert_eq!(out.0.lock().unwrap().iter().filter(|b| **b == b'\n').count(), 1);
        }
    }

    #[test]
    fn a_stuck_pipe_costs_lines_and_no_time() {
        let (_keep, stuck) = std::sync::mpsc::channel();
        let (log, _) = Log::start(Stuck(stuck), LineFormat::Text, false).unwrap();
        for _ in 0..BATCHES_MAX + 10 {
            log.record(&event());
        }
        assert!(log.lost_lines() > 0);
    }
}
