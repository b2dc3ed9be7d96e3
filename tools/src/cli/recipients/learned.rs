//! `postern recipients why` and `report`: what mail itself has shown of an address, and whom that
//! would have refused if it were enforced.

use super::Common;
use super::running::{client, refused};
use crate::cli::configuration::{count, print, print_json};
use crate::cli::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use crate::clock;
use crate::config::built::Config;
use crate::control::learned::{Unsaid, report_kept, why_kept};
use crate::control::message::{Doubtful, Evidence, OfAddress, OfReport, Report, Why};
use crate::directory::SourceSettings;
use crate::directory::statistics::Age;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Arguments of `why`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients why jones@example.test\n\n\
    For domains with `{ learned = true }`. `lookup --trace` tells what sources say.\n\
    Exit codes: 0 mail shows that it exists, 1 it shows that there is none, 2 mistakes, 3 it \
    shows neither.")]
pub struct WhyArguments {
    /// The address.
    address: String,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients report --max 500\n\n\
    For domains with `learned` in the mode `observe`: look whether people are among these before \
    you write `enforce`.\n\
    Exit codes: 0 nobody would be refused, 1 these would be, 2 mistakes, 3 Postern runs and does \
    not answer.")]
pub struct ReportArguments {
    /// How many addresses at most, the most frequent first.
    #[arg(long, value_name = "N", default_value_t = 100)]
    max: usize,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn why(arguments: &WhyArguments, config: &Config) -> ExitCode {
    let evidence: Evidence = match client(config) {
        Ok(client) => {
            let question = OfAddress { address: arguments.address.clone() };
            match client.ask("/v1/why", &question) {
                Ok(evidence) => evidence,
                Err(error) => return refused(&error),
            }
        }
        Err(_) => {
            let store = crate::run::recipients::beside(&config.recipients()).store;
            match why_kept(&store, &config.settings, &arguments.address) {
                Ok(evidence) => evidence,
                Err(error) => return unsaid(&error),
            }
        }
    };
    if arguments.common.json {
        print_json(&serde_json::to_value(&evidence).unwrap_or(json!(null)));
    } else {
        evidence.names.iter().for_each(|name| print(&why_text(name)));
        tell_unused(config);
    }
    let believed = |belief: &str| evidence.names.iter().any(|name| name.belief == belief);
    match () {
        () if believed("exists") => ExitCode::SUCCESS,
        () if believed("unknown") => ExitCode::from(EXIT_NO),
        () => ExitCode::from(EXIT_LATER),
    }
}

pub(super) fn report(arguments: &ReportArguments, config: &Config) -> ExitCode {
    let report: Report = match client(config) {
        Ok(client) => match client.ask("/v1/report", &OfReport { addresses_max: arguments.max }) {
            Ok(report) => report,
            Err(error) => return refused(&error),
        },
        Err(_) => {
            let store = crate::run::recipients::beside(&config.recipients()).store;
            match report_kept(&store, arguments.max) {
                Ok(report) => report,
                Err(error) => return unsaid(&error),
            }
        }
    };
    if arguments.common.json {
        print_json(&serde_json::to_value(&report).unwrap_or(json!(null)));
    } else {
        print(&report_text(&report));
        tell_unused(config);
    }
    if report.would_refuse.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) }
}

/// Where no domain learns, that nothing was seen says nothing.
fn tell_unused(config: &Config) {
    let mut sources = config.domains.iter().flat_map(|domain| &domain.sources);
    if !sources.any(|entry| matches!(entry.settings, SourceSettings::Learned(_))) {
        eprintln!("No domain has {{ learned = true }} among its `recipients`.");
    }
}

fn unsaid(error: &Unsaid) -> ExitCode {
    eprintln!("postern: {error}");
    ExitCode::from(EXIT_MISTAKES)
}

fn why_text(why: &Why) -> String {
    let belief = match why.belief.as_str() {
        "exists" => "mail shows that it exists",
        "unknown" => "mail shows that there is none",
        _ => "mail has shown nothing of it that counts",
    };
    let mut text = format!("{}: {belief}\n", why.address);
    for seen in &why.evidence {
        let sign = if seen.is_positive { '+' } else { '-' };
        text.push_str(&format!(
            "  {sign} {}, {}, last {} ago, weighs {:.2}\n",
            seen.says,
            count(seen.count.into(), "time"),
            ago(i64::from(seen.last)),
            seen.weight
        ));
    }
    text
}

fn report_text(report: &Report) -> String {
    if report.would_refuse.is_empty() {
        return "`learned` would have refused nobody.\n".into();
    }
    let mut text = "`learned` would have refused, if it were enforced:\n".to_owned();
    for Doubtful { address, because, code, count: n, last, client, reverse_path, .. } in
        &report.would_refuse
    {
        text.push_str(&format!(
            "  {address}: {code} ({}), {}, last {} ago from {client} for <{reverse_path}>\n",
            because.replace('_', " "),
            count((*n).into(), "time"),
            ago(*last)
        ));
    }
    text
}

fn ago(at: i64) -> Age {
    let now = i64::try_from(clock::unix_seconds()).unwrap_or(i64::MAX);
    Age(u64::try_from(now.saturating_sub(at)).unwrap_or(0))
}
