//! `file` in the table of kinds.

use super::Listed;
use super::{Kind, SourceSettings, file_source};
use crate::Opened;
use crate::list::Scope;
use settings::file as written;
use settings::recipients::{FileFormat, FileSettings};
use settings::table::context::LoadContext;
use settings::table::keys::table;
use settings::table::reader::FromTable;
use settings::table::value::{Given, Text};
use std::sync::Arc;

/// `file` in the table of kinds.
pub const KIND: Kind = Kind {
    name: "file",
    help: "A text file with one address or `*` pattern a line, or CSV with a header.",
    entry: Entry::TABLE.keys,
    table: None,
    read: |entry, _, context| {
        let file = file_entry(&Entry::read_from(entry, context), context)?;
        Some(Listed::Itself(SourceSettings::File(file)))
    },
    try_out: |_, _| None,
    open: |settings, domains, environment| {
        let file = settings.file()?;
        let scope = Scope::new(domains.to_vec());
        let (source, outcomes) = crate::file::open(file_source(file), scope, environment);
        Some(Opened { source: Arc::new(source), outcomes })
    },
};

table! {
    /// A file of addresses.
    struct Entry("domain.recipients", "recipients = [{ … }]") {
        /// A file of addresses. It is read again on change.
        file: Option<Text> = optional("none").like("users.txt"),
        /// Of a file. `lines`: one address a line; `csv`: with columns.
        format: Option<Given<FileFormat>> =
            optional("`csv` for a name that ends in .csv, else `lines`"),
        /// Of a file. A value without a domain is a name of the one domain, also among addresses.
        /// Without it, only where every value of the file is one.
        bare_names: Given<bool> = flag(false),
        /// Of a file. Malformed lines, up to a fifth of all, are passed over, and whoever stands on
        /// them is unknown; where only the target is malformed, his mail waits. Otherwise a file
        /// with one of them waits until it is mended, and so do names that only it may have.
        accept_good_lines: Given<bool> = flag(false),
    }
}

/// `{ file = "users.txt" }`.
fn file_entry(entry: &Entry, context: &mut LoadContext) -> Option<FileSettings> {
    let path = written::readable(entry.file.as_ref()?, context)?;
    let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let default = if is_csv { FileFormat::Csv } else { FileFormat::Lines };
    Some(FileSettings {
        path,
        format: entry.format.as_deref().copied().unwrap_or(default),
        bare_names: *entry.bare_names,
        accept_good_lines: *entry.accept_good_lines,
    })
}
