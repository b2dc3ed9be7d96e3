//! `postern recipients stats`: what each source holds, and what a person may have to decide.

use super::shared::{Common, Ended};
use crate::cli::configuration::{count, print, print_json};
use crate::cli::exit::EXIT_LATER;
use directory::RecipientList;
use directory::load::guard::{Hold, Outcome};
use directory::report::SourceReport;
use directory::statistics::{DomainStatistics, Statistics};
use gateway::config::built::Config;
use gateway::control::client::Client;
use gateway::observe::reports::Reports;
use serde_json::{Value, json};
use wire::clock;

pub(super) fn run(arguments: &Common, config: &Config) -> Ended {
    let opened = directory::assembly::open(&config.recipients());
    let lists = opened.sources.iter().filter_map(|opened| opened.source.list());
    let statistics: Vec<_> = lists.map(RecipientList::statistics).collect();
    let outcomes: Vec<_> = opened.outcomes.iter().filter(|o| !o.is_adopted()).collect();
    let told = |name: &str| outcomes.iter().any(|outcome| source_of(outcome) == name);
    let held = held_by_whom_serves(config);
    let held: Vec<_> = held.into_iter().filter(|source| !told(&source.name)).collect();
    if arguments.json {
        let sources = statistics.iter().map(|source| document(source, &outcomes, &held));
        print_json(&json!({ "sources": sources.collect::<Value>() }));
    } else {
        statistics.iter().for_each(|source| print(&text(source, &outcomes, &held, config)));
        if statistics.is_empty() {
            eprintln!("No source holds a list; `postern recipients sources` shows the others.");
        }
    }
    let whole = statistics.iter().flat_map(|source| &source.domains).all(|d| d.entries.is_some());
    Ok(if whole && outcomes.is_empty() && held.is_empty() { 0 } else { EXIT_LATER })
}

/// What the Postern that serves holds back: of a list that is elsewhere, only that one has read it.
fn held_by_whom_serves(config: &Config) -> Vec<SourceReport> {
    let client = Client::of(config.state_dir.as_deref()).ok();
    let all: Option<Reports> = client.and_then(|client| client.get("/v1/sources").ok());
    all.unwrap_or_default().sources.into_iter().filter(|source| source.is_held).collect()
}

fn text(
    source: &Statistics,
    outcomes: &[&Outcome],
    held: &[SourceReport],
    config: &Config,
) -> String {
    let Statistics { source: name, addresses, targets, octets, domains } = source;
    let each = source.octets_per_address();
    let each = each.map(|each| format!(", {each:.1} an address")).unwrap_or_default();
    let mut text = format!(
        "{name}\n  {}, {targets} with a target, {}{each}\n",
        count(*addresses, "address"),
        count(*octets, "octet"),
    );
    for domain in domains {
        text.push_str(&format!("  {}\n", of_domain(domain)));
    }
    for outcome in outcomes.iter().filter(|outcome| source_of(outcome) == &**name) {
        text.push_str(&advice(outcome, config));
    }
    for source in held.iter().filter(|source| source.name == **name) {
        let why = source.last_trouble.as_deref().unwrap_or("held back");
        text.push_str(&format!(
            "  {why}\n    what would change: postern recipients diff \"{name}\"\n    \
             if that is right: postern recipients confirm --entries N \"{name}\", with its number\n"
        ));
    }
    text
}

fn of_domain(domain: &DomainStatistics) -> String {
    let name = &domain.domain;
    match (domain.entries, age_seconds(domain)) {
        (Some(entries), Some(age)) => format!(
            "{name}: {}, {} among them, written {} ago",
            count(entries, "entry"),
            count(domain.patterns, "pattern"),
            in_words(age)
        ),
        _ => format!("{name}: unavailable; mail for it hears 451 until a list is adopted"),
    }
}

/// What a person can do about a load that is not in use.
fn advice(outcome: &Outcome, config: &Config) -> String {
    let (entries, source) = match outcome {
        Outcome::Judged { entries, source, .. } => (entries, source),
        Outcome::Failed { error, .. } => {
            return format!("  not loaded: {error}\n    then: postern recipients check\n");
        }
        Outcome::CacheFailed { error, .. } => {
            return format!("  the state directory fails: {error}\n");
        }
    };
    let mut text = String::new();
    for (domain, hold) in outcome.held() {
        text.push_str(&format!("  held back for {domain}: {hold}\n"));
        text.push_str(&match (hold, &config.state_dir) {
            (Hold::CanaryMissing(_), _) => {
                "    add the canary to the file, or name another one in the configuration\n".into()
            }
            (_, Some(_)) => format!(
                "    if that is right: postern recipients confirm --entries {entries} \"{source}\"\n"
            ),
            (Hold::Empty, None) => "    put an address into the file; to confirm that it is \
                empty, set `state_dir`\n"
                .into(),
            (Hold::Shrunk { .. }, None) => {
                "    if that is right: restart Postern, or set `state_dir` to confirm it\n".into()
            }
        });
    }
    text
}

fn document(source: &Statistics, outcomes: &[&Outcome], served: &[SourceReport]) -> Value {
    let name = &*source.source;
    let is_held = served.iter().any(|source| source.name == name);
    let mine = outcomes.iter().filter(|outcome| source_of(outcome) == name);
    let held = mine.clone().flat_map(|outcome| {
        let entries = match outcome {
            Outcome::Judged { entries, .. } => Some(*entries),
            Outcome::Failed { .. } | Outcome::CacheFailed { .. } => None,
        };
        outcome.held().map(move |(domain, hold)| {
            let confirmable = !matches!(hold, Hold::CanaryMissing(_));
            json!({
                "domain": domain.to_string(),
                "why": hold.to_string(),
                "entries": entries.filter(|_| confirmable),
            })
        })
    });
    let failures = mine.clone().filter_map(|outcome| match outcome {
        Outcome::Judged { .. } => None,
        Outcome::Failed { error, .. } => Some(error.to_string()),
        Outcome::CacheFailed { error, .. } => Some(error.to_string()),
    });
    let domains = source.domains.iter().map(|domain| {
        json!({
            "domain": domain.domain.to_string(),
            "entries": domain.entries,
            "patterns": domain.patterns,
            "age_seconds": age_seconds(domain),
        })
    });
    json!({
        "source": name,
        "addresses": source.addresses,
        "targets": source.targets,
        "octets": source.octets,
        "octets_per_address": source.octets_per_address(),
        "domains": domains.collect::<Value>(),
        "held": held.collect::<Value>(),
        "is_held": is_held || mine.clone().any(|outcome| outcome.held().next().is_some()),
        "failures": failures.collect::<Value>(),
    })
}

fn source_of(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Judged { source, .. }
        | Outcome::Failed { source, .. }
        | Outcome::CacheFailed { source, .. } => source,
    }
}

/// Since the list that is in use was written.
fn age_seconds(domain: &DomainStatistics) -> Option<u64> {
    let written = u64::try_from(domain.modified_nanoseconds? / 1_000_000_000).ok()?;
    Some(clock::unix_seconds().saturating_sub(written))
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..120 => count(seconds, "second"),
        120..7_200 => count(seconds / 60, "minute"),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_the_unit_that_fits() {
        let told = [1, 119, 120, 7_200, 172_799, 864_000].map(in_words);
        let expected = ["1 second", "119 seconds", "2 minutes", "2 hours", "47 hours", "10 days"];
        assert_eq!(told, expected);
    }
}
