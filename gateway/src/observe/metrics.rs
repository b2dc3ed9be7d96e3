//! The figures. Each thread counts for itself, and a scrape adds up: no counter is shared on the
//! hot path. Labels are names from our own tables, never anything that a client said.

use super::reports::Reports;
use super::sources::Sources;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use relay::event::{Kind, ProcessEvent};
use relay::policy::{Refuser, Stage};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Hosts with rows of their own: the first of them.
const HOSTS_MAX: usize = 100;
const CERTIFICATE_END: &str = "When the certificate shown to clients ends, in seconds since 1970";

/// What one thread has counted.
#[derive(Debug)]
struct Counts {
    sessions: AtomicU64,
    delivered: AtomicU64,
    delivered_octets: AtomicU64,
    discarded: AtomicU64,
    unknown_outcomes: AtomicU64,
    recipients: AtomicU64,
    /// By stage, there by [`Refuser::position`], and there for now and for good.
    refused: [Vec<[AtomicU64; 2]>; Stage::ALL.len()],
}

/// All threads' counts, and gauges that the process sets.
#[derive(Debug, Default)]
pub struct Metrics {
    threads: Mutex<Vec<Arc<Counts>>>,
    process: Mutex<BTreeMap<ProcessEvent, u64>>,
    gauges: Mutex<Vec<Gauge>>,
    sources: Mutex<Sources>,
    hosts: Mutex<Option<Hosts>>,
    /// When the certificate shown to clients ends, in seconds since 1970; 0 without one.
    certificate_end: AtomicI64,
}

/// Reads which hosts of next hops can be reached.
struct Hosts(Box<dyn Fn() -> Vec<(Arc<str>, bool)> + Send>);

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hosts")
    }
}

/// How figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4 of Prometheus.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What whoever asks has named in `Accept`.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let is_open = accept.contains("application/openmetrics-text");
        if is_open { Self::OpenMetrics } else { Self::Classic }
    }

    /// As `Content-Type` has it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
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

    /// Says where the state of the hosts behind us comes from; read at each scrape.
    pub fn set_hosts(&self, read: impl Fn() -> Vec<(Arc<str>, bool)> + Send + 'static) {
        *lock(&self.hosts) = Some(Hosts(Box::new(read)));
    }

    /// Notes when the certificate shown to clients ends, in seconds since 1970.
    pub fn set_certificate_end(&self, seconds: i64) {
        self.certificate_end.store(seconds, Relaxed);
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
                Kind::Refused { stage, by, reply, .. } => {
                    let row = &counts.refused[*stage as usize][by.position(*stage)];
                    add(&row[usize::from(reply.code() >= 500)], 1);
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
                .map(|stage| Refuser::at(stage).map(|_| Default::default()).collect()),
        });
        lock(&self.threads).push(Arc::clone(&counts));
        counts
    }

    /// The page that Prometheus reads.
    #[must_use]
    pub fn page(self: &Arc<Self>, format: Format) -> String {
        let mut registry = Registry::with_prefix("postern");
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut page, &registry);
        match format {
            Format::OpenMetrics => page,
            Format::Classic => classic(&page),
        }
    }

    /// Who runs, until when its certificate counts, and whether the hosts behind it are there.
    fn encode_state(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kind = MetricType::Gauge;
        let mut family = encoder.encode_descriptor("build_info", "What runs", None, kind)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(family.encode_family(&version)?)?;
        let end = self.certificate_end.load(Relaxed);
        if end != 0 {
            let (name, help) = ("certificate_end_timestamp_seconds", CERTIFICATE_END);
            ConstGauge::new(end).encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        let help = "Whether a host behind us can be reached, as far as is known";
        let mut family = encoder.encode_descriptor("next_hop_host_up", help, None, kind)?;
        let hosts = lock(&self.hosts).as_ref().map(|hosts| hosts.0()).unwrap_or_default();
        for (host, is_up) in hosts.iter().take(HOSTS_MAX) {
            let labels = [("host", &**host)];
            ConstGauge::new(i64::from(*is_up)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn sum(&self, read: impl Fn(&Counts) -> u64) -> u64 {
        lock(&self.threads).iter().map(|counts| read(counts)).sum()
    }
}

/// The same in the classic format: a counter's description bears its whole name, and nothing ends
/// the page.
fn classic(page: &str) -> String {
    let counters: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut written = String::with_capacity(page.len());
    for line in page.lines().filter(|line| *line != "# EOF") {
        let described = line.strip_prefix("# ").and_then(|rest| {
            let (what, rest) = rest.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            counters.contains(name).then(|| format!("# {what} {name}_total {rest}\n"))
        });
        match described {
            Some(described) => written.push_str(&described),
            None => {
                written.push_str(line);
                written.push('\n');
            }
        }
    }
    written
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
        let help = "Refusals by stage, rule, and whether for now (4yz) or for good (5yz)";
        let mut family = encoder.encode_descriptor("refused", help, None, kind)?;
        for (stage, by) in refusers() {
            for (at, code) in ["4yz", "5yz"].into_iter().enumerate() {
                let row =
                    |c: &Counts| c.refused[stage as usize][by.position(stage)][at].load(Relaxed);
                let counter = ConstCounter::new(self.0.sum(row));
                let labels = [("stage", stage.name()), ("rule", by.name(stage)), ("code", code)];
                counter.encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Events of the process";
        let mut family = encoder.encode_descriptor("events", help, None, kind)?;
        for (event, count) in lock(&self.0.process).iter() {
            ConstCounter::new(*count).encode(family.encode_family(&[("event", event.name())])?)?;
        }
        self.0.encode_state(&mut encoder)?;
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
        let page = metrics.page(Format::OpenMetrics);
        assert!(page.contains("postern_sessions_total 2"), "{page}");
        assert!(page.contains("postern_answer 42"), "{page}");
        for (stage, by) in refusers() {
            let row = format!("stage=\"{}\",rule=\"{}\"", stage.name(), by.name(stage));
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn the_classic_format_describes_counters_by_their_whole_name() {
        let metrics = Arc::new(Metrics::default());
        metrics.set_certificate_end(1_800_000_000);
        metrics.set_hosts(|| vec![("mail:25".into(), false)]);
        let page = metrics.page(Format::accepted("text/plain, */*"));
        for line in [
            "# TYPE postern_sessions_total counter",
            "# HELP postern_sessions_total Sessions greeted",
            "postern_sessions_total 0",
            "postern_certificate_end_timestamp_seconds 1800000000",
            "postern_next_hop_host_up{host=\"mail:25\"} 0",
            concat!("postern_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(page.lines().any(|found| found == line), "{line}: {page}");
        }
        assert!(!page.contains("# EOF") && page.ends_with('\n'));
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3";
        assert!(metrics.page(Format::accepted(prometheus)).ends_with("# EOF\n"));
    }
}
