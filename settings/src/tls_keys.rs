//! `tls`, `tls_ca`, `tls_fingerprint` and `tls_name` of a table that describes SMTP servers.

use crate::file;
use crate::table::context::LoadContext;
use crate::table::value::{Text, choice};
use hex::FromHex;
use rustls::pki_types::ServerName;
use wire::server::{NextHopTls, Trust};

/// `tls` of a server: whether TLS is used towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsUse {
    /// Never.
    None,
    /// Where it is offered.
    Opportunistic,
    /// Always.
    Require,
}

choice!(TlsUse { None = "none", Opportunistic = "opportunistic", Require = "require" });

/// As they were written.
pub struct TlsKeys<'a> {
    /// `tls`.
    pub tls: TlsUse,
    /// `tls_ca`.
    pub tls_ca: Option<&'a Text>,
    /// `tls_fingerprint`.
    pub tls_fingerprint: Option<&'a Text>,
    /// `tls_name`.
    pub tls_name: Option<&'a Text>,
}

impl TlsKeys<'_> {
    /// What they say for a server.
    pub fn read(&self, context: &mut LoadContext) -> NextHopTls {
        let keys = [self.tls_ca, self.tls_fingerprint, self.tls_name].into_iter().flatten();
        for text in keys.filter(|_| self.tls != TlsUse::Require) {
            let message = format!("`{}` without tls = \"require\"", text.path().key);
            context.refuse(
                text.wrong(message, "nothing would be verified")
                    .help("add tls = \"require\", or take this out"),
            );
        }
        let trust = trust(self.tls_ca, self.tls_fingerprint, context);
        if let Some(name) = self.tls_name {
            certificate_name(name, "exchange.example.test", context);
        }
        match self.tls {
            TlsUse::None => NextHopTls::None,
            TlsUse::Opportunistic => NextHopTls::Opportunistic,
            TlsUse::Require => {
                NextHopTls::Require { trust, name: self.tls_name.map(ToString::to_string) }
            }
        }
    }
}

/// Which certificates are believed: what `tls_ca` and `tls_fingerprint` of a table say, or the
/// system's roots.
pub fn trust(
    tls_ca: Option<&Text>,
    tls_fingerprint: Option<&Text>,
    context: &mut LoadContext,
) -> Trust {
    if let (Some(ca), Some(fingerprint)) = (tls_ca, tls_fingerprint) {
        context.refuse(
            ca.wrong("`tls_ca` beside `tls_fingerprint`", "one")
                .at(fingerprint.span(), "or the other")
                .help("a fingerprint believes one certificate, whoever has signed it"),
        );
    }
    let authorities = tls_ca.and_then(|ca| file::certificates(ca, context));
    match (authorities, tls_fingerprint.and_then(|text| fingerprint(text, context))) {
        (_, Some(digest)) => Trust::Fingerprint(digest),
        (Some((path, _)), None) => Trust::Authorities(path),
        (None, None) => Trust::SystemRoots,
    }
}

/// A name that a certificate may bear.
pub fn certificate_name(name: &Text, example: &str, context: &mut LoadContext) {
    if ServerName::try_from(name.as_str()).is_err() {
        let message = format!("\"{name}\" is no name for a certificate");
        context
            .refuse(name.wrong(message, "").help(format!("for example: tls_name = \"{example}\"")));
    }
}

/// 64 hex digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them.
fn fingerprint(text: &Text, context: &mut LoadContext) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let digest = FromHex::from_hex(&digits).ok();
    if digest.is_none() {
        let label = format!("expected 64 hex digits, found {} characters", digits.len());
        context.refuse(
            text.wrong("not a SHA-256 fingerprint", &label)
                .help("openssl x509 -in certificate.pem -noout -fingerprint -sha256 prints it"),
        );
    }
    digest
}
