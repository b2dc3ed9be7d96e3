//! Tries next hops out for `check`, as mail would use them up to EHLO: connection, greeting, TLS as
//! it is set, and what is offered then. No transaction is begun.

use super::pool::dial;
use mail::address::Domain;
use mail::smtp::extension::Capabilities;
use relay::breaker;
use std::io;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use wire::dial::connection::{Connection, ConnectionError};
use wire::dial::host::Host;
use wire::dial::settings::{Bounds, DialSettings};
use wire::server::{NextHop, NextHopHost};

/// Longest that one step with one host may take, in seconds: somebody waits at a terminal.
const STEP_SECONDS_MAX: u64 = 10;

/// What one host did.
#[derive(Debug)]
pub struct Trial {
    /// The next hop, as an index into those given.
    pub next_hop: usize,
    /// Which of its hosts.
    pub host: String,
    /// What it offers, or what keeps mail from it.
    pub offered: Result<Capabilities, ConnectionError>,
}

/// Tries all hosts of all next hops at the same time. Those whose authorities cannot be loaded are
/// left out: that is a mistake of the configuration, and told as one.
/// # Errors
/// When nothing can be asked at all.
pub fn try_out(next_hops: &[NextHop], hostname: &Domain) -> io::Result<Vec<Trial>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut trials: Vec<Trial> = runtime.block_on(async {
        let mut open = JoinSet::new();
        for (next_hop, settings) in next_hops.iter().enumerate() {
            let Ok(dial) = patient(settings, hostname) else { continue };
            for host in &settings.hosts {
                open.spawn(one(next_hop, Arc::clone(&dial), host.clone()));
            }
        }
        open.join_all().await
    });
    trials.sort_by(|a, b| (a.next_hop, &a.host).cmp(&(b.next_hop, &b.host)));
    Ok(trials)
}

fn patient(settings: &NextHop, hostname: &Domain) -> Result<Arc<DialSettings>, ()> {
    let mut dial = dial(settings, hostname).map_err(|_| ())?;
    let step = std::time::Duration::from_secs(STEP_SECONDS_MAX);
    dial.bounds = Bounds {
        connect_max: dial.bounds.connect_max.min(step),
        greeting_max: dial.bounds.greeting_max.min(step),
        ..dial.bounds
    };
    Ok(Arc::new(dial))
}

async fn one(next_hop: usize, dial: Arc<DialSettings>, host: NextHopHost) -> Trial {
    let name = host.to_string();
    let host = Arc::new(Host::new(&host, breaker::Bounds::steady(1, 0)));
    let offered = async {
        let mut connection = Connection::open(&dial, &host, dial.tls_wish()).await?;
        let offered = *connection.session().capabilities();
        Ok(offered)
    };
    Trial { next_hop, host: name, offered: offered.await }
}
