//! Takes the addresses and patterns that a lister finds, one at a time, and gathers them for a
//! snapshot: domain by domain, with counts and every malformed line. Works on octets; the common
//! address allocates nothing. How an address is written is `written.rs`;
//! what is no name though it has no domain is `intake/`.

mod bare;
pub(super) mod filler;

use super::error::{
    ENTRIES_MAX, LineError, LineProblem, LoadError, MALFORMED_KEPT_MAX, PATTERNS_MAX,
};
use super::part::{DomainPart, Load, Malformed, PatternEntry, Skipped};
use super::preview::{Named, Recipient};
use super::scope::{DomainClass, Scope};
use super::written::{Shape, parse_local_part, shape, split, typed, unquoted};
use crate::pattern::Pattern;
use crate::snapshot::{Builder, HashKey};
use crate::target::{Target, Unclear};
use bare::Bare;
use mail::address::{AddressError, LOCAL_PART_OCTETS_MAX};
use relay::settings::LocalPartCase;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Entries that are reserved at most before the first row is read.
/// Domains that are counted of a list that nobody has configured yet.
const SIGHTED_DOMAINS_MAX: usize = 1_000;
const RESERVED_ENTRIES_MAX: u64 = 128 << 20;
/// Entries between two looks at whether to stop.
const PROGRESS_ENTRIES: u64 = 1 << 10;

/// How the rows of a list are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// As people write them: a `*` makes a pattern, and one malformed row holds back all, since
    /// somebody is there to mend it.
    Written,
    /// As a server exports them: a `*` is a character like any other, and a malformed row is
    /// counted and passed over, since one odd row must not hold back 10 million. More than a
    /// fifth of them are no odd rows, but a wrong query.
    Exported,
}

/// What the operator allows the rows of a list to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Allowances {
    /// A value without a domain is a local part, also among addresses.
    pub bare_names: bool,
    /// Of a list as people write it: malformed rows are passed over as those of an export are.
    pub good_lines: bool,
}

/// How far a load is, and whether it is still wanted; seen from other threads.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    is_loading: AtomicBool,
    taken: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress {
    pub(crate) fn begin(&self) {
        self.set(0);
        self.is_loading.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.is_loading.store(false, Ordering::Relaxed);
    }

    /// What was taken, when a load is under way.
    pub(crate) fn taken(&self) -> Option<u64> {
        let is_loading = self.is_loading.load(Ordering::Relaxed);
        is_loading.then(|| self.taken.load(Ordering::Relaxed))
    }

    /// Asks the load that is under way, and any later one, to end.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, taken: u64) {
        self.taken.store(taken, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Gathers the entries of one list.
pub struct Intake<'s> {
    scope: &'s Scope,
    rows: Rows,
    allowances: Allowances,
    progress: &'s Progress,
    /// What to name those addresses by that are new; nothing when nobody asks.
    named: Option<Named>,
    /// Who wants to see every entry of ours.
    shown_to: Option<&'s mut dyn FnMut(Recipient<'_>)>,
    taken: u64,
    not_smtp: u64,
    builder: Builder,
    parts: Vec<DomainPart>,
    /// Names without a domain that came before any address.
    bare: Option<Box<Bare>>,
    /// An address with its domain has come.
    has_addresses: bool,
    foreign: u64,
    malformed: Malformed,
    /// Taken, though their targets are malformed.
    unclear: u64,
    elsewhere: Option<Box<str>>,
    /// What is seen of the list beyond its entries, where somebody wants to know.
    sighting: Option<Box<Sighting>>,
    /// The last name seen behind an `@`, since neighbours mostly share it.
    last_name: Vec<u8>,
    last_place: DomainClass,
}

/// What a list is beyond its entries.
#[derive(Debug, Default)]
pub(crate) struct Sighting {
    /// In words: whose export it is, and which columns are read.
    pub(crate) what: String,
    /// Addresses of each domain, as it is written in lower case.
    pub(crate) domains: HashMap<Vec<u8>, u64>,
}

impl Sighting {
    fn note(&mut self, domain: &[u8]) {
        let has_room = self.domains.len() < SIGHTED_DOMAINS_MAX;
        let domain = domain.to_ascii_lowercase();
        if has_room || self.domains.contains_key(&domain) {
            *self.domains.entry(domain).or_default() += 1;
        }
    }
}

