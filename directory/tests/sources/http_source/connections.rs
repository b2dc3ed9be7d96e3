//! Connections that the server closes when it likes, and servers that ask to be asked less.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::sync::Barrier;

/// Asks for jones so many times at once.
fn at_once(asker: &Asker, questions: usize) -> Vec<Result<Existence, Trouble>> {
    asker.runtime.block_on(async {
        let jones = Mailbox::parse("jones@example.test").unwrap();
        let ask = |_| tokio::spawn(Arc::clone(&asker.source).ask(jones.clone()));
        let mut answers = Vec::new();
        for asked in (0..questions).map(ask).collect::<Vec<_>>() {
            answers.push(asked.await.unwrap());
        }
        answers
    })
}

#[test]
fn connections_that_all_die_with_the_next_question_cost_nobody_an_answer() {
    for method in [Method::Get, Method::Post] {
        let together = Arc::new(Barrier::new(8));
        let server = Server::start(move |request| match request.earlier {
            0 => {
                together.wait();
                Response::new(200, "")
            }
            // The server gave the connection up while the question was on its way.
            _ => Response::new(200, "").cut_at(0),
        });
        let asker = Asker::with(&Settings { method, ..settings(server.url("/{address}")) });
        at_once(&asker, 8).into_iter().for_each(|said| assert_eq!(said.unwrap(), EXISTS));
        assert_eq!(server.connections(), 8);
        server.answer_with(|request| match request.earlier {
            0 => Response::new(200, ""),
            _ => Response::new(200, "").cut_at(0),
        });
        for _ in 0..20 {
            assert_eq!(asker.jones().unwrap(), EXISTS);
        }
    }
}

#[test]
fn a_server_that_closes_behind_each_answer_is_asked_as_well_as_any() {
    let server = Server::start(|request| honest(request).and_close());
    let asker = Asker::of(&server);
    for _ in 0..200 {
        assert_eq!(asker.jones().unwrap(), EXISTS);
    }
    for said in at_once(&asker, 100) {
        assert_eq!(said.unwrap(), EXISTS);
    }
}

#[test]
fn a_server_that_never_answers_a_question_hears_it_twice_at_most() {
    let server = Server::start(|_| Response::new(200, "").cut_at(0));
    assert_eq!(Asker::of(&server).trouble().kind, TroubleKind::Down);
    assert!(server.requests() <= 2, "{}", server.requests());
    // An answer that has begun is none that a connection took with it.
    server.answer_with(|_| Response::new(200, "x".repeat(1_000)).cut_at(600));
    let before = server.requests();
    assert_eq!(Asker::of(&server).trouble().kind, TroubleKind::Down);
    assert_eq!(server.requests(), before + 1);
}

#[test]
fn a_server_that_names_a_time_is_left_alone_so_long() {
    for status in [429, 503] {
        let server = Server::start(move |_| Response::new(status, "").with("Retry-After", "2"));
        let asker = Asker::of(&server);
        for _ in 0..50 {
            let trouble = asker.trouble();
            assert_eq!(trouble.kind, TroubleKind::Busy);
            assert!(trouble.to_string().contains(&status.to_string()), "{trouble}");
            assert!(trouble.to_string().contains("not asked for 2 s"), "{trouble}");
        }
        assert_eq!(server.requests(), 1, "{status}");
        server.answer_with(honest);
        wait_until("it is asked again", || asker.jones().is_ok());
    }
}

#[test]
fn a_time_that_is_none_or_far_off_holds_nothing_up_for_long() {
    let server = Server::start(|_| Response::new(429, ""));
    for (after, says) in [
        ("86400", Some("not asked for 300 s")),
        ("Wed, 21 Oct 2099 07:28:00 GMT", Some("not asked for 300 s")),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("0", None),
        ("-1", None),
        ("soon", None),
    ] {
        server.answer_with(move |_| Response::new(429, "").with("Retry-After", after));
        let asker = Asker::of(&server);
        let trouble = asker.trouble();
        assert_eq!(trouble.kind, TroubleKind::Busy, "{after}");
        match says {
            Some(says) => assert!(trouble.to_string().contains(says), "{after}: {trouble}"),
            None => {
                server.answer_with(honest);
                assert_eq!(asker.jones().unwrap(), EXISTS, "{after}");
            }
        }
    }
}

/// A body in gzip (RFC 1952), and the header that says so.
fn zipped(body: &[u8]) -> Response {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    Response::new(200, encoder.finish().unwrap()).with("Content-Encoding", "gzip")
}

#[test]
fn an_answer_in_gzip_is_read_and_is_no_longer_than_any_other() {
    let server = Server::start(|request| {
        let accepted = request.header("accept-encoding");
        assert_eq!(accepted, Some("gzip"));
        zipped(br#"{"exists":true}"#)
    });
    let answer = Answer { exists: Some("/exists".into()), target: None };
    let asker = Asker::with(&Settings { answer, ..settings(server.url("/{address}")) });
    assert_eq!(asker.jones().unwrap(), EXISTS);
    server.answer_with(|_| zipped(br#"{"exists":false}"#));
    assert_eq!(asker.jones().unwrap(), Existence::Unknown);
    // A thousand times as long as what is sent.
    server.answer_with(|_| zipped(&vec![b' '; 16 << 20]));
    let trouble = asker.trouble();
    assert_eq!(trouble.kind, TroubleKind::Unexpected);
    assert!(trouble.what.contains("64 KiB"), "{trouble}");
    server.answer_with(|_| Response::new(200, "{}").with("Content-Encoding", "gzip"));
    assert!(asker.jones().is_err(), "what says gzip and is none");
    server.answer_with(|_| {
        let whole = zipped(br#"{"exists":false}"#);
        Response { body: whole.body[..whole.body.len() - 9].to_vec(), ..whole }
    });
    assert!(asker.jones().is_err(), "without its end");
}
