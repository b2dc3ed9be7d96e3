//! What the administrator sees: the log, the figures, and the listener that shows them.

pub mod health;
pub mod log;
pub mod metrics;
pub mod reports;
pub mod server;
pub mod sources;
pub mod write;

use directory::load::guard::Outcome;
use mail::smtp::reply::ReplyId;
use relay::client::Prefix;
use relay::event::repeats::{NO_MAIL, Repeats};
use relay::event::{Event, Kind, ProcessEvent};
use std::sync::{Arc, Mutex};
use wire::clock;
use wire::lock::lock;

/// Where every event goes.
#[derive(Clone)]
pub struct Observer {
    /// The log.
    pub log: log::Log,
    /// The figures.
    pub metrics: Arc<metrics::Metrics>,
    /// Refusals that are told in one line.
    pub repeats: Arc<Mutex<Repeats>>,
}

impl Observer {
    /// Tells the log and counts.
    pub fn record(&self, event: &Event<'_>) {
        self.metrics.count(&event.kind);
        if self.is_logged(event) {
            self.log.record(event);
        }
    }

    /// Whether it is written by itself. What we did for our own networks always is.
    fn is_logged(&self, event: &Event<'_>) -> bool {
        let Some(scene) = event.scene.filter(|scene| !scene.client.limits_lifted) else {
            return true;
        };
        let session = scene.client.session;
        let (reason, id) = match event.kind {
            Kind::Refused { refusal, reply, .. } => (refusal, reply.id()),
            Kind::SessionClosed { delivered: 0, .. } => {
                (NO_MAIL, Some(ReplyId { session, count: 0 }))
            }
            _ => return true,
        };
        let Some(id) = id else { return true };
        let client = Prefix::client(scene.client.address.ip());
        lock(&self.repeats).is_logged(client, reason, id, clock::now())
    }

    /// Tells what was counted instead of written, once the minute is over, or at the end.
    pub fn tell_repeats(&self, is_last: bool) {
        let due = lock(&self.repeats).due(is_last, clock::now());
        for repeated in due {
            self.record(&Event { scene: None, kind: Kind::Repeated(repeated) });
        }
    }

    /// Something about the process.
    pub fn tell(&self, event: ProcessEvent, subject: &str, detail: &str) {
        self.record(&Event { scene: None, kind: Kind::Process { event, subject, detail } });
    }

    /// What came of reading a list of recipients.
    pub fn tell_load(&self, outcome: &Outcome) {
        let (event, source) = match outcome {
            Outcome::Judged { source, .. } if outcome.is_adopted() => {
                (ProcessEvent::RecipientsAdopted, source)
            }
            Outcome::Judged { source, .. } => (ProcessEvent::RecipientsHeld, source),
            Outcome::Failed { source, .. } => (ProcessEvent::RecipientsFailed, source),
            Outcome::CacheFailed { source, .. } => (ProcessEvent::RecipientsCacheFailed, source),
        };
        self.tell(event, source, &outcome.to_string());
    }
}
