//! What the mail costs on the line.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Octets of SMTP, replies included, over the line between the company and the Internet.
#[derive(Debug, Default)]
pub struct Wire {
    inbound: AtomicU64,
    outbound: AtomicU64,
}

impl Wire {
    /// Adds what the Internet has sent and received.
    pub fn count(&self, sent: usize, received: usize) {
        self.inbound.fetch_add(sent as u64, Relaxed);
        self.outbound.fetch_add(received as u64, Relaxed);
    }

    /// Octets into the company.
    #[must_use]
    pub fn inbound(&self) -> u64 {
        self.inbound.load(Relaxed)
    }

    /// Octets out of it.
    #[must_use]
    pub fn outbound(&self) -> u64 {
        self.outbound.load(Relaxed)
    }
}
