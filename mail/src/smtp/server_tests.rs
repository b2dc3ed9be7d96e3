//! The server session with fixed answers: legality, order, and what ends a transaction.

use super::*;

const TERMS: Terms = Terms {
    start_tls: true,
    tolerance: Tolerance { errors_max: 10, junk_commands_max: 50 },
    content: ContentLimits {
        size_octets_max: 1_000,
        line_octets_max: 100,
        endings: crate::smtp::line::LineEndings::Strict,
    },
};

fn session() -> ServerSession {
    ServerSession::new(TERMS)
}

/// Says `flights` one after the other, answers yes to everything but recipients at `no.example`,
/// and returns the codes heard, with `~` where TLS would begin and `x` where it closed.
fn codes(flights: &[&[u8]]) -> String {
    play(&mut session(), flights)
}

fn play(session: &mut ServerSession, flights: &[&[u8]]) -> String {
    let mut heard = Vec::new();
    let mut flights = flights.iter();
    loop {
        match session.step() {
            Step::Receive => match flights.next() {
                Some(flight) => session.receive(flight.to_vec()),
                None => break,
            },
            Step::Send(reply) => heard.push(reply.code().to_string()),
            Step::Ask => {
                let verdict = match session.question().unwrap() {
                    Question::Connect => Ok(Reply::bare(220, "mx.example.com ESMTP")),
                    Question::Rcpt(path) if path.to_string().ends_with("no.example") => {
                        Err(Reply::new(550, status::BAD_DESTINATION_MAILBOX, "no"))
                    }
                    Question::Malformed(_, reply) => {
                        session.answer_error(reply.clone());
                        continue;
                    }
                    Question::Data => Ok(Reply::bare(354, "go")),
                    Question::Content(summary) if summary.fault.is_some() => {
                        Err(Reply::new(550, status::OTHER_MEDIA, "no"))
                    }
                    _ => Ok(Reply::new(250, status::OTHER, "ok")),
                };
                session.answer(verdict);
            }
            Step::Content => session.take_content(&mut |_| ()),
            Step::StartTls => {
                heard.push("~".into());
                *session = ServerSession::behind_tls(TERMS);
            }
            Step::Close => {
                heard.push("x".into());
                break;
            }
        }
    }
    heard.join(" ")
}

#[test]
fn a_message_goes_through_and_the_next_needs_its_own_mail() {
    let flights: &[&[u8]] = &[
        b"EHLO bar.example\r\n",
        b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
        b"hello\r\n.\r\nRCPT TO:<a@b.example>\r\nQUIT\r\n",
    ];
    assert_eq!(codes(flights), "220 250 250 250 354 250 503 221 x");
}

