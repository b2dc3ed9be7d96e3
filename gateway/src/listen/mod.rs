//! Towards clients: accepting, TLS, the PROXY header, and the loop that drives an exchange.

pub mod accept;
pub mod buffers;
pub mod content;
pub mod proxy_protocol;
pub mod seats;
pub mod session;
pub mod stream;
pub mod tls;
