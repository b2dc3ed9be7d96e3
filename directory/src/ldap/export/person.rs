//! An entry of a directory as somebody who has addresses: which values hold them, which entry it
//! is whatever its name becomes, and whether it is only there because it was deleted. Attributes
//! that Active Directory sends in parts are read to their end.

use super::super::super::list::{Scope as Domains, typed};
use super::super::super::live::TroubleKind;
use super::super::link::entry::{Entry, untyped};
use super::super::link::{Link, Search};
use super::super::trouble::Problem;
use super::followed::Held;
use super::page::{PAGE_MAX, refused, search};
use super::root::Mark;
use crate::target::Target;
use hex::FromHex;
use ldap3::Scope;
use std::collections::HashSet;

/// Parts of one attribute; Active Directory sends 1,500 values in each.
const PARTS_MAX: u32 = 10_000;
/// The most of one part, in octets.
const PART_OCTETS_MAX: usize = 1 << 20;

/// What says which entry it is, and what says that it was deleted, whoever calls it how.
pub(super) const OPERATIONAL: [&str; 4] = ["objectGUID", "entryUUID", "isDeleted", "Is-Deleted"];

/// Somebody.
#[derive(Debug)]
pub(super) struct Person {
    /// As they are in the directory, each once.
    pub(super) values: Vec<Vec<u8>>,
    /// Addresses that the next hop hears instead; with more than one nobody can say which.
    pub(super) targets: Vec<Vec<u8>>,
}

/// Reads an entry, and what is missing of it.
pub(super) async fn person(
    link: &Link,
    entry: &Entry,
    addresses: &[String],
    target: Option<&str>,
) -> Result<Person, Problem> {
    let (mut values, mut seen) = (Vec::new(), HashSet::new());
    for attribute in addresses {
        for value in all_values(link, entry, attribute).await? {
            // The primary address is often in two attributes.
            let same = address_in(&value).unwrap_or(&value).to_ascii_lowercase();
            if seen.insert(same) {
                values.push(value);
            }
        }
    }
    let mut targets: Vec<Vec<u8>> = Vec::new();
    for value in target.into_iter().flat_map(|attribute| entry.values(attribute)) {
        let value = untyped(value);
        if !targets.iter().any(|other| other.eq_ignore_ascii_case(value)) {
            targets.push(value.to_vec());
        }
    }
    Ok(Person { values, targets })
}

impl Person {
    /// The addresses of our domains that it holds, as a load would take them.
    pub(super) fn held(&self, domains: &Domains) -> Held {
        let target = Target::read_all(self.targets.iter().map(Vec::as_slice));
        let target = target.unwrap_or(Target::Unclear);
        let addresses = self.values.iter().filter_map(|value| address_in(value));
        let held = addresses.filter_map(|address| {
            Some((domains.canonical_address(address)?.into_boxed_str(), target.clone()))
        });
        held.collect()
    }
}

/// Whether it is shown only because it was deleted.
pub(in crate::ldap) fn is_deleted(entry: &Entry) -> bool {
    let [_, _, of_windows, of_exchange] = OPERATIONAL;
    let mut values = entry.values(of_windows).iter().chain(entry.values(of_exchange));
    values.any(|value| value.eq_ignore_ascii_case(b"true"))
}

/// What stays the same when an entry is renamed, moved or deleted. Nothing when the server should
/// have said it and did not.
pub(super) fn id(entry: &Entry, mark: &Mark) -> Option<Box<[u8]>> {
    let [of_windows, by_rfc_4530, _, _] = OPERATIONAL;
    match mark {
        Mark::Cookie { .. } => uuid(entry.values(by_rfc_4530).first()?),
        // Exchange 5.5 never renames.
        Mark::Usn { .. } => Some(match entry.values(of_windows).first() {
            Some(guid) => guid.clone().into(),
            None => entry.name.to_lowercase().into_bytes().into(),
        }),
    }
}

/// The 16 octets behind the text of an `entryUUID` (RFC 4530 §2.1).
fn uuid(text: &[u8]) -> Option<Box<[u8]>> {
    let digits: Vec<u8> = text.iter().copied().filter(|&octet| octet != b'-').collect();
    let octets: [u8; 16] = FromHex::from_hex(digits).ok()?;
    Some(Box::new(octets))
}

/// The SMTP address in a value; nothing in one of another type.
pub(super) fn address_in(value: &[u8]) -> Option<&[u8]> {
    match typed(value) {
        None => Some(value.trim_ascii()),
        Some((kind, address)) => kind.eq_ignore_ascii_case(b"smtp").then(|| address.trim_ascii()),
    }
}

