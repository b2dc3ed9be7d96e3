//! Search filters with a place for an address in them. A template is parsed when the configuration
//! is read; what stands in for a placeholder afterwards is escaped octet by octet, so that no
//! address changes the shape of a filter. What a filter is used for is left to `mod.rs`.

use ldap3::parse_filter;
use thiserror::Error;

/// A filter of an operator is never longer; octets.
pub const FILTER_OCTETS_MAX: usize = 4096;
/// A filter is never nested deeper.
const DEPTH_MAX: usize = 32;

/// A filter with placeholders, known to be well-formed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Address,
    Local,
    Domain,
}

/// What is wrong with a template, and at which octet of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct FilterError {
    /// Where it begins, in octets from 0.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

const ITEM: &str = "expected attribute=value, with * ( ) \\ in values as \\2a \\28 \\29 \\5c";

impl Template {
    /// Parses a filter (RFC 4515 §3) in which `{address}`, `{local_part}` and `{domain}` stand for
    /// what is looked for; each may stand several times, and only in values.
    /// # Errors
    /// When it is malformed, or asks the same of every address.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > FILTER_OCTETS_MAX {
            return Err(FilterError { at: FILTER_OCTETS_MAX, what: "longer than 4096 octets" });
        }
        let parts = parts(text)?;
        let names_one = |part: &Part| matches!(part, Part::Address | Part::Local);
        // Found before the rest is judged: it is what people forget.
        if !parts.iter().any(names_one) {
            let what = "expected {address} or {local_part} in it: else it is the same for all";
            return Err(FilterError { at: 0, what });
        }
        well_formed(text)?;
        let template = Self { parts };
        // An octet that is escaped cannot stand in the name of an attribute, nor behind half an
        // escape: whatever parses with one has its placeholders in values only.
        match parse_filter(template.fill(b"\0", b"\0")) {
            Ok(_) => Ok(template),
            Err(()) => Err(FilterError { at: 0, what: "a placeholder may only stand in a value" }),
        }
    }

    /// Looks whether a filter is well-formed that asks for nobody in particular.
    /// # Errors
    /// When it is malformed.
    pub fn listing(text: &str) -> Result<(), FilterError> {
        if text.len() > FILTER_OCTETS_MAX {
            return Err(FilterError { at: FILTER_OCTETS_MAX, what: "longer than 4096 octets" });
        }
        if let Some(at) = text.find(['{', '}']) {
            let what = "expected no placeholder: everybody is asked for; a brace itself is \\7b";
            return Err(FilterError { at, what });
        }
        well_formed(text)?;
        parse_filter(text).map(drop).map_err(|()| FilterError { at: 0, what: ITEM })
    }

    /// The filter for this address; `None` for an empty part, which would turn `{local_part}*`
    /// into a search for everything.
    #[must_use]
    pub fn filled(&self, local_part: &[u8], domain: &[u8]) -> Option<String> {
        let is_whole = !local_part.is_empty() && !domain.is_empty();
        is_whole.then(|| self.fill(local_part, domain))
    }

    fn fill(&self, local_part: &[u8], domain: &[u8]) -> String {
        let mut filter = String::with_capacity(160);
        for part in &self.parts {
            match part {
                Part::Text(text) => filter.push_str(text),
                Part::Local => escape(local_part, &mut filter),
                Part::Domain => escape(domain, &mut filter),
                Part::Address => {
                    escape(local_part, &mut filter);
                    filter.push('@');
                    escape(domain, &mut filter);
                }
            }
        }
        filter
    }
}

/// Adds octets as they may stand in a value (RFC 4515 §3): all but the most harmless as `\xx`.
fn escape(octets: &[u8], filter: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &octet in octets {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'@' | b'_' | b'-') {
            filter.push(char::from(octet));
        } else {
            filter.push('\\');
            filter.push(char::from(DIGITS[usize::from(octet >> 4)]));
            filter.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
}

fn parts(text: &str) -> Result<Vec<Part>, FilterError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let at = text.len() - rest.len() + open;
        let behind = &rest[open + 1..];
        let close = behind.find('}').unwrap_or(0);
        let part = match &behind[..close] {
            "address" => Part::Address,
            "local_part" => Part::Local,
            "domain" => Part::Domain,
            _ => {
                let what = "expected {address}, {local_part} or {domain}; a brace itself is \\7b";
                return Err(FilterError { at, what });
            }
        };
        parts.push(Part::Text(rest[..open].to_owned()));
        parts.push(part);
        rest = &behind[close + 1..];
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// The library says only that a filter is wrong, not where.
fn well_formed(text: &str) -> Result<(), FilterError> {
    let end = filter(text, 0, 0)?;
    if end < text.len() {
        return Err(FilterError { at: end, what: "nothing may follow the closing bracket" });
    }
    Ok(())
}

/// Reads one filter in brackets and says where it ends.
fn filter(text: &str, at: usize, depth: usize) -> Result<usize, FilterError> {
    if depth > DEPTH_MAX {
        return Err(FilterError { at, what: "nested deeper than 32 brackets" });
    }
    let octet = |at: usize| text.as_bytes().get(at).copied();
    if octet(at) != Some(b'(') {
        return Err(FilterError { at, what: "expected (" });
    }
    let end = match octet(at + 1) {
        Some(b'&' | b'|') => {
            let mut next = at + 2;
            while octet(next) == Some(b'(') {
                next = filter(text, next, depth + 1)?;
            }
            next
        }
        Some(b'!') => filter(text, at + 2, depth + 1)?,
        _ => item(text, at + 1)?,
    };
    if octet(end) != Some(b')') {
        return Err(FilterError { at: end, what: "expected )" });
    }
    Ok(end + 1)
}

fn item(text: &str, at: usize) -> Result<usize, FilterError> {
    let length = text[at..].find(['(', ')']).unwrap_or(text.len() - at);
    // Here a placeholder is as good as a letter.
    let written = text[at..at + length].replace(['{', '}'], "");
    match parse_filter(&written) {
        Ok(_) => Ok(at + length),
        Err(()) => Err(FilterError { at, what: ITEM }),
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
