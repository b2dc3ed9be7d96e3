//! Where else a server would have us look (RFC 4511 §4.5.3), less what is no lack: from the top of
//! a domain Active Directory names in each answer its own parts for configuration and DNS, where
//! nobody has a mailbox.

use super::Entry;
use percent_encoding::percent_decode_str;

/// What a server says of its naming contexts.
pub(super) const ATTRIBUTES: [&str; 3] = [CONFIGURATION, SCHEMA, ALL];

const CONFIGURATION: &str = "configurationNamingContext";
const SCHEMA: &str = "schemaNamingContext";
const ALL: &str = "namingContexts";
/// How the names of those for DNS begin. Of others it is not known that nobody is in them: a
/// global catalog has those of other domains, too.
const OF_DNS: [&str; 2] = ["dc=domaindnszones,", "dc=forestdnszones,"];

/// The naming contexts of Active Directory in which nobody has a mailbox; none of other servers.
#[derive(Debug, Default)]
pub(super) struct SystemContexts(Vec<String>);

impl SystemContexts {
    /// As the root of a server says it (RFC 4512 §5.1).
    pub(super) fn of(root: &Entry) -> Self {
        let names = |attribute| {
            let values = root.values(attribute).iter();
            values.map(|value| plain(&String::from_utf8_lossy(value))).collect::<Vec<_>>()
        };
        let mut system = [names(CONFIGURATION), names(SCHEMA)].concat();
        if !system.is_empty() {
            let is_of_dns = |name: &String| OF_DNS.iter().any(|begins| name.starts_with(begins));
            system.extend(names(ALL).into_iter().filter(is_of_dns));
        }
        Self(system)
    }

    /// Whether nobody is missing who is only behind this reference, a URL of RFC 4516.
    pub(super) fn has(&self, reference: &str) -> bool {
        let rest = reference.split_once("://").map_or(reference, |(_, rest)| rest);
        let name = rest.split_once('/').map_or("", |(_, name)| name);
        let name = name.split('?').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        !name.is_empty() && self.0.contains(&plain(&name))
    }
}

/// Names are compared without regard to case, nor to spaces behind commas.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(", ", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(attributes: &[(&str, &[&str])]) -> SystemContexts {
        let attribute = |(name, values): &(&str, &[&str])| {
            ((*name).to_owned(), values.iter().map(|value| value.as_bytes().to_vec()).collect())
        };
        let attributes = attributes.iter().map(attribute).collect();
        SystemContexts::of(&Entry { name: String::new(), attributes, controls: Vec::new() })
    }

    #[test]
    fn contexts_without_people_are_no_lack_and_every_other_is() {
        // A global catalog holds a part of each domain of the forest.
        let all: &[&str] = &[
            "DC=example,DC=test",
            "DC=branch,DC=example,DC=test",
            "CN=Configuration,DC=example,DC=test",
            "DC=DomainDnsZones,DC=example,DC=test",
        ];
        let configuration: &[&str] = &["CN=Configuration,DC=example,DC=test"];
        let windows = contexts(&[(ALL, all), (CONFIGURATION, configuration)]);
        assert!(windows.has("ldap://example.test/CN=Configuration,DC=example,DC=test"));
        assert!(windows.has("ldap://D.example.test/dc=domaindnszones,%20dc=example,dc=test??sub"));
        for lacking in [
            "ldap://branch.example.test/DC=branch,DC=example,DC=test",
            "ldap://example.test/DC=example,DC=test",
            "ldap://example.test/OU=x,CN=Configuration,DC=example,DC=test",
            "ldap://example.test",
            "",
        ] {
            assert!(!windows.has(lacking), "{lacking}");
        }
        let other = contexts(&[(ALL, all)]);
        assert!(!other.has("ldap://example.test/DC=DomainDnsZones,DC=example,DC=test"));
    }
}
