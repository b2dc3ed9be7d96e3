//! TLS of both sides: our certificate towards clients, and which certificates of servers we
//! believe.

pub mod cause;
pub mod client;
mod key;
pub mod server;
#[cfg(test)]
mod tests;
