//! Mailboxes and paths: `local-part "@" ( Domain / address-literal )`, RFC 5321 §4.1.2.
//! Parsed once, carried as types. What was parsed prints as what parses to the same; a path prints
//! without its brackets, and a source route prints as the mailbox that it leads to.
//! Recipients are parsed strictly. A reverse-path is somebody else's: dots may stand in it where
//! the grammar has none, and its local part prints octet for octet as it was written.
//! Limits: no SMTPUTF8 (RFC 6531): octets above 127 are refused before they get here, so an
//! internationalised domain arrives as A-labels only.
//!
//! What bounds an address, in octets: [`LOCAL_PART_OCTETS_MAX`] as written, quotes included;
//! [`DOMAIN_OCTETS_MAX`]; a label [`LABEL_OCTETS_MAX`]. A path has no limit of its own: it is as
//! long as these allow, and with a source route as long as the command line that it stands in
//! (`smtp/line.rs`, `COMMAND_LINE_OCTETS_MAX`).

mod local_part;
mod path;

pub use local_part::LocalPart;
pub use path::{ForwardPath, ReversePath};

use local_part::{foreign_local_part, parse_local_part};
use std::fmt;
use std::net::IpAddr;

/// As written. RFC 5321 §4.5.3.1.1 has every server take 64, and §4.5.3.1 asks for no limit where
/// that can be: VERP, SRS and addresses that confirm something put another address in there.
pub const LOCAL_PART_OCTETS_MAX: usize = 255;
/// RFC 5321 §4.5.3.1.2.
pub const DOMAIN_OCTETS_MAX: usize = 255;
/// RFC 1035 §2.3.4.
pub const LABEL_OCTETS_MAX: usize = 63;

/// Why a string is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing before the `@`, or nothing at all.
    LocalPartMissing,
    /// A character that neither a dot-string nor a quoted string may hold there.
    LocalPartSyntax,
    /// More than [`LOCAL_PART_OCTETS_MAX`] octets.
    LocalPartTooLong,
    /// No `@`, or nothing behind it.
    DomainMissing,
    /// Not letters, digits and hyphens in labels of 1 to 63 octets.
    DomainSyntax,
    /// More than [`DOMAIN_OCTETS_MAX`] octets.
    DomainTooLong,
    /// `[…]` that is neither an IPv4 nor an `IPv6:` address.
    LiteralSyntax,
    /// An octet above 127 or a control character (RFC 6531 is not offered).
    NotAscii,
    /// No `<` at the start, or no `>` at the end.
    BracketsMissing,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocalPartMissing => "the local part is missing",
            Self::LocalPartSyntax => "the local part is malformed",
            Self::LocalPartTooLong => "the local part is longer than 255 octets",
            Self::DomainMissing => "the domain is missing",
            Self::DomainSyntax => "the domain is malformed",
            Self::DomainTooLong => "the domain is longer than 255 octets",
            Self::LiteralSyntax => "the address literal is malformed",
            Self::NotAscii => "only printable ASCII is allowed",
            Self::BracketsMissing => "the path needs angle brackets",
        })
    }
}

impl std::error::Error for AddressError {}

/// A domain name in A-labels, as it was written; compared without regard to case.
#[derive(Clone, Debug)]
pub struct Domain(Box<str>);

impl Domain {
    /// Takes letters, digits, hyphens and (for those who use them) underscores, in labels.
    /// A trailing dot is dropped: it names the same domain.
    /// # Errors
    /// When a label is empty, too long, or has a hyphen at an end.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(AddressError::DomainMissing);
        }
        if text.len() > DOMAIN_OCTETS_MAX {
            return Err(AddressError::DomainTooLong);
        }
        if text.bytes().any(|b| b >= 0x80) {
            return Err(AddressError::NotAscii);
        }
        if !text.split('.').all(is_label) {
            return Err(AddressError::DomainSyntax);
        }
        Ok(Self(text.into()))
    }

    /// Takes what an operator writes, U-labels included, and keeps the A-labels (RFC 5891).
    /// # Errors
    /// As [`Domain::new`], and when IDNA cannot map the name.
    pub fn from_unicode(text: &str) -> Result<Self, AddressError> {
        if text.is_ascii() {
            return Self::new(text);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| AddressError::DomainSyntax)?;
        Self::new(&ascii)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In lower case, for looking things up.
    #[must_use]
    pub fn to_canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Domain {}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands behind the `@`, and what a client says of itself in EHLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, RFC 5321 §4.1.3.
    Literal(IpAddr),
}

impl Host {
    /// Parses a domain or an address literal.
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('[') {
            Some(rest) => literal(rest).map(Self::Literal),
            None => Domain::new(text).map(Self::Domain),
        }
    }

    /// The domain, when it is one.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// `local-part "@" ( Domain / address-literal )`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Before the `@`.
    pub local_part: LocalPart,
    /// Behind it.
    pub host: Host,
}

