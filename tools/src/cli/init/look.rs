//! Looks around before a configuration is written: who the next hop is, what it offers, whether
//! it can be asked who exists, and whether there is a directory. Nothing that is found, or not,
//! keeps us from writing.

use super::answers::Answers;
use super::canary::{self, Canary, Manner};
use super::directory;
use super::sources::Seen;
use crate::probe::report::Report;
use crate::probe::{self, Args};
use mail::address::Domain;

/// Somebody waits at a terminal.
const TIMEOUT_SECONDS: u64 = 20;

/// Looks around, and says on standard error what is there.
pub(super) fn around(answers: &Answers) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(both(answers)),
        Err(error) => {
            eprintln!("Nothing was looked at: {error}");
            Seen::default()
        }
    }
}

async fn both(answers: &Answers) -> Seen {
    // First, before a server that counts refusals has any to count.
    let asked = canary::ask(answers).await;
    let (text, canary) = match probe::probe_recipients(&arguments(answers)).await {
        Ok(report) => in_words(&answers.next_hop, &report, asked),
        Err(error) => {
            let after = "The configuration is good without it; until it answers, mail is asked to \
                         come again (451).";
            (format!("{error}\n  {after}\n"), None)
        }
    };
    eprint!("{text}");
    let domain = Domain::from_unicode(&answers.domain).map(|domain| domain.to_string());
    let (host, port) = match answers.directory.as_deref().map(directory::host_and_port) {
        Some(Some(named)) => named,
        Some(None) | None => (answers.next_hop_host(), None),
    };
    let found = directory::find(host, port, &domain.unwrap_or_default()).await;
    match (&found, &answers.directory) {
        (Ok(found), _) => eprint!("{}", found.in_words()),
        (Err(why), Some(named)) => {
            eprintln!("{named}: no directory that can be used: {why}.");
        }
        // Nobody said that there is one.
        (Err(_), None) => {}
    }
    Seen { canary, directory: found.ok() }
}

/// As `postern probe` with these arguments.
fn arguments(answers: &Answers) -> Args {
    // U-labels are for the configuration only.
    let ascii = |name: &str| Domain::from_unicode(name).ok().map(|name| name.to_string());
    Args {
        server: answers.next_hop.clone(),
        domain: ascii(&answers.domain),
        known: None,
        sender: None,
        external: "relay-test.invalid".into(),
        json: false,
        send_content: false,
        trusted: true,
        timeout: TIMEOUT_SECONDS,
        hello: ascii(&answers.hostname),
    }
}

/// Who it is, and what it does with recipients that nobody has. One that refuses only some of
/// them is not to be asked, whatever it did with ours.
fn in_words(next_hop: &str, report: &Report, canary: Canary) -> (String, Option<Canary>) {
    let software = report.software.unwrap_or("an SMTP server");
    let offers = if report.extensions.is_empty() {
        "nothing beyond plain SMTP".to_owned()
    } else {
        report.extensions.join(", ")
    };
    let mut text = format!("{next_hop} is {software} and offers {offers}.\n");
    let is_fickle =
        canary.manner == Manner::Honest && matches!(report.recipients, "mixed" | "accept-all");
    let is_unclear = matches!(canary.manner, Manner::Unclear(_));
    if is_fickle || is_unclear {
        for finding in report.findings.iter().filter(|f| f.id == "unknown-recipients") {
            text.push_str(&format!("  {}\n", finding.says));
        }
    }
    if is_fickle {
        return (text, None);
    }
    text.push_str(&canary.in_words());
    (text, Some(canary))
}
