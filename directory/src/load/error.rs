//! What is wrong with a list of recipients, and with each line of it: what was found, what was
//! expected, an example.

use super::part::Malformed;
use crate::pattern::PatternError;
use crate::target::TargetError;
use mail::address::AddressError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Patterns of one domain in one file: each costs every unknown recipient one comparison.
pub const PATTERNS_MAX: usize = 1_000;
/// Addresses in one list, duplicates and those of other domains included: 2 GiB of hashes.
pub const ENTRIES_MAX: u64 = 256 << 20;
/// Malformed lines that are kept; the rest is counted.
pub const MALFORMED_KEPT_MAX: usize = 100;
/// Octets of a malformed line that are shown.
const FOUND_OCTETS_MAX: usize = 80;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineProblem {
    /// No address.
    Address(AddressError),
    /// No pattern.
    Pattern(PatternError),
    /// More patterns than a domain may have.
    PatternsTooMany,
    /// Nothing before the `@`.
    LocalPartMissing,
    /// A local part alone in a file that serves several domains.
    DomainMissing,
    /// A local part alone among addresses with their domains.
    NameAmongAddresses,
    /// A word for nothing, as exports write it.
    Filler,
    /// The name of a type, or a list as it is shown, where a list of addresses should be.
    ListType,
    /// The second column is no address.
    Target(AddressError),
    /// Another line has another target for the same address.
    TargetConflict {
        /// That line, from 1.
        first_line: u64,
    },
    /// Something behind the second column.
    ColumnsTooMany,
    /// Another number of columns than the header has.
    ColumnsDiffer {
        /// In the header.
        header: usize,
        /// In this record.
        found: usize,
    },
    /// A value of a table that goes on in the next line.
    LineBreak,
    /// A value in another file, or in broken base64.
    NotPlain,
    /// Octets that are no UTF-8.
    NotUtf8,
    /// Longer than any line of such a file.
    TooLong,
}

impl From<AddressError> for LineProblem {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<TargetError> for LineProblem {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::NotUtf8 => Self::NotUtf8,
            TargetError::Address(error) => Self::Target(error),
        }
    }
}

impl LineProblem {
    /// What such a line should look like.
    #[must_use]
    pub fn example(&self) -> &'static str {
        match self {
            Self::Pattern(_) | Self::PatternsTooMany => "sales-*@example.test",
            Self::ListType => {
                "Select-Object mail, @{n='ProxyAddresses';e={$_.ProxyAddresses -join ';'}} \
                 | Export-Csv users.csv -NoTypeInformation -Encoding UTF8 \
                 (of an Exchange mailbox: $_.EmailAddresses)"
            }
            Self::Target(_) | Self::TargetConflict { .. } | Self::ColumnsTooMany => {
                "info@example.test  sales@example.test"
            }
            Self::ColumnsDiffer { .. } | Self::LineBreak => "\"Jones, Tom\",jones@example.test",
            _ => "jones@example.test",
        }
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(AddressError::NotAscii) => {
                f.write_str("expected an address of ASCII characters before the `@`")
            }
            Self::Address(error) => write!(f, "expected an address, but {error}"),
            Self::Pattern(error) => write!(f, "expected a pattern, but {error}"),
            Self::PatternsTooMany => {
                write!(f, "expected at most {PATTERNS_MAX} patterns for one domain")
            }
            Self::LocalPartMissing => f.write_str(
                "expected a local part before the `@`; a line for a whole domain (`@domain OK` of \
                 Postfix) would have every name accepted: list the people who are there",
            ),
            Self::DomainMissing => {
                f.write_str("expected an address with its domain: the file serves several")
            }
            Self::NameAmongAddresses => f.write_str(
                "expected an address with its domain, as in other lines (where names without one \
                 are meant: `bare_names = true`)",
            ),
            Self::Filler => f.write_str(
                "expected an address, found a word for nothing: have the export leave it empty \
                 (where it is a name all the same: `bare_names = true`)",
            ),
            Self::ListType => f.write_str(
                "expected addresses, but PowerShell wrote the type of a list, or cut it off: join \
                 the list in the export",
            ),
            Self::Target(AddressError::DomainMissing) => f.write_str(
                "expected an address in the second column (the target), but the domain is missing \
                 (of a Postfix map, take the first column alone)",
            ),
            Self::Target(error) => {
                write!(f, "expected an address in the second column (the target), but {error}")
            }
            Self::TargetConflict { first_line } => {
                write!(f, "expected one target for an address; line {first_line} names another")
            }
            Self::ColumnsTooMany => f.write_str(
                "expected an address and at most one target (of one that has several, as in \
                 Postfix's virtual, write the address alone)",
            ),
            Self::ColumnsDiffer { header, found } => {
                write!(f, "expected {header} columns as in the header, found {found}")
            }
            Self::LineBreak => {
                f.write_str("expected addresses in one line; is a quotation mark left open?")
            }
            Self::NotPlain => {
                f.write_str("expected an address in plain text or base64, not a file")
            }
            Self::NotUtf8 => f.write_str("expected UTF-8; save the file as UTF-8"),
            Self::TooLong => f.write_str("expected lines of at most 4096 octets"),
        }
    }
}

