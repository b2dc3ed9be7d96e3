//! A temporary folder that others may look into: mail servers leave root behind.

use super::scene;
use nix::unistd::{Uid, User};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Gone when dropped.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// With three people in `users.txt`. Waits for the scene to begin, see [`scene`].
    pub fn new() -> Self {
        scene::begin();
        let folder = tempfile::Builder::new().prefix("postern-e2e-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let folder = Self(folder);
        folder.write("users.txt", "jones@example.test\nsmith@example.test\nbrown@example.test\n");
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A new folder in it, which is `nobody`'s where we are root, and shut to others.
    pub fn for_nobody(&self, name: &str) -> PathBuf {
        let path = self.file(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        give_to_nobody(&path);
        path
    }

    /// Writes a file as editors do: beside it, then renamed.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let (path, fresh) = (self.file(name), self.file(&format!("{name}.new")));
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, &path).unwrap();
        path
    }
}

/// Makes a file `nobody`'s where we are root.
pub fn give_to_nobody(path: &Path) {
    if Uid::current().is_root() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    }
}
