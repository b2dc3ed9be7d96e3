//! SMTP servers that we speak to: where they are, how long we wait for them, whom we believe.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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

impl fmt::Display for NextHopHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
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
