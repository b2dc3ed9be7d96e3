//! `callout` in the table of kinds.

use super::{Described, Kind, Listed, SourceSettings};
use crate::callout::settings::{self, CalloutTable, Entry, NameOrTrue, Settings};
use crate::callout::{self, Callout};
use crate::live::try_out;
use ::settings::table::reader::FromTable;
use std::sync::Arc;

/// `callout` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "callout",
    help: "The next hop, or another server, that is asked by SMTP for each address.",
    entry: Entry::TABLE.keys,
    table: Some(Described {
        table: CalloutTable::TABLE,
        read: |table, context| {
            let settings = settings::read(&CalloutTable::read_from(table, context), context)?;
            Some(SourceSettings::Callout(Arc::new(settings)))
        },
    }),
    read: |entry, surroundings, context| {
        let callout = Entry::read_from(entry, context).callout?;
        if let NameOrTrue::Name(name) = &*callout {
            return Some(Listed::Named(callout.with(name.clone())));
        }
        let settings = Settings::of_next_hop(surroundings.next_hop?);
        Some(Listed::Itself(SourceSettings::Callout(Arc::new(settings))))
    },
    try_out: |settings, environment| {
        let SourceSettings::Callout(settings) = settings else { return None };
        Some(try_out(Callout::open(settings, &environment.hostname, &environment.trials).ok()?))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Callout(settings) = settings else { return None };
        callout::open(settings, domains, environment)
    },
};
