//! What is said of the recipients of a domain beside its sources; and files of addresses.

use crate::table::value::choice;
use std::path::PathBuf;

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
