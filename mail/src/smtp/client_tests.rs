//! The client session against scripted next hops.

use super::*;

fn session(tls: TlsWish) -> ClientSession {
    ClientSession::new(Domain::new("mx.example.com").unwrap(), tls)
}

/// Feeds `said` and returns what happened: what was sent as text, what was heard as codes.
fn hear(session: &mut ClientSession, said: &str) -> String {
    session.receive(said.as_bytes());
    let mut log = Vec::new();
    loop {
        match session.step() {
            ClientStep::Send => {
                let sent = String::from_utf8(session.take_output()).unwrap();
                log.extend(sent.lines().map(str::to_owned));
            }
            ClientStep::Receive => return log.join(" | "),
            ClientStep::StartTls => {
                log.push("~".into());
                session.behind_tls();
            }
            ClientStep::Heard(answer) => log.push(match answer {
                Answer::Ready => "ready".into(),
                Answer::MailRefused(reply) => format!("mail {}", reply.code),
                Answer::Rcpt(reply) => format!("rcpt {}", reply.code),
                Answer::Data(reply) => format!("data {}", reply.code),
                Answer::Content(reply) => format!("content {}", reply.code),
            }),
            ClientStep::Failed(fault) => {
                log.push(format!("{fault:?}").split('(').next().unwrap().into());
                return log.join(" | ");
            }
        }
    }
}

fn begin(session: &mut ClientSession) {
    let path = ForwardPath::parse("<jones@example.com>").unwrap();
    let details = ClientDetails {
        address: "192.0.2.1:1234".parse().unwrap(),
        hello: Some(Hello { name: "b+r".into(), extended: true }),
    };
    session.begin(&ReversePath::Null, MailParameters::default(), &path, Some(&details));
}

#[test]
fn with_pipelining_mail_and_rcpt_leave_together() {
    let mut s = session(TlsWish::None);
    assert_eq!(hear(&mut s, "220 hi\r\n"), "EHLO mx.example.com");
    assert_eq!(hear(&mut s, "250-in\r\n250 PIPELINING\r\n"), "ready");
    begin(&mut s);
    assert_eq!(hear(&mut s, ""), "MAIL FROM:<> | RCPT TO:<jones@example.com>");
    assert_eq!(hear(&mut s, "250 ok\r\n250 ok\r\n"), "rcpt 250");
    s.data();
    assert_eq!(hear(&mut s, ""), "DATA");
    assert_eq!(hear(&mut s, "354 go\r\n"), "data 354");
    let mut wire = Vec::new();
    s.encode(b"..a\r\n", |slice| wire.extend_from_slice(slice));
    wire.extend_from_slice(s.finish());
    assert_eq!(wire, b"...a\r\n.\r\n");
    assert_eq!(hear(&mut s, "250 queued\r\n"), "content 250");
    assert!(s.is_idle());
}

#[test]
fn without_pipelining_one_command_at_a_time() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "500 what\r\n"), "HELO mx.example.com");
    assert_eq!(hear(&mut s, "250 hello\r\n"), "ready");
    begin(&mut s);
    assert_eq!(hear(&mut s, ""), "MAIL FROM:<>");
    assert_eq!(hear(&mut s, "250 ok\r\n"), "RCPT TO:<jones@example.com>");
    assert_eq!(hear(&mut s, "550 no\r\n"), "rcpt 550");
    s.reset();
    assert_eq!(hear(&mut s, ""), "RSET");
    begin(&mut s);
    assert_eq!(hear(&mut s, "250 ok\r\n"), "MAIL FROM:<>");
}

#[test]
fn a_refused_mail_is_one_answer_with_pipelining_and_without() {
    for (ehlo, replies) in
        [("250-in\r\n250 PIPELINING\r\n", "550 no\r\n503 what\r\n"), ("250 in\r\n", "550 no\r\n")]
    {
        let mut s = session(TlsWish::None);
        hear(&mut s, "220 hi\r\n");
        hear(&mut s, ehlo);
        begin(&mut s);
        hear(&mut s, "");
        assert_eq!(hear(&mut s, replies), "mail 550");
        assert!(s.is_idle());
    }
}

#[test]
fn tls_is_used_when_offered_and_missed_when_required() {
    let mut s = session(TlsWish::Opportunistic);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "250-in\r\n250 STARTTLS\r\n"), "STARTTLS");
    assert_eq!(hear(&mut s, "220 go\r\n"), "~ | EHLO mx.example.com");
    assert_eq!(hear(&mut s, "250-in\r\n250 STARTTLS\r\n"), "ready");
    let mut s = session(TlsWish::Required);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "250 in\r\n"), "NoTls");
}

#[test]
fn bytes_behind_the_reply_to_starttls_abort() {
    let mut s = session(TlsWish::Opportunistic);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250-in\r\n250 STARTTLS\r\n");
    assert_eq!(hear(&mut s, "220 go\r\n250 evil\r\n"), "Injection");
}

#[test]
fn a_next_hop_that_wants_to_know_the_client_is_told() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250-in\r\n250-PIPELINING\r\n250 XFORWARD NAME ADDR PROTO HELO\r\n");
    begin(&mut s);
    let sent = hear(&mut s, "");
    let expected =
        "XFORWARD ADDR=192.0.2.1 NAME=[UNAVAILABLE] PROTO=ESMTP HELO=b+2Br | MAIL FROM:<>";
    assert!(sent.starts_with(expected), "{sent}");
    assert_eq!(hear(&mut s, "250 ok\r\n250 ok\r\n250 ok\r\n"), "rcpt 250");
}

#[test]
fn xclient_starts_the_session_anew() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250-in\r\n250-PIPELINING\r\n250 XCLIENT ADDR\r\n");
    begin(&mut s);
    assert_eq!(hear(&mut s, ""), "XCLIENT ADDR=192.0.2.1");
    assert_eq!(hear(&mut s, "220 again\r\n"), "EHLO mx.example.com");
    let sent = hear(&mut s, "250-in\r\n250-PIPELINING\r\n250 XCLIENT ADDR\r\n");
    assert_eq!(sent, "MAIL FROM:<> | RCPT TO:<jones@example.com>");
}

#[test]
fn a_next_hop_that_says_goodbye_is_not_used_again() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250 in\r\n");
    assert_eq!(hear(&mut s, "421 shutting down\r\n"), "Unasked");
    assert!(!s.is_idle());
}

#[test]
fn not_now_to_ehlo_is_no_reason_for_helo() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "451 not now\r\n"), "Refused");
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "354 what\r\n"), "Refused");
}

#[test]
fn a_reply_before_the_final_dot_is_no_answer_to_it() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250-in\r\n250 PIPELINING\r\n");
    begin(&mut s);
    hear(&mut s, "");
    hear(&mut s, "250 ok\r\n250 ok\r\n");
    s.data();
    assert_eq!(hear(&mut s, ""), "DATA");
    assert_eq!(hear(&mut s, "354 go\r\n250 taken\r\n"), "Unasked");
}

#[test]
fn what_was_said_meanwhile_answers_nothing_that_is_said_later() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "250-in\r\n250 PIPELINING\r\n"), "ready");
    s.receive(b"421 idle too long\r\n");
    begin(&mut s);
    assert_eq!(hear(&mut s, ""), "Unasked");
}
