//! The exchange against a scripted edge: what the simulation found, as small as it goes.

use super::*;
use crate::settings::{DomainSettings, Harvest, Limits, LocalPartCase, NextHopId, Rates};
use mail::address::Domain;
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
    fn split(&mut self, _: &ReversePath, _: &[ForwardPath]) {}
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
    }
}

fn exchange() -> Exchange {
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
    let offer = Offer { size_octets_max: 1_000, eight_bit_mime: true, start_tls: false };
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
            Do::LookUp(Need::Recipient) => Done::Found(Found::Recipient(RecipientStatus::LISTED)),
            Do::LookUp(Need::Standing) => Done::Found(Found::Standing(Standing::default())),
            Do::LookUp(Need::Split) => Done::Found(Found::Split(false)),
            Do::NextHop(request) => {
                requests.push(request);
                Done::NextHop(outcomes.pop_front().unwrap())
            }
            Do::Forget | Do::Wait { .. } | Do::StartTls => Done::Yes,
            Do::Close => break,
        };
        exchange.done(done, now, &mut codes);
    }
    (codes.0, requests)
}

fn said(code: u16) -> HeardReply {
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
            Do::LookUp(Need::Recipient) => {
                asked += 1;
                assert!(asked < 3, "it is asked about again and again");
                Done::Found(Found::Recipient(RecipientStatus::LISTED))
            }
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
            Do::LookUp(Need::Recipient) => Done::Found(Found::Recipient(RecipientStatus::LISTED)),
            Do::LookUp(Need::Standing) => Done::Found(Found::Standing(Standing::default())),
            Do::LookUp(Need::Split) => Done::Found(Found::Split(false)),
            Do::NextHop(_) => {
                now = now.plus_seconds(60);
                Done::NextHop(Outcome::Lost)
            }
            Do::Forget | Do::Wait { .. } | Do::StartTls => Done::Yes,
            Do::Close => break,
        };
        exchange.done(done, now, &mut codes);
    }
    assert_eq!(now, Moment(3_600_000));
    assert_eq!(codes.0.last(), Some(&421));
}
