//! A server that cannot say no, after Exchange 5.5: every recipient of its domain is taken at
//! RCPT, mailboxes are looked for afterwards, and who is not found is reported to whatever stood
//! in MAIL FROM, through a smart host. It offers neither PIPELINING nor 8BITMIME.

use super::ndr;
use super::serve::Host;
use crate::demo::stream::letter::message_id;
use crate::demo::stream::people::DOMAIN;
use crate::demo::stream::send::{Connection, Fate, Way};
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::reply::Reply;
use mail::smtp::server::Envelope;
use std::borrow::Cow;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wire::lock::lock;

/// Connections that it takes at once, as its default was.
pub const CONNECTIONS_MAX: usize = 30;
/// Connections over which its queue leaves.
pub const OUTBOUND_CONNECTIONS: usize = 4;

/// A report on its way out.
#[derive(Debug)]
pub struct Report {
    to: ForwardPath,
    content: Vec<u8>,
}

/// What the queue is emptied from.
pub type Queue = Arc<tokio::sync::Mutex<UnboundedReceiver<Report>>>;

/// The server.
#[derive(Debug)]
pub struct Legacy {
    mailboxes: HashSet<String>,
    /// Message-ID and mailbox of what was delivered.
    delivered: Mutex<HashSet<(String, String)>>,
    outbound: UnboundedSender<Report>,
    reports: AtomicU64,
    waiting: AtomicU64,
}

impl Legacy {
    /// A server with these mailboxes, and its queue.
    #[must_use]
    pub fn new(mailboxes: &[String]) -> (Self, Queue) {
        let (outbound, queue) = unbounded_channel();
        let legacy = Self {
            mailboxes: mailboxes.iter().cloned().collect(),
            delivered: Mutex::default(),
            outbound,
            reports: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        };
        (legacy, Arc::new(tokio::sync::Mutex::new(queue)))
    }

    /// Whether this message lies in this mailbox.
    #[must_use]
    pub fn has(&self, id: &str, mailbox: &str) -> bool {
        lock(&self.delivered).contains(&(id.to_owned(), mailbox.to_owned()))
    }

    /// Reports that wait in its queue.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    fn report(&self, envelope: &Envelope, failed: &[String], original: &[u8]) {
        // Even this server knew that much (RFC 5321 §4.5.5).
        let ReversePath::Mailbox(sender) = &envelope.reverse_path else { return };
        let number = self.reports.fetch_add(1, Relaxed) + 1;
        let content = ndr::compose(envelope, failed, original, number);
        self.waiting.fetch_add(1, Relaxed);
        let report = Report { to: ForwardPath::Mailbox(sender.clone()), content };
        if self.outbound.send(report).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }
}

impl Host for Legacy {
    fn greeting(&self) -> String {
        format!(
            "exchange.{DOMAIN} ESMTP Server (Microsoft Exchange Internet Mail Service \
             5.5.2653.13) ready"
        )
    }

    fn hello(&self) -> (String, Vec<Cow<'static, str>>) {
        (format!("exchange.{DOMAIN} Hello"), vec!["HELP".into(), "SIZE 0".into()])
    }

    fn recipient(&self, path: &ForwardPath) -> Result<Reply, Reply> {
        let ours = path.mailbox().is_none_or(|mailbox| {
            mailbox.host.domain().is_some_and(|domain| domain.to_canonical() == DOMAIN)
        });
        if ours {
            Ok(Reply::bare(250, format!("OK - Recipient <{path}>")))
        } else {
            Err(Reply::bare(550, "Relaying is prohibited"))
        }
    }

    fn take(&self, envelope: &Envelope, content: Vec<u8>) -> Reply {
        let id = message_id(&content).unwrap_or_default();
        let mut failed = Vec::new();
        for path in &envelope.recipients {
            let name = path.mailbox().map_or("postmaster".to_owned(), |mailbox| {
                mailbox.local_part.as_str().to_ascii_lowercase()
            });
            if name == "postmaster" || self.mailboxes.contains(&name) {
                lock(&self.delivered).insert((id.to_owned(), name));
            } else {
                failed.push(path.to_string());
            }
        }
        if !failed.is_empty() {
            self.report(envelope, &failed, &content);
        }
        Reply::bare(250, "OK")
    }

    fn count(&self, _: usize, _: usize) {}
}

/// One connection's share of the queue, for as long as the server lives.
pub async fn deliver(legacy: Arc<Legacy>, queue: Queue, smart_host: SocketAddr) {
    let Ok(hello) = Domain::new(&format!("exchange.{DOMAIN}")) else { return };
    let patience = Duration::from_secs(60);
    // The smart host counts the octets.
    let way = Way { to: smart_host, from: None, hello, wire: None, patience };
    let mut connection = None;
    loop {
        let next = queue.lock().await.recv().await;
        let Some(report) = next else { return };
        loop {
            if connection.is_none() {
                connection = Connection::open(&way).await.ok();
            }
            if let Some(open) = &mut connection {
                let mut fate = Fate::default();
                let content = || report.content.clone();
                let to = [&report.to];
                let sent = open.transact(&ReversePath::Null, &to, content, &mut fate).await;
                if sent.is_ok() && fate.is_taken() {
                    break;
                }
            }
            connection = None;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        legacy.waiting.fetch_sub(1, Relaxed);
    }
}
