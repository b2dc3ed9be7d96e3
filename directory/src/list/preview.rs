//! Reads a list and adopts nothing: to show what a load would change, or what it holds.

use super::Lister;
use super::source::Listed;
use super::state::{DomainState, snapshots};
use crate::load::preview::Named;
use crate::load::{LoadError, Preview};
use crate::snapshot::Differences;
use std::sync::Arc;

impl Listed {
    /// Reads and judges another list, which is to take the place of this one, and adopts nothing.
    /// Takes its turn with loads.
    /// # Errors
    /// When it cannot be read, or is malformed.
    pub fn preview_of(&self, lister: &dyn Lister) -> Result<Preview, LoadError> {
        let loading = self.lock();
        let state = self.state.load_full();
        let in_use = match snapshots(&state)[..] {
            [only] => Some(Arc::clone(only)),
            _ => None,
        };
        let key = match &in_use {
            Some(in_use) => in_use.key(),
            None => self.new_key()?,
        };
        let named = Named::new(in_use.clone());
        let (load, version, named) = self.read(lister, &loading, key, Some(named), None)?;
        let (entries, foreign, skipped) = (load.entries(), load.foreign, load.skipped.clone());
        let read = Arc::clone(&load.snapshot);
        let new = DomainState::of_load(load, &self.scope, version.modified_nanoseconds);
        let domains = new.iter().enumerate().map(|(place, part)| {
            let old = state[place].as_deref();
            self.judge_part(&loading, place, old, part, false)
        });
        Ok(Preview {
            entries,
            foreign,
            skipped,
            domains: domains.collect(),
            differences: in_use.as_deref().and_then(|old| Differences::between(old, &read)),
            added: named.map_or(Vec::new(), |named| named.added),
            in_use,
            read,
        })
    }
}
