//! What every reader of the configuration needs: where to report, and where relative paths begin.

use super::keys::Table;
use crate::mistake::{Mistake, Report};
use crate::user::DropTo;
use std::path::{Path, PathBuf};

/// What every part needs: where to report, and where relative paths begin.
pub struct LoadContext {
    /// Takes what is wrong.
    pub report: Report,
    /// All that may be written, for those who write it in the wrong table.
    pub tables: &'static [Table],
    /// Where relative paths begin.
    pub directory: PathBuf,
    /// Who uses all that is read again once the listeners are open.
    pub becomes: Option<DropTo>,
}

impl LoadContext {
    /// A path as it is shown to the operator: relative to the configuration file.
    #[must_use]
    pub fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }

    /// The program must not start with this.
    pub fn refuse(&mut self, mistake: Mistake) {
        self.report.refuse(mistake);
    }

    /// What was read, or nothing once the mistake in it is told.
    pub fn told<T>(&mut self, read: Result<T, Mistake>) -> Option<T> {
        read.map_err(|mistake| self.refuse(mistake)).ok()
    }

    /// The operator should know of this.
    pub fn warn(&mut self, mistake: Mistake) {
        self.report.warn(mistake);
    }
}

/// A path that a change of the working directory does not change.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
