//! Stands where the resolver is left out (feature `dns`): nobody can be asked, so nothing is known.
//! The configuration refuses what would ask.

use relay::policy::facts::ReverseName;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

/// Never: there is nothing to read.
#[derive(Debug, thiserror::Error)]
#[error("no DNS")]
pub struct NoServers(Infallible);

/// Asks nobody.
pub struct Resolver;

impl Resolver {
    /// Asks nobody.
    /// # Errors
    /// None.
    pub fn new(_: &[SocketAddr]) -> Result<Self, NoServers> {
        Ok(Self)
    }

    /// Always unavailable.
    pub async fn reverse_name(&self, _: IpAddr) -> ReverseName {
        ReverseName::Unavailable
    }
}
