//! Locks that a panic does not take away, and keys for hashes that nobody can guess.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that a panic elsewhere does not take away.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key that nobody can guess.
/// # Errors
/// When the system has no randomness.
pub fn random_key() -> io::Result<(u64, u64)> {
    Ok((getrandom::u64().map_err(io::Error::other)?, getrandom::u64().map_err(io::Error::other)?))
}
