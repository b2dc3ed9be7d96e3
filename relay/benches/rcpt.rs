//! What one RCPT costs: through `judge` alone, and through the whole exchange from its octets to
//! its reply and event. `cargo bench -p relay`.

#![allow(missing_docs, clippy::expect_used, reason = "criterion's macros; a bench may stop")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::extension::Offer;
use mail::smtp::line::LineEndings;
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::{Reply, SessionId};
use relay::client::Client;
use relay::event::Event;
use relay::exchange::{Do, Done, Exchange, Sink};
use relay::moment::Moment;
use relay::policy::facts::{Arrival, Facts, Found};
use relay::policy::{Stage, judge};
use relay::recipient::RecipientStatus;
use relay::settings::{
    DomainId, DomainSettings, Harvest, Limits, LocalPartCase, NextHopId, Pressure, Rates, Settings,
};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

/// RCPTs in one flight.
const FLIGHT: usize = 100;

fn settings() -> Settings {
    let name = Domain::new("example.com").expect("a domain");
    Settings {
        hostname: Domain::new("mx.example.com").expect("a domain"),
        domains: HashMap::from([("example.com".into(), DomainId(0))]),
        domain: vec![DomainSettings {
            name,
            next_hop: NextHopId(0),
            local_part_case: LocalPartCase::Folded,
            sub_address_separator: None,
            local_part_characters: "".into(),
            catch_all: None,
            postmaster: None,
        }],
        limits: Limits::default(),
        harvest: Harvest::default(),
        rates: Rates::default(),
        require_reverse_name: false,
    }
}

fn client() -> Client {
    Client {
        address: "192.0.2.7:1234".parse().expect("an address"),
        session: SessionId(1),
        limits_lifted: true,
        endings: LineEndings::Strict,
        tls: false,
    }
}

fn judged(c: &mut Criterion) {
    let (settings, client) = (settings(), client());
    let path = ForwardPath::parse("<guess@example.com>").expect("a path");
    let status = RecipientStatus::Unknown;
    let facts = Facts {
        client: &client,
        pressure: Pressure::Normal,
        arrival: Arrival::default(),
        hello: None,
        reverse_path: Some(&ReversePath::Null),
        parameters: MailParameters::default(),
        forward_path: Some(&path),
        domain: Some(DomainId(0)),
        hostname: &settings.hostname,
        recipients: 0,
        plan: None,
        size_octets_max: 1 << 20,
        eight_bit_mime: false,
        session_messages: 0,
        is_transaction_suspected: false,
        content: None,
        recipient: Some(&status),
        standing: None,
        split: None,
        reverse_name: None,
    };
    c.bench_function("judge one RCPT", |b| {
        b.iter(|| judge(Stage::Recipient, black_box(&facts), &settings, |_, _| {}));
    });
}

/// Keeps the length of what it is given.
#[derive(Default)]
struct Counting(Vec<u8>, usize);

impl Sink for Counting {
    fn write(&mut self, reply: &Reply) {
        reply.write_to(&mut self.0);
    }
    fn keep(&mut self, content: &[u8]) {
        self.1 += content.len();
    }
    fn record(&mut self, event: &Event<'_>) {
        event.fields(&mut |name, _| self.1 += name.len());
    }
    fn split(&mut self, _: relay::client::Prefix, _: &ReversePath, _: &[ForwardPath]) {}
}

/// A session behind MAIL.
fn open(settings: &Arc<Settings>) -> Exchange {
    let offer = Offer {
        size_octets_max: 1 << 20,
        eight_bit_mime: false,
        start_tls: false,
        pipelining: true,
    };
    let settings = Arc::clone(settings);
    let now = Moment(0);
    let arrival = Arrival::default();
    let mut exchange = Exchange::new(settings, client(), arrival, offer, Pressure::Normal, now);
    let mut sink = Counting::default();
    for flight in [&b"EHLO bar.example\r\n"[..], b"MAIL FROM:<smith@bar.example>\r\n"] {
        drive(&mut exchange, &mut sink, flight);
    }
    exchange
}

/// Says a flight; every recipient is unknown.
fn drive(exchange: &mut Exchange, sink: &mut Counting, flight: &[u8]) {
    let mut flight = Some(flight.to_vec());
    loop {
        let done = match exchange.next(sink) {
            Do::Read { .. } => match flight.take() {
                Some(bytes) => Done::Bytes(bytes),
                None => return,
            },
            Do::LookUp { .. } => Done::Found(Found::Recipient(RecipientStatus::Unknown)),
            _ => Done::Yes,
        };
        exchange.done(done, Moment(0), sink);
    }
}

fn exchanged(c: &mut Criterion) {
    let settings = Arc::new(settings());
    let flight = b"RCPT TO:<user123456@example.com>\r\n".repeat(FLIGHT);
    c.bench_function("100 RCPTs through the exchange", |b| {
        b.iter_batched(
            || (open(&settings), Counting::default()),
            |(mut exchange, mut sink)| {
                drive(&mut exchange, &mut sink, &flight);
                (exchange, sink)
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, judged, exchanged);
criterion_main!(benches);
