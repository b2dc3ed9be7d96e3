//! The place of a limit among the numbers of the relay: from there its default is read, and there
//! what is written goes, so that the two cannot differ.

use relay::settings::{Harvest, Limits, Rates};
use std::fmt;

/// All numbers of the relay.
#[derive(Clone, Debug, Default)]
pub struct Filled {
    /// `[limits]`.
    pub limits: Limits,
    /// `[harvest]`.
    pub harvest: Harvest,
    /// `[rates]`.
    pub rates: Rates,
}

/// Where a number goes.
pub enum Slot<'a> {
    /// Into 32 bits.
    Narrow(&'a mut u32),
    /// Into 64 bits.
    Wide(&'a mut u64),
}

/// The place of a limit among the numbers of the relay.
#[derive(Clone, Copy)]
pub struct Place {
    /// The state of load, as [`Limits::session`] counts them.
    pub pressure: usize,
    /// Finds it.
    pub slot: fn(&mut Filled, usize) -> Slot<'_>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.read(&mut Filled::default()))
    }
}

impl Place {
    /// What the relay has there when nothing is written.
    #[must_use]
    pub fn default(&self) -> u64 {
        self.read(&mut Filled::default())
    }

    /// What is there.
    pub fn read(&self, filled: &mut Filled) -> u64 {
        match (self.slot)(filled, self.pressure) {
            Slot::Narrow(number) => u64::from(*number),
            Slot::Wide(number) => *number,
        }
    }

    /// A number that does not fit stays out; the bounds of the key keep that from happening.
    pub fn put(&self, filled: &mut Filled, value: u64) {
        match (self.slot)(filled, self.pressure) {
            Slot::Narrow(number) => *number = u32::try_from(value).unwrap_or(*number),
            Slot::Wide(number) => *number = value,
        }
    }
}
