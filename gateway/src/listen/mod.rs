//! Towards clients: accepting, TLS, the PROXY header, and the loop that drives an exchange.

pub mod accept;
pub mod proxy_protocol;
pub mod session;

pub use wire::tls::server as tls;
pub use wire::{buffers, content, seats, stream};
