//! `ldap` in the table of kinds.

use super::{Described, Kind, SourceSettings};
use crate::directory::live::try_out;
use crate::ldap::{self, ENTRY, Ldap, TABLE, read};
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
    try_out: |settings, environment| {
        let SourceSettings::Ldap(settings) = settings else { return None };
        let found = try_out(Arc::new(Ldap::new(Arc::clone(settings)).ok()?));
        let is_unkept = settings.follows_changes() && environment.state_directory.is_none();
        let also = if is_unkept { "; without `state_dir` changes are not followed" } else { "" };
        Some(found.map(|found| found + also))
    },
    open: |settings, domains, environment| {
        let SourceSettings::Ldap(settings) = settings else { return None };
        ldap::open(settings, domains, environment)
    },
};
