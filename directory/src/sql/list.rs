//! Lists all addresses of a database for a snapshot, as often as is set. The rows go straight
//! into the snapshot; no more than a few are in memory, however many there are. Takes as long as
//! it takes, while rows come.

use super::super::list::{Failing, Intake, Lister, LoadError, Schedule, Version};
use super::super::live::{Trouble, TroubleKind};
use super::failure::Failure;
use super::mysql::MySqlServer;
use super::postgres::PostgresServer;
use super::remote::{Listed, Remote};
use super::settings::{Database, Mode, Settings};
use super::statement::Statement;
use super::{failure, sqlite_list};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use wire::clock;

/// How long no row may come.
const PATIENCE: Duration = Duration::from_secs(60);
/// After a reading that failed, unless the schedule is quicker.
const RETRY: Duration = Duration::from_secs(60);

/// A database that is listed.
pub struct SqlList {
    name: Arc<str>,
    settings: Settings,
    list: Statement,
    schedule: Schedule,
    /// Rows of the last reading: about as many will come next time.
    rows: AtomicU64,
}

impl SqlList {
    /// Nothing unless the source is to be listed.
    #[must_use]
    pub fn new(settings: &Settings) -> Option<Self> {
        let Mode::Snapshot { every } = settings.mode else { return None };
        Some(Self {
            name: format!("sql {}", settings.name).into(),
            settings: settings.clone(),
            list: settings.list.clone()?,
            schedule: Schedule::new(every, RETRY),
            rows: AtomicU64::new(0),
        })
    }

    /// Connects and prepares the listing, and says in one line what it found. Blocks, within the
    /// time that is set for an answer.
    /// # Errors
    /// When the settings are not right, or the database cannot be reached.
    pub fn try_out(&self) -> Result<String, Trouble> {
        let described = match &self.settings.database {
            Database::Postgres(server) => self.columns(&self.postgres(server)),
            Database::MySql(server) => self.columns(&self.mysql(server)),
            Database::Sqlite(path) => {
                sqlite_list::describe(path, &self.list, self.settings.timeout)
            }
        };
        let names = described.map_err(|failure| self.at_its_place(failure.trouble))?;
        let place = self.settings.database.describe();
        Ok(format!("{place}: the listing gives {}", names.join(", ")))
    }

    fn postgres(&self, server: &super::Server) -> PostgresServer {
        PostgresServer { server: server.clone(), statement_max: self.settings.timeout }
    }

    fn mysql(&self, server: &super::Server) -> MySqlServer {
        MySqlServer { server: server.clone(), statement_max: self.settings.timeout }
    }

    fn columns<R: Remote>(&self, remote: &R) -> Result<Vec<String>, Failure> {
        let described = async {
            let mut connection = remote.connect().await?;
            R::columns(&mut connection, &self.list).await
        };
        runtime()?.block_on(async {
            timeout(self.settings.timeout, described).await.map_err(|_| failure::slow())?
        })
    }

    /// Connects in the time that is set for an answer; then every row resets the clock.
    fn read_remote<R: Remote>(
        &self,
        remote: &R,
        take: impl FnMut(Option<Listed<'_>>) -> bool,
    ) -> Result<(), LoadError> {
        let failed = |failing| move |failure: Failure| self.failed(failing, failure);
        let runtime = runtime().map_err(failed(Failing::Connection))?;
        runtime.block_on(async {
            let connecting = timeout(self.settings.timeout, remote.connect_to_list()).await;
            let connected = connecting.unwrap_or_else(|_| {
                Err(Trouble::new(TroubleKind::Down, "no connection in time").into())
            });
            let mut connection = connected.map_err(failed(Failing::Login))?;
            R::list(&mut connection, &self.list, PATIENCE, take)
                .await
                .map_err(failed(Failing::Query))
        })
    }

    /// `misconfigured` is what was being done when something turned out to be set wrongly.
    fn failed(&self, misconfigured: Failing, failure: Failure) -> LoadError {
        let failing = match failure.trouble.kind {
            TroubleKind::Down | TroubleKind::Busy => Failing::Connection,
            TroubleKind::Slow => Failing::Deadline,
            TroubleKind::Misconfigured => misconfigured,
            TroubleKind::Unexpected => Failing::Answer,
        };
        LoadError::Elsewhere { failing, source: Box::new(self.at_its_place(failure.trouble)) }
    }

    fn at_its_place(&self, mut trouble: Trouble) -> Trouble {
        // What goes wrong with a statement is mostly said of `query`.
        let what = trouble.what.replacen("query:", "list:", 1);
        trouble.what = format!("{}: {what}", self.settings.database.describe());
        trouble
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        Trouble::new(TroubleKind::Down, "no runtime to connect on").because(error).into()
    })
}

impl Lister for SqlList {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn identity(&self) -> String {
        format!("sql {} {}", self.settings.database.describe(), self.list.text)
    }

    fn fingerprint(&self) -> String {
        self.list.text.to_string()
    }

    fn resume(&self, kept: &Version) -> bool {
        self.schedule.resume(kept, clock::unix_nanoseconds())
    }

    fn is_due(&self, now: i64) -> bool {
        self.schedule.is_due(now)
    }

    fn read(&self, intake: &mut Intake<'_>) -> Result<Version, LoadError> {
        let modified_nanoseconds = clock::unix_nanoseconds();
        let mut count = 0;
        intake.reserve(self.rows.load(Relaxed));
        let mut take = |listed: Option<Listed<'_>>| {
            if let Some((address, target)) = listed {
                count += 1;
                intake.take(count, address, target);
            }
            !intake.is_stopped()
        };
        match &self.settings.database {
            Database::Postgres(server) => self.read_remote(&self.postgres(server), &mut take)?,
            Database::MySql(server) => self.read_remote(&self.mysql(server), &mut take)?,
            Database::Sqlite(path) => {
                sqlite_list::list(path, &self.list, self.settings.timeout, PATIENCE, &mut take)
                    .map_err(|failure| self.failed(Failing::Query, failure))?;
            }
        }
        self.rows.store(count, Relaxed);
        Ok(Version { modified_nanoseconds, token: "".into() })
    }

    fn took(&self, read: Result<&Version, &LoadError>, now: i64) {
        self.schedule.took(read, now);
    }
}
