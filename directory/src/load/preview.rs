//! What reading a list now would change or show, for `postern recipients diff` and `export`: read
//! and judged, and adopted by nobody. The addresses in use are known as hashes only, so what is
//! new can be named, but what is gone only to those who ask for it by name
//! ([`Preview::is_removed`]).

use super::guard::Judgement;
use super::part::Skipped;
use crate::snapshot::{Differences, Snapshot};
use mail::address::LocalPart;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// New addresses that are named; the rest is counted.
pub const ADDED_NAMED_MAX: usize = 1_000;

/// A list as it would be.
#[derive(Debug)]
pub struct Preview {
    /// Addresses and patterns of all domains: what a
    /// [`Confirmation`](crate::load::guard::Confirmation) repeats.
    pub entries: u64,
    /// Addresses of domains the source is not read for.
    pub foreign: u64,
    /// Rows that would be passed over.
    pub skipped: Skipped,
    /// Every domain: entries before and now, and what would hold it back.
    pub domains: Vec<Judgement>,
    /// How many addresses come and go, of all domains, beside the list that was last read whole;
    /// nothing when there is none, or the domains use different ones since a part is held back.
    pub differences: Option<Differences>,
    /// The first [`ADDED_NAMED_MAX`] that are new, in canonical form, in the order of the list.
    pub added: Vec<Box<str>>,
    pub(crate) in_use: Option<Arc<Snapshot>>,
    pub(crate) read: Arc<Snapshot>,
}

impl Preview {
    /// Whether an address that is in use would be gone, its local part and domain in canonical
    /// form. Patterns are not looked at.
    #[must_use]
    pub fn is_removed(&self, local_part: &[u8], domain: &str) -> bool {
        let find = |snapshot: &Snapshot| {
            snapshot.find(snapshot.key().hash(local_part, domain.as_bytes())).is_some()
        };
        self.in_use.as_deref().is_some_and(find) && !find(&self.read)
    }
}

/// One row of a list, in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient<'r> {
    /// As it is compared; the pattern when it is one.
    pub local_part: &'r str,
    /// By its canonical name.
    pub domain: &'r str,
    /// The address that the next hop hears instead.
    pub target: Option<&'r str>,
    /// Whether a `*` in it stands for anything.
    pub is_pattern: bool,
}

impl fmt::Display for Recipient<'_> {
    /// As a line of a `{ file = … }` source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local_part, domain, target, is_pattern } = self;
        let written = LocalPart::new(local_part).ok().filter(|_| !is_pattern);
        // There a star would make a pattern, and a `#` a comment.
        let is_special = local_part.contains('*') || local_part.starts_with('#');
        match written {
            Some(written) if !is_special || written.needs_quotes() => write!(f, "{written}")?,
            Some(_) => write!(f, "\"{local_part}\"")?,
            None => f.write_str(local_part)?,
        }
        write!(f, "@{domain}")?;
        target.map_or(Ok(()), |target| write!(f, " {target}"))
    }
}

/// Names the new addresses while a list is read.
pub(crate) struct Named {
    in_use: Option<Arc<Snapshot>>,
    seen: HashSet<u64>,
    pub(crate) added: Vec<Box<str>>,
}

impl Named {
    /// Beside what is in use, whose hashes have the same key.
    pub(crate) fn new(in_use: Option<Arc<Snapshot>>) -> Self {
        Self { in_use, seen: HashSet::new(), added: Vec::new() }
    }

    /// Takes an address in canonical form.
    pub(crate) fn look_at(&mut self, hash: u64, local_part: &[u8], domain: &[u8]) {
        if self.added.len() >= ADDED_NAMED_MAX
            || self.in_use.as_ref().is_some_and(|in_use| in_use.find(hash).is_some())
            || !self.seen.insert(hash)
        {
            return;
        }
        let (local_part, domain) =
            (String::from_utf8_lossy(local_part), String::from_utf8_lossy(domain));
        self.added.push(format!("{local_part}@{domain}").into());
    }
}
