//! The socket: for nobody but its owner from its first moment, in the place of one that a process
//! left behind and never of one that somebody answers at; gone when its process is.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Callers that wait to be accepted.
const BACKLOG_MAX: i32 = 16;

/// Why there is none.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another process answers there.
    #[error("another Postern with this `state_dir` answers at {}", .0.display())]
    Living(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file of a socket that we listen on; it goes when this is dropped, unless it is another's.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Listens.
/// # Errors
/// When another process does, or the directory is not writable for us.
pub fn open(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::Living(path.to_owned()));
    }
    listen(path).map_err(|source| SocketError::Io { path: path.to_owned(), source })
}

fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    // Made beside it and renamed, so that nobody connects before the rights are right, and so
    // that what a dead process left is replaced in one step.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&fresh)?)?;
    let placed = fs::set_permissions(&fresh, Permissions::from_mode(0o600))
        .and_then(|()| socket.listen(BACKLOG_MAX))
        .and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    let inode = fs::symlink_metadata(path)?.ino();
    let listener = UnixListener::from(std::os::fd::OwnedFd::from(socket));
    listener.set_nonblocking(true)?;
    Ok((listener, SocketFile { path: path.to_owned(), inode }))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_for_its_owner_and_goes_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let (_listener, file) = open(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let (listener, first) = open(&path).unwrap();
        assert!(matches!(open(&path), Err(SocketError::Living(_))));
        drop(listener);
        let (_listener, second) = open(&path).unwrap();
        // Whoever was replaced leaves the other's alone.
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&folder.path().join("missing/control.sock")).unwrap_err();
        assert!(matches!(error, SocketError::Io { .. }));
    }
}
