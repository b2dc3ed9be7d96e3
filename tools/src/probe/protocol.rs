//! Order, line ends and lengths of commands: what a careful server refuses, and what a lenient
//! one gives away. Every question has a connection of its own, since servers hang up on some.

use super::connection::{Connection, Exchange, Lost, reply_text, unanswered};
use super::recipients::random_letters;
use super::report::{Evidence, Finding, Group, Report, Severity};
use super::{Prober, cut_short};
use std::time::Duration;

/// Longer than any command may be (RFC 5321 §4.5.3.1.4 asks for 512), in octets.
const OVERLONG_OCTETS: usize = 5_000;
/// How long to look for a reply that should not come.
const SHORT_WAIT: Duration = Duration::from_millis(700);

/// A stable name and what was found, or why not.
type Answered = (&'static str, Result<Finding, Lost>);

/// Adds what is found to the report.
pub(super) async fn ask(prober: &Prober, report: &mut Report) {
    let answers: [Answered; 7] = [
        ("vrfy", vrfy(prober).await),
        ("expn", expn(prober).await),
        ("rcpt-before-mail", rcpt_before_mail(prober).await),
        ("data-before-rcpt", data_before_rcpt(prober).await),
        ("early-talker", early_talker(prober).await),
        ("overlong-command", overlong(prober).await),
        ("bare-lf-command", bare_lf(prober).await),
    ];
    for (id, answer) in answers {
        match answer {
            Ok(finding) => report.findings.push(finding),
            Err(lost) => cut_short(id, Group::Protocol, &lost, report),
        }
    }
}

fn found(
    id: &'static str,
    severity: Severity,
    verdict: &'static str,
    says: &str,
    evidence: impl IntoIterator<Item = Evidence>,
) -> Finding {
    Finding::new(id, Group::Protocol, severity, verdict, says).shown_by(evidence)
}

async fn vrfy(prober: &Prober) -> Result<Finding, Lost> {
    prober.say("VRFY and EXPN");
    let mut connection = prober.greeted().await?;
    let existing = prober.existing().unwrap_or_else(|| "postmaster".to_owned());
    let known = connection.ask(&format!("VRFY {existing}")).await?;
    let at = existing.find('@').map_or("", |at| &existing[at..]);
    let unknown = connection.ask(&format!("VRFY {}{at}", random_letters())).await?;
    connection.quit().await;
    let evidence = [known.evidence(), unknown.evidence()];
    // 252 says nothing, 250 and 251 say that the address exists (RFC 5321 §3.5.3).
    let tells = |e: &Exchange| matches!(e.reply.code, 250 | 251);
    if tells(&known) || tells(&unknown) {
        let says = "VRFY tells strangers which addresses exist.";
        let finding = found("vrfy", Severity::Warning, "tells", says, evidence);
        return Ok(finding.advise("Let VRFY answer 252 to everything."));
    }
    if known.reply.code != unknown.reply.code {
        let says = "VRFY answers differently for an address that exists and one that does not.";
        let finding = found("vrfy", Severity::Notice, "differs", says, evidence);
        return Ok(finding.advise("Let VRFY answer 252 to everything, or switch it off."));
    }
    Ok(found("vrfy", Severity::Ok, "silent", "VRFY tells nothing.", evidence))
}

async fn expn(prober: &Prober) -> Result<Finding, Lost> {
    let mut connection = prober.greeted().await?;
    let expn = connection.ask("EXPN postmaster").await?;
    connection.quit().await;
    let evidence = [expn.evidence()];
    if matches!(expn.reply.code, 250 | 251) {
        let finding =
            found("expn", Severity::Warning, "tells", "EXPN tells who is on a list.", evidence);
        return Ok(finding.advise("Switch EXPN off."));
    }
    Ok(found("expn", Severity::Ok, "silent", "EXPN tells nothing.", evidence))
}

async fn rcpt_before_mail(prober: &Prober) -> Result<Finding, Lost> {
    prober.say("order of commands");
    let mut connection = prober.greeted().await?;
    let recipient = prober.existing().unwrap_or_else(|| "postmaster".to_owned());
    let rcpt = connection.ask(&format!("RCPT TO:<{recipient}>")).await?;
    connection.quit().await;
    let id = "rcpt-before-mail";
    let evidence = [rcpt.evidence()];
    if rcpt.is_positive() {
        let says = "It accepts RCPT before MAIL: its idea of a transaction is loose.";
        return Ok(found(id, Severity::Notice, "accepted", says, evidence));
    }
    Ok(found(id, Severity::Ok, "refused", "RCPT before MAIL is refused.", evidence))
}

/// No transaction is open, so nothing can be sent by this; the connection is dropped in any case.
async fn data_before_rcpt(prober: &Prober) -> Result<Finding, Lost> {
    let mut connection = prober.greeted().await?;
    let data = connection.ask("DATA").await?;
    let id = "data-before-rcpt";
    let evidence = [data.evidence()];
    if data.reply.code < 400 {
        let says = "It accepts DATA without MAIL and RCPT: its idea of a transaction is loose.";
        return Ok(found(id, Severity::Warning, "accepted", says, evidence));
    }
    connection.quit().await;
    Ok(found(id, Severity::Ok, "refused", "DATA without recipients is refused.", evidence))
}

/// EHLO before the greeting (RFC 5321 §3.1 has the client wait).
async fn early_talker(prober: &Prober) -> Result<Finding, Lost> {
    prober.say("talking before the greeting");
    let mut connection = prober.connect().await?;
    let hello = format!("EHLO {}\r\n", prober.hello);
    connection.send(hello.as_bytes()).await?;
    let greeting = connection.reply().await;
    let answer = match &greeting {
        Ok(greeting) if greeting.code == 220 => connection.reply().await,
        Ok(greeting) => Err(Lost::Refused(reply_text(greeting))),
        Err(_) => Err(Lost::Closed),
    };
    if let Err(Lost::OutOfTime) = answer {
        return Err(Lost::OutOfTime);
    }
    let id = "early-talker";
    Ok(match answer {
        Ok(answer) if answer.code < 300 => {
            let took = Duration::ZERO;
            let sent = format!("(before the greeting) {}", hello.trim_end());
            let says = "It does not mind clients that talk before its greeting, as only worms and \
                        spam programs do.";
            let exchange = Exchange { sent, reply: answer, took };
            found(id, Severity::Notice, "tolerated", says, [exchange.evidence()])
        }
        Ok(answer) => {
            let lost = Lost::Refused(reply_text(&answer));
            let evidence = unanswered(hello.as_bytes(), &lost);
            found(id, Severity::Ok, "refused", "It refuses early talkers.", [evidence])
        }
        Err(lost) => {
            let evidence = unanswered(hello.as_bytes(), &lost);
            found(id, Severity::Ok, "refused", "It refuses early talkers.", [evidence])
        }
    })
}

async fn overlong(prober: &Prober) -> Result<Finding, Lost> {
    prober.say("an overlong command");
    let mut connection = prober.greeted().await?;
    let command = format!("NOOP {}\r\n", "x".repeat(OVERLONG_OCTETS - 7));
    let id = "overlong-command";
    let exchange = match connection.ask_octets(command.as_bytes()).await {
        Ok(exchange) => exchange,
        Err(Lost::OutOfTime) => return Err(Lost::OutOfTime),
        Err(lost @ Lost::TimedOut(_)) => {
            let says = "It does not answer an overlong command line, and keeps the connection.";
            let evidence = unanswered(command.as_bytes(), &lost);
            return Ok(found(id, Severity::Notice, "silent", says, [evidence]));
        }
        Err(lost) => {
            let evidence = unanswered(command.as_bytes(), &lost);
            let says = "It hangs up on an overlong command line.";
            return Ok(found(id, Severity::Ok, "refused", says, [evidence]));
        }
    };
    let evidence = exchange.evidence();
    let more = connection.reply_within(SHORT_WAIT).await;
    if let Some(second) = more.ok().filter(|second| second.code != 421) {
        let took = SHORT_WAIT;
        let second = Exchange { sent: "(the rest of it)".to_owned(), reply: second, took };
        let says = "It takes the rest of an overlong line for another command: a filter in \
                    front of it may see something else than it does.";
        let evidence = [evidence, second.evidence()];
        return Ok(found(id, Severity::Warning, "splits", says, evidence));
    }
    Ok(if exchange.is_positive() {
        let says = "It takes command lines of 5,000 octets.";
        found(id, Severity::Ok, "tolerated", says, [evidence])
    } else {
        found(id, Severity::Ok, "refused", "It refuses overlong command lines.", [evidence])
    })
}

/// A bare LF ends no line (RFC 5321 §2.3.8); a server for which it does may be smuggled to.
async fn bare_lf(prober: &Prober) -> Result<Finding, Lost> {
    prober.say("bare LF in commands");
    let mut connection = prober.greeted().await?;
    let command = b"NOOP\n";
    let id = "bare-lf-command";
    connection.send(command).await?;
    let reply = connection.reply_within(prober.reply_wait.min(SHORT_WAIT * 2)).await;
    Ok(match reply {
        Ok(reply) if reply.code < 300 => {
            let exchange = Exchange { sent: "NOOP<LF>".to_owned(), reply, took: Duration::ZERO };
            let says = "It takes a bare LF for the end of a command. If it does so in content too, \
                        messages can be smuggled past whoever is strict.";
            found(id, Severity::Notice, "tolerated", says, [exchange.evidence()])
                .advise("Test the content with --send-content --known; refuse bare LF.")
        }
        Ok(reply) => {
            let exchange = Exchange { sent: "NOOP<LF>".to_owned(), reply, took: Duration::ZERO };
            let says = "It refuses a bare LF in commands.";
            found(id, Severity::Ok, "refused", says, [exchange.evidence()])
        }
        Err(Lost::OutOfTime) => return Err(Lost::OutOfTime),
        Err(lost) => {
            give_up(connection).await;
            let says = "A bare LF ends no command.";
            found(id, Severity::Ok, "refused", says, [unanswered(command, &lost)])
        }
    })
}

/// Ends the half command, then leaves.
async fn give_up(mut connection: Connection) {
    if connection.send(b"\r\n").await.is_ok() {
        let _ = connection.reply_within(SHORT_WAIT).await;
        connection.quit().await;
    }
}
