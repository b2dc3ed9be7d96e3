//! How long an answer counts that was believed when it was given. In seconds throughout.

/// How long a yes stays of use as the last that is known.
pub const LAST_KNOWN_SECONDS_MAX: i64 = 31 * 86_400;
/// Whoever was there so lately is known.
const KNOWN_SECONDS_MAX: i64 = 7 * 86_400;

/// How long answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lifetimes {
    /// A yes, before it must be asked for again; from the half of it on that happens ahead, in
    /// the background. In seconds.
    pub positive_seconds: u32,
    /// A no, in seconds.
    pub negative_seconds: u32,
    /// How long ago the source must last have shown that it still knows anybody for a no to be
    /// believed without asking for its canary, in milliseconds.
    pub vouch_milliseconds: u32,
}

/// What a yes is worth by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yes {
    /// It counts.
    Counts {
        /// It is time to ask ahead.
        is_due: bool,
    },
    /// It is only the last that is known: of use while nothing newer is to be had.
    LastKnown,
    /// Nothing.
    Nothing,
}

impl Lifetimes {
    /// What a yes of then is worth; one that is outdated was given under other settings, or a
    /// person wants it asked for again.
    #[must_use]
    pub fn yes(&self, asked: i64, is_outdated: bool, now: i64) -> Yes {
        let (age, positive) = (now.saturating_sub(asked), i64::from(self.positive_seconds));
        if age < positive && !is_outdated {
            return Yes::Counts { is_due: age.saturating_mul(2) >= positive };
        }
        if age < LAST_KNOWN_SECONDS_MAX { Yes::LastKnown } else { Yes::Nothing }
    }

    /// Whether a no of then still counts.
    #[must_use]
    pub fn no_counts(&self, asked: i64, now: i64) -> bool {
        now.saturating_sub(asked) < i64::from(self.negative_seconds)
    }

    /// Whether somebody who was there then is known: in the last week, or as long as a yes counts.
    #[must_use]
    pub fn is_known(&self, asked: i64, now: i64) -> bool {
        let age_max = i64::from(self.positive_seconds).max(KNOWN_SECONDS_MAX);
        now.saturating_sub(asked) < age_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes =
        Lifetimes { positive_seconds: 100, negative_seconds: 10, vouch_milliseconds: 0 };

    #[test]
    fn a_yes_is_asked_for_ahead_from_the_half_of_its_time_and_then_only_the_last_known() {
        for (now, worth) in [
            (49, Yes::Counts { is_due: false }),
            (50, Yes::Counts { is_due: true }),
            (100, Yes::LastKnown),
            (LAST_KNOWN_SECONDS_MAX, Yes::Nothing),
        ] {
            assert_eq!(LIFETIMES.yes(0, false, now), worth, "{now}");
        }
        assert_eq!(LIFETIMES.yes(0, true, 1), Yes::LastKnown, "under other settings");
    }

    #[test]
    fn a_no_ends_with_its_time_and_counts_not_at_all_where_nobody_wants_that() {
        assert!(LIFETIMES.no_counts(0, 9) && !LIFETIMES.no_counts(0, 10));
        assert!(!Lifetimes { negative_seconds: 0, ..LIFETIMES }.no_counts(0, 0));
    }

    #[test]
    fn known_are_those_who_were_there_in_the_last_week_or_while_a_yes_counts() {
        let week = KNOWN_SECONDS_MAX;
        assert!(LIFETIMES.is_known(0, week - 1) && !LIFETIMES.is_known(0, week));
        let long = Lifetimes { positive_seconds: 2 * 7 * 86_400, ..LIFETIMES };
        assert!(long.is_known(0, week) && !long.is_known(0, 2 * week));
    }
}
