//! Which recipients exist. A [`RecipientSource`] answers for some domains; [`Directory`]
//! (`chain.rs`) asks a domain's sources in order and applies what is configured around them.
//! `Unavailable` is never `Unknown`. What is answered from memory is answered at once, without
//! await and without a box; only sources that must ask elsewhere return a future.

pub mod assembly;
pub mod callout;
pub mod chain;
pub mod file;
#[cfg(feature = "http")]
pub mod http;
pub mod kinds;
#[cfg(feature = "ldap")]
pub mod ldap;
pub mod learned;
pub mod list;
pub mod live;
pub mod load;
#[cfg(any(feature = "ldap", feature = "sql"))]
mod mode;
pub mod pattern;
pub mod question;
pub mod report;
pub mod snapshot;
pub mod source;
#[cfg(feature = "sql")]
pub mod sql;
pub mod statistics;
pub mod store;
pub mod target;
#[cfg(test)]
mod tests;
pub mod trials;
pub mod trouble;
pub mod watch;

pub use chain::{Answer, Bitbucket, Directory, DomainDirectory, Found, Leaver, Step, Trace};

pub use kinds::{KINDS, MISSING, SourceSettings, open};
pub use question::{Canonical, Finding, Matched, Question, SourceAnswer, Teller};
pub use source::{Account, Environment, Opened, RecipientList, RecipientMemory, RecipientSource};
