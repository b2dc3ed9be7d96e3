//! `postern check FILE`: what a file is taken for, and what is in it, before it is configured.

use super::super::configuration::{count, mistakes_json, print, print_json, tell_warnings};
use super::super::exit::EXIT_MISTAKES;
use directory::assembly::contents;
use directory::list::Look;
use serde_json::{Value, json};
use settings::mistake::Mistake;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Domains of a file that are shown.
const DOMAINS_SHOWN_MAX: usize = 10;

/// Looks at each file.
pub(super) fn run(files: &[PathBuf], is_json: bool) -> ExitCode {
    let looked: Vec<_> = files.iter().map(|path| (path, contents::look(path))).collect();
    let is_wrong = looked.iter().any(|(_, (mistakes, _))| !mistakes.is_empty());
    if is_json {
        let documents =
            looked.iter().map(|(path, (mistakes, look))| document(path, mistakes, look.as_ref()));
        print_json(&Value::Array(documents.collect()));
    } else {
        for (path, (mistakes, look)) in &looked {
            if let Some(look) = look {
                print(&text(path, look));
            }
            tell_warnings(mistakes);
        }
    }
    if is_wrong { ExitCode::from(EXIT_MISTAKES) } else { ExitCode::SUCCESS }
}

fn text(path: &Path, look: &Look) -> String {
    let (checked, shown) = (&look.checked, path.display());
    let mut text = format!("{shown}: {}\n", look.what);
    let malformed = checked.malformed.count();
    if malformed > 0 {
        let good = count(checked.malformed.good, "address");
        text.push_str(&format!(
            "  {malformed} malformed, {good} beside them: a file with malformed lines is not used\n"
        ));
        return text;
    }
    text.push_str(&format!("  {}", count(checked.addresses, "address")));
    let patterns: u64 = checked.domains.iter().map(|(_, _, patterns)| patterns).sum();
    if patterns > 0 {
        text.push_str(&format!(", {}", count(patterns, "pattern")));
    }
    if look.is_bare {
        text.push_str(", all without a domain: they belong to the one domain that lists the file");
    } else {
        let of = checked.domains.iter().take(DOMAINS_SHOWN_MAX);
        let of: Vec<String> = of.map(|(domain, n, _)| format!("{domain} {n}")).collect();
        let more = checked.domains.len().saturating_sub(DOMAINS_SHOWN_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!(": {}{more}", of.join(", ")));
    }
    text.push_str(&format!("\n  to use it: recipients = [{{ file = \"{shown}\" }}]\n"));
    text
}

fn document(path: &Path, mistakes: &[Mistake], look: Option<&Look>) -> Value {
    let domain = |(name, addresses, patterns): &(_, u64, u64)| json!({ "domain": format!("{name}"), "addresses": addresses, "patterns": patterns });
    let found = look.map(|look| {
        json!({
            "what": look.what,
            "without_domain": look.is_bare,
            "addresses": look.checked.addresses,
            "domains": look.checked.domains.iter().map(domain).collect::<Vec<_>>(),
        })
    });
    json!({ "file": path, "found": found, "mistakes": mistakes_json(mistakes) })
}
