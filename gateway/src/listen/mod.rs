//! Towards clients: accepting, TLS, the PROXY header, and the loop that drives an exchange.

pub mod accept;
mod outbox;
pub mod proxy_protocol;
pub mod session;
mod wait;
