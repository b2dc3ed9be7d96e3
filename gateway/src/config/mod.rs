//! The configuration: one TOML file, read whole, judged whole, and turned into plain data.
//! `tables` and `limits` are what there is to write and what was written, `built` what the program
//! uses, `build` what lies between; `keys` has all tables, its parts are in `settings`.
//! What recipient files contain is left to `directory`, exit codes to the caller.

pub(crate) mod build;
pub mod built;
pub mod keys;
#[cfg(test)]
#[cfg(all(feature = "ldap", feature = "sql", feature = "http"))]
mod ldap_tests;
mod limits;
pub mod manual;
#[cfg(test)]
#[cfg(all(feature = "ldap", feature = "sql", feature = "http"))]
mod source_tests;
mod tables;
mod tables_mail;
#[cfg(test)]
#[cfg(all(feature = "ldap", feature = "sql", feature = "http"))]
mod tests;

pub use build::Look;
pub use built::Config;
pub use settings::mistake::{Mistake, Mistakes};

use build::sources::Described;
use built::ListedSource;
use directory::KINDS;
use miette::NamedSource;
use settings::mistake::Report;
use settings::table::context::LoadContext;
use settings::table::reader::{FromTable, Reader};
use settings::table::value::Given;
use std::path::Path;
use std::sync::Arc;
use tables::TopTable;
use toml::de::DeTable;

/// More than any operator writes by hand: 100,000 domains of two lines.
const FILE_OCTETS_MAX: u64 = 16 << 20;

impl Config {
    /// Reads and checks a configuration, but not what its recipient files contain.
    /// # Errors
    /// Everything that is wrong with it, not only the first mistake.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        Self::load_with(path, |_, _| Vec::new())
    }

    /// As [`Self::load`]; `contents` looks at each source and says what is wrong with it
    /// ([`Mistake::in_file`]). Here, and nowhere else, do such mistakes join.
    /// # Errors
    /// Everything that is wrong with the configuration and with the recipient files.
    pub fn load_with(
        path: &Path,
        contents: impl FnMut(&ListedSource<'_>, Look) -> Vec<Mistake>,
    ) -> Result<Self, Mistakes> {
        let name = path.display().to_string();
        let text = read(path)
            .map_err(|mistake| Mistakes { mistakes: vec![mistake], warnings: Vec::new() })?;
        let source = Arc::new(NamedSource::new(name, Arc::from(text.as_str())));
        Self::read_from(&text, path, Report::new(source), contents)
    }

    fn read_from(
        text: &str,
        path: &Path,
        report: Report,
        contents: impl FnMut(&ListedSource<'_>, Look) -> Vec<Mistake>,
    ) -> Result<Self, Mistakes> {
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut context = LoadContext { report, tables: &keys::KEYS, directory, becomes: None };
        let Some((written, described)) = read_tables(text, &mut context) else {
            return Err(context.report.into_mistakes());
        };
        build::build(&written, described, path, context, contents)
    }
}

fn read(path: &Path) -> Result<String, Mistake> {
    let refused = |why: String| {
        Mistake::new(format!("cannot read {}: {why}", path.display()))
            .help("the configuration is one TOML file; docs/configuration.md has an example")
    };
    // A pipe would wait for ever, and a directory says nothing of use.
    let file = std::fs::metadata(path).map_err(|error| {
        refused(error.to_string()).help("--config names another; `postern init` writes one")
    })?;
    if !file.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    if file.len() > FILE_OCTETS_MAX {
        return Err(refused("it is larger than 16 MiB".to_owned()));
    }
    let octets = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    String::from_utf8(octets).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|b| **b == b'\n').count() + 1;
        refused(format!("line {line} is not UTF-8"))
    })
}

/// The file as it was written, and apart the tables that their kinds of recipient sources read;
/// `None` when its syntax is wrong.
fn read_tables(text: &str, context: &mut LoadContext) -> Option<(TopTable, Vec<Described>)> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let message = format!("not TOML: {}", error.message().replace('\n', ", "));
        context.refuse(Mistake::new(message).at(error.span().unwrap_or(0..0), "here"));
    }
    if !errors.is_empty() {
        return None;
    }
    let top = keys::table_at("")?;
    let mut fields = table.into_inner().into();
    keys::refuse_missing(&mut fields, "", context);
    let mut reader = Reader::open(fields, 0..0, top, context);
    let mut described = Vec::new();
    for kind in KINDS {
        let Some(table) = &kind.table else { continue };
        let list = reader.take::<Vec<Given<_>>>(&keys::tables_of(table.table));
        described.extend(list.into_iter().flat_map(Given::into_inner).map(|table| (kind, table)));
    }
    Some((TopTable::from_table(&mut reader), described))
}