/// One malformed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// From 1.
    pub line: u64,
    /// What is wrong.
    pub problem: LineProblem,
    /// What stands there, without control characters, at most 80 octets of it.
    pub found: Box<str>,
}

impl LineError {
    pub(crate) fn new(line: u64, problem: LineProblem, found: &[u8]) -> Self {
        let cut = &found[..found.len().min(FOUND_OCTETS_MAX)];
        let found = String::from_utf8_lossy(cut);
        let found = found.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        Self { line, problem, found }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, problem, found } = self;
        write!(f, "line {line}: `{found}`: {problem}; example: {}", problem.example())
    }
}

/// What failed at a source that is not on this machine: for the remedy that `check` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// It cannot be reached, or its certificate is wrong.
    Connection,
    /// It does not let us in.
    Login,
    /// It does not understand or allow what it was asked.
    Query,
    /// Its answer is not what was expected, or not all of it.
    Answer,
    /// It took too long.
    Deadline,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "no connection",
            Self::Login => "not let in",
            Self::Query => "the query failed",
            Self::Answer => "an unexpected answer",
            Self::Deadline => "too slow",
        })
    }
}

/// Why a list was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no text that we read.
    #[error("{}: expected UTF-8 or UTF-16; save it as UTF-8", .0.display())]
    Encoding(PathBuf),
    /// It is CSV and no column of the header holds addresses.
    #[error(
        "{}: expected a header with a column for addresses, found `{found}`; \
         example: `E-mail Addresses` or `mail` or `proxyAddresses`",
        path.display()
    )]
    ColumnMissing {
        /// Which file.
        path: PathBuf,
        /// The header.
        found: String,
    },
    /// It is something else than a list.
    #[error("{}: this is {what}", path.display())]
    OtherShape {
        /// Which file.
        path: PathBuf,
        /// What it is, and what to do.
        what: &'static str,
    },
    /// It was written to while it was read.
    #[error("{}: the file changed while it was read", .0.display())]
    Changing(PathBuf),
    /// Some lines are malformed: any in a file, more than a fifth in an export.
    #[error("{}", Summary(malformed))]
    Malformed {
        /// Which lines.
        malformed: Malformed,
    },
    /// It has no end, or a query multiplies its rows.
    #[error("more than {ENTRIES_MAX} addresses")]
    TooMany,
    /// The system gave no key for the hashes.
    #[error("no randomness: {0}")]
    Randomness(#[source] io::Error),
    /// A source that is not on this machine failed.
    #[error("{failing}: {source}")]
    Elsewhere {
        /// At what.
        failing: Failing,
        /// Why, without secrets.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LoadError {
    /// Whether the list itself is at fault, so that one may be there which has more than the one
    /// in use. A server that does not answer shows nothing of the kind.
    #[must_use]
    pub fn is_of_what_is_there(&self) -> bool {
        match self {
            Self::Io { .. }
            | Self::Encoding(_)
            | Self::ColumnMissing { .. }
            | Self::OtherShape { .. }
            | Self::Changing(_)
            | Self::Malformed { .. }
            | Self::TooMany => true,
            Self::Randomness(_) | Self::Elsewhere { .. } => false,
        }
    }
}

/// The first malformed line, and how many there are.
struct Summary<'a>(&'a Malformed);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.0.lines.first() {
            write!(f, "{first}")?;
        }
        write!(f, " ({} malformed, {} good)", self.0.count(), self.0.good)
    }
}
