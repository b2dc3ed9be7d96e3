//! Names and dates of a certificate (RFC 5280 §4.1), read from its DER.
//! Limits: no signature is checked and no chain is built; that is for whoever relies on it.

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Its DNS names (subjectAltName).
    pub names: Vec<String>,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

impl Certificate {
    /// Reads it; `None` when it has not the shape of a certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (mut outer, _) = expect(der, SEQUENCE)?;
        let mut body = take(&mut outer, SEQUENCE)?;
        if body.first() == Some(&VERSION) {
            take(&mut body, VERSION)?;
        }
        take(&mut body, INTEGER)?;
        take(&mut body, SEQUENCE)?; // signature algorithm
        take(&mut body, SEQUENCE)?; // issuer
        let mut validity = take(&mut body, SEQUENCE)?;
        let not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        take(&mut body, SEQUENCE)?; // subject
        take(&mut body, SEQUENCE)?; // key
        let mut names = Vec::new();
        while let Some((tag, value, rest)) = element(body) {
            if tag == EXTENSIONS {
                names = alternative_names(value).unwrap_or_default();
            }
            body = rest;
        }
        Some(Self { names, not_before, not_after })
    }
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let (mut list, _) = expect(extensions, SEQUENCE)?;
    while !list.is_empty() {
        let mut extension = take(&mut list, SEQUENCE)?;
        if take(&mut extension, OBJECT_ID)? != SUBJECT_ALT_NAME {
            continue;
        }
        let mut value = None;
        while let Some((tag, inner, rest)) = element(extension) {
            value = (tag == OCTET_STRING).then_some(inner).or(value);
            extension = rest;
        }
        let (mut general_names, _) = expect(value?, SEQUENCE)?;
        let mut names = Vec::new();
        while let Some((tag, name, rest)) = element(general_names) {
            if tag == DNS_NAME {
                names.push(super::connection::quoted(name));
            }
            general_names = rest;
        }
        return Some(names);
    }
    None
}

/// Tag, value and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = der else { return None };
    let (octets, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |n, b| n << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(octets)?;
    Some((*tag, value, rest))
}

fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, value, rest) = element(der)?;
    (tag == wanted).then_some((value, rest))
}

fn take<'a>(der: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    let (value, rest) = expect(der, wanted)?;
    *der = rest;
    Some(value)
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` as RFC 3339 (RFC 5280 §4.1.2.5).
fn time(der: &mut &[u8]) -> Option<String> {
    let (tag, value, rest) = element(der)?;
    *der = rest;
    let digits = std::str::from_utf8(value).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let full = match tag {
        UTC_TIME if digits.len() == 12 && digits < "5" => format!("20{digits}"),
        UTC_TIME if digits.len() == 12 => format!("19{digits}"),
        GENERALIZED_TIME if digits.len() == 14 => digits.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| &full[from..to];
    let (date, hour) = (format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8)), part(8, 10));
    Some(format!("{date}T{hour}:{}:{}Z", part(10, 12), part(12, 14)))
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
