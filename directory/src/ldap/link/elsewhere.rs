//! Where else a server would have us look (RFC 4511 §4.5.3), less what is no lack: from the top of
//! a domain Active Directory names in each answer its own parts for configuration and DNS, where
//! nobody has a mailbox.

use super::Entry;
use percent_encoding::percent_decode_str;

/// What a server says of its parts.
pub(super) const ATTRIBUTES: [&str; 3] = [NAMING, DEFAULT, ROOT_DOMAIN];

const NAMING: &str = "namingContexts";
const DEFAULT: &str = "defaultNamingContext";
const ROOT_DOMAIN: &str = "rootDomainNamingContext";

/// The parts that a server holds beside the people of its domain, by name. Only servers that say
/// which part holds the people are believed to have such.
#[derive(Debug, Default)]
pub(super) struct Apart(Vec<String>);

impl Apart {
    /// As the root of a server says it (RFC 4512 §5.1).
    pub(super) fn of(root: &Entry) -> Self {
        let names = |attribute| {
            let values = root.values(attribute).iter();
            values.map(|value| plain(&String::from_utf8_lossy(value))).collect::<Vec<_>>()
        };
        let domains = [names(DEFAULT), names(ROOT_DOMAIN)].concat();
        if domains.is_empty() {
            return Self::default();
        }
        let mut parts = names(NAMING);
        parts.retain(|part| !domains.contains(part));
        Self(parts)
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

    fn apart(attributes: &[(&str, &[&str])]) -> Apart {
        let attribute = |(name, values): &(&str, &[&str])| {
            ((*name).to_owned(), values.iter().map(|value| value.as_bytes().to_vec()).collect())
        };
        let attributes = attributes.iter().map(attribute).collect();
        Apart::of(&Entry { name: String::new(), attributes, controls: Vec::new() })
    }

    #[test]
    fn parts_without_people_are_no_lack_and_every_other_is() {
        let naming: &[&str] = &[
            "DC=example,DC=test",
            "CN=Configuration,DC=example,DC=test",
            "DC=DomainDnsZones,DC=example,DC=test",
        ];
        let domain: &[&str] = &["DC=example,DC=test"];
        let windows = apart(&[(NAMING, naming), (DEFAULT, domain), (ROOT_DOMAIN, domain)]);
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
        let other = apart(&[(NAMING, naming)]);
        assert!(!other.has("ldap://example.test/CN=Configuration,DC=example,DC=test"));
    }
}
