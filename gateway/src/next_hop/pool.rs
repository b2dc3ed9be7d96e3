//! The connections to one next hop: so many at most, reused while young, hosts tried in order.
//! A connection belongs to the thread that opened it, since its socket is watched there.

use super::connection::{Connection, ConnectionError};
use super::host::{Change, Host};
use super::loan::{Loan, Loans};
use super::place::{Place, ThreadId, this_thread};
use super::tls::TrustError;
use super::way::{Bounds, Way};
use crate::clock;
use crate::observe::Observer;
use crate::settings::server::{self, ClientDetails};
use mail::address::Domain;
use mail::smtp::extension::Capabilities;
use mail::smtp::introduction::Introduction;
use relay::event::ProcessEvent;
use relay::moment::Moment;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a client waits for one of the connections to become free.
const TURN_PATIENCE: Duration = Duration::from_secs(20);

/// One next hop.
pub struct NextHop {
    /// What is set for it.
    pub settings: server::NextHop,
    /// How its connections are made and kept.
    pub way: Way,
    hosts: Vec<Arc<Host>>,
    turns: Arc<Semaphore>,
    loans: Loans,
    /// Connections that exist, in use or not.
    open: Arc<AtomicU32>,
    /// A reload has put another in its place: nothing is kept for later any more.
    is_retired: AtomicBool,
    idle: Mutex<HashMap<ThreadId, Vec<Connection>>>,
    observer: Observer,
}

/// A connection in use; goes back to the pool. A lease that is not given back closes its
/// connection: whatever it was in the middle of is void then, and the next hop sees that there is
/// no final dot.
pub struct Lease {
    /// The connection. Taken out only when the lease ends.
    connection: Option<Connection>,
    is_pooled: bool,
    hop: Arc<NextHop>,
    loan: Arc<Loan>,
    _turn: OwnedSemaphorePermit,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NoConnection {
    /// All are in use.
    Busy,
    /// No host can be reached.
    Unavailable,
}

fn way(settings: &server::NextHop, hostname: &Domain) -> Result<Way, TrustError> {
    let introduction = match settings.client_details {
        ClientDetails::Auto => Introduction::AsOffered,
        ClientDetails::Xforward => Introduction::Xforward,
        ClientDetails::Xclient => Introduction::Xclient,
        ClientDetails::None => Introduction::None,
    };
    let bounds = Bounds {
        connect_max: settings.connect_max,
        greeting_max: settings.greeting_max,
        age_max: settings.age_max,
        idle_max: settings.idle_max,
        messages_max: settings.messages_max,
    };
    Way::new(hostname, &settings.tls, introduction, bounds)
}

impl NextHop {
    /// Nothing is connected yet.
    /// # Errors
    /// When its authorities cannot be loaded.
    pub fn new(
        settings: &server::NextHop,
        hostname: &Domain,
        observer: &Observer,
    ) -> Result<Arc<Self>, TrustError> {
        Ok(Arc::new(Self {
            way: way(settings, hostname)?,
            hosts: settings.hosts.iter().map(|host| Arc::new(Host::new(host))).collect(),
            turns: Arc::new(Semaphore::new(settings.connections_max as usize)),
            loans: Loans::default(),
            open: Arc::default(),
            is_retired: AtomicBool::new(false),
            idle: Mutex::default(),
            settings: settings.clone(),
            observer: observer.clone(),
        }))
    }

    /// What its hosts have offered lately: the least of all. `None` before the first word.
    #[must_use]
    pub fn capabilities(&self) -> Option<Capabilities> {
        let heard = self.hosts.iter().filter_map(|host| host.capabilities());
        heard.reduce(|a, b| Capabilities {
            eight_bit_mime: a.eight_bit_mime && b.eight_bit_mime,
            size_octets_max: match (a.size_octets_max, b.size_octets_max) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            ..a
        })
    }

    /// What each of its hosts has offered last.
    pub fn offers(&self) -> impl Iterator<Item = (Arc<str>, Option<Capabilities>)> {
        self.hosts.iter().map(|host| (Arc::clone(&host.name), host.capabilities()))
    }

    /// What its hosts are known to offer.
    pub fn recall(&self, known: &HashMap<Arc<str>, Option<Capabilities>>) {
        for host in &self.hosts {
            host.recall(known.get(&host.name).copied().flatten());
        }
    }

    /// Makes one connection, to learn what it offers, unless that is known.
    pub async fn greet(self: &Arc<Self>) {
        if self.capabilities().is_some() {
            return;
        }
        if let Ok(lease) = self.lease(false).await {
            lease.give_back();
        }
    }

    /// Connections that exist.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// A connection that is ready for a transaction; `fresh` demands a new one.
    /// # Errors
    /// When there is none to be had.
    pub async fn lease(self: &Arc<Self>, fresh: bool) -> Result<Lease, NoConnection> {
        let turn = match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => self.stand_in_line().await.ok_or(NoConnection::Busy)?,
        };
        let pooled = if fresh { None } else { self.take_idle().await };
        let is_pooled = pooled.is_some();
        let connection = match pooled {
            Some(connection) => connection,
            None => self.connect().await.ok_or(NoConnection::Unavailable)?,
        };
        let (loan, hop) = (self.loans.add(clock::now()), Arc::clone(self));
        Ok(Lease { connection: Some(connection), is_pooled, hop, loan, _turn: turn })
    }

