//! Why a server's certificate is not believed, in a sentence for each cause, and what to do.

use super::key::NotShown;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error, OtherError};
use std::error::Error as StdError;
use std::io;

/// A cause and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A sentence without a full stop: what is wrong with the certificate.
    pub what: String,
    /// The keys that help, and how to fill them in.
    pub remedy: &'static str,
}

const SIGNED: &str = "`tls_ca`: a PEM file of the authority that signed it, or of the certificate \
    itself; or `tls_fingerprint`, which openssl s_client -connect HOST:PORT </dev/null | openssl \
    x509 -noout -fingerprint -sha256 prints (with -starttls smtp or ldap where TLS begins so)";
const ITSELF: &str = "believe this one certificate: `tls_ca`, with a PEM file of it, or \
    `tls_fingerprint`, which openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout \
    -fingerprint -sha256 prints (with -starttls smtp or ldap where TLS begins so)";
const NAME: &str = "if that is the server you mean, `tls_name` is the name in the certificate (in \
    `[[http]]` the host of `url` is)";
const DATES: &str = "renew it on the server, or look at both clocks; meanwhile `tls_fingerprint`, \
    which openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -fingerprint \
    -sha256 prints (with -starttls smtp or ldap where TLS begins so), does not look at dates";
const CHANGED: &str = "if the server has a new certificate, `tls_fingerprint` is to be that of the \
    new one: openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -fingerprint \
    -sha256 prints it (with -starttls smtp or ldap where TLS begins so)";

/// The cause, where it is the certificate.
#[must_use]
pub fn of_certificate(error: &Error) -> Option<Cause> {
    use CertificateError as Wrong;
    let Error::InvalidCertificate(wrong) = error else { return None };
    let (what, remedy) = match wrong {
        Wrong::UnknownIssuer => {
            ("nobody who is believed has signed the server's certificate".to_owned(), SIGNED)
        }
        Wrong::ExpiredContext { not_after, .. } => {
            (format!("the server's certificate ended on {}", day(*not_after)), DATES)
        }
        Wrong::Expired => ("the server's certificate has ended".to_owned(), DATES),
        Wrong::NotValidYetContext { not_before, .. } => {
            (format!("the server's certificate begins only on {}", day(*not_before)), DATES)
        }
        Wrong::NotValidYet => ("the server's certificate has not begun yet".to_owned(), DATES),
        Wrong::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            let what = "the server's certificate bears no name but, at most, a CN, which does not \
                        count";
            (what.to_owned(), ITSELF)
        }
        Wrong::NotValidForNameContext { expected, presented } => {
            let (expected, theirs) = (expected.to_str(), names(presented));
            (format!("the server's certificate is for {theirs}, and not for {expected}"), NAME)
        }
        Wrong::NotValidForName => ("the server's certificate is for another name".to_owned(), NAME),
        Wrong::ApplicationVerificationFailure => {
            let what = "the server's certificate is not the one of `tls_fingerprint`";
            (what.to_owned(), CHANGED)
        }
        Wrong::Other(OtherError(other)) if other.is::<NotShown>() => {
            (format!("of the server: {other}"), "a key of 2,048 bits or more for the server")
        }
        Wrong::Other(OtherError(other)) => (of_form(&**other), ITSELF),
        Wrong::BadSignature => {
            let what = "an authority that is called like one in `tls_ca`, but has another key, \
                        has signed the server's certificate";
            (what.to_owned(), SIGNED)
        }
        other => (format!("the server's certificate is not fit: {other}"), ITSELF),
    };
    Some(Cause { what, remedy })
}

/// The cause of a handshake's end, where it is the certificate.
#[must_use]
pub fn of_handshake(error: &io::Error) -> Option<Cause> {
    of_certificate(error.get_ref()?.downcast_ref::<Error>()?)
}

fn of_form(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<webpki::Error>() {
        Some(webpki::Error::CaUsedAsEndEntity) => {
            "the server's certificate is that of an authority (CA:TRUE)".to_owned()
        }
        Some(webpki::Error::UnsupportedCertVersion) => {
            "the server's certificate is of version 1".to_owned()
        }
        _ => format!("the server's certificate is not fit: {error}"),
    }
}

/// `DnsName("a.example.test")` is how they are told.
fn names(presented: &[String]) -> String {
    let bare = presented.iter().map(|name| match name.split_once('"') {
        Some((_, rest)) => rest.trim_end_matches([')', '"']),
        None => name,
    });
    bare.collect::<Vec<_>>().join(", ")
}

/// `3 March 2026`, in UTC.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match Timestamp::from_second(seconds) {
        Ok(at) => at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y").to_string(),
        Err(_) => "a day beyond all years".to_owned(),
    }
}
