//! How large the share of unknown recipients is among those whom strangers name. When many guess at
//! once, each below its own limit, all limits for strangers become stricter, until it has ended.

use crate::moment::Moment;

/// How long what was named counts, in milliseconds, and once more as long after that.
const WINDOW_MILLISECONDS: u64 = 60_000;
/// Recipients within the windows below which a share says nothing.
const NAMED_MIN: u32 = 40;
/// Shares in percent above which limits are halved once, twice and three times.
const SHARES: [u32; 3] = [50, 70, 80];

/// Counts over all strangers.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownShare {
    window: u64,
    now: Named,
    before: Named,
}

#[derive(Clone, Copy, Debug, Default)]
struct Named {
    all: u32,
    unknown: u32,
}

impl UnknownShare {
    /// A stranger has named a recipient.
    pub fn add(&mut self, is_unknown: bool, now: Moment) {
        self.roll(now);
        self.now.all += 1;
        self.now.unknown += u32::from(is_unknown);
    }

    /// How often limits for strangers are halved.
    #[must_use]
    pub fn halvings(&self, now: Moment) -> u32 {
        let mut rolled = *self;
        rolled.roll(now);
        let (one, other) = (rolled.now, rolled.before);
        let (all, unknown) = (one.all + other.all, one.unknown + other.unknown);
        if all < NAMED_MIN {
            return 0;
        }
        let percent = u64::from(unknown) * 100 / u64::from(all);
        SHARES.iter().map(|share| u32::from(percent >= u64::from(*share))).sum()
    }

    fn roll(&mut self, now: Moment) {
        let window = now.0 / WINDOW_MILLISECONDS;
        match window.saturating_sub(self.window) {
            0 => {}
            1 => (self.before, self.now) = (self.now, Named::default()),
            _ => (self.before, self.now) = (Named::default(), Named::default()),
        }
        self.window = window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_halved_while_strangers_guess_and_not_after() {
        let mut share = UnknownShare::default();
        for n in 0..100 {
            share.add(n % 10 != 0, Moment(1_000));
        }
        assert_eq!(share.halvings(Moment(1_000)), 3);
        assert_eq!(share.halvings(Moment(119_999)), 3);
        assert_eq!(share.halvings(Moment(120_000)), 0);
    }

    #[test]
    fn a_few_say_nothing_and_the_usual_share_of_mistakes_neither() {
        let mut share = UnknownShare::default();
        (0..39).for_each(|_| share.add(true, Moment(0)));
        assert_eq!(share.halvings(Moment(0)), 0);
        (0..60).for_each(|_| share.add(false, Moment(0)));
        assert_eq!(share.halvings(Moment(0)), 0);
    }
}
