//! STARTTLS (RFC 3207): whether the handshake works, what the certificate says, and whether a
//! command that stood behind STARTTLS in the clear is answered behind TLS (CVE-2011-0411).
//! Leaves to others: whether the certificate is trusted; mail servers mostly do not ask.

use super::certificate::Certificate;
use super::connection::{Connection, Lost, Wire, quoted, reply_text, unanswered};
use super::report::{Evidence, Finding, Group, Report, Severity};
use super::{Prober, cut_short};
use rustls::pki_types::ServerName;
use std::io;
use std::time::Duration;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::server::NextHopTls;
use wire::tls::client::client_config;

const START_TLS: &[u8] = b"STARTTLS\r\n";
const INJECTED: &[u8] = b"STARTTLS\r\nNOOP injected\r\n";
/// How long to look for the answer to an injected command.
const INJECTION_WAIT: Duration = Duration::from_millis(1_000);

/// Adds what is found to the report.
pub(super) async fn ask(prober: &Prober, report: &mut Report) {
    if !prober.capabilities.start_tls {
        let says = "STARTTLS is not offered: mail to it can be read on the way.";
        let finding = Finding::new("starttls", Group::Tls, Severity::Notice, "not-offered", says);
        report.findings.push(finding.advise("Give it a certificate, or let Postern speak TLS."));
        return;
    }
    prober.say("TLS");
    match handshake(prober).await {
        Ok(findings) => report.findings.extend(findings),
        Err(Lost::Io(error)) => {
            let says = format!("STARTTLS is offered and the handshake fails: {error}.");
            let finding = Finding::new("starttls", Group::Tls, Severity::Warning, "fails", says);
            let advice = "Mend it or stop offering it: clients that insist on TLS cannot deliver.";
            let evidence =
                Evidence { sent: quoted(START_TLS), heard: format!("({error})"), milliseconds: 0 };
            report.findings.push(finding.advise(advice).shown_by([evidence]));
            return;
        }
        Err(lost) => return cut_short("starttls", Group::Tls, &lost, report),
    }
    match injection(prober).await {
        Ok(finding) => report.findings.push(finding),
        Err(lost) => cut_short("starttls-injection", Group::Tls, &lost, report),
    }
}

async fn handshake(prober: &Prober) -> Result<Vec<Finding>, Lost> {
    let mut connection = prober.greeted().await?;
    let start = connection.ask("STARTTLS").await?;
    if start.reply.code != 220 {
        let says = format!("STARTTLS is offered and refused: {}.", reply_text(&start.reply));
        let finding = Finding::new("starttls", Group::Tls, Severity::Warning, "fails", says);
        return Ok(vec![finding.shown_by([start.evidence()])]);
    }
    let (mut connection, seen) = secure(prober, connection).await?;
    let hello = connection.ask(&format!("EHLO {}", prober.hello)).await?;
    connection.quit().await;
    let says = format!("STARTTLS works ({}).", seen.version);
    let finding = Finding::new("starttls", Group::Tls, Severity::Ok, "works", says);
    let evidence = [start.evidence(), hello.evidence()];
    let certificate = seen.certificate.map(about_certificate);
    Ok([finding.shown_by(evidence)].into_iter().chain(certificate).collect())
}

fn about_certificate(certificate: Certificate) -> Finding {
    let Certificate { names, not_before, not_after } = certificate;
    let now = jiff::Timestamp::now();
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let names = if names.is_empty() { "no DNS name".to_owned() } else { names.join(", ") };
    let new =
        |severity, verdict, says| Finding::new("certificate", Group::Tls, severity, verdict, says);
    if time(&not_after).is_some_and(|end| end < now) {
        let says = format!("The certificate ({names}) expired at {not_after}.");
        return new(Severity::Warning, "expired", says).advise("Renew it.");
    }
    if time(&not_before).is_some_and(|begin| begin > now) {
        let says = format!("The certificate ({names}) is not valid before {not_before}.");
        return new(Severity::Warning, "not-yet-valid", says).advise("Look at the clocks.");
    }
    let says = format!("The certificate is for {names}, until {not_after}.");
    new(Severity::Ok, "valid-now", says)
}

