//! The configuration: one TOML file, read whole, judged whole, and turned into plain data.
//! `written` is what the operator wrote, `built` what the program uses, `keys` and `limits`
//! what there is to write, `shape` and `build` what lies between; its parts are in `settings`.
//! What recipient files contain is left to `directory`, exit codes to the caller.

pub(crate) mod build;
pub mod built;
pub mod keys;
#[cfg(test)]
#[cfg(all(feature = "ldap", feature = "sql", feature = "http"))]
mod ldap_tests;
mod limits;
pub mod manual;
mod shape;
#[cfg(test)]
#[cfg(all(feature = "ldap", feature = "sql", feature = "http"))]
mod source_tests;
mod tables;
mod tables_mail;
#[cfg(test)]
#[cfg(all(feature = "ldap", feature = "sql", feature = "http"))]
mod tests;
pub(crate) mod written;

pub use crate::settings::mistake::{Mistake, Mistakes};
pub use build::Look;
pub use built::Config;

use crate::directory::KINDS;
use crate::settings::mistake::Report;
use build::sources::Described;
use built::ListedSource;
use miette::NamedSource;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};
use written::Written;

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
        mut report: Report,
        contents: impl FnMut(&ListedSource<'_>, Look) -> Vec<Mistake>,
    ) -> Result<Self, Mistakes> {
        let written = written(text, &mut report);
        let Some((written, described)) = written else { return Err(report.into_mistakes()) };
        build::build(&written, described, path, report, contents)
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

/// The file as it was written; `None` when its syntax is wrong.
fn written<'t>(text: &'t str, report: &mut Report) -> Option<(Written, Vec<Described<'t>>)> {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            report.refuse(
                Mistake::new(format!("not TOML: {}", error.message().replace('\n', ", ")))
                    .at(span, "here"),
            );
        }
        return None;
    }
    if let Some(top) = keys::table_at("") {
        shape::check(table.get_mut(), top, &(0..0), report);
    }
    let described = take_described(table.get_mut());
    match Written::deserialize(toml::de::Deserializer::from(table)) {
        Ok(written) => Some((written, described)),
        // The shape has been checked; should the two ever differ, serde has the last word.
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            report.refuse(Mistake::new(error.message()).at(span, "here"));
            None
        }
    }
}

/// The tables that describe recipient sources: their kinds read them.
fn take_described<'t>(table: &mut DeTable<'t>) -> Vec<Described<'t>> {
    let mut described = Vec::new();
    for kind in KINDS {
        let Some(path) = kind.table.as_ref().map(|described| described.table.path) else {
            continue;
        };
        let Some(list) = table.remove(path) else { continue };
        if let DeValue::Array(list) = list.into_inner() {
            described.extend(list.into_iter().map(|table| (kind, table)));
        }
    }
    described
}
