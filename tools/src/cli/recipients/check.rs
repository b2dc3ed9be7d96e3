//! `postern recipients check`: reads every recipient file to its end and judges nothing.

use super::shared::{Common, Ended};
use crate::cli::configuration::{count, print, print_json};
use crate::cli::exit::EXIT_MISTAKES;
use clap::Args;
use directory::assembly::scopes;
use directory::file::FileLister;
use directory::kinds::file_source;
use directory::list::{Checked, LoadError, Scope, check};
use gateway::config::built::{Config, listed};
use serde_json::{Value, json};
use std::path::Path;

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients check --config postern.toml\n\n\
    Reads only; nothing is adopted.\n\
    Exit codes: 0 every line is understood, 2 malformed lines or mistakes.")]
pub struct CheckArguments {
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(arguments: &CheckArguments, config: &Config) -> Ended {
    let mut right = true;
    let (mut files, mut files_read) = (Vec::new(), 0);
    for listed in listed(&config.settings.domain, &config.domains) {
        let Some(file) = listed.settings.file() else { continue };
        files_read += 1;
        let path = &file.path;
        let checked = check(&FileLister::new(file_source(file)), &Scope::new(scopes(&listed)));
        right &= checked.as_ref().is_ok_and(|checked| checked.malformed.lines.is_empty());
        if arguments.common.json {
            files.push(document(path, &checked));
        } else {
            print(&text(path, &checked));
        }
    }
    if files_read == 0 && !arguments.common.json {
        eprintln!("No domain lists a recipient file; `postern check` tries the other sources out.");
    }
    if arguments.common.json {
        print_json(&json!({ "ok": right, "files": files }));
    }
    Ok(if right { 0 } else { EXIT_MISTAKES })
}

fn text(path: &Path, checked: &Result<Checked, LoadError>) -> String {
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => return format!("{error}\n"),
    };
    let shown = path.display();
    let malformed = &checked.malformed;
    if malformed.lines.is_empty() {
        let mut text = format!(
            "{shown}: {}, {} with a target, {} of other domains\n",
            count(checked.addresses, "address"),
            checked.targets,
            checked.foreign
        );
        for (domain, addresses, patterns) in &checked.domains {
            let (addresses, patterns) = (count(*addresses, "address"), count(*patterns, "pattern"));
            text.push_str(&format!("  {domain}: {addresses}, {patterns}\n"));
        }
        return text;
    }
    let mut text = String::new();
    for line in &malformed.lines {
        let (found, problem) = (&line.found, &line.problem);
        text.push_str(&format!("{shown}:{}: `{found}`: {problem}", line.line));
        text.push_str(&format!("; for example: {}\n", problem.example()));
    }
    let all = malformed.lines.len() as u64 + malformed.more;
    let then = if checked.domains.is_empty() {
        "the file is not used until all are"
    } else {
        "they are passed over (`accept_good_lines`)"
    };
    let (lines, good) = (count(all, "malformed line"), malformed.good);
    text.push_str(&format!("{shown}: {lines}, {good} good; {then}\n"));
    text
}

fn document(path: &Path, checked: &Result<Checked, LoadError>) -> Value {
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => return json!({ "file": path, "ok": false, "error": error.to_string() }),
    };
    let malformed = checked.malformed.lines.iter().map(|line| {
        json!({
            "line": line.line,
            "found": line.found,
            "problem": line.problem.to_string(),
            "example": line.problem.example(),
        })
    });
    let domains = checked.domains.iter().map(|(domain, addresses, patterns)| {
        json!({ "domain": domain.to_string(), "addresses": addresses, "patterns": patterns })
    });
    json!({
        "file": path,
        "ok": checked.malformed.lines.is_empty(),
        "addresses": checked.addresses,
        "targets": checked.targets,
        "foreign": checked.foreign,
        "domains": domains.collect::<Value>(),
        "malformed": malformed.collect::<Value>(),
        "malformed_more": checked.malformed.more,
    })
}
