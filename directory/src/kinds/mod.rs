//! The kinds of recipient sources: what the configuration calls them, which keys they bring, how
//! their settings are read and how they are opened. A new kind is a file here, a variant of
//! [`SourceSettings`] and a line in [`KINDS`].

mod callout;
mod file;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "ldap")]
mod ldap;
pub mod learned;
#[cfg(feature = "sql")]
mod sql;

use super::file::{FileSource, Format};
use super::learned::LearnedSettings;
use super::list::{Allowances, DomainScope};
use super::live::Trouble;
use super::{Account, Environment, Finding, Opened, Question, RecipientSource, SourceAnswer};
use settings::recipients::{FileFormat, FileSettings};
use settings::table::context::LoadContext;
use settings::table::keys::{Description, Table};
use settings::table::unread::Unread;
use settings::table::value::{Given, Text};
use std::sync::Arc;
use wire::server::NextHop;

/// What the operator wrote about one source, understood. Equal settings are one source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceSettings {
    /// A file.
    File(FileSettings),
    /// Hosts that are asked by SMTP.
    Callout(Arc<crate::callout::Settings>),
    /// A web service.
    #[cfg(feature = "http")]
    Http(Arc<crate::http::Settings>),
    /// What mail itself shows.
    Learned(LearnedSettings),
    /// A directory.
    #[cfg(feature = "ldap")]
    Ldap(Arc<crate::ldap::Settings>),
    /// A database.
    #[cfg(feature = "sql")]
    Sql(Box<crate::sql::Settings>),
}

/// One kind of source.
pub struct Kind {
    /// Its key in the entries of `recipients`.
    pub name: &'static str,
    /// One sentence for the manual.
    pub help: &'static str,
    /// The keys that it brings to the entries of `recipients`, its own first.
    pub entry: &'static [Description],
    /// The table that an entry names (`{ ldap = "ad" }` names a `[[ldap]]`), and what reads it.
    pub table: Option<Described>,
    /// Reads an entry.
    pub read: fn(Given<Unread>, &Surroundings<'_>, &mut LoadContext) -> Option<Listed>,
    /// Finds out, when the settings are of this kind and it asks elsewhere, whether they are
    /// right as far as that can be seen without an address. Waits for it.
    pub try_out: fn(&SourceSettings, &Environment) -> Option<Result<String, Trouble>>,
    /// Opens it for the domains that list it, when the settings are of this kind.
    pub open: fn(&SourceSettings, &[DomainScope], &Environment) -> Option<Opened>,
}

/// What an entry of `recipients` is.
pub enum Listed {
    /// The name of a table that describes the source.
    Named(Text),
    /// The source, described by the entry itself.
    Itself(SourceSettings),
}

/// Sources that are described in tables of their own, so that domains can share them.
pub struct Described {
    /// Its keys; `name` is one of them.
    pub table: &'static Table,
    /// Reads one; what it returns counts for nothing when a mistake was reported.
    pub read: fn(Given<Unread>, &mut LoadContext) -> Option<SourceSettings>,
}

/// What an entry of `recipients` may refer to beside itself.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where the domain's mail goes, when that is right.
    pub next_hop: Option<&'a NextHop>,
}

/// All kinds that this build has.
pub const KINDS: &[Kind] = &[
    file::KIND,
    #[cfg(feature = "ldap")]
    ldap::KIND,
    #[cfg(feature = "sql")]
    sql::KIND,
    #[cfg(feature = "http")]
    http::KIND,
    callout::KIND,
    learned::KIND,
];

/// The kinds that this build was made without, each by its name, which is also that of the feature
/// that brings it.
pub const MISSING: &[&str] = &[
    #[cfg(not(feature = "ldap"))]
    "ldap",
    #[cfg(not(feature = "sql"))]
    "sql",
    #[cfg(not(feature = "http"))]
    "http",
];

/// A file as the directory knows it.
#[must_use]
pub fn file_source(file: &FileSettings) -> FileSource {
    let format = match file.format {
        FileFormat::Lines => Format::Text,
        FileFormat::Csv => Format::Csv,
    };
    let allowances = Allowances { bare_names: file.bare_names, good_lines: file.accept_good_lines };
    FileSource { path: file.path.clone(), format, allowances }
}

impl SourceSettings {
    /// Whether what is asked may keep single entries from an account without a word.
    #[must_use]
    pub fn may_hide_entries(&self) -> bool {
        #[cfg(feature = "ldap")]
        let may = matches!(self, Self::Ldap(_));
        #[cfg(not(feature = "ldap"))]
        let may = false;
        may
    }

    /// What the source is called: `ldap ad`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(file) => format!("file {}", file.path.display()),
            Self::Callout(settings) => format!("callout {}", settings.name),
            #[cfg(feature = "http")]
            Self::Http(settings) => format!("http {}", settings.name),
            #[cfg(feature = "ldap")]
            Self::Ldap(settings) => format!("ldap {}", settings.name),
            #[cfg(feature = "sql")]
            Self::Sql(settings) => format!("sql {}", settings.name),
            Self::Learned(_) => "learned".to_owned(),
        }
    }

    /// The file, when it is one.
    #[must_use]
    pub fn file(&self) -> Option<&FileSettings> {
        match self {
            Self::File(file) => Some(file),
            _ => None,
        }
    }
}

/// Tries out a source that asks elsewhere, and says in one line what was found. Waits for it;
/// nothing for other kinds.
#[must_use]
pub fn try_out(
    settings: &SourceSettings,
    environment: &Environment,
) -> Option<Result<String, Trouble>> {
    KINDS.iter().find_map(|kind| (kind.try_out)(settings, environment))
}

/// Opens a source of whichever kind. One call for all domains that list the same settings, so
/// that a shared file is read once.
/// # Errors
/// When it cannot be opened, which has been told: one that says that it cannot say. Were it left
/// out, what the others do not know would be unknown.
pub fn open(
    settings: &SourceSettings,
    domains: &[DomainScope],
    environment: &Environment,
) -> Result<Opened, Arc<dyn RecipientSource>> {
    let opened = KINDS.iter().find_map(|kind| (kind.open)(settings, domains, environment));
    opened.ok_or_else(|| Arc::new(Unopened { name: settings.name().into() }) as _)
}

/// A source that could not be opened.
struct Unopened {
    name: Arc<str>,
}

impl RecipientSource for Unopened {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn look_up(&self, _question: &Question<'_>) -> SourceAnswer {
        SourceAnswer::Now(Finding::Unavailable)
    }

    fn account(&self, _question: &Question<'_>) -> Account {
        let note = Some("it could not be opened, see the log; a reload tries again".to_owned());
        Account { note, ..Account::default() }
    }
}
