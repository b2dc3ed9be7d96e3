//! What is wrong inside of recipient files, as mistakes beside those of the configuration. The
//! files are read by the same source that serves mail, without its state directory.

use super::{Configured, ListedSource, doubts, listed, reading, scopes};
use crate::file;
use crate::kinds::{self, file_source};
use crate::list::{self, LineError, LoadError, Look, Malformed, Scope};
use crate::live::Trouble;
use crate::load::guard::{Hold, Outcome};
use crate::statistics::Statistics;
use crate::{Environment, RecipientList};
use mail::address::Domain;
use settings::mistake::Mistake;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Malformed lines of one file that are shown; `postern recipients check` lists more.
const LINES_SHOWN_MAX: usize = 20;
/// Sources that are tried out at the same time before the start.
const TRIED_AT_ONCE_MAX: usize = 16;
/// A file up to this size is kept in memory to show its lines.
const SHOWN_FILE_OCTETS_MAX: u64 = 16 << 20;

/// What is wrong with a source that is elsewhere: its settings, or what it says; and what it has,
/// where it is a list, which is read to its end. `progress` is called meanwhile with its name and
/// the addresses so far.
#[must_use]
pub fn try_out(
    listed: &ListedSource<'_>,
    progress: &dyn Fn(&str, u64),
) -> (Vec<Mistake>, Option<Statistics>) {
    let environment = Environment::bare(listed.domains[0].1.name.clone());
    match kinds::try_out(listed.settings, &environment) {
        None => (Vec::new(), None),
        Some(Err(trouble)) => (vec![of_trouble(listed, &trouble, "")], None),
        Some(Ok(_)) => match reading::to_its_end(listed, progress) {
            Some((mistakes, statistics)) => (mistakes, Some(statistics)),
            None => (super::trial::disbelief(listed).into_iter().collect(), None),
        },
    }
}

/// As a mistake of the configuration; `when` is put before what happened.
pub(super) fn of_trouble(listed: &ListedSource<'_>, trouble: &Trouble, when: &str) -> Mistake {
    let name = listed.settings.name();
    let key = name.split_once(' ').map_or("domain.recipients", |(kind, _)| kind).to_owned();
    let mistake = Mistake::new(format!("{name}: {when}{trouble}"))
        .key(key)
        .at(listed.place.clone(), trouble.kind.word())
        .passing(trouble.kind.is_passing());
    if trouble.remedy.is_empty() { mistake } else { mistake.help(trouble.remedy) }
}

/// Warnings of domains that nobody could tell it of, if a source did not see everybody.
#[must_use]
pub fn without_canary(listed: &ListedSource<'_>) -> Vec<Mistake> {
    doubts::without_canary(listed)
}

/// What keeps sources from being used, in the order of the configuration, as `check` says it:
/// inside of files, and elsewhere. Waits for servers; each kind keeps its deadline.
/// # Errors
/// When there can be no further thread.
pub fn unusable(config: &Configured<'_>) -> io::Result<Vec<Mistake>> {
    let all = listed(config.settings, config.domains);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let place = next.fetch_add(1, Relaxed);
            let Some(listed) = all.get(place) else { return found };
            let mistakes = read(listed).0.into_iter().chain(try_out(listed, &|_, _| {}).0);
            let wrong = mistakes.filter(|mistake| !mistake.is_warning());
            found.extend(wrong.map(|mistake| (place, mistake)));
        }
    };
    let mut found = thread::scope(|scope| {
        let one = |_| thread::Builder::new().name("try-out".into()).spawn_scoped(scope, work);
        let threads: io::Result<Vec<_>> = (0..all.len().min(TRIED_AT_ONCE_MAX)).map(one).collect();
        let joined = threads?.into_iter().map(|thread| {
            thread.join().map_err(|_| io::Error::other("a source could not be tried out"))
        });
        joined.collect::<io::Result<Vec<_>>>()
    })?
    .concat();
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, mistake)| mistake).collect())
}

/// Everything that keeps a file from being used, what is doubtful about it, and what it has. Nobody
/// elsewhere is asked.
#[must_use]
pub fn read(listed: &ListedSource<'_>) -> (Vec<Mistake>, Option<Statistics>) {
    let Some(settings) = listed.settings.file() else { return (Vec::new(), None) };
    let scope = Scope::new(scopes(listed));
    let environment = Environment::bare(listed.domains[0].1.name.clone());
    let (opened, outcomes) = file::open(file_source(settings), scope, &environment);
    let mistakes = outcomes.iter().flat_map(|outcome| of_outcome(&settings.path, outcome));
    let mut mistakes: Vec<Mistake> = mistakes.collect();
    mistakes.extend(doubts::of_file(&settings.path, listed, &opened, &outcomes));
    (mistakes, Some(opened.statistics()))
}

/// What a file is that is not configured, and everything that is malformed in it. Its format
/// follows from its name.
#[must_use]
pub fn look(path: &Path) -> (Vec<Mistake>, Option<Look>) {
    match list::look(&file::lister(path)) {
        Ok(look) => (lines(path, &look.checked.malformed), Some(look)),
        Err(error) => (vec![whole(path, &error)], None),
    }
}

