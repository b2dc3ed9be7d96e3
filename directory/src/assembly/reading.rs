//! Reads a list of a directory or a database to its end, as the process that serves does first:
//! what a server's limits cut off shows nowhere else. For `check`, and for a start that is to have
//! its sources.

use super::contents::of_trouble;
use super::{ListedSource, scopes};
use crate::live::Trouble;
use crate::load::LoadError;
use crate::load::guard::{Hold, Outcome};
use crate::statistics::Statistics;
use crate::{Environment, RecipientSource, kinds};
use mail::address::Domain;
use settings::mistake::Mistake;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often a person is told how far it is.
const TOLD_AFTER: Duration = Duration::from_millis(100);

/// What keeps it from being used, and what it has. `progress` is called with its name and the
/// addresses so far. Nothing for what is no list.
pub(super) fn to_its_end(
    listed: &ListedSource<'_>,
    progress: &dyn Fn(&str, u64),
) -> Option<(Vec<Mistake>, Statistics)> {
    let bare = Environment::bare(listed.domains[0].1.name.clone());
    let environment = Environment { reads_at_once: false, ..bare };
    let source = kinds::open(listed.settings, &scopes(listed), &environment).ok()?.source;
    source.list()?;
    let outcomes = poll(&source, progress);
    let mistakes = outcomes.iter().flat_map(|outcome| of_outcome(listed, outcome)).collect();
    Some((mistakes, source.list()?.statistics()))
}

fn poll(source: &Arc<dyn RecipientSource>, progress: &dyn Fn(&str, u64)) -> Vec<Outcome> {
    thread::scope(|scope| {
        let reading = scope.spawn(|| source.list().map(|list| list.poll()));
        while !reading.is_finished() {
            thread::sleep(TOLD_AFTER);
            if let Some(taken) = source.list().and_then(|list| list.progress()) {
                progress(source.name(), taken);
            }
        }
        reading.join().ok().flatten().unwrap_or_default()
    })
}

fn of_outcome(listed: &ListedSource<'_>, outcome: &Outcome) -> Vec<Mistake> {
    match outcome {
        Outcome::Judged { .. } => {
            outcome.held().map(|(domain, hold)| held(listed, domain, hold)).collect()
        }
        Outcome::Failed { error: LoadError::Elsewhere { failing, source }, .. } => {
            match source.downcast_ref::<Trouble>() {
                Some(trouble) => vec![of_trouble(listed, trouble, "while it was read: ")],
                None => vec![unread(listed, &format!("{failing}: {source}"))],
            }
        }
        Outcome::Failed { error, .. } => vec![unread(listed, &error.to_string())],
        // It has none here.
        Outcome::CacheFailed { .. } => Vec::new(),
    }
}

fn unread(listed: &ListedSource<'_>, error: &str) -> Mistake {
    let name = listed.settings.name();
    Mistake::new(format!("{name} cannot be read: {error}"))
        .key("domain.recipients")
        .at(listed.place.clone(), "this list")
}

fn held(listed: &ListedSource<'_>, domain: &Domain, hold: &Hold) -> Mistake {
    let name = listed.settings.name();
    let (message, key, help) = match hold {
        Hold::CanaryMissing(canary) => (
            format!("{name} does not have the canary {canary}"),
            "domain.canary",
            "a list without its canary is not used, and all mail for the domain waits: mend what \
             is listed, or name another canary",
        ),
        Hold::Empty | Hold::Shrunk { .. } => (
            format!("{name} has no address of {domain}"),
            "domain.recipients",
            "an empty list is not used, since it would make every recipient unknown: mend what is \
             listed, or who asks",
        ),
    };
    Mistake::new(message).key(key).at(listed.place.clone(), "this list").help(help)
}