/// The values of an attribute, those that the server holds back included: Active Directory sends
/// `proxyAddresses;range=0-1499` and waits to be asked for the rest.
async fn all_values(link: &Link, entry: &Entry, attribute: &str) -> Result<Vec<Vec<u8>>, Problem> {
    let (mut values, mut missing) = parts_of(entry, attribute, 0)?;
    let mut parts = 0;
    while let Some(from) = missing {
        parts += 1;
        if parts > PARTS_MAX {
            return Err(broken(entry, attribute));
        }
        let wanted = format!("{attribute};range={from}-*");
        let reply = search(
            link,
            &Search {
                base: &entry.name,
                scope: Scope::Base,
                filter: "(objectClass=*)",
                attributes: &[&wanted],
                entries_max: 0,
                octets_max: PART_OCTETS_MAX,
                controls: Vec::new(),
            },
            PAGE_MAX,
        )
        .await?;
        if reply.result.rc != 0 {
            return Err(refused(&reply, reply.result.rc));
        }
        let same = reply.entries.first().ok_or_else(|| broken(entry, attribute))?;
        let (more, next) = parts_of(same, attribute, from)?;
        // Who neither goes on nor ends would be asked forever.
        if more.is_empty() || next.is_some_and(|next| next <= from) {
            return Err(broken(entry, attribute));
        }
        values.extend(more);
        missing = next;
    }
    Ok(values)
}

/// The values in this answer, which must begin with the so-many-th; and the first that is missing.
fn parts_of(
    entry: &Entry,
    attribute: &str,
    from: u64,
) -> Result<(Vec<Vec<u8>>, Option<u64>), Problem> {
    let (mut all, mut missing) = (Vec::new(), None);
    for (name, values) in &entry.attributes {
        let (base, options) = name.split_once(';').unwrap_or((name, ""));
        if !base.eq_ignore_ascii_case(attribute) {
            continue;
        }
        all.extend(values.iter().cloned());
        let options = options.to_ascii_lowercase();
        let Some(range) = options.split(';').find_map(|option| option.strip_prefix("range="))
        else {
            continue;
        };
        let read = |range: &str| {
            let (first, last) = range.split_once('-')?;
            let last = if last == "*" { None } else { Some(last.parse::<u64>().ok()?) };
            Some((first.parse::<u64>().ok()?, last))
        };
        match read(range) {
            Some((first, last)) if first == from && last.is_none_or(|last| last >= first) => {
                missing = last.map(|last| last.saturating_add(1));
            }
            _ => return Err(broken(entry, attribute)),
        }
    }
    Ok((all, missing))
}

fn broken(entry: &Entry, attribute: &str) -> Problem {
    let what = format!("sends `{attribute}` of {} in parts that do not add up", entry.name);
    Problem::new(TroubleKind::Unexpected, what, "see the server's own log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &[&str])]) -> Entry {
        let attribute = |(name, values): &(&str, &[&str])| {
            ((*name).to_owned(), values.iter().map(|value| value.as_bytes().to_vec()).collect())
        };
        let attributes = attributes.iter().map(attribute).collect();
        Entry { name: "cn=jones".to_owned(), attributes, controls: Vec::new() }
    }

    #[test]
    fn the_identity_of_an_entry_is_sixteen_octets() {
        let id = uuid(b"01234567-89ab-CDEF-0123-456789abcdef").unwrap();
        assert_eq!((id.len(), id[0], id[15]), (16, 0x01, 0xef));
        for wrong in ["", "01234567", "g1234567-89ab-cdef-0123-456789abcdef", "+1234567"] {
            assert!(uuid(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_part_says_where_it_begins_and_what_is_missing() {
        let missing = |name: &str, from| {
            parts_of(&entry(&[(name, &["smtp:a@b.test"])]), "proxyAddresses", from)
                .map(|(values, missing)| (values.len(), missing))
                .ok()
        };
        assert_eq!(missing("PROXYADDRESSES", 0), Some((1, None)));
        assert_eq!(missing("proxyAddresses;range=0-1499", 0), Some((1, Some(1_500))));
        assert_eq!(missing("proxyAddresses;Range=1500-*", 1_500), Some((1, None)));
        assert_eq!(missing("proxyAddressesOfOld", 0), Some((0, None)));
        for wrong in ["range=1-2", "range=0", "range=-1-2", "range=*-*", "range=2-1"] {
            assert_eq!(missing(&format!("proxyAddresses;{wrong}"), 0), None, "{wrong}");
        }
    }

    #[test]
    fn whoever_was_deleted_is_nobody_whatever_the_server_calls_it() {
        assert!(is_deleted(&entry(&[("isDeleted", &["TRUE"])])));
        assert!(is_deleted(&entry(&[("Is-Deleted", &["true"])])));
        assert!(!is_deleted(&entry(&[("isDeleted", &["FALSE"]), ("cn", &["TRUE"])])));
    }
}
