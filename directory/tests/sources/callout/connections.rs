//! How many questions are under way, on how many connections, and when one is replaced.

use super::*;

#[test]
fn no_more_questions_are_asked_at_once_than_the_limit() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let address = serve(move |mut socket| {
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        socket.write_all(b"220 mail.example.test\r\n").unwrap();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|octets| octets > 0) {
            socket.write_all(b"250 ok\r\n").unwrap();
            line.clear();
        }
        now.fetch_sub(1, SeqCst);
    });
    let asker = Asker::with(&Settings { concurrency_max: 2, ..settings(&[address]) });
    asker.runtime.block_on(async {
        let ask = |n| tokio::spawn(Arc::clone(&asker.callout).ask(mailbox(&format!("user{n}"))));
        let asked: Vec<_> = (0..40).map(ask).collect();
        for question in asked {
            assert_eq!(question.await.unwrap().unwrap(), EXISTS);
        }
    });
    assert_eq!(most.load(SeqCst), 2);
}

#[test]
fn more_questions_than_a_second_may_have_wait_or_are_told_that_there_are_too_many() {
    let told = |ask: Result<Existence, Trouble>| ask.map_err(|trouble| trouble.kind);
    let begin = || {
        let hop = Hop::acting(honest);
        let limited = Settings {
            questions_per_second_max: 2,
            question_max: Duration::from_millis(700),
            ..settings(&[hop.address])
        };
        let asker = Asker::with(&limited);
        let answers = [told(asker.ask("jones")), told(asker.ask("smith"))];
        (answers == [Ok(EXISTS), Ok(EXISTS)]).then_some((hop, asker))
    };
    let mut begun = None;
    wait_until("this machine is quick enough for two questions", || {
        begun = begin();
        begun.is_some()
    });
    let (hop, asker) = begun.unwrap();
    // Whether the third still falls into the first second depends on the machine; that there is
    // never a third RCPT within it does not.
    let mut third = told(asker.ask("jones"));
    if third != Ok(EXISTS) {
        assert_eq!(third, Err(TroubleKind::Busy));
        assert_eq!(count(&hop, "RCPT"), 2);
        wait_until("the second is over", || {
            third = told(asker.ask("jones"));
            third == Ok(EXISTS)
        });
    }
}

#[test]
fn after_four_refusals_a_connection_is_replaced_before_the_server_loses_patience() {
    let hop = Hop::acting(honest);
    let asker = Asker::of(hop.address);
    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    for n in 0..9 {
        assert_eq!(asker.ask(&format!("nobody{n}")).unwrap(), Existence::Unknown);
    }
    assert_eq!(hop.connections(), 3);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_costs_no_answer() {
    let hop = Hop::acting(|stage, command| match honest(stage, command) {
        Act::Obey if stage == Stage::Rcpt => Act::SayAndClose("250 2.1.5 ok"),
        act => act,
    });
    let asker = Asker::of(hop.address);
    for _ in 0..5 {
        assert_eq!(asker.ask("jones").unwrap(), EXISTS);
    }
    assert_eq!(hop.connections(), 5);
}

#[test]
fn questions_come_from_several_threads_and_each_gets_its_answer() {
    let hop = Hop::acting(honest);
    let callout = open(&settings(&[hop.address]));
    let first = Asker { runtime: runtime(), callout: Arc::clone(&callout) };
    assert_eq!(first.ask("jones").unwrap(), EXISTS);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let callout = Arc::clone(&callout);
            std::thread::spawn(move || {
                let asker = Asker { runtime: runtime(), callout };
                for _ in 0..10 {
                    assert_eq!(asker.ask("jones").unwrap(), EXISTS);
                    assert_eq!(asker.ask(&format!("nobody{n}")).unwrap(), Existence::Unknown);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
