//! Single changes since a list was read, for sources that can tell them: put on top of what is in
//! use, unless a guard would hold back what they come to. Everything else about loads is
//! `source.rs`.

use super::source::{Listed, Loading};
use super::state::State;
use super::{Changes, ListChange, Version};
use crate::load::guard::{Outcome, judge};
use std::sync::{Arc, PoisonError};
use wire::clock;

impl Listed {
    /// Takes single changes over; the list is read whole when they cannot say it all, or when a
    /// guard would hold back what they come to.
    pub(super) fn follow(&self, loading: &mut Loading, outcomes: &mut Vec<Outcome>) {
        let Some(version) = loading.version.as_ref().filter(|_| !loading.held) else { return };
        match self.lister.changes(version, clock::unix_nanoseconds()) {
            Ok(Changes::None) => {}
            Ok(Changes::Some { changes, version }) if self.apply(&changes, &version) => {
                loading.version = Some(version);
            }
            Ok(Changes::Some { .. } | Changes::ReadWhole) => self.load(loading, None, outcomes),
            Err(error) => outcomes.push(self.failed(error)),
        }
    }

    /// Whether the changes were made: all of them or none.
    fn apply(&self, changes: &[ListChange], version: &Version) -> bool {
        let _swapping = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.state.load());
        for ListChange { address, change } in changes {
            // As a load does, without what is malformed.
            let Some((place, local_part)) = self.scope.resolve(address.as_bytes()) else {
                continue;
            };
            let Some(here) = &mut state[place] else { continue };
            if Arc::make_mut(here).change(&local_part, change.clone()).is_err() {
                return false;
            }
        }
        for (place, here) in state.iter_mut().enumerate() {
            let Some(here) = here.as_mut().map(Arc::make_mut) else { continue };
            here.modified_nanoseconds = version.modified_nanoseconds;
            let canary = self.scope.domains()[place].canary.as_ref();
            let has_canary = canary.is_none_or(|canary| here.has(&self.scope, place, canary));
            if !has_canary || judge(Some(here.entries_read), here.entries).is_err() {
                return false;
            }
        }
        self.state.store(Arc::new(state));
        true
    }
}
