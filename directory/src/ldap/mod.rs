//! LDAP (RFC 4511) as a source that is asked for each address, or listed (`export/`). Here: the
//! question, and what a reply to it means. Connections are in `pool.rs` and `link.rs`, filters in
//! `filter.rs`, what went wrong in `trouble.rs`. What was answered is remembered elsewhere
//! (`live/`).

mod account;
mod export;
mod filter;
mod link;
mod pool;
mod preset;
mod server;
pub(crate) mod settings;
pub(crate) mod table;
mod trial;
mod trouble;

pub use account::{Account, Attempt, Stamp};
pub use export::LdapList;
pub use export::modes::{Export, Mode};
pub use filter::{FilterError, Template};
pub use link::entry::Entry;
pub use link::{DialSettings, Link, Login, NoReply, Reply, Search};
pub use pool::Pool;
pub use preset::{Preset, Protection};
pub use server::Server;
pub use settings::{Bind, Settings};
pub use trouble::{Problem, Refusal};

use super::list::{self, DomainScope};
use super::live::memory::{Lifetimes, VOUCH_MILLISECONDS};
use super::live::remembered;
use super::live::{Asking, Existence, LiveSource, Trouble, TroubleKind};
use super::target::{Target, Unclear};
use super::{Environment, Opened};
use ldap3::Scope;
use link::entry::untyped;
use mail::address::{Host, Mailbox};
use relay::event::ProcessEvent;
use std::sync::Arc;
use std::time::Duration;
use trouble::{Asked, of_code, shortened};
use wire::tls::client::TrustError;

/// The entries that are asked for: more than one is as good as one, but for where it leads.
const ENTRIES_MAX: u32 = 2;
/// The same where entries are kept for a while after they were deleted, and must be passed over.
const ENTRIES_WITH_DELETED_MAX: u32 = 8;
/// The most that is taken for an answer, in octets.
const ANSWER_OCTETS_MAX: usize = 64 << 10;

/// One directory.
pub struct Ldap {
    name: Arc<str>,
    settings: Arc<Settings>,
    pool: Pool,
}

impl Ldap {
    /// Nothing is connected yet.
    /// # Errors
    /// When the authorities cannot be loaded.
    pub fn new(settings: Arc<Settings>) -> Result<Self, TrustError> {
        let name = format!("ldap {}", settings.name).into();
        Ok(Self { name, pool: Pool::new(&settings)?, settings })
    }

    /// Its connections, for whoever lists it.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn look_up(&self, mailbox: &Mailbox) -> Result<Existence, Problem> {
        let filter = match &mailbox.host {
            Host::Domain(domain) => {
                let local_part = mailbox.local_part.as_str().as_bytes();
                self.settings.filter.filled(local_part, domain.as_str().as_bytes())
            }
            Host::Literal(_) => None,
        };
        let Some(filter) = filter else {
            let what = "an address that no directory can be asked for";
            return Err(Problem::new(TroubleKind::Unexpected, what, ""));
        };
        let target = self.settings.target_attribute.as_deref();
        let marks = self.settings.preset.marks_of_deletion();
        let attributes: &[&str] = match (target, marks) {
            (None, []) => &["1.1"],
            (None, marks) => marks,
            (Some(target), marks) => &[&[target], marks].concat(),
        };
        let search = self.settings.search(&filter, attributes);
        self.pool.search(&search, |reply| meaning(&reply, target)).await
    }
}

/// Opens one for the domains that list it.
pub(super) fn open(
    settings: &Arc<Settings>,
    domains: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    if let Mode::Snapshot(_) = &settings.mode {
        return open_listed(settings, domains, environment);
    }
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let lifetimes = Lifetimes {
        positive_seconds: seconds(settings.positive),
        negative_seconds: seconds(settings.negative),
        vouch_milliseconds: VOUCH_MILLISECONDS,
    };
    let live = Ldap::new(Arc::clone(settings)).map(Arc::new);
    let name = format!("ldap {}", settings.name);
    remembered::open(live, &name, lifetimes, domains, environment)
}

