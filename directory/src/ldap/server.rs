//! One server of a directory: the way to it, its failures, and the binds it has refused.

use super::link::{DialSettings, Link};
use super::trouble::Problem;
use relay::breaker::{Bounds, Breaker};
use relay::moment::Moment;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use wire::clock;

/// After three failures in a row a server is left alone, for longer each time it goes on failing.
const FAILURES: Bounds =
    Bounds { failures_max: 3, wait_milliseconds_min: 1_000, wait_milliseconds_max: 30_000 };

/// How long no bind is tried after one was refused, at first and at most, in milliseconds.
/// Directories lock accounts that bind with a wrong password too often.
const REFUSED_MS_MIN: u64 = 1_000;
const REFUSED_MS_MAX: u64 = 300_000;

/// One server.
pub struct Server {
    /// `host:port`, for logs.
    pub name: String,
    /// Its failures.
    pub breaker: Mutex<Breaker>,
    dial: DialSettings,
    refused: Mutex<Option<Refused>>,
}

/// A bind was refused.
struct Refused {
    problem: Problem,
    /// The file with the password as it was then: another one is tried at once.
    stamp: Option<(SystemTime, u64)>,
    until: Moment,
    wait_ms: u64,
}

impl Server {
    pub(super) fn new(dial: DialSettings) -> Self {
        let bracketed = dial.host.contains(':');
        let host = if bracketed { format!("[{}]", dial.host) } else { dial.host.clone() };
        let name = format!("{host}:{}", dial.port);
        Self { name, breaker: Mutex::new(Breaker::new(FAILURES)), dial, refused: Mutex::default() }
    }

    /// A new connection to it, the so-many-th of its thread; while a refused bind is fresh, the
    /// trouble that it was.
    /// # Errors
    /// When it cannot be reached or refuses us.
    pub async fn open(&self, serial: u64) -> Result<Link, Problem> {
        let stamp = self.dial.bind.as_ref().and_then(|bind| stamp(&bind.password_file));
        if let Some(refused) = self.lock().as_ref()
            && refused.stamp == stamp
            && clock::now() < refused.until
        {
            return Err(refused.problem.clone());
        }
        let opened = Link::open(self.dial.clone(), serial).await;
        let mut refused = self.lock();
        *refused = match &opened {
            Err(problem) if problem.is_refused_bind => {
                let before = refused.take().map_or(0, |refused| refused.wait_ms);
                let wait_ms = (before * 2).clamp(REFUSED_MS_MIN, REFUSED_MS_MAX);
                let until = clock::now().plus_milliseconds(wait_ms);
                Some(Refused { problem: problem.clone(), stamp, until, wait_ms })
            }
            // What failed otherwise says nothing of the password.
            Err(_) => refused.take(),
            Ok(_) => None,
        };
        drop(refused);
        opened
    }

    /// As [`Self::open`], whatever was refused before: a person is waiting to know.
    /// # Errors
    /// When it cannot be reached or refuses us.
    pub async fn open_anyway(&self) -> Result<Link, Problem> {
        *self.lock() = None;
        self.open(0).await
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let described = std::fs::metadata(path).ok()?;
    Some((described.modified().ok()?, described.len()))
}
