//! The kinds of recipient sources: what the configuration calls them, which keys they bring, how
//! their settings are read and how they are opened. A new kind is a folder here, a variant of
//! [`SourceSettings`] and a line in [`KINDS`].

use super::file::{self, FileSource, Format};
use super::learned::{self, LearnedSettings};
use super::list::{DomainScope, Scope};
use super::{Environment, Opened, sql};
use crate::config::build::Site;
use crate::config::build::sources::{Entry, file_entry};
use crate::config::built::{FileFormat, FileSettings, NextHop};
use crate::config::keys;
use crate::config::keys::{Key, Table};
use mail::address::Domain;
use serde_spanned::Spanned;
use std::sync::Arc;
use toml::de::DeValue;

/// What the operator wrote about one source, understood. Equal settings are one source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceSettings {
    /// A file.
    File(FileSettings),
    /// What mail itself shows.
    Learned(LearnedSettings),
    /// A database.
    Sql(Box<sql::Settings>),
}

/// One kind of source.
pub struct Kind {
    /// Its key in the entries of `recipients`.
    pub name: &'static str,
    /// One sentence for the manual.
    pub help: &'static str,
    /// The keys that it brings to the entries of `recipients`, its own first.
    pub entry: &'static [Key],
    /// The table that an entry names (`{ ldap = "ad" }` names a `[[ldap]]`), and what reads it.
    pub table: Option<Described>,
    /// Reads an entry that says everything itself.
    pub(crate) read: fn(&Entry<'_>, &Surroundings<'_>, &mut Site) -> Option<SourceSettings>,
    /// Opens it for the domains that list it, when the settings are of this kind.
    pub open: fn(&SourceSettings, &[DomainScope], &Environment) -> Option<Opened>,
}

/// Sources that are described in tables of their own, so that domains can share them.
pub struct Described {
    /// Its keys; `name` is one of them.
    pub table: &'static Table,
    /// Reads one; `None` when a mistake was reported.
    pub(crate) read: fn(Spanned<DeValue<'_>>, &mut Site) -> Option<SourceSettings>,
}

/// What an entry of `recipients` may refer to beside itself.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// The domain it stands in, when that has a name.
    pub domain: Option<&'a Domain>,
    /// Where the domain's mail goes, when that is right.
    pub next_hop: Option<&'a NextHop>,
}

/// All kinds.
pub const KINDS: &[Kind] = &[FILES, sql::KIND, learned::KIND];

const FILES: Kind = Kind {
    name: "file",
    help: "A text file with one address or `*` pattern a line, or CSV with a header.",
    entry: FILE,
    table: None,
    read: |entry, _, site| file_entry(entry, site).map(SourceSettings::File),
    open: |settings, domains, environment| {
        let file = settings.file()?;
        let scope = Scope::new(domains.to_vec());
        let (source, outcomes) = file::open(file_source(file), scope, environment);
        Some(Opened { source: Arc::new(source), outcomes })
    },
};

const FILE: &[Key] = &[
    keys::text(
        "file",
        keys::Default::Words("none"),
        "\"users.txt\"",
        "A file of addresses. It is read again on change.",
    ),
    keys::choice(
        "format",
        &["lines", "csv"],
        keys::Default::Words("`csv` for a name that ends in .csv, else `lines`"),
        "Of a file. `lines`: one address a line; `csv`: with columns.",
    ),
];

/// A file as the directory knows it.
#[must_use]
pub fn file_source(file: &FileSettings) -> FileSource {
    let format = match file.format {
        FileFormat::Lines => Format::Text,
        FileFormat::Csv => Format::Csv,
    };
    FileSource { path: file.path.clone(), format }
}

impl SourceSettings {
    /// The file, when it is one.
    #[must_use]
    pub fn file(&self) -> Option<&FileSettings> {
        match self {
            Self::File(file) => Some(file),
            Self::Learned(_) | Self::Sql(_) => None,
        }
    }
}

/// Opens a source of whichever kind. One call for all domains that list the same settings, so
/// that a shared file is read once.
#[must_use]
pub fn open(
    settings: &SourceSettings,
    domains: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    KINDS.iter().find_map(|kind| (kind.open)(settings, domains, environment))
}
