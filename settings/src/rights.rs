//! Whether the user that Postern becomes may use what the configuration names. Root reads
//! everything, so that without this a password of root's is found right by `check`, and missed by
//! every question afterwards. Judged by owner, group and mode; an access list may allow more, so
//! that these are warnings.

use crate::mistake::Mistake;
use crate::table::context::LoadContext;
use crate::table::value::Text;
use crate::user::DropTo;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is to be done with it, as the three bits of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Read a file.
    Read = 4,
    /// Make and replace files in a folder.
    Fill = 7,
}

/// To pass through a folder.
const PASS: u32 = 1;

impl LoadContext {
    /// Warns when whom Postern becomes is kept from it.
    pub(crate) fn warn_unless_allowed(&mut self, written: &Text, path: &Path, wanted: Use) {
        let Some(whom) = self.becomes.clone() else { return };
        let Some(obstacle) = obstacle(&whom, path, wanted as u32) else { return };
        let DropTo { user, group, .. } = &whom;
        let (verb, remedy) = match wanted {
            Use::Read => ("read", format!("chgrp {group} FILE && chmod g+r FILE")),
            Use::Fill => ("write to", format!("chown {user}:{group} FOLDER")),
        };
        let shown = path.display();
        let mistake: Mistake = written
            .wrong(format!("the user {user} may not {verb} {shown}"), &obstacle.why)
            .help(format!("Postern is {user} when it uses this: {remedy}"));
        self.warn(if obstacle.is_above {
            mistake.help(format!("{} must let it pass", obstacle.path.display()))
        } else {
            mistake
        });
    }
}

struct Obstacle {
    path: PathBuf,
    is_above: bool,
    why: String,
}

/// What keeps the user from it: a folder above it, or its own mode.
fn obstacle(whom: &DropTo, path: &Path, wanted: u32) -> Option<Obstacle> {
    if whom.uid == 0 {
        return None;
    }
    let path = std::fs::canonicalize(path).ok()?;
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let steps = above.into_iter().map(|folder| (folder, PASS)).chain([(&*path, wanted)]);
    for (step, wanted) in steps {
        let described = std::fs::metadata(step).ok()?;
        if bits(whom, &described) & wanted != wanted {
            let mode = described.mode() & 0o7777;
            let (uid, gid) = (described.uid(), described.gid());
            return Some(Obstacle {
                path: step.to_owned(),
                is_above: step != path,
                why: format!("{} has mode {mode:04o}, owner {uid}, group {gid}", step.display()),
            });
        }
    }
    None
}

/// What the user may do; of groups it has only its own then.
fn bits(whom: &DropTo, described: &Metadata) -> u32 {
    let mode = described.mode();
    let shift = match () {
        () if described.uid() == whom.uid => 6,
        () if described.gid() == whom.gid => 3,
        () => 0,
    };
    (mode >> shift) & 7
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test without its files has failed")]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir, metadata, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn owner_group_and_folders_above_decide() {
        let folder = tempfile::tempdir().unwrap();
        let (below, mode) = (folder.path().join("below"), Permissions::from_mode);
        create_dir(&below).unwrap();
        let file = below.join("file");
        write(&file, "secret").unwrap();
        let described = metadata(&file).unwrap();
        let (owner, group) = (described.uid(), described.gid());
        let user = |uid, gid| DropTo { user: "mail".into(), uid, group: "mail".into(), gid };
        let strangers = [user(owner + 1, group + 1), user(owner + 1, group)];
        let may = |whom: &DropTo| obstacle(whom, &file, Use::Read as u32).is_none();
        // The temporary folder itself lets others pass, and this one lets the group.
        set_permissions(folder.path(), mode(0o711)).unwrap();
        set_permissions(&below, mode(0o711)).unwrap();
        set_permissions(&file, mode(0o640)).unwrap();
        assert_eq!(strangers.each_ref().map(may), [false, true]);
        set_permissions(&file, mode(0o604)).unwrap();
        assert_eq!(strangers.each_ref().map(may), [true, false]);
        set_permissions(&below, mode(0o700)).unwrap();
        let kept_out = obstacle(&strangers[0], &file, Use::Read as u32).unwrap();
        assert!(kept_out.is_above && kept_out.path.ends_with("below"), "{}", kept_out.why);
        assert!(may(&user(0, 0)));
    }
}
