//! `postern recipients sources`: what each source is, and what it did since the start.

use super::lookup::last_trouble;
use super::running::{ask_or, tell_absent};
use super::shared::{Common, Ended};
use crate::cli::configuration::tell_outcomes;
use crate::cli::exit::EXIT_LATER;
use clap::Args;
use directory::report::SourceReport;
use gateway::config::built::Config;
use gateway::observe::reports::Reports;
use relay::belief::class::Class;
use std::io::IsTerminal;

/// Classes whose answers are not relied on.
const WRONG: &[Class] = &[Class::Late, Class::AcceptAll, Class::Lying, Class::Down];
/// Columns of what a class follows from, on a terminal; elsewhere it is whole.
const WHY_COLUMNS: usize = 48;

/// Arguments of `sources`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients sources\n\n\
    Asks the Postern that serves mail: counts are since its start. Without one it shows what one \
    that starts now would have.\n\
    Exit codes: 0 every source can be relied on, 2 mistakes, 3 one cannot, or holds a load back.")]
pub struct SourcesArguments {
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &SourcesArguments, config: &Config) -> Ended {
    let all: Reports = ask_or(
        config,
        |client| client.get("/v1/sources"),
        |absent| {
            tell_absent(&absent, "This is what a Postern that starts now would have.");
            let opened = directory::assembly::open(&config.recipients());
            tell_outcomes(&opened.outcomes);
            let sources = opened.sources.iter().map(|opened| opened.source.report());
            Ok(Reports { sources: sources.collect(), ..Reports::default() })
        },
    )?;
    arguments.common.show(&all, text);
    // A next hop that takes everybody is why Postern stands before it.
    Ok(if all.sources.iter().all(is_relied_on) { 0 } else { EXIT_LATER })
}

/// Of a list, whether there is one; of others, what they have shown. One that has only had
/// trouble so far has shown nothing, whatever its class.
fn is_relied_on(source: &SourceReport) -> bool {
    let has_none = source.class.is_none() && source.entries.is_none();
    let said = source.yes + source.no + source.recalled + source.remembered_yes;
    let is_mute = source.class.is_some() && said == 0;
    let fails = (has_none || is_mute || source.class == Some(Class::Unproven))
        && source.last_trouble.is_some();
    !source.is_held && !fails && !source.class.is_some_and(|class| WRONG.contains(&class))
}

fn text(all: &Reports) -> String {
    let head = ["SOURCE", "CLASS", "ASKED", "ANSWERED", "REMEMBERED", "WHY"].map(str::to_owned);
    let mut rows = vec![(head, None)];
    for source in all.sources.iter().chain(&all.next_hops) {
        let trouble = source.last_trouble.as_deref();
        let trouble = trouble.map(|what| last_trouble(what, source.last_trouble_age_seconds));
        rows.push((cells(source), trouble));
    }
    for (cells, _) in rows.iter_mut().rev().take(all.next_hops.len()) {
        // Nobody counts what they are asked by mail.
        (2..5).for_each(|column| cells[column] = "-".to_owned());
    }
    let width = |column: usize| {
        rows.iter().map(|(cells, _)| cells[column].chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for ([name, class, asked, answered, remembered, why], trouble) in &rows {
        let line = format!(
            "{name:<0$}  {class:<1$}  {asked:>2$}  {answered:>3$}  {remembered:>4$}  {why}",
            widths[0], widths[1], widths[2], widths[3], widths[4],
        );
        text.push_str(line.trim_end());
        text.push('\n');
        if let Some(trouble) = trouble {
            text.push_str(&format!("  {trouble}\n"));
        }
    }
    match all.process_id {
        Some(process) => text.push_str(&format!("Counted by process {process} since its start.\n")),
        None => text.push_str("Nothing was counted, since no Postern was asked.\n"),
    }
    text
}

fn cells(source: &SourceReport) -> [String; 6] {
    let is_live = source.class.is_some();
    let of_live = |figure: u64| if is_live { figure.to_string() } else { "-".to_owned() };
    let remembered = match source.entries {
        Some(entries) => entries.to_string(),
        None if is_live || source.remembered_yes + source.remembered_no > 0 => {
            format!("{} yes, {} no", source.remembered_yes, source.remembered_no)
        }
        None => "-".to_owned(),
    };
    let class = match (source.class, source.entries) {
        (None, Some(_)) if source.is_held => "list, held".to_owned(),
        (None, Some(_)) => "list".to_owned(),
        (None, None) => "-".to_owned(),
        (Some(class), _) => class.word().to_owned(),
    };
    [
        source.name.clone(),
        class,
        of_live(source.asked),
        of_live(source.yes + source.no),
        remembered,
        shortened(&source.why),
    ]
}

fn shortened(why: &str) -> String {
    if why.chars().count() <= WHY_COLUMNS || !std::io::stdout().is_terminal() {
        return why.to_owned();
    }
    why.chars().take(WHY_COLUMNS - 1).chain(['…']).collect()
}
