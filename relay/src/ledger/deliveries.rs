//! What was delivered for one client, or one network: how much within the last hour, and on which
//! of the last days.

use crate::moment::Moment;

const HOUR_MILLISECONDS: u64 = 3_600_000;
const DAY_MILLISECONDS: u64 = 24 * HOUR_MILLISECONDS;
/// Days that count: a week.
const DAYS: u64 = 7;
/// Days on which mail was delivered that make a client known: one message buys nothing.
const DAYS_KNOWN_MIN: u32 = 2;

/// Recipients whose mail the next hop has taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deliveries {
    hour: u64,
    this_hour: u32,
    last_hour: u32,
    day: u64,
    /// The lowest bit is `day`, the next the one before.
    days: u8,
}

impl Deliveries {
    /// Mail for so many was delivered.
    pub(super) fn add(&mut self, recipients: u32, now: Moment) {
        self.roll(now);
        self.this_hour = self.this_hour.saturating_add(recipients);
        self.days |= 1;
    }

    /// Recipients within this hour and the one before.
    pub(super) fn recent(&self, now: Moment) -> u32 {
        let rolled = self.rolled(now);
        rolled.this_hour.saturating_add(rolled.last_hour)
    }

    /// On several days within a week.
    pub(super) fn is_known(&self, now: Moment) -> bool {
        self.rolled(now).days.count_ones() >= DAYS_KNOWN_MIN
    }

    /// The days, as bits, for what outlives the process.
    pub(super) fn days(&self, now: Moment) -> u8 {
        self.rolled(now).days
    }

    /// With these days, as [`Self::days`] gave them, the last of which is so many days ago.
    pub(super) fn restored(days: u8, days_ago: u64, now: Moment) -> Self {
        let days = if days_ago < DAYS { days << days_ago } else { 0 };
        Self { day: now.0 / DAY_MILLISECONDS, days: days & 0x7f, ..Self::default() }
    }

    fn rolled(&self, now: Moment) -> Self {
        let mut rolled = *self;
        rolled.roll(now);
        rolled
    }

    fn roll(&mut self, now: Moment) {
        let (hour, day) = (now.0 / HOUR_MILLISECONDS, now.0 / DAY_MILLISECONDS);
        match hour.saturating_sub(self.hour) {
            0 => {}
            1 => (self.last_hour, self.this_hour) = (self.this_hour, 0),
            _ => (self.last_hour, self.this_hour) = (0, 0),
        }
        let days_ago = day.saturating_sub(self.day);
        self.days = if days_ago < DAYS { (self.days << days_ago) & 0x7f } else { 0 };
        (self.hour, self.day) = (hour, day);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_two_days_of_a_week() {
        let day = |n: u64| Moment(n * DAY_MILLISECONDS + 5);
        let mut deliveries = Deliveries::default();
        deliveries.add(1_000, day(10));
        assert!(!deliveries.is_known(day(10)));
        deliveries.add(1, day(16));
        assert!(deliveries.is_known(day(16)));
        assert!(!deliveries.is_known(day(17)), "the first is a week ago");
        let kept = Deliveries::restored(deliveries.days(day(16)), 0, day(2));
        assert!(kept.is_known(day(2)) && !kept.is_known(day(3)));
    }

    #[test]
    fn what_was_delivered_counts_for_one_to_two_hours() {
        let minute = |n: u64| Moment(n * 60_000);
        let mut deliveries = Deliveries::default();
        deliveries.add(200, minute(59));
        assert_eq!(deliveries.recent(minute(61)), 200);
        assert_eq!(deliveries.recent(minute(119)), 200);
        assert_eq!(deliveries.recent(minute(120)), 0);
    }
}
