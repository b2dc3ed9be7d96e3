//! What of the ledger outlives a restart: who is put off, and who has delivered mail within a week.
//! One small file, written whole beside its place and then moved there.

use super::Ledgers;
use relay::client::Prefix;
use relay::event::SessionCost;
use relay::ledger::Summary;
use relay::moment::Moment;
use relay::settings::Harvest;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// No file is longer; what is known of 100,000 clients has 10 MB.
const FILE_OCTETS_MAX: u64 = 64 << 20;
const DAY_SECONDS: u64 = 86_400;

#[derive(Default, Serialize, Deserialize)]
struct StoredClients {
    written_unix_seconds: u64,
    clients: Vec<StoredClient>,
}

#[derive(Serialize, Deserialize)]
struct StoredClient {
    client: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    mail_blocked_seconds: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    notices_blocked_seconds: u32,
    /// The lowest bit is the day on which this was written.
    #[serde(default)]
    days: u8,
}

fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

/// Where it is in a state directory.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("clients.json")
}

/// Writes it; `unix_seconds` is now as well.
/// # Errors
/// When the directory cannot be written to.
pub fn write(
    ledgers: &Ledgers,
    state_dir: &Path,
    harvest: &Harvest,
    now: Moment,
    unix_seconds: u64,
) -> io::Result<()> {
    let clients = ledgers.summaries(true, harvest, now);
    let clients = clients.iter().map(|summary| StoredClient::of(summary, now)).collect();
    let stored = StoredClients { written_unix_seconds: unix_seconds, clients };
    let mut file = tempfile::NamedTempFile::new_in(state_dir)?;
    let mut out = BufWriter::new(&mut file);
    serde_json::to_writer(&mut out, &stored)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_data()?;
    file.persist(path(state_dir)).map(drop).map_err(|error| error.error)
}

/// Reads it, where it is there; how many clients it is about.
/// # Errors
/// When it cannot be read, or was written by nobody.
pub fn read(
    ledgers: &Ledgers,
    state_dir: &Path,
    harvest: &Harvest,
    now: Moment,
    unix_seconds: u64,
) -> io::Result<usize> {
    let file = match File::open(path(state_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let stored: StoredClients = serde_json::from_reader(BufReader::new(file.take(FILE_OCTETS_MAX)))
        .map_err(io::Error::from)?;
    let age = unix_seconds.saturating_sub(stored.written_unix_seconds);
    let known = stored.clients.iter().filter_map(|client| client.summary(age, now));
    let mut count = 0;
    for summary in known.take(harvest.entries_max as usize) {
        ledgers.restore(&summary, age / DAY_SECONDS, harvest, now);
        count += 1;
    }
    Ok(count)
}

impl StoredClient {
    fn of(summary: &Summary, now: Moment) -> Self {
        let left = |until: Moment| {
            u32::try_from(until.milliseconds_since(now).div_ceil(1_000)).unwrap_or(u32::MAX)
        };
        Self {
            client: summary.prefix.to_string(),
            mail_blocked_seconds: left(summary.mail_blocked_until),
            notices_blocked_seconds: left(summary.notices_blocked_until),
            days: summary.days,
        }
    }

    fn summary(&self, age: u64, now: Moment) -> Option<Summary> {
        let prefix: Prefix = self.client.parse().ok()?;
        let until = |seconds: u32| {
            let left = u64::from(seconds).saturating_sub(age);
            if left == 0 { Moment::default() } else { now.plus_milliseconds(left * 1_000) }
        };
        Some(Summary {
            prefix,
            mail_blocked_until: until(self.mail_blocked_seconds),
            notices_blocked_until: until(self.notices_blocked_seconds),
            mail_unknown: 0,
            notices_unknown: 0,
            delivered: 0,
            days: self.days,
            is_known: false,
            cost: SessionCost::default(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_long_after_a_restart_as_it_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let harvest = Harvest::default();
        let (before, after) = (Ledgers::new().unwrap(), Ledgers::new().unwrap());
        let prefix: Prefix = "2001:db8:1::/48".parse().unwrap();
        let stored = StoredClient {
            client: prefix.to_string(),
            mail_blocked_seconds: 600,
            notices_blocked_seconds: 0,
            days: 0b11,
        };
        before.restore(&stored.summary(0, Moment(0)).unwrap(), 0, &harvest, Moment(0));
        write(&before, folder.path(), &harvest, Moment(0), 1_000).unwrap();
        assert_eq!(read(&after, folder.path(), &harvest, Moment(5_000), 1_100).unwrap(), 1);
        let summary = after.summary(prefix, &harvest, Moment(5_000)).unwrap();
        assert_eq!(summary.mail_blocked_until, Moment(505_000));
        assert!(summary.is_known && summary.notices_blocked_until == Moment(0));
    }

    #[test]
    fn what_is_damaged_is_an_error_and_what_is_not_there_is_none() {
        let (folder, ledgers) = (tempfile::tempdir().unwrap(), Ledgers::new().unwrap());
        let read = || read(&ledgers, folder.path(), &Harvest::default(), Moment(0), 0);
        assert_eq!(read().unwrap(), 0);
        std::fs::write(path(folder.path()), "{\"written").unwrap();
        assert!(read().is_err());
    }
}
