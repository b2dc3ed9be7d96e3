//! `sql` in the table of kinds.

use super::{Described, Kind, SourceSettings};
use crate::live::try_out;
use crate::sql::{Sql, SqlList, TABLE, open, written};
use settings::keys::Default::Words;
use settings::keys::text;

/// `sql` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "sql",
    help: "A database, described in a `[[sql]]`.",
    entry: &[text("sql", Words("none"), "\"people\"", "The name of a `[[sql]]`.")],
    table: Some(Described {
        table: &TABLE,
        read: |value, site| {
            written::read(value, site).map(|sql| SourceSettings::Sql(Box::new(sql)))
        },
    }),
    read: |_, _, _| None,
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
