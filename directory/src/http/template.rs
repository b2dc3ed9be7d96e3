//! The URL of a question: a template, and an address put into it so that it can change nothing
//! but the place that is meant for it.

use mail::address::Mailbox;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use thiserror::Error;

/// What may stand in braces.
const PLACES: [(&str, Placeholder); 3] = [
    ("address", Placeholder::Address),
    ("local_part", Placeholder::LocalPart),
    ("domain", Placeholder::Domain),
];

/// All but the unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Address,
    LocalPart,
    Domain,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Placeholder(Placeholder),
}

/// A URL with places for parts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

/// Why a template is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum TemplateError {
    #[error("`{{{0}}}` is none of `{{address}}`, `{{local_part}}` and `{{domain}}`")]
    UnknownPlace(String),
    #[error("a brace without its other half")]
    Brace,
    #[error("{0}")]
    NoUrl(String),
    #[error("expected http:// or https://")]
    Scheme,
    #[error("a name or password in front of the host")]
    UserInfo,
    #[error("the address may not choose the host")]
    PlaceInHost,
    #[error("what stands behind `#` is never sent")]
    Fragment,
    #[error("`.` or `..` between slashes")]
    Dots,
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((fixed, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or(TemplateError::Brace)?;
            let place = PLACES.iter().find(|(known, _)| *known == name);
            let (_, place) = place.ok_or_else(|| TemplateError::UnknownPlace(name.to_owned()))?;
            parts.push(Part::Fixed(fixed.to_owned()));
            parts.push(Part::Placeholder(*place));
            rest = behind;
        }
        parts.push(Part::Fixed(rest.to_owned()));
        let has_loose_brace = |part: &Part| matches!(part, Part::Fixed(text) if text.contains('}'));
        if parts.iter().any(has_loose_brace) {
            return Err(TemplateError::Brace);
        }
        let template = Self { parts };
        template.check()?;
        Ok(template)
    }

    /// Two addresses that differ in everything must lead to one host.
    fn check(&self) -> Result<(), TemplateError> {
        let fill = |word: &str| {
            let text = self.render(|_| word.to_owned());
            // A URL parser takes `%2e` for a dot.
            if has_dots(&text) || text.to_ascii_lowercase().contains("%2e") {
                return Err(TemplateError::Dots);
            }
            Url::parse(&text).map_err(|error| TemplateError::NoUrl(error.to_string()))
        };
        let (one, other) = (fill("one")?, fill("2")?);
        if !matches!(one.scheme(), "http" | "https") || one.host_str().is_none() {
            return Err(TemplateError::Scheme);
        }
        if !one.username().is_empty() || one.password().is_some() {
            return Err(TemplateError::UserInfo);
        }
        if one.origin() != other.origin() {
            return Err(TemplateError::PlaceInHost);
        }
        if one.fragment().is_some() {
            return Err(TemplateError::Fragment);
        }
        Ok(())
    }

    /// Whether anything of an address that tells people apart stands in it.
    pub(super) fn names_the_mailbox(&self) -> bool {
        let tells = |part: &Part| {
            matches!(
                part,
                Part::Placeholder(Placeholder::Address) | Part::Placeholder(Placeholder::LocalPart)
            )
        };
        self.parts.iter().any(tells)
    }

    /// Scheme, host and port, as far as every address has them: `https://directory.example.test`.
    pub(super) fn origin(&self) -> Option<Url> {
        let mut url = Url::parse(&self.render(|_| "x".to_owned())).ok()?;
        url.set_path("");
        url.set_query(None);
        Some(url)
    }

    /// The URL for an address; nothing when a part of it would be taken for a step in the path,
    /// which no escape prevents.
    pub(super) fn fill(&self, mailbox: &Mailbox) -> Option<Url> {
        let text = self.render(|place| match place {
            Placeholder::Address => escaped(&address(mailbox)),
            Placeholder::LocalPart => escaped(mailbox.local_part.as_str()),
            Placeholder::Domain => escaped(&domain(mailbox)),
        });
        if has_dots(&text) { None } else { Url::parse(&text).ok() }
    }

    fn render(&self, mut value: impl FnMut(Placeholder) -> String) -> String {
        let text = self.parts.iter().map(|part| match part {
            Part::Fixed(text) => text.clone(),
            Part::Placeholder(place) => value(*place),
        });
        text.collect()
    }
}

