//! What is said over the control socket, as JSON: questions, answers and refusals; of sources that
//! is [`Reports`](crate::observe::reports::Reports). Answers are also what the commands print with
//! `--json`. Fields are added and never change their meaning.

use directory::learned::report::{Doubtful, Why};
use directory::list::Preview;
use directory::load::guard::{Hold, Judgement, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which address, for `lookup` and `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfAddress {
    /// As an operator types it.
    pub address: String,
}

/// The answer for one address, and how it came about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// As it was asked for.
    pub address: String,
    /// `exists`, `bitbucket`, `left`, `unknown`, `unavailable` or `not_ours`.
    pub status: String,
    /// The source or rule that decided.
    pub source: Option<String>,
    /// `address`, `sub_address` or `pattern`.
    pub found_by: Option<String>,
    /// The pattern.
    pub pattern: Option<String>,
    /// What stands before the sub-address separator.
    pub sub_address_base: Option<String>,
    /// The address that the source names for the next hop.
    pub target: Option<String>,
    /// `host:port`, in the order they are tried; of an address that exists.
    pub next_hop: Option<Vec<String>>,
    /// What it hears in RCPT.
    pub next_hop_hears: Option<String>,
    /// Why mail is discarded, or what is said of somebody who left.
    pub detail: Option<String>,
    /// What each source says, asked alone.
    pub sources: Vec<SourceFinding>,
    /// Who was asked until it was decided, in order; rules included.
    #[serde(default)]
    pub trace: Vec<SourceFinding>,
    /// The process that answered; nothing when a command opened the sources itself.
    #[serde(default)]
    pub process_id: Option<u32>,
}

/// What one source or rule said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFinding {
    /// Who.
    pub source: String,
    /// `exists`, `unknown`, `unavailable` or `abstains`; nothing for a rule that did not apply.
    pub answer: Option<String>,
    /// The same in words.
    pub detail: Option<String>,
    /// How long ago the source said so, in seconds.
    pub age_seconds: Option<u64>,
    /// What the source has shown itself to be.
    pub class: Option<String>,
    /// The last trouble with it.
    pub note: Option<String>,
    /// How long ago that was, in seconds; nothing of a list, whose trouble lasts.
    #[serde(default)]
    pub note_age_seconds: Option<u64>,
    /// All of it in one line.
    #[serde(default)]
    pub line: String,
}

/// Which remembered answers to forget: exactly one of address, domain and all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flush {
    /// Those about one address.
    pub address: Option<String>,
    /// Those about a domain.
    pub domain: Option<String>,
    /// All.
    pub all: bool,
    /// Only of this source.
    pub source: Option<String>,
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    /// In all.
    pub forgotten: u64,
    /// By source.
    pub sources: BTreeMap<String, u64>,
}

/// Which source; none is the only one that holds a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfSource {
    /// Its name, or the end of it: `file /etc/users.txt`, `users.txt`, `ad`.
    pub source: Option<String>,
}

/// How far a load is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// The name of the source.
    pub source: String,
    /// Whether it is under way.
    pub is_loading: bool,
    /// Addresses read so far.
    pub taken: Option<u64>,
    /// Entries of the list that is in use, as a guess of how many come.
    pub expected: Option<u64>,
    /// What came of it.
    pub result: Option<Loaded>,
}

/// What came of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Whether all of it is in use now.
    pub is_adopted: bool,
    /// Addresses and patterns that were read: what a confirmation repeats.
    pub entries: Option<u64>,
    /// What is held back.
    pub held: Vec<Held>,
    /// All of it in one line.
    pub line: String,
}

/// Part of a load that is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whose.
    pub domain: String,
    /// Why.
    pub why: String,
    /// Whether a person's word helps.
    pub is_confirmable: bool,
}

impl Held {
    fn new(domain: &mail::address::Domain, hold: &Hold) -> Self {
        let is_confirmable = !matches!(hold, Hold::CanaryMissing(_));
        Self { domain: domain.to_string(), why: hold.to_string(), is_confirmable }
    }
}

impl Loaded {
    /// The last word of a load; what is said of the state directory does not count.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        let of_list = |outcome: &&Outcome| !matches!(outcome, Outcome::CacheFailed { .. });
        let outcome = outcomes.iter().rev().find(of_list)?;
        let entries = match outcome {
            Outcome::Judged { entries, .. } => Some(*entries),
            Outcome::Failed { .. } | Outcome::CacheFailed { .. } => None,
        };
        Some(Self {
            is_adopted: outcome.is_adopted(),
            entries,
            held: outcome.held().map(|(domain, hold)| Held::new(domain, hold)).collect(),
            line: outcome.to_string(),
        })
    }
}

/// What the next load would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The name of the source.
    pub source: String,
    /// Addresses and patterns of all domains: what a confirmation repeats.
    pub entries: u64,
    /// Addresses of domains the source is not read for.
    pub foreign: u64,
    /// Malformed rows that would be passed over.
    pub malformed: u64,
    /// Addresses that come; nothing when there is nothing to compare with.
    pub added: Option<u64>,
    /// Addresses that go.
    pub removed: Option<u64>,
    /// Addresses whose target changes.
    pub retargeted: Option<u64>,
    /// The first of those that come.
    pub added_names: Vec<String>,
    /// Every domain.
    pub domains: Vec<DomainDiff>,
}

/// What the next load would change for one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainDiff {
    /// Which.
    pub domain: String,
    /// Entries in use.
    pub before: Option<u64>,
    /// Entries that were read.
    pub now: u64,
    /// Why it would be held back.
    pub hold: Option<String>,
    /// Whether a person's word helps.
    pub is_confirmable: bool,
}

impl Diff {
    /// Of a list that was read.
    #[must_use]
    pub fn of(source: &str, preview: &Preview) -> Self {
        let counts = preview.differences.as_ref();
        Self {
            source: source.to_owned(),
            entries: preview.entries,
            foreign: preview.foreign,
            malformed: preview.skipped.malformed.count(),
            added: counts.map(|counts| counts.added),
            removed: counts.map(|counts| counts.removed),
            retargeted: counts.map(|counts| counts.retargeted),
            added_names: preview.added.iter().map(ToString::to_string).collect(),
            domains: preview.domains.iter().map(DomainDiff::of).collect(),
        }
    }

    /// Whether any part of it would be held back.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.domains.iter().any(|domain| domain.hold.is_some())
    }

    /// Whether a person's word makes all of it adopted.
    #[must_use]
    pub fn is_confirmable(&self) -> bool {
        self.domains.iter().all(|domain| domain.hold.is_none() || domain.is_confirmable)
    }
}

impl DomainDiff {
    fn of(judged: &Judgement) -> Self {
        Self {
            domain: judged.domain.to_string(),
            before: judged.before,
            now: judged.now,
            hold: judged.hold.as_ref().map(ToString::to_string),
            is_confirmable: !matches!(judged.hold, Some(Hold::CanaryMissing(_))),
        }
    }
}

/// A person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Confirm {
    /// Of which source.
    pub source: String,
    /// That its list is right and has so many entries; nothing that those who turned unknown
    /// have left.
    pub entries: Option<u64>,
    /// Read the list even if nothing is held back: it was replaced just now.
    pub is_new: bool,
}

/// What became of a person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The name of the source.
    pub source: String,
    /// Whether it was taken.
    pub is_taken: bool,
    /// What came of the load, when one was needed.
    pub loaded: Option<Loaded>,
    /// The recipient file, when no process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Where the word was left for a process that starts, when none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For people.
    pub error: String,
}

/// How many addresses to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfReport {
    /// At most.
    pub addresses_max: usize,
}

impl Default for OfReport {
    fn default() -> Self {
        Self { addresses_max: 100 }
    }
}

/// What mail itself has shown of an address: of its own name, and of that without its
/// sub-address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// One for each name.
    pub names: Vec<Why>,
}

/// Whom `learned` would have refused if it were enforced, the most frequent first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// A recipient each.
    pub would_refuse: Vec<Doubtful>,
}
