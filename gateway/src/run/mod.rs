//! The life of the process: open everything, give up privileges, serve on one thread a core,
//! reload when told, drain when told.

pub mod background;
pub mod backing;
pub mod build;
mod clients;
mod control;
mod figures;
mod log;
pub mod privileges;
mod service;
pub mod signals;
mod supervisor;
pub mod worker;

use self::backing::Backing;
use self::build::{Assembled, Before, SourceService};
use self::clients::ClientService;
use self::control::ControlService;
use self::figures::FigureService;
use self::log::LogService;
use self::service::{Change, Services};
use self::worker::SmtpService;
use crate::config::built::Config;
use crate::ledgers::Ledgers;
use crate::listen::accept::{bind, listen};
use crate::observe::Observer;
use crate::state::{Conditions, State};
use arc_swap::ArcSwap;
use relay::event::ProcessEvent;
use relay::split::SplitMemory;
use settings::mistake::Mistake;
use settings::process::{ListenAddress, Listener};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::watch;
use wire::content::ContentBudget;
use wire::lock::random_key;
use wire::slots::Slots;

/// How long open transactions may take to end when we go down.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// What a person may do about an address that cannot be listened on.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has it, perhaps the mail server itself: `ss -ltnp` names it"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are for root: start it as root with a `user`, or let systemd hold the \
             port (postern.socket)"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address: `ip addr`",
        _ => "",
    }
}

/// Why the process cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener.
    #[error("cannot listen on {address}: {source}{}", remedy(source))]
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
    /// Nobody can be asked what the DNS says.
    #[error("{0}; name them in `servers` of `[dns]`")]
    Dns(#[from] wire::dns::NoServers),
    /// Threads, randomness, and the like.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A process that serves.
pub struct Running {
    state: Arc<State>,
    watched: Arc<Mutex<build::Watched>>,
    services: Services,
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
        let log = LogService::start(&config)?;
        let observer = log.observer();
        // While the rights are there to raise it.
        privileges::raise_descriptor_limit()?;
        privileges::drop_to(config.drop_to.as_ref())?;
        demand_sources(&config)?;
        begin_to_listen(&listeners, figures.as_ref())?;

        let addresses = listeners.iter().map(|(_, l)| l.local_addr()).collect::<Result<_, _>>()?;
        let metrics = figures.as_ref().map(|(_, listener)| listener.local_addr()).transpose()?;
        let state_dir = config.state_dir.clone();
        let backing = Arc::new(Backing::start(&config, &observer)?);
        let (state, watched) = assemble(config, observer, &backing)?;
        let mut services = Services::default();
        services.add(log);
        services.add(Arc::clone(&backing));
        services.add(SourceService::new(&state, &watched, &backing));
        services.add(ClientService::start(state_dir.as_deref(), &state, backing.background()));
        services.add(ControlService::start(state_dir.as_deref(), &state, &watched, &backing));
        services.add(FigureService::start(figures.map(|(_, l)| l), &state, &watched)?);
        services.add(SmtpService::start(&listeners, &state)?);
        let running = Self { state, watched, services, addresses, metrics };
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

    /// Reads the configuration again and puts it in force. What is wrong leaves everything as it
    /// is.
    /// # Errors
    /// What is wrong, as a report for people.
    pub fn reload(&self) -> Result<(), String> {
        let before = self.state.active.load_full();
        let path = &before.config.path;
        let config = Config::load(path).map_err(|mistakes| mistakes.render(100, false));
        let reloaded = config
            .and_then(|config| self.services.reload(&Change { before: &before, config: &config }));
        let (path, observer) = (path.display().to_string(), &self.state.observer);
        match reloaded {
            Ok(needs_restart) => {
                let detail = if needs_restart {
                    "in force for new sessions; listeners change with a restart only"
                } else {
                    "in force for new sessions"
                };
                observer.tell(ProcessEvent::ConfigurationReloaded, &path, detail);
                Ok(())
            }
            Err(report) => {
                let first = report.lines().find(|line| !line.trim().is_empty());
                let first = first.unwrap_or_default();
                observer.tell(ProcessEvent::ConfigurationRefused, &path, first);
                Err(report)
            }
        }
    }

    /// Stops accepting, lets open transactions end, and returns how many did not within a minute.
    pub fn stop(self) -> u32 {
        self.end().0
    }

    /// As [`Running::stop`]; and whether the log was written to its end.
    fn end(self) -> (u32, bool) {
        let Self { state, watched, services, .. } = self;
        state.draining.store(true, Ordering::Relaxed);
        state.observer.tell(ProcessEvent::Draining, "", "no new connections");
        state.conditions.send_modify(|conditions| conditions.draining = true);
        // The log closes with the last handle to it, and whoever watches has one.
        drop((state, watched));
        let ending = services.stop(Instant::now() + DRAIN_PATIENCE);
        (ending.sessions_left, ending.log_is_whole)
    }
}

/// Makes what sessions share, and what keeps it fresh.
fn assemble(
    config: Config,
    observer: Observer,
    backing: &Backing,
) -> Result<(Arc<State>, Arc<Mutex<build::Watched>>), StartError> {
    let limits = config.settings.limits.clone();
    let state_dir = config.state_dir.clone();
    let slots_max = slots_for(limits.connections_max, &observer)?;
    let Assembled { active, watched, .. } =
        build::assemble(config, &observer, backing, Before::default())?;
    let budget = ContentBudget::new(
        limits.memory_octets_max,
        limits.message_memory_octets_max,
        limits.disk_octets_max,
        state_dir,
    );
    let (conditions, _) = watch::channel(Conditions::default());
    let state = State {
        active: ArcSwap::from_pointee(active),
        slots: Arc::new(Slots::new(slots_max)),
        content_budget: Arc::new(budget),
        ledgers: Ledgers::new()?,
        learned: Arc::clone(backing.learned()),
        split: Mutex::new(SplitMemory::new(random_key()?)),
        draining: Arc::new(AtomicBool::new(false)),
        observer,
        conditions,
    };
    Ok((Arc::new(state), Arc::new(Mutex::new(watched))))
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
    let mistakes = directory::assembly::contents::unusable(&config.recipients())?;
    if mistakes.is_empty() { Ok(()) } else { Err(StartError::Sources(mistakes)) }
}

/// How many clients can be seated: as many as are wanted, or fewer where descriptors are few.
/// # Errors
/// When their number cannot be asked for.
pub fn slots_for(connections_max: u32, observer: &Observer) -> io::Result<u32> {
    let descriptors = privileges::raise_descriptor_limit()?;
    let slots = privileges::seats_within(descriptors, connections_max);
    if slots < connections_max {
        let detail = format!("connections_max is lowered to {slots}: {descriptors} descriptors");
        observer.tell(ProcessEvent::LimitLowered, "RLIMIT_NOFILE", &detail);
    }
    Ok(slots)
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
        let file = folder.path().join(directory::store::FILE_NAME);
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
