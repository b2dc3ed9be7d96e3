//! What every reader of the configuration needs: where to report, where relative paths begin, and
//! the values that stand where nothing was written.

use super::keys::Table;
use super::mistake::{Mistake, Report};
use super::process::DropTo;
use serde_spanned::Spanned;
use std::path::{Path, PathBuf};

/// A text and where it stands.
pub type Text = Spanned<String>;

/// What every part needs: where to report, and where relative paths begin.
pub struct Site {
    /// Takes what is wrong.
    pub report: Report,
    /// Where relative paths begin.
    pub directory: PathBuf,
    /// Who uses all that is read again once the listeners are open.
    pub becomes: Option<DropTo>,
}

impl Site {
    /// A path as it is shown to the operator: relative to the configuration file.
    #[must_use]
    pub fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }

    /// The program must not start with this.
    pub fn refuse(&mut self, mistake: Mistake) {
        self.report.refuse(mistake);
    }

    /// The operator should know of this.
    pub fn warn(&mut self, mistake: Mistake) {
        self.report.warn(mistake);
    }
}

/// A mistake about one value.
#[must_use]
pub fn at<T>(key: &str, value: &Spanned<T>, message: impl Into<String>, label: &str) -> Mistake {
    Mistake::new(message).key(key).at(value.span(), label)
}

/// A path that a change of the working directory does not change.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The first text, or the one that holds when none is written.
#[must_use]
pub fn word<'a>(written: Option<&'a Text>, default: &'a str) -> &'a str {
    written.map_or(default, |text| text.get_ref())
}

/// A number, or the default that its table has for it.
#[must_use]
pub fn number(table: &Table, name: &str, written: Option<&Spanned<i64>>) -> u32 {
    let number = written.and_then(|number| u64::try_from(*number.get_ref()).ok());
    // The shape has checked the bounds, all of which are within 32 bits for such keys.
    let number = number.unwrap_or_else(|| table.default_number(name));
    u32::try_from(number).unwrap_or(u32::MAX)
}
