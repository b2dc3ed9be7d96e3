//! A probe of each class of server, on loopback.

use super::fake::{Manners, start, start_mute};
use super::*;
use std::sync::atomic::Ordering;

fn args(server: impl ToString) -> Args {
    Args {
        server: server.to_string(),
        domain: Some("example.test".to_owned()),
        known: None,
        sender: None,
        external: "relay-test.invalid".to_owned(),
        json: false,
        send_content: false,
        trusted: false,
        timeout: 30,
        hello: None,
    }
}

async fn report_with(manners: Manners, change: impl FnOnce(&mut Args)) -> (Report, usize) {
    let server = start(manners).await;
    let mut args = args(server.address);
    change(&mut args);
    let report = probe(&args, |_| {}).await.unwrap();
    (report, server.messages.load(Ordering::Relaxed))
}

async fn report(manners: Manners) -> Report {
    let (report, messages) = report_with(manners, |_| {}).await;
    assert_eq!(messages, 0, "content was sent without being asked for");
    report
}

fn severity(report: &Report, id: &str) -> Severity {
    report.findings.iter().find(|f| f.id == id).unwrap_or_else(|| panic!("no {id}")).severity
}

fn printed(report: &Report) -> String {
    let mut out = Vec::new();
    print::print(report, &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn a_strict_server_that_knows_its_recipients_is_clean() {
    let report = report(Manners::default()).await;
    assert_eq!(report.worst, Severity::Ok, "{}", printed(&report));
    assert!(report.complete);
    assert_eq!(report.recipients, "honest");
    assert_eq!(report.software, Some("Postfix"));
    assert_eq!(report.relay.accepted + report.relay.temporary + report.relay.not_asked, 0);
    assert!(report.relay.refused > 150, "{:?}", report.relay);
    for (id, verdict) in [
        ("greeting", "greets"),
        ("extensions", "esmtp"),
        ("null-reverse-path", "accepted"),
        ("vrfy", "silent"),
        ("expn", "silent"),
        ("rcpt-before-mail", "refused"),
        ("data-before-rcpt", "refused"),
        ("early-talker", "refused"),
        ("overlong-command", "refused"),
        ("bare-lf-command", "refused"),
        ("starttls", "works"),
        ("certificate", "valid-now"),
        ("starttls-injection", "safe"),
        ("claims", "refused"),
        ("open-relay", "refuses"),
        ("end-of-data", "not-tested"),
    ] {
        assert_eq!(report.verdict(id), Some(verdict), "{id}\n{}", printed(&report));
    }
    assert_eq!(exit_status(&Ok(report)), 0);
}

#[tokio::test]
async fn a_server_that_accepts_every_recipient_is_serious_and_no_open_relay() {
    let report = report(Manners { accepts_all: true, ..Manners::default() }).await;
    assert_eq!(report.recipients, "accept-all");
    assert_eq!(severity(&report, "unknown-recipients"), Severity::Serious);
    assert_eq!(report.verdict("open-relay"), Some("refuses"));
    assert_eq!(report.verdict("routed-recipients"), Some("cannot-tell"));
    let text = printed(&report);
    assert!(text.contains("SERIOUS  accept-all: ") && text.contains("S: 250 2.1.5 ok"), "{text}");
    assert_eq!(exit_status(&Ok(report)), 1);
}

#[tokio::test]
async fn a_server_that_refuses_at_data_is_late_and_gets_no_content() {
    let manners = Manners { accepts_all: true, refuses_at_data: true, ..Manners::default() };
    let (late, messages) = report_with(manners, |args| args.send_content = true).await;
    assert_eq!((late.recipients, messages), ("late", 0));
    assert_eq!(severity(&late, "unknown-recipients"), Severity::Warning);
    let untested = report(manners).await;
    assert_eq!(untested.recipients, "accept-all");
    assert!(printed(&untested).contains("--send-content"));
}

#[tokio::test]
async fn an_honest_server_that_takes_routed_recipients_relays() {
    let manners = Manners { routes_percent: true, ..Manners::default() };
    let report = report(manners).await;
    assert_eq!(report.recipients, "honest");
    assert_eq!(report.verdict("open-relay"), Some("refuses"));
    assert_eq!(report.verdict("routed-recipients"), Some("accepts"));
    let finding = report.findings.iter().find(|f| f.id == "routed-recipients").unwrap();
    assert_eq!(finding.severity, Severity::Serious);
    // R6 and R21 from six senders, each shown once.
    assert_eq!((report.relay.accepted, finding.evidence.len()), (12, 2), "{finding:?}");
}

#[tokio::test]
async fn a_server_that_does_not_serve_the_domain_refuses_all() {
    let (report, _) =
        report_with(Manners::default(), |args| args.domain = Some("other.test".to_owned())).await;
    assert_eq!(report.recipients, "refuses-all", "{}", printed(&report));
}

#[tokio::test]
async fn an_open_relay_is_serious_unless_it_trusts_us_on_purpose() {
    let manners = Manners { relays: true, ..Manners::default() };
    let open = report(manners).await;
    assert_eq!(open.verdict("open-relay"), Some("accepts"));
    assert_eq!(open.worst, Severity::Serious);
    assert!(open.relay.accepted > 50, "{:?}", open.relay);
    let (trusted, _) = report_with(manners, |args| args.trusted = true).await;
    assert_eq!(trusted.worst, Severity::Notice, "{}", printed(&trusted));
}

#[tokio::test]
async fn a_server_that_refuses_the_null_reverse_path_is_warned_of() {
    let report = report(Manners { refuses_null: true, ..Manners::default() }).await;
    assert_eq!(report.verdict("null-reverse-path"), Some("refused"));
    assert_eq!(severity(&report, "null-reverse-path"), Severity::Warning);
    assert_eq!(report.recipients, "honest");
}

#[tokio::test]
async fn a_delay_for_unknown_recipients_is_a_tarpit() {
    let report = report(Manners { delays_unknown: true, ..Manners::default() }).await;
    assert_eq!(report.verdict("tarpit"), Some("tarpits"));
    assert_eq!(report.recipients, "honest");
}

#[tokio::test]
async fn the_same_temporary_answer_for_all_is_greylisting() {
    let report = report(Manners { greylists: true, ..Manners::default() }).await;
    assert_eq!(report.recipients, "greylists");
    assert_eq!(report.verdict("open-relay"), Some("temporary"));
    assert!(report.worst < Severity::Serious);
}

#[tokio::test]
async fn a_server_whose_vrfy_tells_is_warned_of() {
    let report = report(Manners { tells_vrfy: true, ..Manners::default() }).await;
    assert_eq!(report.verdict("vrfy"), Some("tells"));
    assert_eq!(severity(&report, "vrfy"), Severity::Warning);
}

#[tokio::test]
async fn a_server_that_takes_bare_lf_can_be_smuggled_to() {
    let manners = Manners { lenient_lines: true, ..Manners::default() };
    let (report, messages) = report_with(manners, |args| {
        args.known = Some("jones@example.test".to_owned());
        args.send_content = true;
    })
    .await;
    assert_eq!(report.verdict("bare-lf-command"), Some("tolerated"));
    assert_eq!(report.verdict("early-talker"), Some("tolerated"));
    let end = report.findings.iter().find(|f| f.id == "end-of-data").unwrap();
    assert_eq!((end.verdict, end.severity), ("smuggling", Severity::Serious));
    assert_eq!(end.evidence.len(), 3, "{:?}", end.evidence);
    assert!(end.evidence[0].sent.contains("<LF>.<LF> ended it"), "{:?}", end.evidence);
    // The whole one and the three that ended early.
    assert_eq!(messages, 4);
}

#[tokio::test]
async fn a_strict_server_gets_exactly_one_message_when_content_is_asked_for() {
    let (report, messages) = report_with(Manners::default(), |args| {
        args.known = Some("jones@example.test".to_owned());
        args.send_content = true;
    })
    .await;
    assert_eq!(report.verdict("end-of-data"), Some("strict"), "{}", printed(&report));
    assert_eq!(messages, 1);
}

#[tokio::test]
async fn a_command_that_survives_starttls_is_serious() {
    let manners = Manners { keeps_what_follows_starttls: true, ..Manners::default() };
    let report = report(manners).await;
    assert_eq!(report.verdict("starttls-injection"), Some("vulnerable"));
    assert_eq!(report.worst, Severity::Serious);
}

#[tokio::test]
async fn a_server_that_knows_only_helo_is_asked_all_the_same() {
    let report = report(Manners { helo_only: true, ..Manners::default() }).await;
    assert_eq!(report.verdict("extensions"), Some("helo-only"));
    assert_eq!(report.verdict("starttls"), Some("not-offered"));
    assert_eq!((report.recipients, report.complete), ("honest", true));
}

#[tokio::test]
async fn the_delivery_port_of_a_mail_store_is_told_from_a_server() {
    let server = start(Manners { lmtp: true, ..Manners::default() }).await;
    let error = probe(&args(server.address), |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("it speaks LMTP"), "{error}");
}

#[tokio::test]
async fn auth_in_the_clear_is_warned_of_and_a_guest_is_tried_once() {
    let report = report(Manners { offers_auth: true, ..Manners::default() }).await;
    assert_eq!(severity(&report, "auth-in-clear"), Severity::Warning);
    assert_eq!(report.verdict("guest-login"), Some("refused"));
}

#[tokio::test]
async fn a_server_that_hangs_up_on_refusals_is_asked_to_the_end() {
    let report = report(Manners { refusals_max: 5, ..Manners::default() }).await;
    assert_eq!(report.verdict("open-relay"), Some("refuses"));
    assert!(report.relay.refused > 100, "{:?}", report.relay);
}

#[tokio::test]
async fn a_server_that_hangs_in_the_middle_gives_an_incomplete_report_in_time() {
    let began = Instant::now();
    let manners = Manners { hangs_at_rcpt: true, ..Manners::default() };
    let (report, _) = report_with(manners, |args| args.timeout = 9).await;
    assert!(!report.complete);
    assert_eq!(report.recipients, "no-reply");
    // In 9 seconds; the rest is for a busy machine, and less than the server hangs.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_a_domain_recipients_are_not_tested() {
    let (report, _) = report_with(Manners::default(), |args| args.domain = None).await;
    assert_eq!(report.recipients, "not-tested");
    assert_eq!(report.verdict("open-relay"), Some("refuses"));
}

#[tokio::test]
async fn what_is_no_smtp_server_is_an_error_that_says_what_to_try() {
    let mut silent = args(start_mute("").await);
    // So long that a reply is missed, and not the end of the whole, on a busy machine as well.
    silent.timeout = 6;
    let garbage = args(start_mute("HTTP/1.1 400 Bad Request\r\n\r\n").await);
    let refusing = args(start_mute("554 5.7.1 go away\r\n").await);
    // Bound, so that nobody else is; and not listening.
    let bound = tokio::net::TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = args(bound.local_addr().unwrap());
    let mut injecting = closed.clone();
    injecting.domain = Some("example.test>\r\nDATA".to_owned());
    let ask = async |args: &Args| probe(args, |_| {}).await;
    let silent = ask(&silent).await;
    assert!(matches!(silent, Err(ProbeError::Greeting(_, Lost::TimedOut(_)))));
    assert!(silent.as_ref().unwrap_err().to_string().contains("--timeout"));
    assert_eq!(exit_status(&silent), 2);
    let garbage = ask(&garbage).await;
    assert!(matches!(garbage, Err(ProbeError::Greeting(_, Lost::Nonsense(_)))));
    assert!(matches!(ask(&refusing).await, Err(ProbeError::Refused(..))));
    assert!(matches!(ask(&closed).await, Err(ProbeError::Connect(..))));
    assert!(matches!(ask(&injecting).await, Err(ProbeError::Argument(_))));
}

#[tokio::test]
async fn the_json_form_is_the_documented_one() {
    let report = report(Manners { accepts_all: true, ..Manners::default() }).await;
    let value: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(
        keys(&value),
        "address complete extensions findings probed_from recipients relay schema seconds server \
         software started worst"
    );
    assert_eq!(keys(&value["relay"]), "accepted not_asked refused temporary");
    let finding = &value["findings"][0];
    assert_eq!(keys(finding), "advice evidence group id says severity verdict");
    assert_eq!(keys(&finding["evidence"][0]), "heard milliseconds sent");
    assert_eq!(value["schema"], 1);
    assert_eq!(value["worst"], "serious");
    assert_eq!(value["recipients"], "accept-all");
    assert!(value["started"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let groups = ["greeting", "recipients", "relay", "protocol", "tls", "content"];
    for finding in value["findings"].as_array().unwrap() {
        assert!(groups.contains(&finding["group"].as_str().unwrap()), "{finding}");
    }
}
