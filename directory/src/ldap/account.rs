//! The account that a directory is asked with: how often a password that was refused is tried
//! again, by all threads on all servers together. Directories lock accounts after a few wrong
//! passwords, Active Directory mostly after five within half an hour, whichever server heard them.
//! Connections are in `link/`, what an answer to a bind means in `trouble.rs`.
//! Limits: a bind that is never answered counts as none; that server's breaker holds further ones
//! back.

use super::trouble::{Problem, Refusal};
use relay::moment::Moment;
use std::collections::HashMap;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use wire::clock;
use wire::lock::lock;

/// Binds that are refused, since one was let in, before no more is tried.
const REFUSED_MAX: u32 = 2;
/// The same on a server that has let this very password in: another one that knows us not, or
/// lags behind, must not cost us the one that does.
const REFUSED_WHERE_ACCEPTED_MAX: u32 = 3;
/// How long none is tried after that, unless the password file changes, in milliseconds.
const WRONG_PASSWORD_MS: u64 = 6 * 3_600_000;
/// The same where it is not the password that is wrong, in milliseconds: a person mends the
/// account, or it is unlocked by itself.
const UNFIT_ACCOUNT_MS: u64 = 300_000;

/// The password file as it was: whoever touches it or writes it anew wants it tried again. Of the
/// password itself only a hash is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    octets: u64,
    hash: u64,
}

impl Stamp {
    /// What is told of the file, and what it holds.
    #[must_use]
    pub fn new(described: &Metadata, password: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        password.hash(&mut hasher);
        Self {
            modified: (described.mtime(), described.mtime_nsec()),
            changed: (described.ctime(), described.ctime_nsec()),
            octets: described.size(),
            hash: hasher.finish(),
        }
    }
}

/// What all connections of one source share.
#[derive(Debug, Default)]
pub struct Account {
    ledger: Mutex<Ledger>,
    /// Told when a bind has ended, for those who wait to try theirs.
    ended: Notify,
}

impl Account {
    /// Whether a bind may be tried with this password, for now.
    /// # Errors
    /// Why it was refused, when that is so often or so lately that it may not.
    pub fn permits(&self, server: &str, stamp: &Stamp) -> Result<(), Problem> {
        lock(&self.ledger).permits(server, stamp, clock::now())
    }

    /// Leave to bind. Waits while the binds that are under way could all be refused, and no more
    /// may be.
    /// # Errors
    /// As [`Self::permits`].
    pub async fn attempt(
        self: &Arc<Self>,
        server: &Arc<str>,
        stamp: &Stamp,
    ) -> Result<Attempt, Problem> {
        loop {
            let mut ended = pin!(self.ended.notified());
            // From here on: one that ends while we look is not missed.
            ended.as_mut().enable();
            if lock(&self.ledger).begin(server, stamp, clock::now())? {
                return Ok(Attempt {
                    account: Arc::clone(self),
                    server: Arc::clone(server),
                    stamp: stamp.clone(),
                });
            }
            ended.await;
        }
    }
}

/// A bind that is under way, or is about to be.
#[derive(Debug)]
pub struct Attempt {
    account: Arc<Account>,
    server: Arc<str>,
    stamp: Stamp,
}

impl Attempt {
    /// It was let in.
    pub fn accepted(self) {
        lock(&self.account.ledger).accepted(&self.server, &self.stamp);
    }

    /// It was not. Says so, and for how long no more is tried, when that is so.
    #[must_use]
    pub fn refused(self, problem: Problem) -> Problem {
        lock(&self.account.ledger).refused(&self.server, &self.stamp, problem, clock::now())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        lock(&self.account.ledger).under_way -= 1;
        self.account.ended.notify_waiters();
    }
}

/// What came of the binds with the password that the file holds.
#[derive(Debug, Default)]
struct Ledger {
    stamp: Option<Stamp>,
    servers: HashMap<Arc<str>, Heard>,
    /// Refused by any server since one let us in.
    refused: u32,
    under_way: u32,
    last: Option<Last>,
}

/// What one server has said to it.
#[derive(Debug, Default)]
struct Heard {
    has_accepted: bool,
    /// How often it refused since then.
    refused: u32,
}

/// The last refusal.
#[derive(Debug)]
struct Last {
    server: Arc<str>,
    problem: Problem,
    /// What was counted until then counts no more.
    until: Moment,
}

impl Ledger {
    /// Counts anew for another password, and when the time is over.
    fn look(&mut self, stamp: &Stamp, now: Moment) {
        let is_over = self.last.as_ref().is_some_and(|last| now >= last.until);
        if is_over || self.stamp.as_ref() != Some(stamp) {
            let under_way = self.under_way;
            *self = Self { stamp: Some(stamp.clone()), under_way, ..Self::default() };
        }
    }

    /// How many more may be refused by this server: by itself, and by all together.
    fn room(&self, server: &str) -> u32 {
        let (has_accepted, refused) = match self.servers.get(server) {
            Some(heard) => (heard.has_accepted, heard.refused),
            None => (false, 0),
        };
        let max = if has_accepted { REFUSED_WHERE_ACCEPTED_MAX } else { REFUSED_MAX };
        max.saturating_sub(self.refused).min(REFUSED_MAX.saturating_sub(refused))
    }

    fn permits(&mut self, server: &str, stamp: &Stamp, now: Moment) -> Result<(), Problem> {
        self.look(stamp, now);
        match &self.last {
            Some(last) if self.room(server) == 0 => {
                let mut problem = last.problem.clone();
                if *last.server != *server {
                    problem.what =
                        format!("is not asked, since {} said: {}", last.server, problem.what);
                }
                Err(problem)
            }
            _ => Ok(()),
        }
    }

