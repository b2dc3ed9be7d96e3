//! Finds a directory: at the host that was named, else at the next hop's own, on the usual ports.
//! What it is, how it is reached, and whether somebody without a name finds addresses there.
//! Nobody's password is used. What follows for the configuration is left to `sources.rs`.

use super::root::{self, Root};
use directory::ldap::{DialSettings, Link, NoReply, Preset, Protection, Reply, Search};
use ldap3::Scope;
use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wire::server::{NextHopTls, Trust};
use wire::tls::client::client_config;

/// LDAPS, LDAP, where Exchange 5.5 moves to beside Active Directory, and the global catalogue.
const PORTS: [u16; 5] = [636, 389, 390, 3268, 3269];
/// Those of the global catalogue.
const CATALOGUE: [u16; 2] = [3268, 3269];
/// Until somebody listens there; somebody waits at a terminal.
const REACHED_MAX: Duration = Duration::from_secs(2);
/// Until a connection stands, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(4);
/// Until the answer to one search.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The most that is taken for an answer, in octets.
const ANSWER_OCTETS_MAX: usize = 256 << 10;

/// A directory, as far as it shows itself to somebody without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// A name, or an IP address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) protection: Protection,
    /// For people.
    pub(super) software: String,
    pub(super) preset: Preset,
    pub(super) base: String,
    /// Why its certificate is not believed, when it is not.
    pub(super) untrusted: Option<String>,
    pub(super) shows: Shows,
}

/// What somebody without a name finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Addresses of the domain.
    Addresses,
    /// None of them.
    Nothing,
    /// It refuses to search, with this result code (RFC 4511 §4.1.9), or none that came.
    Refuses(Option<u32>),
}

/// One port that speaks LDAP.
struct Seen {
    port: u16,
    protection: Protection,
    link: Link,
    root: Root,
}

impl Found {
    /// Where it is, as a configuration has it.
    pub(super) fn server(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Whether it can answer as it is: nothing about it must be filled in. Exchange 5.5 hides
    /// mailboxes from all but its administrator, and they receive mail like any other.
    pub(super) fn is_ready(&self) -> bool {
        self.untrusted.is_none() && !self.needs_name()
    }

    /// Whether it must be told who asks.
    pub(super) fn needs_name(&self) -> bool {
        self.shows != Shows::Addresses || self.preset == Preset::Exchange55
    }

    /// Whether it may be listed although something must be filled in: then it answers nothing,
    /// which costs 451. What shows a part of its people would have the others refused.
    pub(super) fn may_wait(&self) -> bool {
        self.untrusted.is_some() || self.shows != Shows::Addresses || self.is_ready()
    }
}

/// Host and port of `host`, `host:port`, `[IPv6]:port` or an IPv6 address; `None` when malformed.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else if let Some(host) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        (host, None)
    } else if let Some((host, port)) = text.rsplit_once(':') {
        (host.trim_start_matches('[').trim_end_matches(']'), Some(port.parse().ok()?))
    } else {
        (text, None)
    };
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
        && (!host.contains(':') || host.parse::<Ipv6Addr>().is_ok());
    (is_host && port != Some(0)).then_some((host, port))
}

/// Looks for one at a host, on one port or on the usual ones; `domain` is in A-labels.
/// # Errors
/// Why there is none that can be used.
pub(super) async fn find(host: &str, port: Option<u16>, domain: &str) -> Result<Found, String> {
    let ports = port.map_or(PORTS.to_vec(), |port| vec![port]);
    let mut looking = JoinSet::new();
    for port in ports {
        let host = host.to_owned();
        looking.spawn(async move { look(&host, port).await });
    }
    let (mut best, mut why): (Option<Seen>, _) = (None, None);
    while let Some(looked) = looking.join_next().await {
        match looked {
            Ok(Ok(seen)) if best.as_ref().is_none_or(|best| worth(&seen) > worth(best)) => {
                best = Some(seen);
            }
            Ok(Err(Some(error))) => why = Some(error),
            Ok(Ok(_) | Err(None)) | Err(_) => {}
        }
    }
    let Some(seen) = best else {
        return Err(why.unwrap_or_else(|| "nobody there speaks LDAP".to_owned()));
    };
    if host.contains(':') && seen.protection != Protection::Plain {
        return Err("an IPv6 address bears no certificate; say the host's name".to_owned());
    }
    found(host, seen, domain).await
}

