//! Whether the settings of a directory are right, as far as that can be seen without an address:
//! each server in its order is connected to, asked for the base, and asked for an address that
//! cannot exist. For `check` and for the start.

use super::super::live::TroubleKind;
use super::export::described;
use super::export::modes::Mode;
use super::link::{Link, NoReply, Reply, Search};
use super::preset::Protection;
use super::server::Server;
use super::settings::Settings;
use super::trouble::{Asked, Problem, Refusal, of_code};
use ldap3::Scope;
use std::sync::Arc;

/// Says what was found, or everything that was not as it should be.
pub(super) async fn try_out(
    settings: &Settings,
    servers: &[Arc<Server>],
) -> Result<String, Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut listed = None;
    for server in servers {
        match try_one(settings, server).await {
            Ok(said) => listed = listed.or(said),
            Err(problem) => {
                let is_password = problem.refusal == Some(Refusal::Password);
                problems.push(problem.of(&server.name));
                // One try for each trial, of which a person may run several.
                if is_password {
                    break;
                }
            }
        }
    }
    let all: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
    let what = all.join("; ");
    match problems.into_iter().next() {
        Some(first) => Err(Problem { what, ..first }),
        None => Ok(found(settings, listed)),
    }
}

fn found(settings: &Settings, listed: Option<String>) -> String {
    let servers = match settings.servers.len() {
        1 => "1 server".to_owned(),
        several => format!("{several} servers"),
    };
    let who = settings.bind.as_ref().map_or("anonymous", |bind| &bind.dn);
    let how = match settings.protection {
        Protection::Ldaps => "LDAPS",
        Protection::StartTls => "StartTLS",
        Protection::Plain => "without TLS",
    };
    let listed = listed.map_or_else(String::new, |said| format!(": {said}"));
    format!("{servers}, {how}, as {who}, base {}{listed}", settings.base)
}

/// Says what was found of people, where they are to be listed.
async fn try_one(settings: &Settings, server: &Server) -> Result<Option<String>, Problem> {
    let link = server.open(0).await?;
    let base = Search {
        scope: Scope::Base,
        entries_max: 1,
        ..settings.search("(objectClass=*)", &["1.1"])
    };
    let reply = search(&link, &base, settings).await?;
    ended_well(&reply).map_err(|problem| named("base", problem))?;
    // The root above all names is no entry that one can see (RFC 4511 §4.5.1.1).
    if reply.entries.is_empty() && !settings.base.is_empty() {
        let remedy = "`base`: an entry that exists; `bind_dn`: one that may see it";
        let what = format!("`base`: {} is not to be seen", settings.base);
        return Err(Problem::new(TroubleKind::Misconfigured, what, remedy));
    }
    if let Mode::Snapshot(export) = &settings.mode {
        return described(&link, settings, export).await.map(Some);
    }
    let (local_part, domain) = (format!("postern-{:016x}", random()), "postern.invalid");
    let filter = settings.filter.filled(local_part.as_bytes(), domain.as_bytes());
    let filter = filter.unwrap_or_default();
    let reply = search(&link, &settings.search(&filter, &["1.1"]), settings).await?;
    if !reply.entries.is_empty() {
        let what = format!("`filter`: finds {local_part}@{domain}, which cannot exist");
        let remedy = "`filter`: one that only entries with that very address match";
        return Err(Problem::new(TroubleKind::Misconfigured, what, remedy));
    }
    ended_well(&reply).map_err(|problem| named("filter", problem))?;
    match reply.references.first() {
        Some(elsewhere) => Err(of_code(Asked::Search, 10, elsewhere)),
        None => Ok(None),
    }
}

async fn search(link: &Link, search: &Search<'_>, settings: &Settings) -> Result<Reply, Problem> {
    link.search(search, settings.answer_max).await.map_err(|error| match error {
        NoReply::Lost(why) => Problem::lost(why),
        NoReply::Trouble(problem) => problem,
    })
}

fn ended_well(reply: &Reply) -> Result<(), Problem> {
    match reply.result.rc {
        0 => Ok(()),
        code => {
            let said = reply.result.refs.first().unwrap_or(&reply.result.text);
            Err(of_code(Asked::Search, code, said))
        }
    }
}

/// The same, with the key that it is about before it, where that is known to be at fault.
fn named(key: &str, mut problem: Problem) -> Problem {
    if problem.kind == TroubleKind::Misconfigured {
        problem.what = format!("`{key}`: {}", problem.what);
    }
    problem
}

fn random() -> u64 {
    let mut octets = [0; 8];
    // Without randomness the name is still one that nobody has.
    let _ = getrandom::fill(&mut octets);
    u64::from_le_bytes(octets)
}
