//! The arguments of MAIL and RCPT: `<…>` around a mailbox, or around less.

use super::{AddressError, Domain, Host, Mailbox};
use std::fmt;

/// The argument of MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: the message asks for no notification, and none may ever answer it (RFC 5321 §4.5.5).
    Null,
    /// Who is to hear of a failure.
    Mailbox(Mailbox),
    /// The name of a device alone, from a network whose software cannot do better.
    Name(Domain),
}

impl ReversePath {
    /// Parses `<…>`; a source route is read and dropped (RFC 5321 §3.3, appendix C).
    /// # Errors
    /// As [`Mailbox::parse_foreign`], and for missing brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let inner = inside_brackets(text)?;
        if inner.is_empty() {
            return Ok(Self::Null);
        }
        Mailbox::parse_foreign(split_source_route(inner)?.1).map(Self::Mailbox)
    }

    /// As [`Self::parse`], where the brackets, or the local part and its `@`, may be missing too.
    /// # Errors
    /// As [`Self::parse`]; without brackets the null reverse-path is none.
    pub fn parse_mended(text: &str) -> Result<Self, AddressError> {
        let inner = inside_brackets(text).unwrap_or(text);
        match Domain::new(inner) {
            Ok(name) => Ok(Self::Name(name)),
            Err(_) if text.is_empty() => Err(AddressError::BracketsMissing),
            Err(_) => Self::parse(&format!("<{inner}>")),
        }
    }

    /// The mailbox, when there is one.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null | Self::Name(_) => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The argument of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, which every server must take (RFC 5321 §4.5.1).
    Postmaster,
    /// A mailbox.
    Mailbox(Mailbox),
    /// `<@a,@b:c@d>`: a source route. Kept apart, because a relay must not obey one
    /// (RFC 5321 §3.3) and a stranger has no business to send one.
    SourceRoute(Mailbox),
}

impl ForwardPath {
    /// Parses `<…>`.
    /// # Errors
    /// As [`Mailbox::parse`], and for missing brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let inner = inside_brackets(text)?;
        if inner.eq_ignore_ascii_case("postmaster") {
            return Ok(Self::Postmaster);
        }
        let (routed, mailbox) = split_source_route(inner)?;
        let mailbox = Mailbox::parse(mailbox)?;
        Ok(if routed { Self::SourceRoute(mailbox) } else { Self::Mailbox(mailbox) })
    }

    /// As [`Self::parse`], where the brackets may be missing.
    /// # Errors
    /// As [`Mailbox::parse`].
    pub fn parse_mended(text: &str) -> Result<Self, AddressError> {
        match inside_brackets(text) {
            Ok(_) => Self::parse(text),
            Err(_) => Self::parse(&format!("<{text}>")),
        }
    }

    /// The mailbox, when it names one.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) | Self::SourceRoute(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("Postmaster"),
            Self::Mailbox(mailbox) | Self::SourceRoute(mailbox) => mailbox.fmt(f),
        }
    }
}

fn inside_brackets(text: &str) -> Result<&str, AddressError> {
    let inner = text.strip_prefix('<').and_then(|t| t.strip_suffix('>'));
    inner.ok_or(AddressError::BracketsMissing)
}

/// `@a,@b:mailbox` → (true, mailbox). RFC 5321 §4.1.2, A-d-l.
fn split_source_route(inner: &str) -> Result<(bool, &str), AddressError> {
    if !inner.starts_with('@') {
        return Ok((false, inner));
    }
    let (route, mailbox) = inner.split_once(':').ok_or(AddressError::LocalPartMissing)?;
    for hop in route.split(',') {
        Host::parse(hop.strip_prefix('@').ok_or(AddressError::DomainSyntax)?)?;
    }
    Ok((true, mailbox))
}
