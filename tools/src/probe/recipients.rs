//! What happens to unknown recipients: random local parts are offered with the null reverse-path
//! and with a named one, and compared with an address that exists. This is the question that
//! decides whether a server causes backscatter.

use super::connection::{Exchange, Lost, unanswered};
use super::report::{Evidence, Finding, Group, Report, Severity};
use super::{Prober, cut_short};
use std::time::Duration;

const ID: &str = "unknown-recipients";
/// An answer to an unknown recipient that takes longer, and [`TARPIT_RATIO`] times as long as
/// the answer to MAIL, was delayed on purpose.
const TARPIT: Duration = Duration::from_millis(500);
const TARPIT_RATIO: u32 = 4;

/// What a server does with recipients that do not exist. In order of what tells most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    AcceptAll,
    Mixed,
    Honest,
    Temporary,
    Greylists,
    RefusesAll,
    NoReply,
}

/// One transaction without content.
struct Asked {
    mail: Option<Exchange>,
    unknown: Vec<Exchange>,
    existing: Option<Exchange>,
    lost: Option<Lost>,
}

impl Asked {
    fn class(&self) -> Class {
        let all = |is: fn(&Exchange) -> bool| self.unknown.iter().all(is);
        let existing = |is: fn(&Exchange) -> bool| self.existing.as_ref().is_some_and(is);
        if self.unknown.is_empty() {
            Class::NoReply
        } else if all(Exchange::is_positive) {
            Class::AcceptAll
        } else if all(is_no_relaying) && existing(is_no_relaying) {
            Class::RefusesAll
        } else if all(Exchange::is_temporary) {
            if existing(Exchange::is_positive) { Class::Temporary } else { Class::Greylists }
        } else if all(is_refused) {
            if existing(is_refused) { Class::RefusesAll } else { Class::Honest }
        } else {
            Class::Mixed
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let heard = self.mail.iter().chain(&self.unknown).chain(&self.existing);
        let lost = self.lost.iter().map(|lost| unanswered(b"", lost));
        heard.map(Exchange::evidence).chain(lost).collect()
    }
}

/// Postfix, as it comes, answers 454 where it does not serve the domain.
fn is_no_relaying(exchange: &Exchange) -> bool {
    exchange.reply.code >= 400 && exchange.reply.text.to_ascii_lowercase().contains("relay")
}

fn is_refused(exchange: &Exchange) -> bool {
    exchange.reply.code >= 500
}

/// Adds what is found to the report.
pub(super) async fn ask(prober: &Prober, report: &mut Report) {
    prober.say("unknown recipients");
    let Some(domain) = &prober.domain else {
        let why = "Unknown recipients were not offered: --domain says which domain is served.";
        report.findings.push(Finding::not_tested(ID, Group::Recipients, why));
        return;
    };
    // Apart: a server that counts unknown recipients in a session must not answer for the count.
    let named = transaction(prober, &prober.sender, domain).await;
    let null = transaction(prober, "", domain).await;
    let lost = named.lost.as_ref().or(null.lost.as_ref());
    if let (true, true, Some(lost)) = (named.mail.is_none(), null.mail.is_none(), lost) {
        cut_short(ID, Group::Recipients, lost, report);
        return;
    }
    let (telling, class) = match (named.class(), null.class()) {
        (of_named, of_null) if of_null < of_named => (&null, of_null),
        (of_named, _) => (&named, of_named),
    };
    let finding = match class {
        Class::AcceptAll => at_data(prober, domain, telling).await,
        class => about(class, prober).shown_by(telling.evidence()),
    };
    report.findings.push(finding);
    report.findings.extend(about_null(&named, &null));
    report.findings.extend(about_time(&named).or_else(|| about_time(&null)));
}

/// MAIL, three recipients that do not exist, one that does, RSET.
async fn transaction(prober: &Prober, sender: &str, domain: &str) -> Asked {
    let mut asked = Asked { mail: None, unknown: Vec::new(), existing: None, lost: None };
    if let Err(lost) = recipients(prober, sender, domain, &mut asked).await {
        asked.lost = Some(lost);
    }
    asked
}

async fn recipients(
    prober: &Prober,
    sender: &str,
    domain: &str,
    asked: &mut Asked,
) -> Result<(), Lost> {
    let mut connection = prober.greeted().await?;
    let mail = connection.ask(&format!("MAIL FROM:<{sender}>")).await?;
    let accepted = mail.is_positive();
    asked.mail = Some(mail);
    if accepted {
        for local_part in unlikely_local_parts() {
            let rcpt = connection.ask(&format!("RCPT TO:<{local_part}@{domain}>")).await?;
            asked.unknown.push(rcpt);
        }
        if let Some(existing) = prober.existing() {
            asked.existing = Some(connection.ask(&format!("RCPT TO:<{existing}>")).await?);
        }
        connection.ask("RSET").await?;
    }
    connection.quit().await;
    Ok(())
}

/// Three local parts that nobody has, of different shapes and from different ends of the
/// alphabet, since a server may know some patterns.
fn unlikely_local_parts() -> [String; 3] {
    let [a, b, c] = [random_letters(), random_letters(), random_letters()];
    [format!("aq{a}"), format!("{}.{}", &b[..5], &b[5..]), format!("zx{c}7")]
}

/// Ten letters. Without randomness from the system the time must do.
pub(super) fn random_letters() -> String {
    let clock = || jiff::Timestamp::now().as_nanosecond().unsigned_abs() as u64;
    let mut rest = getrandom::u64().unwrap_or_else(|_| clock().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut letters = String::with_capacity(10);
    for _ in 0..10 {
        letters.push(char::from(b'a' + (rest % 26) as u8));
        rest /= 26;
    }
    letters
}

/// Whether a server that accepts unknown recipients refuses them at DATA. The connection is
/// dropped before any content, so that no message arises (RFC 5321 §4.1.1.4).
async fn at_data(prober: &Prober, domain: &str, telling: &Asked) -> Finding {
    let finding = about(Class::AcceptAll, prober);
    if !prober.send_content {
        let mut finding = finding.shown_by(telling.evidence());
        finding.says.push_str(" Whether it refuses at DATA was not tested (--send-content).");
        return finding;
    }
    let recipient = format!("RCPT TO:<{}@{domain}>", random_letters());
    let exchanges = async {
        let mut connection = prober.greeted().await?;
        connection.ask_all(&["MAIL FROM:<>".to_owned(), recipient, "DATA".to_owned()], false).await
    };
    let evidence = |e: &[Exchange]| e.iter().map(Exchange::evidence).collect::<Vec<_>>();
    match exchanges.await {
        Ok(exchanges) if exchanges[1].is_positive() && is_refused(&exchanges[2]) => {
            let says = "It accepts unknown recipients at RCPT and refuses at DATA: no backscatter, \
                        but a message to a known and an unknown recipient is lost to both.";
            Finding::new(ID, Group::Recipients, Severity::Warning, "late", says)
                .advise("Let it refuse at RCPT, or put Postern in front of it.")
                .shown_by(evidence(&exchanges))
        }
        Ok(exchanges) => {
            let mut finding = finding.shown_by(evidence(&exchanges));
            finding.says.push_str(" DATA is accepted too; no content was sent to find out more.");
            finding.shown_by(telling.evidence())
        }
        Err(lost) => finding.shown_by(telling.evidence()).shown_by([unanswered(b"DATA", &lost)]),
    }
}

fn about(class: Class, prober: &Prober) -> Finding {
    let existing = prober.existing().unwrap_or_default();
    let (severity, verdict, says, advice) = match class {
        Class::AcceptAll => (
            Severity::Serious,
            "accept-all",
            "It takes responsibility for mail to addresses that nobody has. Unless all of it is \
             really read or discarded, it must send notices to senders who are mostly forged."
                .to_owned(),
            "This is what Postern is for: give Postern the list of recipients and put it in front.",
        ),
        Class::Honest => (
            Severity::Ok,
            "honest",
            "It refuses unknown recipients at RCPT: it causes no backscatter by that.".to_owned(),
            "",
        ),
        Class::Mixed => (
            Severity::Notice,
            "mixed",
            "It answers differently to different unknown recipients: by chance, by pattern, or \
             because it counts."
                .to_owned(),
            "Look at the replies; ask again later.",
        ),
        Class::Temporary => (
            Severity::Notice,
            "temporary",
            format!(
                "It answers 4yz to unknown recipients, 250 to <{existing}>: clients try for days."
            ),
            "Let it answer 550 5.1.1; look whether its directory can be reached.",
        ),
        Class::Greylists => (
            Severity::Notice,
            "greylists",
            format!(
                "It answers 4yz to unknown recipients and to <{existing}> alike (greylisting, \
                     or we are limited): what it does later cannot be told."
            ),
            "Ask again in some minutes from the same address.",
        ),
        Class::RefusesAll => (
            Severity::Notice,
            "refuses-all",
            format!("It refuses <{existing}> as well as unknown recipients, so nothing follows."),
            "Is it a server for this --domain? Does it take mail from here? Give an address that \
             exists with --known, and one of yours with --sender.",
        ),
        Class::NoReply => (
            Severity::Notice,
            "no-reply",
            "Unknown recipients could not be offered: MAIL was refused or the connection lost."
                .to_owned(),
            "Give an address of yours with --sender.",
        ),
    };
    Finding::new(ID, Group::Recipients, severity, verdict, says).advise(advice)
}

/// Whether notices can come in (RFC 5321 §4.5.5, §6.1).
fn about_null(named: &Asked, null: &Asked) -> Option<Finding> {
    let mail_refused = null.mail.as_ref().is_some_and(is_refused);
    let rcpt_refused = null.existing.as_ref().is_some_and(is_refused)
        && named.existing.as_ref().is_some_and(Exchange::is_positive);
    let finding = |severity, verdict, says| {
        Finding::new("null-reverse-path", Group::Recipients, severity, verdict, says)
    };
    if mail_refused || rcpt_refused {
        let says = "It refuses the null reverse-path: its users never learn that a message of \
                    theirs was not delivered, and others' queues fill up.";
        let advice = "Accept MAIL FROM:<> for recipients that exist.";
        let finding = finding(Severity::Warning, "refused", says);
        return Some(finding.advise(advice).shown_by(null.evidence()));
    }
    let accepted = null.mail.as_ref().is_some_and(Exchange::is_positive);
    accepted.then(|| finding(Severity::Ok, "accepted", "It takes notices (MAIL FROM:<>)."))
}

fn about_time(asked: &Asked) -> Option<Finding> {
    let mut times: Vec<_> = asked.unknown.iter().map(|e| e.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied()?;
    let usual = asked.mail.as_ref().map_or(Duration::ZERO, |mail| mail.took);
    if median < TARPIT || median < usual * TARPIT_RATIO {
        return None;
    }
    let says = format!(
        "It delays the answer to an unknown recipient by {:.1} s: that slows down harvesting, \
         and costs a connection for as long.",
        median.as_secs_f64()
    );
    let finding = Finding::new("tarpit", Group::Recipients, Severity::Notice, "tarpits", says);
    Some(finding.shown_by(asked.unknown.iter().map(Exchange::evidence)))
}
