//! Few connections are given out by turns: whoever asks a thousand times waits for himself.

use super::{Asker, EXISTS, mailbox, serve, settings};
use directory::callout::settings::Settings;
use directory::live::LiveSource;
use relay::turns::Party;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

#[test]
fn a_client_that_asks_a_hundred_times_keeps_no_other_waiting() {
    let address = serve(|mut socket| {
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        socket.write_all(b"220 mail.example.test\r\n").unwrap();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|octets| octets > 0) {
            thread::sleep(Duration::from_millis(if line.starts_with("RCPT") { 20 } else { 0 }));
            socket.write_all(b"250 ok\r\n").unwrap();
            line.clear();
        }
    });
    let asker = Asker::with(&Settings { concurrency_max: 1, ..settings(&[address]) });
    let (greedy, other) = ("192.0.2.1".parse().unwrap(), "198.51.100.1".parse().unwrap());
    let answered = Arc::new(AtomicUsize::new(0));
    asker.runtime.block_on(async {
        let all: Vec<_> = (0..100)
            .map(|n| {
                let asking = Arc::clone(&asker.callout)
                    .ask_for(mailbox(&format!("user{n}")), Party::of(greedy, false));
                let answered = Arc::clone(&answered);
                tokio::spawn(async move {
                    let answer = asking.await;
                    answered.fetch_add(1, SeqCst);
                    answer
                })
            })
            .collect();
        while answered.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let asking = Arc::clone(&asker.callout).ask_for(mailbox("jones"), Party::of(other, false));
        assert_eq!(asking.await.unwrap(), EXISTS);
        let before = answered.load(SeqCst);
        assert!(before < 20, "{before} of the other's came first");
        for question in all {
            question.abort();
        }
    });
}