fn open_listed(
    settings: &Arc<Settings>,
    domains: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    match LdapList::new(settings, domains, environment) {
        Ok(list) => {
            let domains = list::Scope::new(domains.to_vec());
            let (source, outcomes) = list::Listed::open(list?, domains, environment);
            Some(Opened { source: Arc::new(source), outcomes })
        }
        Err(error) => {
            let name = format!("ldap {}", settings.name);
            (environment.tell)(ProcessEvent::SourceRefused, &name, &error.to_string());
            None
        }
    }
}

impl Settings {
    /// The search for one address.
    fn search<'a>(&'a self, filter: &'a str, attributes: &'a [&'a str]) -> Search<'a> {
        Search {
            base: &self.base,
            scope: Scope::Subtree,
            filter,
            attributes,
            entries_max: match self.preset.marks_of_deletion() {
                [] => ENTRIES_MAX,
                _ => ENTRIES_WITH_DELETED_MAX,
            },
            octets_max: ANSWER_OCTETS_MAX,
            controls: Vec::new(),
        }
    }
}

impl LiveSource for Ldap {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn fingerprint(&self) -> String {
        let Settings { preset, servers, bind, base, filter, target_attribute, .. } =
            &*self.settings;
        // What an account may see is part of the question.
        let bind = bind.as_ref().map(|bind| &bind.dn);
        format!("ldap {preset:?} {servers:?} {bind:?} {base:?} {filter:?} {target_attribute:?}")
    }

    fn ask(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence> {
        Box::pin(async move { self.look_up(&mailbox).await.map_err(Trouble::from) })
    }

    fn try_out(self: Arc<Self>) -> Asking<String> {
        Box::pin(async move {
            trial::try_out(&self.settings, self.pool.servers()).await.map_err(Trouble::from)
        })
    }

    /// Another server may hold another tree.
    fn epoch(&self) -> u64 {
        self.pool.changes()
    }
}

/// What a reply says of the address. An entry is there whatever follows it; that there is none is
/// believed only of a search that ended well and led nowhere else.
fn meaning(reply: &Reply, target: Option<&str>) -> Result<Existence, Problem> {
    const SUCCESS: u32 = 0;
    const REFERRAL: u32 = 10;
    if reply.entries.iter().any(|entry| !export::is_deleted(entry)) {
        return Ok(Existence::Exists { target: target_of(reply, target)? });
    }
    let elsewhere = reply.result.refs.first().or(reply.references.first());
    match (reply.result.rc, elsewhere) {
        (SUCCESS, None) => Ok(Existence::Unknown),
        // Followed, it would lead credentials to wherever a directory points.
        (SUCCESS | REFERRAL, Some(elsewhere)) => {
            Err(of_code(Asked::Search, REFERRAL, shortened(elsewhere)))
        }
        (code, _) => Err(of_code(Asked::Search, code, &reply.result.text)),
    }
}

/// The address that the next hop hears instead: one, or none.
fn target_of(reply: &Reply, attribute: Option<&str>) -> Result<Option<Mailbox>, Problem> {
    let Some(attribute) = attribute else { return Ok(None) };
    let unclear = |what: String| {
        let remedy = "`target_attribute`: one that holds one address, or nothing; or repair the \
                      entries in the directory";
        Err(Problem::new(TroubleKind::Unexpected, what, remedy))
    };
    let living = reply.entries.iter().filter(|entry| !export::is_deleted(entry));
    let values = living.flat_map(|entry| entry.values(attribute)).map(|value| untyped(value));
    match Target::read_all(values) {
        Ok(Target::Other(mailbox)) => Ok(Some(mailbox)),
        Ok(_) => Ok(None),
        Err(Unclear::Malformed(_)) => unclear(format!("`{attribute}` holds what is no address")),
        Err(Unclear::Several) => unclear(format!("`{attribute}` holds more than one address")),
    }
}

#[cfg(test)]
mod tests;
