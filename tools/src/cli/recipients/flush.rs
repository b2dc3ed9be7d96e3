//! `postern recipients flush`: what was remembered of live sources is asked for again; of one
//! address it is really forgotten.

use super::running::{ask_or, failed, nobody, tell_absent};
use super::shared::{Common, Ended};
use crate::cli::configuration::count;
use crate::cli::exit::EXIT_MISTAKES;
use clap::Args;
use directory::store::Store;
use gateway::config::built::Config;
use gateway::control::client::Absent;
use gateway::control::message::{Flush, Flushed};
use gateway::control::names::pick;
use gateway::control::work::to_forget;
use std::path::Path;

/// Arguments of `flush`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients flush --address jones@example.test\n\n\
    Of a domain, or of all, who was known is asked for again, and stands while the source \
    gives no answer; only with --address is he really forgotten.\n\
    Lists hold no answers, and what `learned` has seen is evidence: neither is touched.\n\
    Where no Postern runs, what is kept in `state_dir` is forgotten.\n\
    Exit codes: 0 forgotten, if only nothing, 2 mistakes, 3 Postern runs and does not answer.")]
pub struct FlushArguments {
    #[command(flatten)]
    what: What,
    /// Only what this source said: `ldap ad`, or the end of its name.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// What is remembered of one address, with and without its sub-address.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// What is remembered of all addresses of a domain.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Everything that is remembered.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: &FlushArguments, config: &Config) -> Ended {
    let What { address, domain, all } = &arguments.what;
    let flush = Flush {
        address: address.clone(),
        domain: domain.clone(),
        all: *all,
        source: arguments.source.clone(),
    };
    let flushed: Flushed = ask_or(
        config,
        |client| client.ask("/v1/flush", &flush),
        |absent| match (&absent, &config.state_dir) {
            (Absent::NotRunning(_), Some(directory)) => {
                tell_absent(&absent, "What is kept for the next one is forgotten instead.");
                in_store(&flush, config, directory).map_err(|why| failed(EXIT_MISTAKES)(&why))
            }
            _ => nobody(&absent, "Or restart it: without `state_dir` it forgets everything."),
        },
    )?;
    arguments.common.show(&flushed, text);
    Ok(0)
}

fn in_store(flush: &Flush, config: &Config, directory: &Path) -> Result<Flushed, String> {
    let what = to_forget(&config.settings, flush).map_err(|error| error.to_string())?;
    let opened = directory::assembly::open_kept(&config.recipients());
    let names: Vec<&str> = opened.sources.iter().map(|opened| &**opened.source.name()).collect();
    let names = match flush.source.as_deref() {
        Some(wanted) => vec![names[pick(&names, Some(wanted)).map_err(|e| e.to_string())?]],
        None => names,
    };
    let mut flushed = Flushed::default();
    for name in names {
        let mut forgotten = 0;
        for what in &what {
            let done = Store::forget_answers_in(directory, Some(name), what);
            forgotten += done.map_err(|error| error.to_string())?;
        }
        flushed.forgotten += forgotten;
        flushed.sources.insert(name.to_owned(), forgotten);
    }
    Ok(flushed)
}

fn text(flushed: &Flushed) -> String {
    let mut text = format!("{} forgotten.\n", count(flushed.forgotten, "answer"));
    for (source, forgotten) in flushed.sources.iter().filter(|(_, forgotten)| **forgotten > 0) {
        text.push_str(&format!("  {source}: {forgotten}\n"));
    }
    text
}
