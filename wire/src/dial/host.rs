//! One host of a next hop, and the circuit breaker that leaves it alone after failures.

use crate::lock::lock;
use crate::server::NextHopHost;
use mail::smtp::extension::Capabilities;
use relay::breaker::{Bounds, Breaker, Change, Permit};
use relay::moment::Moment;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// One server.
#[derive(Debug)]
pub struct Host {
    /// `host:port`, for log and lookups.
    pub name: Arc<str>,
    /// Its name without the port.
    pub host: String,
    breaker: Mutex<Breaker>,
    capabilities: Mutex<Option<Capabilities>>,
    has_failed_at_tls: AtomicBool,
    had_tls: AtomicBool,
}

impl Host {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(host: &NextHopHost, bounds: Bounds) -> Self {
        Self {
            name: host.to_string().into(),
            host: host.host.clone(),
            breaker: Mutex::new(Breaker::new(bounds)),
            capabilities: Mutex::new(None),
            has_failed_at_tls: AtomicBool::new(false),
            had_tls: AtomicBool::new(false),
        }
    }

    /// Whether it may be tried. Of those who ask while it is left alone, one is let through each
    /// time the wait is over.
    #[must_use]
    pub fn may_be_tried(&self, now: Moment) -> bool {
        lock(&self.breaker).permit(now) != Permit::Leave
    }

    /// It greeted us and is ready.
    pub fn succeeded(&self, capabilities: Capabilities) -> Change {
        self.recall(Some(capabilities));
        lock(&self.breaker).succeeded()
    }

    /// It could not be reached, did not greet, or talked nonsense.
    pub fn failed(&self, now: Moment) -> Change {
        lock(&self.breaker).failed(now)
    }

    /// It offered TLS, and the handshake failed; whether that is news.
    pub fn tls_failed(&self) -> bool {
        !self.has_failed_at_tls.swap(true, Relaxed)
    }

    /// A connection to it has TLS or not; whether TLS is gone that the one before had, and no
    /// failed handshake has told so.
    pub fn has_lost_tls(&self, has_tls: bool) -> bool {
        self.had_tls.swap(has_tls, Relaxed) && !has_tls && !self.has_failed_at_tls.load(Relaxed)
    }

    /// What it offered last.
    #[must_use]
    pub fn capabilities(&self) -> Option<Capabilities> {
        *lock(&self.capabilities)
    }

    /// It is a host that was known before a reload: what it offered then still holds.
    pub fn recall(&self, capabilities: Option<Capabilities>) {
        *lock(&self.capabilities) = capabilities;
    }

    /// Whether it is left alone.
    #[must_use]
    pub fn is_down(&self) -> bool {
        lock(&self.breaker).is_down()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_it_is_left_alone_and_tried_by_one_at_a_time() {
        let address = NextHopHost { host: "::1".into(), port: 25 };
        let host = Host::new(&address, Bounds::steady(3, 1_000));
        assert_eq!(&*host.name, "[::1]:25");
        let fail = |at| host.failed(Moment(at));
        assert_eq!((fail(0), fail(0), fail(0)), (Change::None, Change::None, Change::Down));
        assert!(!host.may_be_tried(Moment(999)));
        assert!(host.may_be_tried(Moment(1_000)));
        assert!(!host.may_be_tried(Moment(1_000)));
        assert_eq!(fail(1_000), Change::None);
        assert_eq!(host.succeeded(Capabilities::default()), Change::Up);
        assert!(host.may_be_tried(Moment(1_001)));
    }
}