/// The mail server's own directory before the network's, TLS before none, the global catalogue
/// before one domain.
fn worth(seen: &Seen) -> impl Ord + use<> {
    let is_catalogue = CATALOGUE.contains(&seen.port);
    (
        seen.root.preset == Some(Preset::Exchange55),
        seen.protection != Protection::Plain,
        seen.root.preset == Some(Preset::ActiveDirectory) && is_catalogue,
        seen.protection == Protection::Ldaps,
        // Whoever answers first must not decide.
        Reverse(seen.port),
    )
}

/// What may be spoken on a port, the best first.
fn ways(port: u16) -> &'static [Protection] {
    use Protection::{Ldaps, Plain, StartTls};
    match port {
        636 | 3269 => &[Ldaps],
        389 | 390 | 3268 => &[StartTls, Plain],
        _ => &[Ldaps, StartTls, Plain],
    }
}

/// Why there is nothing, when somebody listened there.
async fn look(host: &str, port: u16) -> Result<Seen, Option<String>> {
    match timeout(REACHED_MAX, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => return Err(None),
    }
    let mut why = None;
    for &protection in ways(port) {
        // Whose certificate it is, is seen later.
        match open(host, port, protection, &NextHopTls::Opportunistic).await {
            Ok(link) => match read_root(&link, port).await {
                Ok(root) => return Ok(Seen { port, protection, link, root }),
                Err(error) => why = Some(error),
            },
            Err(error) => why = Some(error),
        }
    }
    Err(why)
}

async fn open(
    host: &str,
    port: u16,
    protection: Protection,
    tls: &NextHopTls,
) -> Result<Link, String> {
    let tls = match protection {
        Protection::Plain => None,
        _ => client_config(tls).map_err(|error| error.to_string())?,
    };
    let way = DialSettings {
        host: host.to_owned(),
        port,
        protection,
        tls,
        tls_name: None,
        bind: None,
        connect_max: CONNECT_MAX,
    };
    Link::open(way, 0).await.map_err(|problem| problem.what)
}

async fn read_root(link: &Link, port: u16) -> Result<Root, String> {
    let search = Search {
        base: "",
        scope: Scope::Base,
        filter: "(objectClass=*)",
        attributes: &root::ATTRIBUTES,
        entries_max: 1,
        octets_max: ANSWER_OCTETS_MAX,
        controls: Vec::new(),
    };
    let reply = asked(link, &search).await?;
    let entry = reply.entries.first().ok_or("it shows no root")?;
    Ok(Root::read(entry, CATALOGUE.contains(&port)))
}

async fn asked(link: &Link, search: &Search<'_>) -> Result<Reply, String> {
    link.search(search, ANSWER_MAX).await.map_err(|error| match error {
        NoReply::Lost(why) => why,
        NoReply::Trouble(problem) => problem.what,
    })
}

async fn found(host: &str, seen: Seen, domain: &str) -> Result<Found, String> {
    let Seen { port, protection, link, root } = seen;
    let mut shows = Shows::Nothing;
    let mut place = None;
    for base in &root.bases {
        match people(&link, base, root.preset, domain).await {
            Ok(preset) => {
                place = Some((base.clone(), preset));
                shows = Shows::Addresses;
                break;
            }
            Err(refusal) if shows == Shows::Nothing => shows = refusal,
            Err(_) => {}
        }
    }
    let (base, preset) = match place {
        Some(place) => place,
        None => (likeliest(&root.bases, domain)?, root.preset.unwrap_or(Preset::OpenLdap)),
    };
    let untrusted = match protection {
        Protection::Plain => None,
        _ => {
            let tls = NextHopTls::Require { trust: Trust::SystemRoots, name: None };
            open(host, port, protection, &tls).await.err()
        }
    };
    let (host, software) = (host.to_owned(), root.software);
    Ok(Found { host, port, protection, software, preset, base, untrusted, shows })
}

