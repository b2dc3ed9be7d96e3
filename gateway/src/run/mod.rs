//! The life of the process: open everything, give up privileges, serve on one thread a core,
//! reload when told, drain when told.

pub mod background;
pub mod build;
pub mod privileges;
pub mod services;
pub mod signals;
pub mod worker;

pub use crate::directory::assembly as recipients;
pub use crate::directory::assembly::contents;

use self::services::Services;
use crate::config::built::Config;
use crate::control;
use crate::control::work::Work;
use crate::directory::learned::Learned;
use crate::listen::accept::{bind, listen};
use crate::listen::content::Room;
use crate::listen::seats::Seats;
use crate::observe::Observer;
use crate::observe::log::{Log, LogWriter};
use crate::observe::metrics::Metrics;
use crate::observe::server::{self, FigureLimits};
use crate::observe::write::LineFormat;
use crate::settings::mistake::Mistake;
use crate::settings::process::{ListenAddress, Listener, LogFormat};
use crate::state::{Books, State, random_key};
use arc_swap::ArcSwap;
use build::{Assembled, Before};
use relay::event::ProcessEvent;
use relay::split::SplitMemory;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::watch;

/// How long open transactions may take to end when we go down.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// Why the process cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The log file.
    #[error("cannot write the log {}: {source}", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate, or the authorities of a next hop.
    #[error("{what}: {why}")]
    Tls {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
    /// Giving up privileges.
    #[error("cannot become {user}: {source}")]
    Privileges {
        /// Whom.
        user: String,
        /// Why.
        source: io::Error,
    },
    /// Recipient sources, where the operator wants none to be missing.
    #[error("recipient sources cannot be used: {} mistakes", .0.len())]
    Sources(Vec<Mistake>),
    /// Threads, randomness, and the like.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A process that serves.
pub struct Running {
    state: Arc<State>,
    workers: Vec<JoinHandle<()>>,
    log_writer: LogWriter,
    /// Kept alive: it watches recipient sources.
    watched: Arc<Mutex<build::Watched>>,
    /// Kept alive: sources use them.
    services: Services,
    /// Kept alive: commands ask it. None without a state directory.
    control: Option<control::server::Server>,
    /// Where it listens, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where figures are shown.
    pub metrics: Option<SocketAddr>,
}

impl Running {
    /// Opens everything and begins to serve.
    /// # Errors
    /// When something that the configuration names cannot be had. Nothing is left running then.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let listeners = open_listeners(&config)?;
        let figures = config.metrics.map(|at| open(at).map(|l| (at, l))).transpose()?;
        let (log, log_writer) = open_log(&config)?;
        let observer = Observer { log, metrics: Arc::new(Metrics::default()) };
        // While the rights are there to raise it.
        privileges::raise_descriptor_limit()?;
        privileges::drop_to(config.drop_to.as_ref())?;
        demand_sources(&config)?;
        begin_to_listen(&listeners, figures.as_ref())?;

        let limits = config.settings.limits.clone();
        let state_dir = config.state_dir.clone();
        let control_dir = state_dir.clone();
        let seats_max = seats_for(limits.connections_max, &observer)?;
        let services = Services::start(&config, &observer)?;
        let Assembled { live, watched, .. } =
            build::assemble(config, &observer, &services, Before::default())?;
        let (drain, _) = watch::channel(false);
        let state = Arc::new(State {
            live: ArcSwap::from_pointee(live),
            seats: Arc::new(Seats::new(seats_max)),
            room: Arc::new(Room::new(
                limits.memory_octets_max,
                limits.message_memory_octets_max,
                state_dir,
            )),
            books: Books::new()?,
            learned: Arc::clone(services.learned()),
            split: Mutex::new(SplitMemory::new(random_key()?)),
            draining: Arc::new(AtomicBool::new(false)),
            observer,
            drain,
        });
        add_gauges(&state);
        let addresses = listeners.iter().map(|(_, l)| l.local_addr()).collect::<Result<_, _>>()?;
        let mut workers = worker::start_all(&listeners, &state)?;
        let metrics = match figures {
            Some((_, listener)) => {
                let address = listener.local_addr()?;
                workers.push(start_figures(listener, &state)?);
                Some(address)
            }
            None => None,
        };
        let watched = Arc::new(Mutex::new(watched));
        add_source_figures(&state, &watched);
        let control = start_control(control_dir.as_deref(), &state, &watched, &services);
        let running =
            Self { state, workers, log_writer, watched, services, control, addresses, metrics };
        running.announce();
        Ok(running)
    }

    fn announce(&self) {
        for address in &self.addresses {
            self.state.observer.tell(ProcessEvent::Listening, &address.to_string(), "SMTP");
        }
        if let Some(address) = self.metrics {
            self.state.observer.tell(ProcessEvent::Listening, &address.to_string(), "figures");
        }
    }

    /// What sessions share.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Reads the configuration again. What is wrong leaves everything as it is.
    /// # Errors
    /// What is wrong, as a report for people.
    pub fn reload(&self) -> Result<(), String> {
        build::reload(&self.state, &self.services, &self.watched)
    }

    /// Stops accepting, lets open transactions end, and returns how many did not within a minute.
    pub fn stop(self) -> u32 {
        self.end().0
    }

    /// As [`Running::stop`]; and whether the log was written to its end.
    fn end(self) -> (u32, bool) {
        let Self { state, workers, log_writer, watched, services, control, .. } = self;
        state.draining.store(true, Ordering::Relaxed);
        state.observer.tell(ProcessEvent::Draining, "", "no new connections");
        state.drain.send_replace(true);
        let until = Instant::now() + DRAIN_PATIENCE;
        while state.seats.taken() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = state.seats.taken();
        let observer = state.observer.clone();
        // Threads that hold a session that does not end are left to the end of the process.
        if left == 0 {
            for worker in workers {
                let _ = worker.join();
            }
        }
        // Where a session is left, somebody still holds the store: what it was told is written all
        // the same. What keeps it from that has been told.
        let _ = services.flush();
        // The watchers hold a handle to the log as well, and it closes with the last one.
        drop((control, state, watched, services));
        // Whoever waits for it may take the machine away: nothing is still to be written.
        observer.tell(ProcessEvent::Stopped, "", &format!("{left} sessions were cut off"));
        drop(observer);
        (left, log_writer.close())
    }
}

