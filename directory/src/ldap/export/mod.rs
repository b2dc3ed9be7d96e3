//! A directory as a list: all its addresses in pages, read as often as is set, and between two
//! readings what changed. Reading is here; pages are `page.rs`, entries `person.rs`, changes
//! `usn.rs` and `sync.rs`, and what they come to `followed.rs` and `entries.rs`.

#[cfg(test)]
mod agreement_tests;
mod entries;
mod followed;
pub(super) mod modes;
mod octets;
mod page;
mod person;
mod poll;
mod root;
mod sync;
mod trial;
mod usn;

use super::link::Link;
use super::settings::Settings;
use super::trouble::{Problem, shortened};
use super::{Pool, Server};
use crate::list::{
    Changes, DomainScope, Failing, Intake, Lister, LoadError, Schedule, Scope, Version, path_for,
};
use crate::live::{Trouble, TroubleKind};
use crate::{Environment, Teller};
use entries::{Entries, EntriesError, Writing};
use followed::Followed;
use modes::{Export, Mode};
use page::{Pages, Query};
pub(super) use person::is_deleted;
use person::{OPERATIONAL, Person, id, person};
use poll::Pace;
use relay::event::ProcessEvent;
use root::{Mark, Token, root};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use wire::clock;
use wire::tls::client::TrustError;

pub(super) use trial::described;

/// After a reading that failed, unless the schedule is quicker.
const RETRY: Duration = Duration::from_secs(60);
/// How often it is asked whether anybody still waits.
const LOOK: Duration = Duration::from_secs(1);

/// A directory that is listed.
pub struct LdapList {
    name: Arc<str>,
    settings: Arc<Settings>,
    export: Export,
    domains: Scope,
    pool: Pool,
    schedule: Schedule,
    /// Where it is kept which entry holds what; without it changes are not followed.
    place: Option<PathBuf>,
    tell: Teller,
    /// The server that is asked first: another one after a reading that failed half-way.
    first: AtomicUsize,
    /// Entries of the last reading: about as many will come next time.
    entries: AtomicU64,
    following: Mutex<Following>,
}

struct Following {
    followed: Option<Followed>,
    /// What the last reading wrote, until that reading counts, with the token it is of.
    written: Option<(Box<str>, Writing)>,
    pace: Pace,
}

impl LdapList {
    /// Nothing is connected yet. Nothing at all unless the source is to be listed.
    /// # Errors
    /// When the authorities cannot be loaded.
    pub fn new(
        settings: &Arc<Settings>,
        domains: &[DomainScope],
        environment: &Environment,
    ) -> Result<Option<Self>, TrustError> {
        let Mode::Snapshot(export) = &settings.mode else { return Ok(None) };
        let pace = Pace::new(export.changes, export.every);
        let mut list = Self {
            name: format!("ldap {}", settings.name).into(),
            settings: Arc::clone(settings),
            export: export.clone(),
            domains: Scope::new(domains.to_vec()),
            pool: Pool::new(settings)?,
            schedule: Schedule::new(export.every, RETRY),
            place: None,
            tell: Arc::clone(&environment.tell),
            first: AtomicUsize::new(0),
            entries: AtomicU64::new(0),
            following: Mutex::new(Following { followed: None, written: None, pace }),
        };
        list.place = environment
            .state_directory
            .as_deref()
            .filter(|_| !export.changes.is_zero())
            .map(|directory| path_for(directory, &list).with_extension("entries.sqlite"));
        Ok(Some(list))
    }