/// The address as it is asked for: its domain in lower case.
pub(super) fn address(mailbox: &Mailbox) -> String {
    format!("{}@{}", mailbox.local_part, domain(mailbox))
}

/// Its domain, in lower case.
pub(super) fn domain(mailbox: &Mailbox) -> String {
    mailbox.host.to_string().to_ascii_lowercase()
}

/// Whether a step of the path is `.` or `..`, which are resolved before anything is sent
/// (RFC 3986 §5.2.4).
fn has_dots(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    // Servers on Windows, and the URL parser, take a backslash for a slash.
    path.split(['/', '\\']).any(|step| step == "." || step == "..")
}

/// Each octet that is not unreserved as `%` and two digits.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str, address: &str) -> Option<String> {
        let mailbox = Mailbox::parse(address).unwrap();
        Template::parse(template).unwrap().fill(&mailbox).map(|url| url.to_string())
    }

    #[test]
    fn every_octet_but_the_unreserved_is_escaped() {
        assert_eq!(escaped("aZ09-._~"), "aZ09-._~");
        assert_eq!(escaped("../?x=%&#\r\n \0\u{e9}"), "..%2F%3Fx%3D%25%26%23%0D%0A%20%00%C3%A9");
    }

    #[test]
    fn an_address_stays_in_its_place() {
        let path = "https://d.example.test/v1/users/{address}/exists";
        let query = "https://d.example.test/v1?a={address}&l={local_part}&d={domain}";
        assert_eq!(
            filled(path, "o'neil+x@EXAMPLE.test").unwrap(),
            "https://d.example.test/v1/users/o%27neil%2Bx%40example.test/exists"
        );
        assert_eq!(
            filled(query, "\"a b&d=c\"@example.test").unwrap(),
            "https://d.example.test/v1?a=%22a%20b%26d%3Dc%22%40example.test\
             &l=a%20b%26d%3Dc&d=example.test"
        );
        let local_part = "https://d.example.test/users/{local_part}";
        for steps in ["\"..\"@example.test", "\".\"@example.test"] {
            assert_eq!(filled(local_part, steps), None, "{steps}");
            assert!(filled(path, steps).is_some());
        }
        assert_eq!(
            filled(local_part, "\"../../admin\"@example.test").unwrap(),
            "https://d.example.test/users/..%2F..%2Fadmin"
        );
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_reason() {
        let parse = |text: &str| Template::parse(text).unwrap_err();
        assert_eq!(parse("https://h/{user}"), TemplateError::UnknownPlace("user".into()));
        assert_eq!(parse("https://h/{address"), TemplateError::Brace);
        assert_eq!(parse("https://h/address}"), TemplateError::Brace);
        assert_eq!(parse("ftp://h/{address}"), TemplateError::Scheme);
        assert_eq!(parse("https://me:secret@h/{address}"), TemplateError::UserInfo);
        assert_eq!(parse("https://{domain}/{address}"), TemplateError::PlaceInHost);
        assert_eq!(
            parse("https://h:{domain}/"),
            TemplateError::NoUrl("invalid port number".into())
        );
        assert_eq!(parse("https://h/#{address}"), TemplateError::Fragment);
        assert_eq!(parse("https://h/a/../{address}"), TemplateError::Dots);
        assert_eq!(parse("https://h/%2E%2e/{address}"), TemplateError::Dots);
        assert!(matches!(parse("h/{address}"), TemplateError::NoUrl(_)));
    }

    proptest! {
        /// Whatever the local part, path and query have the shape of the template, and what
        /// arrives is the address.
        #[test]
        fn no_address_changes_the_shape_of_a_url(text in "[ -~]{1,40}") {
            let local_part = mail::address::LocalPart::new(&text).unwrap();
            let host = mail::address::Host::parse("example.test").unwrap();
            let mailbox = Mailbox { local_part, host };
            let template = "https://h.example.test/a/{local_part}/b?q={address}&r={domain}";
            let Some(url) = Template::parse(template).unwrap().fill(&mailbox) else {
                prop_assert!(text == "." || text == "..");
                return Ok(());
            };
            let steps: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!((steps.len(), steps[0], steps[2]), (3, "a", "b"));
            let pairs: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(pairs.len(), 2);
            prop_assert_eq!(&*pairs[0].1, &address(&mailbox));
            prop_assert_eq!(&*pairs[1].1, "example.test");
            prop_assert_eq!(url.fragment(), None);
        }
    }
}
