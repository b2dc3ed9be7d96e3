//! The embedded servers of the demo: the one that cannot say no, and the rest of the Internet.
//! `serve` drives [`mail::smtp::server::ServerSession`] for both; nothing leaves loopback.

pub mod internet;
pub mod legacy;
pub mod ndr;
pub mod serve;

use super::wire::Wire;
use internet::Internet;
use legacy::Legacy;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Both servers, running until this is dropped.
pub struct World {
    /// The company's own server.
    pub legacy: Arc<Legacy>,
    /// Where it listens.
    pub legacy_address: SocketAddr,
    /// Everybody else.
    pub internet: Arc<Internet>,
    _tasks: JoinSet<()>,
}

impl World {
    /// Starts both on ports that the system chooses.
    /// # Errors
    /// When there can be no listener.
    pub async fn start(mailboxes: &[String]) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let wire = Arc::new(Wire::default());
        let internet = Arc::new(Internet::new(wire));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let smart_host = listener.local_addr()?;
        tasks.spawn(serve::listen(listener, Arc::clone(&internet), usize::MAX >> 4));

        let (legacy, outbound) = Legacy::new(mailboxes);
        let legacy = Arc::new(legacy);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let legacy_address = listener.local_addr()?;
        tasks.spawn(serve::listen(listener, Arc::clone(&legacy), legacy::CONNECTIONS_MAX));
        for _ in 0..legacy::OUTBOUND_CONNECTIONS {
            tasks.spawn(legacy::deliver(Arc::clone(&legacy), outbound.clone(), smart_host));
        }
        Ok(Self { legacy, legacy_address, internet, _tasks: tasks })
    }
}

#[cfg(test)]
mod tests;
