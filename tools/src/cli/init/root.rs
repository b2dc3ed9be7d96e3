//! What a directory says of itself at its root (RFC 4512 §5.1): whose it is, and where its
//! addresses may be. Its words end up on a terminal and in a file, so they are made harmless here.
//! Limits: 5.5's root is known by what it lacks; an entry of it tells for sure (`directory.rs`).

use directory::ldap::{Entry, Preset};

/// What is asked for.
pub(super) const ATTRIBUTES: [&str; 9] = [
    "objectClass",
    "namingContexts",
    "vendorName",
    "vendorVersion",
    "supportedControl",
    "supportedCapabilities",
    "rootDomainNamingContext",
    "defaultNamingContext",
    "dsServiceName",
];

/// A directory has fewer trees; more are not looked at.
const BASES_MAX: usize = 8;
/// A name that is longer is not written into a configuration, in octets.
const NAME_OCTETS_MAX: usize = 512;
/// The most of what a vendor says of himself, in characters.
const VENDOR_CHARACTERS_MAX: usize = 60;
/// "This is an Active Directory" among `supportedCapabilities`.
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// What Microsoft's object identifiers begin with.
const MICROSOFT: &str = "1.2.840.113556.";
/// Trees without people.
const OTHER_TREES: [&str; 6] =
    ["cn=config", "cn=monitor", "cn=schema", "cn=accesslog", "cn=changelog", "dc=domaindnszones"];

/// What was understood of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// Whose it is, as far as that can be seen here.
    pub(super) preset: Option<Preset>,
    /// For people.
    pub(super) software: String,
    /// Below which its people may be, the likeliest first.
    pub(super) bases: Vec<String>,
}

impl Root {
    /// Reads it. A global catalogue has the whole forest, another port only its own domain.
    pub(super) fn read(entry: &Entry, is_catalogue: bool) -> Self {
        let all = |name: &str| -> Vec<String> {
            let values = entry.values(name).iter();
            let values = values.map(|value| String::from_utf8_lossy(value).into_owned());
            values.filter(|value| is_harmless(value)).collect()
        };
        let preset = preset(&all);
        let mut bases: Vec<String> = match preset {
            Some(Preset::ActiveDirectory) if is_catalogue => all("rootDomainNamingContext"),
            Some(Preset::ActiveDirectory) => all("defaultNamingContext"),
            _ => Vec::new(),
        };
        if bases.is_empty() {
            bases = all("namingContexts");
        }
        bases.retain(|base| {
            let base = base.to_ascii_lowercase();
            !base.is_empty() && !OTHER_TREES.iter().any(|other| base.starts_with(other))
        });
        bases.truncate(BASES_MAX);
        let vendor = [all("vendorName"), all("vendorVersion")].concat().join(" ");
        let software = match preset {
            Some(Preset::ActiveDirectory) => "Active Directory".to_owned(),
            Some(Preset::Exchange55) => "the directory of Exchange 5.5".to_owned(),
            _ if !vendor.is_empty() => vendor.chars().take(VENDOR_CHARACTERS_MAX).collect(),
            Some(Preset::OpenLdap) => "OpenLDAP".to_owned(),
            _ => "an LDAP server".to_owned(),
        };
        Self { preset, software, bases }
    }
}

fn preset(all: &impl Fn(&str) -> Vec<String>) -> Option<Preset> {
    let has = |name: &str| !all(name).is_empty();
    let begins = |name: &str, with: &str| all(name).iter().any(|value| value.starts_with(with));
    let is_openldap = all("objectClass").iter().any(|v| v.eq_ignore_ascii_case("OpenLDAProotDSE"));
    if has("rootDomainNamingContext") || begins("supportedCapabilities", ACTIVE_DIRECTORY) {
        Some(Preset::ActiveDirectory)
    } else if is_openldap || has("vendorName") {
        Some(Preset::OpenLdap)
    } else {
        // Before Active Directory, Microsoft's trees began with the organization.
        let is_microsoft = has("dsServiceName") || begins("supportedControl", MICROSOFT);
        let has_organization = all("namingContexts").iter().any(|name| {
            name.rsplit(',').next().is_some_and(|last| last.trim().to_lowercase().starts_with("o="))
        });
        (is_microsoft && has_organization).then_some(Preset::Exchange55)
    }
}

/// Neither a terminal nor a comment is to do what a server says.
fn is_harmless(value: &str) -> bool {
    value.len() <= NAME_OCTETS_MAX && !value.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &[&str])]) -> Entry {
        let attribute = |(name, values): &(&str, &[&str])| {
            let values = values.iter().map(|value| value.as_bytes().to_vec());
            ((*name).to_owned(), values.collect())
        };
        let attributes = attributes.iter().map(attribute).collect();
        Entry { name: String::new(), attributes, controls: Vec::new() }
    }

    #[test]
    fn active_directory_has_its_forest_in_the_catalogue_and_its_domain_elsewhere() {
        let root = entry(&[
            ("namingContexts", &["DC=x", "CN=Configuration,DC=example,DC=test"]),
            ("rootDomainNamingContext", &["DC=example,DC=test"]),
            ("defaultNamingContext", &["DC=emea,DC=example,DC=test"]),
            ("dsServiceName", &["CN=NTDS Settings,CN=DC1"]),
        ]);
        let catalogue = Root::read(&root, true);
        assert_eq!(catalogue.preset, Some(Preset::ActiveDirectory));
        assert_eq!(catalogue.bases, ["DC=example,DC=test"]);
        assert_eq!(Root::read(&root, false).bases, ["DC=emea,DC=example,DC=test"]);
    }

    #[test]
    fn exchange_is_an_organization_of_microsofts_that_is_no_active_directory() {
        let contexts: (&str, &[&str]) = ("namingContexts", &["o=Example", "ou=SITE,o=Example"]);
        let root = entry(&[contexts, ("supportedControl", &["1.2.840.113556.1.4.319"])]);
        assert_eq!(Root::read(&root, false).preset, Some(Preset::Exchange55));
        assert_eq!(Root::read(&entry(&[contexts]), false).preset, None, "any directory has an o=");
        let openldap: (&str, &[&str]) = ("objectClass", &["top", "OpenLDAProotDSE"]);
        let control: (&str, &[&str]) = ("supportedControl", &["1.2.840.113556.1.4.319"]);
        let root = Root::read(&entry(&[contexts, control, openldap]), false);
        assert_eq!(root.preset, Some(Preset::OpenLdap), "paged results are everybody's");
        assert_eq!(root.software, "OpenLDAP");
    }

    #[test]
    fn nothing_that_a_terminal_or_a_comment_would_obey_is_taken_from_a_server() {
        let contexts = &["dc=x\nstate_dir = \"/\"", "cn=config", "dc=example,dc=test"][..];
        let vendor = "v".repeat(500);
        let root = entry(&[("namingContexts", contexts), ("vendorName", &["\u{1b}[2J", &vendor])]);
        let root = Root::read(&root, false);
        assert_eq!(root.bases, ["dc=example,dc=test"]);
        assert_eq!(root.software.len(), VENDOR_CHARACTERS_MAX);
    }
}
