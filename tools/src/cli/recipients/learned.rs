//! `postern recipients why` and `report`: what mail itself has shown of an address, and whom that
//! would have refused if it were enforced.

use super::running::{ask_or, failed};
use super::shared::{Common, Ended};
use crate::cli::configuration::count;
use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use clap::Args;
use directory::SourceSettings;
use directory::learned::evidence::Belief;
use directory::learned::report::{Doubtful, Why, report_from, why_from};
use directory::statistics::Age;
use gateway::config::built::Config;
use gateway::control::learned::{self, REPORTED_ADDRESSES_MAX};
use gateway::control::message::{Evidence, OfAddress, OfReport, Report};
use wire::clock;

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

pub(super) fn why(arguments: &WhyArguments, config: &Config) -> Ended {
    let question = OfAddress { address: arguments.address.clone() };
    let evidence: Evidence = ask_or(
        config,
        |client| client.ask("/v1/why", &question),
        |_| {
            let store = directory::assembly::environment_of(&config.recipients()).store;
            let kept =
                learned::why(&config.settings, &question.address, |name| why_from(&store, name));
            kept.map_err(|error| failed(EXIT_MISTAKES)(&error))
        },
    )?;
    arguments.common.show(&evidence, |evidence| evidence.names.iter().map(why_text).collect());
    tell_unused(&arguments.common, config);
    let is = |belief| evidence.names.iter().any(|name| name.belief == belief);
    Ok(match () {
        () if is(Belief::Exists) => 0,
        () if is(Belief::Unknown) => EXIT_NO,
        () => EXIT_LATER,
    })
}

pub(super) fn report(arguments: &ReportArguments, config: &Config) -> Ended {
    let question = OfReport { addresses_max: arguments.max };
    let report: Report = ask_or(
        config,
        |client| client.ask("/v1/report", &question),
        |_| {
            let store = directory::assembly::environment_of(&config.recipients()).store;
            let kept = report_from(&store, arguments.max.min(REPORTED_ADDRESSES_MAX));
            let would_refuse = kept.map_err(|error| failed(EXIT_MISTAKES)(&error))?;
            Ok(Report { would_refuse })
        },
    )?;
    arguments.common.show(&report, report_text);
    tell_unused(&arguments.common, config);
    Ok(if report.would_refuse.is_empty() { 0 } else { EXIT_NO })
}

/// Where no domain learns, that nothing was seen says nothing.
fn tell_unused(common: &Common, config: &Config) {
    let mut sources = config.domains.iter().flat_map(|domain| &domain.sources);
    if !common.json && !sources.any(|entry| matches!(entry.settings, SourceSettings::Learned(_))) {
        eprintln!("No domain has {{ learned = true }} among its `recipients`.");
    }
}

fn why_text(why: &Why) -> String {
    let belief = match why.belief {
        Belief::Exists => "mail shows that it exists",
        Belief::Unknown => "mail shows that there is none",
        Belief::Unseen => "mail has shown nothing of it that counts",
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
            because.word().replace('_', " "),
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
