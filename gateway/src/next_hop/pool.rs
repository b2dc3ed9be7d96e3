//! The connections to one next hop: hosts tried in order, each left alone after failures. How many
//! there are and who has one is `wire::pool`.

use crate::observe::Observer;
use mail::address::Domain;
use mail::smtp::extension::Capabilities;
use mail::smtp::introduction::Introduction;
use relay::breaker::{self, Change};
use relay::event::ProcessEvent;
use relay::turns::Party;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::clock;
use wire::dial::connection::{Connection, ConnectionError};
use wire::dial::host::Host;
use wire::dial::settings::{Bounds, DialSettings};
use wire::pool::{self, Busy, Pool};
use wire::server::{self, ClientDetails};
use wire::tls::client::TrustError;

/// How long a client waits for one of the connections to become free.
const SLOT_PATIENCE: Duration = Duration::from_secs(20);

/// A connection in use. One that is not given back is closed: the next hop sees that there is no
/// final dot.
pub type Lease = pool::Lease<Connection>;

/// One next hop.
pub struct NextHop {
    /// What is set for it.
    pub settings: server::NextHop,
    dial: Arc<DialSettings>,
    hosts: Vec<Arc<Host>>,
    connections: Arc<Pool<Connection>>,
    observer: Observer,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NoConnection {
    /// All are in use.
    Busy,
    /// No host can be reached.
    Unavailable,
}

impl From<Busy> for NoConnection {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

pub(super) fn dial(
    settings: &server::NextHop,
    hostname: &Domain,
) -> Result<DialSettings, TrustError> {
    let introduction = match settings.client_details {
        ClientDetails::Auto => Introduction::AsOffered,
        ClientDetails::Xforward => Introduction::Xforward,
        ClientDetails::Xclient => Introduction::Xclient,
        ClientDetails::None => Introduction::None,
    };
    let bounds = Bounds {
        connect_max: settings.connect_max,
        greeting_max: settings.greeting_max,
        messages_max: settings.messages_max,
    };
    DialSettings::new(hostname, &settings.tls, introduction, bounds)
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
        let retry = u64::try_from(settings.breaker_retry.as_millis()).unwrap_or(u64::MAX);
        let breaker = breaker::Bounds::steady(settings.breaker_failures, retry);
        let bounds = pool::Bounds {
            connections_max: settings.connections_max,
            // Each is a session, of which there are only so many.
            waiting_max: u32::MAX,
            idle_max: settings.idle_max,
            age_max: settings.age_max,
        };
        Ok(Arc::new(Self {
            dial: Arc::new(dial(settings, hostname)?),
            hosts: settings.hosts.iter().map(|host| Arc::new(Host::new(host, breaker))).collect(),
            connections: Pool::new(bounds),
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

    /// Whether each of its hosts can be reached, as far as is known.
    pub fn states(&self) -> impl Iterator<Item = (Arc<str>, bool)> {
        self.hosts.iter().map(|host| (Arc::clone(&host.name), !host.is_down()))
    }

    /// Whether none of its hosts can be reached.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.hosts.iter().all(|host| host.is_down())
    }

    /// What it is called: its name, or its hosts.
    #[must_use]
    pub fn shown(&self) -> String {
        let hosts = || self.hosts.iter().map(|host| &*host.name).collect::<Vec<_>>().join(", ");
        self.settings.name.clone().unwrap_or_else(hosts)
    }

    /// What its hosts are known to offer.
    pub fn recall(&self, known: &HashMap<Arc<str>, Option<Capabilities>>) {
        for host in &self.hosts {
            host.recall(known.get(&host.name).copied().flatten());
        }
    }

    /// Makes one connection, to learn what it offers, unless that is known.
    pub async fn greet(&self) {
        if self.capabilities().is_some() {
            return;
        }
        if let Ok(lease) = self.lease(Party::NAMELESS, &Wanted::default()).await {
            lease.give_back();
        }
    }

    /// Connections that exist.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.connections.open_connections()
    }

    /// A connection that is ready for a transaction of that party's.
    /// Clients that keep theirs waiting lose it for those who stand in line.
    /// # Errors
    /// When there is none to be had.
    pub async fn lease(&self, party: Party, wanted: &Wanted) -> Result<Lease, NoConnection> {
        let until = Instant::now() + SLOT_PATIENCE;
        let recalled = || {
            let name = self.hosts.first().map_or("", |host| &host.name);
            let detail = "taken from a client that kept it waiting, for another";
            self.observer.tell(ProcessEvent::ConnectionRecalled, name, detail);
        };
        let mut slot = self.connections.slot(party, until, recalled).await?;
        let mut may_be_used = !wanted.fresh;
        loop {
            if may_be_used {
                match slot.reuse() {
                    Ok(lease) => return Ok(lease),
                    Err(none) => slot = none,
                }
            }
            let refused;
            (slot, refused) = match slot.open(self.connect(&wanted.avoided)).await {
                Ok(lease) => return Ok(lease),
                Err(refused) => refused,
            };
            // A host that takes fewer connections than we may make has room when one of ours is
            // free again.
            match refused {
                Refused::Full => slot.change(until, recalled).await?,
                Refused::Unavailable => return Err(NoConnection::Unavailable),
            }
            may_be_used = wanted.avoided.is_empty();
        }
    }

    /// Whether there is a host that is none of these.
    #[must_use]
    pub fn has_beside(&self, avoided: &[Arc<str>]) -> bool {
        self.hosts.iter().any(|host| !avoided.contains(&host.name))
    }

    /// A new connection, to the first host that answers.
    async fn connect(&self, avoided: &[Arc<str>]) -> Result<Connection, Refused> {
        let mut refused = Refused::Unavailable;
        for host in &self.hosts {
            if avoided.contains(&host.name) || !host.may_be_tried(clock::now()) {
                continue;
            }
            match self.open(host).await {
                Ok(mut connection) => {
                    let capabilities = *connection.session().capabilities();
                    if host.succeeded(capabilities) == Change::Up {
                        self.observer.tell(ProcessEvent::NextHopUp, &host.name, "it answers again");
                    }
                    if host.has_lost_tls(connection.is_encrypted()) {
                        let detail = "it offers no STARTTLS any more; its mail goes in the clear";
                        self.observer.tell(ProcessEvent::NextHopTlsFailed, &host.name, detail);
                    }
                    return Ok(connection);
                }
                Err(error) => {
                    if self.failed(host, &error) == Refused::Full {
                        refused = Refused::Full;
                    }
                }
            }
        }
        Err(refused)
    }

    async fn open(&self, host: &Arc<Host>) -> Result<Connection, ConnectionError> {
        let tell = |why: &io::Error| {
            if host.tls_failed() {
                let detail = format!("{why}; its mail goes in the clear");
                self.observer.tell(ProcessEvent::NextHopTlsFailed, &host.name, &detail);
            }
        };
        Connection::open_as_wished(&self.dial, host, tell).await
    }

    fn failed(&self, host: &Host, error: &ConnectionError) -> Refused {
        // It takes fewer connections than we may make, and those that it took go on: it is not
        // down, and there may be room the next moment.
        let has_some = self.connections.standing_connections() > 0;
        if matches!(error, ConnectionError::NoRoom(_)) && has_some {
            self.observer.tell(ProcessEvent::NextHopFailed, &host.name, &error.to_string());
            return Refused::Full;
        }
        let detail = error.to_string();
        match host.failed(clock::now()) {
            Change::Down => self.observer.tell(ProcessEvent::NextHopDown, &host.name, &detail),
            Change::None if !host.is_down() => {
                self.observer.tell(ProcessEvent::NextHopFailed, &host.name, &detail);
            }
            Change::None | Change::Up => {}
        }
        Refused::Unavailable
    }

    /// A reload has put another in its place. Sessions that are open use it until they end, which
    /// may be long after; what is idle is closed now.
    pub fn retire(&self) {
        self.connections.retire();
    }
}

/// Which connections will do.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// None that was used before: it may have died unseen.
    pub fresh: bool,
    /// None to these hosts, which have just shown that they cannot; goes with `fresh`.
    pub avoided: Vec<Arc<str>>,
}

impl Wanted {
    /// A new one, to any host.
    pub const FRESH: Self = Self { fresh: true, avoided: Vec::new() };
}

/// Why no host gave us a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// One takes no more than those that we have.
    Full,
    /// None can be reached.
    Unavailable,
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
