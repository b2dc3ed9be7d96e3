//! What is read from a list before it is in use: rows (`intake.rs`, `written.rs`), whose they are
//! (`scope.rs`), what came of reading (`part.rs`, `error.rs`), whether it may replace what is in
//! use (`guard.rs`), and what that would change (`preview.rs`).

pub mod error;
pub mod guard;
pub mod intake;
pub mod part;
pub mod preview;
pub mod scope;
pub mod written;

pub use error::{
    ENTRIES_MAX, Failing, LineError, LineProblem, LoadError, MALFORMED_KEPT_MAX, PATTERNS_MAX,
};
pub use intake::{Allowances, Intake, Rows};
pub use part::{DomainPart, Load, Malformed, PatternEntry, Skipped};
pub use preview::{ADDED_NAMED_MAX, Preview, Recipient};
pub use scope::{DomainScope, Scope};
pub use written::typed;

pub(crate) use intake::filler::is_shown_list;
