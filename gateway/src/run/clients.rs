//! What is known of clients, over a restart: read at the start, written now and then and at the
//! end. Without it nobody is put off and nobody is known after a restart; mail goes on.

use super::service::{Change, Ending, Service, Staged};
use crate::ledgers::stored;
use crate::state::State;
use relay::event::ProcessEvent;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use wire::clock;

/// Between two writings.
const INTERVAL: Duration = Duration::from_secs(60);

/// Keeps it; nothing without a state directory.
pub struct ClientService(Option<Keeping>);

struct Keeping {
    state_dir: PathBuf,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl ClientService {
    /// Reads what was kept, and begins to keep it.
    #[must_use]
    pub fn start(state_dir: Option<&Path>, state: &Arc<State>, background: &Handle) -> Self {
        let Some(state_dir) = state_dir else { return Self(None) };
        let harvest = state.active.load().config.settings.harvest.clone();
        let (now, unix) = (clock::now(), clock::unix_seconds());
        if let Err(error) = stored::read(&state.ledgers, state_dir, &harvest, now, unix) {
            tell(state, state_dir, &error);
        }
        let (weak, folder) = (Arc::downgrade(state), state_dir.to_owned());
        let task = background.spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let Some(state) = weak.upgrade() else { return };
                write(&state, &folder);
            }
        });
        Self(Some(Keeping { state_dir: state_dir.to_owned(), state: Arc::clone(state), task }))
    }
}

impl Service for ClientService {
    fn reload(&self, _: &Change<'_>) -> Result<Staged, String> {
        Ok(Staged::default())
    }

    fn stop(self: Box<Self>, _: &mut Ending) {
        if let Some(Keeping { state_dir, state, task }) = self.0 {
            task.abort();
            write(&state, &state_dir);
        }
    }
}

fn write(state: &State, state_dir: &Path) {
    let harvest = state.active.load().config.settings.harvest.clone();
    let (now, unix) = (clock::now(), clock::unix_seconds());
    if let Err(error) = stored::write(&state.ledgers, state_dir, &harvest, now, unix) {
        tell(state, state_dir, &error);
    }
}

fn tell(state: &State, state_dir: &Path, error: &std::io::Error) {
    let path = stored::path(state_dir).display().to_string();
    state.observer.tell(ProcessEvent::ClientsNotKept, &path, &error.to_string());
}
