//! What the program uses: plain data, checked, with every default filled in and every path
//! absolute. Built by `build`, never changed; a new configuration is a new value.

use super::mistake::Mistake;
use super::networks::Networks;
use crate::directory::SourceSettings;
use ipnet::IpNet;
use mail::address::{Domain, Mailbox};
use relay::settings::{DomainId, DomainSettings, Settings};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// What the rules and the exchange read.
    pub settings: Arc<Settings>,
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// Our certificate. Always there when a listener speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Clients that are not strangers.
    pub networks: Networks,
    /// Who takes mail; `relay::settings::NextHopId` counts into it.
    pub next_hops: Vec<NextHop>,
    /// Where the addresses of each domain come from; `relay::settings::DomainId` counts into it.
    pub domains: Vec<DomainSources>,
    /// Where events are written.
    pub log: Log,
    /// Where figures are read, when they are.
    pub metrics: Option<SocketAddr>,
    /// Directory for what outlives a restart.
    pub state_dir: Option<PathBuf>,
    /// Who to become once the listeners are open.
    pub drop_to: Option<DropTo>,
    /// Whether to start although a recipient source cannot be used.
    pub starts_without_sources: bool,
    /// What the operator should know; the program may run.
    pub warnings: Vec<Mistake>,
}

/// One `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What it listens on.
    pub address: ListenAddress,
    /// Whether and when TLS begins.
    pub tls: ListenerTls,
    /// Who must send a PROXY header; `None` where there is none to be read. Never empty.
    /// To be compared with the peer's canonical address (`IpAddr::to_canonical`).
    pub proxy_from: Option<Vec<IpNet>>,
    /// How long the greeting is held back.
    pub greeting_delay: Duration,
}

/// What a listener listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A socket of our own. Port 0 lets the system choose.
    Socket(SocketAddr),
    /// The n-th socket that systemd has opened, from 0.
    InheritedIndex(usize),
    /// The socket that systemd has opened under this `FileDescriptorName`.
    InheritedName(String),
}

/// Whether and when TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// Not at all.
    None,
    /// After STARTTLS (RFC 3207).
    StartTls,
    /// At once.
    Implicit,
}

/// `[tls]`: two files that were read and found to belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// One `[[network]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// For the log.
    pub name: String,
    /// Its addresses, without host bits.
    pub addresses: Vec<IpNet>,
    /// No rate, harvest, error-count, messages-per-session or per-client connection limits.
    pub limits_lifted: bool,
    /// A bare CR or LF in content becomes CRLF instead of a refusal.
    pub normalizes_line_endings: bool,
    /// Whoever writes from here with an address of ours is taken to have it.
    pub teaches: bool,
}

/// One `[[next_hop]]`, or the address that a domain gave instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// `None` where a domain gave only an address.
    pub name: Option<String>,
    /// In the order they are tried; at least one.
    pub hosts: Vec<NextHopHost>,
    /// Whether TLS is used, and what is believed.
    pub tls: NextHopTls,
    /// Connections to each host.
    pub connections_max: u32,
    /// How long a connection is kept without mail.
    pub idle_max: Duration,
    /// How old a connection may grow.
    pub age_max: Duration,
    /// Messages handed over one connection.
    pub messages_max: u32,
    /// How it is told who the client is.
    pub client_details: ClientDetails,
    /// The longest line of content it stands, in octets without CRLF.
    pub content_line_octets_max: Option<u32>,
    /// Until the connection stands.
    pub connect_max: Duration,
    /// Until its greeting.
    pub greeting_max: Duration,
    /// Until the reply to a command.
    pub command_max: Duration,
    /// Until the reply to DATA, and for each write of content.
    pub data_max: Duration,
    /// Until the reply to the final dot.
    pub final_reply_max: Duration,
    /// Failures in a row after which a host is left alone.
    pub breaker_failures: u32,
    /// How long it is left alone.
    pub breaker_retry: Duration,
}

