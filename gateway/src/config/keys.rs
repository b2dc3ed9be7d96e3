//! Every table of the configuration: those that are always there, and those that the kinds of
//! recipient sources bring.

use super::tables::TopTable;
use directory::{KINDS, MISSING};
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::keys::{Default, Description, Kind, Table};
use settings::table::reader::{Fields, FromTable};
use settings::table::unread::RECIPIENTS;
use std::sync::LazyLock;

/// Every table, in the order of the manual.
pub static KEYS: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let mut all = Vec::new();
    gather(TopTable::TABLE, &mut all);
    all
});

/// A table, and after it those within it.
fn gather(table: &Table, all: &mut Vec<Table>) {
    let described = || KINDS.iter().filter_map(|kind| Some(kind.table.as_ref()?.table));
    let mut keys = table.keys.to_vec();
    if table.path.is_empty() {
        keys.extend(described().map(tables_of));
    } else if table.path == RECIPIENTS.path {
        keys.extend(KINDS.iter().flat_map(|kind| kind.entry));
    }
    // Made once, and kept as long as the program runs.
    all.push(Table { keys: keys.leak(), ..*table });
    if table.path == RECIPIENTS.path {
        all.extend(described().copied());
    }
    for key in table.keys {
        if let Kind::Table(within) | Kind::Tables(within) = key.kind {
            gather(within, all);
        }
    }
}

/// The key at the top of the file that tables like this are listed under.
pub(super) fn tables_of(table: &'static Table) -> Description {
    Description {
        name: table.path,
        kind: Kind::Tables(table),
        default: Default::Words("none"),
        example: "",
        help: table.help,
        why: "",
    }
}

/// The table with this path.
#[must_use]
pub fn table_at(path: &str) -> Option<&'static Table> {
    KEYS.iter().find(|table| table.path == path)
}

/// Tells of the kinds of sources that were left out of this program, and takes them out of a
/// table; says whether there were any. `path` is the table's, empty for the top of the file.
pub(super) fn refuse_missing(fields: &mut Fields, path: &str, context: &mut LoadContext) -> bool {
    let mut any = false;
    for name in MISSING {
        let Some(span) = fields.remove(name) else { continue };
        let key = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
        context.refuse(
            Mistake::new(format!("this build of Postern has no `{name}`"))
                .key(key)
                .at(span, "it was left out when the program was built")
                .help(format!("run the whole program, or build it with: --features {name}")),
        );
        any = true;
    }
    any
}
