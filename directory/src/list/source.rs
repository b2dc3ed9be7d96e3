//! A list as a source: loading it, judging it, swapping it in, keeping it in the state directory.
//! Lookups read one `ArcSwap` and take no lock; loads take turns. What is in use is `state.rs`,
//! single changes are `follow.rs`.

use super::state::newer::{Newer, REMINDER_NANOSECONDS, Unused};
use super::state::{DomainState, State};
use super::{Lister, LoadError, Version, cache, confirm};
use crate::load::guard::{Confirmation, Hold, Judgement, Origin, Outcome, judge};
use crate::load::intake::{Intake, Progress, Rows};
use crate::load::part::Load;
use crate::load::preview::{Named, Preview, Recipient};
use crate::load::scope::Scope;
use crate::report::SourceReport;
use crate::snapshot::HashKey;
use crate::snapshot::overlay::{Change, OverlayFull};
use crate::statistics::Statistics;
use crate::{Account, Environment, Question, RecipientList, RecipientSource, SourceAnswer};
use arc_swap::ArcSwap;
use relay::settings::DomainId;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use wire::clock;
use wire::lock::lock;

/// How long whoever looks something up may hold the list before.
const OLD_STATE_PATIENCE: Duration = Duration::from_secs(1);

/// What only loads look at.
#[derive(Debug)]
pub(super) struct Loading {
    /// Entries when last adopted, by place, as the state directory remembers.
    remembered: Vec<Option<u64>>,
    /// What all that is in use was read from; nothing when not all of it is of one load.
    pub(super) version: Option<Version>,
    /// Adopted and not yet kept in the state directory; shares its addresses with what is in
    /// use. Opening leaves that to the first poll, since nobody should wait for the disk before
    /// the greeting.
    unsaved: Option<(Load, Version)>,
    /// Part of the last load waits for a confirmation.
    pub(super) held: bool,
    /// When it was told that a list is there and not in use, in nanoseconds since 1970.
    told: Option<i64>,
}

/// A list of recipients as a source.
pub struct Listed {
    pub(super) lister: Box<dyn Lister>,
    pub(super) scope: Scope,
    cache: Option<PathBuf>,
    environment: Environment,
    pub(super) state: ArcSwap<State>,
    /// What is there beside it.
    pub(super) newer: ArcSwap<Newer>,
    /// Held while what is in use is replaced, which takes no time; so that a single change need
    /// not wait until a load is done.
    pub(super) swapping: Mutex<()>,
    loading: Mutex<Loading>,
    progress: Progress,
    /// To be read at the next poll, whatever the lister says.
    is_wanted: AtomicBool,
    /// Why the last load is not in use; seen while the next one is under way.
    pub(super) last_trouble: Mutex<Option<NotInUse>>,
}

/// A load that is not in use.
#[derive(Debug)]
pub(super) struct NotInUse {
    /// A guard holds it back; otherwise it failed.
    pub(super) is_held: bool,
    pub(super) why: String,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listed").field(self.lister.name()).finish()
    }
}

impl Listed {
    /// Opens the source. What an earlier run kept is used at once when it is unchanged; otherwise
    /// the list is read and judged against it, by the first poll if it is slow. The source
    /// answers `Unavailable` for domains that nothing was adopted for.
    #[must_use]
    pub fn open(
        lister: impl Lister,
        scope: Scope,
        environment: &Environment,
    ) -> (Self, Vec<Outcome>) {
        let (source, mut outcomes, is_current) = Self::open_unread(lister, scope, environment);
        if !is_current && !source.lister.is_slow() && environment.reads_at_once {
            source.load(&mut source.lock(), None, &mut outcomes);
        }
        (source, outcomes)
    }

    /// Opens with what an earlier run kept and reads nothing: for a [`Listed::preview`].
    #[must_use]
    pub fn open_kept(
        lister: impl Lister,
        scope: Scope,
        environment: &Environment,
    ) -> (Self, Vec<Outcome>) {
        let (source, outcomes, _) = Self::open_unread(lister, scope, environment);
        (source, outcomes)
    }