    /// A turn as soon as there is one. Clients that keep theirs waiting lose it, one a second for
    /// each that stands in line.
    async fn stand_in_line(&self) -> Option<OwnedSemaphorePermit> {
        let mut turn = std::pin::pin!(Arc::clone(&self.turns).acquire_owned());
        for _ in 0..TURN_PATIENCE.as_secs() {
            match timeout(Duration::from_secs(1), turn.as_mut()).await {
                Ok(turn) => return turn.ok(),
                Err(_) => {
                    if self.loans.recall_oldest(clock::now()) {
                        let name = self.hosts.first().map_or("", |host| &host.name);
                        let detail = "taken from a client that kept it waiting, for another";
                        self.observer.tell(ProcessEvent::ConnectionRecalled, name, detail);
                    }
                }
            }
        }
        None
    }

    /// The youngest idle connection of this thread that still works.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.lock_idle().get_mut(&this_thread())?.pop()?;
            if connection.may_go_on(&self.way, clock::now()) && connection.is_alive().await {
                return Some(connection);
            }
        }
    }

    /// A new connection, to the first host that answers.
    async fn connect(&self) -> Option<Connection> {
        // Counted before it is made, so that no two threads take one place.
        let (place, before) = Place::take(&self.open);
        if before >= self.settings.connections_max {
            self.evict_idle();
        }
        let retry = u64::try_from(self.settings.breaker_retry.as_millis()).unwrap_or(u64::MAX);
        for host in &self.hosts {
            if !host.may_be_tried(clock::now(), retry) {
                continue;
            }
            match self.open(host).await {
                Ok(mut connection) => {
                    let capabilities = *connection.session().capabilities();
                    if host.succeeded(capabilities) == Change::Up {
                        self.observer.tell(ProcessEvent::NextHopUp, &host.name, "it answers again");
                    }
                    connection.take_place(place);
                    return Some(connection);
                }
                Err(error) => self.failed(host, &error),
            }
        }
        None
    }

    async fn open(&self, host: &Arc<Host>) -> Result<Connection, ConnectionError> {
        let tell = |why: &io::Error| {
            if host.tls_failed() {
                let detail = format!("{why}; its mail goes in the clear");
                self.observer.tell(ProcessEvent::NextHopTlsFailed, &host.name, &detail);
            }
        };
        Connection::open_as_wished(&self.way, host, tell).await
    }

    fn failed(&self, host: &Host, error: &ConnectionError) {
        let settings = &self.settings;
        // It takes fewer connections than we may make, and those that it took go on: it is not
        // down, and there may be room the next moment. Besides them there is the one that failed.
        if matches!(error, ConnectionError::NoRoom(_)) && self.open_connections() > 1 {
            return self.observer.tell(ProcessEvent::NextHopFailed, &host.name, &error.to_string());
        }
        let retry = u64::try_from(settings.breaker_retry.as_millis()).unwrap_or(u64::MAX);
        let detail = error.to_string();
        match host.failed(clock::now(), settings.breaker_failures, retry) {
            Change::Down => self.observer.tell(ProcessEvent::NextHopDown, &host.name, &detail),
            Change::None if !host.is_down() => {
                self.observer.tell(ProcessEvent::NextHopFailed, &host.name, &detail);
            }
            Change::None | Change::Up => {}
        }
    }

    /// Makes room for a connection of this thread by closing an idle one of another.
    fn evict_idle(&self) {
        let evicted = self.lock_idle().values_mut().find_map(Vec::pop);
        drop(evicted);
    }

    /// Closes what has been idle for too long, on this thread.
    pub fn sweep(&self, now: Moment) {
        let mut old = Vec::new();
        if let Some(own) = self.lock_idle().get_mut(&this_thread()) {
            let (keep, close) = own.drain(..).partition(|c| c.may_go_on(&self.way, now));
            (*own, old) = (keep, close);
        }
        for connection in old {
            tokio::spawn(connection.quit());
        }
    }

    /// A reload has put another in its place. Sessions that are open use it until they end, which
    /// may be long after; what is idle is closed now, and nobody sweeps here any more.
    pub fn retire(&self) {
        self.is_retired.store(true, Relaxed);
        let idle = std::mem::take(&mut *self.lock_idle());
        drop(idle);
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, HashMap<ThreadId, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The connection.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Which next hop.
    #[must_use]
    pub fn hop(&self) -> &Arc<NextHop> {
        &self.hop
    }

    /// What can be called back while its client is waited for.
    #[must_use]
    pub fn loan(&self) -> &Loan {
        &self.loan
    }

    /// Whether it was used, or kept ready, before: then it may have died unseen.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    /// Back to the pool, for the next transaction.
    pub fn give_back(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let now = clock::now();
        connection.rest(now);
        if !connection.may_go_on(&self.hop.way, now) {
            tokio::spawn(connection.quit());
            return;
        }
        let mut idle = self.hop.lock_idle();
        if self.hop.is_retired.load(Relaxed) {
            tokio::spawn(connection.quit());
        } else {
            idle.entry(this_thread()).or_default().push(connection);
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
