//! What the routes do, in the process that serves mail. It holds nothing of that process but weak
//! references, so that a caller keeps nothing alive. What may block for long runs on a thread of
//! its own; `server.rs` bounds how long anybody waits.

use super::address::canonical;
use super::clients::{self, Clients, Lifted, OfClient, OfClients};
use super::learned::{self, REPORTED_ADDRESSES_MAX, Unsaid};
use super::loads::Loads;
use super::lookup::look_up;
use super::message::{
    Confirm, Confirmed, Diff, Evidence, Flush, Flushed, Loaded, Lookup, OfAddress, OfReport,
    OfSource, Report, Sync,
};
use super::names::{Unclear, pick};
use crate::observe::reports::Reports;
use crate::state::State;
use directory::list::{LoadError, Preview};
use directory::load::guard::{Confirmation, Outcome};
use directory::store::Forget;
use directory::watch::give_way;
use directory::{RecipientList, RecipientMemory, RecipientSource};
use mail::address::{AddressError, Domain};
use relay::event::ProcessEvent;
use relay::settings::Settings;
use std::marker;
use std::sync::{Arc, Weak};
use thiserror::Error;
use wire::clock;

/// Why something is not done.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The process is about to end.
    #[error("this Postern is about to end")]
    Closing,
    /// The question is not understood.
    #[error("not understood: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No such source, or several.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// What was given as an address is none.
    #[error("`{address}` is no address: {source}")]
    Address {
        /// What it was.
        address: String,
        /// Why.
        source: AddressError,
    },
    /// What was given as a client is none.
    #[error(
        "`{0}` is no client: expected an IP address, or a network as 192.0.2.0/24 or \
         2001:db8:1::/48"
    )]
    Client(String),
    /// Not exactly one of address, domain and all.
    #[error("say one of `address`, `domain` and `all`")]
    FlushWhat,
    /// The source is asked for each address.
    #[error("{0} holds no list")]
    NoList(String),
    /// Too many loads.
    #[error("too much is being read already; try again when that is done")]
    Busy,
    /// Of a list the number of its entries is confirmed.
    #[error("{0} is a list: say how many entries it has, --entries N")]
    EntriesMissing(String),
    /// There is nothing to confirm.
    #[error("nothing of {0} is held back")]
    NotHeld(String),
    /// Nobody of a live source is doubted.
    #[error(
        "nothing to confirm: no people are missing for whose sake {0} is doubted (a canary that \
         is missing cannot be confirmed: name another one in the configuration)"
    )]
    NobodyDoubted(String),
    /// The list cannot be read.
    #[error("{source_name}: {error}")]
    Load {
        /// Which.
        source_name: String,
        /// Why.
        error: LoadError,
    },
    /// Nothing can be said of what was learned.
    #[error(transparent)]
    Learned(#[from] Unsaid),
    /// A thread ended early.
    #[error("a bug: {0}")]
    Bug(#[from] tokio::task::JoinError),
}

/// The recipient sources in force; nothing once the process is about to end.
type AskForSources = dyn Fn() -> Option<Vec<Arc<dyn RecipientSource>>> + Send + marker::Sync;

/// The process, as the routes see it.
#[derive(Clone)]
pub struct Work {
    state: Weak<State>,
    sources: Arc<AskForSources>,
    loads: Arc<Loads>,
}

impl Work {
    /// For this process; `sources` says which are in force, in the order of the configuration, and
    /// nothing once the process is about to end. It must keep nothing alive.
    #[must_use]
    pub fn new(
        state: &Arc<State>,
        sources: impl Fn() -> Option<Vec<Arc<dyn RecipientSource>>> + Send + marker::Sync + 'static,
    ) -> Self {
        Self { state: Arc::downgrade(state), sources: Arc::new(sources), loads: Arc::default() }
    }

    fn state(&self) -> Result<Arc<State>, Refusal> {
        self.state.upgrade().ok_or(Refusal::Closing)
    }

    fn all(&self) -> Result<Vec<Arc<dyn RecipientSource>>, Refusal> {
        (self.sources)().ok_or(Refusal::Closing)
    }

    /// The one that is meant; without a word the only one that holds a list.
    fn one(&self, wanted: Option<&str>) -> Result<Arc<dyn RecipientSource>, Refusal> {
        let mut sources = self.all()?;
        if wanted.is_none() {
            sources.retain(|source| source.list().is_some());
        }
        let names: Vec<&str> = sources.iter().map(|source| &**source.name()).collect();
        let at = pick(&names, wanted)?;
        Ok(Arc::clone(&sources[at]))
    }

    fn list(&self, wanted: Option<&str>) -> Result<Arc<dyn RecipientSource>, Refusal> {
        let source = self.one(wanted)?;
        if source.list().is_none() {
            return Err(Refusal::NoList(source.name().to_string()));
        }
        Ok(source)
    }

    /// What all sources are and did.
    /// # Errors
    /// When the process is about to end.
    pub fn sources(&self) -> Result<Reports, Refusal> {
        let sources = self.all()?.iter().map(|source| source.report()).collect();
        let next_hops = self.state()?.active.load().meter.reports();
        Ok(Reports { process_id: Some(std::process::id()), sources, next_hops })
    }

    /// Which clients are put off, and, where asked for, which are known.
    /// # Errors
    /// When the process is about to end.
    pub fn clients(&self, of: &OfClients) -> Result<Clients, Refusal> {
        let state = self.state()?;
        let harvest = state.active.load().config.settings.harvest.clone();
        Ok(clients::list(&state.ledgers, of, &harvest, clock::now()))
    }

    /// What is known of one client and its network.
    /// # Errors
    /// When it is none.
    pub fn client(&self, of: &OfClient) -> Result<Clients, Refusal> {
        let state = self.state()?;
        let harvest = state.active.load().config.settings.harvest.clone();
        clients::show(&state.ledgers, of, &harvest, clock::now())
    }

    /// Lets a client or a network in again.
    /// # Errors
    /// When it is none.
    pub fn lift(&self, of: &OfClient) -> Result<Lifted, Refusal> {
        let state = self.state()?;
        let lifted = clients::lift(&state.ledgers, of, clock::now())?;
        if lifted.was_blocked {
            let detail = "a person has let it in again";
            state.observer.tell(ProcessEvent::ClientLifted, &lifted.client, detail);
        }
        Ok(lifted)
    }

    /// The answer for one address, as a client would get it now.
    /// # Errors
    /// When it is no address.
    pub async fn look_up(&self, of: OfAddress) -> Result<Lookup, Refusal> {
        let active = self.state()?.active.load_full();
        let found = look_up(&active.config, &active.directory, &of.address).await;
        let found = found.map_err(|source| Refusal::Address { address: of.address, source })?;
        Ok(Lookup { process_id: Some(std::process::id()), ..found })
    }

    /// The evidence that mail itself gave about an address.
    /// # Errors
    /// When it is none.
    pub fn why(&self, of: &OfAddress) -> Result<Evidence, Refusal> {
        let state = self.state()?;
        let settings = Arc::clone(&state.active.load().config.settings);
        Ok(learned::why(&settings, &of.address, |name| Ok(state.learned.why(name)))?)
    }

    /// Whom `learned` would have refused if it were enforced.
    /// # Errors
    /// When the process is about to end.
    pub fn report(&self, of: OfReport) -> Result<Report, Refusal> {
        let max = of.addresses_max.min(REPORTED_ADDRESSES_MAX);
        Ok(Report { would_refuse: self.state()?.learned.report(max) })
    }

    /// Forgets what was remembered. May wait for the disk.
    /// # Errors
    /// When it is not clear what.
    pub async fn flush(&self, flush: Flush) -> Result<Flushed, Refusal> {
        let active = self.state()?.active.load_full();
        let what = to_forget(&active.config.settings, &flush)?;
        let sources = match &flush.source {
            Some(wanted) => vec![self.one(Some(wanted))?],
            None => self.all()?,
        };
        let forget = move || {
            let mut flushed = Flushed::default();
            for source in sources {
                let forget =
                    |live: &dyn RecipientMemory| what.iter().map(|what| live.forget(what)).sum();
                let forgotten = source.memory().map_or(0, forget);
                flushed.forgotten += forgotten;
                flushed.sources.insert(source.name().to_string(), forgotten);
            }
            flushed
        };
        Ok(tokio::task::spawn_blocking(forget).await?)
    }

    /// Begins to read a list, unless that goes on already.
    /// # Errors
    /// When it is not clear which, or too much is being read.
    pub fn sync(&self, of: &OfSource) -> Result<Sync, Refusal> {
        let source = self.list(of.source.as_deref())?;
        let begun = self.loads.begin(&source, self.teller());
        if begun { Ok(self.loads.progress(&*source)) } else { Err(Refusal::Busy) }
    }

    /// How far that is.
    /// # Errors
    /// When it is not clear which.
    pub fn progress(&self, of: &OfSource) -> Result<Sync, Refusal> {
        Ok(self.loads.progress(&*self.list(of.source.as_deref())?))
    }

    /// Reads a list and says what it would change.
    /// # Errors
    /// When it is not clear which, or it cannot be read.
    pub async fn diff(&self, of: &OfSource) -> Result<Diff, Refusal> {
        let source = self.list(of.source.as_deref())?;
        let name = source.name().to_string();
        let preview = self.with_list(source, |list| list.preview()).await?;
        diff(&name, preview)
    }

    /// Takes a person's word.
    /// # Errors
    /// When it is not clear for which, or nothing waits for one.
    pub async fn confirm(&self, confirm: &Confirm) -> Result<Confirmed, Refusal> {
        let Some(entries) = confirm.entries else {
            let source = self.one(Some(&confirm.source))?;
            let source_name = source.name().to_string();
            // It insists on being kept, which may wait for the disk.
            let confirm = move || source.memory().map(RecipientMemory::confirm_people_left);
            return match self.blocking(confirm).await? {
                Some(true) => {
                    Ok(Confirmed { source: source_name, is_taken: true, ..Confirmed::default() })
                }
                Some(false) => Err(Refusal::NobodyDoubted(source_name)),
                None => Err(Refusal::EntriesMissing(source_name)),
            };
        };
        let source = self.list(Some(&confirm.source))?;
        let name = source.name().to_string();
        if !confirm.is_new && !source.report().is_held {
            return Err(Refusal::NotHeld(name));
        }
        let tell = self.teller();
        let read = move |list: &dyn RecipientList| {
            let outcomes = list.reload(Some(Confirmation { entries }));
            tell(&outcomes);
            Loaded::of(&outcomes)
        };
        let loaded = self.with_list(source, read).await?;
        let is_taken = loaded.as_ref().is_some_and(|loaded| loaded.is_adopted);
        Ok(Confirmed { source: name, is_taken, loaded, ..Confirmed::default() })
    }

    /// Does something with the list of a source, which may wait for long.
    async fn with_list<T: Send + 'static>(
        &self,
        source: Arc<dyn RecipientSource>,
        work: impl FnOnce(&dyn RecipientList) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let name = source.name().to_string();
        let done = self.blocking(move || source.list().map(work)).await?;
        done.ok_or(Refusal::NoList(name))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let slot = Arc::clone(&self.loads.slots).try_acquire_owned();
        let slot = slot.map_err(|_| Refusal::Busy)?;
        let work = move || {
            give_way();
            let done = work();
            drop(slot);
            done
        };
        Ok(tokio::task::spawn_blocking(work).await?)
    }

    /// Tells the log what came of a load.
    fn teller(&self) -> impl Fn(&[Outcome]) + Send + 'static {
        let state = Weak::clone(&self.state);
        move |outcomes: &[Outcome]| {
            if let Some(state) = state.upgrade() {
                outcomes.iter().for_each(|outcome| state.observer.tell_load(outcome));
            }
        }
    }
}

