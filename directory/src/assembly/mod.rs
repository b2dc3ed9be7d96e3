//! Makes the directory that a configuration describes: for `run`, and for the commands that
//! answer as a relay that starts now would. What came of each load is left to the caller to tell.

mod configured;
pub mod contents;
mod doubts;
mod reading;
mod trial;

pub use configured::{Configured, DomainSources, ListedSource, SourceEntry, listed};

use crate::learned::Learned;
use crate::list::DomainScope;
use crate::load::guard::Outcome;
use crate::pattern::Pattern;
use crate::store::Store;
use crate::{
    Bitbucket, Directory, DomainDirectory, Environment, Leaver, RecipientSource, SourceSettings,
};
use relay::settings::LocalPartCase;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory, and what happened on the way to it.
pub struct OpenedDirectory {
    /// The recipients of all domains.
    pub directory: Directory,
    /// Each source once.
    pub sources: Vec<Opened>,
    /// What was loaded, held back or failed.
    pub outcomes: Vec<Outcome>,
    /// Why sources that were opened just now are not to be relied on.
    pub doubts: Vec<String>,
}

/// A source, and what it was opened for.
#[derive(Clone)]
pub struct Opened {
    settings: SourceSettings,
    scopes: Vec<DomainScope>,
    state_dir: Option<PathBuf>,
    /// The source.
    pub source: Arc<dyn RecipientSource>,
}

impl Opened {
    /// What the operator wrote about it.
    #[must_use]
    pub fn settings(&self) -> &SourceSettings {
        &self.settings
    }

    /// Goes on with what is in use. What is missing is read again now, since an operator may have
    /// mended what no change of the file tells of.
    fn go_on(&self) -> Vec<Outcome> {
        let Some(list) = self.source.list() else { return Vec::new() };
        let is_missing = list.statistics().domains.iter().any(|domain| domain.entries.is_none());
        if list.is_slow() {
            // Whoever reloads does not wait for a server; the watcher tells.
            if is_missing {
                list.reload_soon();
            }
            Vec::new()
        } else if !is_missing {
            list.poll()
        } else {
            list.reload(None)
        }
    }
}

/// Opens every source that the configuration names; one that fails is merely unavailable.
#[must_use]
pub fn open(config: &Configured<'_>) -> OpenedDirectory {
    open_after(config, &environment_of(config), &[])
}

/// As [`open`], with what is kept of lists and nothing read: to see what reading would change.
#[must_use]
pub fn open_kept(config: &Configured<'_>) -> OpenedDirectory {
    let environment = Environment { reads_at_once: false, ..environment_of(config) };
    open_after(config, &environment, &[])
}

/// The same at a reload: a source that was opened for the same goes on, so that a list which the
/// guards would hold back does not get past them by a reload.
#[must_use]
pub fn open_after(
    config: &Configured<'_>,
    environment: &Environment,
    before: &[Opened],
) -> OpenedDirectory {
    let mut by_settings: HashMap<&SourceSettings, Arc<dyn RecipientSource>> = HashMap::new();
    let (mut sources, mut outcomes, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
    for listed in listed(config.settings, config.domains) {
        let (settings, scopes) = (listed.settings, scopes(&listed));
        let state_dir = config.state_dir;
        let is_same = |o: &&Opened| {
            o.settings == *settings && o.scopes == scopes && o.state_dir.as_deref() == state_dir
        };
        if let Some(opened) = before.iter().find(is_same) {
            outcomes.extend(opened.go_on());
            by_settings.insert(settings, Arc::clone(&opened.source));
            sources.push(opened.clone());
            continue;
        }
        let opened = match crate::open(settings, &scopes, environment) {
            Ok(opened) => opened,
            // Not among the sources: the next reload tries again.
            Err(unopened) => {
                by_settings.insert(settings, unopened);
                continue;
            }
        };
        let doubtful = opened.outcomes.iter().filter(|outcome| !outcome.is_adopted());
        doubts.extend(doubtful.map(ToString::to_string));
        outcomes.extend(opened.outcomes);
        by_settings.insert(settings, Arc::clone(&opened.source));
        let (state_dir, source) = (state_dir.map(Path::to_owned), opened.source);
        let settings = settings.clone();
        sources.push(Opened { settings, scopes, state_dir, source });
    }
    let domains = config.settings.iter().zip(config.domains);
    let domains = domains.map(|(settings, sources)| DomainDirectory {
        sources: of_domain(sources, &by_settings),
        bitbuckets: bitbuckets(sources, settings.local_part_case),
        leavers: leavers(sources, settings.local_part_case),
        accepts_in_outage: sources.accepts_in_outage,
    });
    let directory = Directory::new(domains.collect());
    OpenedDirectory { directory, sources, outcomes, doubts }
}

/// What sources have in a command beside the process that serves: what that one keeps is read,
/// nothing is written.
#[must_use]
pub fn environment_of(config: &Configured<'_>) -> Environment {
    let state_directory = config.state_dir.map(Path::to_owned);
    let store = state_directory.as_deref().map(Store::open_to_read);
    let store = store.and_then(Result::ok).unwrap_or_default();
    // It may be long, and most have no use for it.
    let mut entries = config.domains.iter().flat_map(|domain| &domain.sources);
    let learns = entries.any(|entry| matches!(entry.settings, SourceSettings::Learned(_)));
    let learned = if learns { Learned::open(store.clone()).ok() } else { None };
    Environment {
        learned: Arc::new(learned.unwrap_or_else(Learned::empty)),
        store,
        state_directory,
        ..Environment::bare(config.hostname.clone())
    }
}

/// What a source is to know of the domains that list it.
#[must_use]
pub fn scopes(listed: &ListedSource<'_>) -> Vec<DomainScope> {
    let domains = listed.domains.iter().map(|&(id, settings, sources)| DomainScope {
        aliases: sources.aliases.clone(),
        canary: sources.canary.clone(),
        ..DomainScope::new(id, settings)
    });
    domains.collect()
}

fn of_domain(
    sources: &DomainSources,
    opened: &HashMap<&SourceSettings, Arc<dyn RecipientSource>>,
) -> Arc<[Arc<dyn RecipientSource>]> {
    sources.sources.iter().filter_map(|entry| opened.get(&entry.settings).cloned()).collect()
}

/// The configuration has checked the patterns; what is none matches nothing.
fn local_pattern(pattern: &str, case: LocalPartCase) -> Option<Pattern> {
    let local = pattern.rsplit_once('@').map_or(pattern, |(local, _)| local);
    Pattern::new(local, case).ok()
}

fn bitbuckets(sources: &DomainSources, case: LocalPartCase) -> Vec<Bitbucket> {
    let rules = sources.bitbucket.iter().filter_map(|rule| {
        let pattern = local_pattern(&rule.pattern, case)?;
        Some(Bitbucket { pattern, reason: rule.reason.as_str().into() })
    });
    rules.collect()
}

fn leavers(sources: &DomainSources, case: LocalPartCase) -> Vec<Leaver> {
    let rules = sources.leavers.iter().filter_map(|rule| {
        let pattern = local_pattern(&rule.pattern, case)?;
        Some(Leaver { pattern, text: rule.text.as_str().into() })
    });
    rules.collect()
}
