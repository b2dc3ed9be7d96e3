//! Postern as an administrator would install it: ten lines of configuration and a list of users,
//! written to a folder of their own; in this process, by the same way as `postern run`.

use super::DemoError;
use super::stream::people::DOMAIN;
use gateway::config::Config;
use gateway::run::Running;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for sessions to end.
const SETTLE_MAX: Duration = Duration::from_secs(3);
/// After this long the log holds what has happened.
const LOG_PAUSE: Duration = Duration::from_millis(250);

/// A Postern that runs.
pub struct Installed {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its log.
    pub log: PathBuf,
    running: Running,
    folder: TempDir,
}

impl Installed {
    /// Writes the files and starts it.
    /// # Errors
    /// When the folder cannot be written, or Postern does not start.
    pub fn start(mailboxes: &[String], next_hop: SocketAddr) -> Result<Self, DemoError> {
        let folder = tempfile::Builder::new().prefix("postern-demo-").tempdir()?;
        let users: String = mailboxes.iter().map(|name| format!("{name}@{DOMAIN}\n")).collect();
        std::fs::write(folder.path().join("users.txt"), users)?;
        let path = folder.path().join("postern.toml");
        std::fs::write(&path, configuration(next_hop))?;
        let config = Config::load(&path)
            .map_err(|mistakes| DemoError::Configuration(mistakes.render(80, false)))?;
        let running = Running::start(config)?;
        let address = *running.addresses.first().ok_or(DemoError::Listener)?;
        Ok(Self { address, log: folder.path().join("postern.log"), running, folder })
    }

    /// Waits until nobody is connected and the log is written, but not for long: whoever hung up
    /// while being made to wait is missed only when the wait is over.
    pub async fn settle(&self) {
        let until = Instant::now() + SETTLE_MAX;
        while self.running.state().slots.taken() > 0 && Instant::now() < until {
            tokio::time::sleep(LOG_PAUSE / 10).await;
        }
        tokio::time::sleep(LOG_PAUSE).await;
    }

    /// Stops it. The folder with its log is kept for those who want to read it, or removed.
    pub async fn stop(self, keep: bool) {
        let Self { running, mut folder, .. } = self;
        // It waits for its threads.
        let _ = tokio::task::spawn_blocking(move || running.stop()).await;
        folder.disable_cleanup(keep);
    }
}

/// The least configuration; only the last table is more, and no policy.
#[must_use]
pub fn configuration(next_hop: SocketAddr) -> String {
    format!(
        "hostname = \"mx.{DOMAIN}\"\n\n\
         [[listener]]\n\
         address = \"127.0.0.1:0\"\n\n\
         [[domain]]\n\
         name = \"{DOMAIN}\"\n\
         next_hop = \"{next_hop}\"\n\
         recipients = [{{ file = \"users.txt\" }}]\n\n\
         [log]\n\
         file = \"postern.log\"\n\
         format = \"text\"\n"
    )
}