/// One write, two commands: the second must not survive the handshake.
async fn injection(prober: &Prober) -> Result<Finding, Lost> {
    prober.say("commands behind STARTTLS");
    let mut connection = prober.greeted().await?;
    connection.send(INJECTED).await?;
    let id = "starttls-injection";
    let safe = |says: &str, heard: String| {
        let evidence = Evidence { sent: quoted(INJECTED), heard, milliseconds: 0 };
        Finding::new(id, Group::Tls, Severity::Ok, "safe", says).shown_by([evidence])
    };
    let start = match connection.reply().await {
        Ok(reply) if reply.code == 220 => reply,
        Ok(reply) => {
            return Ok(safe("A command behind STARTTLS is refused.", reply_text(&reply)));
        }
        Err(lost @ (Lost::OutOfTime | Lost::TimedOut(_))) => return Err(lost),
        Err(lost) => {
            return Ok(safe("It hangs up on a command behind STARTTLS.", lost.in_brackets()));
        }
    };
    let mut connection = match secure(prober, connection).await {
        Ok((connection, _)) => connection,
        Err(Lost::OutOfTime) => return Err(Lost::OutOfTime),
        Err(lost) => {
            let says = "A command behind STARTTLS breaks the handshake.";
            return Ok(safe(says, lost.in_brackets()));
        }
    };
    match connection.reply_within(INJECTION_WAIT).await {
        Ok(answer) => {
            let heard = format!("{} (behind TLS) {}", reply_text(&start), reply_text(&answer));
            let says = "What stands behind STARTTLS in the clear is answered behind TLS: whoever \
                        is on the way can put commands into a protected session (CVE-2011-0411).";
            let evidence = Evidence { sent: quoted(INJECTED), heard, milliseconds: 0 };
            Ok(Finding::new(id, Group::Tls, Severity::Serious, "vulnerable", says)
                .advise("Update the server.")
                .shown_by([evidence]))
        }
        Err(lost) => {
            connection.quit().await;
            let says = "A command behind STARTTLS is forgotten with the handshake.";
            let heard = unanswered(b"", &lost).heard;
            Ok(safe(says, format!("{} {heard}", reply_text(&start))))
        }
    }
}

/// What a handshake showed.
struct Seen {
    version: &'static str,
    certificate: Option<Certificate>,
}

async fn secure(prober: &Prober, connection: Connection) -> Result<(Connection, Seen), Lost> {
    let until = connection.until(connection.reply_wait());
    let name = server_name(prober);
    let (stream, leftover, suspended) = connection.split_for_handshake();
    if !leftover.is_empty() {
        let text = format!("it goes on in the clear after 220: {}", quoted(&leftover));
        return Err(io::Error::other(text).into());
    }
    let stream = match timeout_at(until, shake_hands(name, stream)).await {
        Ok(stream) => stream?,
        Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    };
    let session = stream.get_ref().1;
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let first = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = first.and_then(|der| Certificate::read(der));
    let stream: Box<dyn Wire> = Box::new(stream);
    Ok((suspended.resume(stream), Seen { version, certificate }))
}

/// A handshake in which any certificate will do.
/// # Errors
/// When it fails.
pub(crate) async fn shake_hands(
    name: ServerName<'static>,
    stream: Box<dyn Wire>,
) -> io::Result<TlsStream<Box<dyn Wire>>> {
    // As towards a next hop that need not prove who it is: we look at the certificate and send
    // nothing that is secret.
    let config = client_config(&NextHopTls::Opportunistic).map_err(io::Error::other)?;
    let config = config.ok_or(io::ErrorKind::Unsupported)?;
    TlsConnector::from(config).connect(name, stream).await
}

/// The name we were given, for SNI; the address when it is none.
fn server_name(prober: &Prober) -> ServerName<'static> {
    let host = prober.server.rsplit_once(':').map_or(prober.server.as_str(), |(host, _)| host);
    let by_address = || ServerName::from(prober.address.ip());
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| by_address())
}
