//! A source that asks elsewhere, as a recipient source: what is remembered is answered at once,
//! the rest is asked for, once however many want to know, and believed as `trust.rs` says. When
//! there is no answer, the last known yes stands for up to 31 days. Who waits for what is
//! `flight.rs`.

use super::flight::{Waiting, Wanted};
use super::kept::fingerprint;
use super::memory::{Lifetimes, Memory, MemoryEntry, Recalled};
use super::trust::{self, Doubt, Named, Trust, Unbelieved, Worth};
use super::{Existence, LiveSource, Trouble, TroubleKind, within_patience};
use crate::list::DomainScope;
use crate::question::Teller;
use crate::store::{KeptAnswer, Store};
use crate::{Environment, Opened};
use mail::address::{Domain, Host, LocalPart, Mailbox};
use relay::event::ProcessEvent;
use relay::settings::{DomainId, LocalPartCase};
use relay::turns::Party;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use wire::clock;
use wire::lock::lock;

/// How soon the same kind of trouble is told of again, in seconds.
const TOLD_AGAIN_SECONDS: i64 = 600;
/// How often the background looks whether a test is due.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// Domains that are tested at the start; the others are when they are asked for.
const TESTED_AT_START_MAX: usize = 16;

/// What became of a question.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    Exists(Option<Arc<Mailbox>>),
    Unknown,
    Unavailable,
}

/// Counts, for figures and `postern recipients sources`.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) asked: AtomicU64,
    pub(super) yes: AtomicU64,
    pub(super) no: AtomicU64,
    pub(super) doubted: AtomicU64,
    pub(super) troubles: [AtomicU64; TroubleKind::ALL.len()],
    pub(super) recalled: AtomicU64,
}

/// A live source with its memory.
pub struct Remembered {
    pub(super) me: Weak<Self>,
    pub(super) name: Arc<str>,
    live: Arc<dyn LiveSource>,
    /// Ids in order, with their places in `trust.domains` and their canonical names.
    pub(super) domains: Vec<(DomainId, MemoryKey)>,
    pub(super) memory: Memory,
    pub(super) trust: Trust,
    pub(super) flights: Mutex<HashMap<u64, Waiting>>,
    /// How often something was forgotten on a person's word; held while it happens, and while an
    /// answer is put in.
    pub(super) flushes: Mutex<u64>,
    /// When a person last said that those who turned unknown have left, in seconds of
    /// [`clock::uptime_seconds`].
    pub(super) confirmed: AtomicI64,
    pub(super) counts: Counts,
    /// When, in seconds of [`clock::uptime_seconds`], and what.
    pub(super) last_trouble: Mutex<Option<(i64, String)>>,
    /// What was told of, and when.
    told: Mutex<HashMap<&'static str, i64>>,
    pub(super) store: Store,
    /// Of the settings that decide about its answers.
    pub(super) fingerprint: u64,
    pub(super) background: Option<Handle>,
    pub(super) tell: Teller,
}

#[derive(Clone)]
pub(super) struct MemoryKey {
    pub(super) index: usize,
    pub(super) canonical: Arc<str>,
}

