//! What each client did lately: bounded counters that expire. Feeds the rates and the harvest
//! defence; learns from the same events that the log is made of.
//! Harvest spares retries of one message, and listed former staff (they are no unknown recipients
//! at all). What is guessed in notices counts for notices alone, and what is guessed in mail for
//! mail alone.

use crate::client::{Client, Prefix};
use crate::event::{Event, Kind};
use crate::moment::Moment;
use crate::policy::facts::Standing;
use crate::settings::Harvest;
use crate::split::fingerprint;
use mail::address::{ForwardPath, ReversePath};
use std::collections::HashMap;

/// Unknown recipients told apart per client; a retry of one of them is not counted again.
const RECENT_MAX: usize = 8;
const MINUTE_MILLISECONDS: u64 = 60_000;

/// The books.
#[derive(Debug)]
pub struct Ledger {
    key: (u64, u64),
    /// Two generations: what is touched moves to the younger; the older is dropped whole. So the
    /// size is bounded and nothing has to be searched for what is oldest.
    young: HashMap<Prefix, Account>,
    old: HashMap<Prefix, Account>,
}

/// One client, or one network.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    minute: u64,
    sessions: u32,
    messages: u32,
    recipients: u32,
    /// In mail from a mailbox.
    mail: Guesses,
    /// In mail from the null reverse-path.
    notices: Guesses,
}

/// Unknown recipients that were named.
#[derive(Clone, Copy, Debug, Default)]
struct Guesses {
    window: Moment,
    unknown: u32,
    blocked_until: Moment,
    recent: [u32; RECENT_MAX],
}

impl Ledger {
    /// Empty; `key` is random, from the edge.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, young: HashMap::new(), old: HashMap::new() }
    }

    /// What is known of a client.
    #[must_use]
    pub fn standing(&self, client: &Client, now: Moment) -> Standing {
        let ip = client.address.ip();
        let (own, around) = (self.find(Prefix::client(ip)), self.find(Prefix::network(ip)));
        let this_minute = own.minute == now.0 / MINUTE_MILLISECONDS;
        let count = |n: u32| if this_minute { n } else { 0 };
        Standing {
            sessions: count(own.sessions),
            messages: count(own.messages),
            recipients: count(own.recipients),
            harvest: own.mail.blocked_until.max(around.mail.blocked_until) > now,
            notice_harvest: own.notices.blocked_until.max(around.notices.blocked_until) > now,
        }
    }

    /// Learns from an event. Clients whose limits are lifted leave no trace.
    pub fn observe(&mut self, event: &Event<'_>, harvest: &Harvest, now: Moment) {
        let Some(scene) = event.scene.filter(|scene| !scene.client.limits_lifted) else { return };
        let ip = scene.client.address.ip();
        let own = Prefix::client(ip);
        match event.kind {
            Kind::SessionOpened => self.account(own, harvest, now).sessions += 1,
            Kind::MailAccepted => self.account(own, harvest, now).messages += 1,
            Kind::RecipientAccepted { .. } => self.account(own, harvest, now).recipients += 1,
            Kind::Refused { forward_path: Some(path), unknown, .. } => {
                self.account(own, harvest, now).recipients += 1;
                if let (true, Some(from)) = (unknown, scene.reverse_path) {
                    let (own_max, network_max) = unknown_max(harvest, from);
                    self.unknown(own, own_max, from, path, harvest, now);
                    self.unknown(Prefix::network(ip), network_max, from, path, harvest, now);
                }
            }
            Kind::Refused { .. }
            | Kind::SessionClosed { .. }
            | Kind::Delivered { .. }
            | Kind::Discarded { .. }
            | Kind::OutcomeUnknown { .. }
            | Kind::Process { .. } => {}
        }
    }

    /// Counts an unknown recipient; beyond the limit the block begins, and goes on for as long as
    /// the guessing does.
    fn unknown(
        &mut self,
        prefix: Prefix,
        unknown_max: u32,
        from: &ReversePath,
        path: &ForwardPath,
        harvest: &Harvest,
        now: Moment,
    ) {
        // Only ever compared for equality within one account: 32 bits do.
        let print = fingerprint(self.key, from, path) as u32 | 1;
        let account = self.account(prefix, harvest, now);
        let guesses = match from {
            ReversePath::Null => &mut account.notices,
            ReversePath::Mailbox(_) | ReversePath::Name(_) => &mut account.mail,
        };
        guesses.count(print, unknown_max, harvest, now);
    }

    fn find(&self, prefix: Prefix) -> Account {
        self.young.get(&prefix).or_else(|| self.old.get(&prefix)).copied().unwrap_or_default()
    }

    fn account(&mut self, prefix: Prefix, harvest: &Harvest, now: Moment) -> &mut Account {
        let generation_max = (harvest.entries_max as usize / 2).max(1);
        if self.young.len() >= generation_max && !self.young.contains_key(&prefix) {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(&prefix);
        let account = self.young.entry(prefix).or_insert_with(|| known.unwrap_or_default());
        let minute = now.0 / MINUTE_MILLISECONDS;
        if account.minute != minute {
            (account.minute, account.sessions, account.messages, account.recipients) =
                (minute, 0, 0, 0);
        }
        account
    }
}

impl Guesses {
    /// One more, unless it is a retry of one that was counted.
    fn count(&mut self, print: u32, unknown_max: u32, harvest: &Harvest, now: Moment) {
        if now.milliseconds_since(self.window) > u64::from(harvest.window_seconds) * 1_000 {
            (self.window, self.unknown) = (now, 0);
        }
        if self.recent.contains(&print) {
            return;
        }
        self.recent.rotate_right(1);
        self.recent[0] = print;
        self.unknown += 1;
        if self.unknown > unknown_max {
            self.blocked_until = now.plus_seconds(harvest.block_seconds);
        }
    }
}

/// Unknown recipients that mail with this reverse-path may name, by client and by network.
fn unknown_max(harvest: &Harvest, from: &ReversePath) -> (u32, u32) {
    match from {
        ReversePath::Null => {
            (harvest.client_notice_unknown_max, harvest.network_notice_unknown_max)
        }
        ReversePath::Mailbox(_) | ReversePath::Name(_) => {
            (harvest.client_unknown_max, harvest.network_unknown_max)
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
