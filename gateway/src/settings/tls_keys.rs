//! `tls`, `tls_ca`, `tls_fingerprint` and `tls_name` of a table that describes SMTP servers.

use crate::settings::file;
use crate::settings::server::{NextHopTls, TlsUse, Trust};
use crate::settings::site::Site;
use crate::settings::value::Text;
use rustls::pki_types::ServerName;

/// As they were written.
pub(crate) struct TlsKeys<'a> {
    pub(crate) tls: TlsUse,
    pub(crate) tls_ca: Option<&'a Text>,
    pub(crate) tls_fingerprint: Option<&'a Text>,
    pub(crate) tls_name: Option<&'a Text>,
}

impl TlsKeys<'_> {
    /// What they say for a server.
    pub(crate) fn read(&self, site: &mut Site) -> NextHopTls {
        let trust = [self.tls_ca, self.tls_fingerprint, self.tls_name].into_iter().flatten();
        for text in trust.filter(|_| self.tls != TlsUse::Require) {
            let message = format!("`{}` without tls = \"require\"", text.path().key);
            site.refuse(
                text.wrong(message, "nothing would be verified")
                    .help("add tls = \"require\", or take this out"),
            );
        }
        if let (Some(ca), Some(fingerprint)) = (self.tls_ca, self.tls_fingerprint) {
            site.refuse(
                ca.wrong("`tls_ca` beside `tls_fingerprint`", "one")
                    .at(fingerprint.span(), "or the other")
                    .help("a fingerprint believes one certificate, whoever has signed it"),
            );
        }
        let authorities = self.tls_ca.and_then(|ca| file::certificates(ca, site));
        let fingerprint = self.tls_fingerprint.and_then(|text| fingerprint(text, site));
        if let Some(name) = self.tls_name {
            certificate_name(name, "exchange.example.test", site);
        }
        match self.tls {
            TlsUse::None => NextHopTls::None,
            TlsUse::Opportunistic => NextHopTls::Opportunistic,
            TlsUse::Require => {
                let trust = match (authorities, fingerprint) {
                    (_, Some(digest)) => Trust::Fingerprint(digest),
                    (Some((path, _)), None) => Trust::Authorities(path),
                    (None, None) => Trust::SystemRoots,
                };
                NextHopTls::Require { trust, name: self.tls_name.map(ToString::to_string) }
            }
        }
    }
}

/// A name that a certificate may bear.
pub(crate) fn certificate_name(name: &Text, example: &str, site: &mut Site) {
    if ServerName::try_from(name.as_str()).is_err() {
        let message = format!("\"{name}\" is no name for a certificate");
        site.refuse(name.wrong(message, "").help(format!("for example: tls_name = \"{example}\"")));
    }
}

/// 64 hex digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them.
fn fingerprint(text: &Text, site: &mut Site) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let nibbles: Option<Vec<u8>> = digits
        .iter()
        .map(|b| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let octets: Option<Vec<u8>> = nibbles
        .map(|nibbles| nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[pair.len() - 1]).collect());
    let digest = octets.filter(|_| digits.len() == 64).and_then(|octets| octets.try_into().ok());
    if digest.is_none() {
        site.refuse(
            text.wrong(
                "not a SHA-256 fingerprint",
                &format!("expected 64 hex digits, found {} characters", digits.len()),
            )
            .help("openssl x509 -in certificate.pem -noout -fingerprint -sha256 prints it"),
        );
    }
    digest
}