/// Opens to clients what was taken: they wait until they are served.
fn begin_to_listen(
    listeners: &[(Arc<Listener>, TcpListener)],
    figures: Option<&(SocketAddr, TcpListener)>,
) -> Result<(), StartError> {
    let own = listeners.iter().filter_map(|(listener, socket)| match &listener.address {
        ListenAddress::Socket(address) => Some((*address, socket)),
        ListenAddress::InheritedIndex(_) | ListenAddress::InheritedName(_) => None,
    });
    for (address, socket) in own.chain(figures.map(|(address, socket)| (*address, socket))) {
        listen(socket)
            .map_err(|source| StartError::Listen { address: address.to_string(), source })?;
    }
    Ok(())
}

/// Tries all recipient sources out where the operator wants none to be missing: with the rights
/// that they are used with, and before any client can connect.
fn demand_sources(config: &Config) -> Result<(), StartError> {
    if config.starts_without_sources {
        return Ok(());
    }
    let mistakes = contents::unusable(&config.recipients())?;
    if mistakes.is_empty() { Ok(()) } else { Err(StartError::Sources(mistakes)) }
}

/// How many clients can be seated: as many as are wanted, or fewer where descriptors are few.
/// # Errors
/// When their number cannot be asked for.
pub fn seats_for(connections_max: u32, observer: &Observer) -> io::Result<u32> {
    let descriptors = privileges::raise_descriptor_limit()?;
    let seats = privileges::seats_within(descriptors, connections_max);
    if seats < connections_max {
        let detail = format!("connections_max is lowered to {seats}: {descriptors} descriptors");
        observer.tell(ProcessEvent::LimitLowered, "RLIMIT_NOFILE", &detail);
    }
    Ok(seats)
}

fn open_listeners(config: &Config) -> Result<Vec<(Arc<Listener>, TcpListener)>, StartError> {
    let mut inherited = listenfd::ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut opened = Vec::new();
    for listener in &config.listeners {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such inherited socket");
        let (name, socket) = match &listener.address {
            ListenAddress::Socket(address) => (address.to_string(), bind(*address)),
            ListenAddress::InheritedIndex(n) => {
                let taken = inherited.take_tcp_listener(*n);
                (format!("systemd:{n}"), taken.and_then(|l| l.ok_or_else(missing)))
            }
            ListenAddress::InheritedName(name) => {
                let place = names.split(':').position(|known| known == name);
                let taken = place.map_or(Ok(None), |n| inherited.take_tcp_listener(n));
                (format!("systemd:{name}"), taken.and_then(|l| l.ok_or_else(missing)))
            }
        };
        let socket = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        let socket = socket.map_err(|source| StartError::Listen { address: name, source })?;
        opened.push((Arc::new(listener.clone()), socket));
    }
    Ok(opened)
}

fn open(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|source| StartError::Listen { address: address.to_string(), source })
}

