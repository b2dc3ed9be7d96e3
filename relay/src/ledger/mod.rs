//! What each client did lately: an account by client and by network of what it cost and what it
//! brought, bounded and expiring. Feeds the rates and the harvest defence; learns from the same
//! events that the log is made of.
//!
//! What counts is the share of unknown recipients: deliveries outweigh them, and several days of
//! deliveries make a client known. A network is put off only for many offenders in it, and never a
//! known client with it. Harvest spares retries of one message, and listed former staff (they are
//! no unknown recipients at all). What is guessed in notices counts for notices alone, and what is
//! guessed in mail for mail alone.
//! Limits: days are counted from the start of the process.

mod account;
mod deliveries;
pub(crate) mod guesses;
mod sessions;
mod share;

use crate::client::{Client, Prefix};
use crate::event::{Event, Kind, Scene, SessionCost};
use crate::moment::Moment;
use crate::policy::facts::Standing;
use crate::recipient::always_exists;
use crate::settings::Harvest;
use crate::split::fingerprint;
use account::Account;
use deliveries::Deliveries;
use guesses::Allowance;
use mail::address::{ForwardPath, ReversePath};
use sessions::Sessions;
pub use share::UnknownShare;
use std::collections::HashMap;

/// All accounts, or one shard of them.
#[derive(Debug)]
pub struct Ledger {
    key: (u64, u64),
    sessions: Sessions,
    /// Two generations: what is touched moves to the younger; of the older only what is blocked is
    /// kept. So the size is bounded and nothing has to be searched for what is oldest.
    young: HashMap<Prefix, Account>,
    old: HashMap<Prefix, Account>,
}

/// What followed from an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// A stranger has named a recipient, who is unknown or not.
    pub stranger_named_unknown: Option<bool>,
    /// From now on mail, or notices, of these are put off.
    pub block: Option<Block>,
}

/// Whose recipients are put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// A client or a network.
    pub prefix: Prefix,
    /// Only its notices are.
    pub notices: bool,
    /// Unknown recipients that it has named within the window.
    pub unknown: u32,
    /// Until when.
    pub until: Moment,
}

/// What is known of a client or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whom this is of.
    pub prefix: Prefix,
    /// Its mail is put off until then; past where it is not.
    pub mail_blocked_until: Moment,
    /// As above, its notices.
    pub notices_blocked_until: Moment,
    /// Unknown recipients of its mail within the window.
    pub mail_unknown: u32,
    /// As above, of its notices.
    pub notices_unknown: u32,
    /// Recipients whose mail was delivered within the last hour or two.
    pub delivered: u32,
    /// On which of the last seven days mail was delivered: the lowest bit is today.
    pub days: u8,
    /// It delivers mail on several days of a week.
    pub is_known: bool,
    /// What its sessions that have ended cost, for as long as it is remembered.
    pub cost: SessionCost,
}

