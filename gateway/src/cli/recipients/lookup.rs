//! `postern recipients lookup`: the answer for one address, and how it came about.

use super::Common;
use crate::cli::configuration::{print, print_json, tell_outcomes};
use crate::cli::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use crate::config::built::Config;
use crate::directory::live::class::Class;
use crate::directory::{Finding, Matched, Step, Trace};
use crate::explain::asked::{self, Asked};
use crate::explain::route::Route;
use clap::Args;
use relay::recipient::RecipientStatus;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments of `lookup`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients lookup jones+lists@example.test\n\n\
    Says what the directory knows; `postern explain` adds what the rules make of it.\n\
    Exit codes: 0 exists (or is discarded on purpose), 1 unknown, left, or in no domain of ours, \
    2 mistakes, 3 no source could say.")]
pub struct LookupArguments {
    /// The address: `jones@example.test`, or `postmaster`.
    address: String,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &LookupArguments, config: &Config) -> ExitCode {
    let path = match asked::forward_path(&arguments.address) {
        Ok(path) => path,
        Err(error) => {
            eprintln!("`{}` is no address: {error}", arguments.address);
            eprintln!("For example: postern recipients lookup jones@example.test");
            return ExitCode::from(EXIT_MISTAKES);
        }
    };
    let Some(domain) = config.settings.domain_of_path(&path) else {
        return not_ours(arguments, config);
    };
    let opened = crate::run::recipients::open(config);
    tell_outcomes(&opened.outcomes);
    let asked = match asked::ask(&opened.directory, &config.settings, domain, &path) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("postern: {error}");
            return ExitCode::FAILURE;
        }
    };
    let target = asked::target(&asked.trace.found.status);
    let route = Route::new(config, domain, &path, target);
    let answer = Answer { address: &arguments.address, asked: &asked, route: &route };
    if arguments.common.json {
        print_json(&answer.document());
    } else {
        print(&answer.text());
    }
    ExitCode::from(match asked.trace.found.status {
        RecipientStatus::Exists { .. } | RecipientStatus::Bitbucket { .. } => 0,
        RecipientStatus::Left { .. } | RecipientStatus::Unknown => EXIT_NO,
        RecipientStatus::Unavailable => EXIT_LATER,
    })
}

fn not_ours(arguments: &LookupArguments, config: &Config) -> ExitCode {
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
    ExitCode::from(EXIT_NO)
}

struct Answer<'a> {
    address: &'a str,
    asked: &'a Asked,
    route: &'a Route,
}

impl Answer<'_> {
    fn text(&self) -> String {
        let Trace { found, .. } = &self.asked.trace;
        let mut text = format!("{}: {}\n", self.address, in_words(&found.status));
        let mut row = |name: &str, value: &str| text.push_str(&format!("  {name:<15} {value}\n"));
        row("says so", &found.source);
        match self.asked.matched() {
            Some(Matched::Exact) => row("found by", "the address itself"),
            Some(Matched::SubAddress) => {
                let base = self.asked.base.as_deref().unwrap_or_default();
                row("found by", &format!("what stands before the sub-address: {base}"));
            }
            Some(Matched::Pattern(pattern)) => row("found by", &format!("the pattern {pattern}")),
            None => {}
        }
        if matches!(found.status, RecipientStatus::Exists { .. }) {
            row("next hop", &self.route.hosts.join(", "));
            row("it hears", &format!("RCPT TO:<{}>", self.route.recipient));
        }
        text.push_str("Each source on its own:\n");
        for step in &self.asked.sources {
            text.push_str(&format!("  {step}\n"));
        }
        if self.asked.sources.is_empty() {
            text.push_str("  there is none\n");
        }
        text
    }

    fn document(&self) -> Value {
        let Trace { found, .. } = &self.asked.trace;
        let pattern = match self.asked.matched() {
            Some(Matched::Pattern(pattern)) => Some(pattern.to_string()),
            _ => None,
        };
        let exists = matches!(found.status, RecipientStatus::Exists { .. });
        json!({
            "address": self.address,
            "status": status_word(&found.status),
            "source": &*found.source,
            "found_by": self.asked.matched().map(matched_word),
            "pattern": pattern,
            "sub_address_base": self.asked.base,
            "target": asked::target(&found.status).map(|target| target.to_string()),
            "next_hop": exists.then_some(&self.route.hosts),
            "next_hop_hears": exists.then(|| self.route.recipient.to_string()),
            "detail": match &found.status {
                RecipientStatus::Bitbucket { reason } => Some(reason),
                RecipientStatus::Left { text } => Some(text),
                _ => None,
            },
            "sources": self.asked.sources.iter().map(|Step { source, finding, account }| json!({
                "source": &**source,
                "answer": finding.as_ref().map(finding_word),
                "detail": finding.as_ref().map(ToString::to_string),
                "age_seconds": account.age_seconds,
                "class": account.class.map(Class::word),
                "note": account.note,
            })).collect::<Value>(),
        })
    }
}

fn in_words(status: &RecipientStatus) -> String {
    match status {
        RecipientStatus::Exists { target: None } => "exists".into(),
        RecipientStatus::Exists { target: Some(target) } => format!("exists, as {target}"),
        RecipientStatus::Bitbucket { reason } => format!("accepted and discarded: {reason}"),
        RecipientStatus::Left { text } => format!("has left; the client hears: {text}"),
        RecipientStatus::Unknown => "unknown".into(),
        RecipientStatus::Unavailable => {
            "unavailable: no source could say, so the client is asked to try again later".into()
        }
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
