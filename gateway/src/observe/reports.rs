//! What sources and next hops say of themselves, for the figures and for the commands.

pub use directory::report::SourceReport;

/// What a next hop has shown, for `postern recipients sources`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NextHopReport {
    /// Its name.
    pub name: String,
    /// The word of its class.
    pub class: &'static str,
    /// What it follows from.
    pub why: String,
}
