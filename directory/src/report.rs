//! What a source says of itself: for the figures, and as it is for the control socket and the
//! commands. Fields are added and never change their meaning.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a source is and did since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// The word of its class; empty for a source that has none, such as a file.
    pub class: String,
    /// What the class follows from.
    pub why: String,
    /// Domains that list it.
    pub domains: Vec<String>,
    /// Questions asked of it.
    pub asked: u64,
    /// Questions answered from memory.
    pub recalled: u64,
    /// Answers that were believed: there is such an address.
    pub yes: u64,
    /// Answers that were believed: there is none.
    pub no: u64,
    /// Answers that were not believed.
    pub doubted: u64,
    /// Questions without an answer, by kind.
    pub troubles: BTreeMap<String, u64>,
    /// Addresses remembered that exist.
    pub remembered_yes: u64,
    /// Addresses remembered that do not.
    pub remembered_no: u64,
    /// Addresses and patterns it holds, when it holds a list.
    pub entries: Option<u64>,
    /// Whether its last load is held back, so that a person may confirm it.
    pub is_held: bool,
    /// The last trouble with it. Of a list, why it is not in use as it is now.
    pub last_trouble: Option<String>,
    /// How long ago that was, in seconds; nothing of a list, whose trouble lasts.
    #[serde(default)]
    pub last_trouble_age_seconds: Option<u64>,
}
