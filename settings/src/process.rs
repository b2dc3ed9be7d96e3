//! What the process listens on, presents, writes and becomes.

use crate::table::value::choice;
use ipnet::IpNet;
use mail::address::Domain;
use mail::smtp::extension::Withheld;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// What it calls itself, where that is not the name of the process.
    pub hostname: Option<Domain>,
    /// The largest content that it takes, in octets, where that is its own.
    pub size_octets_max: Option<u64>,
    /// EHLO keywords that it does not say.
    pub withheld: Withheld,
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

choice!(ListenerTls { None = "none", StartTls = "starttls", Implicit = "implicit" });

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

choice!(LogFormat { Json = "json", Text = "text", Auto = "auto" });

/// `[dns]`: who is asked what the DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// None: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
}
