//! One host that is asked: its limits, its connections, and what it has shown of its behaviour.

use super::line::{Line, Lost};
use super::pace::{Pace, Rate};
use crate::live::{Trouble, TroubleKind};
use crate::trials::Budget;
use mail::smtp::client::Answer;
use relay::breaker;
use relay::turns::Party;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use wire::clock;
use wire::dial::connection::{Connection, ConnectionError};
use wire::dial::host::Host;
use wire::dial::settings::DialSettings;
use wire::lock::lock;
use wire::pool::{Bounds, Busy, Lease, Pool, Slot};
use wire::server::NextHopHost;
use wire::tls::cause;

/// Failures that took as long count: only they cost those who wait.
const FAILURE_TO_BE_SPARED: Duration = Duration::from_millis(200);
/// Failures in a row after which a host is left alone.
const FAILURES_MAX: u32 = 3;

/// How long it is left alone, in milliseconds: short, since who is back should be asked at once.
const LEFT_ALONE_MILLISECONDS: u64 = 1_000;

/// How long a connection is kept without a question.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// How old a connection may grow.
const AGE_MAX: Duration = Duration::from_secs(300);

/// One host.
pub(super) struct AskedHost {
    pub(super) host: Arc<Host>,
    connections: Arc<Pool<Line>>,
    rate: Mutex<Rate>,
    pace: Mutex<Pace>,
    null_path: AtomicU8,
    /// Names that nobody has, as it hears them from all who ask it.
    pub(super) trials: Budget,
}

/// What is known of how a host takes `<>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NullPath {
    /// Nothing yet.
    Unseen,
    /// It has accepted a recipient from it.
    Taken,
    /// It refuses it.
    Refused,
}

impl AskedHost {
    pub(super) fn new(
        host: &NextHopHost,
        concurrency_max: u32,
        questions_per_second_max: u32,
        trials: Budget,
    ) -> Self {
        let failures = breaker::Bounds::steady(FAILURES_MAX, LEFT_ALONE_MILLISECONDS);
        let bounds = Bounds {
            connections_max: concurrency_max.max(1),
            // Of those who wait there are never more than come within one deadline: see `slot`.
            waiting_max: u32::MAX,
            idle_max: IDLE_MAX,
            age_max: AGE_MAX,
        };
        Self {
            host: Arc::new(Host::new(host, failures)),
            connections: Pool::new(bounds),
            rate: Mutex::new(Rate::new(questions_per_second_max)),
            pace: Mutex::default(),
            null_path: AtomicU8::new(0),
            trials,
        }
    }

    /// A slot to ask, as soon as the limits allow.
    pub(super) async fn slot(
        &self,
        party: Party,
        deadline: Instant,
    ) -> Result<Slot<Line>, Trouble> {
        if !self.host.may_be_tried(clock::now()) {
            let what = format!("{}: left alone for a second after failures", self.host.name);
            return Err(Trouble::new(TroubleKind::Down, what));
        }
        let busy = |limit: &str| {
            let what = format!("{}: {limit} is reached, and no turn in time", self.host.name);
            Trouble::new(TroubleKind::Busy, what)
        };
        // First whose turn it is: were it how often, whoever asks a thousand times would have all
        // questions of the next seconds.
        let slot = self.connections.slot(party, deadline, || {}).await;
        let slot = slot.map_err(|Busy| busy("`concurrency_max`"))?;
        let next = lock(&self.rate).next(Instant::now().into_std(), deadline.into_std());
        let next = next.ok_or_else(|| busy("`questions_per_second_max`"))?;
        sleep_until(next.into()).await;
        Ok(slot)
    }

    /// A new connection.
    pub(super) async fn connect(
        &self,
        slot: Slot<Line>,
        dial: &Arc<DialSettings>,
        deadline: Instant,
    ) -> Result<Lease<Line>, Trouble> {
        // Where TLS is opportunistic and cannot be agreed on, clear text was as good from the
        // start. It is told where mail goes there.
        let begun = Instant::now();
        let connecting = async {
            let opening = Connection::open_as_wished(dial, &self.host, |_| {});
            let opened = timeout_at(deadline, opening).await;
            opened.unwrap_or(Err(ConnectionError::TimedOut)).map(Line::new)
        };
        slot.open(connecting).await.map_err(|(_, error)| {
            self.failed(begun);
            self.trouble(error, "the connection")
        })
    }

    /// It answered the question, if not as one would like.
    pub(super) fn succeeded(&self, line: &mut Line) {
        self.host.succeeded(*line.connection.session().capabilities());
    }

    /// It did not answer.
    pub(super) fn failed(&self, begun: Instant) {
        // One that says at once that nobody is there costs nothing to ask, and whoever is back
        // should be asked at once.
        if begun.elapsed() < FAILURE_TO_BE_SPARED {
            return;
        }
        self.host.failed(clock::now());
    }

    pub(super) fn null_path(&self) -> NullPath {
        match self.null_path.load(Relaxed) {
            0 => NullPath::Unseen,
            1 => NullPath::Taken,
            _ => NullPath::Refused,
        }
    }

    pub(super) fn note_null_path(&self, seen: NullPath) {
        let word = match seen {
            NullPath::Unseen => 0,
            NullPath::Taken => 1,
            NullPath::Refused => 2,
        };
        self.null_path.store(word, Relaxed);
    }

    pub(super) fn note_pace(&self, took: Duration) {
        lock(&self.pace).note(took);
    }

    pub(super) fn tarpits(&self) -> bool {
        lock(&self.pace).tarpits()
    }

    /// What a connection's end means for whoever asked.
    pub(super) fn trouble(&self, error: ConnectionError, waited_for: &str) -> Trouble {
        let name = &self.host.name;
        let cause = match &error {
            ConnectionError::Handshake(error) => cause::of_handshake(error),
            _ => None,
        };
        if let Some(cause) = cause {
            let what = format!("{name}: while {waited_for} was awaited: {}", cause.what);
            return Trouble::new(TroubleKind::Misconfigured, what).remedy(cause.remedy);
        }
        let (kind, remedy) = match &error {
            ConnectionError::Io(_) | ConnectionError::Closed => (TroubleKind::Down, ""),
            ConnectionError::TimedOut => (TroubleKind::Slow, ""),
            ConnectionError::NoRoom(_) => (TroubleKind::Busy, ""),
            ConnectionError::Protocol(_) => {
                (TroubleKind::Down, "`postern probe` shows how the server answers")
            }
            ConnectionError::NoTls => {
                (TroubleKind::Misconfigured, "the server must offer STARTTLS where it is required")
            }
            ConnectionError::Handshake(_) => (
                TroubleKind::Misconfigured,
                "compare the server's certificate with `tls_ca`, `tls_fingerprint` and `tls_name`",
            ),
        };
        Trouble::new(kind, format!("{name}: while {waited_for} was awaited"))
            .remedy(remedy)
            .because(error)
    }

    pub(super) fn out_of_turn(&self, answer: &Answer) -> Lost {
        let what = format!("{}: answered out of turn: {answer:?}", self.host.name);
        Lost { trouble: Trouble::new(TroubleKind::Down, what), hung_up: false }
    }
}
