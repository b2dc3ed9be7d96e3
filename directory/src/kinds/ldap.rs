//! `ldap` in the table of kinds.

use super::{Described, Kind, Listed, SourceSettings};
use crate::ldap::settings::read;
use crate::ldap::table::{Entry, LdapTable};
use crate::ldap::{self, Ldap};
use crate::live::try_out;
use settings::table::reader::FromTable;
use std::sync::Arc;

/// `ldap` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "ldap",
    help: "A directory that is asked by LDAP for each address, or listed.",
    entry: Entry::TABLE.keys,
    table: Some(Described {
        table: LdapTable::TABLE,
        read: |table, context| {
            let settings = read(&LdapTable::read_from(table, context), context)?;
            Some(SourceSettings::Ldap(Arc::new(settings)))
        },
    }),
    read: |entry, _, context| Entry::read_from(entry, context).ldap.map(Listed::Named),
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
