//! `sql` in the table of kinds.

use super::{Described, Kind, Listed, SourceSettings};
use crate::live::try_out;
use crate::sql::table::{Entry, Written};
use crate::sql::{Sql, SqlList, open, written};
use settings::table::reader::FromTable;

/// `sql` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "sql",
    help: "A database, described in a `[[sql]]`.",
    entry: Entry::TABLE.keys,
    table: Some(Described {
        table: Written::TABLE,
        read: |table, site| {
            let settings = written::settings(&Written::read_from(table, site), site)?;
            Some(SourceSettings::Sql(Box::new(settings)))
        },
    }),
    read: |entry, _, site| Entry::read_from(entry, site).sql.map(Listed::Named),
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
