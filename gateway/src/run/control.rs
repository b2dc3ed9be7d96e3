//! The control socket as a service. One that cannot be had costs the commands, and is told; mail
//! goes on without it.

use super::backing::Backing;
use super::build::Watched;
use super::service::{Change, Ending, Service, Staged};
use crate::control::server::Server;
use crate::control::socket_path;
use crate::control::work::Work;
use crate::state::State;
use relay::event::ProcessEvent;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What commands ask; nothing without a state directory.
pub struct ControlService {
    server: Option<Server>,
}

impl ControlService {
    /// Opens the socket in the state directory.
    #[must_use]
    pub fn start(
        state_directory: Option<&Path>,
        state: &Arc<State>,
        watched: &Arc<Mutex<Watched>>,
        backing: &Backing,
    ) -> Self {
        let start = |directory| {
            let work = Work::new(state, Watched::asked(watched));
            match Server::start(directory, work, backing.background()) {
                Ok(server) => Some(server),
                Err(error) => {
                    let path = socket_path(directory).display().to_string();
                    state.observer.tell(ProcessEvent::ControlRefused, &path, &error.to_string());
                    None
                }
            }
        };
        Self { server: state_directory.and_then(start) }
    }
}

impl Service for ControlService {
    /// It answers for what is in force, whatever that is.
    fn reload(&self, _: &Change<'_>) -> Result<Staged, String> {
        Ok(Staged::default())
    }

    fn stop(self: Box<Self>, _: &mut Ending) {
        drop(self.server);
    }
}