/// Relative to where the operator is, when it lies below.
pub(super) fn shown(path: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

fn of_outcome(path: &Path, outcome: &Outcome) -> Vec<Mistake> {
    match outcome {
        Outcome::Judged { foreign, .. } => {
            outcome.held().map(|(domain, hold)| held(path, domain, hold, *foreign)).collect()
        }
        Outcome::Failed { error: LoadError::Malformed { malformed, .. }, .. } => {
            lines(path, malformed)
        }
        Outcome::Failed { error, .. } => vec![whole(path, error)],
        Outcome::CacheFailed { error, .. } => vec![Mistake::new(error.to_string())],
    }
}

/// What keeps a file from being read at all.
fn whole(path: &Path, error: &LoadError) -> Mistake {
    let shown = shown(path).display();
    match error {
        LoadError::Io { source, .. } => Mistake::new(format!("cannot read {shown}: {source}"))
            .help("Postern reads it as the user that it becomes"),
        LoadError::Encoding(_) => Mistake::new(format!("{shown} is no text that can be read"))
            .help("save it as UTF-8 (or as UTF-16)"),
        LoadError::ColumnMissing { found, .. } => {
            let message = format!("no column of {shown} holds addresses; its header is `{found}`");
            Mistake::new(message)
                .help("name a column `mail`, `E-mail Addresses` or `proxyAddresses`")
                .help("or write `format = \"lines\"` if the file has one address a line")
        }
        LoadError::OtherShape { what, .. } => {
            let (what, then) = what.split_once("; ").unwrap_or((what, ""));
            Mistake::new(format!("{shown} is {what}")).help(then)
        }
        LoadError::Changing(_) => Mistake::new(format!("{shown} changed while it was read"))
            .help("run the check again when the export is done"),
        LoadError::Malformed { .. }
        | LoadError::TooMany
        | LoadError::Randomness(_)
        | LoadError::Elsewhere { .. } => Mistake::new(format!("{shown}: {error}")),
    }
}

fn held(path: &Path, domain: &Domain, hold: &Hold, foreign: u64) -> Mistake {
    let path = shown(path).display();
    match hold {
        Hold::CanaryMissing(canary) => {
            Mistake::new(format!("the canary {canary} is not in {path}"))
                .key("domain.canary")
                .help("a list without its canary is not used, and all mail for the domain waits")
                .help("add the address to the file, or name another canary")
        }
        Hold::Empty | Hold::Shrunk { .. } => {
            let others = match foreign {
                0 => String::new(),
                1 => ", only one of another domain".to_owned(),
                foreign => format!(", only {foreign} of other domains"),
            };
            Mistake::new(format!("{path} has no address of {domain}{others}"))
                .key("domain.recipients")
                .help("an empty list is not used, since it would make every recipient unknown")
                .help(format!("write one address a line, for example: jones@{domain}"))
        }
    }
}

fn lines(path: &Path, malformed: &Malformed) -> Vec<Mistake> {
    let text = text_of(path);
    let mut mistakes: Vec<Mistake> =
        malformed.lines.iter().take(LINES_SHOWN_MAX).map(|e| line(path, e, &text)).collect();
    let told = mistakes.len() as u64;
    let more = malformed.lines.len() as u64 + malformed.more - told;
    if more > 0 {
        mistakes.push(
            Mistake::new(format!("{more} more malformed lines in {}", shown(path).display()))
                .help("`postern recipients check` lists up to 100 of them"),
        );
    }
    mistakes
}

fn line(path: &Path, error: &LineError, text: &Option<Arc<str>>) -> Mistake {
    let LineError { line, problem, found } = error;
    let mistake = match text.as_ref().and_then(|text| Some((text, span_of(text, *line)?))) {
        Some((text, span)) => {
            Mistake::in_file(shown(path), Arc::clone(text), span, problem.to_string())
        }
        None => {
            Mistake::new(format!("{}, line {line}: `{found}`: {problem}", shown(path).display()))
        }
    };
    mistake.help(format!("for example: {}", problem.example()))
}

/// The text, when there is a point in showing it.
fn text_of(path: &Path) -> Option<Arc<str>> {
    if std::fs::metadata(path).ok()?.len() > SHOWN_FILE_OCTETS_MAX {
        return None;
    }
    let octets = std::fs::read(path).ok()?;
    // UTF-16: its lines are no lines of ours.
    if octets.contains(&0) {
        return None;
    }
    Some(String::from_utf8_lossy(&octets).into())
}

/// Where a line stands, from 1, without the space around it.
fn span_of(text: &str, line: u64) -> Option<Range<usize>> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let start = match before {
        0 => 0,
        _ => memchr::memchr_iter(b'\n', text.as_bytes()).nth(before - 1)? + 1,
    };
    let written = text.get(start..)?.lines().next().unwrap_or_default();
    let indent = written.len() - written.trim_start().len();
    let start = start + indent;
    Some(start..start + written.trim().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_number() {
        let text = "a\r\n  bc \n\nd";
        let found = |line| span_of(text, line).map(|span| &text[span]);
        assert_eq!(found(1), Some("a"));
        assert_eq!(found(2), Some("bc"));
        assert_eq!(found(3), Some(""));
        assert_eq!(found(4), Some("d"));
        assert_eq!(found(5), None);
        assert_eq!(found(0), None);
    }
}
