//! What a source's word is worth, without asking it: whether a yes or a no is believed, what a
//! source has shown itself to be, how long an answer counts, and whether a list may have lost so
//! many. Who asks tells what was said and when, and is told what must be asked first.
//!
//! Times are `i64`: microseconds of a clock that never goes back where two answers must not fall
//! together, seconds in [`age`]. None is ever taken from a clock here.
//!
//! - [`credibility`]: a yes and a no of one source for one domain; the heart.
//! - [`trial`]: what a reply to an invented name shows beyond yes and no. [`budget`]: how often one
//!   host hears such names.
//! - [`class`]: what a source has shown itself to be. [`changes`]: changes of it as they are told.
//! - [`vanished`]: people who were known and are not any more. [`silence`]: troubles in a row.
//! - [`doubt`]: why something is not believed.
//! - [`age`]: how long an answer counts. [`shrunk`]: whether a list may take another's place.

pub mod age;
pub mod budget;
pub mod changes;
pub mod class;
pub mod credibility;
pub mod doubt;
pub mod shrunk;
pub mod silence;
pub mod trial;
pub mod vanished;
