//! Asks a source about each of its domains as mail would, for `check`: for the canary, and for a
//! name that nobody has. What it says is judged as it is when mail is served. Lists are read to
//! their end instead (`reading.rs`).

use super::{ListedSource, scopes};
use crate::kinds;
use crate::live::TroubleKind;
use crate::report::SourceReport;
use crate::{Canonical, Environment, Finding, Question, RecipientSource, SourceAnswer};
use mail::address::LocalPart;
use relay::belief::class::Class;
use settings::mistake::Mistake;
use std::time::Duration;

/// Domains of one source that it is asked about; more would keep a person waiting.
const DOMAINS_MAX: usize = 16;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the source would not be believed, for the first domain where it is not.
pub(super) fn disbelief(listed: &ListedSource<'_>) -> Option<Mistake> {
    let bare = Environment::bare(listed.domains[0].1.name.clone());
    let environment = Environment { reads_at_once: false, ..bare };
    let source = kinds::open(listed.settings, &scopes(listed), &environment).ok()?.source;
    // A list is believed for other reasons.
    source.report().class?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let trying = async {
        for place in 0..listed.domains.len().min(DOMAINS_MAX) {
            let mistake = ask(&*source, listed, place).await;
            if mistake.is_some() {
                return mistake;
            }
        }
        None
    };
    // It was tried out just before; whoever is slow now is no mistake of the operator.
    runtime.block_on(async { tokio::time::timeout(PATIENCE, trying).await.ok()? })
}

async fn ask(
    source: &dyn RecipientSource,
    listed: &ListedSource<'_>,
    place: usize,
) -> Option<Mistake> {
    let (domain, settings, sources) = listed.domains[place];
    let canary = sources.canary.as_ref();
    let made_up = made_up();
    let local_part = match canary {
        Some(canary) => &canary.local_part,
        None => made_up.as_ref()?,
    };
    let canonical = Canonical::new(local_part, settings);
    let finding = match source.look_up(&Question {
        domain,
        settings,
        local_part,
        canonical,
        party: relay::turns::Party::NAMELESS,
    }) {
        SourceAnswer::Now(finding) => finding,
        SourceAnswer::Later(finding) => finding.await,
    };
    let (report, name) = (source.report(), source.name());
    let told = |why: &str, key: &str| {
        let message = format!("{name}, for {}: {why}", settings.name);
        let class = report.class.map_or("", Class::word);
        Mistake::new(message).key(key).at(listed.place.clone(), class)
    };
    match (report.class, canary, finding) {
        // What it says to a name that nobody has is not found out, and has no end yet.
        (Some(Class::Unproven), Some(_), Finding::Exists { .. }) if !report.why.is_empty() => {
            Some(put_off(told(&report.why, "domain.recipients")))
        }
        (_, Some(_), Finding::Exists { .. }) => None,
        (Some(Class::AcceptAll), ..) => Some(
            told(&report.why, "domain.recipients")
                .help("its yes proves nothing, so it is never believed: all would hear 451")
                .help("`postern probe` tells more of a mail server; else mend what it is asked"),
        ),
        (Some(Class::Late), ..) => Some(
            told(&report.why, "domain.recipients")
                .help("it says no only behind DATA: name a `[[callout]]` with until = \"data\""),
        ),
        // It was right a moment ago, when it was tried out.
        (_, Some(_), Finding::Unavailable) if is_passing(&report) => Some(
            told(&report.last_trouble.unwrap_or_default(), "domain.recipients")
                .help("it answered when it was tried out, and not for the canary")
                .passing(true),
        ),
        (Some(Class::Unproven), None, Finding::Unavailable) if is_put_off(&report) => {
            let why = report.last_trouble.unwrap_or_default();
            Some(put_off(told(&why, "domain.recipients")))
        }
        (_, Some(canary), _) => {
            let why = report.last_trouble.unwrap_or_default();
            Some(
                told(&format!("the canary {canary} is not to be had: {why}"), "domain.canary")
                    .help("until it knows its canary, nothing that it says is believed")
                    .help("mend what it is asked, or name an address that it knows"),
            )
        }
        _ => None,
    }
}

fn put_off(mistake: Mistake) -> Mistake {
    mistake
        .warning()
        .help("until it is answered, unknown names hear 451, and people are taken as it takes them")
        .help("exempt this relay from greylisting, and let the server say 550 to unknown people")
}

/// It was asked for a name that nobody has, and answered: not now.
fn is_put_off(report: &SourceReport) -> bool {
    let had = |(kind, count): (&TroubleKind, &u64)| (*count > 0) == (*kind == TroubleKind::Busy);
    report.last_trouble.is_some() && report.troubles.iter().all(had)
}

/// Whether all the trouble that it had may end without a person.
fn is_passing(report: &SourceReport) -> bool {
    let mut kinds = report.troubles.iter().filter(|(_, count)| **count > 0).peekable();
    kinds.peek().is_some() && kinds.all(|(kind, _)| kind.is_passing())
}

/// A name that nobody has.
fn made_up() -> Option<LocalPart> {
    LocalPart::new(&format!("postern{:016x}", getrandom::u64().ok()?)).ok()
}
