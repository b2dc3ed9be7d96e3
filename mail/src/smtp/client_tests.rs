//! The client session against scripted next hops.

use super::*;
use crate::smtp::command::Hello;

fn session(tls: TlsWish) -> ClientSession {
    ClientSession::new(Domain::new("mx.example.com").unwrap(), tls, Introduction::AsOffered)
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
fn a_session_that_xclient_has_given_to_one_client_is_not_used_for_another() {
    for (offered_again, is_idle) in
        [("250 in\r\n", false), ("250-in\r\n250 XCLIENT ADDR\r\n", true)]
    {
        let mut s = ready("250-in\r\n250 XCLIENT ADDR\r\n");
        begin(&mut s);
        hear(&mut s, "");
        hear(&mut s, "220 again\r\n");
        hear(&mut s, offered_again);
        hear(&mut s, "250 ok\r\n");
        assert_eq!(hear(&mut s, "250 ok\r\n"), "rcpt 250");
        s.reset();
        hear(&mut s, "");
        hear(&mut s, "250 ok\r\n");
        assert_eq!(s.is_idle(), is_idle);
    }
}

#[test]
fn a_next_hop_that_says_goodbye_is_not_used_again() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250 in\r\n");
    assert_eq!(hear(&mut s, "421 shutting down\r\n"), "Unasked");
    assert!(!s.is_idle());
}

fn ready(ehlo: &str) -> ClientSession {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, ehlo), "ready");
    s
}

const PIPELINING: &str = "250-in\r\n250 PIPELINING\r\n";

#[test]
fn an_intermediate_reply_is_no_acceptance() {
    let mut s = session(TlsWish::None);
    hear(&mut s, "220 hi\r\n");
    assert_eq!(hear(&mut s, "354 go\r\n"), "Nonsense");
    for replies in ["354 go\r\n", "250 ok\r\n334 go\r\n"] {
        let mut s = ready(PIPELINING);
        begin(&mut s);
        hear(&mut s, "");
        assert_eq!(hear(&mut s, replies), "Nonsense");
        assert!(!s.is_idle());
    }
}

#[test]
fn a_completion_is_no_answer_to_data() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    hear(&mut s, "");
    assert_eq!(hear(&mut s, "250 ok\r\n250 ok\r\n"), "rcpt 250");
    s.data();
    assert_eq!(hear(&mut s, ""), "DATA");
    assert_eq!(hear(&mut s, "250 ok\r\n"), "Nonsense");
}

#[test]
fn a_reply_that_came_before_its_command_answers_nothing() {
    let mut s = ready(PIPELINING);
    s.receive(b"250 ok\r\n250 ok\r\n");
    begin(&mut s);
    assert_eq!(hear(&mut s, ""), "Unasked");
    let mut s = ready(PIPELINING);
    begin(&mut s);
    hear(&mut s, "");
    assert_eq!(hear(&mut s, "250 ok\r\n250 ok\r\n"), "rcpt 250");
    s.data();
    hear(&mut s, "");
    s.receive(b"354 go\r\n250 queued\r\n");
    assert!(matches!(s.step(), ClientStep::Heard(Answer::Data(_))));
    assert_eq!(s.finish(), b"", "the final dot after a reply that came too early");
    assert_eq!(hear(&mut s, ""), "Unasked");
}

#[test]
fn a_session_with_answers_to_come_is_not_idle() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    assert!(!s.is_idle());
    hear(&mut s, "");
    assert!(!s.is_idle());
}

#[test]
fn after_a_reset_no_answer_of_the_old_transaction_is_heard() {
    for said in ["", "250 ok\r\n"] {
        let mut s = ready(PIPELINING);
        begin(&mut s);
        hear(&mut s, "");
        assert_eq!(hear(&mut s, said), "");
        s.reset();
        assert_eq!(hear(&mut s, ""), "RSET");
        assert!(s.is_idle());
        begin(&mut s);
        hear(&mut s, "");
        let old =
            if said.is_empty() { "250 ok\r\n250 ok\r\n250 ok\r\n" } else { "550 no\r\n250 ok\r\n" };
        assert_eq!(hear(&mut s, old), "");
        assert_eq!(hear(&mut s, "250 ok\r\n550 no\r\n"), "rcpt 550");
    }
}

#[test]
fn what_a_reset_overtakes_is_not_sent() {
    let mut s = ready("250 in\r\n");
    begin(&mut s);
    assert_eq!(hear(&mut s, ""), "MAIL FROM:<>");
    s.reset();
    assert_eq!(hear(&mut s, "250 ok\r\n"), "RSET");
    assert_eq!(hear(&mut s, "250 ok\r\n"), "");
    assert!(s.is_idle());
}

