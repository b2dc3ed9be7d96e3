//! `file` in the table of kinds.

use super::{Kind, SourceSettings, file_source};
use crate::directory::Opened;
use crate::directory::list::Scope;
use crate::settings::entry::Entry;
use crate::settings::keys::{self, Key};
use crate::settings::recipients::{FileFormat, FileSettings};
use crate::settings::site::{Site, word};
use settings::file as written;
use std::sync::Arc;

/// `file` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "file",
    help: "A text file with one address or `*` pattern a line, or CSV with a header.",
    entry: FILE,
    table: None,
    read: |entry, _, site| file_entry(entry, site).map(SourceSettings::File),
    try_out: |_, _| None,
    open: |settings, domains, environment| {
        let file = settings.file()?;
        let scope = Scope::new(domains.to_vec());
        let (source, outcomes) = crate::file::open(file_source(file), scope, environment);
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

/// `{ file = "users.txt" }`.
fn file_entry(entry: &Entry<'_>, site: &mut Site) -> Option<FileSettings> {
    let path = written::readable("domain.recipients.file", &entry.text("file")?, site)?;
    let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let default = if is_csv { "csv" } else { "lines" };
    let format = match word(entry.text("format").as_ref(), default) {
        "csv" => FileFormat::Csv,
        _ => FileFormat::Lines,
    };
    Some(FileSettings { path, format })
}
