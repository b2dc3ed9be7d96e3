//! Takes the addresses and patterns that `text.rs` and `table.rs` find, one at a time, and
//! gathers them for a snapshot: domain by domain, with counts and every malformed line. Works on
//! octets; the common address allocates nothing.

use super::error::{LineError, LineProblem, MALFORMED_KEPT_MAX};
use super::scope::{Place, Scope};
use crate::directory::pattern::Pattern;
use crate::directory::snapshot::{Builder, HashKey, Snapshot};
use mail::address::{AddressError, Domain, Host, LOCAL_PART_OCTETS_MAX, LocalPart, Mailbox};
use relay::settings::LocalPartCase;
use std::sync::Arc;

/// Patterns of one domain in one file: each costs every unknown recipient one comparison.
pub const PATTERNS_MAX: usize = 1_000;

/// A pattern from a file, with its target at the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternEntry {
    /// What matches.
    pub pattern: Pattern,
    /// The address the next hop hears instead.
    pub target: Option<Mailbox>,
}

/// What a file holds for one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainPart {
    /// Addresses; one that is listed twice counts twice.
    pub addresses: u64,
    /// In the order of the file.
    pub patterns: Vec<PatternEntry>,
}

impl DomainPart {
    /// Addresses and patterns.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.addresses + self.patterns.len() as u64
    }
}

/// What a file holds, before a guard has judged it.
#[derive(Clone, Debug)]
pub struct Load {
    /// The addresses of all domains.
    pub snapshot: Arc<Snapshot>,
    /// In the order of the scope.
    pub parts: Vec<DomainPart>,
    /// Addresses of domains the source is not read for.
    pub foreign: u64,
}

impl Load {
    /// Addresses and patterns of all domains.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.parts.iter().map(DomainPart::entries).sum()
    }
}

/// What was found in a file that is not to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Malformed {
    /// The first [`MALFORMED_KEPT_MAX`], in the order of the file.
    pub lines: Vec<LineError>,
    /// How many more there are.
    pub more: u64,
    /// Addresses and patterns that were understood.
    pub good: u64,
}

/// Gathers the entries of one file.
pub(super) struct Intake<'s> {
    scope: &'s Scope,
    builder: Builder,
    parts: Vec<DomainPart>,
    foreign: u64,
    malformed: Malformed,
    /// The last name seen behind an `@`, since neighbours mostly share it.
    last_name: Vec<u8>,
    last_place: Place,
}

impl<'s> Intake<'s> {
    pub(super) fn new(scope: &'s Scope, key: HashKey, entries: usize) -> Self {
        Self {
            scope,
            builder: Builder::new(key, entries),
            parts: vec![DomainPart::default(); scope.domains().len()],
            foreign: 0,
            malformed: Malformed::default(),
            last_name: Vec::new(),
            last_place: Place::Malformed,
        }
    }

    /// Notes a malformed line.
    pub(super) fn refuse(&mut self, line: u64, problem: LineProblem, found: &[u8]) {
        if self.malformed.lines.len() < MALFORMED_KEPT_MAX {
            self.malformed.lines.push(LineError::new(line, problem, found));
        } else {
            self.malformed.more += 1;
        }
    }

    /// Takes one address or pattern, and the target that stands beside it.
    pub(super) fn take(&mut self, line: u64, written: &[u8], target: Option<&[u8]>) {
        if let Err(problem) = self.try_take(line, written, target) {
            let target = target.filter(|_| matches!(problem, LineProblem::Target(_)));
            self.refuse(line, problem, target.unwrap_or(written));
        }
    }

    fn try_take(
        &mut self,
        line: u64,
        written: &[u8],
        target: Option<&[u8]>,
    ) -> Result<(), LineProblem> {
        let (local_part, place) = self.split(written)?;
        let target = target.map(parse_target).transpose()?;
        let mut folded = [0; LOCAL_PART_OCTETS_MAX];
        let exact;
        let local_part = match shape(local_part) {
            Shape::Plain => local_part,
            Shape::Pattern => return self.take_pattern(local_part, place, target),
            Shape::Other => {
                exact = parse_local_part(local_part)?;
                exact.as_str().as_bytes()
            }
        };
        let Some(place) = place else {
            self.foreign += 1;
            return Ok(());
        };
        let folded = folded.get_mut(..local_part.len()).ok_or(AddressError::LocalPartTooLong)?;
        folded.copy_from_slice(local_part);
        if self.scope.domains()[place].case == LocalPartCase::Folded {
            folded.make_ascii_lowercase();
        }
        let domain = self.scope.canonical(place).as_bytes();
        let hash = self.builder.key().hash(folded, domain);
        match target {
            None => self.builder.add(hash),
            Some(target) => self.builder.add_target(hash, &target.to_string(), line),
        }
        self.parts[place].addresses += 1;
        Ok(())
    }