impl Ledger {
    /// Empty; `key` is random, from the edge.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, sessions: Sessions::new(key), young: HashMap::new(), old: HashMap::new() }
    }

    /// What is known of a client.
    #[must_use]
    pub fn standing(&self, client: &Client, now: Moment) -> Standing {
        let ip = client.address.ip();
        let (own, around) = (self.find(Prefix::client(ip)), self.find(Prefix::network(ip)));
        let (messages, recipients) = own.rates(now);
        let is_known = own.deliveries.is_known(now);
        // Nobody who is known is put off for his neighbours.
        let until = |own: Moment, around: Moment| if is_known { own } else { own.max(around) };
        Standing {
            sessions: self.sessions.count(Prefix::client(ip), now),
            messages,
            recipients,
            harvest: until(own.mail.blocked_until, around.mail.blocked_until) > now,
            notice_harvest: until(own.notices.blocked_until, around.notices.blocked_until) > now,
            is_known,
        }
    }

    /// Learns from an event; limits for strangers are halved so often ([`UnknownShare`]). Clients
    /// whose limits are lifted leave no trace.
    pub fn observe(
        &mut self,
        event: &Event<'_>,
        harvest: &Harvest,
        halvings: u32,
        now: Moment,
    ) -> Noted {
        let Some(scene) = event.scene.filter(|scene| !scene.client.limits_lifted) else {
            return Noted::default();
        };
        let own = Prefix::client(scene.client.address.ip());
        match event.kind {
            Kind::SessionOpened => self.sessions.add(own, now),
            Kind::MailAccepted => self.account(own, harvest, now).add_message(now),
            Kind::RecipientAccepted { forward_path, .. } => {
                let account = self.account(own, harvest, now);
                account.add_recipient(now);
                let counts = account.is_stranger(now)
                    && scene.reverse_path.is_some_and(|from| *from != ReversePath::Null)
                    && !always_exists(forward_path);
                return Noted { stranger_named_unknown: counts.then_some(false), block: None };
            }
            Kind::Refused { forward_path: Some(path), unknown, .. } => {
                self.account(own, harvest, now).add_recipient(now);
                if let (true, Some(from)) = (unknown, scene.reverse_path) {
                    return self.unknown(&scene, (from, path), harvest, halvings, now);
                }
            }
            Kind::Delivered { recipients, .. } => {
                let all = recipients.iter().filter(|path| !always_exists(path)).count();
                if let Ok(all @ 1..) = u32::try_from(all) {
                    let around = Prefix::network(scene.client.address.ip());
                    self.account(own, harvest, now).deliveries.add(all, now);
                    self.account(around, harvest, now).deliveries.add(all, now);
                }
            }
            // A session alone leaves no account.
            Kind::SessionClosed { cost, .. } => {
                for prefix in [own, Prefix::network(scene.client.address.ip())] {
                    let young = self.young.get_mut(&prefix);
                    if let Some(account) = young.or_else(|| self.old.get_mut(&prefix)) {
                        account.cost += cost;
                    }
                }
            }
            Kind::Refused { .. }
            | Kind::Discarded { .. }
            | Kind::OutcomeUnknown { .. }
            | Kind::Repeated(_)
            | Kind::Process { .. } => {}
        }
        Noted::default()
    }

    /// Counts an unknown recipient, for the client and for its network.
    fn unknown(
        &mut self,
        scene: &Scene<'_>,
        (from, path): (&ReversePath, &ForwardPath),
        harvest: &Harvest,
        halvings: u32,
        now: Moment,
    ) -> Noted {
        // Only ever compared for equality within one account: 32 bits do.
        let print = fingerprint(self.key, from, path) as u32 | 1;
        let (own_max, around_max) = unknown_max(harvest, from);
        let ip = scene.client.address.ip();
        let (own, around) = (Prefix::client(ip), Prefix::network(ip));

        let account = self.account(own, harvest, now);
        let was_stranger = account.is_stranger(now);
        let allowance = account.allowance(own_max, halvings, scene.accepted, now);
        let began = account.guesses(from).count(print, allowance, harvest, now);
        let unknown = account.guesses(from).within_window(harvest, now);
        let mut block = began.then(|| Block::of(own, account, from, harvest, now));

        let account = self.account(around, harvest, now);
        let existing = account.deliveries.recent(now).saturating_add(scene.accepted);
        let allowance = Allowance { unknown_max: around_max, halvings, existing };
        if unknown <= allowance.of_one_client()
            && account.guesses(from).count(print, allowance, harvest, now)
        {
            block = Some(Block::of(around, account, from, harvest, now));
        }
        let counts = was_stranger && *from != ReversePath::Null;
        Noted { stranger_named_unknown: counts.then_some(true), block }
    }

    /// What is known of a client or a network; nothing where it has no account.
    #[must_use]
    pub fn summary(&self, prefix: Prefix, harvest: &Harvest, now: Moment) -> Option<Summary> {
        let account = self.young.get(&prefix).or_else(|| self.old.get(&prefix))?;
        Some(Summary::of(prefix, account, harvest, now))
    }

    /// All whose mail or notices are put off now, and, where asked for, all on whose behalf mail
    /// was delivered within a week.
    #[must_use]
    pub fn summaries(&self, also_delivered: bool, harvest: &Harvest, now: Moment) -> Vec<Summary> {
        let counts = |account: &Account| {
            account.is_blocked(now) || also_delivered && account.deliveries.days(now) != 0
        };
        let all = self.young.iter().chain(&self.old).filter(|(_, account)| counts(account));
        all.map(|(prefix, account)| Summary::of(*prefix, account, harvest, now)).collect()
    }

    /// Lets a client or a network in again; says whether it was put off.
    pub fn lift(&mut self, prefix: Prefix, now: Moment) -> bool {
        let both = [self.young.get_mut(&prefix), self.old.get_mut(&prefix)];
        let mut lifted = false;
        for account in both.into_iter().flatten() {
            lifted |= account.is_blocked(now);
            account.mail.lift();
            account.notices.lift();
        }
        lifted
    }

    /// Takes what was known before a restart: until when it is put off, and the days of its
    /// deliveries, the last of which is so many days ago.
    pub fn restore(&mut self, kept: &Summary, days_ago: u64, harvest: &Harvest, now: Moment) {
        let account = self.account(kept.prefix, harvest, now);
        account.mail.blocked_until = kept.mail_blocked_until;
        account.notices.blocked_until = kept.notices_blocked_until;
        account.deliveries = Deliveries::restored(kept.days, days_ago, now);
    }

    fn find(&self, prefix: Prefix) -> Account {
        self.young.get(&prefix).or_else(|| self.old.get(&prefix)).copied().unwrap_or_default()
    }

    fn account(&mut self, prefix: Prefix, harvest: &Harvest, now: Moment) -> &mut Account {
        let generation_max = (harvest.entries_max as usize / 2).max(1);
        if self.young.len() >= generation_max && !self.young.contains_key(&prefix) {
            self.age(generation_max, now);
        }
        let known = self.old.remove(&prefix);
        self.young.entry(prefix).or_insert_with(|| known.unwrap_or_default())
    }

    /// The older generation goes, but for those that are put off: whoever has addresses enough
    /// would else wash a block away. Where these are too many, their networks are put off instead.
    fn age(&mut self, generation_max: usize, now: Moment) {
        let gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        let blocked = gone.into_iter().filter(|(_, account)| account.is_blocked(now));
        for (prefix, account) in blocked {
            let Some(network) = prefix.around().filter(|_| self.young.len() >= generation_max / 2)
            else {
                self.young.insert(prefix, account);
                continue;
            };
            let Some(around) = self.young.get_mut(&network).or_else(|| self.old.get_mut(&network))
            else {
                continue;
            };
            let (mail, notices) = (&mut around.mail, &mut around.notices);
            mail.blocked_until = mail.blocked_until.max(account.mail.blocked_until);
            notices.blocked_until = notices.blocked_until.max(account.notices.blocked_until);
        }
    }
}

impl Block {
    fn of(
        prefix: Prefix,
        account: &mut Account,
        from: &ReversePath,
        harvest: &Harvest,
        now: Moment,
    ) -> Self {
        let guesses = account.guesses(from);
        Self {
            prefix,
            notices: *from == ReversePath::Null,
            unknown: guesses.within_window(harvest, now),
            until: guesses.blocked_until,
        }
    }
}

impl Summary {
    fn of(prefix: Prefix, account: &Account, harvest: &Harvest, now: Moment) -> Self {
        Self {
            prefix,
            mail_blocked_until: account.mail.blocked_until,
            notices_blocked_until: account.notices.blocked_until,
            mail_unknown: account.mail.within_window(harvest, now),
            notices_unknown: account.notices.within_window(harvest, now),
            delivered: account.deliveries.recent(now),
            days: account.deliveries.days(now),
            is_known: account.deliveries.is_known(now),
            cost: account.cost,
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
mod harvest_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
