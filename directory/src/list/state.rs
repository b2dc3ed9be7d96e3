//! What is in use for one domain of a list: snapshot, single changes on top, patterns; and how
//! an address is found in it. Swapped whole by `source.rs`.

pub(super) mod newer;

use crate::load::part::{DomainPart, Load, PatternEntry};
use crate::load::scope::{DomainClass, Scope};
use crate::snapshot::overlay::{Change, Overlay, OverlayFull};
use crate::snapshot::{Entry, Snapshot};
use crate::target::Target;
use crate::{Finding, Matched};
use mail::address::Mailbox;
use relay::settings::LocalPartCase;
use std::sync::Arc;

/// By place in the scope; nothing where nothing was ever adopted.
pub(super) type State = Vec<Option<Arc<DomainState>>>;

/// What is in use for one domain.
#[derive(Clone, Debug)]
pub(super) struct DomainState {
    name: Box<str>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) overlay: Overlay,
    pub(super) patterns: Arc<[PatternEntry]>,
    /// Of a list that is not, nobody is unknown.
    is_whole: bool,
    /// Addresses and patterns, with what changed since.
    pub(super) entries: u64,
    /// Addresses and patterns when the list was last read whole.
    pub(super) entries_read: u64,
    pub(super) modified_nanoseconds: i64,
}

impl DomainState {
    /// The parts of a load, in the order of the scope.
    pub(super) fn of_load(load: Load, scope: &Scope, modified_nanoseconds: i64) -> Vec<Self> {
        let state = |(place, part): (usize, DomainPart)| Self {
            name: scope.canonical(place).into(),
            snapshot: load.snapshot.clone(),
            overlay: Overlay::default(),
            entries: part.entries(),
            entries_read: part.entries(),
            patterns: part.patterns.into(),
            is_whole: load.skipped.elsewhere.is_none(),
            modified_nanoseconds,
        };
        load.parts.into_iter().enumerate().map(state).collect()
    }

    /// Adds or removes one address, its local part in canonical form.
    pub(super) fn change(&mut self, local_part: &[u8], change: Change) -> Result<(), OverlayFull> {
        let hash = self.snapshot.key().hash(local_part, self.name.as_bytes());
        let is_in = match self.overlay.find(hash) {
            Some(change) => *change != Change::Removed,
            None => self.snapshot.find(hash).is_some(),
        };
        let will_be_in = change != Change::Removed;
        self.overlay.change(hash, change)?;
        match (is_in, will_be_in) {
            (false, true) => self.entries += 1,
            (true, false) => self.entries = self.entries.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    /// Whether an address is one of this domain's, which is at `place`, and found.
    pub(super) fn has(&self, scope: &Scope, place: usize, address: &Mailbox) -> bool {
        let Some(domain) = address.host.domain() else { return false };
        if scope.place(domain.as_str().as_bytes()) != DomainClass::Ours(place) {
            return false;
        }
        let mut local_part = address.local_part.as_str().as_bytes().to_vec();
        if scope.domains()[place].case == LocalPartCase::Folded {
            local_part.make_ascii_lowercase();
        }
        matches!(self.find(&local_part, None), Finding::Exists { .. })
    }

    /// The address itself, its base, the patterns: in this order.
    pub(super) fn find(&self, exact: &[u8], base: Option<&[u8]>) -> Finding {
        if let Some(finding) = self.find_address(exact, Matched::Exact) {
            return finding;
        }
        if let Some(finding) = base.and_then(|base| self.find_address(base, Matched::SubAddress)) {
            return finding;
        }
        let entry = self.patterns.iter().find(|PatternEntry { pattern, .. }| {
            pattern.matches(exact) || base.is_some_and(|base| pattern.matches(base))
        });
        let otherwise = if self.is_whole { Finding::Unknown } else { Finding::Unavailable };
        entry.map_or(otherwise, |PatternEntry { pattern, target }| {
            found(target.clone(), Matched::Pattern(pattern.as_str().into()))
        })
    }

    fn find_address(&self, local_part: &[u8], by: Matched) -> Option<Finding> {
        let hash = self.snapshot.key().hash(local_part, self.name.as_bytes());
        let target = match self.overlay.find(hash) {
            Some(Change::Removed) => return None,
            Some(Change::Added(target)) => target.clone(),
            None => match self.snapshot.find(hash)? {
                Entry::Plain => Target::Same,
                Entry::Target(text) => Target::of_stored(Some(text)),
                Entry::Unclear => Target::Unclear,
            },
        };
        Some(found(target, by))
    }
}

/// Mail for an address must not go on without its target.
fn found(target: Target, by: Matched) -> Finding {
    match target {
        Target::Same => Finding::Exists { target: None, by },
        Target::Other(mailbox) => Finding::Exists { target: Some(mailbox), by },
        Target::Unclear => Finding::Unavailable,
    }
}

/// The snapshots in use, each once: domains share one unless a part of a load was held back.
pub(super) fn snapshots(state: &State) -> Vec<&Arc<Snapshot>> {
    let mut snapshots: Vec<&Arc<Snapshot>> = Vec::new();
    for here in state.iter().flatten() {
        if !snapshots.iter().any(|seen| Arc::ptr_eq(seen, &here.snapshot)) {
            snapshots.push(&here.snapshot);
        }
    }
    snapshots
}
