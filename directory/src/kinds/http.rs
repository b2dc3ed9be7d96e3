//! `http` in the table of kinds.

use super::{Described, Kind, Listed, SourceSettings};
use crate::http::settings::{Entry, Written};
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
        table: Written::TABLE,
        read: |table, site| {
            let settings = settings::read(&Written::read_from(table, site), site)?;
            Some(SourceSettings::Http(Arc::new(settings)))
        },
    }),
    read: |entry, _, site| Entry::read_from(entry, site).http.map(Listed::Named),
    try_out: |settings, _| {
        let SourceSettings::Http(settings) = settings else { return None };
        Some(try_out(Http::open(settings).ok()?))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Http(settings) = settings else { return None };
        http::open(settings, domains, environment)
    },
};
