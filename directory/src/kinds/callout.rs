//! `callout` in the table of kinds.

use super::{Described, Kind, SourceSettings};
use crate::callout::settings::{self, Settings};
use crate::callout::{self, Callout};
use crate::directory::live::try_out;
use std::sync::Arc;

/// `callout` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "callout",
    help: "The next hop, or another server, that is asked by SMTP for each address.",
    entry: settings::ENTRY,
    table: Some(Described {
        table: &settings::TABLE,
        read: |value, site| {
            let settings = settings::read(value, site)?;
            Some(SourceSettings::Callout(Arc::new(settings)))
        },
    }),
    read: |_, surroundings, _| {
        let settings = Settings::of_next_hop(surroundings.next_hop?);
        Some(SourceSettings::Callout(Arc::new(settings)))
    },
    try_out: |settings, environment| {
        let SourceSettings::Callout(settings) = settings else { return None };
        Some(try_out(Callout::open(settings, &environment.hostname).ok()?))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Callout(settings) = settings else { return None };
        callout::open(settings, domains, environment)
    },
};
