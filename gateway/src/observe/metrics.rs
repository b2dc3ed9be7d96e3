//! The figures. Each thread counts for itself, and a scrape adds up: no counter is shared on the
//! hot path. Labels are names from our own tables, never anything that a client said.

use super::reports::Reports;
use super::sources::Sources;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use relay::event::{Kind, ProcessEvent};
use relay::policy::{Refuser, Stage};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What one thread has counted.
#[derive(Debug)]
struct Counts {
    sessions: AtomicU64,
    delivered: AtomicU64,
    delivered_octets: AtomicU64,
    discarded: AtomicU64,
    unknown_outcomes: AtomicU64,
    recipients: AtomicU64,
    /// By stage, and there by [`Refuser::place`].
    refused: [Vec<AtomicU64>; Stage::ALL.len()],
}

/// All threads' counts, and gauges that the process sets.
#[derive(Debug, Default)]
pub struct Metrics {
    threads: Mutex<Vec<Arc<Counts>>>,
    process: Mutex<BTreeMap<ProcessEvent, u64>>,
    gauges: Mutex<Vec<Gauge>>,
    sources: Mutex<Sources>,
}

/// A figure read when it is asked for.
struct Gauge {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> u64 + Send>,
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

thread_local! {
    static OWN: RefCell<Option<Arc<Counts>>> = const { RefCell::new(None) };
}

/// Everyone who can refuse: the rules of each stage, the next hop, the session's own limits.
fn refusers() -> Vec<(Stage, Refuser)> {
    let all = |stage| Refuser::at(stage).map(move |by| (stage, by));
    let all = Stage::ALL.into_iter().flat_map(all);
    let (mut ruled, others): (Vec<_>, Vec<_>) =
        all.partition(|(_, by)| matches!(by, Refuser::Rule(_)));
    ruled.extend(others);
    ruled
}

impl Metrics {
    /// Adds a figure that is read at each scrape.
    pub fn add_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + 'static,
    ) {
        lock(&self.gauges).push(Gauge { name, help, read: Box::new(read) });
    }

    /// Says where the figures of recipient sources and next hops come from; read at each scrape.
    pub fn set_sources(&self, read: impl Fn() -> Reports + Send + 'static) {
        *lock(&self.sources) = Sources::read_by(read);
    }

    /// Counts an event.
    pub fn count(&self, kind: &Kind<'_>) {
        OWN.with_borrow_mut(|own| {
            let counts = own.get_or_insert_with(|| self.new_thread());
            // Only this thread writes here: a plain load and store would do, and compiles to one.
            let add = |counter: &AtomicU64, n| counter.store(counter.load(Relaxed) + n, Relaxed);
            match kind {
                Kind::SessionOpened => add(&counts.sessions, 1),
                Kind::RecipientAccepted { .. } => add(&counts.recipients, 1),
                Kind::Delivered { octets, .. } => {
                    add(&counts.delivered, 1);
                    add(&counts.delivered_octets, *octets);
                }
                Kind::Discarded { .. } => add(&counts.discarded, 1),
                Kind::OutcomeUnknown { .. } => add(&counts.unknown_outcomes, 1),
                Kind::Refused { stage, by, .. } => {
                    add(&counts.refused[*stage as usize][by.position(*stage)], 1);
                }
                Kind::Process { event, .. } => {
                    *lock(&self.process).entry(*event).or_default() += 1;
                }
                Kind::SessionClosed { .. } | Kind::MailAccepted | Kind::Repeated(_) => {}
            }
        });
    }

    fn new_thread(&self) -> Arc<Counts> {
        let counts = Arc::new(Counts {
            sessions: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            delivered_octets: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            unknown_outcomes: AtomicU64::new(0),
            recipients: AtomicU64::new(0),
            refused: Stage::ALL
                .map(|stage| Refuser::at(stage).map(|_| AtomicU64::new(0)).collect()),
        });
        lock(&self.threads).push(Arc::clone(&counts));
        counts
    }

    /// The page that Prometheus reads.
    #[must_use]
    pub fn page(self: &Arc<Self>) -> String {
        let mut registry = Registry::with_prefix("postern");
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut page, &registry);
        page
    }

    fn sum(&self, read: impl Fn(&Counts) -> u64) -> u64 {
        lock(&self.threads).iter().map(|counts| read(counts)).sum()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Scrape(Arc<Metrics>);

type Read = fn(&Counts) -> u64;

const COUNTERS: &[(&str, &str, Read)] = &[
    ("sessions", "Sessions greeted", |c| c.sessions.load(Relaxed)),
    ("recipients_accepted", "Recipients accepted", |c| c.recipients.load(Relaxed)),
    ("messages_delivered", "Messages that the next hop took", |c| c.delivered.load(Relaxed)),
    ("octets_delivered", "Their content, in octets", |c| c.delivered_octets.load(Relaxed)),
    ("messages_discarded", "Messages to bitbuckets", |c| c.discarded.load(Relaxed)),
    ("outcomes_unknown", "Messages that the next hop may or may not have taken", |c| {
        c.unknown_outcomes.load(Relaxed)
    }),
];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, read) in COUNTERS {
            let counter = ConstCounter::new(self.0.sum(read));
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Refusals by stage and rule";
        let mut family = encoder.encode_descriptor("refused", help, None, kind)?;
        for (stage, by) in refusers() {
            let read = |c: &Counts| c.refused[stage as usize][by.position(stage)].load(Relaxed);
            let counter = ConstCounter::new(self.0.sum(read));
            let labels = [("stage", stage.name()), ("rule", by.name(stage))];
            counter.encode(family.encode_family(&labels)?)?;
        }
        let help = "Events of the process";
        let mut family = encoder.encode_descriptor("events", help, None, kind)?;
        for (event, count) in lock(&self.0.process).iter() {
            ConstCounter::new(*count).encode(family.encode_family(&[("event", event.name())])?)?;
        }
        for gauge in lock(&self.0.gauges).iter() {
            let figure = ConstGauge::new(i64::try_from((gauge.read)()).unwrap_or(i64::MAX));
            let kind = figure.metric_type();
            figure.encode(encoder.encode_descriptor(gauge.name, gauge.help, None, kind)?)?;
        }
        lock(&self.0.sources).encode(&mut encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up_and_every_rule_has_a_row() {
        let metrics = Arc::new(Metrics::default());
        for _ in 0..2 {
            let metrics = Arc::clone(&metrics);
            let count = move || metrics.count(&Kind::SessionOpened);
            std::thread::spawn(count).join().unwrap();
        }
        metrics.add_gauge("answer", "To everything", || 42);
        let page = metrics.page();
        assert!(page.contains("postern_sessions_total 2"), "{page}");
        assert!(page.contains("postern_answer 42"), "{page}");
        for (stage, by) in refusers() {
            let row = format!("stage=\"{}\",rule=\"{}\"", stage.name(), by.name(stage));
            assert!(page.contains(&row), "{row}");
        }
    }
}
