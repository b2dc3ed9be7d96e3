//! Whether a source is asked for each address or listed whole, for kinds that can do both.

use settings::table::value::choice;

/// `mode` of a source that can be asked and listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is asked for each address.
    Live,
    /// All addresses are listed.
    Snapshot,
}

choice!(Use { Live = "live", Snapshot = "snapshot" });
