//! What one lookup in a directory costs: real slapd on this machine, one thread that asks, so many
//! lookups under way. Prints lookups a second, and microseconds of our processor time for each;
//! slapd's own time is not in it. Needs slapd.

#![allow(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use directory::ldap::{Ldap, Mode, Preset, Protection, Settings, Template};
use directory::live::{Existence, LiveSource};
use kit::slapd::{Setup, is_here};
use kit::{Shape, Slapd};
use mail::address::Mailbox;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use wire::server::{NextHopHost, Trust};

/// Lookups of each measurement.
const LOOKUPS: usize = 100_000;
/// People in the directory; as many again are asked for in vain.
const PEOPLE: usize = 5_000;

fn settings(slapd: &Slapd) -> Settings {
    let address = slapd.address;
    Settings {
        name: "bench".to_owned(),
        preset: Preset::Custom,
        servers: vec![NextHopHost { host: address.ip().to_string(), port: address.port() }],
        protection: Protection::Plain,
        trust: Trust::SystemRoots,
        tls_name: None,
        bind: None,
        base: slapd.shape.base().to_owned(),
        filter: Template::parse("(mail={address})").expect("a filter"),
        mode: Mode::Live,
        target_attribute: None,
        answer_max: Duration::from_secs(10),
        connect_max: Duration::from_secs(10),
        connections_max: 2,
        outstanding_max: 32,
        idle_max: Duration::from_secs(300),
        age_max: Duration::from_secs(3_600),
        positive: Duration::ZERO,
        negative: Duration::ZERO,
    }
}

async fn ask(source: Arc<Ldap>, first: usize, lookups: usize) {
    for n in first..first + lookups {
        let person = n % (2 * PEOPLE);
        let address = format!("person{person:04}@example.test");
        let mailbox = Mailbox::parse(&address).expect("an address");
        let said = Arc::clone(&source).ask(mailbox).await.expect("an answer");
        let is_there = matches!(said, Existence::Exists { .. });
        assert_eq!(is_there, (1..=PEOPLE).contains(&person), "{address}");
    }
}

fn processor_microseconds() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system counts");
    (usage.user_time() + usage.system_time()).num_microseconds()
}

fn main() {
    if !is_here() {
        return;
    }
    let slapd = Slapd::start(Setup { people: PEOPLE, ..Setup::new(Shape::OpenLdap) });
    let source = Arc::new(Ldap::new(Arc::new(settings(&slapd))).expect("no files are needed"));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for askers in [1, 10, 50] {
        let (began, processor) = (Instant::now(), processor_microseconds());
        let each = LOOKUPS / askers;
        let asking: Vec<_> = (0..askers)
            .map(|asker| runtime.spawn(ask(Arc::clone(&source), asker * each, each)))
            .collect();
        for asking in asking {
            runtime.block_on(asking).expect("it ends");
        }
        let rate = LOOKUPS as f64 / began.elapsed().as_secs_f64();
        let cost = (processor_microseconds() - processor) as f64 / LOOKUPS as f64;
        let line = format!("{askers:>2} under way: {rate:>6.0}/s, {cost:.1} us of processor each");
        writeln!(std::io::stderr(), "{line}").expect("standard error");
    }
}
