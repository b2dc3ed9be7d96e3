//! The server: sockets, TLS, files and threads around the relay. No protocol rules and no policy:
//! those are `mail` and `relay`.
//!
//! - [`config`]: what the operator wrote, checked; [`settings`]: its parts, as those have them who
//!   use them.
//! - [`listen`]: towards clients. [`next_hop`]: towards the servers behind us.
//! - [`directory`]: which recipients exist. [`observe`]: log and figures.
//! - [`control`]: what a process that serves does for the commands.
//! - [`explain`]: why something is, or was, answered as it is.
//! - [`run`]: start, reload, drain. [`state`]: what sessions share. [`audience`]: who hears of what
//!   happens in them. [`clock`]: the time.

pub mod audience;
pub mod config;
pub mod control;
pub mod explain;
pub mod listen;
pub mod next_hop;
pub mod observe;
pub mod run;
pub mod state;

pub use directory;
pub use settings;
pub use wire::clock;
