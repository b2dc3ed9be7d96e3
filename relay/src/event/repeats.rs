//! Lines that repeat: of one client and one reason (a refusal, or that a session ended without
//! mail) the first of each minute are written one by one, and what goes beyond is told in one
//! line. So whoever is refused at full speed cannot fill a disk, and everybody else's lines can be
//! found.

use crate::client::Prefix;
use crate::moment::Moment;
use mail::smtp::reply::ReplyId;
use std::collections::HashMap;

const MINUTE_MILLISECONDS: u64 = 60_000;
/// Refusals of one client for one reason that are written one by one, within a minute.
pub const LINES_MAX: u32 = 20;
/// Refusals of all clients together that are, within a minute.
const ALL_LINES_MAX: u32 = 5_000;
/// Clients, each with a reason, that are told apart within a minute; of further ones, and once
/// [`ALL_LINES_MAX`] are written, their network is told.
const CLIENTS_MAX: usize = 10_000;
/// Networks beyond these; then everybody is one.
const ALL_MAX: usize = 2 * CLIENTS_MAX;

/// A session ended in which nothing was delivered.
pub const NO_MAIL: &str = "session_without_mail";

/// Counts within one minute.
#[derive(Debug, Default)]
pub struct Repeats {
    minute: u64,
    lines: u32,
    counts: HashMap<(Option<Prefix>, &'static str), Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    lines: u32,
    more: u32,
    first: ReplyId,
    last: ReplyId,
}

/// Lines that were counted and not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Whose: a client, its network where there were too many clients, or everybody's.
    pub client: Option<Prefix>,
    /// The refusal, or [`NO_MAIL`].
    pub reason: &'static str,
    /// How many.
    pub count: u32,
    /// The lowest id of them.
    pub first: ReplyId,
    /// The highest.
    pub last: ReplyId,
}

impl Repeats {
    /// Whether this refusal is written by itself.
    pub fn is_logged(
        &mut self,
        client: Prefix,
        reason: &'static str,
        id: ReplyId,
        now: Moment,
    ) -> bool {
        if self.counts.is_empty() {
            (self.minute, self.lines) = (now.0 / MINUTE_MILLISECONDS, 0);
        }
        let key = (self.key(client, reason), reason);
        let is_client = key.0 == Some(client);
        let is_room = self.lines < ALL_LINES_MAX && is_client;
        let count =
            self.counts.entry(key).or_insert(Count { lines: 0, more: 0, first: id, last: id });
        if is_room && count.lines < LINES_MAX {
            count.lines += 1;
            self.lines += 1;
            return true;
        }
        // In the order of ids and not of time: sessions of one client go on side by side.
        let order = |id: &ReplyId| (id.session.0, id.count);
        let is_first = count.more == 0;
        if is_first || order(&id) < order(&count.first) {
            count.first = id;
        }
        if is_first || order(&id) > order(&count.last) {
            count.last = id;
        }
        count.more = count.more.saturating_add(1);
        false
    }

    /// What was counted, when the minute is over; `is_last` when there is nothing to wait for.
    pub fn due(&mut self, is_last: bool, now: Moment) -> Vec<Repeated> {
        if self.counts.is_empty() || !is_last && self.minute == now.0 / MINUTE_MILLISECONDS {
            return Vec::new();
        }
        let counts = std::mem::take(&mut self.counts);
        let told = |((client, reason), count): (_, Count)| Repeated {
            client,
            reason,
            count: count.more,
            first: count.first,
            last: count.last,
        };
        counts.into_iter().filter(|(_, count)| count.more > 0).map(told).collect()
    }

    fn key(&self, client: Prefix, reason: &'static str) -> Option<Prefix> {
        let is_known = |prefix| self.counts.contains_key(&(Some(prefix), reason));
        let count = self.counts.len();
        let is_room = self.lines < ALL_LINES_MAX && count < CLIENTS_MAX;
        if is_room || is_known(client) {
            return Some(client);
        }
        client.around().filter(|network| count < ALL_MAX || is_known(*network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::smtp::reply::SessionId;
    use std::net::Ipv4Addr;

    fn id(count: u32) -> ReplyId {
        ReplyId { session: SessionId(7), count }
    }

    fn client(n: u32) -> Prefix {
        Prefix::client(Ipv4Addr::from(n).into())
    }

    #[test]
    fn what_repeats_becomes_one_line_a_minute() {
        let mut repeats = Repeats::default();
        let written = (1..=1_224)
            .filter(|n| repeats.is_logged(client(1), "relay_denied", id(*n), Moment(30_000)))
            .count();
        assert_eq!(written, 20);
        assert!(repeats.is_logged(client(2), "relay_denied", id(1), Moment(31_000)));
        assert!(repeats.is_logged(client(1), "size", id(2_000), Moment(31_000)));
        assert_eq!(repeats.due(false, Moment(59_999)), []);
        let told = repeats.due(false, Moment(60_000));
        let (first, last) = (id(21), id(1_224));
        let client = Some(client(1));
        assert_eq!(told, [Repeated { client, reason: "relay_denied", count: 1_204, first, last }]);
        assert_eq!(repeats.due(true, Moment(60_001)), []);
    }

    #[test]
    fn ids_of_sessions_side_by_side_are_all_between_the_first_and_the_last() {
        let mut repeats = Repeats::default();
        let id = |session, count| ReplyId { session: SessionId(session), count };
        for n in 1..=30 {
            repeats.is_logged(client(1), "size", id(8, n), Moment(0));
            repeats.is_logged(client(1), "size", id(7, n), Moment(0));
        }
        let told = repeats.due(true, Moment(1))[0];
        assert_eq!((told.count, told.first, told.last), (40, id(7, 11), id(8, 30)));
    }

    #[test]
    fn many_clients_are_told_by_their_networks_and_the_memory_is_bounded() {
        let mut repeats = Repeats::default();
        let mut written = 0;
        for n in 0..100_000 {
            written += u32::from(repeats.is_logged(client(n * 7), "size", id(n), Moment(0)));
        }
        assert_eq!(written, ALL_LINES_MAX);
        assert!(repeats.counts.len() <= ALL_MAX + 1);
        let told = repeats.due(true, Moment(1));
        assert_eq!(told.iter().map(|told| told.count).sum::<u32>(), 100_000 - ALL_LINES_MAX);
    }
}