    /// The local part as written, and the place of its domain, when it is one of ours.
    fn split<'w>(&mut self, written: &'w [u8]) -> Result<(&'w [u8], Option<usize>), LineProblem> {
        let quoted_alone = written.first() == Some(&b'"') && written.last() == Some(&b'"');
        let at = memchr::memrchr(b'@', written).filter(|_| !quoted_alone);
        let Some(at) = at else {
            let only = self.scope.only().ok_or(LineProblem::DomainMissing)?;
            return Ok((written, Some(only)));
        };
        let (local_part, name) = (&written[..at], &written[at + 1..]);
        if local_part.is_empty() {
            return Err(LineProblem::LocalPartMissing);
        }
        if name != self.last_name {
            self.last_place = self.scope.place(name);
            self.last_name.clear();
            self.last_name.extend_from_slice(name);
        }
        match self.last_place {
            Place::Ours(place) => Ok((local_part, Some(place))),
            Place::Foreign => Ok((local_part, None)),
            Place::Malformed => Err(AddressError::DomainSyntax.into()),
        }
    }

    fn take_pattern(
        &mut self,
        written: &[u8],
        place: Option<usize>,
        target: Option<Mailbox>,
    ) -> Result<(), LineProblem> {
        let text = str::from_utf8(written).map_err(|_| LineProblem::NotUtf8)?;
        let case = place.map_or(LocalPartCase::Exact, |place| self.scope.domains()[place].case);
        let pattern = Pattern::new(text, case).map_err(LineProblem::Pattern)?;
        let Some(place) = place else {
            self.foreign += 1;
            return Ok(());
        };
        let patterns = &mut self.parts[place].patterns;
        if patterns.len() >= PATTERNS_MAX {
            return Err(LineProblem::PatternsTooMany);
        }
        patterns.push(PatternEntry { pattern, target });
        Ok(())
    }

    /// Whether nothing was malformed, and then what there was.
    pub(super) fn finish(mut self) -> Result<Load, Malformed> {
        let entries = self.parts.iter().map(DomainPart::entries).sum::<u64>();
        self.malformed.good = entries + self.foreign;
        let key = *self.builder.key();
        let builder = std::mem::replace(&mut self.builder, Builder::new(key, 0));
        let snapshot = builder.finish().map_err(|conflicts| {
            for conflict in conflicts {
                let problem = LineProblem::TargetConflict { first_line: conflict.first_line };
                self.refuse(conflict.line, problem, conflict.target.as_bytes());
                self.malformed.good -= 1;
            }
        });
        let Ok(snapshot) = snapshot else {
            self.malformed.lines.sort_by_key(|error| error.line);
            return Err(self.malformed);
        };
        if !self.malformed.lines.is_empty() {
            return Err(self.malformed);
        }
        Ok(Load { snapshot: Arc::new(snapshot), parts: self.parts, foreign: self.foreign })
    }
}

/// What a local part looks like.
enum Shape {
    /// A dot-string without `*`, at most 64 octets: nearly every address there is.
    Plain,
    /// Has a `*` and no quotes.
    Pattern,
    /// Quoted or malformed; [`Mailbox::parse`] says which.
    Other,
}

/// RFC 5322 §3.2.3 atext, the dot and the star.
const IN_DOT_STRING: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"!#$%&'+-/=?^_`{|}~.*";
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

fn shape(local_part: &[u8]) -> Shape {
    if local_part.first() != Some(&b'"') && local_part.contains(&b'*') {
        return Shape::Pattern;
    }
    let mut after_dot = true;
    for &b in local_part {
        if !IN_DOT_STRING[usize::from(b)] || (after_dot && b == b'.') {
            return Shape::Other;
        }
        after_dot = b == b'.';
    }
    if after_dot || local_part.len() > LOCAL_PART_OCTETS_MAX {
        return Shape::Other;
    }
    Shape::Plain
}

fn parse_local_part(written: &[u8]) -> Result<LocalPart, LineProblem> {
    let text = str::from_utf8(written).map_err(|_| LineProblem::NotUtf8)?;
    // The grammar of a local part is in `mail`; any domain will do to ask for it.
    Ok(Mailbox::parse(&format!("{text}@example.invalid"))?.local_part)
}

/// A full address, its domain in U-labels or A-labels. `OK` and `x` are what a Postfix
/// `relay_recipient_maps` file has there and stand for no target, see `text.rs`.
fn parse_target(written: &[u8]) -> Result<Mailbox, LineProblem> {
    let text = str::from_utf8(written).map_err(|_| LineProblem::NotUtf8)?;
    let target = |error| LineProblem::Target(error);
    let (local_part, name) = text.rsplit_once('@').ok_or(target(AddressError::DomainMissing))?;
    let local_part = Mailbox::parse(&format!("{local_part}@example.invalid")).map_err(target)?;
    let host = match Host::parse(name) {
        Ok(Host::Literal(ip)) => Host::Literal(ip),
        _ => Host::Domain(Domain::from_unicode(name).map_err(target)?),
    };
    Ok(Mailbox { local_part: local_part.local_part, host })
}
