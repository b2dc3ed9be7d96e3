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
pub mod pattern;
pub mod question;
pub mod report;
pub mod snapshot;
pub mod source;
#[cfg(feature = "sql")]
pub mod sql;
pub mod statistics;
pub mod store;
#[cfg(test)]
mod tests;
pub mod watch;

// Where things were before this was a crate of its own, while work on them is under way elsewhere.
pub(crate) use crate as directory;
#[allow(clippy::single_component_path_imports, reason = "as above")]
pub(crate) use settings;
pub(crate) use wire::clock;
pub(crate) mod state {
    pub use wire::lock::lock;
}
pub(crate) mod next_hop {
    pub use wire::dial::{connection, host, settings};
    pub use wire::tls::client as tls;
}
pub(crate) mod observe {
    pub mod reports {
        pub use crate::report::SourceReport;
    }
}

pub use chain::{Answer, Bitbucket, Directory, DomainDirectory, Found, Leaver, Step, Trace};

pub use kinds::{KINDS, MISSING, SourceSettings, open};
pub use load::guard;
pub use question::{Canonical, Finding, Matched, Question, SourceAnswer, Teller};
pub use relay::belief::class;
pub use snapshot::random_key;
pub use source::{Account, Environment, Opened, RecipientSource, Word};
