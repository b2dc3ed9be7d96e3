//! `ldap` in the table of kinds.

use super::{ENTRY, Ldap, TABLE, read};
use crate::directory::kinds::{Described, Kind, SourceSettings};
use crate::directory::live::try_out;
use std::sync::Arc;

/// `ldap` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "ldap",
    help: "A directory that is asked by LDAP for each address, or listed.",
    entry: ENTRY,
    table: Some(Described {
        table: &TABLE,
        read: |value, site| read(value, site).map(Arc::new).map(SourceSettings::Ldap),
    }),
    read: |_, _, _| None,
    try_out: |settings, _| {
        let SourceSettings::Ldap(settings) = settings else { return None };
        Some(try_out(Arc::new(Ldap::new(Arc::clone(settings)).ok()?)))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Ldap(settings) = settings else { return None };
        super::open(settings, domains, environment)
    },
};
