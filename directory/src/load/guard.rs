//! What came of a load, for log lines and for a person who is to confirm. Whether it may take the
//! place of what is in use is decided in `relay/src/belief/shrunk.rs`; `list/source.rs` swaps.

pub use relay::belief::shrunk::{Hold, judge};

use super::{LoadError, Skipped};
use crate::snapshot::stored::StoredError;
use mail::address::Domain;
use std::fmt;
use std::sync::Arc;

/// Domains that a line names when their parts of a load are held back.
const HOLDS_SHOWN_MAX: usize = 3;

/// A person's word that a load is right although a guard holds it back: it counts for a load
/// with exactly this many entries, so that what was seen is what is adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Addresses and patterns of all domains, as the outcome named them.
    pub entries: u64,
}

/// What became of one domain's part of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whose.
    pub domain: Domain,
    /// Entries in use until now, or remembered from the last run.
    pub before: Option<u64>,
    /// Entries in the load.
    pub now: u64,
    /// Why it is not adopted.
    pub hold: Option<Hold>,
    /// Whether something is in use afterwards: the new part, or the old one. Otherwise the
    /// source is unavailable for the domain.
    pub in_use: bool,
}

/// Where a load came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The source itself.
    Source,
    /// The snapshot that an earlier run kept in the state directory.
    Cache,
}

/// What came of a load; enough for a log line and for a person who is to confirm.
#[derive(Debug)]
pub enum Outcome {
    /// It was understood and judged.
    Judged {
        /// Which source.
        source: Arc<str>,
        /// From where.
        origin: Origin,
        /// Addresses and patterns of all domains: what a [`Confirmation`] repeats.
        entries: u64,
        /// Addresses of domains the source is not read for.
        foreign: u64,
        /// Rows that were passed over.
        skipped: Skipped,
        /// Every domain.
        domains: Vec<Judgement>,
    },
    /// It was not understood; what was in use still is.
    Failed {
        /// Which source.
        source: Arc<str>,
        /// Why.
        error: LoadError,
        /// Domains for which something is in use.
        domains_in_use: usize,
    },
    /// The state directory failed; the source works without it.
    CacheFailed {
        /// Which source.
        source: Arc<str>,
        /// Why.
        error: StoredError,
    },
}

impl Outcome {
    /// Whether everything that was loaded is in use now.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        match self {
            Self::Judged { domains, .. } => domains.iter().all(|domain| domain.hold.is_none()),
            Self::Failed { .. } | Self::CacheFailed { .. } => false,
        }
    }

    /// The domains whose part is held back.
    pub fn held(&self) -> impl Iterator<Item = (&Domain, &Hold)> {
        let domains = match self {
            Self::Judged { domains, .. } => domains.as_slice(),
            Self::Failed { .. } | Self::CacheFailed { .. } => &[],
        };
        domains.iter().filter_map(|judged| Some((&judged.domain, judged.hold.as_ref()?)))
    }
}

impl Outcome {
    /// `held back for example.test: it is empty`, and so on for the first few domains.
    #[must_use]
    pub fn holds_in_words(&self) -> String {
        let words = self.held().take(HOLDS_SHOWN_MAX);
        let words = words.map(|(domain, hold)| format!("held back for {domain}: {hold}"));
        words.collect::<Vec<_>>().join("; ")
    }
}

fn one_or(number: u64, one: &'static str, more: &'static str) -> &'static str {
    if number == 1 { one } else { more }
}

fn plural(domains: usize) -> &'static str {
    if domains == 1 { "domain" } else { "domains" }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Judged { source, origin, entries, foreign, skipped, domains } => {
                let origin = match origin {
                    Origin::Source => "",
                    Origin::Cache => " from the state directory",
                };
                let held = self.held().count();
                let of = domains.len();
                let (entry, domain) = (one_or(*entries, "entry", "entries"), plural(of));
                write!(f, "{source}{origin}: {entries} {entry} for {of} {domain}")?;
                write!(f, ", {foreign} of other domains, {held} {} held back", plural(held))?;
                if held > 0 {
                    // Early in the line, since a log may cut off its end.
                    f.write_str(" (what to do: `postern recipients stats`)")?;
                }
                for (domain, hold) in self.held().take(HOLDS_SHOWN_MAX) {
                    write!(f, "; {domain}: {hold}")?;
                }
                if let Some(first) = skipped.malformed.lines.first() {
                    let malformed = skipped.malformed.count();
                    let rows = one_or(malformed, "row", "rows");
                    write!(f, "; {malformed} malformed {rows}: {first}")?;
                }
                if let Some(elsewhere) = &skipped.elsewhere {
                    write!(f, "; the rest is at {elsewhere}: who is not in this part hears 451")?;
                }
                Ok(())
            }
            Self::Failed { source, error, domains_in_use } => {
                write!(f, "{source}: not loaded: {error}")?;
                if *domains_in_use > 0 && error.is_of_what_is_there() {
                    f.write_str("; until it is, names that the list in use lacks hear 451")?;
                }
                Ok(())
            }
            Self::CacheFailed { source, error } => write!(f, "{source}: state: {error}"),
        }
    }
}
