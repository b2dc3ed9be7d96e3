//! The HTTP source against a server of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod connections;

use directory::http::{Answer, Http, Method, Settings};
use directory::live::{Existence, LiveSource, Trouble, TroubleKind};
use kit::certificates::Authority;
use kit::http::{Http as Server, Request, Response};
use kit::{Folder, wait_until};
use mail::address::Mailbox;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use wire::server::Trust;

const EXISTS: Existence = Existence::Exists { target: None };

fn settings(url: String) -> Settings {
    Settings {
        name: "people".into(),
        url,
        method: Method::Get,
        answer: Answer::default(),
        token_file: None,
        trust: Trust::SystemRoots,
        question_max: Duration::from_secs(30),
        connections_max: 8,
        positive_seconds: 60,
        negative_seconds: 60,
    }
}

struct Asker {
    runtime: Runtime,
    source: Arc<Http>,
}

impl Asker {
    fn of(server: &Server) -> Self {
        Self::with(&settings(server.url("/v1/{address}")))
    }

    fn with(settings: &Settings) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, source: Http::open(settings).unwrap() }
    }

    fn ask(&self, address: &str) -> Result<Existence, Trouble> {
        let mailbox = Mailbox::parse(address).unwrap();
        self.runtime.block_on(Arc::clone(&self.source).ask(mailbox))
    }

    fn jones(&self) -> Result<Existence, Trouble> {
        self.ask("jones@example.test")
    }

    fn trouble(&self) -> Trouble {
        self.jones().expect_err("trouble")
    }
}

/// Knows jones.
fn honest(request: &Request) -> Response {
    Response::new(if request.path.contains("jones%40example.test") { 200 } else { 404 }, "")
}

#[test]
fn known_and_unknown_are_told_apart_on_one_connection() {
    let server = Server::start(honest);
    let asker = Asker::of(&server);
    assert_eq!(asker.jones().unwrap(), EXISTS);
    assert_eq!(asker.ask("nobody@example.test").unwrap(), Existence::Unknown);
    assert_eq!(
        asker.ask("Jones@EXAMPLE.test").unwrap(),
        Existence::Unknown,
        "the local part is kept"
    );
    assert_eq!((server.requests(), server.connections()), (3, 1));
    assert_eq!(&**asker.source.name(), "http people");
}

#[test]
fn whatever_else_is_answered_is_trouble_with_a_remedy_where_there_is_one() {
    let server = Server::start(honest);
    let asker = Asker::of(&server);
    for (status, kind) in [
        (500, TroubleKind::Down),
        (502, TroubleKind::Down),
        (503, TroubleKind::Busy),
        (429, TroubleKind::Busy),
        (401, TroubleKind::Misconfigured),
        (403, TroubleKind::Misconfigured),
        (204, TroubleKind::Unexpected),
        (400, TroubleKind::Unexpected),
    ] {
        server.answer_with(move |_| Response::new(status, ""));
        let trouble = asker.trouble();
        assert_eq!(trouble.kind, kind, "{status}");
        assert!(trouble.to_string().contains(&status.to_string()), "{trouble}");
        assert!(!trouble.to_string().contains("jones"), "{trouble}");
        assert!(kind == TroubleKind::Busy || !trouble.remedy.is_empty(), "{status}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start(|request| match request.path.as_str() {
        "/elsewhere" => Response::new(200, ""),
        _ => Response::new(302, "").with("Location", "/elsewhere"),
    });
    let trouble = Asker::of(&server).trouble();
    assert_eq!(trouble.kind, TroubleKind::Misconfigured);
    assert!(trouble.remedy.contains("redirects are not followed"), "{trouble:?}");
    assert_eq!(server.requests(), 1);
}

#[test]
fn what_comes_late_cut_off_or_too_long_is_no_answer() {
    let server = Server::start(|_| Response::new(200, "x").after(Duration::from_secs(2)));
    let hasty =
        Settings { question_max: Duration::from_millis(200), ..settings(server.url("/{address}")) };
    assert_eq!(Asker::with(&hasty).trouble().kind, TroubleKind::Slow);

    let asker = Asker::of(&server);
    // The head is whole, the body is not; and not even the head.
    server.answer_with(|_| Response::new(200, "x".repeat(1_000)).cut_at(600));
    assert_eq!(asker.trouble().kind, TroubleKind::Down);
    server.answer_with(|_| Response::new(404, "x".repeat(1_000)).cut_at(600));
    assert_eq!(asker.trouble().kind, TroubleKind::Down);
    server.answer_with(|_| Response::new(200, "").cut_at(20));
    assert_eq!(asker.trouble().kind, TroubleKind::Down);
    server.answer_with(|_| Response::new(200, "x".repeat((64 << 10) + 1)));
    assert_eq!(asker.trouble().kind, TroubleKind::Unexpected);
    server.answer_with(|_| Response::new(200, "x".repeat(64 << 10)));
    assert_eq!(asker.jones().unwrap(), EXISTS);
}

