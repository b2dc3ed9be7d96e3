//! What the process that serves mail does for `postern recipients` and `postern clients`: HTTP over
//! a Unix socket in the state directory, described in `docs/control.md`. `socket.rs` opens it,
//! `server.rs` has routes and limits, `work.rs` what they do (with `loads.rs`, `lookup.rs`,
//! `learned.rs`, `clients.rs`), `message.rs` the words of both sides, `client.rs` the caller's.
//! Whoever owns the socket may do all of it, others nothing.

mod address;
pub mod client;
pub mod clients;
pub mod learned;
pub mod loads;
pub mod lookup;
pub mod message;
pub mod names;
pub mod server;
pub mod socket;
pub mod work;

use std::path::{Path, PathBuf};

/// The socket in the state directory.
pub const SOCKET_NAME: &str = "control.sock";

/// Where the socket of a process with this state directory is.
#[must_use]
pub fn socket_path(state_directory: &Path) -> PathBuf {
    state_directory.join(SOCKET_NAME)
}