    fn open_unread(
        lister: impl Lister,
        scope: Scope,
        environment: &Environment,
    ) -> (Self, Vec<Outcome>, bool) {
        let domains = scope.domains().len();
        let directory = environment.state_directory.as_deref();
        let cache = directory.map(|directory| cache::path_for(directory, &lister));
        let source = Self {
            // A word that was left for a start is about what the list has now.
            is_wanted: AtomicBool::new(cache.as_deref().is_some_and(confirm::is_left)),
            cache,
            lister: Box::new(lister),
            scope,
            environment: environment.clone(),
            state: ArcSwap::from_pointee(vec![None; domains]),
            newer: ArcSwap::from_pointee(vec![Unused::Nothing; domains]),
            swapping: Mutex::new(()),
            loading: Mutex::new(Loading {
                remembered: vec![None; domains],
                version: None,
                unsaved: None,
                held: false,
                told: None,
            }),
            progress: Progress::default(),
            last_trouble: Mutex::default(),
        };
        let mut outcomes = Vec::new();
        let is_current = source.open_cache(&mut outcomes);
        (source, outcomes, is_current)
    }

    /// Adds or removes one address, see [`Listed::change_many`].
    /// # Errors
    /// When the overlay is full.
    pub fn change(
        &self,
        domain: DomainId,
        local_part: &[u8],
        change: Change,
    ) -> Result<bool, OverlayFull> {
        Ok(self.change_many([(domain, local_part, change)])? > 0)
    }

