//! BER as far as LDAP needs it, and the filter of a search as a tree that tests compare, or as
//! RFC 4515 writes it.

use std::fmt::{self, Display, Formatter};

/// An element: its tag and its content.
pub type Element<'a> = (u8, &'a [u8]);

/// Elements one after another; ends at the first that is cut short.
#[derive(Clone, Copy)]
pub struct Elements<'a>(pub &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (tag, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut octets = usize::from(*first);
        if *first > 0x80 {
            let (length, after) = rest.split_at_checked(usize::from(*first & 0x7f))?;
            octets = usize::try_from(number(length)?).ok()?;
            rest = after;
        }
        let (content, after) = rest.split_at_checked(octets)?;
        self.0 = after;
        Some((*tag, content))
    }
}

impl<'a> Elements<'a> {
    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The next element, which must be text with this tag.
    pub fn text(&mut self, tag: u8) -> Option<String> {
        self.expect(tag).map(text)
    }
}

/// A number that is not negative, of at most eight octets.
pub fn number(octets: &[u8]) -> Option<u64> {
    let fits = octets.len() <= 8;
    fits.then(|| octets.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
}

/// Octets as text.
pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// An element with this content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => octets.push(length),
        _ => {
            octets.push(0x84);
            octets.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    octets.extend(content);
    octets
}

/// A number as an element: INTEGER is 2, ENUMERATED is 10.
pub fn number_element(tag: u8, number: u64) -> Vec<u8> {
    let octets = number.to_be_bytes();
    let zeros = octets.iter().take_while(|octet| **octet == 0).count().min(7);
    // The highest bit is the sign.
    let sign = if octets[zeros] & 0x80 == 0 { &[][..] } else { &[0][..] };
    element(tag, &[sign, &octets[zeros..]].concat())
}

/// What a search asks for (RFC 4511 §4.5.1.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// One of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// `equalityMatch`: attribute and value.
    Equal(String, Vec<u8>),
    /// What it begins with, what lies between in this order, and what it ends with; `None` at
    /// either end: anything.
    Substrings(String, Option<Vec<u8>>, Vec<Vec<u8>>, Option<Vec<u8>>),
    /// `greaterOrEqual`: attribute and value.
    AtLeast(String, Vec<u8>),
    /// `lessOrEqual`: attribute and value.
    AtMost(String, Vec<u8>),
    /// The attribute has any value.
    Present(String),
    /// `approxMatch`: attribute and value.
    Approximately(String, Vec<u8>),
    /// Attribute, matching rule, value, and whether the attributes of the name count.
    Extensible(Option<String>, Option<String>, Vec<u8>, bool),
}

impl Filter {
    /// Reads one; `None` when it is malformed.
    pub fn decode((tag, content): Element<'_>) -> Option<Self> {
        let all = |content| {
            let decoded: Option<Vec<_>> = Elements(content).map(Self::decode).collect();
            decoded.filter(|filters| !filters.is_empty())
        };
        let mut parts = Elements(content);
        let mut assertion = || Some((parts.text(4)?, parts.expect(4)?.to_vec()));
        Some(match tag {
            0xa0 => Self::And(all(content)?),
            0xa1 => Self::Or(all(content)?),
            0xa2 => Self::Not(Box::new(Self::decode(parts.next()?)?)),
            0xa3 => assertion().map(|(name, value)| Self::Equal(name, value))?,
            0xa4 => substrings(parts)?,
            0xa5 => assertion().map(|(name, value)| Self::AtLeast(name, value))?,
            0xa6 => assertion().map(|(name, value)| Self::AtMost(name, value))?,
            0x87 => Self::Present(text(content)),
            0xa8 => assertion().map(|(name, value)| Self::Approximately(name, value))?,
            0xa9 => {
                let part = |tag| parts.into_iter().find(|part| part.0 == tag).map(|part| part.1);
                let value = part(0x83)?.to_vec();
                let of_dn = part(0x84).is_some_and(|value| value != [0]);
                Self::Extensible(part(0x82).map(text), part(0x81).map(text), value, of_dn)
            }
            _ => return None,
        })
    }
}

fn substrings(mut parts: Elements<'_>) -> Option<Filter> {
    let name = parts.text(4)?;
    let (mut first, mut between, mut last) = (None, Vec::new(), None);
    for (tag, value) in Elements(parts.expect(0x30)?) {
        match tag {
            0x80 => first = Some(value.to_vec()),
            0x81 => between.push(value.to_vec()),
            0x82 => last = Some(value.to_vec()),
            _ => return None,
        }
    }
    Some(Filter::Substrings(name, first, between, last))
}

/// As RFC 4515 §3 writes a value: what has a meaning there, or is not printable ASCII, in hex.
struct Value<'a>(&'a [u8]);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            match octet {
                b'*' | b'(' | b')' | b'\\' | 0..=31 | 127.. => write!(f, "\\{octet:02x}")?,
                _ => write!(f, "{}", char::from(*octet))?,
            }
        }
        Ok(())
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        match self {
            Self::And(all) | Self::Or(all) => {
                f.write_str(if matches!(self, Self::And(_)) { "&" } else { "|" })?;
                all.iter().try_for_each(|filter| filter.fmt(f))?;
            }
            Self::Not(filter) => write!(f, "!{filter}")?,
            Self::Equal(name, value) => write!(f, "{name}={}", Value(value))?,
            Self::AtLeast(name, value) => write!(f, "{name}>={}", Value(value))?,
            Self::AtMost(name, value) => write!(f, "{name}<={}", Value(value))?,
            Self::Approximately(name, value) => write!(f, "{name}~={}", Value(value))?,
            Self::Present(name) => write!(f, "{name}=*")?,
            Self::Substrings(name, first, between, last) => {
                write!(f, "{name}={}*", Value(first.as_deref().unwrap_or_default()))?;
                between.iter().try_for_each(|value| write!(f, "{}*", Value(value)))?;
                Value(last.as_deref().unwrap_or_default()).fmt(f)?;
            }
            Self::Extensible(name, rule, value, of_dn) => {
                f.write_str(name.as_deref().unwrap_or_default())?;
                f.write_str(if *of_dn { ":dn" } else { "" })?;
                rule.iter().try_for_each(|rule| write!(f, ":{rule}"))?;
                write!(f, ":={}", Value(value))?;
            }
        }
        f.write_str(")")
    }
}
