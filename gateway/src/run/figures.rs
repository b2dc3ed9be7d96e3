//! The figures as a service: what is read at each scrape, and the thread that shows it.

use super::build::Watched;
use super::service::{Change, Ending, Service, Staged};
use super::worker;
use crate::control::work::Work;
use crate::observe::health::Health;
use crate::observe::server;
use crate::state::State;
use directory::learned::Learned;
use relay::settings::for_strangers;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks whether the last session has ended, while we drain.
const DRAINED_TICK: Duration = Duration::from_millis(20);

/// The page of figures, when it is wanted.
pub struct FigureService {
    thread: Option<JoinHandle<()>>,
}

impl FigureService {
    /// Shows figures to whom a listener lets in.
    /// # Errors
    /// When there can be no further thread.
    pub fn start(
        listener: Option<TcpListener>,
        state: &Arc<State>,
        watched: &Arc<Mutex<Watched>>,
    ) -> io::Result<Self> {
        add_gauges(state);
        add_sources(state, watched);
        Ok(Self { thread: listener.map(|listener| show(listener, state, watched)).transpose()? })
    }
}

impl Service for FigureService {
    fn reload(&self, change: &Change<'_>) -> Result<Staged, String> {
        let needs_restart = change.config.metrics != change.before.config.metrics;
        Ok(Staged { apply: None, needs_restart })
    }

    /// It ends by itself with the last session.
    fn stop(self: Box<Self>, ending: &mut Ending) {
        if let (Some(thread), 0) = (self.thread, ending.sessions_left) {
            let _ = thread.join();
        }
    }
}

fn show(
    listener: TcpListener,
    state: &Arc<State>,
    watched: &Arc<Mutex<Watched>>,
) -> io::Result<JoinHandle<()>> {
    let work = Work::new(state, Watched::asked(watched));
    let state = Arc::clone(state);
    worker::spawn("figures", async move {
        let mut conditions = state.conditions.subscribe();
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let metrics = Arc::clone(&state.observer.metrics);
        let seen = Arc::downgrade(&state);
        let health = move || seen.upgrade().map(|state| health(&state, &work)).unwrap_or_default();
        // While we drain, whoever watches us is told so.
        let drained = async {
            let _ = conditions.wait_for(|conditions| conditions.draining).await;
            while state.slots.taken() > 0 {
                tokio::time::sleep(DRAINED_TICK).await;
            }
        };
        tokio::select! {
            () = server::serve(listener, metrics, health) => {}
            () = drained => {}
        }
    })
}

fn health(state: &State, work: &Work) -> Health {
    let hops = &state.active.load().hops.0;
    Health {
        is_draining: state.draining.load(Ordering::Relaxed),
        is_full: state.slots.taken() >= for_strangers(state.slots.max()),
        next_hops_down: hops.iter().filter(|hop| hop.is_down()).map(|hop| hop.shown()).collect(),
        has_next_hop: hops.iter().any(|hop| !hop.is_down()),
        reports: work.sources().unwrap_or_default(),
    }
}

fn add_sources(state: &Arc<State>, watched: &Arc<Mutex<Watched>>) {
    let work = Work::new(state, Watched::asked(watched));
    state.observer.metrics.set_sources(move || work.sources().unwrap_or_default());
    let shared = Arc::downgrade(state);
    state.observer.metrics.set_hosts(move || {
        let Some(state) = shared.upgrade() else { return Vec::new() };
        let active = state.active.load();
        active.hops.0.iter().flat_map(|hop| hop.states()).collect()
    });
}

fn add_gauges(state: &Arc<State>) {
    let metrics = &state.observer.metrics;
    let (slots, budget, log) =
        (Arc::clone(&state.slots), Arc::clone(&state.content_budget), state.observer.log.clone());
    let disk = Arc::clone(&budget);
    metrics
        .add_gauge("connections", "Open connections of clients", move || u64::from(slots.taken()));
    metrics.add_gauge(
        "content_memory_octets",
        "Content, and replies not taken, in memory",
        move || budget.used_octets(),
    );
    metrics
        .add_gauge("content_disk_octets", "Content in temporary files", move || disk.disk_octets());
    metrics.add_gauge("log_lines_lost", "Lines of the log that were given up", move || {
        log.lost_lines()
    });
    add_learned_gauges(state);
    let shared = Arc::downgrade(state);
    metrics.add_gauge("next_hop_connections", "Connections to next hops", move || {
        shared.upgrade().map_or(0, |state| {
            let active = state.active.load();
            active.hops.0.iter().map(|hop| u64::from(hop.open_connections())).sum()
        })
    });
}

fn add_learned_gauges(state: &Arc<State>) {
    type Read = fn(&Learned) -> u64;
    let gauges: [(&'static str, &'static str, Read); 5] = [
        ("learned_positives", "Addresses that mail has shown to exist", |l| l.figures().positives),
        ("learned_negatives", "Addresses that mail has shown only to be refused", |l| {
            l.figures().negatives
        }),
        ("learned_doubtful", "Addresses in the report of whom learned would refuse", |l| {
            l.figures().doubts
        }),
        ("learned_would_refuse", "Recipients since the start that learned would refuse", |l| {
            l.figures().would_refuse
        }),
        ("directory_changes_lost", "Changes that the state directory was too slow for", |l| {
            l.store().lost_changes()
        }),
    ];
    for (name, help, read) in gauges {
        let learned = Arc::downgrade(&state.learned);
        let read = move || learned.upgrade().map_or(0, |learned| read(&learned));
        state.observer.metrics.add_gauge(name, help, read);
    }
}
