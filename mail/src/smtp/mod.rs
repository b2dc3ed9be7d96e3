//! SMTP as a language: RFC 5321 and the extensions that we speak.
//! Bytes become lines ([`line`]), lines become commands ([`command`]) or replies ([`reply`]);
//! [`server`] and [`client`] are the two ends of a conversation, mirrors of each other.

pub mod client;
mod client_state;
pub mod command;
pub mod content;
pub mod extension;
mod input;
pub mod introduction;
pub mod line;
pub mod parameter;
pub mod reply;
pub mod server;
pub mod status;
