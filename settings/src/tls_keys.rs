//! `tls`, `tls_ca`, `tls_fingerprint` and `tls_name` of a table that describes SMTP servers.

use crate::file;
use crate::server::{NextHopTls, Trust};
use crate::site::{Site, Text, at, word};
use hex::FromHex;
use rustls::pki_types::ServerName;

/// As they were written.
pub struct TlsKeys<'a> {
    /// `tls`.
    pub tls: Option<&'a Text>,
    /// `tls_ca`.
    pub tls_ca: Option<&'a Text>,
    /// `tls_fingerprint`.
    pub tls_fingerprint: Option<&'a Text>,
    /// `tls_name`.
    pub tls_name: Option<&'a Text>,
}

impl TlsKeys<'_> {
    /// What they say for a server of this table.
    pub fn read(&self, table: &str, site: &mut Site) -> NextHopTls {
        let trust = [
            ("tls_ca", self.tls_ca),
            ("tls_fingerprint", self.tls_fingerprint),
            ("tls_name", self.tls_name),
        ];
        let word = word(self.tls, "opportunistic");
        if word != "require" {
            for (key, text) in trust {
                if let Some(text) = text {
                    site.refuse(
                        at(
                            &format!("{table}.{key}"),
                            text,
                            format!("`{key}` without tls = \"require\""),
                            "nothing would be verified",
                        )
                        .help("add tls = \"require\", or take this out"),
                    );
                }
            }
        }
        if let (Some(ca), Some(fingerprint)) = (self.tls_ca, self.tls_fingerprint) {
            site.refuse(
                at(&format!("{table}.tls_ca"), ca, "`tls_ca` beside `tls_fingerprint`", "one")
                    .at(fingerprint.span(), "or the other")
                    .help("a fingerprint believes one certificate, whoever has signed it"),
            );
        }
        let authorities =
            self.tls_ca.map(|ca| file::certificates(&format!("{table}.tls_ca"), ca, site));
        let fingerprint = self.tls_fingerprint.map(|text| fingerprint(table, text, site));
        if let Some(name) = self.tls_name
            && ServerName::try_from(name.get_ref().as_str()).is_err()
        {
            let message = format!("\"{}\" is no name for a certificate", name.get_ref());
            site.refuse(
                at(&format!("{table}.tls_name"), name, message, "")
                    .help("for example: tls_name = \"exchange.example.test\""),
            );
        }
        match word {
            "none" => NextHopTls::None,
            "require" => {
                let trust = match (authorities.flatten(), fingerprint.flatten()) {
                    (_, Some(digest)) => Trust::Fingerprint(digest),
                    (Some((path, _)), None) => Trust::Authorities(path),
                    (None, None) => Trust::SystemRoots,
                };
                let name = self.tls_name.map(|name| name.get_ref().clone());
                NextHopTls::Require { trust, name }
            }
            _ => NextHopTls::Opportunistic,
        }
    }
}

/// 64 hex digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them.
fn fingerprint(table: &str, text: &Text, site: &mut Site) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.get_ref().bytes().filter(|b| *b != b':').collect();
    let digest = FromHex::from_hex(&digits).ok();
    if digest.is_none() {
        site.refuse(
            at(
                &format!("{table}.tls_fingerprint"),
                text,
                "not a SHA-256 fingerprint",
                &format!("expected 64 hex digits, found {} characters", digits.len()),
            )
            .help("openssl x509 -in certificate.pem -noout -fingerprint -sha256 prints it"),
        );
    }
    digest
}
