//! TLS of both sides: our certificate towards clients, and which certificates of servers we
//! believe.

pub mod client;
pub mod server;
