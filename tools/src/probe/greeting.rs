//! Connecting, the greeting, EHLO or HELO, and what is offered. Fills in what the other questions
//! need to know; only a failure here ends a probe.

use super::connection::{Connection, Exchange, Lost, quoted, reply_text};
use super::report::{Evidence, Finding, Group, Report, Severity};
use super::{ProbeError, Prober, blank_report, literal};
use mail::smtp::extension::Capabilities;
use mail::smtp::reply::HeardReply;
use std::time::Duration;
use tokio::time::Instant;

/// A greeting that takes longer is remarked upon; RFC 5321 §4.5.3.2.1 lets clients wait 300 s.
const GREETING_SLOW: Duration = Duration::from_secs(5);
/// Software whose name servers show in their greeting, in lower case.
const SOFTWARE: &[(&str, &str)] = &[
    ("postern", "Postern"),
    ("postfix", "Postfix"),
    ("exim", "Exim"),
    ("sendmail", "Sendmail"),
    ("opensmtpd", "OpenSMTPD"),
    ("internet mail service", "Microsoft Exchange 5.5"),
    ("microsoft esmtp mail service", "Microsoft Exchange or IIS"),
    ("domino", "HCL Domino"),
    ("qmail", "qmail"),
    ("haraka", "Haraka"),
    ("stalwart", "Stalwart"),
    ("kumomta", "KumoMTA"),
    ("groupwise", "GroupWise"),
    ("mdaemon", "MDaemon"),
    ("hmailserver", "hMailServer"),
    ("chasquid", "chasquid"),
    ("maddy", "maddy"),
    ("powermta", "PowerMTA"),
    ("gsmtp", "Google"),
    ("proofpoint", "Proofpoint"),
    ("barracuda", "Barracuda"),
];

/// Connects and says hello. The report begins here.
pub(super) async fn ask(prober: &mut Prober) -> Result<Report, ProbeError> {
    prober.say("connecting");
    let address = prober.address;
    let began = Instant::now();
    let mut connection = prober.connect().await.map_err(|e| ProbeError::Connect(address, e))?;
    if prober.hello.is_empty() {
        prober.hello = literal(connection.local.ip());
    }
    let mut report = blank_report(prober, connection.local.ip());
    prober.say("waiting for the greeting");
    let greeting = connection.reply().await.map_err(|e| ProbeError::Greeting(address, e))?;
    let took = began.elapsed();
    if greeting.code != 220 {
        return Err(ProbeError::Refused(address, reply_text(&greeting)));
    }
    prober.greeted_as = greeting.text.split(' ').next().unwrap_or_default().to_owned();
    report.software = software(&greeting.text);
    report.findings.push(about_greeting(&greeting, took));
    let ehlo = hello(prober, &mut connection).await?;
    about_extensions(prober, &ehlo, &mut report);
    connection.quit().await;
    Ok(report)
}

fn software(greeting: &str) -> Option<&'static str> {
    let greeting = greeting.to_ascii_lowercase();
    SOFTWARE.iter().find(|(words, _)| greeting.contains(words)).map(|(_, name)| *name)
}

fn about_greeting(greeting: &HeardReply, took: Duration) -> Finding {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let evidence = Evidence { sent: String::new(), heard: reply_text(greeting), milliseconds };
    let (severity, verdict, says) = if took >= GREETING_SLOW {
        let says = format!("It greets after {:.1} s: some clients give up.", took.as_secs_f64());
        (Severity::Notice, "slow", says)
    } else {
        (Severity::Ok, "greets", format!("It greets after {milliseconds} ms."))
    };
    let finding = Finding::new("greeting", Group::Greeting, severity, verdict, says);
    finding.shown_by([evidence])
}

/// EHLO, and HELO when that is refused (RFC 5321 §3.2).
async fn hello(prober: &mut Prober, connection: &mut Connection) -> Result<Exchange, ProbeError> {
    let address = prober.address;
    let lost = |e: Lost| ProbeError::Greeting(address, e);
    let ehlo = connection.ask(&format!("EHLO {}", prober.hello)).await.map_err(lost)?;
    if ehlo.is_positive() {
        prober.capabilities = Capabilities::heard(&ehlo.reply);
        return Ok(ehlo);
    }
    prober.extended = false;
    let helo = connection.ask(&format!("HELO {}", prober.hello)).await.map_err(lost)?;
    if helo.is_positive() {
        return Ok(helo);
    }
    // Dovecot's and Cyrus' delivery port: it knows neither.
    let lhlo = connection.ask(&format!("LHLO {}", prober.hello)).await;
    if lhlo.is_ok_and(|lhlo| lhlo.is_positive()) {
        return Err(ProbeError::Lmtp(address));
    }
    Err(ProbeError::Refused(address, reply_text(&helo.reply)))
}

fn about_extensions(prober: &Prober, hello: &Exchange, report: &mut Report) {
    let mut push = |severity, id, verdict, says: String, advice: &str| {
        let finding = Finding::new(id, Group::Greeting, severity, verdict, says);
        report.findings.push(finding.advise(advice).shown_by([hello.evidence()]));
    };
    if !prober.extended {
        let says = "It refuses EHLO and knows only HELO: no SIZE, no 8BITMIME, no TLS.".to_owned();
        let advice = "Postern in front of it offers no more than it can take.";
        push(Severity::Notice, "extensions", "helo-only", says, advice);
        return;
    }
    report.extensions = hello.reply.more.iter().map(|l| quoted(l.as_bytes())).collect();
    let found = &prober.capabilities;
    let offers = |keyword: &str| {
        let first = |line: &str| line.split([' ', '=']).next().unwrap_or_default().to_uppercase();
        hello.reply.more.iter().any(|line| first(line) == keyword)
    };
    let size = found.size_octets_max.map_or("no SIZE limit".to_owned(), |n| format!("SIZE {n}"));
    let dsn = offers("DSN");
    let named = [
        ("PIPELINING", found.pipelining),
        ("8BITMIME", found.eight_bit_mime),
        ("SMTPUTF8", found.smtp_utf8),
        ("CHUNKING", found.chunking),
        ("DSN", dsn),
        ("STARTTLS", found.start_tls),
    ];
    let list = |wanted: bool| {
        let names = named.iter().filter(|(_, offered)| *offered == wanted).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(" ")
    };
    let says =
        format!("It offers {} ({size}); not: {}.", or_none(list(true)), or_none(list(false)));
    push(Severity::Ok, "extensions", "esmtp", says, "");
    if found.auth {
        let says = "It offers AUTH to strangers before TLS: passwords can be read and guessed.";
        let advice = "Offer AUTH on the submission ports only, behind TLS.";
        push(Severity::Warning, "auth-in-clear", "offered", says.to_owned(), advice);
    }
}

fn or_none(list: String) -> String {
    if list.is_empty() { "nothing".to_owned() } else { list }
}

#[cfg(test)]
mod tests {
    #[test]
    fn software_is_guessed_from_the_greeting() {
        assert_eq!(super::software("mx.example ESMTP Postfix (Debian)"), Some("Postfix"));
        let old = "old ESMTP Server (Microsoft Exchange Internet Mail Service 5.5.2653.13) ready";
        assert_eq!(super::software(old), Some("Microsoft Exchange 5.5"));
        assert_eq!(super::software("mx.example ready"), None);
    }
}
