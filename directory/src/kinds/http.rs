//! `http` in the table of kinds.

use super::{Described, Kind, Listed, SourceSettings};
use crate::http::settings::{Entry, HttpTable};
use crate::http::{self, Http, settings};
use crate::live::try_out;
use ::settings::table::reader::FromTable;
use std::sync::Arc;

/// `http` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "http",
    help: "A web service that is asked for each address.",
    entry: Entry::TABLE.keys,
    table: Some(Described {
        table: HttpTable::TABLE,
        read: |table, context| {
            let settings = settings::read(&HttpTable::read_from(table, context), context)?;
            Some(SourceSettings::Http(Arc::new(settings)))
        },
    }),
    read: |entry, _, context| Entry::read_from(entry, context).http.map(Listed::Named),
    try_out: |settings, _| {
        let SourceSettings::Http(settings) = settings else { return None };
        Some(try_out(Http::open(settings).ok()?))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Http(settings) = settings else { return None };
        http::open(settings, domains, environment)
    },
};
