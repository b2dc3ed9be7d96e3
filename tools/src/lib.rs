//! The program `postern`: its commands, and what they do beside serving mail.
//!
//! - [`cli`]: the commands. [`demo`]: a stranger's first minute.
//! - [`probe`]: what other servers do. [`talk`]: dialogues against a live server.

pub mod cli;
pub mod demo;
pub mod probe;
pub mod talk;
