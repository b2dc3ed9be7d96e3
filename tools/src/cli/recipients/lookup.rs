//! `postern recipients lookup`: the answer for one address, and how it came about: as the process
//! that serves has it, or as one that starts now would.

use super::running::{ask_or, failed, tell_absent};
use super::shared::{Common, Ended};
use crate::cli::configuration::{print, print_json, tell_outcomes};
use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use clap::Args;
use directory::statistics::Age;
use gateway::config::built::Config;
use gateway::control::client::Absent;
use gateway::control::lookup::look_up;
use gateway::control::message::{Lookup, OfAddress, SourceFinding};
use gateway::explain::asked;
use serde_json::json;

/// Arguments of `lookup`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  postern recipients lookup --trace jones+lists@example.test\n\n\
    Asks the Postern that serves mail, when there is one; otherwise opens the sources itself.\n\
    Says what the directory knows; `postern explain` adds what the rules make of it.\n\
    Exit codes: 0 exists (or is discarded on purpose), 1 unknown, left, or in no domain of ours, \
    2 mistakes, 3 no source could say."
)]
pub struct LookupArguments {
    /// The address: `jones@example.test`, or `postmaster`.
    address: String,
    /// Show who was asked, what each said, how old that is, and what each has shown itself to be.
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &LookupArguments, config: &Config) -> Ended {
    if let Err(error) = asked::forward_path(&arguments.address) {
        eprintln!("`{}` is no address: {error}", arguments.address);
        eprintln!("For example: postern recipients lookup jones@example.test");
        return Err(EXIT_MISTAKES);
    }
    let question = OfAddress { address: arguments.address.clone() };
    let lookup = ask_or(
        config,
        |client| client.ask("/v1/lookup", &question),
        |absent| by_ourselves(arguments, config, &absent),
    )?;
    if lookup.status == "not_ours" {
        return Ok(not_ours(arguments, config));
    }
    arguments.common.show(&lookup, |lookup| text(lookup, arguments.trace));
    Ok(match lookup.status.as_str() {
        "exists" | "bitbucket" => 0,
        "left" | "unknown" => EXIT_NO,
        _ => EXIT_LATER,
    })
}

fn by_ourselves(
    arguments: &LookupArguments,
    config: &Config,
    absent: &Absent,
) -> Result<Lookup, u8> {
    let is_expected = matches!(absent, Absent::NoStateDirectory | Absent::NotRunning(_));
    if arguments.trace || !is_expected {
        tell_absent(absent, "This is what a Postern that starts now would say.");
    }
    let opened = directory::assembly::open(&config.recipients());
    tell_outcomes(&opened.outcomes);
    let failed = failed(EXIT_NO);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let lookup = look_up(config, &opened.directory, &arguments.address);
    runtime.map_err(|error| failed(&error))?.block_on(lookup).map_err(|error| failed(&error))
}

fn not_ours(arguments: &LookupArguments, config: &Config) -> u8 {
    if arguments.common.json {
        print_json(&json!({ "address": arguments.address, "status": "not_ours" }));
    } else {
        let names = config.domains.iter().take(5).map(|domain| domain.name.to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        print(&format!(
            "{}: not in a domain of ours (they are: {names}{})\n\
             A client hears that relaying is denied. To take its mail, add a [[domain]].\n",
            arguments.address,
            if config.domains.len() > 5 { ", …" } else { "" }
        ));
    }
    EXIT_NO
}

fn text(lookup: &Lookup, trace: bool) -> String {
    let mut text = format!("{}: {}\n", lookup.address, in_words(lookup));
    let mut row = |name: &str, value: &str| text.push_str(&format!("  {name:<15} {value}\n"));
    row("says so", lookup.source.as_deref().unwrap_or_default());
    let base = lookup.sub_address_base.as_deref().unwrap_or_default();
    match (lookup.found_by.as_deref(), &lookup.pattern) {
        (Some("address"), _) => row("found by", "the address itself"),
        (Some("sub_address"), _) => {
            row("found by", &format!("what stands before the sub-address: {base}"));
        }
        (Some(_), Some(pattern)) => row("found by", &format!("the pattern {pattern}")),
        _ => {}
    }
    if let Some(hosts) = &lookup.next_hop {
        row("next hop", &hosts.join(", "));
        row("it hears", &format!("RCPT TO:<{}>", lookup.next_hop_hears.as_deref().unwrap_or("")));
    }
    if trace {
        text.push_str("Asked until it was decided, in order:\n");
        lookup.trace.iter().for_each(|said| text.push_str(&traced(said)));
    }
    text.push_str("Each source on its own:\n");
    for said in &lookup.sources {
        text.push_str(&if trace { traced(said) } else { format!("  {}\n", said.line) });
    }
    if lookup.sources.is_empty() {
        text.push_str("  there is none\n");
    }
    if let Some(process) = lookup.process_id.filter(|_| trace) {
        text.push_str(&format!("Answered by the Postern that runs, process {process}.\n"));
    }
    text
}

/// The last trouble of a source, which may be over.
pub(super) fn last_trouble(what: &str, age_seconds: Option<u64>) -> String {
    match age_seconds {
        Some(seconds) => format!("last trouble, {} ago: {what}", Age(seconds)),
        None => format!("last trouble: {what}"),
    }
}

/// All that is known of what one source or rule said.
fn traced(said: &SourceFinding) -> String {
    let mut line =
        format!("  {}: {}", said.source, said.detail.as_deref().unwrap_or("does not apply"));
    match said.age_seconds {
        Some(seconds) => line.push_str(&format!(", {} old", Age(seconds))),
        None if said.class.is_some() => line.push_str(", asked just now"),
        None => {}
    }
    if let Some(class) = &said.class {
        line.push_str(&format!(", {class}"));
    }
    if let Some(note) = &said.note {
        line.push_str(&format!("\n    {}", last_trouble(note, said.note_age_seconds)));
    }
    line + "\n"
}

fn in_words(lookup: &Lookup) -> String {
    let detail = lookup.detail.as_deref().unwrap_or_default();
    match (lookup.status.as_str(), &lookup.target) {
        ("exists", None) => "exists".into(),
        ("exists", Some(target)) => format!("exists, as {target}"),
        ("bitbucket", _) => format!("accepted and discarded: {detail}"),
        ("left", _) => format!("has left; the client hears: {detail}"),
        ("unknown", _) => "unknown".into(),
        _ => "unavailable: no source could say, so the client is asked to try again later".into(),
    }
}
