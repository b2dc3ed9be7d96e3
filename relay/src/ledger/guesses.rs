//! Unknown recipients that one client, or one network, has named of late, and when these are too
//! many.

use crate::moment::Moment;
use crate::settings::Harvest;

/// Unknown recipients told apart per account; a retry of one of them is not counted again.
const RECENT_MAX: usize = 8;
/// Guesses that even the strictest limit leaves: somebody mistypes.
const UNKNOWN_MAX_LEAST: u32 = 2;
/// Clients that it takes to have their network put off.
const OFFENDERS_MIN: u32 = 8;
/// So many recipients who exist outweigh one who does not: a list of which a fourth is stale is a
/// bad list, and no dictionary.
const EXISTING_PER_UNKNOWN: u32 = 3;
/// What exists outweighs at most so many times the limit: nobody buys a dictionary.
const CREDIT_FACTOR_MAX: u32 = 10;

/// Unknown recipients that were named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guesses {
    window: Moment,
    unknown: u32,
    pub(super) blocked_until: Moment,
    recent: [u32; RECENT_MAX],
}

/// How many may be named within the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// As it is set.
    pub(super) unknown_max: u32,
    /// How often that is halved, since strangers guess.
    pub(super) halvings: u32,
    /// Recipients who exist, as mail to them has shown.
    pub(super) existing: u32,
}

impl Allowance {
    fn unknown_max(self) -> u32 {
        self.strict().saturating_add(credit(self.existing, self.unknown_max))
    }

    /// Of a network: how many of them one client may be the cause of. Fewer offenders than
    /// [`OFFENDERS_MIN`] never have all of their network put off.
    pub(super) fn of_one_client(self) -> u32 {
        (self.strict() / OFFENDERS_MIN).max(1)
    }

    fn strict(self) -> u32 {
        let least = UNKNOWN_MAX_LEAST.min(self.unknown_max);
        self.unknown_max.checked_shr(self.halvings).unwrap_or(0).max(least)
    }
}

/// Unknown recipients that so many who exist outweigh, given the limit for those who have none.
pub(crate) fn credit(existing: u32, unknown_max: u32) -> u32 {
    (existing / EXISTING_PER_UNKNOWN).min(unknown_max.saturating_mul(CREDIT_FACTOR_MAX))
}

impl Guesses {
    /// One more, unless it is a retry of one that was counted. Beyond the allowance the block
    /// begins, and goes on for as long as the guessing does; says whether it begins now.
    pub(super) fn count(
        &mut self,
        print: u32,
        allowance: Allowance,
        harvest: &Harvest,
        now: Moment,
    ) -> bool {
        self.roll(harvest, now);
        if self.recent.contains(&print) {
            return false;
        }
        self.recent.rotate_right(1);
        self.recent[0] = print;
        self.unknown += 1;
        if self.unknown <= allowance.unknown_max() {
            return false;
        }
        let began = self.blocked_until <= now;
        self.blocked_until = now.plus_seconds(harvest.block_seconds);
        began
    }

    /// Unknown recipients within the window.
    pub(super) fn within_window(&self, harvest: &Harvest, now: Moment) -> u32 {
        if self.is_over(harvest, now) { 0 } else { self.unknown }
    }

    /// The block is over, and what led to it is forgotten.
    pub(super) fn lift(&mut self) {
        (self.blocked_until, self.unknown) = (Moment::default(), 0);
    }

    fn roll(&mut self, harvest: &Harvest, now: Moment) {
        if self.is_over(harvest, now) {
            (self.window, self.unknown) = (now, 0);
        }
    }

    fn is_over(&self, harvest: &Harvest, now: Moment) -> bool {
        now.milliseconds_since(self.window) > u64::from(harvest.window_seconds) * 1_000
    }
}
