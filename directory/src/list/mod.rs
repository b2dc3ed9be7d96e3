//! Recipients from a source that can be listed whole: a file, an SQL query, an export of a
//! directory. A [`Lister`] reads it; what is read is `load/` above. Here are loads (`source.rs`),
//! what is in use (`state.rs`), what is newer and not in use (`state/newer.rs`), single changes
//! (`follow.rs`), what is kept between starts (`cache.rs`), a person's word (`confirm.rs`).

mod cache;
mod confirm;
mod follow;
mod look;
mod preview;
mod report;
mod schedule;
mod source;
mod state;
#[cfg(test)]
mod tests;

pub use crate::load::{
    ADDED_NAMED_MAX, Allowances, DomainPart, DomainScope, ENTRIES_MAX, Failing, Intake, LineError,
    LineProblem, Load, LoadError, MALFORMED_KEPT_MAX, Malformed, PATTERNS_MAX, PatternEntry,
    Preview, Recipient, Rows, Scope, Skipped, typed,
};
pub use look::{Look, look};
pub use report::{Checked, check};
pub use schedule::Schedule;
pub use source::Listed;

pub(crate) use crate::load::is_shown_list;
#[cfg(feature = "ldap")]
pub(crate) use cache::path_for;

use crate::snapshot::overlay::Change;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which state of its source a list was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// How old the list is: when it was written, or when reading it began, in nanoseconds since
    /// 1970.
    pub modified_nanoseconds: i64,
    /// What the lister recognises the state by (the stamp of a file, the update sequence number
    /// of a server, a cookie), in its own words; empty when it needs nothing. Cached on disk.
    pub token: Box<str>,
}

/// One address that came or went since a list was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// The address as the source writes it, with its domain.
    pub address: Box<str>,
    /// What became of it.
    pub change: Change,
}

/// What happened at a source since a list was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Nothing, or it is not the time to ask.
    None,
    /// These addresses, in the order they changed.
    Some {
        /// Bounded by the lister; the overlay takes
        /// [`CHANGES_MAX`](crate::snapshot::overlay::CHANGES_MAX) in all.
        changes: Vec<ListChange>,
        /// What the list is of with them.
        version: Version,
    },
    /// More than the source can tell: the list is to be read whole.
    ReadWhole,
}

/// Where the addresses of a list come from. `read` and `changes` run where no recipient is
/// looked up, so they may block; they keep their own deadlines. Schedules are the lister's own
/// ([`Schedule`]), so it has its state behind a lock.
pub trait Lister: Send + Sync + 'static {
    /// `file users.txt`, `ldap ad`: for logs and `explain`.
    fn name(&self) -> &Arc<str>;

    /// What tells this list from others, however it is read: names its files in the state
    /// directory. The path of a file; kind, server, base and query of others; never a secret.
    fn identity(&self) -> String;

    /// What, besides the domains, decides which rows are read and how: a list that was kept with
    /// another gives only its counts.
    fn fingerprint(&self) -> String;

    /// How its rows are understood.
    fn rows(&self) -> Rows {
        Rows::Exported
    }

    /// What its rows may be besides.
    fn allowances(&self) -> Allowances {
        Allowances::default()
    }

    /// Whether reading may take long. Then the source has a thread of its own, nobody waits for
    /// it at start or at a reload, and until its first load it is unavailable.
    fn is_slow(&self) -> bool {
        true
    }

    /// Goes on from a list that an earlier run kept. Says whether that is, as far as can be known
    /// at once, what the source still has; asked of slow ones, too, whose schedule begins there.
    fn resume(&self, kept: &Version) -> bool;

    /// Whether to read it now; asked every second. `now` in nanoseconds since 1970.
    fn is_due(&self, now: i64) -> bool;

    /// Reads everything. Ends soon after [`Intake::is_stopped`], whatever it then returns. Must
    /// fail rather than return a part: what is not read is unknown afterwards. Changes nothing in
    /// the schedule, since it may be a preview.
    /// # Errors
    /// When not everything could be read.
    fn read(&self, intake: &mut Intake<'_>) -> Result<Version, LoadError>;

    /// Told after each reading but those for a preview, whether or not the guards let it pass.
    /// `now` in nanoseconds since 1970.
    fn took(&self, read: Result<&Version, &LoadError>, now: i64);

    /// Single changes since `version`, asked every second that nothing else is done, unless a
    /// part of the list is held back; the lister paces itself, also after an error. A version
    /// from before a restart is asked for again, since changes are not kept on disk.
    /// # Errors
    /// When the source cannot be asked.
    fn changes(&self, _version: &Version, _now: i64) -> Result<Changes, LoadError> {
        Ok(Changes::None)
    }
}
