//! Loads that somebody asked for: started on a thread that may block, one at a time for each
//! source, and asked about while they go on. What came of the last one is kept.

use super::message::{Loaded, Sync};
use directory::load::guard::Outcome;
use directory::watch::give_way;
use directory::{RecipientList, RecipientSource};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use wire::lock::lock;

/// Loads, previews and confirmations at a time: each may hold a thread for long, and one of the
/// background's four threads is to stay free.
const LOADS_MAX: usize = 3;

/// What is under way, and what came of it.
#[derive(Debug)]
pub struct Loads {
    /// How many more may begin.
    pub slots: Arc<Semaphore>,
    by_source: Mutex<HashMap<String, Load>>,
}

#[derive(Debug)]
enum Load {
    UnderWay,
    Done(Option<Loaded>),
}

impl Default for Loads {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(LOADS_MAX)), by_source: Mutex::default() }
    }
}

impl Loads {
    /// Begins to read a source on a thread of the current runtime, unless that goes on already;
    /// `tell` gets what came of it. False when too many are under way.
    pub fn begin(
        self: &Arc<Self>,
        source: &Arc<dyn RecipientSource>,
        tell: impl FnOnce(&[Outcome]) + Send + 'static,
    ) -> bool {
        let name = source.name().to_string();
        let mut by_source = lock(&self.by_source);
        if matches!(by_source.get(&name), Some(Load::UnderWay)) {
            return true;
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return false };
        by_source.insert(name.clone(), Load::UnderWay);
        drop(by_source);
        let (loads, source) = (Arc::clone(self), Arc::clone(source));
        // Not counted as under way any more, whatever becomes of the thread.
        let mut end = End { loads, name, loaded: None };
        tokio::task::spawn_blocking(move || {
            give_way();
            let outcomes = source.list().map_or_else(Vec::new, |list| list.reload(None));
            tell(&outcomes);
            end.loaded = Loaded::of(&outcomes);
            drop((end, slot));
        });
        true
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self, source: &dyn RecipientSource) -> Sync {
        let taken = source.list().and_then(RecipientList::progress);
        let by_source = lock(&self.by_source);
        let (is_loading, result) = match by_source.get(&**source.name()) {
            Some(Load::UnderWay) => (true, None),
            Some(Load::Done(loaded)) => (false, loaded.clone()),
            None => (taken.is_some(), None),
        };
        Sync {
            source: source.name().to_string(),
            is_loading,
            taken,
            expected: source.report().entries,
            result,
        }
    }
}

struct End {
    loads: Arc<Loads>,
    name: String,
    loaded: Option<Loaded>,
}

impl Drop for End {
    fn drop(&mut self) {
        let done = Load::Done(self.loaded.take());
        lock(&self.loads.by_source).insert(std::mem::take(&mut self.name), done);
    }
}
