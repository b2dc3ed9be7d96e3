//! One thread a core, each with a runtime of its own: a session lives and dies on one thread.

use super::service::{Change, Ending, Service, Staged};
use super::slots_for;
use crate::listen::accept;
use crate::state::State;
use relay::event::ProcessEvent;
use settings::process::Listener;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, available_parallelism};
use std::time::{Duration, Instant};

/// How often a thread hands over its log lines.
const TICK: Duration = Duration::from_millis(100);
/// So many ticks between two looks at the pressure for those who wait.
const PRESSURE_TICKS: u64 = 10;
/// How often it is looked whether the last session has ended, when we go down.
const DRAINED_TICK: Duration = Duration::from_millis(5);
/// Threads for file access, beside each session thread.
const BLOCKING_THREADS_MAX: usize = 4;

/// The threads of sessions, as a service.
pub struct SmtpService {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

impl SmtpService {
    /// Starts them all.
    /// # Errors
    /// When there can be no further thread or socket.
    pub fn start(
        listeners: &[(Arc<Listener>, TcpListener)],
        state: &Arc<State>,
    ) -> io::Result<Self> {
        Ok(Self { threads: start_all(listeners, state)?, state: Arc::clone(state) })
    }
}

impl Service for SmtpService {
    fn reload(&self, change: &Change<'_>) -> Result<Staged, String> {
        let state = Arc::clone(&self.state);
        let limits = change.config.settings.limits.clone();
        let apply = move || {
            if let Ok(slots) = slots_for(limits.connections_max, &state.observer) {
                state.slots.set_max(slots);
            }
            state.content_budget.set_max(
                limits.memory_octets_max,
                limits.message_memory_octets_max,
                limits.disk_octets_max,
            );
        };
        let needs_restart = change.config.listeners != change.before.config.listeners;
        Ok(Staged { needs_restart, ..Staged::with(apply) })
    }

    /// Lets sessions end that have been told so. Threads that hold one that does not end are left
    /// to the end of the process.
    fn stop(self: Box<Self>, ending: &mut Ending) {
        while self.state.slots.taken() > 0 && Instant::now() < ending.until {
            thread::sleep(DRAINED_TICK);
        }
        ending.sessions_left = self.state.slots.taken();
        if ending.sessions_left == 0 {
            for thread in self.threads {
                let _ = thread.join();
            }
        }
    }
}

fn start_all(
    listeners: &[(Arc<Listener>, TcpListener)],
    state: &Arc<State>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let threads = available_parallelism().map_or(1, usize::from);
    let mut workers = Vec::new();
    for n in 0..threads {
        let mut own = Vec::new();
        for (settings, listener) in listeners {
            own.push((Arc::clone(settings), listener.try_clone()?));
        }
        let state = Arc::clone(state);
        workers.push(spawn("sessions", serve(own, state, n == 0))?);
    }
    Ok(workers)
}

async fn serve(listeners: Vec<(Arc<Listener>, TcpListener)>, state: Arc<State>, first: bool) {
    for (settings, listener) in listeners {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                tokio::spawn(accept::serve(listener, settings, Arc::clone(&state)));
            }
            Err(error) => state.observer.tell(ProcessEvent::Bug, "listener", &error.to_string()),
        }
    }
    tick(&state, first).await;
}

/// Until we go down and the last session of all has ended. The first thread asks next hops what
/// they offer, whenever there are new ones.
async fn tick(state: &State, first: bool) {
    let (mut lost, mut greeted, mut ticks) = (0, Weak::new(), 0_u64);
    loop {
        let active = state.active.load_full();
        if first && !std::ptr::eq(greeted.as_ptr(), Arc::as_ptr(&active)) {
            greeted = Arc::downgrade(&active);
            active.hops.greet();
        }
        drop(active);
        tokio::time::sleep(TICK).await;
        ticks += 1;
        if first && ticks % PRESSURE_TICKS == 0 {
            state.tell_pressure();
            state.ledgers.relax(wire::clock::now());
            state.observer.tell_repeats(false);
        }
        state.observer.log.flush();
        let lost_now = state.observer.log.lost_lines();
        if lost_now > lost {
            state.observer.tell(
                ProcessEvent::LogLost,
                &lost_now.to_string(),
                "lines, the disk was too slow",
            );
            lost = lost_now;
        }
        if state.conditions.borrow().draining && state.slots.taken() == 0 {
            state.observer.log.flush();
            return;
        }
    }
}

/// A thread with a runtime of its own that lasts as long as `work`.
/// # Errors
/// When there can be no further thread.
pub fn spawn(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    thread::Builder::new().name(name.into()).spawn(move || runtime.block_on(work))
}
