//! `postern recipients sync`: the process that serves reads a list now, and shows how far it is.

use super::running::{ask_or, nobody, of_list};
use super::shared::{Common, Ended};
use crate::cli::configuration::count;
use crate::cli::exit::EXIT_LATER;
use clap::Args;
use gateway::config::built::Config;
use gateway::control::client::{CallError, Client};
use gateway::control::message::{Loaded, OfSource, Sync};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Between two questions.
const ASK_AFTER: Duration = Duration::from_millis(200);
/// Questions between two lines where there is no terminal: ten seconds.
const LINE_AFTER_QUESTIONS: u32 = 50;
/// Questions until nobody waits any longer, though the load goes on: an hour.
const QUESTIONS_MAX: u32 = 18_000;

/// Arguments of `sync`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients sync ad\n\n\
    The guards judge what is read, as always: see `diff` and `confirm`. It goes on when this \
    command is interrupted.\n\
    Exit codes: 0 adopted, 2 mistakes, 3 held back, failed, or no Postern runs.")]
pub struct SyncArguments {
    /// Which: its name, or the end of it; needed where several sources hold lists.
    source: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &SyncArguments, config: &Config) -> Ended {
    let sync = ask_or(
        config,
        |client| follow(client, arguments.source.clone()),
        |absent| {
            let advice =
                "A start reads every list; `postern recipients diff` tells what would change.";
            nobody(&absent, advice)
        },
    );
    let sync = sync.map_err(of_list)?;
    arguments.common.show(&sync, text);
    let is_adopted = sync.result.as_ref().is_some_and(|loaded| loaded.is_adopted);
    Ok(if is_adopted { 0 } else { EXIT_LATER })
}

/// Begins, and waits until it is done.
fn follow(client: &Client, source: Option<String>) -> Result<Sync, CallError> {
    let mut sync: Sync = client.ask("/v1/sync", &OfSource { source })?;
    let question = OfSource { source: Some(sync.source.clone()) };
    let bar = Bar::new(&sync);
    for asked in 1..=QUESTIONS_MAX {
        if !sync.is_loading {
            break;
        }
        bar.show(&sync, asked);
        std::thread::sleep(ASK_AFTER);
        sync = client.ask("/v1/sync/progress", &question)?;
    }
    bar.end();
    Ok(sync)
}

/// What moves on a terminal, and lines elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(sync: &Sync) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = match sync.expected.filter(|expected| *expected > 0) {
            Some(expected) => ProgressBar::new(expected),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let template = match sync.expected {
            Some(_) => "  {bar:28} {human_pos} of about {human_len} addresses, {elapsed}",
            None => "  {spinner} {human_pos} addresses, {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(Some(bar))
    }

    fn show(&self, sync: &Sync, asked: u32) {
        let taken = sync.taken.unwrap_or(0);
        match &self.0 {
            Some(bar) => bar.set_position(taken),
            None if asked.is_multiple_of(LINE_AFTER_QUESTIONS) => {
                eprintln!("{}: {} read", sync.source, count(taken, "address"));
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn text(sync: &Sync) -> String {
    match &sync.result {
        Some(loaded) => loaded_text(&sync.source, loaded),
        None => format!("{}: still being read; see `postern recipients sources`\n", sync.source),
    }
}

/// What came of a load, and what a person can do about it.
pub(super) fn loaded_text(source: &str, loaded: &Loaded) -> String {
    let mut text = format!("{}\n", loaded.line);
    let Some(entries) = loaded.entries.filter(|_| !loaded.held.is_empty()) else { return text };
    if loaded.held.iter().all(|held| held.is_confirmable) {
        text.push_str(&format!(
            "  if that is right: postern recipients confirm --entries {entries} \"{source}\"\n"
        ));
    } else {
        text.push_str("  a canary is missing: mend the list, or name another canary\n");
    }
    text
}
