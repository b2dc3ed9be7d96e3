//! `sql` in the table of kinds.

use super::{Described, Kind, Listed, SourceSettings};
use crate::live::try_out;
use crate::sql::table::{Entry, SqlTable};
use crate::sql::{Sql, SqlList, configured, open};
use settings::table::reader::FromTable;

/// `sql` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "sql",
    help: "A database, described in a `[[sql]]`.",
    entry: Entry::TABLE.keys,
    table: Some(Described {
        table: SqlTable::TABLE,
        read: |table, context| {
            let settings = configured::settings(&SqlTable::read_from(table, context), context)?;
            Some(SourceSettings::Sql(Box::new(settings)))
        },
    }),
    read: |entry, _, context| Entry::read_from(entry, context).sql.map(Listed::Named),
    try_out: |settings, _| {
        let SourceSettings::Sql(settings) = settings else { return None };
        if let Some(list) = SqlList::new(settings) {
            return Some(list.try_out());
        }
        Some(try_out(Sql::new(settings).ok()??))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Sql(settings) = settings else { return None };
        open(settings, domains, environment)
    },
};
