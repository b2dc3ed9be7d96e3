//! Single addresses added or removed on top of a snapshot, until the next load is adopted:
//! for sources that learn of one change at a time. Bounded, since whoever has many changes
//! has a new snapshot. The hashes are those of the snapshot below.

use crate::target::Target;
use std::collections::HashMap;

/// Changes in one overlay; a full one costs about 400 KB.
pub const CHANGES_MAX: usize = 10_000;

/// What the overlay says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It exists, and this is what the next hop hears.
    Added(Target),
    /// It does not, whatever the snapshot says.
    Removed,
}

/// The overlay holds [`CHANGES_MAX`] changes already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlayFull;

impl std::fmt::Display for OverlayFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{CHANGES_MAX} single changes are held already: load the whole list again")
    }
}

impl std::error::Error for OverlayFull {}

/// Changes since the snapshot was made.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    changes: HashMap<u64, Change>,
}

impl Overlay {
    /// Remembers one change; a later one for the same address takes its place.
    /// # Errors
    /// When it is full; nothing is changed then.
    pub fn change(&mut self, hash: u64, change: Change) -> Result<(), OverlayFull> {
        if self.changes.len() >= CHANGES_MAX && !self.changes.contains_key(&hash) {
            return Err(OverlayFull);
        }
        self.changes.insert(hash, change);
        Ok(())
    }

    /// What it says of an address, if anything.
    #[must_use]
    pub fn find(&self, hash: u64) -> Option<&Change> {
        if self.changes.is_empty() {
            return None;
        }
        self.changes.get(&hash)
    }

    /// Changes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
