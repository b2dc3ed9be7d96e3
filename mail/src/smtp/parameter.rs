//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2, RFC 1870, RFC 6152).
//! A parameter of an extension that we do not offer is refused with 555, never ignored: it may
//! be a promise that we would have to keep.

use super::reply::Reply;
use super::status;

/// `BODY=`, RFC 6152.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Body {
    /// Not said, or `7BIT`.
    #[default]
    SevenBit,
    /// `8BITMIME`: whoever takes the message must be able to carry octets above 127.
    EightBitMime,
}

/// What MAIL said beside the reverse-path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// `SIZE=`: what the client expects the content to be, in octets (RFC 1870 §5).
    pub size_octets: Option<u64>,
    /// `BODY=`.
    pub body: Body,
}

impl MailParameters {
    /// Parses what follows the path.
    /// # Errors
    /// The reply to give: 501 for a malformed value, 555 for a keyword that was not offered.
    pub fn parse(text: &str) -> Result<Self, Reply> {
        let mut parameters = Self::default();
        let mut seen = [false; 2];
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            let (keyword, value) = word.split_once('=').unwrap_or((word, ""));
            let index = if keyword.eq_ignore_ascii_case("SIZE") {
                parameters.size_octets = Some(size(value)?);
                0
            } else if keyword.eq_ignore_ascii_case("BODY") {
                parameters.body = body(value)?;
                1
            } else {
                return Err(not_offered());
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(malformed("parameter given twice"));
            }
        }
        Ok(parameters)
    }
}

/// RCPT takes no parameter: DSN (RFC 3461) is not offered to strangers.
/// # Errors
/// The reply to give.
pub fn refuse_rcpt_parameters(text: &str) -> Result<(), Reply> {
    if text.trim_matches(' ').is_empty() { Ok(()) } else { Err(not_offered()) }
}

/// RFC 1870 §5: up to 20 digits. A number beyond 64 bits is larger than any limit.
fn size(value: &str) -> Result<u64, Reply> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return Err(malformed("SIZE takes up to 20 digits"));
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Result<Body, Reply> {
    if value.eq_ignore_ascii_case("7BIT") {
        Ok(Body::SevenBit)
    } else if value.eq_ignore_ascii_case("8BITMIME") {
        Ok(Body::EightBitMime)
    } else {
        Err(malformed("BODY takes 7BIT or 8BITMIME"))
    }
}

fn malformed(text: &'static str) -> Reply {
    Reply::new(501, status::INVALID_ARGUMENTS, text)
}

fn not_offered() -> Reply {
    Reply::new(555, status::INVALID_ARGUMENTS, "parameter not recognized or not offered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_offered_is_understood() {
        let parsed = MailParameters::parse(" SIZE=1000  body=8bitmime").unwrap();
        assert_eq!(parsed.size_octets, Some(1000));
        assert_eq!(parsed.body, Body::EightBitMime);
        assert_eq!(MailParameters::parse(""), Ok(MailParameters::default()));
    }

    #[test]
    fn a_size_beyond_64_bits_is_huge_and_not_small() {
        let parsed = MailParameters::parse("SIZE=99999999999999999999").unwrap();
        assert_eq!(parsed.size_octets, Some(u64::MAX));
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, code) in [
            ("SIZE=", 501),
            ("SIZE=-1", 501),
            ("SIZE=+1", 501),
            ("SIZE=999999999999999999999", 501),
            ("SIZE=1 SIZE=2", 501),
            ("BODY=BINARYMIME", 501),
            ("SMTPUTF8", 555),
            ("RET=HDRS", 555),
            ("AUTH=<>", 555),
        ] {
            assert_eq!(MailParameters::parse(text).unwrap_err().code(), code, "{text}");
        }
        assert_eq!(refuse_rcpt_parameters(" ORCPT=rfc822;u@e.example").unwrap_err().code(), 555);
    }
}
