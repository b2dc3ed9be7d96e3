//! What is doubtful about a recipient file that can be used: a line that accepts everybody, people
//! who are listed and have left, addresses of other domains. Told as warnings of `check`.

use super::contents::shown;
use super::{ListedSource, leavers};
use crate::RecipientList;
use crate::list::{Listed, Recipient};
use crate::load::guard::Outcome;
use crate::question::is_reserved;
use relay::settings::DomainSettings;
use settings::mistake::Mistake;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Addresses that a warning names.
const NAMES_SHOWN_MAX: usize = 3;

/// Warnings about a file that was opened and judged so.
pub(super) fn of_file(
    path: &Path,
    listed: &ListedSource<'_>,
    opened: &Listed,
    outcomes: &[Outcome],
) -> Vec<Mistake> {
    let path = shown(path).display().to_string();
    let warnings =
        foreign(&path, listed, outcomes).into_iter().chain(people(&path, listed, opened));
    let warning = |mistake: Mistake| {
        mistake.warning().key("domain.recipients").at(listed.place.clone(), "this list")
    };
    warnings.map(warning).collect()
}

/// Directories hide single entries from accounts that may not see them, and say nothing of it: an
/// address that must be there shows at least when most are hidden.
pub(super) fn without_canary(listed: &ListedSource<'_>) -> Vec<Mistake> {
    if !listed.settings.may_hide_entries() {
        return Vec::new();
    }
    let bare = listed.domains.iter().filter(|(_, _, sources)| sources.canary.is_none());
    let warning = |(_, settings, _): &(_, &DomainSettings, _)| {
        let name = &settings.name;
        Mistake::new(format!("{name} has no canary"))
            .warning()
            .key("domain.canary")
            .at(listed.place.clone(), "this may show less than it has")
            .help(format!(
                "whom its account may not see hears 550: set `canary = \"somebody@{name}\"`, \
                 somebody who is as hard to see as any"
            ))
    };
    bare.map(warning).collect()
}

/// Most of it is of no use here: mostly the file of another server, or a domain is missing.
fn foreign(path: &str, listed: &ListedSource<'_>, outcomes: &[Outcome]) -> Option<Mistake> {
    let of_others = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Judged { foreign, entries, .. } => Some((*foreign, *entries)),
        Outcome::Failed { .. } | Outcome::CacheFailed { .. } => None,
    });
    let (foreign, ours) = of_others.filter(|(foreign, ours)| *ours > 0 && foreign > ours)?;
    let all = foreign + ours;
    let name = &listed.domains.first()?.1.name;
    let others = if listed.domains.len() > 1 { " and the other domains that list it" } else { "" };
    let message = format!(
        "{foreign} of the {all} addresses in {path} belong to other domains than {name}{others}"
    );
    let help = "they count for nothing here. Another name of the domain goes into `aliases`, another \
                domain needs a `[[domain]]`; or is it the wrong file?";
    Some(Mistake::new(message).help(help))
}

/// What is doubtful in its lines.
fn people(path: &str, listed: &ListedSource<'_>, opened: &Listed) -> Vec<Mistake> {
    let domains = listed.domains.iter().map(|(_, settings, sources)| {
        (settings.name.to_canonical(), leavers(sources, settings.local_part_case))
    });
    let leavers: HashMap<String, _> = domains.collect();
    let figures = opened.figures();
    let has_patterns = figures.domains.iter().any(|domain| domain.patterns > 0);
    if !has_patterns && leavers.values().all(Vec::is_empty) {
        return Vec::new();
    }
    let (mut open, mut have_left, mut more) = (HashSet::new(), Vec::new(), 0_u64);
    let mut look = |recipient: Recipient<'_>| {
        let Recipient { local_part, domain, is_pattern, .. } = recipient;
        if is_pattern {
            if local_part.bytes().all(|b| b == b'*') {
                open.insert(domain.to_owned());
            }
            return;
        }
        let mut rules = leavers.get(domain).into_iter().flatten();
        if is_reserved(local_part) || !rules.any(|l| l.pattern.matches(local_part.as_bytes())) {
            return;
        }
        if have_left.len() < NAMES_SHOWN_MAX {
            have_left.push(format!("{local_part}@{domain}"));
        } else {
            more += 1;
        }
    };
    // What is wrong with the file itself is told elsewhere.
    let _ = opened.read_out(&mut look);
    let mut open: Vec<String> = open.into_iter().collect();
    open.sort();
    let mut warnings: Vec<Mistake> = open.iter().map(|domain| everybody(path, domain)).collect();
    if !have_left.is_empty() {
        warnings.push(listed_leavers(path, &have_left, more));
    }
    warnings
}

fn everybody(path: &str, domain: &str) -> Mistake {
    Mistake::new(format!(
        "`*@{domain}` in {path} accepts every name: Postern refuses nobody there"
    ))
    .help(format!(
        "what the server behind then cannot deliver, it bounces to forged senders: list the people \
         of {domain} in its place\n\
         without a list: `{{ callout = true }}` or `{{ learned = true }}` (docs/recipients.md)"
    ))
}

fn listed_leavers(path: &str, names: &[String], more: u64) -> Mistake {
    let names = names.join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Mistake::new(format!("listed in {path} and in `leavers`: {names}{more}")).help(
        "their mail is refused with the text of `leavers`. Take who is here out of `leavers`, and \
         who has left out of the list",
    )
}
