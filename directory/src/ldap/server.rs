//! One server of a directory: the way to it, and its failures.

use super::link::password::password;
use super::link::{DialSettings, Link};
use super::trouble::Problem;
use relay::breaker::{Bounds, Breaker};
use std::sync::Mutex;

/// After three failures in a row a server is left alone, for longer each time it goes on failing.
const FAILURES: Bounds =
    Bounds { failures_max: 3, wait_milliseconds_min: 1_000, wait_milliseconds_max: 30_000 };

/// One server.
pub struct Server {
    /// `host:port`, for logs.
    pub name: String,
    /// Its failures.
    pub breaker: Mutex<Breaker>,
    dial: DialSettings,
}

impl Server {
    pub(super) fn new(dial: DialSettings) -> Self {
        let name = server_name(&dial.host, dial.port);
        Self { name, breaker: Mutex::new(Breaker::new(FAILURES)), dial }
    }

    /// A new connection to it, the so-many-th of its thread. None is made while a bind would be
    /// refused.
    /// # Errors
    /// When it cannot be reached or refuses us.
    pub async fn open(&self, serial: u64) -> Result<Link, Problem> {
        if let Some(login) = &self.dial.bind {
            let (_, stamp) = password(&login.bind.password_file).await?;
            login.account.permits(&login.server, &stamp)?;
        }
        Link::open(self.dial.clone(), serial).await
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn server_name(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
