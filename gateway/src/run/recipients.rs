//! Makes the directory that a configuration describes: for `run`, and for the commands that
//! answer as a relay that starts now would. What came of each load is left to the caller to tell.

use crate::config::built::{Config, DomainSources, FileFormat, FileSettings, ListedFile, listed};
use crate::directory::file::{DomainScope, FileSource, Format};
use crate::directory::guard::Outcome;
use crate::directory::pattern::Pattern;
use crate::directory::{
    self, Bitbucket, Directory, DomainDirectory, Environment, Leaver, RecipientSource,
    SourceSettings, random_key,
};
use relay::settings::LocalPartCase;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory, and what happened on the way to it.
pub struct OpenedDirectory {
    /// The recipients of all domains.
    pub directory: Directory,
    /// Each source once.
    pub sources: Vec<OpenSource>,
    /// What was loaded, held back or failed.
    pub outcomes: Vec<Outcome>,
}

/// A source, and what it was opened for.
#[derive(Clone)]
pub struct OpenSource {
    /// The source.
    pub source: Arc<dyn RecipientSource>,
    settings: SourceSettings,
    scopes: Vec<DomainScope>,
}

/// Opens every source that the configuration names; one that fails is merely unavailable. What is
/// open for the same purpose already goes on with the list that it has.
#[must_use]
pub fn open(config: &Config, open: &[OpenSource]) -> OpenedDirectory {
    let environment = environment(config.state_dir.clone());
    let mut by_file: HashMap<&FileSettings, Arc<dyn RecipientSource>> = HashMap::new();
    let (mut sources, mut outcomes) = (Vec::new(), Vec::new());
    for listed in listed(&config.settings.domain, &config.domains) {
        let (settings, scopes) = (source_settings(listed.file), scopes(&listed));
        let same = |known: &&OpenSource| known.settings == settings && known.scopes == scopes;
        let source = match open.iter().find(same) {
            Some(known) => known.clone(),
            None => {
                let opened = directory::open(&settings, &scopes, &environment);
                let Some(opened) = opened else { continue };
                outcomes.extend(opened.outcomes);
                OpenSource { source: opened.source, settings, scopes }
            }
        };
        by_file.insert(listed.file, Arc::clone(&source.source));
        sources.push(source);
    }
    let domains = config.settings.domain.iter().zip(&config.domains);
    let domains = domains.map(|(settings, sources)| DomainDirectory {
        sources: sources.files.iter().filter_map(|file| by_file.get(file).cloned()).collect(),
        bitbuckets: bitbuckets(sources, settings.local_part_case),
        leavers: leavers(sources, settings.local_part_case),
    });
    OpenedDirectory { directory: Directory::new(domains.collect()), sources, outcomes }
}

/// What sources need of the process.
#[must_use]
pub fn environment(state_directory: Option<PathBuf>) -> Environment {
    Environment { state_directory, new_key: random_key }
}

/// What a source is to know of the domains that list it.
#[must_use]
pub fn scopes(listed: &ListedFile<'_>) -> Vec<DomainScope> {
    let domains = listed.domains.iter().map(|&(id, settings, sources)| DomainScope {
        aliases: sources.aliases.clone(),
        canary: sources.canary.clone(),
        ..DomainScope::new(id, settings)
    });
    domains.collect()
}

/// A file as the directory knows it.
#[must_use]
pub fn file_source(file: &FileSettings) -> FileSource {
    let format = match file.format {
        FileFormat::Lines => Format::Text,
        FileFormat::Csv => Format::Csv,
    };
    FileSource { path: file.path.clone(), format }
}

fn source_settings(file: &FileSettings) -> SourceSettings {
    SourceSettings::File(file_source(file))
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
