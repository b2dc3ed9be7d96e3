//! When a file that changed may be read.

use super::Stamp;

/// Decides when a file that changed has been quiet long enough to be read: a list that is being
/// copied into place is cut off anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet {
    /// What was there when it was last loaded; the inner nothing is a missing file.
    loaded: Option<Option<Stamp>>,
    /// What was there at the last look, when it differs from that.
    changed: Option<Option<Stamp>>,
}

impl Quiet {
    /// Notes what was loaded, or found missing.
    pub fn loaded(&mut self, stamp: Option<Stamp>) {
        *self = Self { loaded: Some(stamp), changed: None };
    }

    /// Takes what is there now and says whether to load it.
    pub fn observe(&mut self, now: Option<Stamp>) -> bool {
        if self.loaded == Some(now) {
            self.changed = None;
            return false;
        }
        self.changed.replace(now) == Some(now)
    }
}