    /// Whether one has begun; else there is nothing for it but to wait.
    fn begin(&mut self, server: &str, stamp: &Stamp, now: Moment) -> Result<bool, Problem> {
        self.permits(server, stamp, now)?;
        let begins = self.under_way < self.room(server);
        self.under_way += u32::from(begins);
        Ok(begins)
    }

    fn accepted(&mut self, server: &Arc<str>, stamp: &Stamp) {
        if self.stamp.as_ref() == Some(stamp) {
            self.refused = 0;
            self.servers.insert(Arc::clone(server), Heard { has_accepted: true, refused: 0 });
        }
    }

    fn refused(
        &mut self,
        server: &Arc<str>,
        stamp: &Stamp,
        mut problem: Problem,
        now: Moment,
    ) -> Problem {
        if self.stamp.as_ref() != Some(stamp) {
            return problem;
        }
        self.refused += 1;
        let heard = self.servers.entry(Arc::clone(server)).or_default();
        heard.refused += 1;
        heard.has_accepted = false;
        let (rest, words) = match problem.refusal {
            Some(Refusal::Account) => (UNFIT_ACCOUNT_MS, "5 minutes"),
            _ => (WRONG_PASSWORD_MS, "6 hours"),
        };
        if self.room(server) == 0 {
            let what = &problem.what;
            problem.what = format!(
                "{what}; lest the account be locked, none is tried for {words}, unless \
                 `password_file` is written or touched"
            );
        }
        let until = now.plus_milliseconds(rest);
        self.last = Some(Last { server: Arc::clone(server), problem: problem.clone(), until });
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::super::trouble::{Asked, of_code};
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn stamp(hash: u64) -> Stamp {
        Stamp { modified: (1, 0), changed: (1, 0), octets: 6, hash }
    }

    fn wrong() -> Problem {
        of_code(Asked::Bind, 49, "AcceptSecurityContext error, data 52e, v1")
    }

    fn locked() -> Problem {
        of_code(Asked::Bind, 49, "AcceptSecurityContext error, data 775, v1")
    }

    /// How many binds are tried within so many minutes by one who asks each second.
    fn tried(ledger: &mut Ledger, from: u64, minutes: u64, problem: &Problem) -> usize {
        let server: Arc<str> = "dc1".into();
        let mut tried = 0;
        for second in 0..minutes * 60 {
            let now = Moment(from + second * 1_000);
            if ledger.begin(&server, &stamp(1), now) == Ok(true) {
                tried += 1;
                drop(ledger.refused(&server, &stamp(1), problem.clone(), now));
                ledger.under_way -= 1;
            }
        }
        tried
    }

    #[test]
    fn a_wrong_password_is_tried_twice_in_six_hours() {
        let mut ledger = Ledger::default();
        assert_eq!(tried(&mut ledger, 0, 6 * 60, &wrong()), 2);
        assert_eq!(tried(&mut ledger, 6 * HOUR + 2_000, 6 * 60, &wrong()), 2);
    }

    #[test]
    fn an_account_that_is_locked_is_tried_again_after_five_minutes() {
        assert_eq!(tried(&mut Ledger::default(), 0, 30, &locked()), 12);
    }

    #[test]
    fn no_more_are_under_way_than_may_be_refused() {
        let (mut ledger, server) = (Ledger::default(), Arc::from("dc1"));
        let begin =
            |ledger: &mut Ledger| ledger.begin(&server, &stamp(1), Moment(0)).map_err(|p| p.kind);
        assert_eq!([begin(&mut ledger), begin(&mut ledger)], [Ok(true), Ok(true)]);
        assert_eq!(begin(&mut ledger), Ok(false));
        let dc1 = Arc::from("dc1");
        drop(ledger.refused(&dc1, &stamp(1), wrong(), Moment(0)));
        ledger.under_way -= 1;
        assert_eq!(begin(&mut ledger), Ok(false));
        ledger.accepted(&dc1, &stamp(1));
        ledger.under_way -= 1;
        // Also of a password that was right until now.
        let begun = [(); 3].map(|()| begin(&mut ledger));
        assert_eq!(begun, [Ok(true), Ok(true), Ok(false)]);
    }

    #[test]
    fn a_server_that_took_the_password_may_be_asked_once_more_than_others() {
        let mut ledger = Ledger::default();
        let [dc1, dc2]: [Arc<str>; 2] = ["dc1".into(), "dc2".into()];
        let begin = |ledger: &mut Ledger, server| {
            let begun = ledger.begin(server, &stamp(1), Moment(0)).map_err(|p| p.kind);
            ledger.under_way = 0;
            begun
        };
        assert_eq!(begin(&mut ledger, &dc1), Ok(true));
        ledger.accepted(&dc1, &stamp(1));
        for _ in 0..2 {
            assert_eq!(begin(&mut ledger, &dc2), Ok(true));
            drop(ledger.refused(&dc2, &stamp(1), wrong(), Moment(0)));
        }
        assert!(begin(&mut ledger, &dc2).is_err());
        assert_eq!(begin(&mut ledger, &dc1), Ok(true));
        drop(ledger.refused(&dc1, &stamp(1), wrong(), Moment(0)));
        assert!(begin(&mut ledger, &dc1).is_err(), "three in all");
    }

    #[test]
    fn what_was_said_of_another_password_says_nothing_of_this_one() {
        let (mut ledger, dc1) = (Ledger::default(), Arc::from("dc1"));
        assert_eq!(ledger.begin(&dc1, &stamp(1), Moment(0)), Ok(true));
        assert_eq!(ledger.begin(&dc1, &stamp(2), Moment(0)), Ok(true));
        drop(ledger.refused(&dc1, &stamp(1), wrong(), Moment(0)));
        assert_eq!(ledger.refused, 0);
    }
}
