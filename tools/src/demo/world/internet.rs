//! The rest of the Internet: one server that takes mail for everybody, and keeps count of it.
//! The company's server has it as its smart host.

use super::ndr;
use super::serve::Host;
use crate::demo::wire::Wire;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::reply::Reply;
use mail::smtp::server::Envelope;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use wire::lock::lock;

/// A message with the null reverse-path that came to somebody.
#[derive(Clone, Debug)]
pub struct Notice {
    /// To whom.
    pub to: String,
    /// Whom it says it could not reach.
    pub failed: Vec<String>,
    /// How many had come before it, plus one.
    pub number: u64,
    /// When it came.
    pub at: Instant,
}

/// What has come to the rest of the Internet.
#[derive(Debug)]
pub struct Internet {
    /// The line between it and the company.
    pub wire: Arc<Wire>,
    notices: Mutex<Vec<Notice>>,
    count: AtomicU64,
    domains: Mutex<HashMap<String, u64>>,
}

impl Internet {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            notices: Mutex::default(),
            count: AtomicU64::new(0),
            domains: Mutex::default(),
        }
    }

    /// The notices so far, in the order in which they came.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        lock(&self.notices).clone()
    }

    /// How many notices there were.
    #[must_use]
    pub fn notices_count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Messages by recipient domain, of whatever kind.
    #[must_use]
    pub fn domains(&self) -> HashMap<String, u64> {
        lock(&self.domains).clone()
    }
}

impl Host for Internet {
    fn greeting(&self) -> String {
        "internet.example ESMTP".to_owned()
    }

    fn hello(&self) -> (String, Vec<Cow<'static, str>>) {
        ("internet.example".to_owned(), vec!["PIPELINING".into(), "8BITMIME".into()])
    }

    fn recipient(&self, _: &ForwardPath) -> Result<Reply, Reply> {
        Ok(Reply::bare(250, "OK"))
    }

    fn take(&self, envelope: &Envelope, content: Vec<u8>) -> Reply {
        for path in &envelope.recipients {
            if let Some(domain) = path.mailbox().and_then(|mailbox| mailbox.host.domain()) {
                *lock(&self.domains).entry(domain.to_canonical()).or_default() += 1;
            }
            if envelope.reverse_path == ReversePath::Null {
                let mut notices = lock(&self.notices);
                let number = self.count.fetch_add(1, Relaxed) + 1;
                let failed = ndr::failed_recipients(&content);
                notices.push(Notice { to: path.to_string(), failed, number, at: Instant::now() });
            }
        }
        Reply::bare(250, "OK")
    }

    fn count(&self, received: usize, sent: usize) {
        self.wire.count(sent, received);
    }
}
