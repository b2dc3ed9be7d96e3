//! `*` patterns over local parts, for entries of recipient files and for bitbucket and leaver
//! rules. No regular expressions: each fixed piece is searched for once, from left to right, so
//! a match costs time linear in a local part of at most 255 octets, times the bounded pieces.

use mail::address::LOCAL_PART_OCTETS_MAX;
use memchr::memmem;
use relay::settings::LocalPartCase;
use std::fmt;

/// `*` in one pattern. More have no honest use and would only cost time.
pub const STARS_MAX: usize = 8;

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing there.
    Empty,
    /// More than 255 octets besides the `*`, which no local part could match.
    TooLong,
    /// More than [`STARS_MAX`] `*`.
    Stars,
    /// A character that no local part holds without quotes.
    Syntax,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the pattern is empty",
            Self::TooLong => "the pattern is longer than a local part can be (255 octets)",
            Self::Stars => "the pattern has more than 8 `*`",
            Self::Syntax => "the pattern has a character that only a quoted local part may hold",
        })
    }
}

impl std::error::Error for PatternError {}

/// A local part in which `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// In canonical form: lower case when the domain folds.
    text: Box<str>,
}

impl Pattern {
    /// Takes a local part with any number of `*`, none included (then it matches itself).
    /// # Errors
    /// When it is empty, too long, or holds what no unquoted local part may.
    pub fn new(text: &str, case: LocalPartCase) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let stars = text.bytes().filter(|&b| b == b'*').count();
        if stars > STARS_MAX {
            return Err(PatternError::Stars);
        }
        if text.len() - stars > LOCAL_PART_OCTETS_MAX {
            return Err(PatternError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),:;<>@[\\]".contains(&b)) {
            return Err(PatternError::Syntax);
        }
        let text = match case {
            LocalPartCase::Folded => text.to_ascii_lowercase(),
            LocalPartCase::Exact => text.to_owned(),
        };
        Ok(Self { text: text.into() })
    }

    /// As it is matched: in lower case when the domain folds.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names one local part only, having no `*`.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.text.contains('*')
    }

    /// Whether a local part in canonical form matches.
    #[must_use]
    pub fn matches(&self, local_part: &[u8]) -> bool {
        let mut pieces = self.text.as_bytes().split(|&b| b == b'*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = local_part.strip_prefix(first) else { return false };
        let Some(mut piece) = pieces.next() else { return rest.is_empty() };
        if may_be_run(local_part) {
            return false;
        }
        // The leftmost place for each middle piece leaves the most room for those behind it, so
        // there is nothing to go back for.
        for next in pieces {
            let Some(at) = memmem::find(rest, piece) else { return false };
            rest = &rest[at + piece.len()..];
            piece = next;
        }
        rest.ends_with(piece)
    }
}

/// Whether a server behind might do more with it than deliver to it: `${` is expanded by Exim
/// (CVE-2019-10149), a backtick by a shell, and `=?` begins an encoded word (RFC 2047 §2). Nobody
/// has such an address who is not listed with it, so no pattern and no sub-address stands for one.
pub(crate) fn may_be_run(local_part: &[u8]) -> bool {
    let has = |text: &[u8]| local_part.windows(text.len()).any(|octets| octets == text);
    has(b"${") || has(b"`") || has(b"=?")
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_a_server_behind_might_run_matches_a_star() {
        let any = Pattern::new("*", LocalPartCase::Folded).unwrap();
        for risky in ["${run{x}}", "a`id`", "=?utf-8?q?x?="] {
            assert!(!any.matches(risky.as_bytes()), "{risky}");
            let listed = Pattern::new(risky, LocalPartCase::Folded).unwrap();
            assert!(listed.matches(risky.as_bytes()), "{risky}");
        }
        for harmless in ["a=b", "a$b", "{a}", "bounce+jones=example.test", "a?=b"] {
            assert!(any.matches(harmless.as_bytes()), "{harmless}");
        }
    }

    fn matches(pattern: &str, local_part: &str) -> bool {
        Pattern::new(pattern, LocalPartCase::Folded).unwrap().matches(local_part.as_bytes())
    }

    #[test]
    fn a_star_stands_for_any_characters_none_included() {
        for (pattern, yes, no) in [
            ("*", "anything", ""),
            ("sales-*", "sales-", "sales"),
            ("sales-*", "sales-north", "presales-north"),
            ("*-sales", "north-sales", "north-sales2"),
            ("a*b", "ab", "a"),
            ("a*a", "aba", "a"),
            ("a*b*c", "a1b2c", "a1c2b"),
            ("*ab*ab", "xababab", "xab"),
            ("Jones", "jones", "jones1"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(pattern == "*" || !matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn what_no_local_part_could_match_is_refused() {
        use PatternError::*;
        for (text, error) in [
            ("", Empty),
            ("a b*", Syntax),
            ("a@b", Syntax),
            ("*********", Stars),
            ("\"a\"", Syntax),
        ] {
            assert_eq!(Pattern::new(text, LocalPartCase::Folded), Err(error), "{text}");
        }
        assert_eq!(Pattern::new(&"a".repeat(256), LocalPartCase::Exact), Err(TooLong));
    }

    /// By trying every split: obviously right, and slow.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| reference(rest, &text[at..])),
            Some((b, rest)) => text.first() == Some(b) && reference(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_trying_every_split(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(
                matches(&pattern, &text),
                reference(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
