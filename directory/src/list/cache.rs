//! What a list keeps in the state directory: its snapshot, and beside it what was loaded
//! from where, for which domains. A cache that was made from other settings gives only its
//! counts, which the guards compare with.

use super::{Lister, Version};
use crate::load::part::{DomainPart, Load, PatternEntry, Skipped};
use crate::load::scope::Scope;
use crate::pattern::Pattern;
use crate::snapshot::stored::{self, StoredError};
use crate::target::Target;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The description beside the hashes.
#[derive(Serialize, Deserialize)]
struct Description<'a> {
    /// Its identity; before there were other lists than files, the path.
    #[serde(alias = "path")]
    list: Cow<'a, str>,
    #[serde(default)]
    version: Version,
    /// Of the settings and the scope: with others the hashes would be others.
    fingerprint: u64,
    foreign: u64,
    /// Where the rest is, of a list that is a part.
    #[serde(default)]
    elsewhere: Option<Box<str>>,
    domains: Vec<DomainDescription<'a>>,
}

#[derive(Serialize, Deserialize)]
struct DomainDescription<'a> {
    name: Cow<'a, str>,
    addresses: u64,
    patterns: Vec<PatternDescription<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PatternDescription<'a> {
    text: Cow<'a, str>,
    target: Option<String>,
}

/// What was found.
pub(super) struct Cached {
    /// Entries when last adopted, by place in the scope.
    pub(super) entries: Vec<Option<u64>>,
    /// The load, when the settings are still the same.
    pub(super) load: Option<(Load, Version)>,
}

/// Where the cache of a list is: named after what it is, so that several have room.
pub(crate) fn path_for(directory: &Path, lister: &dyn Lister) -> PathBuf {
    let hash = sum(lister.identity().as_bytes());
    directory.join(format!("recipients-{hash:016x}.snapshot"))
}

fn sum(octets: &[u8]) -> u64 {
    SipHasher13::new_with_keys(0, 0).hash(octets)
}

fn fingerprint(lister: &dyn Lister, scope: &Scope) -> u64 {
    sum(format!("{}\n{}", lister.fingerprint(), scope.fingerprint()).as_bytes())
}

/// Keeps a load.
/// # Errors
/// When the disk fails.
pub(super) fn write(
    path: &Path,
    lister: &dyn Lister,
    scope: &Scope,
    load: &Load,
    version: &Version,
) -> Result<(), StoredError> {
    let pattern = |entry| {
        let PatternEntry { pattern, target }: &PatternEntry = entry;
        let text = Cow::Owned(pattern.as_str().to_owned());
        PatternDescription { text, target: target.stored() }
    };
    let domains = load.parts.iter().enumerate().map(|(place, part)| DomainDescription {
        name: scope.canonical(place).into(),
        addresses: part.addresses,
        patterns: part.patterns.iter().map(pattern).collect(),
    });
    let description = Description {
        list: lister.identity().into(),
        version: version.clone(),
        fingerprint: fingerprint(lister, scope),
        foreign: load.foreign,
        elsewhere: load.skipped.elsewhere.clone(),
        domains: domains.collect(),
    };
    let text = serde_json::to_vec(&description)
        .map_err(|error| StoredError::Io { path: path.to_owned(), source: error.into() })?;
    stored::write(path, &load.snapshot, &text)
}

/// Reads what an earlier run kept; nothing when there was none.
/// # Errors
/// When it is damaged, or the disk fails.
pub(super) fn read(
    path: &Path,
    lister: &dyn Lister,
    scope: &Scope,
) -> Result<Option<Cached>, StoredError> {
    let (snapshot, text) = match stored::read(path) {
        Ok(read) => read,
        Err(StoredError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let inconsistent = || StoredError::Content(path.to_owned());
    let kept: Description<'_> = serde_json::from_slice(&text).map_err(|_| inconsistent())?;
    let counts = kept.domains.iter().map(|domain| {
        (&*domain.name, domain.addresses.saturating_add(domain.patterns.len() as u64))
    });
    let counts: HashMap<&str, u64> = counts.collect();
    let places = 0..scope.domains().len();
    let entries = places.map(|place| counts.get(scope.canonical(place)).copied()).collect();
    let same = kept.fingerprint == fingerprint(lister, scope)
        && kept.list == lister.identity()
        && kept.domains.len() == scope.domains().len()
        && kept.domains.iter().enumerate().all(|(at, d)| d.name == scope.canonical(at));
    if !same {
        return Ok(Some(Cached { entries, load: None }));
    }
    let mut parts = Vec::with_capacity(kept.domains.len());
    for (at, domain) in kept.domains.iter().enumerate() {
        let case = scope.domains()[at].case;
        let entry = |kept: &PatternDescription<'_>| {
            let target = Target::of_stored(kept.target.as_deref());
            Some(PatternEntry { pattern: Pattern::new(&kept.text, case).ok()?, target })
        };
        let patterns: Option<Vec<_>> = domain.patterns.iter().map(entry).collect();
        let patterns = patterns.ok_or_else(inconsistent)?;
        parts.push(DomainPart { addresses: domain.addresses, patterns });
    }
    let skipped = Skipped { elsewhere: kept.elsewhere, ..Skipped::default() };
    let foreign = kept.foreign;
    let load = Load { snapshot: Arc::new(snapshot), parts, foreign, skipped };
    Ok(Some(Cached { entries, load: Some((load, kept.version)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{FileLister, FileSource};
    use crate::list::DomainScope;
    use crate::snapshot::{Builder, HashKey};
    use mail::address::Domain;
    use relay::settings::{DomainId, LocalPartCase};

    #[test]
    fn what_a_version_kept_that_knew_only_files_is_still_used() {
        let directory = tempfile::tempdir().unwrap();
        let lister = FileLister::new(FileSource::new("/x/users.txt"));
        let scope = Scope::new(vec![DomainScope {
            id: DomainId(0),
            name: Domain::new("example.test").unwrap(),
            aliases: Vec::new(),
            case: LocalPartCase::Folded,
            canary: None,
        }]);
        let mut builder = Builder::new(HashKey([1; 16]), 0);
        builder.add(7);
        let text = serde_json::json!({
            "path": "/x/users.txt",
            "stamp": { "octets": 15, "modified_nanoseconds": 1, "inode": 2 },
            "fingerprint": sum(b"csv=false\nexample.test=example.test:folded\n"),
            "foreign": 3,
            "domains": [{ "name": "example.test", "addresses": 1, "patterns": [] }],
        });
        let path = path_for(directory.path(), &lister);
        stored::write(&path, &builder.finish().0, text.to_string().as_bytes()).unwrap();
        let kept = read(&path, &lister, &scope).unwrap().unwrap();
        let (load, version) = kept.load.unwrap();
        assert_eq!((kept.entries, load.entries(), load.foreign), (vec![Some(1)], 1, 3));
        assert!(!lister.resume(&version), "and the file is read again");
    }
}