#[test]
fn what_is_not_http_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{{address}}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _ = socket.read(&mut [0; 1_024]);
            let _ = socket.write_all(b"220 mail.example.test ESMTP\r\n250 ok\r\n");
        }
    });
    assert_eq!(Asker::with(&settings(url)).trouble().kind, TroubleKind::Down);
}

#[test]
fn json_says_it_where_a_pointer_is_set() {
    let server = Server::start(|request| {
        let exists = request.path.contains("jones");
        let body = json!({ "user": { "exists": exists, "mailbox": "j.jones@inside.test" } });
        Response::new(200, body.to_string())
    });
    let answer =
        Answer { exists: Some("/user/exists".into()), target: Some("/user/mailbox".into()) };
    let asker = Asker::with(&Settings { answer, ..settings(server.url("/{address}")) });
    let target = Some(Mailbox::parse("j.jones@inside.test").unwrap());
    assert_eq!(asker.jones().unwrap(), Existence::Exists { target });
    assert_eq!(asker.ask("nobody@example.test").unwrap(), Existence::Unknown);
    for body in ["{}", "[true]", "no JSON", "", r#"{"user":{"exists":"yes"}}"#] {
        server.answer_with(move |_| Response::new(200, body));
        let trouble = asker.trouble();
        assert_eq!(trouble.kind, TroubleKind::Unexpected, "{body}");
        assert!(trouble.remedy.contains("`json_pointer`"), "{trouble:?}");
    }
}

#[test]
fn by_post_the_address_is_sent_as_json() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&seen);
    let server = Server::start(move |request| {
        ours.lock().unwrap().push(request.clone());
        Response::new(200, "")
    });
    let asker =
        Asker::with(&Settings { method: Method::Post, ..settings(server.url("/v1/exists")) });
    assert_eq!(asker.ask("\"a\\\"b',--\"@EXAMPLE.test").unwrap(), EXISTS);
    let request = seen.lock().unwrap().remove(0);
    assert_eq!((&*request.method, &*request.path), ("POST", "/v1/exists"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("cookie"), None);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["address"], "\"a\\\"b',--\"@example.test");
    assert_eq!(body["local_part"], "a\"b',--");
    assert_eq!(body["domain"], "example.test");
}

#[test]
fn no_address_changes_what_is_asked() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&paths);
    let server = Server::start(move |request| {
        ours.lock().unwrap().push(request.path.clone());
        Response::new(404, "")
    });
    let asker = Asker::with(&settings(server.url("/v1/{local_part}/of/{domain}?a={address}")));
    for local_part in [
        "\"../../admin\"",
        "\"?x=1\"",
        "\"a&b=c\"",
        "\"%2e%2e%2f\"",
        "\"a b\"",
        "\"a#b\"",
        "\"a/b\\\\c\"",
        "o'neil",
        "a+b",
    ] {
        assert_eq!(asker.ask(&format!("{local_part}@example.test")).unwrap(), Existence::Unknown);
        let path = paths.lock().unwrap().pop().unwrap();
        let (steps, query) = path.split_once('?').unwrap();
        assert_eq!(steps.split('/').count(), 5, "{path}");
        assert!(steps.starts_with("/v1/") && steps.ends_with("/of/example.test"), "{path}");
        assert!(query.starts_with("a=") && query.ends_with("%40example.test"), "{path}");
        assert!(!query.contains(['&', '#', '/', ' ', '+']), "{path}");
    }
    let trouble = asker.ask("\"..\"@example.test").unwrap_err();
    assert_eq!(trouble.kind, TroubleKind::Unexpected, "{trouble}");
    assert!(paths.lock().unwrap().is_empty(), "it was not even asked");
}

#[test]
fn down_and_back_is_noticed_at_once() {
    let mut server = Server::start(honest);
    let asker = Asker::of(&server);
    assert_eq!(asker.jones().unwrap(), EXISTS);
    server.stop();
    let trouble = asker.trouble();
    assert_eq!(trouble.kind, TroubleKind::Down);
    assert!(trouble.to_string().contains(&server.address.to_string()), "{trouble}");
    server.restart();
    assert_eq!(asker.jones().unwrap(), EXISTS);
    // A connection that the server closed while it rested is no trouble.
    server.restart();
    assert_eq!(asker.jones().unwrap(), EXISTS);
}

#[test]
fn the_token_is_read_for_each_question() {
    let folder = Folder::new();
    let file = folder.write("token", "first\n");
    let seen = Arc::new(Mutex::new(String::new()));
    let ours = Arc::clone(&seen);
    let server = Server::start(move |request| {
        *ours.lock().unwrap() = request.header("authorization").unwrap_or_default().to_owned();
        Response::new(200, "")
    });
    let token_file = Some(file.clone());
    let asker = Asker::with(&Settings { token_file, ..settings(server.url("/{address}")) });
    asker.jones().unwrap();
    assert_eq!(*seen.lock().unwrap(), "Bearer first");
    folder.write("token", "  second  ");
    asker.jones().unwrap();
    assert_eq!(*seen.lock().unwrap(), "Bearer second");
    for unfit in ["", "\n", "two words", "two\nlines", "gr\u{fc}n"] {
        folder.write("token", unfit);
        let trouble = asker.trouble();
        assert_eq!(trouble.kind, TroubleKind::Misconfigured, "{unfit:?}");
        assert!(trouble.remedy.contains("`token_file`"), "{trouble:?}");
    }
    std::fs::remove_file(file).unwrap();
    assert_eq!(asker.trouble().kind, TroubleKind::Misconfigured);
}

