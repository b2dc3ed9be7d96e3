//! `postern talk`: see [`crate::talk`].

pub use crate::talk::{Args, run};
