//! What the process may do: as many descriptors as it can have, and no more rights than it needs.

use super::StartError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use settings::user::DropTo;
use std::io;

/// Descriptors kept for next hops, files, logs and the reserve.
const OTHER_DESCRIPTORS: u64 = 256;

/// Raises the soft limit of descriptors to the hard one, and says what it is.
/// # Errors
/// When it cannot even be asked for.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Ok(hard),
        Err(_) => Ok(soft),
    }
}

/// How many clients can be seated within so many descriptors; one descriptor a client.
#[must_use]
pub fn seats_within(descriptors: u64, connections_max: u32) -> u32 {
    let room = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(descriptors / 4).max(1);
    connections_max.min(u32::try_from(room).unwrap_or(u32::MAX))
}

/// Becomes whom the configuration names; for good.
/// # Errors
/// When that is not allowed.
pub fn drop_to(whom: Option<&DropTo>) -> Result<(), StartError> {
    let Some(whom) = whom else { return Ok(()) };
    if Uid::current().as_raw() == whom.uid {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(whom.uid), Gid::from_raw(whom.gid));
    setgroups(&[gid])
        .and_then(|()| setgid(gid))
        .and_then(|()| setuid(uid))
        .map_err(|error| StartError::Privileges { user: whom.user.clone(), source: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_get_the_descriptors_that_others_need() {
        assert_eq!(seats_within(1 << 20, 10_000), 10_000);
        assert_eq!(seats_within(1_024, 10_000), 768);
        assert_eq!(seats_within(256, 10_000), 64);
    }
}
