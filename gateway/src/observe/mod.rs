//! What the administrator sees: the log, the figures, and the listener that shows them.

pub mod log;
pub mod metrics;
pub mod reports;
pub mod server;
pub mod sources;
pub mod write;

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
}
