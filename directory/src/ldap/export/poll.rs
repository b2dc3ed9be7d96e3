//! Asks a directory what changed since its list was read, and how often that is done: as set, and
//! ever more rarely while all that comes of it is that everything must be read anew.

use super::followed::{Followed, Seen};
use super::{Entries, LdapList, Mark, Problem, Token, failure, root, sync, usn};
use crate::list::{Changes, Failing, LoadError, Version};
use std::path::Path;
use std::time::Duration;

/// Readings in a row that make the next change wait no longer.
const DOUBLINGS_MAX: u32 = 16;

/// When changes are asked for. All times in nanoseconds, since 1970 where they are no periods.
#[derive(Debug)]
pub(super) struct Pace {
    every: i64,
    max: i64,
    last: Option<i64>,
    /// How often in a row everything had to be read anew.
    wholes: u32,
}

impl Pace {
    /// Due at once, then `every` so often, and at least once in `max`.
    pub(super) fn new(every: Duration, max: Duration) -> Self {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (every, max) = (nanoseconds(every), nanoseconds(max));
        Self { every, max: max.max(every), last: None, wholes: 0 }
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        let doubled = self.every.saturating_mul(1 << self.wholes.min(DOUBLINGS_MAX));
        let period = doubled.min(self.max);
        self.last.is_none_or(|last| now < last || now.saturating_sub(last) >= period)
    }

    /// Notes that everything was read.
    pub(super) fn took(&mut self, now: i64) {
        self.last = Some(now);
    }

    /// Notes what came of asking.
    pub(super) fn asked(&mut self, changes: &Result<Changes, LoadError>, now: i64) {
        self.last = Some(now);
        match changes {
            Ok(Changes::ReadWhole) => self.wholes = self.wholes.saturating_add(1),
            Ok(Changes::None | Changes::Some { .. }) => self.wholes = 0,
            Err(_) => {}
        }
    }
}

impl Token {
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn written(&self) -> Option<Box<str>> {
        serde_json::to_string(self).ok().map(String::into_boxed_str)
    }
}

impl LdapList {
    /// What changed since the list that the token is of.
    pub(super) async fn poll(
        &self,
        token: Token,
        text: &str,
        place: &Path,
        now: i64,
    ) -> Result<Changes, LoadError> {
        if !self.is_followed(text, place) {
            return Ok(Changes::ReadWhole);
        }
        let (link, server) = self.open(Some(&token.from)).await?;
        let is_another = token.from != server.name;
        let seen = self.seen(&link, &token.mark, is_another).await;
        let seen = seen.map_err(|problem| failure(Failing::Query, problem.of(&server.name)))?;
        let Some((seen, mark)) = seen else { return Ok(Changes::ReadWhole) };
        let next = Token { mark, ..token };
        let Some(next) = next.written() else { return Ok(Changes::ReadWhole) };
        let told = match &mut self.lock().followed {
            Some(followed) => followed.tell(seen, &next),
            None => Ok(None),
        };
        match told {
            Ok(Some(changes)) => {
                let version = Version { modified_nanoseconds: now, token: next };
                Ok(Changes::Some { changes, version })
            }
            Ok(None) => Ok(Changes::ReadWhole),
            Err(error) => {
                self.unkept(&error);
                Ok(Changes::ReadWhole)
            }
        }
    }

    /// Whether it is known which entry holds what in the list that is in use.
    fn is_followed(&self, token: &str, place: &Path) -> bool {
        let mut following = self.lock();
        if following.followed.as_mut().is_some_and(|followed| followed.is_of(token)) {
            return true;
        }
        following.followed = Entries::open(place, token).map(|read| Followed::new(read, token));
        following.followed.is_some()
    }

    /// What entries hold that changed since a mark, and the next mark; nothing when it takes a
    /// whole reading to know.
    async fn seen(
        &self,
        link: &super::Link,
        mark: &Mark,
        is_another: bool,
    ) -> Result<Option<(Seen, Mark)>, Problem> {
        let (settings, export, domains) = (&self.settings, &self.export, &self.domains);
        match mark {
            Mark::Cookie { cookie } => {
                let seen = sync::seen(link, settings, export, domains, cookie).await?;
                Ok(seen.map(|(seen, cookie)| (seen, Mark::Cookie { cookie })))
            }
            // Its numbers are those of another server.
            Mark::Usn { .. } if is_another => Ok(None),
            Mark::Usn { server, highest: before } => {
                let root = root(link, settings.answer_max).await?;
                let now = root.mark(link, &settings.base, settings.answer_max).await?;
                let Some(Mark::Usn { server: other, highest }) = now else { return Ok(None) };
                if other != *server || highest < *before {
                    return Ok(None);
                }
                let seen = if highest == *before {
                    Some(Seen::new())
                } else {
                    let since = (mark, *before);
                    usn::seen(link, settings, export, domains, &root, since).await?
                };
                Ok(seen.map(|seen| (seen, Mark::Usn { server: other, highest })))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_asked_for_ever_more_rarely_while_nothing_else_comes_of_it_than_readings() {
        let mut pace = Pace::new(Duration::from_nanos(10), Duration::from_nanos(35));
        assert!(pace.is_due(1_000));
        for (now, wait) in [(1_000, 20), (2_000, 35), (3_000, 35)] {
            pace.asked(&Ok(Changes::ReadWhole), now);
            pace.took(now);
            assert!(!pace.is_due(now + wait - 1) && pace.is_due(now + wait), "{now}");
        }
        pace.asked(&Ok(Changes::None), 4_000);
        assert!(!pace.is_due(4_009) && pace.is_due(4_010));
        assert!(pace.is_due(3_000), "the clock was set back");
    }
}
