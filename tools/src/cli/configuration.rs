//! What commands that read the configuration share: the argument, and how what is wrong with it,
//! or with its recipient sources, is told.

use super::exit::EXIT_MISTAKES;
use clap::Args;
use directory::load::guard::Outcome;
use gateway::config::Config;
use serde::Serialize;
use serde_json::{Value, json};
use settings::mistake::{Mistake, Mistakes, render};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Columns of a report.
const COLUMNS: usize = 100;

/// `--config`.
#[derive(Debug, Args)]
pub struct ConfigArgument {
    /// The configuration.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/postern/postern.toml")]
    pub config: PathBuf,
}

impl ConfigArgument {
    /// Loads it, without what its recipient files contain: a list that is wrong is unavailable,
    /// as it is when mail is served.
    /// # Errors
    /// The exit code, after everything that is wrong was told.
    pub fn load(&self) -> Result<Config, ExitCode> {
        Config::load(&self.config).map_err(|mistakes| {
            tell_mistakes(&mistakes);
            eprintln!("Mend the above; `postern check` tells whether that was all.");
            ExitCode::from(EXIT_MISTAKES)
        })
    }
}

/// Tells what keeps the program from starting, and what is doubtful.
pub fn tell_mistakes(mistakes: &Mistakes) {
    eprint!("{}", mistakes.render(COLUMNS, std::io::stderr().is_terminal()));
}

/// Tells what is doubtful.
pub fn tell_warnings(warnings: &[Mistake]) {
    eprint!("{}", render(warnings, COLUMNS, std::io::stderr().is_terminal()));
}

/// Tells which recipient sources did not come up whole.
pub fn tell_outcomes(outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_adopted()) {
        eprintln!("warning: {outcome}");
    }
}

/// Mistakes or warnings for a script.
#[must_use]
pub fn mistakes_json(mistakes: &[Mistake]) -> Value {
    let one = |mistake: &Mistake| {
        let place = mistake.position();
        json!({
            "message": mistake.message(),
            "key": mistake.key_name(),
            "file": place.map(|(file, ..)| file),
            "line": place.map(|(_, line, _)| line),
            "column": place.map(|(.., column)| column),
            "help": mistake.help_text(),
            "passing": mistake.is_passing(),
        })
    };
    mistakes.iter().map(one).collect()
}

/// Writes to standard output. Whoever closed it (`| head`) has seen enough, so that is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a document for a script.
pub fn print_json(document: &impl Serialize) {
    let document = serde_json::to_value(document).unwrap_or_default();
    print(&format!("{document:#}\n"));
}

/// `1 domain`, `2 addresses`, `3 entries`.
#[must_use]
pub fn count(number: u64, word: &str) -> String {
    match (number, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) if word.ends_with('s') => format!("{number} {word}es"),
        (_, None) => format!("{number} {word}s"),
    }
}
