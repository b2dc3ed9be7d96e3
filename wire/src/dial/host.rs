//! One host of a next hop, and the circuit breaker that leaves it alone after failures.

use crate::server::NextHopHost;
use mail::smtp::extension::Capabilities;
use relay::moment::Moment;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// One server.
#[derive(Debug)]
pub struct Host {
    /// `host:port`, for log and lookups.
    pub name: Arc<str>,
    /// Its name without the port.
    pub host: String,
    failures: AtomicU32,
    /// Left alone until this moment, in milliseconds.
    left_alone_until: AtomicU64,
    capabilities: Mutex<Option<Capabilities>>,
    has_failed_at_tls: AtomicBool,
}

/// What a success or failure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing worth telling.
    None,
    /// It is left alone from now on.
    Down,
    /// It works again.
    Up,
}

impl Host {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(host: &NextHopHost) -> Self {
        let name = if host.host.contains(':') {
            format!("[{}]:{}", host.host, host.port)
        } else {
            format!("{}:{}", host.host, host.port)
        };
        Self {
            name: name.into(),
            host: host.host.clone(),
            failures: AtomicU32::new(0),
            left_alone_until: AtomicU64::new(0),
            capabilities: Mutex::new(None),
            has_failed_at_tls: AtomicBool::new(false),
        }
    }

    /// Whether it may be tried. Of those who ask while it is being left alone, one is let through
    /// each time the wait is over.
    #[must_use]
    pub fn may_be_tried(&self, now: Moment, retry_milliseconds: u64) -> bool {
        let until = self.left_alone_until.load(Relaxed);
        if until == 0 {
            return true;
        }
        let next = now.plus_milliseconds(retry_milliseconds).0;
        until <= now.0
            && self.left_alone_until.compare_exchange(until, next, Relaxed, Relaxed).is_ok()
    }

    /// It greeted us and is ready.
    pub fn succeeded(&self, capabilities: Capabilities) -> Change {
        *self.capabilities.lock().unwrap_or_else(PoisonError::into_inner) = Some(capabilities);
        self.failures.store(0, Relaxed);
        if self.left_alone_until.swap(0, Relaxed) == 0 { Change::None } else { Change::Up }
    }

    /// It could not be reached, did not greet, or talked nonsense.
    pub fn failed(&self, now: Moment, failures_max: u32, retry_milliseconds: u64) -> Change {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        if failures < failures_max {
            return Change::None;
        }
        let until = now.plus_milliseconds(retry_milliseconds).0.max(1);
        if self.left_alone_until.swap(until, Relaxed) == 0 { Change::Down } else { Change::None }
    }

    /// It offered TLS, and the handshake failed; whether that is news.
    pub fn tls_failed(&self) -> bool {
        !self.has_failed_at_tls.swap(true, Relaxed)
    }

    /// What it offered last.
    #[must_use]
    pub fn capabilities(&self) -> Option<Capabilities> {
        *self.capabilities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is a host that was known before a reload: what it offered then still holds.
    pub fn recall(&self, capabilities: Option<Capabilities>) {
        *self.capabilities.lock().unwrap_or_else(PoisonError::into_inner) = capabilities;
    }

    /// Whether it is being left alone.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.left_alone_until.load(Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_it_is_left_alone_and_tried_by_one_at_a_time() {
        let host = Host::new(&NextHopHost { host: "::1".into(), port: 25 });
        assert_eq!(&*host.name, "[::1]:25");
        let fail = |at| host.failed(Moment(at), 3, 1_000);
        assert_eq!((fail(0), fail(0), fail(0)), (Change::None, Change::None, Change::Down));
        assert!(!host.may_be_tried(Moment(999), 1_000));
        assert!(host.may_be_tried(Moment(1_000), 1_000));
        assert!(!host.may_be_tried(Moment(1_000), 1_000));
        assert_eq!(fail(1_000), Change::None);
        assert_eq!(host.succeeded(Capabilities::default()), Change::Up);
        assert!(host.may_be_tried(Moment(1_001), 1_000));
    }
}
