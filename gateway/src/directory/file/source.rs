//! The file source: what is in use for each domain, swapped whole; loading, judging and keeping
//! it in the state directory. Lookups read one `ArcSwap` and take no lock; loads take turns.

use super::intake::{DomainPart, Load, PatternEntry};
use super::scope::{Place, Scope};
use super::{FileSource, LoadError, Stamp, cache, confirm};
use crate::directory::guard::{Confirmation, Hold, Judgement, Origin, Outcome, judge};
use crate::directory::snapshot::overlay::{Change, Overlay, OverlayFull};
use crate::directory::snapshot::{Entry, Snapshot};
use crate::directory::statistics::{DomainStatistics, Statistics};
use crate::directory::watch::Quiet;
use crate::directory::{Environment, Finding, Matched, Question, RecipientSource, SourceAnswer};
use arc_swap::ArcSwap;
use mail::address::Mailbox;
use relay::settings::{DomainId, LocalPartCase};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is in use for one domain.
#[derive(Clone, Debug)]
struct DomainState {
    name: Box<str>,
    snapshot: Arc<Snapshot>,
    overlay: Overlay,
    patterns: Arc<[PatternEntry]>,
    entries: u64,
    stamp: Stamp,
}

/// By place in the scope; nothing where nothing was ever adopted.
type State = Vec<Option<Arc<DomainState>>>;

/// What only loads look at.
#[derive(Debug)]
struct Loading {
    quiet: Quiet,
    /// Entries when last adopted, by place, as the state directory remembers.
    remembered: Vec<Option<u64>>,
    /// Adopted and not yet kept in the state directory. Opening leaves that to the first poll,
    /// since nobody should wait for the disk before the greeting.
    unsaved: Option<(Load, Stamp)>,
    /// Part of the last load waits for a confirmation.
    held: bool,
}

/// A recipients file as a source.
#[derive(Debug)]
pub struct FileRecipients {
    name: Arc<str>,
    settings: FileSource,
    scope: Scope,
    cache: Option<PathBuf>,
    environment: Environment,
    state: ArcSwap<State>,
    loading: Mutex<Loading>,
}

impl FileRecipients {
    /// Opens the source. What an earlier run kept is used at once when the file is unchanged;
    /// otherwise the file is read and judged against it. The source answers `Unavailable` for
    /// domains that nothing was adopted for.
    #[must_use]
    pub fn open(
        settings: FileSource,
        scope: Scope,
        environment: &Environment,
    ) -> (Self, Vec<Outcome>) {
        let domains = scope.domains().len();
        let directory = environment.state_directory.as_deref();
        let source = Self {
            name: format!("file {}", settings.path.display()).into(),
            cache: directory.map(|directory| cache::path_for(directory, &settings)),
            settings,
            scope,
            environment: environment.clone(),
            state: ArcSwap::from_pointee(vec![None; domains]),
            loading: Mutex::new(Loading {
                quiet: Quiet::default(),
                remembered: vec![None; domains],
                unsaved: None,
                held: false,
            }),
        };
        let mut outcomes = Vec::new();
        let cached = source.open_cache(&mut outcomes);
        if cached.is_none() || cached != Stamp::of(&source.settings.path).ok() {
            source.load_file(&mut source.lock(), None, &mut outcomes);
        }
        (source, outcomes)
    }

