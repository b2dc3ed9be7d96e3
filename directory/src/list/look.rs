//! What a file is that somebody has at hand, before there is a configuration: whose export it is
//! taken for, which columns are read, and which domains it has.

use super::report::{Checked, check};
use super::{DomainScope, Lister, LoadError, Scope};
use crate::load::intake::{Intake, Progress, Sighting};
use crate::snapshot::HashKey;
use mail::address::Domain;
use relay::settings::{DomainId, LocalPartCase};

/// Stands for the domain of names that have none (RFC 2606 §2).
const NOBODYS_DOMAIN: &str = "postern.invalid";

/// What a list is, whatever domains it has.
#[derive(Debug)]
pub struct Look {
    /// In words: whose export, and which columns are read.
    pub what: String,
    /// It has names without a domain, which belong to whoever lists it.
    pub is_bare: bool,
    /// What it has, the domains with most addresses first.
    pub checked: Checked,
}

/// Reads a list that is not configured, and changes nothing.
/// # Errors
/// As [`check`].
pub fn look(lister: &dyn Lister) -> Result<Look, LoadError> {
    let scope = |domains: Vec<Domain>| {
        let domain = |(n, name): (usize, Domain)| DomainScope {
            id: DomainId(u32::try_from(n).unwrap_or(u32::MAX)),
            name,
            aliases: Vec::new(),
            case: LocalPartCase::Folded,
            canary: None,
        };
        Scope::new(domains.into_iter().enumerate().map(domain).collect())
    };
    let nobody: Vec<Domain> = Domain::new(NOBODYS_DOMAIN).into_iter().collect();
    let (any, progress) = (scope(nobody), Progress::default());
    let mut intake = Intake::new(&any, HashKey([0; 16]), lister.rows(), &progress, 0);
    intake.allow(lister.allowances());
    intake.sight();
    lister.read(&mut intake)?;
    let Sighting { what, domains } = intake.sighted();
    let mut domains: Vec<_> = domains.into_iter().collect();
    domains.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let named = domains
        .iter()
        .filter_map(|(name, _)| Domain::from_unicode(str::from_utf8(name).ok()?).ok());
    let found = scope(named.collect());
    let is_bare = found.domains().is_empty();
    let checked = check(lister, if is_bare { &any } else { &found })?;
    Ok(Look { what, is_bare, checked })
}