#[test]
fn no_more_questions_are_asked_at_once_than_there_are_connections_and_no_more_wait_than_may() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (ours, peak) = (Arc::clone(&now), Arc::clone(&most));
    let go_on = Arc::new(Mutex::new(()));
    let held = go_on.lock().unwrap();
    let waits = Arc::clone(&go_on);
    let server = Server::start(move |_| {
        peak.fetch_max(ours.fetch_add(1, SeqCst) + 1, SeqCst);
        drop(waits.lock().unwrap());
        ours.fetch_sub(1, SeqCst);
        Response::new(200, "")
    });
    let asker = Asker::with(&Settings { connections_max: 2, ..settings(server.url("/{address}")) });
    asker.runtime.block_on(async {
        let jones = Mailbox::parse("jones@example.test").unwrap();
        let ask = |_| tokio::spawn(Arc::clone(&asker.source).ask(jones.clone()));
        let asked: Vec<_> = (0..300).map(ask).collect();
        // Two are asked and 256 wait; the others know at once.
        let at_once = |asked: &[tokio::task::JoinHandle<_>]| {
            asked.iter().filter(|question| question.is_finished()).count()
        };
        while at_once(&asked) < 300 - 2 - 256 || server.requests() < 2 {
            tokio::task::yield_now().await;
        }
        drop(held);
        let mut busy = 0;
        for question in asked {
            match question.await.unwrap() {
                Ok(said) => assert_eq!(said, EXISTS),
                Err(trouble) => {
                    assert_eq!(trouble.kind, TroubleKind::Busy);
                    busy += 1;
                }
            }
        }
        assert_eq!(busy, 300 - 2 - 256);
    });
    assert_eq!(most.load(SeqCst), 2);
}

#[test]
fn it_is_asked_from_several_threads_and_outlives_the_one_that_connected() {
    let server = Server::start(honest);
    let source = Http::open(&settings(server.url("/{address}"))).unwrap();
    for _ in 0..3 {
        let source = Arc::clone(&source);
        let threads = (0..4).map(|_| {
            let source = Arc::clone(&source);
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let asker = Asker { runtime, source };
                for _ in 0..5 {
                    assert_eq!(asker.jones().unwrap(), EXISTS);
                }
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
    }
}

/// Answers 200 over TLS to whoever asks.
fn over_tls(config: Arc<rustls::ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, socket.unwrap());
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

#[test]
fn a_certificate_is_verified_by_its_authority_and_its_name() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let ca = folder.write("ca.pem", &authority.pem);
    let other = folder.write("other.pem", Authority::new().pem);
    let asker = |name: &str, shown: &str, ca: &std::path::Path| {
        let port = over_tls(authority.sign(shown).server());
        let url = format!("https://{name}:{port}/{{address}}");
        Asker::with(&Settings { trust: Trust::Authorities(ca.to_owned()), ..settings(url) })
    };
    assert_eq!(asker("127.0.0.1", "127.0.0.1", &ca).jones().unwrap(), EXISTS);
    let itself = authority.sign("elsewhere.example.test");
    let trust = Trust::Fingerprint(kit::certificates::sha256(&itself.pem));
    let url = format!("https://127.0.0.1:{}/{{address}}", over_tls(itself.server()));
    assert_eq!(Asker::with(&Settings { trust, ..settings(url) }).jones().unwrap(), EXISTS);
    for wrong in [asker("127.0.0.1", "127.0.0.1", &other), asker("127.0.0.1", "127.0.0.9", &ca)] {
        let trouble = wrong.trouble();
        assert_eq!(trouble.kind, TroubleKind::Misconfigured, "{trouble}");
        assert!(trouble.remedy.contains("`tls_"), "{trouble:?}");
    }
}

#[test]
fn a_trial_asks_for_nobody_and_says_what_was_answered() {
    let server = Server::start(honest);
    let asker = Asker::of(&server);
    let tried = |asker: &Asker| asker.runtime.block_on(Arc::clone(&asker.source).try_out());
    let found = tried(&asker).unwrap();
    assert!(found.contains(&server.address.to_string()) && found.contains("is unknown"), "{found}");
    server.answer_with(|_| Response::new(401, ""));
    assert_eq!(tried(&asker).unwrap_err().kind, TroubleKind::Misconfigured);
    server.answer_with(honest);
    wait_until("it is answered again", || tried(&asker).is_ok());
}
