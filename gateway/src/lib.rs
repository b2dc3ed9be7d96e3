//! The server: sockets, TLS, files and threads around the relay. No protocol rules and no policy:
//! those are `mail` and `relay`.
//!
//! - [`config`]: what the operator wrote, checked.
//! - [`listen`]: towards clients. [`next_hop`]: towards the servers behind us.
//! - [`observe`]: log and figures.
//! - [`control`]: what a process that serves does for the commands.
//! - [`explain`]: why something is, or was, answered as it is.
//! - [`run`]: start, reload, drain. [`state`]: what sessions share. [`subscribers`]: who hears of
//!   what happens in them.

pub mod config;
pub mod control;
pub mod explain;
mod http;
pub mod ledgers;
pub mod listen;
pub mod next_hop;
pub mod observe;
pub mod run;
pub mod state;
pub mod subscribers;