    /// Adds or removes one address, its local part in canonical form, until the next load of its
    /// domain is adopted. Says whether it did: a domain for which nothing is in use takes none.
    /// # Errors
    /// When the overlay is full.
    pub fn change(
        &self,
        domain: DomainId,
        local_part: &[u8],
        change: Change,
    ) -> Result<bool, OverlayFull> {
        let _turn = self.lock();
        let mut state = State::clone(&self.state.load());
        let place = self.scope.place_of(domain);
        let Some(Some(here)) = place.and_then(|place| state.get_mut(place)) else {
            return Ok(false);
        };
        let mut changed = DomainState::clone(here);
        let hash = changed.snapshot.key().hash(local_part, changed.name.as_bytes());
        changed.overlay.change(hash, change)?;
        *here = Arc::new(changed);
        self.state.store(Arc::new(state));
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Loading> {
        // A load that panicked has swapped nothing; the next one starts over.
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what an earlier run kept into use, and says what file it was made from.
    fn open_cache(&self, outcomes: &mut Vec<Outcome>) -> Option<Stamp> {
        let path = self.cache.as_deref()?;
        let kept = match cache::read(path, &self.settings, &self.scope) {
            Ok(kept) => kept?,
            Err(error) => {
                outcomes.push(Outcome::CacheFailed { source: self.name.clone(), error });
                return None;
            }
        };
        let mut loading = self.lock();
        loading.remembered = kept.entries;
        let (load, stamp) = kept.load?;
        let outcome = self.adopt(&mut loading, load, stamp, Origin::Cache, None);
        let adopted = outcome.is_adopted();
        outcomes.push(outcome);
        loading.quiet.loaded(Some(stamp));
        adopted.then_some(stamp)
    }

    fn load_file(
        &self,
        loading: &mut Loading,
        confirmation: Option<Confirmation>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let path = &self.settings.path;
        // Looked at before it is read, so that a change in between is seen at the next poll.
        let seen = Stamp::of(path).ok();
        let key = (self.environment.new_key)()
            .map_err(|source| LoadError::Io { path: path.clone(), source });
        let loaded = key.and_then(|key| super::load(&self.settings, &self.scope, key));
        let (load, stamp) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                if !matches!(error, LoadError::Changing(_)) {
                    // Nothing comes of reading it again before it changes.
                    loading.quiet.loaded(seen);
                }
                let domains_in_use = self.state.load().iter().flatten().count();
                let source = self.name.clone();
                return outcomes.push(Outcome::Failed { source, error, domains_in_use });
            }
        };
        loading.quiet.loaded(Some(stamp));
        let kept = load.clone();
        let outcome = self.adopt(loading, load, stamp, Origin::Source, confirmation);
        // What is half adopted is not kept: after a restart, what was in use before the file
        // shrank is in use again, and the file is judged again.
        loading.held = !outcome.is_adopted();
        if let Some(cache) = self.cache.as_deref().filter(|_| !loading.held) {
            loading.unsaved = Some((kept, stamp));
            confirm::discard(cache);
        }
        outcomes.push(outcome);
    }

    /// Keeps what was adopted for the next start.
    fn save(&self, loading: &mut Loading, outcomes: &mut Vec<Outcome>) {
        let (Some(path), Some((load, stamp))) = (&self.cache, loading.unsaved.take()) else {
            return;
        };
        if let Err(error) = cache::write(path, &self.settings, &self.scope, &load, stamp) {
            outcomes.push(Outcome::CacheFailed { source: self.name.clone(), error });
        }
    }

    /// Judges a load and swaps in what passes.
    fn adopt(
        &self,
        loading: &mut Loading,
        load: Load,
        stamp: Stamp,
        origin: Origin,
        confirmation: Option<Confirmation>,
    ) -> Outcome {
        let (entries, foreign) = (load.entries(), load.foreign);
        let confirmed = confirmation == Some(Confirmation { entries });
        let new = self.states_of(load, stamp);
        let mut state = State::clone(&self.state.load());
        let mut domains = Vec::with_capacity(new.len());
        for (place, part) in new.into_iter().enumerate() {
            let old = &mut state[place];
            let before = old.as_ref().map(|old| old.entries).or(loading.remembered[place]);
            let now = part.entries;
            // What is in the cache was adopted once, if only since a person said so.
            let trusted = confirmed || origin == Origin::Cache;
            let canary = self.scope.domains()[place].canary.as_ref();
            let hold = match canary.filter(|canary| !self.has(place, &part, canary)) {
                Some(canary) => Some(Hold::CanaryMissing(canary.clone())),
                None if trusted => None,
                None => judge(before, now).err(),
            };
            if hold.is_none() {
                *old = Some(Arc::new(part));
                loading.remembered[place] = Some(now);
            }
            let (domain, in_use) = (self.scope.domains()[place].name.clone(), old.is_some());
            domains.push(Judgement { domain, before, now, hold, in_use });
        }
        self.state.store(Arc::new(state));
        Outcome::Judged { source: self.name.clone(), origin, entries, foreign, domains }
    }

    fn states_of(&self, load: Load, stamp: Stamp) -> Vec<DomainState> {
        let parts = load.parts.into_iter().enumerate();
        let state = |(place, part): (usize, DomainPart)| DomainState {
            name: self.scope.canonical(place).into(),
            snapshot: load.snapshot.clone(),
            overlay: Overlay::default(),
            entries: part.entries(),
            patterns: part.patterns.into(),
            stamp,
        };
        parts.map(state).collect()
    }

