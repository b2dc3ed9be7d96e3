//! Which domains a list is read for, and how their addresses are written in
//! canonical form. One list may serve many domains; it is read once for all of them.

use super::written::{parse_local_part, split, unquoted};
use mail::address::{DOMAIN_OCTETS_MAX, Domain, Host, Mailbox};
use relay::settings::{DomainId, DomainSettings, LocalPartCase};
use std::collections::HashMap;

/// One domain a source answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainScope {
    /// Its place in the settings.
    pub id: DomainId,
    /// Its name.
    pub name: Domain,
    /// Other names of it; an address in one of them is an address in it.
    pub aliases: Vec<Domain>,
    /// How local parts compare.
    pub case: LocalPartCase,
    /// An address of the domain that the source must know, else it is not to be trusted with
    /// the domain.
    pub canary: Option<Mailbox>,
}

impl DomainScope {
    /// Takes over what is set for the domain; it has no aliases and no canary yet.
    #[must_use]
    pub fn new(id: DomainId, settings: &DomainSettings) -> Self {
        let (name, case) = (settings.name.clone(), settings.local_part_case);
        Self { id, name, aliases: Vec::new(), case, canary: None }
    }
}

/// What the name behind an `@` is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DomainClass {
    /// Counts into [`Scope::domains`].
    Ours(usize),
    /// A domain this source is not read for.
    Foreign,
    /// No domain at all.
    Malformed,
}

/// The domains of one source.
#[derive(Clone, Debug)]
pub struct Scope {
    domains: Vec<DomainScope>,
    /// Canonical names, in the order of `domains`.
    canonical: Vec<Box<str>>,
    /// Every name and alias in canonical form.
    places: HashMap<Box<[u8]>, usize>,
    /// [`DomainId`]s in order, with their places.
    ids: Vec<(DomainId, usize)>,
}

impl Scope {
    /// Takes the domains that list the source.
    #[must_use]
    pub fn new(domains: Vec<DomainScope>) -> Self {
        let canonical = domains.iter().map(|d| d.name.to_canonical().into_boxed_str()).collect();
        let mut places = HashMap::new();
        for (at, domain) in domains.iter().enumerate() {
            for name in std::iter::once(&domain.name).chain(&domain.aliases) {
                places.insert(name.to_canonical().into_bytes().into_boxed_slice(), at);
            }
        }
        let mut ids: Vec<_> = domains.iter().enumerate().map(|(at, d)| (d.id, at)).collect();
        ids.sort_unstable();
        Self { domains, canonical, places, ids }
    }

    /// The domains, in the order given.
    #[must_use]
    pub fn domains(&self) -> &[DomainScope] {
        &self.domains
    }

    /// Where a domain is in [`Scope::domains`], when it is there.
    #[must_use]
    pub fn place_of(&self, id: DomainId) -> Option<usize> {
        let at = self.ids.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.ids[at].1)
    }

    /// The canonical name of the domain at a place.
    #[must_use]
    pub fn canonical(&self, place: usize) -> &str {
        &self.canonical[place]
    }

    /// The one domain, when there is no other: a local part alone then belongs to it.
    pub(crate) fn only(&self) -> Option<usize> {
        (self.domains.len() == 1).then_some(0)
    }

    /// Says what a written name, U-labels included, is to us.
    pub(crate) fn place(&self, written: &[u8]) -> DomainClass {
        let mut folded = [0; DOMAIN_OCTETS_MAX];
        if let Some(folded) = folded.get_mut(..written.len()) {
            folded.copy_from_slice(written);
            folded.make_ascii_lowercase();
            if let Some(&at) = self.places.get(&*folded) {
                return DomainClass::Ours(at);
            }
        }
        let Ok(text) = str::from_utf8(written) else { return DomainClass::Malformed };
        if text.starts_with('[') {
            return Host::parse(text).map_or(DomainClass::Malformed, |_| DomainClass::Foreign);
        }
        let Ok(domain) = Domain::from_unicode(text) else { return DomainClass::Malformed };
        let at = self.places.get(domain.to_canonical().as_bytes());
        at.map_or(DomainClass::Foreign, |&at| DomainClass::Ours(at))
    }

    /// The place of the domain of a written address, and its local part in canonical form; nothing
    /// when it is malformed or not ours.
    pub(crate) fn resolve(&self, written: &[u8]) -> Option<(usize, Vec<u8>)> {
        let (local_part, name) = split(unquoted(written));
        let place = match name.map(|name| self.place(name)) {
            None => self.only()?,
            Some(DomainClass::Ours(place)) => place,
            Some(DomainClass::Foreign | DomainClass::Malformed) => return None,
        };
        let mut local_part = parse_local_part(local_part).ok()?.as_str().as_bytes().to_vec();
        if self.domains[place].case == LocalPartCase::Folded {
            local_part.make_ascii_lowercase();
        }
        Some((place, local_part))
    }

    /// An address as it is kept, however it is written: two that are one to us become the same.
    /// Nothing when it is malformed or not ours.
    #[must_use]
    pub fn canonical_address(&self, written: &[u8]) -> Option<String> {
        let (place, local_part) = self.resolve(written)?;
        Some(format!("{}@{}", str::from_utf8(&local_part).ok()?, self.canonical(place)))
    }

    /// Everything about the scope that the hashes of a snapshot depend on, as text.
    pub(crate) fn fingerprint(&self) -> String {
        let mut names: Vec<_> = self.places.iter().collect();
        names.sort_unstable();
        let mut text = String::new();
        for (name, &at) in names {
            let case = match self.domains[at].case {
                LocalPartCase::Folded => "folded",
                LocalPartCase::Exact => "exact",
            };
            let name = String::from_utf8_lossy(name);
            text.push_str(&format!("{name}={}:{case}\n", self.canonical[at]));
        }
        text
    }
}