/// One server: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextHopHost {
    /// A name in lower case, or an IP address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// Whether TLS is used towards a next hop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NextHopTls {
    /// Never.
    None,
    /// Where it is offered; any certificate is believed.
    Opportunistic,
    /// Always; never without verification.
    Require {
        /// What is believed.
        trust: Trust,
        /// The name the certificate must bear, when it is not the host's.
        name: Option<String>,
    },
}

/// What makes a next hop's certificate believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The roots that the system trusts.
    SystemRoots,
    /// The authorities in this PEM file.
    Authorities(PathBuf),
    /// This SHA-256 of the certificate's DER; neither name nor dates count.
    Fingerprint([u8; 32]),
}

/// How a next hop is told who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDetails {
    /// By what it offers.
    Auto,
    /// By XFORWARD.
    Xforward,
    /// By XCLIENT.
    Xclient,
    /// Not at all.
    None,
}

/// Where the addresses of one domain come from, and what is known of them beside that.
#[derive(Clone, Debug)]
pub struct DomainSources {
    /// Its name.
    pub name: Domain,
    /// Further names; addresses under them are looked up under `name`.
    pub aliases: Vec<Domain>,
    /// In the order they are asked; at least one.
    pub sources: Vec<SourceEntry>,
    /// An address that every source must know.
    pub canary: Option<Mailbox>,
    /// An address that no source can say anything of is accepted.
    pub accepts_in_outage: bool,
    /// Mail that is accepted and discarded.
    pub bitbucket: Vec<BitbucketRule>,
    /// Mail that is refused with a text.
    pub leavers: Vec<LeaverRule>,
}

/// A file of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileSettings {
    /// Where it is; it was readable when the configuration was read.
    pub path: PathBuf,
    /// How it is written.
    pub format: FileFormat,
}

/// How a file of addresses is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// One address a line.
    Lines,
    /// With columns.
    Csv,
}

/// One of `recipients`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEntry {
    /// What it is.
    pub settings: SourceSettings,
    /// Where the configuration says so: the name of its table, or the entry itself.
    pub place: Range<usize>,
}

/// A source and who lists it: one that is shared is opened once, for all of its domains.
#[derive(Clone, Debug)]
pub struct ListedSource<'a> {
    /// The source.
    pub settings: &'a SourceSettings,
    /// Where the configuration says so first.
    pub place: Range<usize>,
    /// In the order of the configuration; at least one.
    pub domains: Vec<(DomainId, &'a DomainSettings, &'a DomainSources)>,
}

/// Each source once, in the order of the configuration.
#[must_use]
pub fn listed<'a>(
    settings: &'a [DomainSettings],
    sources: &'a [DomainSources],
) -> Vec<ListedSource<'a>> {
    let mut all: Vec<ListedSource<'a>> = Vec::new();
    let mut places: HashMap<&SourceSettings, usize> = HashMap::new();
    for (n, (settings, sources)) in (0..).zip(settings.iter().zip(sources)) {
        for entry in &sources.sources {
            let place = *places.entry(&entry.settings).or_insert_with(|| {
                let (settings, place) = (&entry.settings, entry.place.clone());
                all.push(ListedSource { settings, place, domains: Vec::new() });
                all.len() - 1
            });
            let domains = &mut all[place].domains;
            // To list a source twice for one domain is a mistake that has been told.
            if domains.last().is_none_or(|(last, ..)| *last != DomainId(n)) {
                domains.push((DomainId(n), settings, sources));
            }
        }
    }
    all
}

/// One of `bitbucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitbucketRule {
    /// `local-part@domain`, where `*` in the local part stands for any characters.
    pub pattern: String,
    /// Why.
    pub reason: String,
}

/// One of `leavers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaverRule {
    /// `local-part@domain`, where `*` in the local part stands for any characters.
    pub pattern: String,
    /// What the client hears: printable ASCII, at most 400 octets.
    pub text: String,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `None`: standard output.
    pub file: Option<PathBuf>,
    /// How an event is written.
    pub format: LogFormat,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
    /// Text on a terminal, else JSON.
    Auto,
}

/// `user` and `group`, which exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTo {
    /// Its name.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// The group's name.
    pub group: String,
    /// The group's number.
    pub gid: u32,
}
