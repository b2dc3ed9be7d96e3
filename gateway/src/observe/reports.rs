//! What all sources and next hops say of themselves: for the figures, and as it is for the control
//! socket and the commands.

use directory::report::SourceReport;
use serde::{Deserialize, Serialize};

/// All sources and next hops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// The process that answers; nothing when none runs.
    pub process_id: Option<u32>,
    /// In the order of the configuration.
    pub sources: Vec<SourceReport>,
    /// `next hop NAME`, in the order of the configuration; only class and why are known.
    #[serde(default)]
    pub next_hops: Vec<SourceReport>,
}
