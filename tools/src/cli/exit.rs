//! Exit codes that several commands share; the help of each says what they mean to it.

/// Exit code of an answer that is no: refused for good, unknown, not found.
pub const EXIT_NO: u8 = 1;
/// Exit code for mistakes in what the user gave; nothing was started.
pub const EXIT_MISTAKES: u8 = 2;
/// Exit code of an answer that may be another one later: refused for now, unavailable.
pub const EXIT_LATER: u8 = 3;