#[test]
fn a_reset_behind_data_would_be_content_and_is_not_said() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    hear(&mut s, "");
    hear(&mut s, "250 ok\r\n250 ok\r\n");
    s.data();
    assert_eq!(hear(&mut s, ""), "DATA");
    s.reset();
    assert!(!s.is_idle());
    assert_eq!(s.take_output(), b"");
    assert_eq!(hear(&mut s, "354 go\r\n"), "");
    assert!(!s.is_idle());
}

#[test]
fn no_command_follows_data_before_its_reply() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    hear(&mut s, "");
    hear(&mut s, "250 ok\r\n250 ok\r\n");
    s.data();
    s.recipient(&ForwardPath::Postmaster);
    assert_eq!(hear(&mut s, ""), "DATA");
    assert_eq!(hear(&mut s, "354 go\r\n"), "data 354");
}

#[test]
fn nothing_is_said_before_the_session_is_ready() {
    let mut s = session(TlsWish::Required);
    begin(&mut s);
    assert_eq!(hear(&mut s, "220 hi\r\n"), "EHLO mx.example.com");
    assert_eq!(hear(&mut s, "250-in\r\n250-PIPELINING\r\n250 STARTTLS\r\n"), "STARTTLS");
}

#[test]
fn a_refused_mail_answers_each_recipient() {
    for (ehlo, replies) in
        [(PIPELINING, "550 no\r\n250 ok\r\n250 ok\r\n"), ("250 in\r\n", "550 no\r\n")]
    {
        let mut s = ready(ehlo);
        begin(&mut s);
        s.recipient(&ForwardPath::Postmaster);
        hear(&mut s, "");
        assert_eq!(hear(&mut s, replies), "mail 550 | mail 550");
        assert!(s.is_idle());
    }
}

#[test]
fn nothing_is_heard_behind_a_421() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    s.recipient(&ForwardPath::Postmaster);
    hear(&mut s, "");
    assert_eq!(hear(&mut s, "250 ok\r\n421 bye\r\n250 ok\r\n"), "rcpt 421 | Refused");
    let mut s = ready(PIPELINING);
    begin(&mut s);
    hear(&mut s, "");
    assert_eq!(hear(&mut s, "421 bye\r\n"), "mail 421 | Refused");
    let mut s = session(TlsWish::Opportunistic);
    hear(&mut s, "220 hi\r\n");
    hear(&mut s, "250-in\r\n250 STARTTLS\r\n");
    assert_eq!(hear(&mut s, "421 bye\r\n"), "Refused");
}

#[test]
fn an_endless_reply_is_given_up_and_costs_little_however_it_drips() {
    let endless_line = vec![b'2'; 300_000];
    let endless_reply = b"250-x\r\n".repeat(50_000);
    let long = [&b"250-"[..], &[b'x'; 2_000], b"\r\n"].concat();
    for said in [endless_line, endless_reply, long.repeat(200)] {
        let mut s = session(TlsWish::None);
        let given = said.chunks(3).position(|piece| {
            s.receive(piece);
            matches!(s.step(), ClientStep::Failed(ClientFault::Nonsense(ReplyFault::TooLong)))
        });
        assert!(given.is_some_and(|pieces| 3 * pieces <= 100 * 2_048 + 3), "{given:?}");
    }
}

/// How often each of these is in what was sent.
fn sent(log: &str) -> [usize; 3] {
    ["MAIL ", "RCPT ", "DATA"].map(|word| log.matches(word).count())
}

#[test]
fn a_whole_envelope_leaves_in_one_flight_and_each_recipient_is_answered() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    for name in ["smith", "brown"] {
        s.recipient(&ForwardPath::parse(&format!("<{name}@example.com>")).unwrap());
    }
    assert_eq!(sent(&hear(&mut s, "")), [1, 3, 0]);
    assert_eq!(hear(&mut s, "250 ok\r\n250 ok\r\n550 5."), "rcpt 250");
    assert_eq!(hear(&mut s, "1.1 no\r\n451 later\r\n"), "rcpt 550 | rcpt 451");
    s.data();
    assert_eq!(
        (hear(&mut s, "").as_str(), hear(&mut s, "354 go\r\n").as_str()),
        ("DATA", "data 354")
    );
}

#[test]
fn a_large_envelope_leaves_in_flights_whose_replies_find_room() {
    let mut s = ready(PIPELINING);
    begin(&mut s);
    for n in 2..=100 {
        s.recipient(&ForwardPath::parse(&format!("<p{n}@example.com>")).unwrap());
    }
    assert_eq!(sent(&hear(&mut s, "")), [1, 63, 0]);
    assert_eq!(sent(&hear(&mut s, &"250 ok\r\n".repeat(31))), [0, 0, 0]);
    assert_eq!(sent(&hear(&mut s, "250 ok\r\n")), [0, 32, 0]);
    assert_eq!(sent(&hear(&mut s, &"250 ok\r\n".repeat(32))), [0, 5, 0]);
    let last = hear(&mut s, &"250 ok\r\n".repeat(37));
    assert_eq!((last.matches("rcpt 250").count(), s.is_idle()), (37, false));
}