/// Of a preview.
/// # Errors
/// When the list could not be read.
pub fn diff(name: &str, preview: Result<Preview, LoadError>) -> Result<Diff, Refusal> {
    let refused = |error| Refusal::Load { source_name: name.to_owned(), error };
    Ok(Diff::of(name, &preview.map_err(refused)?))
}

/// What is to be forgotten, in canonical form; with an address what it is without its sub-address.
/// # Errors
/// When it is not clear what.
pub fn to_forget(settings: &Settings, flush: &Flush) -> Result<Vec<Forget>, Refusal> {
    match (&flush.address, &flush.domain, flush.all) {
        (Some(address), None, false) => of_address(settings, address),
        (None, Some(domain), false) => {
            let refused = |source| Refusal::Address { address: domain.clone(), source };
            let domain = Domain::from_unicode(domain).map_err(refused)?;
            let ours = settings.domain_of(&domain).map(|id| &settings.domain(id).name);
            Ok(vec![Forget::Domain(ours.unwrap_or(&domain).to_canonical())])
        }
        (None, None, true) => Ok(vec![Forget::All]),
        _ => Err(Refusal::FlushWhat),
    }
}

fn of_address(settings: &Settings, address: &str) -> Result<Vec<Forget>, Refusal> {
    let refused = |source| Refusal::Address { address: address.to_owned(), source };
    Ok(canonical(settings, address).map_err(refused)?.into_iter().map(Forget::Address).collect())
}