impl Mailbox {
    /// Parses an address without angle brackets.
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Self::parse_with(text, parse_local_part)
    }

    /// Parses an address that is not ours: its local part may have dots in odd places, and is
    /// printed as it stands. Nothing else that the grammar refuses is taken, since another reader
    /// could take it for something else.
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse_foreign(text: &str) -> Result<Self, AddressError> {
        Self::parse_with(text, foreign_local_part)
    }

    fn parse_with(text: &str, local_part: ParseLocalPart) -> Result<Self, AddressError> {
        let (local_part, rest) = match local_part(text) {
            Err(_) if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                return Err(AddressError::NotAscii);
            }
            parsed => parsed?,
        };
        let host = rest.strip_prefix('@').filter(|h| !h.is_empty());
        let host = Host::parse(host.ok_or(AddressError::DomainMissing)?)?;
        Ok(Self { local_part, host })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.host)
    }
}

type ParseLocalPart = fn(&str) -> Result<(LocalPart, &str), AddressError>;

fn is_label(label: &str) -> bool {
    let octets = label.as_bytes();
    !octets.is_empty()
        && octets.len() <= LABEL_OCTETS_MAX
        && octets.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && octets[0] != b'-'
        && octets[octets.len() - 1] != b'-'
}

/// What follows `[`, the closing bracket included.
fn literal(rest: &str) -> Result<IpAddr, AddressError> {
    let inner = rest.strip_suffix(']').ok_or(AddressError::LiteralSyntax)?;
    let tagged = inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let parsed =
        if tagged { inner[5..].parse().map(IpAddr::V6) } else { inner.parse().map(IpAddr::V4) };
    parsed.map_err(|_| AddressError::LiteralSyntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_prints_as_its_shortest_spelling() {
        for (written, printed) in [
            ("jones@example.com", "jones@example.com"),
            ("\"jones\"@example.com", "jones@example.com"),
            ("\"a b\"@example.com", "\"a b\"@example.com"),
            ("\"a\\\"b\"@example.com", "\"a\\\"b\"@example.com"),
            ("\"a> NOTIFY=NEVER\"@example.com", "\"a> NOTIFY=NEVER\"@example.com"),
            ("\"a@b\"@example.com", "\"a@b\"@example.com"),
            ("u@[192.0.2.1]", "u@[192.0.2.1]"),
            ("u@[ipv6:2001:DB8::1]", "u@[IPv6:2001:db8::1]"),
            ("u@example.com.", "u@example.com"),
        ] {
            let mailbox = Mailbox::parse(written).unwrap();
            assert_eq!(mailbox.to_string(), printed);
            assert_eq!(Mailbox::parse(printed), Ok(mailbox));
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        use AddressError::*;
        for (written, error) in [
            ("", LocalPartMissing),
            ("@example.com", LocalPartMissing),
            ("\"\"@example.com", LocalPartMissing),
            ("jones", DomainMissing),
            ("jones@", DomainMissing),
            ("a..b@example.com", LocalPartSyntax),
            (".a@example.com", LocalPartSyntax),
            ("a.@example.com", LocalPartSyntax),
            ("a b@example.com", LocalPartSyntax),
            ("u(@e)@example.com", LocalPartSyntax),
            ("<u@e>@example.com", LocalPartSyntax),
            ("\"a@example.com", LocalPartSyntax),
            ("\"a\\", LocalPartSyntax),
            ("a@b@example.com", DomainSyntax),
            ("a@-b.example", DomainSyntax),
            ("a@b..example", DomainSyntax),
            ("a@[1.2.3]", LiteralSyntax),
            ("a@[1.2.3.4", LiteralSyntax),
            ("a@[IPv6:zz]", LiteralSyntax),
            ("jos\u{e9}@example.com", NotAscii),
            ("a\0b@example.com", NotAscii),
        ] {
            assert_eq!(Mailbox::parse(written), Err(error), "{written}");
        }
        let long = format!("{}@example.com", "a".repeat(256));
        assert_eq!(Mailbox::parse(&long), Err(LocalPartTooLong));
    }

    #[test]
    fn a_local_part_may_have_255_octets_as_written_and_a_path_all_that_its_parts_have() {
        let domain = format!("{}.example", vec!["d".repeat(61); 4].join("."));
        assert_eq!(domain.len(), DOMAIN_OCTETS_MAX);
        for local_part in ["a".repeat(255), format!("\"{} \"", "a".repeat(252))] {
            let written = format!("{local_part}@{domain}");
            assert_eq!(Mailbox::parse(&written).unwrap().to_string(), written);
            let path = format!("<{written}>");
            assert_eq!(path.len(), 513);
            assert_eq!(ForwardPath::parse(&path).unwrap().to_string(), written);
            assert_eq!(ReversePath::parse(&path).unwrap().to_string(), written);
        }
        let quoted = LocalPart::new(&format!("{} ", "a".repeat(253)));
        assert_eq!(quoted, Err(AddressError::LocalPartTooLong));
    }

    #[test]
    fn a_reverse_path_prints_as_it_was_written_and_is_compared_by_what_it_means() {
        for written in [
            "a..b@example.net",
            "taro.@docomo.example",
            ".x@example.net",
            "..@example.net",
            "\"john.doe\"@example.net",
            "\"a\\b c\"@example.net",
            "jones@example.net",
        ] {
            let reverse_path = ReversePath::parse(&format!("<{written}>")).unwrap();
            assert_eq!(reverse_path.to_string(), written);
            assert_eq!(ReversePath::parse(&format!("<{reverse_path}>")), Ok(reverse_path));
        }
        let quoted = ReversePath::parse("<\"john.doe\"@example.net>").unwrap();
        assert_eq!(Ok(quoted), ReversePath::parse("<john.doe@example.net>"));
        let mailbox = Mailbox::parse_foreign("a..b@example.net").unwrap();
        assert!(mailbox.local_part.needs_quotes() && !mailbox.local_part.prints_as_its_text());
        for (written, error) in [
            ("<a b@example.net>", AddressError::LocalPartSyntax),
            ("<a,b@example.net>", AddressError::LocalPartSyntax),
            ("<a..b\"c@example.net>", AddressError::LocalPartSyntax),
            ("<a..b@@example.net>", AddressError::DomainSyntax),
            ("<@example.net>", AddressError::LocalPartMissing),
            ("<scanner>", AddressError::DomainMissing),
        ] {
            assert_eq!(ReversePath::parse(written), Err(error), "{written}");
        }
        let needless = format!("<\"{}\"@example.net>", "\\a".repeat(127));
        assert_eq!(ReversePath::parse(&needless), Err(AddressError::LocalPartTooLong));
    }

    #[test]
    fn brackets_and_a_domain_may_be_missing_only_where_paths_are_mended() {
        for (written, printed) in [
            ("scan@copier", "scan@copier"),
            ("<scan@copier>", "scan@copier"),
            ("<copier-3>", "copier-3"),
            ("copier_3.example.", "copier_3.example"),
            ("<>", ""),
        ] {
            let mended = ReversePath::parse_mended(written).unwrap();
            assert_eq!(mended.to_string(), printed);
            assert_eq!(ReversePath::parse_mended(&format!("<{mended}>")), Ok(mended));
        }
        for written in ["", "SIZE=10", "<a@b", "a@b>", "<<a@b>>", "a@b>c@d", "a b", "<a b>", "a@"] {
            assert!(ReversePath::parse_mended(written).is_err(), "{written}");
            assert!(ForwardPath::parse_mended(written).is_err(), "{written}");
        }
        let mailbox = Mailbox::parse("jones@example.com").unwrap();
        let mended = ForwardPath::parse_mended("jones@example.com");
        assert_eq!(mended, Ok(ForwardPath::Mailbox(mailbox)));
        assert_eq!(ForwardPath::parse_mended("<copier-3>"), Err(AddressError::DomainMissing));
        assert!(ForwardPath::parse_mended("a..b@example.com").is_err());
    }

    #[test]
    fn the_null_reverse_path_is_no_mailbox_and_no_forward_path() {
        assert_eq!(ReversePath::parse("<>"), Ok(ReversePath::Null));
        assert_eq!(ForwardPath::parse("<>"), Err(AddressError::LocalPartMissing));
        assert_eq!(ForwardPath::parse("<POSTMASTER>"), Ok(ForwardPath::Postmaster));
    }

    #[test]
    fn a_source_route_is_read_and_set_apart() {
        let routed = ForwardPath::parse("<@a.example,@b.example:u@c.example>").unwrap();
        assert_eq!(routed, ForwardPath::SourceRoute(Mailbox::parse("u@c.example").unwrap()));
        let reverse = ReversePath::parse("<@a.example:u@c.example>").unwrap();
        assert_eq!(reverse.to_string(), "u@c.example");
        assert!(ForwardPath::parse("<@a.example>").is_err());
    }

    #[test]
    fn unicode_domains_become_a_labels() {
        let domain = Domain::from_unicode("b\u{fc}cher.example").unwrap();
        assert_eq!(domain.as_str(), "xn--bcher-kva.example");
        assert!(Domain::new("b\u{fc}cher.example").is_err());
    }
}