    fn lock(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the first server that takes us, the preferred one before all others.
    async fn open(&self, preferred: Option<&str>) -> Result<(Link, &Arc<Server>), LoadError> {
        let servers = self.pool.servers();
        let wanted = servers.iter().position(|server| Some(&*server.name) == preferred);
        let first = wanted.unwrap_or(self.first.load(Relaxed));
        let mut failed = None;
        for server in servers.iter().cycle().skip(first).take(servers.len()) {
            match server.open(0).await {
                Ok(link) => return Ok((link, server)),
                Err(problem) => failed = failed.or(Some(problem.of(&server.name))),
            }
        }
        let none = || Problem::new(TroubleKind::Misconfigured, "no servers", "`servers`");
        Err(failure(Failing::Login, failed.unwrap_or_else(none)))
    }

    /// Reads everything on one connection.
    async fn export(&self, intake: &mut Intake<'_>) -> Result<Version, LoadError> {
        let read = clock::unix_nanoseconds();
        let (link, server) = self.open(None).await?;
        let exported = self.export_from(&link, server, read, intake).await;
        let token = exported.map_err(|problem| {
            // What this server cannot do, another one may.
            let servers = self.pool.servers();
            let next = servers.iter().position(|other| Arc::ptr_eq(other, server));
            self.first.store((next.unwrap_or(0) + 1) % servers.len(), Relaxed);
            failure(Failing::Query, problem.of(&server.name))
        })?;
        Ok(Version { modified_nanoseconds: read, token })
    }

    async fn export_from(
        &self,
        link: &Link,
        server: &Server,
        read: i64,
        intake: &mut Intake<'_>,
    ) -> Result<Box<str>, Problem> {
        let mut keeping = match &self.place {
            None => None,
            Some(place) => {
                let patience = self.settings.answer_max;
                let root = root(link, patience).await?;
                // Before the first page, so that what changes meanwhile is asked for again.
                let mark = root.mark(link, &self.settings.base, patience).await?;
                let from = server.name.clone();
                mark.and_then(|mark| self.keep(place, Token { read, from, mark }))
            }
        };
        let attributes = self.export.asked(&self.settings);
        let query = Query {
            base: &self.settings.base,
            filter: &self.export.filter,
            attributes: &attributes,
            halved_by: &self.export.attributes[0],
            shows_deleted: false,
        };
        let mut pages = Pages::new(link, query);
        let (mut row, mut addresses) = (0, 0);
        loop {
            let mut page = Box::pin(pages.next());
            let entries = loop {
                match timeout(LOOK, &mut page).await {
                    Ok(entries) => break entries?,
                    Err(_) if intake.is_stopped() => return Ok("".into()),
                    Err(_) => {}
                }
            };
            drop(page);
            let Some(entries) = entries.filter(|_| !intake.is_stopped()) else { break };
            for entry in entries.iter().filter(|entry| !is_deleted(entry)) {
                row += 1;
                let target = self.settings.target_attribute.as_deref();
                let person = person(link, entry, &self.export.attributes, target).await?;
                addresses += person.values.len();
                take(row, &person, intake);
                if let Some(kept) = &mut keeping
                    && let Err(error) = kept.add(entry, &person, &self.domains)
                {
                    self.unkept(&error);
                    keeping = None;
                }
            }
        }
        if let Some(problem) = pages.is_elsewhere() {
            return Err(problem);
        }
        if addresses == 0 && !intake.is_stopped() {
            return Err(self.nobody(pages.entries));
        }
        if let Some(reference) = pages.references.first() {
            intake.refer_elsewhere(shortened(reference));
        }
        self.entries.store(row, Relaxed);
        Ok(keeping.map_or("".into(), |kept| self.finish(kept)))
    }

    /// Directories are not empty: somebody may not see what is there, or looks in the wrong place.
    fn nobody(&self, entries: u64) -> Problem {
        let names = self.export.attributes.join(", ");
        let what = match entries {
            0 => format!("nobody below {} matches {}", self.settings.base, self.export.filter),
            _ => format!("{entries} entries, none with an address in {names}"),
        };
        let remedy = "`base`: where the people are; `bind_dn`: who may see them; \
                      `address_attributes` and `list_filter`, where they are set";
        Problem::new(TroubleKind::Unexpected, what, remedy)
    }

    fn unkept(&self, error: &EntriesError) {
        (self.tell)(ProcessEvent::EntriesNotKept, &self.name, &error.to_string());
    }

    /// Begins to write down which entry holds what.
    fn keep(&self, place: &Path, token: Token) -> Option<Keeping> {
        // The file is taken away before another one is begun in its place.
        self.lock().written = None;
        match Writing::begin(&place.with_extension("new")) {
            Ok(writing) => Some(Keeping { writing, token }),
            Err(error) => {
                self.unkept(&error);
                None
            }
        }
    }

    /// Ends what was written down and says what the list is of.
    fn finish(&self, mut kept: Keeping) -> Box<str> {
        let Some(token) = kept.token.written() else { return "".into() };
        if let Err(error) = kept.writing.finish(&token) {
            self.unkept(&error);
            return "".into();
        }
        self.lock().written = Some((token.clone(), kept.writing));
        token
    }
}

/// What is written down while the list is read.
struct Keeping {
    writing: Writing,
    token: Token,
}

impl Keeping {
    fn add(
        &self,
        entry: &super::Entry,
        person: &Person,
        domains: &Scope,
    ) -> Result<(), EntriesError> {
        let held = person.held(domains);
        if held.is_empty() {
            return Ok(());
        }
        let Some(id) = id(entry, &self.token.mark) else { return Err(EntriesError::Nameless) };
        held.iter().try_for_each(|(address, target)| self.writing.add(&id, address, target))
    }
}

/// Hands over the addresses of somebody.
fn take(row: u64, person: &Person, intake: &mut Intake<'_>) {
    for value in &person.values {
        intake.take_value(row, value, &person.targets);
    }
}

impl Export {
    /// Everything that is asked for.
    fn asked<'a>(&'a self, settings: &'a Settings) -> Vec<&'a str> {
        let own = self.attributes.iter().map(String::as_str);
        own.chain(settings.target_attribute.as_deref()).chain(OPERATIONAL).collect()
    }
}

fn failure(misconfigured: Failing, problem: Problem) -> LoadError {
    let failing = match problem.kind {
        TroubleKind::Down | TroubleKind::Busy => Failing::Connection,
        TroubleKind::Slow => Failing::Deadline,
        TroubleKind::Misconfigured => misconfigured,
        TroubleKind::Unexpected => Failing::Answer,
    };
    LoadError::Elsewhere { failing, source: Box::new(Trouble::from(problem)) }
}

fn runtime() -> Result<Runtime, LoadError> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        let what = format!("no runtime to connect on: {error}");
        failure(Failing::Connection, Problem::new(TroubleKind::Down, what, ""))
    })
}

