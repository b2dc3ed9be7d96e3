//! `postern probe`: see [`crate::probe`].

pub use crate::probe::{Args, run};
