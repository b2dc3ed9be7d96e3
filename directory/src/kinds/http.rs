//! `http` in the table of kinds.

use super::{Described, Kind, SourceSettings};
use crate::directory::live::try_out;
use crate::http::{self, Http, settings};
use std::sync::Arc;

/// `http` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "http",
    help: "A web service that is asked for each address.",
    entry: settings::ENTRY,
    table: Some(Described {
        table: &settings::TABLE,
        read: |value, site| {
            let settings = settings::read(value, site)?;
            Some(SourceSettings::Http(Arc::new(settings)))
        },
    }),
    read: |_, _, _| None,
    try_out: |settings, _| {
        let SourceSettings::Http(settings) = settings else { return None };
        Some(try_out(Http::open(settings).ok()?))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Http(settings) = settings else { return None };
        http::open(settings, domains, environment)
    },
};