impl Lister for LdapList {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn identity(&self) -> String {
        let servers: Vec<&str> = self.pool.servers().iter().map(|server| &*server.name).collect();
        format!("ldap {} {} {}", servers.join(","), self.settings.base, self.export.filter)
    }

    fn fingerprint(&self) -> String {
        let target = self.settings.target_attribute.as_deref().unwrap_or_default();
        format!("{} {} {target}", self.export.filter, self.export.attributes.join(","))
    }

    fn resume(&self, kept: &Version) -> bool {
        self.schedule.resume(kept, clock::unix_nanoseconds())
    }

    fn is_due(&self, now: i64) -> bool {
        self.schedule.is_due(now)
    }

    fn read(&self, intake: &mut Intake<'_>) -> Result<Version, LoadError> {
        intake.reserve(self.entries.load(Relaxed).saturating_mul(2));
        runtime()?.block_on(self.export(intake))
    }

    fn took(&self, read: Result<&Version, &LoadError>, now: i64) {
        self.schedule.took(read, now);
        let mut following = self.lock();
        following.pace.took(now);
        let written = following.written.take();
        let (Ok(version), Some(place)) = (read, &self.place) else { return };
        following.followed = None;
        let Some((_, writing)) = written.filter(|(token, _)| *token == version.token) else {
            return;
        };
        if let Err(error) = writing.keep(place) {
            self.unkept(&error);
        }
    }

    fn changes(&self, version: &Version, now: i64) -> Result<Changes, LoadError> {
        if !self.lock().pace.is_due(now) {
            return Ok(Changes::None);
        }
        let (Some(token), Some(place)) = (Token::read(&version.token), &self.place) else {
            return Ok(Changes::None);
        };
        let changes = runtime()?.block_on(self.poll(token, &version.token, place, now));
        self.lock().pace.asked(&changes, now);
        changes
    }
}
