//! Time as a value. Only the edge asks a clock.

/// Milliseconds since the process began, by a clock that never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// This much later.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        self.plus_milliseconds(u64::from(seconds) * 1_000)
    }

    /// This much later.
    #[must_use]
    pub fn plus_milliseconds(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds since `earlier`; 0 when it lies ahead.
    #[must_use]
    pub fn milliseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
