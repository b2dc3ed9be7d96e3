//! Looks at the next hop before it is written into a configuration: who it is, what it offers,
//! and whether it refuses recipients that nobody has. Nothing it does keeps us from writing.

use super::answers::Answers;
use crate::probe::report::Report;
use crate::probe::{self, Args};
use mail::address::Domain;

/// Somebody waits at a terminal.
const TIMEOUT_SECONDS: u64 = 20;

/// What was found, as lines for a person.
pub(super) fn at_next_hop(answers: &Answers) -> String {
    let next_hop = &answers.next_hop;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found = match runtime {
        Ok(runtime) => runtime.block_on(probe::probe_recipients(&arguments(answers))),
        Err(error) => return format!("{next_hop} was not looked at: {error}\n"),
    };
    match found {
        Ok(report) => in_words(next_hop, &report),
        Err(error) => format!(
            "{error}\n  The configuration is good without it; until it answers, mail is asked to \
             come again (451).\n"
        ),
    }
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

fn in_words(next_hop: &str, report: &Report) -> String {
    let software = report.software.unwrap_or("an SMTP server");
    let offers = if report.extensions.is_empty() {
        "nothing beyond plain SMTP".to_owned()
    } else {
        report.extensions.join(", ")
    };
    let mut text = format!("{next_hop} is {software} and offers {offers}.\n");
    for finding in report.findings.iter().filter(|f| f.id == "unknown-recipients") {
        text.push_str(&format!("  {}\n", finding.says));
    }
    if report.recipients == "accept-all" {
        text.push_str("  With Postern before it, they are refused at RCPT.\n");
    }
    text
}