#[test]
fn a_refused_recipient_leaves_the_envelope_unchanged() {
    let mut session = session();
    let flights: &[&[u8]] =
        &[b"EHLO x\r\n", b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<a@no.example>\r\n"];
    assert_eq!(play(&mut session, flights), "220 250 250 250 550");
    assert_eq!(session.envelope().unwrap().recipients.len(), 1);
}

#[test]
fn data_without_a_recipient_never_opens() {
    let flights: &[&[u8]] =
        &[b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<a@no.example>\r\n", b"DATA\r\n"];
    assert_eq!(codes(flights), "220 250 250 550 554");
}

#[test]
fn everything_that_ends_a_transaction_ends_it_whole() {
    for end in [&b"RSET\r\n"[..], b"EHLO x\r\n", b"HELO x\r\n"] {
        let flights: &[&[u8]] =
            &[b"EHLO x\r\n", b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n", end, b"DATA\r\n"];
        assert_eq!(codes(flights), "220 250 250 250 250 503");
    }
}

#[test]
fn bytes_behind_starttls_are_refused_and_no_handshake_follows() {
    let flights: &[&[u8]] = &[b"EHLO x\r\n", b"STARTTLS\r\nMAIL FROM:<>\r\n"];
    assert_eq!(codes(flights), "220 250 503 x");
}

#[test]
fn after_tls_nothing_is_remembered() {
    let flights: &[&[u8]] =
        &[b"EHLO x\r\n", b"STARTTLS\r\n", b"MAIL FROM:<>\r\n", b"EHLO x\r\n", b"STARTTLS\r\n"];
    assert_eq!(codes(flights), "220 250 220 ~ 503 250 503");
}

#[test]
fn data_may_not_be_followed_before_354() {
    let flights: &[&[u8]] =
        &[b"EHLO x\r\n", b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nSubject: x\r\n"];
    assert_eq!(codes(flights), "220 250 250 250 503 x");
    assert_eq!(codes(&[b"EHLO x\r\nMAIL FROM:<>\r\n"]), "220 503 x");
}

#[test]
fn a_bare_line_feed_among_commands_closes() {
    assert_eq!(codes(&[b"EHLO x\nMAIL FROM:<>\r\n"]), "220 500 x");
}

#[test]
fn an_overlong_line_is_one_error_however_it_comes() {
    let long = [&[b'N'; 5_000][..], b"\r\n"].concat();
    assert_eq!(codes(&[&long, b"NOOP\r\n"]), "220 500 250");
    let octets: Vec<&[u8]> = long.chunks(1).chain([&b"NOOP\r\n"[..]]).collect();
    assert_eq!(codes(&octets), "220 500 250");
    assert_eq!(codes(&[&[b'N'; 70_000]]), "220 500 x");
}

#[test]
fn patience_ends() {
    let flights = [&b"FOO\r\n"[..]; 12];
    assert!(codes(&flights).ends_with("500 500 421 x"));
    let flights = [&b"NOOP\r\n"[..]; 60];
    assert!(codes(&flights).ends_with("250 421 x"));
}

#[test]
fn what_is_not_offered_is_refused() {
    assert_eq!(codes(&[b"AUTH PLAIN\r\n", b"EXPN x\r\n", b"VRFY x\r\n"]), "220 503 502 252");
    assert_eq!(codes(&[b"BDAT 5\r\nQUIT\r\n"]), "220 502 x");
    assert_eq!(codes(&[b"GET / HTTP/1.1\r\nHost: x\r\n"]), "220 221 x");
}

#[test]
fn a_faulty_message_is_refused_and_the_session_goes_on() {
    let flights: &[&[u8]] = &[
        b"EHLO x\r\n",
        b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
        b"a\n.\r\nMAIL FROM:<x@y.example>\r\n.\r\nNOOP\r\n",
    ];
    assert_eq!(codes(flights), "220 250 250 250 354 550 250");
}

#[test]
fn an_idle_session_holds_no_buffer() {
    let mut session = session();
    play(&mut session, &[b"EHLO x\r\n"]);
    assert!(session.take_buffer().is_some());
    assert!(session.take_buffer().is_none());
}

#[test]
fn a_greeting_too_many_ends_the_session_with_one_reply() {
    let flights = [&b"EHLO x\r\n"[..]; 60];
    let heard = codes(&flights);
    assert!(heard.ends_with("250 421 x"), "{heard}");
    assert_eq!(heard.split(' ').count(), 1 + 50 + 2);
}

#[test]
fn a_farewell_does_not_swallow_the_reply_before_it() {
    let mut session = session();
    assert_eq!(session.step(), Step::Ask);
    session.answer(Ok(Reply::bare(220, "mx.example.com")));
    session.close_with(Reply::new(421, status::OTHER, "shutting down"));
    let mut heard = Vec::new();
    while let Step::Send(reply) = session.step() {
        heard.push(reply.code());
    }
    assert_eq!(heard, [220, 421]);
    assert_eq!(session.step(), Step::Close);
    session.close_with(Reply::new(421, status::OTHER, "shutting down"));
    session.abandon();
    assert_eq!(session.step(), Step::Close);
}

#[test]
fn nothing_follows_a_421() {
    let mut session = session();
    assert_eq!(session.step(), Step::Ask);
    session.answer(Err(Reply::new(421, status::CONGESTION, "busy")));
    session.close_with(Reply::new(554, status::OTHER, "no"));
    assert!(matches!(session.step(), Step::Send(reply) if reply.code() == 421));
    assert_eq!(session.step(), Step::Close);
}

#[test]
fn tls_is_not_offered_within_tls_whatever_the_terms_become() {
    let mut session = ServerSession::behind_tls(TERMS);
    session.set_terms(TERMS);
    assert!(!session.terms().start_tls);
    assert_eq!(play(&mut session, &[b"STARTTLS\r\n"]), "503");
}

#[test]
fn what_follows_auth_in_one_flight_is_not_read_as_commands() {
    assert_eq!(codes(&[b"AUTH LOGIN\r\nTUFJTA==\r\n"]), "220 503 x");
}

#[test]
fn a_trusted_network_may_end_an_overlong_line_with_lf() {
    let endings = crate::smtp::line::LineEndings::Normalized;
    let terms = Terms { content: ContentLimits { endings, ..TERMS.content }, ..TERMS };
    let long = [&[b'N'; 5_000][..], b"\nNOOP\n"].concat();
    assert_eq!(play(&mut ServerSession::new(terms), &[&long]), "220 500 250");
    let octets: Vec<&[u8]> = long.chunks(1).collect();
    assert_eq!(play(&mut ServerSession::new(terms), &octets), "220 500 250");
}

#[test]
fn verify_is_answered_as_neither_yes_nor_no() {
    let mut session = ServerSession::behind_tls(TERMS);
    session.receive(b"VRFY jones\r\n".to_vec());
    let Step::Send(reply) = session.step() else { panic!() };
    assert_eq!((reply.code(), reply.enhanced()), (252, Some((2, 5, 0))));
}

#[test]
fn a_reply_to_ehlo_has_no_status() {
    // RFC 2034 §4.
    let mut session = ServerSession::behind_tls(TERMS);
    session.receive(b"EHLO a b\r\n".to_vec());
    let Step::Send(reply) = session.step() else { panic!() };
    assert_eq!((reply.code(), reply.enhanced()), (501, None));
}

#[test]
fn content_that_is_complete_is_not_read_any_further() {
    let mut session = session();
    play(&mut session, &[b"EHLO x\r\n", b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"]);
    session.receive(b"a\r\n.\r\nNOOP\r\n".to_vec());
    assert_eq!(session.step(), Step::Content);
    session.take_content(&mut |_| ());
    session.take_content(&mut |_| panic!("a command was taken for content"));
    assert_eq!(play(&mut session, &[]), "250 250");
}

#[test]
fn far_too_big_is_far_too_big_however_it_comes() {
    let content = [&b"12345678\r\n".repeat(250)[..], b".\r\n"].concat();
    let start: [&[u8]; 2] = [b"EHLO x\r\n", b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"];
    for size in [1, 7, 1_000, content.len()] {
        let flights: Vec<&[u8]> = start.into_iter().chain(content.chunks(size)).collect();
        assert_eq!(codes(&flights), "220 250 250 250 354 552 x", "{size}");
    }
}
