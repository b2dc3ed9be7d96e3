//! `postern check`: every mistake in the configuration, in the files it names, and in what
//! recipient files contain, and what the servers behind say, without starting anything.

mod certificate;
mod files;
mod next_hops;
mod reading;

use super::configuration::{
    ConfigArgument, count, mistakes_json, print, print_json, tell_mistakes, tell_warnings,
};
use super::exit::{EXIT_LATER, EXIT_MISTAKES};
use clap::Args;
use directory::assembly::contents;
use directory::statistics::Statistics;
use gateway::config::{Config, Look};
use reading::Reading;
use serde_json::{Value, json};
use settings::mistake::Mistake;
use std::path::PathBuf;
use std::process::ExitCode;
use wire::tls::client::client_config;
use wire::tls::server::Certificate;

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern check --config /etc/postern/postern.toml\n  \
    postern check users.csv\n\n\
    Reads everything that `run` would read, recipient files and the lists of directories and \
    databases to their end, tries out the directories and servers that would be asked and the \
    next hops up to EHLO, and starts nothing. \
    A source that cannot be used is a mistake here; `run` starts without it unless \
    `start_without_sources` is false.\n\
    Exit codes: 0 nothing is wrong (there may be warnings), 2 mistakes, 3 only that a source does \
    not answer now.")]
pub struct CheckArguments {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Recipient files or exports to look at in place of a configuration: what each is taken for,
    /// and what is in it
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub files: Vec<PathBuf>,
    /// As one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Asks no directory, database, web service or server, and not the next hops.
    #[arg(long)]
    pub offline: bool,
}

/// What a configuration without mistakes comes to.
#[derive(serde::Serialize)]
struct Summary {
    domains: usize,
    addresses: u64,
    patterns: u64,
    next_hops: usize,
    listeners: usize,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &CheckArguments) -> ExitCode {
    if !arguments.files.is_empty() {
        return files::run(&arguments.files, arguments.json);
    }
    let mut held = Vec::new();
    let loaded = Config::load_with(&arguments.config.config, |listed, look| match look {
        Look::Inside => {
            let (mistakes, statistics) = contents::read(listed);
            held.extend(statistics);
            mistakes
        }
        Look::Elsewhere if arguments.offline => Vec::new(),
        Look::Elsewhere => {
            let reading = Reading::default();
            let (mut mistakes, statistics) =
                contents::try_out(listed, &|name, taken| reading.show(name, taken));
            reading.end();
            held.extend(statistics);
            mistakes.extend(contents::without_canary(listed));
            mistakes
        }
    });
    match loaded {
        Err(mistakes) => {
            if arguments.json {
                print_json(&document(&mistakes.mistakes, &mistakes.warnings, None));
            } else {
                tell_mistakes(&mistakes);
                eprintln!("{}", verdict(&mistakes.mistakes));
            }
            let later = mistakes.mistakes.iter().all(Mistake::is_passing);
            ExitCode::from(if later { EXIT_LATER } else { EXIT_MISTAKES })
        }
        Ok(config) => clean(&config, &Summary::new(&config, &held), arguments),
    }
}

/// The last line for a person.
fn verdict(mistakes: &[Mistake]) -> String {
    let number = mistakes.len() as u64;
    if mistakes.iter().all(Mistake::is_passing) {
        let what = if number == 1 { "One source does" } else { "Some sources do" };
        return format!("{what} not answer now; `--offline` checks the rest.");
    }
    format!("{}; nothing was started.", count(number, "mistake"))
}

/// Nothing is wrong with what was written; what remains is whether the TLS library takes it.
fn clean(config: &Config, summary: &Summary, arguments: &CheckArguments) -> ExitCode {
    let mistakes = tls_mistakes(config);
    let warnings = warnings(config, arguments.offline);
    if arguments.json {
        let summary = mistakes.is_empty().then_some(summary);
        print_json(&document(&mistakes, &warnings, summary));
    } else {
        tell_warnings(&warnings);
        tell_warnings(&mistakes);
    }
    if !mistakes.is_empty() {
        return ExitCode::from(EXIT_MISTAKES);
    }
    if !arguments.json {
        print(&format!("{} is right: {summary}.\n", arguments.config.config.display()));
        if !config.starts_without_sources {
            print("`run` tries the sources out as well (`start_without_sources` is false).\n");
        }
    }
    ExitCode::SUCCESS
}

/// What is doubtful, and need not keep anybody from starting.
fn warnings(config: &Config, is_offline: bool) -> Vec<Mistake> {
    let mut warnings = config.warnings.clone();
    warnings.extend(certificate::warnings(config));
    if !is_offline {
        warnings.extend(next_hops::warnings(config));
    }
    warnings
}

fn tls_mistakes(config: &Config) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if let Some(files) = &config.tls {
        let served = Certificate::load(files.clone()).and_then(|c| c.server_config());
        if let Err(error) = served {
            let message = format!("{} cannot be used: {error}", files.certificate.display());
            mistakes.push(Mistake::new(message).key("tls.certificate"));
        }
    }
    for hop in &config.next_hops {
        if let Err(error) = client_config(&hop.tls) {
            let name = hop.name.as_deref().unwrap_or("of a domain");
            let message = format!("TLS to the next hop {name} cannot be set up: {error}");
            mistakes.push(Mistake::new(message).key("next_hop.tls"));
        }
    }
    mistakes
}

fn document(mistakes: &[Mistake], warnings: &[Mistake], summary: Option<&Summary>) -> Value {
    json!({
        "ok": mistakes.is_empty(),
        "mistakes": mistakes_json(mistakes),
        "warnings": mistakes_json(warnings),
        "summary": summary,
    })
}

impl Summary {
    fn new(config: &Config, held: &[Statistics]) -> Self {
        let patterns = held.iter().flat_map(|source| &source.domains).map(|d| d.patterns);
        Self {
            domains: config.domains.len(),
            addresses: held.iter().map(|source| source.addresses).sum(),
            patterns: patterns.sum(),
            next_hops: config.next_hops.len(),
            listeners: config.listeners.len(),
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { domains, addresses, patterns, next_hops, listeners } = self;
        let parts = [
            count(*domains as u64, "domain"),
            count(*addresses, "address"),
            count(*patterns, "pattern"),
            count(*next_hops as u64, "next hop"),
            count(*listeners as u64, "listener"),
        ];
        f.write_str(&parts.join(", "))
    }
}
