//! Every key of the configuration: those of `tables.rs`, `tables_mail.rs` and `limits.rs`, and
//! those that the kinds of recipient sources bring.

use super::tables::FIXED;
use crate::directory::KINDS;
use crate::settings::keys::{Default, Key, Kind, Table, key};
use std::sync::LazyLock;

/// Every table, in the order of the manual: those of recipient sources come from their kinds.
pub static KEYS: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let described = || KINDS.iter().filter_map(|kind| Some(kind.table.as_ref()?.table));
    for table in FIXED {
        let mut keys = table.keys.to_vec();
        match table.path {
            "" => keys.extend(described().map(tables_of)),
            RECIPIENTS => keys.extend(KINDS.iter().flat_map(|kind| kind.entry)),
            _ => {}
        }
        // Made once, and kept as long as the program runs.
        all.push(Table { keys: keys.leak(), ..*table });
        if table.path == RECIPIENTS {
            all.extend(described());
        }
    }
    all
});

fn tables_of(table: &Table) -> Key {
    key(table.path, Kind::Tables(table.path), Default::Words("none"), "", table.help)
}

/// The table whose keys come from the kinds of sources.
pub(super) const RECIPIENTS: &str = "domain.recipients";

/// The table with this path.
#[must_use]
pub fn table_at(path: &str) -> Option<&'static Table> {
    KEYS.iter().find(|table| table.path == path)
}