    /// Whether an address is one of this domain's and found in its part of a load.
    fn has(&self, place: usize, part: &DomainState, address: &Mailbox) -> bool {
        let Some(domain) = address.host.domain() else { return false };
        if self.scope.place(domain.as_str().as_bytes()) != Place::Ours(place) {
            return false;
        }
        let mut local_part = address.local_part.as_str().as_bytes().to_vec();
        if self.scope.domains()[place].case == LocalPartCase::Folded {
            local_part.make_ascii_lowercase();
        }
        matches!(part.find(&local_part, None), Finding::Exists { .. })
    }
}

impl DomainState {
    /// The address itself, its base, the patterns: in this order.
    fn find(&self, exact: &[u8], base: Option<&[u8]>) -> Finding {
        if let Some(finding) = self.find_address(exact, Matched::Exact) {
            return finding;
        }
        if let Some(finding) = base.and_then(|base| self.find_address(base, Matched::SubAddress)) {
            return finding;
        }
        let entry = self.patterns.iter().find(|PatternEntry { pattern, .. }| {
            pattern.matches(exact) || base.is_some_and(|base| pattern.matches(base))
        });
        entry.map_or(Finding::Unknown, |PatternEntry { pattern, target }| Finding::Exists {
            target: target.clone(),
            by: Matched::Pattern(pattern.as_str().into()),
        })
    }

    fn find_address(&self, local_part: &[u8], by: Matched) -> Option<Finding> {
        let hash = self.snapshot.key().hash(local_part, self.name.as_bytes());
        let target = match self.overlay.find(hash) {
            Some(Change::Removed) => return None,
            Some(Change::Added(target)) => target.clone(),
            None => match self.snapshot.find(hash)? {
                Entry::Plain => None,
                Entry::Target(text) => match Mailbox::parse(text) {
                    Ok(target) => Some(target),
                    // Cannot be, since only addresses become targets; and if it were, mail for
                    // the address must not go on without its target.
                    Err(_) => return Some(Finding::Unavailable),
                },
            },
        };
        Some(Finding::Exists { target, by })
    }
}

impl RecipientSource for FileRecipients {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn look_up(&self, question: &Question<'_>) -> SourceAnswer {
        let state = self.state.load();
        let place = self.scope.place_of(question.domain);
        let here = place.and_then(|place| state[place].as_ref());
        let canonical = &question.canonical;
        SourceAnswer::Now(
            here.map_or(Finding::Unavailable, |here| {
                here.find(canonical.exact(), canonical.base())
            }),
        )
    }

    fn poll(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut loading = self.lock();
        let confirmation = self.cache.as_deref().filter(|_| loading.held).and_then(confirm::take);
        if loading.quiet.observe(Stamp::of(&self.settings.path).ok()) || confirmation.is_some() {
            self.load_file(&mut loading, confirmation, &mut outcomes);
        }
        self.save(&mut loading, &mut outcomes);
        outcomes
    }

    fn reload(&self, confirmation: Option<Confirmation>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut loading = self.lock();
        self.load_file(&mut loading, confirmation, &mut outcomes);
        self.save(&mut loading, &mut outcomes);
        outcomes
    }

    fn statistics(&self) -> Option<Statistics> {
        let state = self.state.load();
        // Domains share a snapshot unless one of them was held back.
        let mut snapshots: Vec<&Arc<Snapshot>> = Vec::new();
        for here in state.iter().flatten() {
            if !snapshots.iter().any(|seen| Arc::ptr_eq(seen, &here.snapshot)) {
                snapshots.push(&here.snapshot);
            }
        }
        let sum = |of: fn(&Snapshot) -> usize| snapshots.iter().map(|s| of(s) as u64).sum();
        let domains = self.scope.domains().iter().zip(state.iter()).map(|(scope, here)| {
            let here = here.as_ref();
            DomainStatistics {
                domain: scope.name.clone(),
                entries: here.map(|here| here.entries),
                patterns: here.map_or(0, |here| here.patterns.len() as u64),
                changes: here.map_or(0, |here| here.overlay.len() as u64),
                modified_nanoseconds: here.map(|here| here.stamp.modified_nanoseconds),
            }
        });
        Some(Statistics {
            source: self.name.clone(),
            addresses: sum(Snapshot::len),
            targets: sum(Snapshot::targets),
            octets: sum(Snapshot::octets),
            domains: domains.collect(),
        })
    }
}