impl Remembered {
    /// Takes what was remembered before the last restart, and begins to look after the source
    /// where there is a background.
    /// # Errors
    /// When the system has no randomness.
    pub fn open(
        live: Arc<dyn LiveSource>,
        lifetimes: Lifetimes,
        scopes: &[DomainScope],
        environment: &Environment,
    ) -> io::Result<Arc<Self>> {
        let key = (environment.new_key)()?;
        let place = |(index, scope): (usize, &DomainScope)| {
            let canonical = scope.name.to_canonical().into();
            (scope.id, MemoryKey { index, canonical })
        };
        let mut domains: Vec<_> = scopes.iter().enumerate().map(place).collect();
        domains.sort_unstable_by_key(|(id, _)| *id);
        let scope = scopes.iter().map(|scope| (scope.name.clone(), canary(scope)));
        let tell = Arc::clone(&environment.tell);
        let (store, fingerprint) = (environment.store.clone(), fingerprint(&*live));
        let trust =
            Trust::new(Arc::clone(&live), scope, lifetimes.vouch_milliseconds, Arc::clone(&tell))
                .keeping(store.clone(), fingerprint);
        let remembered = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            name: Arc::clone(live.name()),
            live,
            domains,
            memory: Memory::new(lifetimes, key.0),
            trust,
            flights: Mutex::default(),
            flushes: Mutex::default(),
            confirmed: AtomicI64::new(i64::MIN),
            counts: Counts::default(),
            last_trouble: Mutex::default(),
            told: Mutex::default(),
            store,
            fingerprint,
            background: environment.background.clone(),
            tell,
        });
        remembered.load();
        if let Some(background) = &remembered.background {
            background.spawn(look_after(remembered.me.clone()));
        }
        Ok(remembered)
    }

    pub(super) fn place(&self, id: DomainId) -> Option<&MemoryKey> {
        let at = self.domains.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.domains[at].1)
    }

    /// From memory, when it is there.
    pub(super) fn recall(&self, local_part: &[u8], place: &MemoryKey, now: i64) -> Remembrance {
        let key = self.memory.key(local_part, &place.canonical);
        match self.memory.recall(key, now) {
            Recalled::Exists { kept, is_due } => {
                if is_due && let Some(wanted) = self.wanted(local_part, place) {
                    // Nobody waits for it.
                    let _ = self.ask(&wanted);
                }
                Remembrance::Settled(Settled::Exists(kept.target))
            }
            Recalled::Unknown(_) => Remembrance::Settled(Settled::Unknown),
            Recalled::LastKnown(_) | Recalled::Nothing => match self.wanted(local_part, place) {
                Some(wanted) => Remembrance::Wanted(wanted),
                // No server has an address that is none.
                None => Remembrance::Settled(Settled::Unknown),
            },
        }
    }

    pub(super) async fn settle(&self, wanted: &Wanted) -> Settled {
        // It may have been answered since.
        match self.memory.recall(wanted.key, clock::uptime_seconds()) {
            Recalled::Exists { kept, .. } => return Settled::Exists(kept.target),
            Recalled::Unknown(_) => return Settled::Unknown,
            Recalled::LastKnown(_) | Recalled::Nothing => {}
        }
        let Some(mut waiting) = self.ask(wanted) else { return self.last_known(wanted.key) };
        let settled = waiting.wait_for(Option::is_some).await;
        let settled = settled.ok().and_then(|settled| settled.clone());
        settled.unwrap_or_else(|| self.last_known(wanted.key))
    }

    pub(super) fn last_known(&self, key: u64) -> Settled {
        match self.memory.recall(key, clock::uptime_seconds()) {
            Recalled::Exists { kept, .. } | Recalled::LastKnown(kept) => {
                Settled::Exists(kept.target)
            }
            Recalled::Unknown(_) | Recalled::Nothing => Settled::Unavailable,
        }
    }

    /// Asks, judges and remembers.
    pub(super) async fn find_out(
        &self,
        key: u64,
        mailbox: &Mailbox,
        place: &MemoryKey,
        party: Party,
    ) -> Settled {
        let (begun, flushes) = (trust::now(), *lock(&self.flushes));
        self.counts.asked.fetch_add(1, Relaxed);
        self.trust.domains[place.index].is_in_use.store(true, Relaxed);
        let said = match Arc::clone(&self.live).ask_for(mailbox.clone(), party).await {
            Ok(said) => said,
            // As a name that nobody has heard it, too.
            Err(trouble)
                if trouble.at_rcpt.is_some_and(|reply| self.trust.is_no(place.index, reply)) =>
            {
                Existence::Unknown
            }
            Err(trouble) => {
                self.note(&trouble);
                self.trust.troubled(&trouble);
                return self.last_known(key);
            }
        };
        self.trust.answered();
        let judged = match &said {
            Existence::Exists { .. } => {
                self.trust.judge_yes(place.index, Named { mailbox, key }, begun).await
            }
            Existence::Unknown => self.judge_no(Named { mailbox, key }, place).await,
        };
        match (judged, said) {
            (Ok(Worth::Unproven), Existence::Exists { target }) => {
                self.counts.yes.fetch_add(1, Relaxed);
                Settled::Exists(target.map(Arc::new))
            }
            (Ok(_), said) => self.keep(key, mailbox, said, flushes),
            (Err(why), _) => self.disbelieve(key, mailbox, place, &why),
        }
    }

    fn disbelieve(
        &self,
        key: u64,
        mailbox: &Mailbox,
        place: &MemoryKey,
        why: &Unbelieved,
    ) -> Settled {
        self.counts.doubted.fetch_add(1, Relaxed);
        self.note_doubt(mailbox, why);
        if let Unbelieved::Doubted(doubt) = why {
            self.distrust(place, doubt);
        }
        self.last_known(key)
    }

    async fn judge_no(&self, of: Named<'_>, place: &MemoryKey) -> Result<Worth, Unbelieved> {
        self.trust.refuses_somebody(place.index);
        let now = clock::uptime_seconds();
        let last_yes = match self.memory.recall(of.key, now) {
            Recalled::Exists { kept, .. } | Recalled::LastKnown(kept) => Some(kept.asked),
            Recalled::Unknown(_) | Recalled::Nothing => None,
        };
        // Without the address itself.
        let others = || self.memory.known_of(&place.canonical, now).saturating_sub(1);
        let counts = last_yes.is_some_and(|asked| asked > self.confirmed.load(Relaxed));
        let left = counts.then_some(&others as &(dyn Fn() -> usize + Sync));
        self.trust.judge_no(place.index, of, last_yes.is_some(), left).await?;
        self.trust.domains[place.index].is_doubted.store(false, Relaxed);
        Ok(Worth::Proven)
    }

    /// Where a no turns out to be worth nothing, those that were believed before are not either.
    pub(super) fn distrust(&self, place: &MemoryKey, doubt: &Doubt) {
        if doubt.is_of_all() && !self.trust.domains[place.index].is_doubted.swap(true, Relaxed) {
            // The first who turned unknown were believed to be gone, also after a restart.
            self.memory.forget_negatives_of(&place.canonical);
            self.store.forget_negatives_of(&self.name, &place.canonical);
        }
    }

    /// Remembers an answer, unless something was flushed since it was asked for: `flushes` is how
    /// often that had happened then.
    fn keep(&self, key: u64, mailbox: &Mailbox, said: Existence, flushes: u64) -> Settled {
        let domain = mailbox.host.domain().map(Domain::to_canonical).unwrap_or_default();
        let address: Arc<str> = format!("{}@{domain}", mailbox.local_part).into();
        let exists = matches!(said, Existence::Exists { .. });
        let target = match said {
            Existence::Exists { target } => target.map(Arc::new),
            Existence::Unknown => None,
        };
        let asked = clock::uptime_seconds();
        let kept = MemoryEntry { address, asked, target: target.clone(), is_outdated: false };
        let answer = KeptAnswer {
            address: (*kept.address).into(),
            exists,
            target: target.as_deref().map(|target| target.to_string().into()),
            asked_at: unix_seconds(),
            fingerprint: self.fingerprint,
        };
        let count = if exists { &self.counts.yes } else { &self.counts.no };
        count.fetch_add(1, Relaxed);
        let flushed = lock(&self.flushes);
        if *flushed == flushes {
            self.store.keep_answer(&self.name, answer);
            if exists {
                self.memory.keep_positive(key, kept);
            } else {
                self.memory.keep_negative(key, kept);
            }
        }
        if exists { Settled::Exists(target) } else { Settled::Unknown }
    }

    /// Counts trouble, and tells of it when it is news.
    pub(super) fn note(&self, trouble: &Trouble) {
        self.counts.troubles[trouble.kind as usize].fetch_add(1, Relaxed);
        if self.is_news(trouble.kind.word()) {
            self.tell_of(trouble);
        }
        self.note_text(trouble.to_string());
    }

    fn note_doubt(&self, mailbox: &Mailbox, why: &Unbelieved) {
        let text = format!("{mailbox}: not believed: {why}");
        if self.is_news(why.word()) {
            (self.tell)(ProcessEvent::SourceDoubted, &self.name, &text);
        }
        self.note_text(text);
    }

    /// Whether nobody was told of such a thing for a while.
    fn is_news(&self, what: &'static str) -> bool {
        let now = clock::uptime_seconds();
        let mut told = lock(&self.told);
        let is_news = told.get(what).is_none_or(|at| now - at >= TOLD_AGAIN_SECONDS);
        if is_news {
            told.insert(what, now);
        }
        is_news
    }

    fn tell_of(&self, trouble: &Trouble) {
        let remedy = match trouble.remedy {
            "" => String::new(),
            remedy => format!(" ({remedy})"),
        };
        let detail = format!("{}: {trouble}{remedy}", trouble.kind.word());
        (self.tell)(ProcessEvent::SourceTrouble, &self.name, &detail);
    }

    pub(super) fn note_text(&self, text: String) {
        *lock(&self.last_trouble) = Some((clock::uptime_seconds(), text));
    }
}

