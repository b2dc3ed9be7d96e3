//! The language of mail, without I/O, clock or randomness.
//!
//! - [`address`]: mailboxes and paths.
//! - [`smtp`]: framing, commands, replies, and the two sessions: ours as server, ours as client.
//! - [`message`]: what a relay must know of a header section, and the trace field it adds.

pub mod address;
pub mod message;
pub mod smtp;
