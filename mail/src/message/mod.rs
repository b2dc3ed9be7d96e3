//! What a relay must know of the message itself: enough of the header section to see a loop,
//! and the trace field that it adds.

pub mod header;
pub mod received;