pub(super) enum Remembrance {
    Settled(Settled),
    Wanted(Wanted),
}

/// The canary as any address is asked for: in canonical form, at the domain's own name.
fn canary(scope: &DomainScope) -> Option<Mailbox> {
    let canary = scope.canary.as_ref()?;
    let local_part = match scope.case {
        LocalPartCase::Exact => canary.local_part.clone(),
        LocalPartCase::Folded => {
            LocalPart::new(&canary.local_part.as_str().to_ascii_lowercase()).ok()?
        }
    };
    Some(Mailbox { local_part, host: Host::Domain(scope.name.clone()) })
}

pub(super) fn unix_seconds() -> i64 {
    i64::try_from(clock::unix_seconds()).unwrap_or(i64::MAX)
}

/// Tries the source out at the start, and tests it when that is due, until it is dropped.
async fn look_after(source: Weak<Remembered>) {
    if let Some(source) = source.upgrade() {
        let told = Arc::clone(&source.tell);
        match within_patience(Arc::clone(&source.live)).await {
            Ok(found) => told(ProcessEvent::SourceReady, &source.name, &found),
            Err(trouble) => source.note(&trouble),
        }
        for domain in source.trust.domains.iter().take(TESTED_AT_START_MAX) {
            domain.is_in_use.store(true, Relaxed);
        }
    }
    loop {
        let Some(here) = source.upgrade() else { return };
        for (at, domain) in here.trust.domains.iter().enumerate() {
            if domain.is_in_use.load(Relaxed) && here.trust.is_test_due(at) {
                match here.trust.examine(at).await {
                    Ok(()) => {}
                    Err(Unbelieved::Untested(trouble)) => {
                        here.note_text(trouble.to_string());
                        here.trust.troubled(&trouble);
                        if matches!(trouble.kind, TroubleKind::Down | TroubleKind::Slow) {
                            // It would say as much of every other domain.
                            break;
                        }
                    }
                    Err(Unbelieved::Doubted(doubt)) => {
                        here.note_text(doubt.to_string());
                        if let Some((_, place)) = here.domains.iter().find(|(_, p)| p.index == at) {
                            here.distrust(place, &doubt);
                        }
                    }
                }
            }
        }
        here.trust.tell_gathered();
        drop(here);
        tokio::time::sleep(LOOK_AFTER).await;
    }
}

/// Makes a recipient source of a live one. What keeps it from being opened is told.
#[must_use]
pub fn open<L: LiveSource, E: fmt::Display>(
    live: Result<Arc<L>, E>,
    name: &str,
    lifetimes: Lifetimes,
    scopes: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    let told = |error: &dyn fmt::Display| {
        (environment.tell)(ProcessEvent::SourceRefused, name, &error.to_string());
    };
    let live = live.map_err(|error| told(&error)).ok()?;
    let source = Remembered::open(live, lifetimes, scopes, environment);
    // Without randomness nothing else starts either.
    let source = source.map_err(|error| told(&error)).ok()?;
    Some(Opened { source, outcomes: Vec::new() })
}
