//! What a server says of itself (RFC 4512 §5.1), and from that the mark by which later changes are
//! told from earlier ones: a number that only this server counts, or a cookie.

use super::super::link::entry::Entry;
use super::super::link::{Link, Search};
use super::super::trouble::Problem;
use super::page::search;
use super::sync::SYNC_REQUEST;
use ldap3::Scope;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most of an answer, in octets.
const ANSWER_OCTETS_MAX: usize = 1 << 20;

/// Up to where changes are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// The update sequence number of one server, which means nothing to another.
    Usn {
        /// Which server, and which life of its database.
        server: String,
        /// Its highest before the list was read.
        highest: u64,
    },
    /// What a provider of RFC 4533 goes by.
    Cookie {
        /// Its octets.
        cookie: Vec<u8>,
    },
}

/// What a list is of, as it is kept in its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// When reading it whole began, in nanoseconds since 1970: which reading it was.
    pub(super) read: i64,
    /// `host:port` of the server it was read from.
    pub(super) from: String,
    /// Up to where changes are in it.
    pub(super) mark: Mark,
}

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct Root {
    /// The highest number it has given to a change.
    pub(super) highest: Option<u64>,
    /// Its name and the number of its database, as far as it says so.
    server: String,
    offers_sync: bool,
    contexts: Vec<String>,
}

/// Asks the root of a server.
pub(super) async fn root(link: &Link, patience: Duration) -> Result<Root, Problem> {
    let attributes = &[
        "highestCommittedUSN",
        "dsServiceName",
        "serverName",
        "dnsHostName",
        "namingContexts",
        "supportedControl",
    ];
    let found = entry(link, "", attributes, patience).await?;
    let texts = |attribute: &str| -> Vec<String> {
        let values = found.iter().flat_map(|root| root.values(attribute));
        values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    };
    let highest = texts("highestCommittedUSN").first().and_then(|text| text.parse().ok());
    let mut server = [texts("dsServiceName"), texts("serverName"), texts("dnsHostName")].concat();
    if let (Some(service), true) = (texts("dsServiceName").first(), highest.is_some()) {
        // Another one after the database was put back from a copy, whose numbers count anew.
        let service = entry(link, service, &["invocationId"], patience).await?;
        let life = service.iter().flat_map(|service| service.values("invocationId"));
        server.extend(life.map(|octets| format!("{octets:02x?}")));
    }
    Ok(Root {
        highest,
        server: server.join(" "),
        offers_sync: texts("supportedControl").iter().any(|oid| oid == SYNC_REQUEST),
        contexts: texts("namingContexts"),
    })
}

impl Root {
    /// The root of the tree that a name is in; the name itself where the server does not say.
    pub(super) fn context<'a>(&'a self, base: &'a str) -> &'a str {
        let plain = |name: &str| name.to_lowercase().replace(", ", ",");
        let wanted = plain(base);
        let above = self.contexts.iter().filter(|context| {
            let context = plain(context);
            let is_above = wanted.strip_suffix(&context);
            !context.is_empty()
                && is_above.is_some_and(|rest| rest.is_empty() || rest.ends_with(','))
        });
        above.max_by_key(|context| context.len()).map_or(base, String::as_str)
    }

    /// From where changes can be asked for afterwards; nothing where they cannot.
    pub(super) async fn mark(
        &self,
        link: &Link,
        base: &str,
        patience: Duration,
    ) -> Result<Option<Mark>, Problem> {
        if let Some(highest) = self.highest {
            return Ok(Some(Mark::Usn { server: self.server.clone(), highest }));
        }
        if !self.offers_sync {
            return Ok(None);
        }
        // A provider gives its cookie at the end of a refresh, which is sent in one piece and so
        // runs into limits of size. OpenLDAP's says no more than this attribute of the root.
        let root = entry(link, self.context(base), &["contextCSN"], patience).await?;
        let values = root.iter().flat_map(|root| root.values("contextCSN"));
        let mut states: Vec<String> =
            values.map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        states.sort_unstable();
        let cookie = format!("rid=000,csn={}", states.join(";")).into_bytes();
        Ok((!states.is_empty()).then_some(Mark::Cookie { cookie }))
    }
}

/// One entry by its name, when it is to be seen.
async fn entry(
    link: &Link,
    base: &str,
    attributes: &[&str],
    patience: Duration,
) -> Result<Option<Entry>, Problem> {
    let wanted = Search {
        base,
        scope: Scope::Base,
        filter: "(objectClass=*)",
        attributes,
        entries_max: 0,
        octets_max: ANSWER_OCTETS_MAX,
        controls: Vec::new(),
    };
    // What it does not let us see, it does not have.
    Ok(search(link, &wanted, patience).await?.entries.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_entries_are_looked_for_from_the_root_of_the_tree() {
        let contexts = ["DC=example,DC=test", "CN=Configuration,DC=example,DC=test", "DC=test"];
        let contexts = contexts.map(str::to_owned).to_vec();
        let root = Root { highest: None, server: String::new(), offers_sync: false, contexts };
        for (base, context) in [
            ("ou=People, dc=EXAMPLE,dc=test", "DC=example,DC=test"),
            ("dc=example,dc=test", "DC=example,DC=test"),
            ("dc=counterexample,dc=test", "DC=test"),
            ("o=Other", "o=Other"),
            ("", ""),
        ] {
            assert_eq!(root.context(base), context, "{base}");
        }
    }
}
