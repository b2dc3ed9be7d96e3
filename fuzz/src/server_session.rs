//! Whatever a client sends, in whatever pieces, the session holds to what needs no model of it.

use mail::smtp::content::ContentLimits;
use mail::smtp::line::LineEndings;
use mail::smtp::reply::Reply;
use mail::smtp::server::{Question, ServerSession, Step, Terms, Tolerance};
use mail::smtp::status;

/// What happened, to be compared between two ways of cutting.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Said(u16, String),
    Asked(String),
    Content(Vec<u8>),
    Tls,
    Closed,
}

/// The option: bit 0 for the line endings, bit 1 for STARTTLS, the rest for the verdicts. Then
/// the pieces; a piece is a flight.
pub fn check(bytes: &[u8]) {
    let (option, rest) = crate::option(bytes);
    let (flights, stream) = crate::pieces(rest);
    let whole = play(option, &flights);
    let said = whole.iter().filter(|h| matches!(h, Happened::Said(..))).count();
    let line_ends = stream.iter().filter(|b| **b == b'\n').count();
    // The greeting, one reply a line, and one where the session gives up on a line's end.
    assert!(said <= line_ends + 2, "{said} replies to {line_ends} lines");
    // Where nobody spoke out of turn, the pieces make no difference (RFC 2920 §3.1).
    let out_of_turn =
        whole.iter().any(|h| matches!(h, Happened::Said(503, text) if text.contains("wait for")));
    if !out_of_turn {
        let octets: Vec<&[u8]> = flights.iter().flat_map(|flight| flight.chunks(1)).collect();
        assert_eq!(play(option, &octets), whole);
    }
}

fn play(option: u8, pieces: &[&[u8]]) -> Vec<Happened> {
    let endings = if option & 1 == 0 { LineEndings::Strict } else { LineEndings::Normalized };
    let terms = Terms {
        start_tls: option & 2 != 0,
        tolerance: Tolerance { errors_max: 20, junk_commands_max: 20 },
        content: ContentLimits { size_octets_max: 200, line_octets_max: 50, endings },
    };
    let mut session = ServerSession::new(terms);
    let mut verdicts = u64::from(option >> 2);
    let (mut content, mut happened) = (Vec::new(), Vec::new());
    let mut pieces = pieces.iter();
    loop {
        assert!(session.envelope().is_none() || session.hello().is_some());
        match session.step() {
            Step::Receive => {
                let Some(piece) = pieces.next() else { return happened };
                session.receive(piece.to_vec());
            }
            Step::Send(reply) => {
                crate::check_reply(&reply);
                if reply.code() == 354 {
                    let envelope = session.envelope().expect("354 within a transaction");
                    assert!(session.is_in_content() && !envelope.recipients.is_empty());
                }
                let text = reply.text().to_owned();
                happened.push(Happened::Said(reply.code(), text));
                if reply.code() == 421 {
                    assert_eq!(session.step(), Step::Close, "behind 421");
                }
            }
            Step::Ask => {
                verdicts = verdicts.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let no = verdicts >> 60 == 0;
                let verdict = answer(&session, no, &mut content, &mut happened);
                session.answer(verdict);
            }
            Step::Content => {
                session.take_content(&mut |slice| content.extend_from_slice(slice));
                assert!(content.len() <= 200);
            }
            Step::StartTls => {
                happened.push(Happened::Tls);
                session = ServerSession::behind_tls(terms);
            }
            Step::Close => {
                assert!(session.envelope().is_none());
                assert_eq!(session.step(), Step::Close);
                happened.push(Happened::Closed);
                return happened;
            }
        }
    }
}

fn answer(
    session: &ServerSession,
    no: bool,
    content: &mut Vec<u8>,
    happened: &mut Vec<Happened>,
) -> Result<Reply, Reply> {
    let question = session.question().expect("a question was announced");
    if let Question::Content(summary) = question {
        let content = std::mem::take(content);
        if let Some(fault) = summary.fault {
            happened.push(Happened::Asked(format!("{fault:?}")));
            return Err(Reply::new(550, status::OTHER_MEDIA, "no"));
        }
        assert_eq!(summary.octets, content.len() as u64);
        assert!(summary.longest_line_octets <= 50);
        crate::content::assert_canonical(&content);
        happened.push(Happened::Content(content));
    }
    happened.push(Happened::Asked(format!("{question:?}")));
    if let Question::Malformed(_, reply) = question {
        return Err(reply.clone());
    }
    if no {
        return Err(Reply::new(450, status::OTHER, "later"));
    }
    Ok(match question {
        Question::Connect => Reply::bare(220, "mx.example.com"),
        Question::Hello(_) => Reply::bare(250, "mx.example.com"),
        Question::Data => Reply::bare(354, "go"),
        Question::Mail(..) | Question::Rcpt(_) | Question::Malformed(..) | Question::Content(_) => {
            Reply::new(250, status::OTHER, "ok")
        }
    })
}
