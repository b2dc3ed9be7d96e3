//! Names without a domain, until the end of a list shows what they are: where every value is one
//! they are local parts of the one domain; among addresses they are something else that stands in
//! the wrong column, and taken for names they would hide that the right values are missing.

use super::super::error::{LineError, LineProblem, MALFORMED_KEPT_MAX};
use super::super::part::{Malformed, PatternEntry};
use crate::snapshot::Builder;

/// The names of a list that has shown no address with its domain yet.
pub(super) struct Bare {
    pub(super) builder: Builder,
    pub(super) addresses: u64,
    pub(super) patterns: Vec<PatternEntry>,
    /// The same rows as mistakes, for a list that turns out to hold addresses.
    pub(super) rows: Malformed,
}

impl Bare {
    /// Begins with the room that was made for the whole list.
    pub(super) fn new(builder: Builder) -> Self {
        Self { builder, addresses: 0, patterns: Vec::new(), rows: Malformed::default() }
    }

    /// Notes where a name stands.
    pub(super) fn note(&mut self, row: u64, written: &[u8]) {
        if self.rows.lines.len() < MALFORMED_KEPT_MAX {
            let problem = LineProblem::NameAmongAddresses;
            self.rows.lines.push(LineError::new(row, problem, written));
        } else {
            self.rows.more += 1;
        }
    }
}