impl<'s> Intake<'s> {
    /// `entries` is a guess that saves growing.
    pub(crate) fn new(
        scope: &'s Scope,
        key: HashKey,
        rows: Rows,
        progress: &'s Progress,
        entries: u64,
    ) -> Self {
        let entries = usize::try_from(entries.min(RESERVED_ENTRIES_MAX)).unwrap_or(0);
        Self {
            scope,
            rows,
            allowances: Allowances::default(),
            progress,
            named: None,
            shown_to: None,
            taken: 0,
            not_smtp: 0,
            builder: Builder::new(key, entries),
            parts: vec![DomainPart::default(); scope.domains().len()],
            bare: None,
            has_addresses: false,
            foreign: 0,
            malformed: Malformed::default(),
            unclear: 0,
            elsewhere: None,
            sighting: None,
            last_name: Vec::new(),
            last_place: DomainClass::Malformed,
        }
    }

    /// Has rows read as the operator allows.
    pub(crate) fn allow(&mut self, allowances: Allowances) {
        self.allowances = allowances;
    }

    /// Has those addresses named that are not in use yet.
    pub(crate) fn name_added(&mut self, named: Named) {
        self.named = Some(named);
    }

    /// Has every address and pattern of ours shown, in the order of the list.
    pub(crate) fn show_to(&mut self, take: &'s mut dyn FnMut(Recipient<'_>)) {
        self.shown_to = Some(take);
    }

    /// Has noted what the list is, and which domains it has.
    pub(crate) fn sight(&mut self) {
        self.sighting = Some(Box::default());
    }

    /// What was noted.
    pub(crate) fn sighted(&mut self) -> Sighting {
        self.sighting.take().map(|sighting| *sighting).unwrap_or_default()
    }

    /// Notes what the list is, in words.
    pub(crate) fn describe(&mut self, what: impl FnOnce() -> String) {
        if let Some(sighting) = &mut self.sighting {
            sighting.what = what();
        }
    }

    /// Makes room, with a guess of how many addresses come; growing later costs memory for a
    /// moment.
    pub fn reserve(&mut self, entries: u64) {
        let entries = usize::try_from(entries.min(RESERVED_ENTRIES_MAX)).unwrap_or(0);
        self.builder.reserve(entries);
    }

    /// Whether nobody waits for the rest: it has become too much, or the source is closed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.taken > ENTRIES_MAX || self.progress.is_stopped()
    }

    /// Notes a malformed row; rows count from 1.
    pub fn refuse(&mut self, row: u64, problem: LineProblem, found: &[u8]) {
        if self.malformed.lines.len() < MALFORMED_KEPT_MAX {
            self.malformed.lines.push(LineError::new(row, problem, found));
        } else {
            self.malformed.more += 1;
        }
    }

    /// Takes one address or pattern, and the target that stands beside it; rows count from 1.
    pub fn take(&mut self, row: u64, written: &[u8], target: Option<&[u8]>) {
        if !self.count() {
            return;
        }
        let (written, shown) = (unquoted(written), target.map(unquoted));
        let (target, unclear) = match Target::read(shown) {
            Ok(target) => (target, None),
            Err(error) => (Target::Unclear, Some(error.into())),
        };
        self.take_with(row, written, target, unclear.zip(shown));
    }

    /// Counts one more, and says whether it may be taken.
    fn count(&mut self) -> bool {
        self.taken += 1;
        if self.taken.is_multiple_of(PROGRESS_ENTRIES) {
            self.progress.set(self.taken);
        }
        self.taken <= ENTRIES_MAX
    }

    /// Takes an address; where its target is not clear, also why.
    fn take_with(
        &mut self,
        row: u64,
        written: &[u8],
        target: Target,
        unclear: Option<(LineProblem, &[u8])>,
    ) {
        match (self.try_take(row, written, target), unclear) {
            (Err(problem), _) => self.refuse(row, problem, written),
            (Ok(()), Some((problem, shown))) => {
                self.unclear += 1;
                self.refuse(row, problem, shown);
            }
            (Ok(()), None) => {}
        }
    }

    /// Notes that the rest of the list is elsewhere, at this URL.
    pub fn refer_elsewhere(&mut self, reference: &str) {
        self.elsewhere = Some(reference.into());
    }

    /// Takes a value that may have a type (`SMTP:a@b`, `smtp$a@b`, `X400:…`) or be an address
    /// alone, and the targets that stand beside it; other types than SMTP are counted and passed
    /// over.
    pub fn take_value(&mut self, row: u64, value: &[u8], targets: &[Vec<u8>]) {
        let address = match typed(value) {
            None => value,
            Some((kind, address)) if kind.eq_ignore_ascii_case(b"smtp") => address,
            Some(_) => return self.pass_over(),
        };
        let address = address.trim_ascii();
        let all = targets.iter().map(Vec::as_slice);
        let last = targets.last().map_or(&b""[..], Vec::as_slice);
        let (target, unclear) = match Target::read_all(all) {
            Ok(target) => (target, None),
            Err(Unclear::Malformed(error)) => (Target::Unclear, Some((error.into(), last))),
            Err(Unclear::Several) => {
                let problem = LineProblem::TargetConflict { first_line: row };
                (Target::Unclear, Some((problem, last)))
            }
        };
        if self.count() {
            self.take_with(row, unquoted(address), target, unclear);
        }
    }

    /// Counts an address of another type than SMTP.
    pub fn pass_over(&mut self) {
        self.not_smtp += 1;
    }

    fn try_take(&mut self, line: u64, written: &[u8], target: Target) -> Result<(), LineProblem> {
        let (local_part, place) = self.place(written)?;
        let is_bare = local_part.len() == written.len() && !self.allowances.bare_names;
        let mut folded = [0; LOCAL_PART_OCTETS_MAX];
        let exact;
        let local_part = match shape(local_part, self.rows == Rows::Written) {
            Shape::Plain => local_part,
            Shape::Starred => {
                return self.take_pattern((line, is_bare), local_part, place, target);
            }
            Shape::Other => {
                exact = parse_local_part(local_part)?;
                exact.as_str().as_bytes()
            }
        };
        let Some(place) = place else {
            self.foreign += 1;
            return Ok(());
        };
        if is_bare && self.has_addresses {
            return Err(LineProblem::NameAmongAddresses);
        }
        let folded = folded.get_mut(..local_part.len()).ok_or(AddressError::LocalPartTooLong)?;
        folded.copy_from_slice(local_part);
        if self.scope.domains()[place].case == LocalPartCase::Folded {
            folded.make_ascii_lowercase();
        }
        let domain = self.scope.canonical(place).as_bytes();
        let hash = self.builder.key().hash(folded, domain);
        if let Some(named) = &mut self.named {
            named.look_at(hash, folded, domain);
        }
        if let Some(show) = self.shown_to.as_mut().filter(|_| target != Target::Unclear) {
            let target = target.stored();
            let local_part = str::from_utf8(folded).map_err(|_| LineProblem::NotUtf8)?;
            let domain = self.scope.canonical(place);
            let target = target.as_deref();
            show(Recipient { local_part, domain, target, is_pattern: false });
        }
        let builder = if is_bare {
            let bare = self.bare();
            bare.note(line, written);
            bare.addresses += 1;
            &mut bare.builder
        } else {
            self.parts[place].addresses += 1;
            &mut self.builder
        };
        match target.stored() {
            None => builder.add(hash),
            Some(target) => builder.add_target(hash, &target, line),
        }
        Ok(())
    }

    /// The local part as written, and the place of its domain, when it is one of ours.
    fn place<'w>(&mut self, written: &'w [u8]) -> Result<(&'w [u8], Option<usize>), LineProblem> {
        let (local_part, Some(name)) = split(written) else {
            return Ok((written, Some(self.place_of_bare(written)?)));
        };
        if local_part.is_empty() {
            return Err(LineProblem::LocalPartMissing);
        }
        if name != self.last_name {
            self.last_place = self.scope.place(name);
            self.last_name.clear();
            self.last_name.extend_from_slice(name);
        }
        let place = match self.last_place {
            DomainClass::Ours(place) => Some(place),
            DomainClass::Foreign => {
                if let Some(sighting) = &mut self.sighting {
                    sighting.note(name);
                }
                None
            }
            DomainClass::Malformed => return Err(AddressError::DomainSyntax.into()),
        };
        self.has_addresses = true;
        Ok((local_part, place))
    }

    /// The place of the only domain, for a value that has none.
    fn place_of_bare(&self, written: &[u8]) -> Result<usize, LineProblem> {
        let is_declared = self.allowances.bare_names;
        if let Some(problem) = filler::problem(written, is_declared) {
            return Err(problem);
        }
        let only = self.scope.only().ok_or(LineProblem::DomainMissing)?;
        Ok(only)
    }

    /// Where names without a domain wait for the end of the list.
    fn bare(&mut self) -> &mut Bare {
        let builder = &mut self.builder;
        self.bare.get_or_insert_with(|| {
            let key = *builder.key();
            Box::new(Bare::new(std::mem::replace(builder, Builder::new(key, 0))))
        })
    }

    /// At the end of the list: names are what it holds, or mistakes in it.
    fn settle_bare(&mut self) {
        let Some(bare) = self.bare.take() else { return };
        if self.has_addresses {
            let room = MALFORMED_KEPT_MAX - self.malformed.lines.len().min(MALFORMED_KEPT_MAX);
            let beyond = bare.rows.lines.len().saturating_sub(room) as u64;
            self.malformed.lines.extend(bare.rows.lines.into_iter().take(room));
            self.malformed.more += bare.rows.more + beyond;
        } else if let Some(only) = self.scope.only() {
            self.builder = bare.builder;
            self.parts[only].addresses = bare.addresses;
            self.parts[only].patterns = bare.patterns;
        }
    }

    fn take_pattern(
        &mut self,
        (line, is_bare): (u64, bool),
        written: &[u8],
        place: Option<usize>,
        target: Target,
    ) -> Result<(), LineProblem> {
        let text = str::from_utf8(written).map_err(|_| LineProblem::NotUtf8)?;
        let case = place.map_or(LocalPartCase::Exact, |place| self.scope.domains()[place].case);
        let pattern = Pattern::new(text, case).map_err(LineProblem::Pattern)?;
        let Some(place) = place else {
            self.foreign += 1;
            return Ok(());
        };
        if is_bare && self.has_addresses {
            return Err(LineProblem::NameAmongAddresses);
        }
        let patterns = match &self.bare {
            Some(bare) if is_bare => &bare.patterns,
            _ => &self.parts[place].patterns,
        };
        if patterns.len() >= PATTERNS_MAX {
            return Err(LineProblem::PatternsTooMany);
        }
        if let Some(show) = self.shown_to.as_mut().filter(|_| target != Target::Unclear) {
            let (shown, domain) = (target.stored(), self.scope.canonical(place));
            let local_part = pattern.as_str();
            show(Recipient { local_part, domain, target: shown.as_deref(), is_pattern: true });
        }
        let entry = PatternEntry { pattern, target };
        if is_bare {
            let bare = self.bare();
            bare.note(line, written);
            bare.patterns.push(entry);
        } else {
            self.parts[place].patterns.push(entry);
        }
        Ok(())
    }

    /// What there was, unless too much of it was malformed; and which new addresses were named.
    pub(crate) fn finish(mut self) -> Result<(Load, Option<Named>), LoadError> {
        if self.taken > ENTRIES_MAX {
            return Err(LoadError::TooMany);
        }
        self.settle_bare();
        let entries = self.parts.iter().map(DomainPart::entries).sum::<u64>();
        self.malformed.good = (entries + self.foreign).saturating_sub(self.unclear);
        let key = *self.builder.key();
        let builder = std::mem::replace(&mut self.builder, Builder::new(key, 0));
        let (snapshot, conflicts) = builder.finish();
        for conflict in conflicts {
            let problem = LineProblem::TargetConflict { first_line: conflict.first_line };
            self.refuse(conflict.line, problem, conflict.target.as_bytes());
            self.malformed.good = self.malformed.good.saturating_sub(1);
        }
        let mut malformed = self.malformed;
        malformed.lines.sort_by_key(|error| error.line);
        let bearable = match self.rows {
            Rows::Written if !self.allowances.good_lines => malformed.count() == 0,
            // As in `guard.rs`: what is missing by a fifth must not make anybody unknown, and at
            // a first load nothing else would notice.
            Rows::Written | Rows::Exported => malformed.count().saturating_mul(4) <= malformed.good,
        };
        if !bearable {
            return Err(LoadError::Malformed { malformed });
        }
        let skipped = Skipped { malformed, not_smtp: self.not_smtp, elsewhere: self.elsewhere };
        let (parts, foreign) = (self.parts, self.foreign);
        Ok((Load { snapshot: Arc::new(snapshot), parts, foreign, skipped }, self.named))
    }
}