/// The tree of the domain's name, else the first.
fn likeliest(bases: &[String], domain: &str) -> Result<String, String> {
    let named = format!("dc={}", domain.replace('.', ",dc="));
    let same = |base: &&String| base.replace(' ', "").eq_ignore_ascii_case(&named);
    let base = bases.iter().find(same).or(bases.first());
    base.cloned().ok_or_else(|| "it does not show what it holds (namingContexts)".to_owned())
}

/// Looks for one address of the domain, wherever any of the presets would. The entry tells whose
/// it is, whatever stands before it: OpenLDAP also holds copies of other directories.
async fn people(
    link: &Link,
    base: &str,
    preset: Option<Preset>,
    domain: &str,
) -> Result<Preset, Shows> {
    let catalogue = format!("(proxyAddresses=smtp:*@{domain})");
    let filter = match preset {
        Some(Preset::ActiveDirectory) => catalogue,
        _ => format!(
            "(|(mail=*@{domain})(mailLocalAddress=*@{domain})(mailAlternateAddress=*@{domain})\
             (rfc822Mailbox=*@{domain})(otherMailbox=smtp*@{domain}){catalogue})"
        ),
    };
    let search = Search {
        base,
        scope: Scope::Subtree,
        filter: &filter,
        attributes: &["Obj-Dist-Name", "proxyAddresses"],
        entries_max: 1,
        octets_max: ANSWER_OCTETS_MAX,
        controls: Vec::new(),
    };
    let reply = asked(link, &search).await.map_err(|_| Shows::Refuses(None))?;
    let Some(entry) = reply.entries.first() else {
        return Err(match reply.result.rc {
            0 => Shows::Nothing,
            code => Shows::Refuses(Some(code)),
        });
    };
    Ok(match preset {
        Some(preset @ (Preset::ActiveDirectory | Preset::Exchange55)) => preset,
        _ if !entry.values("Obj-Dist-Name").is_empty() => Preset::Exchange55,
        _ if !entry.values("proxyAddresses").is_empty() => Preset::ActiveDirectory,
        _ => Preset::OpenLdap,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_a_host_with_or_without_a_port() {
        assert_eq!(host_and_port("dc1.example.test"), Some(("dc1.example.test", None)));
        assert_eq!(host_and_port("10.0.0.5:390"), Some(("10.0.0.5", Some(390))));
        assert_eq!(host_and_port("[2001:db8::1]:636"), Some(("2001:db8::1", Some(636))));
        assert_eq!(host_and_port("2001:db8::1"), Some(("2001:db8::1", None)));
        assert_eq!(host_and_port("[2001:db8::1]"), Some(("2001:db8::1", None)));
        for wrong in ["", ":389", "dc1:", "dc1:0", "dc1:70000", "ldap://dc1", "a b", "x\n", "a:b:1"]
        {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn without_people_the_tree_of_the_domain_is_the_likeliest() {
        let bases = ["o=Other".to_owned(), "DC=Example, DC=test".to_owned()];
        assert_eq!(likeliest(&bases, "example.test").unwrap(), bases[1]);
        assert_eq!(likeliest(&bases, "example.org").unwrap(), bases[0]);
        assert!(likeliest(&[], "example.test").is_err());
    }

    #[test]
    fn what_shows_only_a_part_of_its_people_may_not_be_asked_before_it_shows_all() {
        let exchange = Found {
            host: "10.0.0.5".into(),
            port: 390,
            protection: Protection::Plain,
            software: String::new(),
            preset: Preset::Exchange55,
            base: "o=Example".into(),
            untrusted: None,
            shows: Shows::Addresses,
        };
        assert!(!exchange.is_ready() && !exchange.may_wait());
        let silent = Found { shows: Shows::Nothing, ..exchange.clone() };
        assert!(!silent.is_ready() && silent.may_wait());
        let openldap = Found { preset: Preset::OpenLdap, ..exchange };
        assert!(openldap.is_ready() && openldap.may_wait());
    }
}
