//! How connections to one server are made and how long they are kept: what a pool of mail and a
//! call-out have in common. Which server, and how many connections, is left to them.

use crate::server::NextHopTls;
use crate::tls::client::{TrustError, client_config};
use mail::address::Domain;
use mail::smtp::client::TlsWish;
use mail::smtp::introduction::Introduction;
use std::sync::Arc;
use std::time::Duration;

/// How connections are made and kept.
#[derive(Clone, Debug)]
pub struct DialSettings {
    /// Our name in EHLO.
    pub hostname: Domain,
    /// How the server is told who the client is.
    pub introduction: Introduction,
    /// How long anything of it may take.
    pub bounds: Bounds,
    tls: NextHopTls,
    handshake: Option<Arc<rustls::ClientConfig>>,
}

/// What bounds a way.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Until the connection stands.
    pub connect_max: Duration,
    /// Until it has greeted us, agreed on TLS and is ready.
    pub greeting_max: Duration,
    /// How often it may be used.
    pub messages_max: u32,
}

impl DialSettings {
    /// Reads the authorities that are believed.
    /// # Errors
    /// When they cannot be loaded.
    pub fn new(
        hostname: &Domain,
        tls: &NextHopTls,
        introduction: Introduction,
        bounds: Bounds,
    ) -> Result<Self, TrustError> {
        Ok(Self {
            hostname: hostname.clone(),
            introduction,
            bounds,
            handshake: client_config(tls)?,
            tls: tls.clone(),
        })
    }

    /// What handshakes go by; `None` where there are none.
    #[must_use]
    pub fn handshake(&self) -> Option<&Arc<rustls::ClientConfig>> {
        self.handshake.as_ref()
    }

    /// Whether TLS is wanted.
    #[must_use]
    pub fn tls_wish(&self) -> TlsWish {
        match self.tls {
            NextHopTls::None => TlsWish::None,
            NextHopTls::Opportunistic => TlsWish::Opportunistic,
            NextHopTls::Require { .. } => TlsWish::Required,
        }
    }

    /// The name the certificate must bear, when it is not the host's.
    #[must_use]
    pub fn tls_name(&self) -> Option<&str> {
        match &self.tls {
            NextHopTls::Require { name, .. } => name.as_deref(),
            NextHopTls::None | NextHopTls::Opportunistic => None,
        }
    }
}
