//! One host that is asked: its limits, its idle connections, and what it has shown of its manners.
//! A connection belongs to the thread that opened it, since its socket is watched there.

use super::line::{Line, Lost};
use super::pace::{Pace, Rate};
use crate::clock;
use crate::directory::live::{Trouble, TroubleKind};
use crate::next_hop::connection::{Connection, ConnectionError};
use crate::next_hop::host::Host;
use crate::next_hop::place::{ThreadId, this_thread};
use crate::next_hop::way::Way;
use crate::settings::server::NextHopHost;
use mail::smtp::client::Answer;
use relay::moment::Moment;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Failures that took as long count: only they cost those who wait.
const FAILURE_TO_BE_SPARED: Duration = Duration::from_millis(200);
/// Failures in a row after which a host is left alone.
const FAILURES_MAX: u32 = 3;

/// How long it is left alone, in milliseconds: short, since who is back should be asked at once.
const LEFT_ALONE_MILLISECONDS: u64 = 1_000;

/// One host.
pub(super) struct AskedHost {
    pub(super) host: Arc<Host>,
    turns: Semaphore,
    turns_max: usize,
    rate: Mutex<Rate>,
    pace: Mutex<Pace>,
    null_path: AtomicU8,
    idle: Mutex<HashMap<ThreadId, Idle>>,
}

/// Connections of one thread that nobody uses.
#[derive(Default)]
struct Idle {
    lines: Vec<Line>,
    is_swept: bool,
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
    ) -> Self {
        let turns_max = usize::try_from(concurrency_max).unwrap_or(1).max(1);
        Self {
            host: Arc::new(Host::new(host)),
            turns: Semaphore::new(turns_max),
            turns_max,
            rate: Mutex::new(Rate::new(questions_per_second_max)),
            pace: Mutex::default(),
            null_path: AtomicU8::new(0),
            idle: Mutex::default(),
        }
    }

    /// A turn to ask, as soon as the limits allow.
    pub(super) async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Trouble> {
        if !self.host.may_be_tried(clock::now(), LEFT_ALONE_MILLISECONDS) {
            let what = format!("{}: left alone for a second after failures", self.host.name);
            return Err(Trouble::new(TroubleKind::Down, what));
        }
        let busy = |limit: &str| {
            let what = format!("{}: {limit} is reached, and no turn in time", self.host.name);
            Trouble::new(TroubleKind::Busy, what)
        };
        // First how often, which is known at once: so nobody waits in vain, and of those who wait
        // for a connection there are never more than come within one deadline.
        let next = lock(&self.rate).next(Instant::now().into_std(), deadline.into_std());
        let next = next.ok_or_else(|| busy("`questions_per_second_max`"))?;
        sleep_until(next.into()).await;
        match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(busy("`concurrency_max`")),
        }
    }

    /// An idle connection of this thread that still works.
    pub(super) async fn take_idle(&self, way: &Way) -> Option<Line> {
        loop {
            let mut line = lock(&self.idle).get_mut(&this_thread())?.lines.pop()?;
            if line.may_go_on(way, clock::now()) && line.connection.is_alive().await {
                return Some(line);
            }
        }
    }

    /// A new connection. Those in use and those that rest are together no more than may be in use.
    pub(super) async fn connect(&self, way: &Way, deadline: Instant) -> Result<Line, Trouble> {
        self.make_room();
        // Where TLS is opportunistic and cannot be agreed on, clear text was as good from the
        // start. It is told where mail goes there.
        let begun = Instant::now();
        let opening = Connection::open_as_wished(way, &self.host, |_| {});
        let opened = match timeout_at(deadline, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectionError::TimedOut),
        };
        match opened {
            Ok(connection) => Ok(Line::new(connection)),
            Err(error) => {
                self.failed(begun);
                Err(self.trouble(error, "the connection"))
            }
        }
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
        self.host.failed(clock::now(), FAILURES_MAX, LEFT_ALONE_MILLISECONDS);
    }

    fn make_room(&self) {
        let in_use = self.turns_max.saturating_sub(self.turns.available_permits());
        let mut idle = lock(&self.idle);
        let rest: usize = idle.values().map(|idle| idle.lines.len()).sum();
        let evicted = if in_use + rest > self.turns_max {
            idle.values_mut().find_map(|idle| idle.lines.pop())
        } else {
            None
        };
        drop(idle);
        drop(evicted);
    }

    /// Keeps a connection for the next question, or says goodbye.
    pub(super) fn keep(self: &Arc<Self>, mut line: Line, way: &Arc<Way>) {
        let now = clock::now();
        line.connection.rest(now);
        if !line.connection.session().is_idle() {
            return;
        }
        if !line.may_go_on(way, now) {
            tokio::spawn(line.connection.quit());
            return;
        }
        line.is_used = true;
        let mut idle = lock(&self.idle);
        let own = idle.entry(this_thread()).or_default();
        own.lines.push(line);
        if !std::mem::replace(&mut own.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), Arc::clone(way)));
        }
    }

    /// Closes what has rested for too long on this thread; whether anything is left.
    fn close_old(&self, way: &Way, now: Moment) -> bool {
        let mut idle = lock(&self.idle);
        let own = idle.entry(this_thread()).or_default();
        let (keep, old) = own.lines.drain(..).partition(|line| line.may_go_on(way, now));
        own.lines = keep;
        own.is_swept = !own.lines.is_empty();
        let is_left = own.is_swept;
        drop(idle);
        let old: Vec<Line> = old;
        for line in old {
            tokio::spawn(line.connection.quit());
        }
        is_left
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

/// Looks after the idle connections of one thread until there are none, or nobody asks any more.
async fn sweep(host: std::sync::Weak<AskedHost>, way: Arc<Way>) {
    loop {
        tokio::time::sleep(way.bounds.idle_max / 2).await;
        let Some(host) = host.upgrade() else { return };
        if !host.close_old(&way, clock::now()) {
            return;
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
