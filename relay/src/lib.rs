//! What a boundary relay decides and does, without doing it. No I/O, no clock, no randomness.

pub mod recipient;
pub mod settings;