fn open_log(config: &Config) -> Result<(Log, LogWriter), StartError> {
    let format = match config.log.format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text => LineFormat::Text,
        LogFormat::Auto if config.log.file.is_none() && io::stdout().is_terminal() => {
            LineFormat::Text
        }
        LogFormat::Auto => LineFormat::Json,
    };
    let started = match &config.log.file {
        None => Log::start(io::stdout(), format, false),
        Some(path) => {
            let file = append_to(path);
            let file = file.map_err(|source| StartError::Log { path: path.clone(), source })?;
            Log::start(file, format, false)
        }
    };
    Ok(started?)
}

fn append_to(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn start_figures(listener: TcpListener, state: &Arc<State>) -> io::Result<JoinHandle<()>> {
    let state = Arc::clone(state);
    worker::spawn("figures", async move {
        let mut drain = state.drain.subscribe();
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let metrics = Arc::clone(&state.observer.metrics);
        let draining = Arc::clone(&state.draining);
        // While we drain, whoever watches us is told so.
        let drained = async {
            let _ = drain.wait_for(|draining| *draining).await;
            while state.seats.taken() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = server::serve(listener, metrics, draining, FigureLimits::default()) => {}
            () = drained => {}
        }
    })
}

/// A socket that cannot be had costs the commands, and is told; mail goes on without it.
fn start_control(
    state_directory: Option<&Path>,
    state: &Arc<State>,
    watched: &Arc<Mutex<build::Watched>>,
    services: &Services,
) -> Option<control::server::Server> {
    let directory = state_directory?;
    let work = Work::new(state, watched);
    match control::server::Server::start(directory, work, services.background()) {
        Ok(server) => Some(server),
        Err(error) => {
            let path = control::socket_path(directory).display().to_string();
            state.observer.tell(ProcessEvent::ControlRefused, &path, &error.to_string());
            None
        }
    }
}

fn add_source_figures(state: &Arc<State>, watched: &Arc<Mutex<build::Watched>>) {
    let work = Work::new(state, watched);
    state.observer.metrics.set_sources(move || work.sources().unwrap_or_default());
}

fn add_gauges(state: &Arc<State>) {
    let metrics = &state.observer.metrics;
    let (seats, room, log) =
        (Arc::clone(&state.seats), Arc::clone(&state.room), state.observer.log.clone());
    metrics
        .add_gauge("connections", "Open connections of clients", move || u64::from(seats.taken()));
    metrics
        .add_gauge("content_memory_octets", "Content held in memory", move || room.used_octets());
    metrics.add_gauge("log_lines_lost", "Lines of the log that were given up", move || {
        log.lost_lines()
    });
    add_learned_gauges(state);
    let shared = Arc::downgrade(state);
    metrics.add_gauge("next_hop_connections", "Connections to next hops", move || {
        shared.upgrade().map_or(0, |state| {
            let live = state.live.load();
            live.hops.0.iter().map(|hop| u64::from(hop.open_connections())).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_sessions_stops_before_the_log_loses_patience() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.txt"), "jones@example.test\n").unwrap();
        let text = "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
            [[domain]]\nname = \"example.test\"\nnext_hop = \"127.0.0.1:1\"\n\
            recipients = [{ file = \"users.txt\" }]\n[log]\nfile = \"postern.log\"\n";
        let path = folder.path().join("postern.toml");
        std::fs::write(&path, text).unwrap();
        let running = Running::start(Config::load(&path).unwrap()).unwrap();
        assert_eq!(running.end(), (0, true));
        let log = std::fs::read_to_string(folder.path().join("postern.log")).unwrap();
        assert!(log.contains("\"Stopped\""), "{log}");
    }

    #[test]
    fn it_has_stopped_when_nothing_is_still_to_be_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.txt"), "jones@example.test\n").unwrap();
        let text = "hostname = \"mx.example.test\"\nstate_dir = \".\"\n\
            [[listener]]\naddress = \"127.0.0.1:0\"\n\
            [[domain]]\nname = \"example.test\"\nnext_hop = \"127.0.0.1:1\"\n\
            recipients = [{ file = \"users.txt\" }]\n[log]\nfile = \"postern.log\"\n";
        let path = folder.path().join("postern.toml");
        std::fs::write(&path, text).unwrap();
        let running = Running::start(Config::load(&path).unwrap()).unwrap();
        // Another process holds the file for longer than the writer has patience, and says so.
        let file = folder.path().join(crate::directory::store::FILE_NAME);
        let other = rusqlite::Connection::open(file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        running.state().learned.store().forget_evidence("jones@example.test");
        assert_eq!(running.stop(), 0);
        drop(other);
        let log = std::fs::read_to_string(folder.path().join("postern.log")).unwrap();
        let last = log.lines().last().unwrap_or_default();
        assert!(log.contains("\"DirectoryStateFailed\""), "{log}");
        assert!(last.contains("\"Stopped\""), "{log}");
    }
}
