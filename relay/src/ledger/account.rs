//! What one client, or one network, has cost and has brought.

use super::deliveries::Deliveries;
use super::guesses::{Allowance, Guesses};
use crate::event::SessionCost;
use crate::moment::Moment;
use mail::address::ReversePath;

const MINUTE_MILLISECONDS: u64 = 60_000;
/// A client that delivers mail on several days may name so many times the unknown recipients.
const KNOWN_FACTOR: u32 = 4;

/// One client, or one network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    minute: u64,
    messages: u32,
    recipients: u32,
    /// Unknown recipients in mail from a mailbox.
    pub(super) mail: Guesses,
    /// Unknown recipients in mail from the null reverse-path.
    pub(super) notices: Guesses,
    pub(super) deliveries: Deliveries,
    /// Of its sessions that have ended.
    pub(super) cost: SessionCost,
}

impl Account {
    /// Messages begun and recipients named within the minute.
    pub(super) fn rates(&self, now: Moment) -> (u32, u32) {
        let is_now = self.minute == now.0 / MINUTE_MILLISECONDS;
        if is_now { (self.messages, self.recipients) } else { (0, 0) }
    }

    pub(super) fn add_message(&mut self, now: Moment) {
        self.roll(now);
        self.messages += 1;
    }

    pub(super) fn add_recipient(&mut self, now: Moment) {
        self.roll(now);
        self.recipients += 1;
    }

    pub(super) fn guesses(&mut self, from: &ReversePath) -> &mut Guesses {
        match from {
            ReversePath::Null => &mut self.notices,
            ReversePath::Mailbox(_) | ReversePath::Name(_) => &mut self.mail,
        }
    }

    /// How many unknown recipients a client may name where strangers may name so many. `accepted`
    /// is how many who exist it has named in the open transaction.
    pub(super) fn allowance(
        &self,
        unknown_max: u32,
        halvings: u32,
        accepted: u32,
        now: Moment,
    ) -> Allowance {
        let existing = self.deliveries.recent(now).saturating_add(accepted);
        if self.deliveries.is_known(now) {
            let unknown_max = unknown_max.saturating_mul(KNOWN_FACTOR);
            return Allowance { unknown_max, halvings: 0, existing };
        }
        Allowance { unknown_max, halvings, existing }
    }

    /// Nothing was ever delivered for it, as far as is known.
    pub(super) fn is_stranger(&self, now: Moment) -> bool {
        self.deliveries.recent(now) == 0 && !self.deliveries.is_known(now)
    }

    /// Its mail, or its notices, are put off now.
    pub(super) fn is_blocked(&self, now: Moment) -> bool {
        self.mail.blocked_until.max(self.notices.blocked_until) > now
    }

    fn roll(&mut self, now: Moment) {
        let minute = now.0 / MINUTE_MILLISECONDS;
        if self.minute != minute {
            (self.minute, self.messages, self.recipients) = (minute, 0, 0);
        }
    }
}
