//! The log as a service: opened before everything else, so that all can tell it, and closed
//! behind it. `Stopped` is its last line.

use super::StartError;
use super::service::{Change, Ending, Service, Staged};
use crate::config::built::Config;
use crate::observe::Observer;
use crate::observe::log::{Log, LogWriter};
use crate::observe::metrics::Metrics;
use crate::observe::write::LineFormat;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown};
use relay::event::ProcessEvent;
use settings::process::LogFormat;
use settings::user::DropTo;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// The log of a process that serves.
pub struct LogService {
    observer: Observer,
    writer: LogWriter,
}

impl LogService {
    /// Opens it.
    /// # Errors
    /// When its file cannot be written.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let (log, writer) = open(config)?;
        Ok(Self {
            observer: Observer {
                log,
                metrics: Arc::new(Metrics::default()),
                repeats: Arc::default(),
            },
            writer,
        })
    }

    /// Takes events, for log and figures.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }
}

impl Service for LogService {
    /// The file may have been moved away to be rotated: from here on it is written where it
    /// belongs.
    fn reload(&self, change: &Change<'_>) -> Result<Staged, String> {
        let Some(path) = change.config.log.file.clone() else { return Ok(Staged::default()) };
        let observer = self.observer.clone();
        Ok(Staged::with(move || {
            observer.log.flush();
            match append_to(&path) {
                Ok(file) => observer.log.reopen(file),
                Err(error) => {
                    let path = path.display().to_string();
                    observer.tell(ProcessEvent::LogRefused, &path, &error.to_string());
                }
            }
        }))
    }

    /// All other handles to it must be gone. Whoever waits for `Stopped` may take the machine
    /// away: nothing is still to be written.
    fn stop(self: Box<Self>, ending: &mut Ending) {
        let Self { observer, writer } = *self;
        observer.tell_repeats(true);
        let detail = format!("{} sessions were cut off", ending.sessions_left);
        observer.tell(ProcessEvent::Stopped, "", &detail);
        drop(observer);
        ending.log_is_whole = writer.close();
    }
}

fn open(config: &Config) -> Result<(Log, LogWriter), StartError> {
    let format = match config.log.format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text => LineFormat::Text,
        LogFormat::Auto if config.log.file.is_none() && io::stdout().is_terminal() => {
            LineFormat::Text
        }
        LogFormat::Auto => LineFormat::Json,
    };
    let started = match &config.log.file {
        None => Log::start(io::stdout(), format, false),
        Some(path) => {
            let file = append_as(path, config.drop_to.as_ref());
            let file = file.map_err(|source| StartError::Log { path: path.clone(), source })?;
            Log::start(file, format, false)
        }
    };
    Ok(started?)
}

/// As [`append_to`], before we become somebody else. The log that is made here belongs to whom we
/// become, who opens it again after a rotation. What is there already stays whose it is, and a link
/// leads nowhere: its folder may be the user's.
fn append_as(path: &Path, whom: Option<&DropTo>) -> io::Result<File> {
    let Some(whom) = whom.filter(|_| Uid::current().is_root()) else { return append_to(path) };
    match OpenOptions::new().create_new(true).append(true).open(path) {
        Ok(file) => {
            fchown(&file, Some(Uid::from_raw(whom.uid)), Some(Gid::from_raw(whom.gid)))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let no_link = OFlag::O_NOFOLLOW.bits();
            OpenOptions::new().append(true).custom_flags(no_link).open(path)
        }
        Err(error) => Err(error),
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
