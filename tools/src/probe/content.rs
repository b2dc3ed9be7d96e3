//! The end of mail data: whether anything but CRLF.CRLF ends a message (SMTP smuggling,
//! CVE-2023-51764). Only with `--send-content` and `--known`: one whole message is sent, then one
//! unfinished message for each sequence, whose connection is dropped so that nothing arrives
//! unless the server takes the sequence for the end.

use super::connection::{Connection, Exchange, Lost, quoted, reply_text};
use super::report::{Evidence, Finding, Group, Report, Severity};
use super::{Prober, cut_short};
use std::time::Duration;
use tokio::time::Instant;

const ID: &str = "end-of-data";
/// What must not end mail data (RFC 5321 §4.1.1.4).
const SEQUENCES: &[(&str, &[u8])] = &[
    ("LF.LF", b"\n.\n"),
    ("LF.CRLF", b"\n.\r\n"),
    ("CRLF.LF", b"\r\n.\n"),
    ("CR.CR", b"\r.\r"),
    ("CR.CRLF", b"\r.\r\n"),
    ("CRLF.CR", b"\r\n.\r"),
    ("CR.LF", b"\r.\n"),
    ("LF.CR", b"\n.\r"),
    ("CRLF.CRCRLF", b"\r\n.\r\r\n"),
    ("CRLF NUL.CRLF", b"\r\n\0.\r\n"),
    ("CRLF.NUL CRLF", b"\r\n.\0\r\n"),
];
/// Stands behind the sequence: a server that took it for the end answers, or takes this for a
/// command that does not exist.
const STILL_INSIDE: &[u8] = b"still inside the message\r\n";
/// What is added to twice the time of an honest message before silence counts.
const PATIENCE: Duration = Duration::from_millis(800);

/// Adds what is found to the report.
pub(super) async fn ask(prober: &Prober, report: &mut Report) {
    let Some(known) = prober.known.as_ref().filter(|_| prober.send_content) else {
        let why = "The end of mail data was not tested: that needs --send-content and --known.";
        report.findings.push(Finding::not_tested(ID, Group::Content, why));
        return;
    };
    prober.say("one message");
    let control = match control(prober, known).await {
        Ok(control) if control.is_positive() => control,
        Ok(refused) => {
            let says = format!(
                "A harmless message to <{known}> was refused ({}), so the end of mail data could \
                 not be tested.",
                reply_text(&refused.reply)
            );
            let finding = Finding::new(ID, Group::Content, Severity::Notice, "refused", says);
            let advice = "Give an address that exists, and one of yours with --sender.";
            report.findings.push(finding.advise(advice).shown_by([refused.evidence()]));
            return;
        }
        Err(lost) => return cut_short(ID, Group::Content, &lost, report),
    };
    let wait = (control.took * 2 + PATIENCE).min(prober.reply_wait);
    let mut ends = Vec::new();
    for (name, sequence) in SEQUENCES {
        prober.say(&format!("end of mail data: {name}"));
        match ends_data(prober, known, name, sequence, wait).await {
            Ok(evidence) => ends.extend(evidence),
            Err(lost) => {
                cut_short("end-of-data-sequences", Group::Content, &lost, report);
                break;
            }
        }
    }
    report.findings.push(about(ends, &control));
}

fn about(ends: Vec<Evidence>, control: &Exchange) -> Finding {
    if ends.is_empty() {
        let says = "Nothing but CRLF.CRLF ended a message.";
        let finding = Finding::new(ID, Group::Content, Severity::Ok, "strict", says);
        return finding.shown_by([control.evidence()]);
    }
    let says = format!(
        "{} sequences other than CRLF.CRLF end a message: with a relay in front of it that passes \
         them on, one message becomes two, the second with a forged envelope.",
        ends.len()
    );
    Finding::new(ID, Group::Content, Severity::Serious, "smuggling", says)
        .advise(
            "Refuse bare CR and LF (Postfix: smtpd_forbid_bare_newline), or put Postern in front.",
        )
        .shown_by(ends)
}

/// Opens content. The reply is to DATA, or to whatever was refused before.
async fn open(prober: &Prober, known: &str) -> Result<(Connection, Exchange), Lost> {
    let mut connection = prober.greeted().await?;
    let sender = format!("MAIL FROM:<{}>", prober.sender);
    let commands = [sender, format!("RCPT TO:<{known}>"), "DATA".to_owned()];
    let mut last = None;
    for command in &commands {
        let exchange = connection.ask(command).await?;
        let refused = exchange.reply.code >= 400;
        last = Some(exchange);
        if refused {
            break;
        }
    }
    last.map(|last| (connection, last)).ok_or(Lost::Closed)
}

fn header(prober: &Prober, known: &str, about: &str) -> String {
    format!(
        "From: <{}>\r\nTo: <{known}>\r\nSubject: harmless test message ({about})\r\n\
         Auto-Submitted: auto-generated\r\n\r\n\
         This was sent by `postern probe --send-content` to test this mail server.\r\n\
         Nothing needs to be done; please delete it.\r\n",
        prober.sender
    )
}

/// A whole message. Also tells how long an answer takes.
async fn control(prober: &Prober, known: &str) -> Result<Exchange, Lost> {
    let (mut connection, data) = open(prober, known).await?;
    if data.reply.code != 354 {
        connection.quit().await;
        // What is positive and no 354 is no acceptance of a message either.
        return if data.is_positive() {
            Err(Lost::Refused(reply_text(&data.reply)))
        } else {
            Ok(data)
        };
    }
    let began = Instant::now();
    connection.send(header(prober, known, "whole").as_bytes()).await?;
    connection.send(b".\r\n").await?;
    let reply = connection.reply().await?;
    connection.quit().await;
    Ok(Exchange { sent: "(a message, CRLF.CRLF)".to_owned(), reply, took: began.elapsed() })
}

/// Evidence if `sequence` ended the message.
async fn ends_data(
    prober: &Prober,
    known: &str,
    name: &str,
    sequence: &[u8],
    wait: Duration,
) -> Result<Option<Evidence>, Lost> {
    let (mut connection, data) = open(prober, known).await?;
    if data.reply.code != 354 {
        return Err(Lost::Refused(reply_text(&data.reply)));
    }
    let text = header(prober, known, name);
    let text = text.trim_end_matches("\r\n").as_bytes();
    let began = Instant::now();
    connection.send(&[text, sequence, STILL_INSIDE].concat()).await?;
    match connection.reply_within(wait).await {
        Ok(reply) if reply.code < 400 => {
            let sent = format!("(a message) {}", quoted(&mark(sequence)));
            Ok(Some(Exchange { sent, reply, took: began.elapsed() }.evidence()))
        }
        Err(Lost::OutOfTime) => Err(Lost::OutOfTime),
        // Refused for its line ends, hung up on, or still waiting for the true end.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// The sequence with something behind it, so that quoting keeps its last CRLF.
fn mark(sequence: &[u8]) -> Vec<u8> {
    [sequence, b" ended it"].concat()
}