    /// Adds or removes addresses, their local parts in canonical form, until the next load of
    /// their domain is adopted. Says how many: a domain for which nothing is in use takes none.
    /// No guard looks at them.
    /// # Errors
    /// When the overlay is full: nothing is changed then, and the list must be read whole.
    pub fn change_many<'a>(
        &self,
        changes: impl IntoIterator<Item = (DomainId, &'a [u8], Change)>,
    ) -> Result<u64, OverlayFull> {
        let _swapping = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.state.load());
        let mut changed = 0;
        for (domain, local_part, change) in changes {
            let place = self.scope.place_of(domain);
            if let Some(Some(here)) = place.and_then(|place| state.get_mut(place)) {
                // Copied at its first change only.
                Arc::make_mut(here).change(local_part, change)?;
                changed += 1;
            }
        }
        self.swap(state);
        Ok(changed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Loading> {
        // A load that panicked has swapped nothing; the next one starts over.
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn new_key(&self) -> Result<HashKey, LoadError> {
        (self.environment.new_key)().map_err(LoadError::Randomness)
    }

    /// Puts what an earlier run kept into use, and says whether the source still has that.
    fn open_cache(&self, outcomes: &mut Vec<Outcome>) -> bool {
        let Some(path) = self.cache.as_deref() else { return false };
        let kept = match cache::read(path, &*self.lister, &self.scope) {
            Ok(Some(kept)) => kept,
            Ok(None) => return false,
            Err(error) => {
                let source = self.lister.name().clone();
                outcomes.push(Outcome::CacheFailed { source, error });
                return false;
            }
        };
        let mut loading = self.lock();
        loading.remembered = kept.entries;
        let Some((load, version)) = kept.load else { return false };
        let outcome = self.adopt(&mut loading, load, &version, Origin::Cache, None);
        let adopted = outcome.is_adopted();
        outcomes.push(outcome);
        adopted && self.lister.resume(&version)
    }

    pub(super) fn read(
        &self,
        lister: &dyn Lister,
        loading: &Loading,
        key: HashKey,
        named: Option<Named>,
        show: Option<&mut dyn FnMut(Recipient<'_>)>,
    ) -> Result<(Load, Version, Option<Named>), LoadError> {
        self.progress.begin();
        let before: u64 = loading.remembered.iter().flatten().sum();
        let rows = lister.rows();
        // A little more than last time saves growing, which holds everything twice.
        let guess = before.saturating_add(before / 16);
        let mut intake = Intake::new(&self.scope, key, rows, &self.progress, guess);
        intake.allow(lister.allowances());
        if let Some(named) = named {
            intake.name_added(named);
        }
        if let Some(show) = show {
            intake.show_to(show);
        }
        let read = lister.read(&mut intake);
        let read = read.and_then(|version| {
            let (load, named) = intake.finish()?;
            Ok((load, version, named))
        });
        self.progress.end();
        read
    }

    pub(super) fn load(
        &self,
        loading: &mut Loading,
        confirmation: Option<Confirmation>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let read =
            self.new_key().and_then(|key| self.read(&*self.lister, loading, key, None, None));
        if self.progress.is_stopped() {
            return;
        }
        self.lister.took(read.as_ref().map(|(_, version, _)| version), clock::unix_nanoseconds());
        let (load, version) = match read {
            Ok((load, version, _)) => (load, version),
            Err(error) => {
                self.note_unread(&error);
                loading.told = Some(clock::unix_nanoseconds());
                let why = error.to_string();
                *lock(&self.last_trouble) = Some(NotInUse { is_held: false, why });
                return outcomes.push(self.failed(error));
            }
        };
        let kept = load.clone();
        let outcome = self.adopt(loading, load, &version, Origin::Source, confirmation);
        // What is half adopted is not kept: after a restart, what was in use before the list
        // shrank is in use again, and the list is judged again.
        loading.held = !outcome.is_adopted();
        loading.told = loading.held.then(clock::unix_nanoseconds);
        let why = loading.held.then(|| outcome.holds_in_words());
        *lock(&self.last_trouble) = why.map(|why| NotInUse { is_held: true, why });
        if let Some(cache) = self.cache.as_deref().filter(|_| !loading.held) {
            loading.unsaved = Some((kept, version));
            confirm::discard(cache);
        }
        outcomes.push(outcome);
    }

    pub(super) fn failed(&self, error: LoadError) -> Outcome {
        let domains_in_use = self.state.load().iter().flatten().count();
        Outcome::Failed { source: self.lister.name().clone(), error, domains_in_use }
    }

    /// Keeps what was adopted for the next start.
    fn save(&self, loading: &mut Loading, outcomes: &mut Vec<Outcome>) {
        let (Some(path), Some((load, version))) = (&self.cache, loading.unsaved.take()) else {
            return;
        };
        if let Err(error) = cache::write(path, &*self.lister, &self.scope, &load, &version) {
            outcomes.push(Outcome::CacheFailed { source: self.lister.name().clone(), error });
        }
    }

    /// Puts a state into use. The one before is freed here: a session that is the last to look
    /// something up in it would have to return its memory, which takes milliseconds.
    fn swap(&self, state: State) {
        let old = self.state.swap(Arc::new(state));
        let until = Instant::now() + OLD_STATE_PATIENCE;
        while Arc::strong_count(&old) > 1 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Judges a load and swaps in what passes.
    fn adopt(
        &self,
        loading: &mut Loading,
        load: Load,
        version: &Version,
        origin: Origin,
        confirmation: Option<Confirmation>,
    ) -> Outcome {
        let (entries, foreign, skipped) = (load.entries(), load.foreign, load.skipped.clone());
        let confirmed = confirmation.is_some_and(|word| self.confirms(word, entries));
        // What is in the cache was adopted once, if only since a person said so.
        let trusted = confirmed || origin == Origin::Cache;
        let new = DomainState::of_load(load, &self.scope, version.modified_nanoseconds);
        let _swapping = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.state.load());
        let mut domains = Vec::with_capacity(new.len());
        let mut newer = vec![Unused::Nothing; new.len()];
        for (place, part) in new.into_iter().enumerate() {
            let old = &mut state[place];
            let mut judged = self.judge_part(loading, place, old.as_deref(), &part, trusted);
            if judged.hold.is_none() {
                *old = Some(Arc::new(part));
                loading.remembered[place] = Some(judged.now);
            } else {
                newer[place] = Unused::Held(Arc::new(part));
            }
            judged.in_use = old.is_some();
            domains.push(judged);
        }
        // First what is in use: nobody whom both lists lack, or the new one has, is ever unknown.
        self.swap(state);
        self.newer.store(Arc::new(newer));
        let is_whole = domains.iter().all(|judged| judged.hold.is_none());
        loading.version = is_whole.then(|| version.clone());
        let source = self.lister.name().clone();
        Outcome::Judged { source, origin, entries, foreign, skipped, domains }
    }

    pub(super) fn judge_part(
        &self,
        loading: &Loading,
        place: usize,
        old: Option<&DomainState>,
        part: &DomainState,
        trusted: bool,
    ) -> Judgement {
        let before = old.map(|old| old.entries).or(loading.remembered[place]);
        let scope = &self.scope.domains()[place];
        let canary = scope.canary.as_ref();
        let hold = match canary.filter(|canary| !part.has(&self.scope, place, canary)) {
            Some(canary) => Some(Hold::CanaryMissing(canary.clone())),
            None if trusted => None,
            None => judge(before, part.entries).err(),
        };
        let in_use = old.is_some() || hold.is_none();
        Judgement { domain: scope.name.clone(), before, now: part.entries, hold, in_use }
    }

    /// As `poll`, at a time in nanoseconds since 1970.
    pub(crate) fn poll_at(&self, now: i64) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut loading = match self.loading.try_lock() {
            Ok(loading) => loading,
            // Another thread loads it and will tell.
            Err(TryLockError::WouldBlock) => return outcomes,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        if self.progress.is_stopped() {
            return outcomes;
        }
        let confirmation = self.cache.as_deref().filter(|_| loading.held).and_then(confirm::take);
        let is_due = self.lister.is_due(now);
        let is_wanted = self.is_wanted.swap(false, Ordering::Relaxed);
        // What waits for a person is read and told again; a server paces itself.
        let reminds = !self.lister.is_slow()
            && loading.told.is_some_and(|told| now.saturating_sub(told) >= REMINDER_NANOSECONDS);
        if is_due || is_wanted || reminds || confirmation.is_some() {
            self.load(&mut loading, confirmation, &mut outcomes);
        } else {
            self.follow(&mut loading, &mut outcomes);
        }
        self.save(&mut loading, &mut outcomes);
        outcomes
    }

    /// A file is confirmed as it was seen; a list that lives goes on changing while a person
    /// looks at it, so there one in a hundred is allowed.
    fn confirms(&self, confirmation: Confirmation, entries: u64) -> bool {
        let moved = match self.lister.rows() {
            Rows::Written => 0,
            Rows::Exported => confirmation.entries / 100,
        };
        confirmation.entries.abs_diff(entries) <= moved
    }
}

impl RecipientSource for Listed {
    fn name(&self) -> &Arc<str> {
        self.lister.name()
    }

    fn look_up(&self, question: &Question<'_>) -> SourceAnswer {
        SourceAnswer::Now(self.find(question))
    }

    fn account(&self, question: &Question<'_>) -> Account {
        self.account_of(question.domain)
    }

    fn report(&self) -> SourceReport {
        self.status()
    }

    fn list(&self) -> Option<&dyn RecipientList> {
        Some(self)
    }
}

impl RecipientList for Listed {
    fn poll(&self) -> Vec<Outcome> {
        self.poll_at(clock::unix_nanoseconds())
    }

    fn is_slow(&self) -> bool {
        self.lister.is_slow()
    }

    fn reload_soon(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    fn reload(&self, confirmation: Option<Confirmation>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut loading = self.lock();
        self.load(&mut loading, confirmation, &mut outcomes);
        self.save(&mut loading, &mut outcomes);
        outcomes
    }

    fn leave_confirmation(&self, confirmation: Confirmation) -> Option<io::Result<PathBuf>> {
        let cache = self.cache.as_deref()?;
        Some(confirm::leave(cache, self.lister.name(), confirmation))
    }

    fn retire(&self) {
        self.progress.stop();
    }

    fn progress(&self) -> Option<u64> {
        self.progress.taken()
    }

    fn preview(&self) -> Result<Preview, LoadError> {
        self.preview_of(&*self.lister)
    }

    fn read_out(&self, take: &mut dyn FnMut(Recipient<'_>)) -> Result<(), LoadError> {
        let loading = self.lock();
        self.read(&*self.lister, &loading, self.new_key()?, None, Some(take)).map(|_| ())
    }

    fn statistics(&self) -> Statistics {
        self.figures()
    }
}
