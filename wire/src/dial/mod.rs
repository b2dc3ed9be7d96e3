//! Connections to SMTP servers that we speak to as a client: how one is made, what bounds it,
//! whether its host is left alone. How many there are, and who has one, is left to pools.

pub mod connection;
pub mod handover;
pub mod host;
pub mod settings;
