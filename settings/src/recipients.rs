//! What is said of the recipients of a domain beside its sources; files of addresses; and tables
//! that the kinds of sources read.

use crate::keys::{Kind, Table};
use crate::reader::{Fields, Raw};
use crate::site::Site;
use crate::value::{At, Element, Value, choice};
use std::path::PathBuf;

/// An entry of `recipients`: its keys come from the kinds of sources, each of which reads its own.
pub const RECIPIENTS: Table = Table {
    path: "domain.recipients",
    head: "recipients = [{ … }]",
    help: "A source of addresses that exist: a file, or the name of a table that says more.",
    keys: &[],
};

/// A table that its kind of source will read.
#[derive(Clone, Debug)]
pub struct Unread(pub Fields);

impl Value for Unread {
    const KIND: Kind = Kind::Table(&RECIPIENTS);
    fn read(raw: Raw, at: &At<'_>, site: &mut Site) -> Option<Self> {
        if let Raw::Table(fields) = raw { Some(Self(fields)) } else { at.wrong_kind(site) }
    }
}

impl Element for Unread {
    const LIST: Kind = Kind::Tables(&RECIPIENTS);
}

/// A file of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileSettings {
    /// Where it is; it was readable when the configuration was read.
    pub path: PathBuf,
    /// How it is written.
    pub format: FileFormat,
    /// A value without a domain is a local part, also among addresses.
    pub bare_names: bool,
    /// Malformed lines are passed over while they are few.
    pub accept_good_lines: bool,
}

/// How a file of addresses is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// One address a line.
    Lines,
    /// With columns.
    Csv,
}

choice!(FileFormat { Lines = "lines", Csv = "csv" });

/// One of `bitbucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitbucketRule {
    /// `local-part@domain`, where `*` in the local part stands for any characters.
    pub pattern: String,
    /// Why.
    pub reason: String,
}

/// One of `leavers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaverRule {
    /// `local-part@domain`, where `*` in the local part stands for any characters.
    pub pattern: String,
    /// What the client hears: printable ASCII, at most 400 octets.
    pub text: String,
}
