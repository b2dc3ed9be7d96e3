//! `talk` against scripted servers on loopback.

use super::outcome::Happened;
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const OPTIONS: Options =
    Options { exact: false, wait: false, server: None, reply_wait: Duration::from_secs(3) };

/// Plays `dialogue` against a server that says `greeting`, then one answer of `answers` for each
/// read, then closes when `closes`.
async fn outcome(dialogue: &str, greeting: &str, answers: &[&str], closes: bool) -> Outcome {
    let (client, mut server) = tokio::io::duplex(4_096);
    let (greeting, answers) = (greeting.to_owned(), answers.join("\u{1}"));
    let serving = async move {
        server.write_all(greeting.as_bytes()).await.unwrap();
        let mut read = vec![0; 4_096];
        for answer in answers.split('\u{1}').filter(|a| !a.is_empty()) {
            if server.read(&mut read).await.unwrap_or(0) == 0 {
                break;
            }
            server.write_all(answer.as_bytes()).await.unwrap();
        }
        if !closes {
            while server.read(&mut read).await.unwrap_or(0) > 0 {}
        }
    };
    let script = Script::parse(dialogue).unwrap();
    tokio::join!(play(&script, Box::new(client), &OPTIONS), serving).0
}

fn printed(outcome: &Outcome) -> String {
    let mut out = Vec::new();
    outcome.print(&mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

const DIALOGUE: &str = "given domain example.com\nS: 220 mx ESMTP\nC: EHLO bar\nS: 250-mx\n\
    S: 250 SIZE 5\nC: MAIL FROM:<>\nC: RCPT TO:<green@example.com>\nS: 250 2.1.0 ok\n\
    \x20   S: 250 the next hop is not played\nS: 550 5.1.1 no\nevent Refused\nC: QUIT\nS: 221 bye\n\
    closed\n";

#[tokio::test]
async fn a_dialogue_that_goes_as_written_is_as_expected() {
    let answers = ["250-a\r\n250-b\r\n250 c\r\n", "250 2.1.0 x\r\n550 5.1.1 y\r\n", "221 z\r\n"];
    let outcome = outcome(DIALOGUE, "220 other\r\n", &answers, true).await;
    assert!(outcome.is_as_expected(), "{}", printed(&outcome));
    let text = printed(&outcome);
    assert!(text.starts_with("      # given domain example.com\nok  S: 220 other\n"), "{text}");
    assert!(text.ends_with("ok  closed\nas expected\n"), "{text}");
    assert!(text.is_ascii());
}

#[tokio::test]
async fn a_reply_that_differs_is_shown_beside_the_expected_one_and_the_dialogue_goes_on() {
    let answers = ["250 a\r\n", "250 2.1.0 x\r\n250 2.1.5 y\r\n", "221 z\r\n"];
    let outcome = outcome(DIALOGUE, "220 other\r\n", &answers, true).await;
    let text = printed(&outcome);
    assert!(!outcome.is_as_expected());
    assert!(text.contains("BAD line 10 of the dialogue"), "{text}");
    assert!(text.lines().any(|l| l.contains("550 5.1.1 no") && l.contains("| 250 2.1.5 y")));
    assert!(text.ends_with("1 difference\n"), "{text}");
}

#[tokio::test]
async fn a_server_that_hangs_up_early_ends_the_dialogue_with_a_difference() {
    let outcome = outcome(DIALOGUE, "220 other\r\n", &["250 a\r\n"], true).await;
    let Some(Happened::Differs { number: 8, got, .. }) = outcome.happened.last() else {
        panic!("{}", printed(&outcome))
    };
    assert_eq!(got, &["(the server closed the connection)"]);
}

#[tokio::test]
async fn a_server_that_stays_open_where_closed_is_expected_differs() {
    let answers = ["250 a\r\n", "250 2.1.0 x\r\n550 5.1.1 y\r\n", "221 z\r\n"];
    let outcome = outcome(DIALOGUE, "220 other\r\n", &answers, false).await;
    assert!(printed(&outcome).contains("(still open)"), "{}", printed(&outcome));
}

#[tokio::test]
async fn a_wait_is_skipped_with_all_that_depends_on_it() {
    let dialogue = "S: 220 mx\n+301s\nS: 421 4.4.2 idle\nC: NOOP\nS: 250 ok\n";
    let outcome = outcome(dialogue, "220 mx\r\n", &["250 ok\r\n"], false).await;
    assert!(outcome.is_as_expected(), "{}", printed(&outcome));
    assert!(printed(&outcome).contains("301 s skipped; --wait waits"));
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_differs() {
    let outcome = outcome("S: 220 mx\n", "220 mx\r\n250 more\r\n", &[], false).await;
    assert!(printed(&outcome).contains("(nothing more)"));
}

#[tokio::test]
async fn a_file_is_played_over_tcp_and_what_is_unusable_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"S: 220 mx\n").unwrap();
    let mut args = Args {
        file: file.path().to_owned(),
        connect: address.to_string(),
        exact: true,
        wait: false,
        timeout: 5,
    };
    let serving = async {
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"220 mx\r\n").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(talk(&args), serving);
    assert!(outcome.unwrap().is_as_expected());
    // Bound, so that nobody else is; and not listening.
    let bound = tokio::net::TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    args.connect = bound.local_addr().unwrap().to_string();
    assert!(matches!(talk(&args).await, Err(TalkError::Connect { .. })));
    file.write_all(b"nonsense\n").unwrap();
    assert!(matches!(talk(&args).await, Err(TalkError::Script { source, .. }) if source.line == 2));
    args.file = "no such file".into();
    assert!(matches!(talk(&args).await, Err(TalkError::File { .. })));
}

#[tokio::test]
async fn a_dialogue_of_two_sessions_with_tls_and_a_client_that_goes_is_played() {
    let server = crate::probe::fake::start(crate::probe::fake::Manners::default()).await;
    let dialogue = "S: 220 mx\nC: EHLO a\nS: 250 mx\ngone\nclosed\nconnect 192.0.2.7\n\
        S: 220 mx\nC: STARTTLS\nS: 220 2.0.0 go\ntls\nC: EHLO a\nS: 250 mx\nC: RCPT TO:<a@b>\n\
        S: 503 5.5.1 no\ndrain\nS: 421 4.3.2 down\nclosed\n";
    let script = Script::parse(dialogue).unwrap();
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    // Time for a handshake on a busy machine.
    let reply_wait = Duration::from_secs(30);
    let options = Options { server: Some(server.address), reply_wait, ..OPTIONS };
    let outcome = play(&script, Box::new(stream), &options).await;
    let text = printed(&outcome);
    assert!(outcome.is_as_expected(), "{text}");
    assert!(text.contains("# connect 192.0.2.7\n") && text.contains("ok  tls\n"), "{text}");
    assert!(text.contains("ok  S: 503 5.5.1") && text.contains("not awaited: 421"), "{text}");
}
