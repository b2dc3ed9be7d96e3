//! The exchange against a scripted edge: what the simulation found, as small as it goes.

use super::*;
use crate::event::Event;
use crate::next_hop::Request;
use crate::settings::{DomainSettings, Harvest, Limits, LocalPartCase, NextHopId, Rates};
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::{HeardReply, SessionId};
use std::collections::{HashMap, VecDeque};

#[derive(Default)]
struct Codes(Vec<u16>);

impl Sink for Codes {
    fn write(&mut self, reply: &Reply) {
        self.0.push(reply.code());
    }
    fn keep(&mut self, _: &[u8]) {}
    fn record(&mut self, _: &Event<'_>) {}
    fn split(&mut self, _: Prefix, _: &ReversePath, _: &[ForwardPath]) {}
}

/// Two domains, each with a next hop of its own.
fn settings() -> Settings {
    let domain = |name: &str, hop| DomainSettings {
        name: Domain::new(name).unwrap(),
        next_hop: NextHopId(hop),
        local_part_case: LocalPartCase::Folded,
        sub_address_separator: None,
        local_part_characters: "".into(),
        catch_all: None,
        postmaster: None,
    };
    Settings {
        hostname: Domain::new("mx.example").unwrap(),
        domains: HashMap::from([
            ("a.example".into(), DomainId(0)),
            ("b.example".into(), DomainId(1)),
        ]),
        domain: vec![domain("a.example", 0), domain("b.example", 1)],
        limits: Limits::default(),
        harvest: Harvest::default(),
        rates: Rates::default(),
        require_reverse_name: false,
    }
}

pub(super) fn exchange() -> Exchange {
    exchange_with(settings())
}

fn exchange_with(settings: Settings) -> Exchange {
    let client = Client {
        address: "192.0.2.1:25".parse().unwrap(),
        session: SessionId(1),
        limits_lifted: true,
        endings: LineEndings::Strict,
        tls: false,
    };
    let offer =
        Offer { size_octets_max: 1_000, eight_bit_mime: true, start_tls: false, pipelining: true };
    let arrival = Arrival::default();
    let settings = Arc::new(settings);
    Exchange::new(settings, client, arrival, offer, Pressure::Normal, Moment(0))
}

/// Plays `flights`; everybody exists, the next hop answers with `outcomes`. Returns the codes
/// and the requests.
fn play(
    exchange: &mut Exchange,
    flights: &[(u64, &str)],
    outcomes: Vec<Outcome>,
) -> (Vec<u16>, Vec<Request>) {
    let (mut codes, mut requests) = (Codes::default(), Vec::new());
    let (mut flights, mut outcomes) = (flights.iter(), VecDeque::from(outcomes));
    let mut now = Moment(0);
    loop {
        let done = match exchange.next(&mut codes) {
            Do::Read { .. } => match flights.next() {
                Some((at, flight)) => {
                    now = Moment(*at);
                    Done::Bytes(flight.as_bytes().to_vec())
                }
                None => break,
            },
            Do::LookUp { need: Need::Recipient, .. } => {
                Done::Found(Found::Recipient(RecipientStatus::LISTED))
            }
            Do::LookUp { need: Need::Standing, .. } => {
                Done::Found(Found::Standing(Standing::default()))
            }
            Do::LookUp { need: Need::Split, .. } => Done::Found(Found::Split(false)),
            Do::LookUp { need: Need::EarlyTalker | Need::ReverseName, .. } => Done::Elapsed,
            Do::Carry { request, .. } => {
                requests.push(request);
                Done::Carried(outcomes.pop_front().unwrap())
            }
            Do::Send { .. } | Do::Forget { .. } | Do::Wait { .. } | Do::StartTls { .. } => {
                Done::Yes
            }
            Do::Close => break,
        };
        exchange.done(done, now, &mut codes);
    }
    (codes.0, requests)
}

pub(super) fn said(code: u16) -> HeardReply {
    HeardReply { code, status: None, text: "".into(), more: Vec::new(), contradicts: false }
}

#[test]
fn a_client_that_never_stops_talking_hears_421_when_its_hour_is_over() {
    let mut exchange = exchange();
    let noop = "NOOP\r\n";
    let flights =
        [(0, "EHLO c.example\r\n"), (3_599_999, noop), (3_600_000, noop), (3_600_001, noop)];
    assert_eq!(play(&mut exchange, &flights, vec![]).0, [220, 250, 250, 421]);
}

#[test]
fn a_next_hop_that_was_left_for_another_is_opened_again() {
    let mut exchange = exchange();
    let flight = "MAIL FROM:<>\r\nRCPT TO:<x@a.example>\r\nRCPT TO:<y@b.example>\r\n\
                  RCPT TO:<z@a.example>\r\n";
    let outcomes = vec![
        Outcome::Recipient(said(550)),
        Outcome::MailRefused(said(451)),
        Outcome::Recipient(said(250)),
    ];
    let flights = [(0, "EHLO c.example\r\n"), (1, flight)];
    let (codes, requests) = play(&mut exchange, &flights, outcomes);
    assert_eq!(codes, [220, 250, 250, 550, 451, 250]);
    let opened = |request: &Request| matches!(request, Request::Open { .. });
    assert!(requests.iter().all(opened), "{requests:?}");
}

#[test]
fn a_recipient_that_no_route_fits_is_answered_and_asked_about_once() {
    // `<Postmaster>` belongs to the first domain (RFC 5321 §4.5.1), and here is none.
    let settings = Settings { domains: HashMap::new(), domain: Vec::new(), ..settings() };
    let (mut exchange, mut codes) = (exchange_with(settings), Codes::default());
    let mut flights = ["EHLO c.example\r\n", "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n"].iter();
    let mut asked = 0;
    loop {
        let done = match exchange.next(&mut codes) {
            Do::Read { .. } => match flights.next() {
                Some(flight) => Done::Bytes(flight.as_bytes().to_vec()),
                None => break,
            },
            Do::LookUp { need: Need::Recipient, .. } => {
                asked += 1;
                assert!(asked < 3, "it is asked about again and again");
                Done::Found(Found::Recipient(RecipientStatus::LISTED))
            }
            Do::Send { .. } => Done::Yes,
            other => panic!("{other:?}"),
        };
        exchange.done(done, Moment(0), &mut codes);
    }
    assert_eq!((codes.0, asked), (vec![220, 250, 250, 451], 1));
}

#[test]
fn a_flight_of_recipients_before_a_slow_next_hop_ends_with_the_session() {
    let (mut exchange, mut codes) = (exchange(), Codes::default());
    let many = "RCPT TO:<x@a.example>\r\n".repeat(100);
    let mut flights = ["EHLO c.example\r\n".into(), format!("MAIL FROM:<>\r\n{many}")].into_iter();
    let mut now = Moment(0);
    loop {
        let done = match exchange.next(&mut codes) {
            Do::Read { .. } => Done::Bytes(flights.next().unwrap().into()),
            Do::LookUp { need: Need::Recipient, .. } => {
                Done::Found(Found::Recipient(RecipientStatus::LISTED))
            }
            Do::LookUp { need: Need::Standing, .. } => {
                Done::Found(Found::Standing(Standing::default()))
            }
            Do::LookUp { need: Need::Split, .. } => Done::Found(Found::Split(false)),
            Do::LookUp { need: Need::EarlyTalker | Need::ReverseName, .. } => Done::Elapsed,
            Do::Carry { .. } => {
                now = now.plus_seconds(60);
                Done::Carried(Outcome::Lost)
            }
            Do::Send { .. } | Do::Forget { .. } | Do::Wait { .. } | Do::StartTls { .. } => {
                Done::Yes
            }
            Do::Close => break,
        };
        exchange.done(done, now, &mut codes);
    }
    assert_eq!(now, Moment(3_600_000));
    assert_eq!(codes.0.last(), Some(&421));
}

/// What a `Do` is called, and how many seconds it may last.
fn lasts(act: &Do, now: Moment) -> (&'static str, Option<u64>) {
    let name = match act {
        Do::Send { .. } => "send",
        Do::Read { .. } => "read",
        Do::LookUp { .. } => "look up",
        Do::Carry { .. } => "carry",
        Do::Forget { .. } => "forget",
        Do::Wait { .. } => "wait",
        Do::StartTls { .. } => "start tls",
        Do::Close => "close",
    };
    (name, act.until().map(|until| until.milliseconds_since(now) / 1_000))
}

/// A whole visit that takes a second for each thing; what was done, and the codes.
fn visit(
    exchange: &mut Exchange,
    flights: &[&str],
    mut found: impl FnMut(&Do) -> Done,
) -> (Vec<(&'static str, Option<u64>)>, Vec<u16>) {
    let (mut codes, mut flights, mut now) = (Codes::default(), flights.iter(), Moment(0));
    let mut acts = Vec::new();
    loop {
        let act = exchange.next(&mut codes);
        assert_eq!(exchange.until(), act.until().or(exchange.until()), "{act:?}");
        acts.push(lasts(&act, now));
        let done = match &act {
            Do::Close => break,
            Do::Read { .. } => {
                flights.next().map_or(Done::Gone, |f| Done::Bytes(f.as_bytes().into()))
            }
            Do::Wait { until } => {
                now = *until;
                Done::Yes
            }
            Do::StartTls { .. } => {
                exchange.behind_tls();
                Done::Yes
            }
            Do::Send { .. } | Do::Forget { .. } => Done::Yes,
            Do::LookUp { .. } | Do::Carry { .. } => found(&act),
        };
        now = now.plus_seconds(1);
        exchange.done(done, now, &mut codes);
    }
    (acts, codes.0)
}

#[test]
fn whatever_waits_has_a_deadline_and_only_the_end_has_none() {
    let mut exchange = exchange();
    let settings = Settings {
        harvest: Harvest {
            session_unknown_max: 0,
            delay_milliseconds: 3_000,
            ..Harvest::default()
        },
        ..settings()
    };
    exchange.settings = Arc::new(settings);
    exchange.client.limits_lifted = false;
    exchange.offer.start_tls = true;
    exchange.set_pressure(Pressure::Busy);
    exchange.set_pressure(Pressure::Normal);
    let envelope = "EHLO c.example\r\n";
    let more = "MAIL FROM:<x@c.example>\r\nRCPT TO:<y@a.example>\r\nRCPT TO:<z@a.example>\r\n";
    let flights = [envelope, "STARTTLS\r\n", envelope, more, "DATA\r\n", "x\r\n.\r\n", "QUIT\r\n"];
    let mut guesses = 0;
    let (acts, codes) = visit(&mut exchange, &flights, |act| match act {
        Do::LookUp { need: Need::Standing, .. } => {
            Done::Found(Found::Standing(Standing::default()))
        }
        Do::LookUp { need: Need::Split, .. } => Done::Found(Found::Split(false)),
        Do::LookUp { need: Need::Recipient, .. } => {
            guesses += 1;
            let status =
                if guesses == 1 { RecipientStatus::LISTED } else { RecipientStatus::Unknown };
            Done::Found(Found::Recipient(status))
        }
        Do::Carry { request: Request::Content { .. }, .. } => {
            Done::Carried(Outcome::Content { reply: said(250), host: "h".into() })
        }
        _ => Done::Carried(Outcome::Recipient(said(250))),
    });
    assert_eq!(codes, [220, 250, 220, 250, 250, 250, 550, 354, 250, 221]);
    let seconds = |name| {
        let mut all: Vec<_> = acts.iter().filter(|act| act.0 == name).map(|act| act.1).collect();
        all.dedup();
        all
    };
    for (name, expected) in [
        ("send", vec![Some(60)]),
        ("look up", vec![Some(8)]),
        // To the recipient, and from the final dot.
        ("carry", vec![Some(240)]),
        ("forget", vec![Some(5)]),
        // Sending what was said before has taken one of three.
        ("wait", vec![Some(2)]),
        ("start tls", vec![Some(30)]),
        ("close", vec![None]),
    ] {
        assert_eq!(seconds(name), expected, "{name}: {acts:?}");
    }
    assert!(
        seconds("read").iter().all(|read| read.is_some_and(|read| (170..=300).contains(&read)))
    );
}

#[test]
fn what_does_not_come_in_time_is_nobodys_word() {
    let flights = [
        "EHLO c.example\r\n",
        "MAIL FROM:<>\r\nRCPT TO:<x@a.example>\r\n",
        "DATA\r\n",
        ".\r\n",
        "QUIT\r\n",
    ];
    // No fact, no answer to the recipient, no answer to the final dot.
    for (answered, expected) in [
        (0, vec![220, 250, 250, 451, 554, 500, 221]),
        (1, vec![220, 250, 250, 451, 554, 500, 221]),
        (2, vec![220, 250, 250, 250, 354, 451, 221]),
    ] {
        let mut asked = 0;
        let (_, codes) = visit(&mut exchange(), &flights, |act| {
            asked += 1;
            match act {
                _ if asked > answered => Done::Elapsed,
                Do::LookUp { .. } => Done::Found(Found::Recipient(RecipientStatus::LISTED)),
                _ => Done::Carried(Outcome::Recipient(said(250))),
            }
        });
        assert_eq!(codes, expected, "{answered}");
    }
}

#[test]
fn who_waits_hears_of_pressure_and_of_the_end() {
    let (mut exchange, mut codes) = (exchange(), Codes::default());
    let mut read = |exchange: &mut Exchange| loop {
        match exchange.next(&mut codes) {
            Do::Read { until } => break until,
            _ => exchange.done(Done::Yes, Moment(7_000), &mut codes),
        }
    };
    assert_eq!(read(&mut exchange), Moment(300_000));
    exchange.set_pressure(Pressure::Stress);
    assert_eq!(exchange.until(), Some(Moment(10_000)));
    exchange.set_pressure(Pressure::Normal);
    assert_eq!(exchange.until(), Some(Moment(300_000)));
    exchange.drain();
    assert_eq!(exchange.until(), Some(Moment(7_000)));
    exchange.done(Done::Elapsed, Moment(7_001), &mut codes);
    while exchange.next(&mut codes) != Do::Close {
        exchange.done(Done::Yes, Moment(7_002), &mut codes);
    }
    assert_eq!((codes.0, exchange.why_closed), (vec![220, 421], "shutdown"));
}

/// What is done for a client of this listener, until it is read from or sent away.
fn received(listener: ListenerTerms, arrival: Arrival, talks: bool) -> (Vec<String>, Vec<u16>) {
    let mut exchange = exchange().received_by(Arc::new(listener));
    exchange.arrival = Arrival { is_unheard: exchange.arrival.is_unheard, ..arrival };
    let (mut codes, mut acts) = (Codes::default(), Vec::new());
    loop {
        let act = exchange.next(&mut codes);
        let (name, seconds) = lasts(&act, Moment(0));
        acts.push(seconds.map_or(name.to_owned(), |seconds| format!("{name} {seconds}")));
        let done = match act {
            Do::Read { .. } | Do::Close => break,
            Do::LookUp { need: Need::EarlyTalker, .. } if talks => {
                Done::Found(Found::EarlyTalker(true))
            }
            Do::LookUp { .. } => Done::Elapsed,
            Do::StartTls { .. } => {
                exchange.behind_tls();
                Done::Yes
            }
            _ => Done::Yes,
        };
        exchange.done(done, Moment(0), &mut codes);
    }
    (acts, codes.0)
}

#[test]
fn a_client_is_judged_before_it_is_waited_for() {
    let tls_first = ListenerTerms { is_tls_first: true, ..ListenerTerms::default() };
    let delayed = ListenerTerms { greeting_delay_milliseconds: 7_000, ..ListenerTerms::default() };
    let (welcome, refused) = (Arrival::default(), Arrival { refusing: true, ..Arrival::default() });
    for (listener, arrival, talks, acts, codes) in [
        (
            tls_first.clone(),
            welcome,
            false,
            &["start tls 30", "send 60", "read 300"][..],
            &[220][..],
        ),
        // Nobody could hear it.
        (tls_first, refused, false, &["close"], &[]),
        (delayed.clone(), welcome, false, &["look up 7", "send 60", "read 300"], &[220]),
        (delayed.clone(), welcome, true, &["look up 7", "send 60", "close"], &[554]),
        (delayed, refused, true, &["send 60", "close"], &[421]),
    ] {
        let heard = received(listener, arrival, talks);
        assert_eq!(heard, (acts.iter().map(ToString::to_string).collect(), codes.to_vec()));
    }
}

/// Octets that were written and not sent, at most.
#[derive(Default)]
struct Unsent {
    now: usize,
    most: usize,
}

impl Sink for Unsent {
    fn write(&mut self, reply: &Reply) {
        self.now += reply.to_string().len() + 2;
        self.most = self.most.max(self.now);
    }
    fn keep(&mut self, _: &[u8]) {}
    fn record(&mut self, _: &Event<'_>) {}
    fn split(&mut self, _: Prefix, _: &ReversePath, _: &[ForwardPath]) {}
}

#[test]
fn no_more_is_said_to_a_client_than_it_takes() {
    let mut exchange = exchange();
    let mut unsent = Unsent::default();
    let flight = "RCPT TO:<jones@elsewhere.example>\r\n".repeat(1_500);
    let mut flights =
        VecDeque::from(["EHLO c.example\r\n".to_owned(), format!("MAIL FROM:<>\r\n{flight}")]);
    loop {
        let done = match exchange.next(&mut unsent) {
            Do::Read { .. } => match flights.pop_front() {
                Some(flight) => Done::Bytes(flight.into_bytes()),
                None => break,
            },
            Do::Send { .. } => {
                unsent.now = 0;
                Done::Yes
            }
            Do::LookUp { .. } => Done::Elapsed,
            Do::Close => break,
            act => panic!("{act:?}"),
        };
        exchange.done(done, Moment(0), &mut unsent);
    }
    assert!((8 << 10..17 << 10).contains(&unsent.most), "{}", unsent.most);
}
