//! Names and dates of a certificate (RFC 5280 §4.1), read from its DER.
//! Limits: no signature is checked and no chain is built; that is for whoever relies on it.

use super::connection::quoted;
use jiff::Timestamp;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Its DNS names (subjectAltName).
    pub names: Vec<String>,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
}

impl Certificate {
    /// Reads it; `None` when it has not the shape of a certificate.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.into_iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(quoted(name.as_bytes())),
            _ => None,
        });
        Some(Self {
            names: names.collect(),
            not_before: rfc_3339(validity.not_before)?,
            not_after: rfc_3339(validity.not_after)?,
        })
    }
}

fn rfc_3339(time: ASN1Time) -> Option<String> {
    Some(Timestamp::from_second(time.timestamp()).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_are_read() {
        let names = vec!["mx.example.test".to_owned(), "*.example.test".to_owned()];
        let mut params = rcgen::CertificateParams::new(names.clone()).unwrap();
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2055, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let read = Certificate::read(&der).unwrap();
        assert_eq!(read.names, names);
        assert_eq!(read.not_before, "2024-02-29T00:00:00Z");
        assert_eq!(read.not_after, "2055-01-02T00:00:00Z");
        for octets in 0..der.len() {
            assert_eq!(Certificate::read(&der[..octets]), None, "{octets}");
        }
    }
}
