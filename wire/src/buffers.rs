//! Receive buffers, kept per thread: an idle session holds none.

use std::cell::RefCell;

/// One buffer, in octets: as much as is read at a time.
pub const BUFFER_OCTETS: usize = 64 << 10;
/// Buffers that a thread keeps for the next ones.
const KEPT_MAX: usize = 16;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of [`BUFFER_OCTETS`].
#[must_use]
pub fn take() -> Vec<u8> {
    KEPT.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(BUFFER_OCTETS))
}

/// Gives a buffer back.
pub fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() < BUFFER_OCTETS || buffer.capacity() > 2 * BUFFER_OCTETS {
        return;
    }
    buffer.clear();
    KEPT.with_borrow_mut(|kept| {
        if kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    });
}
