//! What the DNS says of an address, where the feature `dns` brings a resolver.

#[cfg(not(feature = "dns"))]
mod absent;
#[cfg(feature = "dns")]
mod resolver;

#[cfg(not(feature = "dns"))]
pub use absent::{NoServers, Resolver};
#[cfg(feature = "dns")]
pub use resolver::{NoServers, Resolver};
