//! Whom the process becomes once its listeners are open.

/// `user` and `group`, which exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTo {
    /// Its name.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// The group's name.
    pub group: String,
    /// The group's number.
    pub gid: u32,
}
