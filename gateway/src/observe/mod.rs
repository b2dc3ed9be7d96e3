//! What the administrator sees: the log, the figures, and the listener that shows them.

pub mod log;
pub mod metrics;
pub mod reports;
pub mod server;
pub mod sources;
pub mod write;

use directory::load::guard::Outcome;
use relay::event::{Event, Kind, ProcessEvent};
use std::sync::Arc;

/// Where every event goes.
#[derive(Clone)]
pub struct Observer {
    /// The log.
    pub log: log::Log,
    /// The figures.
    pub metrics: Arc<metrics::Metrics>,
}

impl Observer {
    /// Tells the log and counts.
    pub fn record(&self, event: &Event<'_>) {
        self.metrics.count(&event.kind);
        self.log.record(event);
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
