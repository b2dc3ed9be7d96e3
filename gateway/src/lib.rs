//! x

pub mod config;
pub mod directory;
