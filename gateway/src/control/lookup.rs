//! The answer for one address, as a message: by the directory of the process that serves, or by
//! one that a command opened beside it.

use super::message::{Lookup, SourceFinding};
use crate::config::built::Config;
use crate::explain::asked::{self, Asked};
use crate::explain::route::Route;
use directory::live::class::Class;
use directory::{Directory, Finding, Matched, Step};
use mail::address::{AddressError, ForwardPath};
use relay::recipient::RecipientStatus;
use relay::settings::DomainId;

/// Asks for an address as an operator types it.
/// # Errors
/// When it is none.
pub async fn look_up(
    config: &Config,
    directory: &Directory,
    address: &str,
) -> Result<Lookup, AddressError> {
    let path = asked::forward_path(address)?;
    let Some(domain) = config.settings.domain_of_path(&path) else {
        let (address, status) = (address.to_owned(), "not_ours".to_owned());
        return Ok(Lookup { address, status, ..Lookup::default() });
    };
    let asked = asked::ask_all(directory, &config.settings, domain, &path).await?;
    Ok(answer(config, domain, (address, &path), &asked))
}

fn answer(
    config: &Config,
    domain: DomainId,
    (address, path): (&str, &ForwardPath),
    asked: &Asked,
) -> Lookup {
    let status = &asked.trace.found.status;
    let (exists, target) = match status {
        RecipientStatus::Exists { target, .. } => (true, target.clone()),
        _ => (false, None),
    };
    let recipient = config.settings.as_the_next_hop_knows_it(domain, path, target.clone());
    let route = Route::new(config, config.settings.domain(domain).next_hop, recipient);
    let pattern = match asked.matched() {
        Some(Matched::Pattern(pattern)) => Some(pattern.to_string()),
        _ => None,
    };
    Lookup {
        address: address.to_owned(),
        status: status_word(status).to_owned(),
        source: Some(asked.trace.found.source.to_string()),
        found_by: asked.matched().map(|matched| matched_word(matched).to_owned()),
        pattern,
        sub_address_base: asked.base.clone(),
        target: target.map(|target| target.to_string()),
        next_hop_hears: exists.then(|| route.recipient.to_string()),
        next_hop: exists.then_some(route.hosts),
        detail: match status {
            RecipientStatus::Bitbucket { reason } => Some(reason.to_string()),
            RecipientStatus::Left { text } => Some(text.to_string()),
            _ => None,
        },
        sources: asked.sources.iter().map(source_finding).collect(),
        trace: asked.trace.steps.iter().map(source_finding).collect(),
        process_id: None,
    }
}

fn source_finding(step: &Step) -> SourceFinding {
    let Step { source, finding, account } = step;
    SourceFinding {
        source: source.to_string(),
        answer: finding.as_ref().map(|finding| finding_word(finding).to_owned()),
        detail: finding.as_ref().map(ToString::to_string),
        age_seconds: account.age_seconds,
        class: account.class.map(|class| Class::word(class).to_owned()),
        note: account.note.clone(),
        note_age_seconds: account.note_age_seconds,
        line: step.to_string(),
    }
}

fn status_word(status: &RecipientStatus) -> &'static str {
    match status {
        RecipientStatus::Exists { .. } => "exists",
        RecipientStatus::Bitbucket { .. } => "bitbucket",
        RecipientStatus::Left { .. } => "left",
        RecipientStatus::Unknown => "unknown",
        RecipientStatus::Unavailable => "unavailable",
    }
}

fn matched_word(matched: &Matched) -> &'static str {
    match matched {
        Matched::Exact => "address",
        Matched::SubAddress => "sub_address",
        Matched::Pattern(_) => "pattern",
    }
}

fn finding_word(finding: &Finding) -> &'static str {
    match finding {
        Finding::Exists { .. } => "exists",
        Finding::Unknown => "unknown",
        Finding::Unavailable => "unavailable",
        Finding::Abstains { .. } => "abstains",
    }
}
