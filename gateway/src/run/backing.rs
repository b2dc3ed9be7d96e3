//! What recipient sources need of the process, and what outlives a reload: the store of what they
//! said, and the thread that looks after them.

use super::StartError;
use super::background::Background;
use super::service::{Change, Ending, Service, Staged};
use crate::config::Config;
use crate::observe::Observer;
use directory::Environment;
use directory::Teller;
use directory::learned::Learned;
use directory::snapshot::random_key;
use directory::store::{Store, StoreOutcome};
use directory::trials::Trials;
use relay::event::ProcessEvent;
use std::path::Path;
use std::sync::Arc;

/// Store and background of a process that serves mail.
pub struct Backing {
    store: Store,
    learned: Arc<Learned>,
    trials: Arc<Trials>,
    background: Background,
    tell: Teller,
}

impl Backing {
    /// Opens the store in the state directory, when there is one. A store that cannot be used
    /// costs what is remembered, and is told; mail goes on without it.
    /// # Errors
    /// When there can be no further thread.
    pub fn start(config: &Config, observer: &Observer) -> Result<Self, StartError> {
        let told = observer.clone();
        let tell: Teller =
            Arc::new(move |event, subject, detail| told.tell(event, subject, detail));
        let store = match &config.state_dir {
            Some(directory) => open_store(directory, observer),
            None => Store::none(),
        };
        let learned = Arc::new(learned(&store, observer));
        Ok(Self { store, learned, trials: Arc::default(), background: Background::start()?, tell })
    }

    /// What mail itself has shown; it outlives a reload.
    #[must_use]
    pub fn learned(&self) -> &Arc<Learned> {
        &self.learned
    }

    /// Waits until what sources keep is written; false when that did not come about.
    #[must_use]
    pub fn flush(&self) -> bool {
        self.store.flush()
    }

    /// Where work is done that no client waits for.
    #[must_use]
    pub fn background(&self) -> &tokio::runtime::Handle {
        self.background.handle()
    }

    /// What sources are opened with.
    #[must_use]
    pub fn environment(&self, config: &Config) -> Environment {
        Environment {
            state_directory: config.state_dir.clone(),
            reads_at_once: true,
            new_key: random_key,
            hostname: config.settings.hostname.clone(),
            store: self.store.clone(),
            learned: Arc::clone(&self.learned),
            trials: Arc::clone(&self.trials),
            background: Some(self.background.handle().clone()),
            tell: Arc::clone(&self.tell),
        }
    }
}

impl Service for Arc<Backing> {
    /// Sources that take over read what those before them have kept.
    fn reload(&self, _: &Change<'_>) -> Result<Staged, String> {
        let _ = self.flush();
        Ok(Staged::default())
    }

    /// Where a session is left, somebody still holds the store: what it was told is written all
    /// the same. What keeps it from that has been told.
    fn stop(self: Box<Self>, _: &mut Ending) {
        let _ = self.flush();
    }
}

fn learned(store: &Store, observer: &Observer) -> Learned {
    Learned::open(store.clone()).unwrap_or_else(|error| {
        let shown = store.path().unwrap_or(Path::new("")).display().to_string();
        observer.tell(ProcessEvent::DirectoryStateFailed, &shown, &error.to_string());
        Learned::empty()
    })
}

fn open_store(directory: &Path, observer: &Observer) -> Store {
    let told = observer.clone();
    let tell = move |outcome: StoreOutcome| {
        told.tell(outcome.event(), &outcome.path().display().to_string(), &outcome.to_string());
    };
    Store::open(directory, tell).unwrap_or_else(|error| {
        let shown = directory.display().to_string();
        observer.tell(ProcessEvent::DirectoryStateRefused, &shown, &error.to_string());
        Store::none()
    })
}
