//! `postern recipients export`: the addresses of a source, as a file for `{ file = … }`.

use super::shared::{Common, Ended};
use crate::cli::configuration::{count, print, print_json};
use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES};
use clap::Args;
use directory::assembly::Opened;
use directory::learned::report::shown_to_exist;
use directory::list::Recipient;
use directory::store::{Store, StoreError};
use directory::{RecipientSource, SourceSettings};
use gateway::config::built::Config;
use gateway::control::names::{Unclear, pick};
use mail::address::Domain;
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients export ad --output people.txt\n\n\
    Lists are read afresh, beside a Postern that runs. Of sources that are asked for each address, \
    and of `learned`, what is remembered is written: that is not the whole.\n\
    Exit codes: 0 written, 2 mistakes, 3 a source cannot be read: what was written is not whole.")]
pub struct ExportArguments {
    /// A source (its name, or the end of it), or a domain: then all of its sources.
    source: String,
    /// Write to this file, which is replaced whole [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Why it is not whole.
#[derive(Debug, Error)]
enum ExportError {
    #[error(transparent)]
    Unclear(#[from] Unclear),
    #[error("{source_name}: {why}; what was written is not the whole")]
    Source { source_name: String, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

pub(super) fn run(arguments: &ExportArguments, config: &Config) -> Ended {
    match export(arguments, config) {
        Ok(written) => {
            let exported = count(written.addresses, "address");
            if arguments.common.json {
                let figures = json!({
                    "addresses": written.addresses,
                    "is_whole": written.notes.is_empty(),
                });
                // On standard output it ends what the addresses began.
                match written.form {
                    Form::Json => print(&written.end_of_json(&figures)),
                    Form::Lines => print_json(&figures),
                }
            } else {
                eprintln!("{exported} written.");
            }
            written.notes.iter().for_each(|note| eprintln!("note: {note}"));
            Ok(0)
        }
        // Whoever closed standard output (`| head`) has seen enough.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => {
            eprintln!("postern: {error}");
            Err(match error {
                ExportError::Unclear(_) | ExportError::Write(_) => EXIT_MISTAKES,
                ExportError::Source { .. } | ExportError::Store(_) => EXIT_LATER,
            })
        }
    }
}

fn export(arguments: &ExportArguments, config: &Config) -> Result<Lines, ExportError> {
    let opened = directory::assembly::open_kept(&config.recipients());
    let (sources, domain) = chosen(&arguments.source, &opened.sources, config)?;
    let store = directory::assembly::environment_of(&config.recipients()).store;
    let Some(path) = &arguments.output else {
        let out = BufWriter::new(io::stdout().lock());
        let form = if arguments.common.json { Form::Json } else { Form::Lines };
        let lines = Lines::new(Box::new(out), form, domain, sources.len());
        return write_all(lines, &sources, &store);
    };
    let fresh = fresh_name(path);
    let out = BufWriter::new(File::create(&fresh)?);
    let lines = Lines::new(Box::new(out), Form::Lines, domain, sources.len());
    let written = write_all(lines, &sources, &store).and_then(|written| {
        std::fs::rename(&fresh, path)?;
        Ok(written)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    written
}

fn fresh_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

type Chosen<'a> = (Vec<&'a Opened>, Option<String>);

/// The sources that are meant, and of which domain only.
fn chosen<'a>(
    wanted: &str,
    sources: &'a [Opened],
    config: &Config,
) -> Result<Chosen<'a>, ExportError> {
    let domain = Domain::from_unicode(wanted).ok();
    if let Some(id) = domain.and_then(|domain| config.settings.domain_of(&domain)) {
        let listed = &config.domains[id.0 as usize].sources;
        let is_listed =
            |settings: &SourceSettings| listed.iter().any(|entry| entry.settings == *settings);
        let sources = sources.iter().filter(|opened| is_listed(opened.settings())).collect();
        return Ok((sources, Some(config.settings.domain(id).name.to_canonical())));
    }
    let names: Vec<&str> = sources.iter().map(|opened| &**opened.source.name()).collect();
    Ok((vec![&sources[pick(&names, Some(wanted))?]], None))
}

fn write_all(mut lines: Lines, sources: &[&Opened], store: &Store) -> Result<Lines, ExportError> {
    for opened in sources {
        lines.comment(&format!("from {}", opened.source.name()))?;
        let Some(list) = opened.source.list() else {
            remembered(&mut lines, opened, store)?;
            continue;
        };
        list.read_out(&mut |recipient| lines.take(&recipient)).map_err(|error| {
            let source_name = opened.source.name().to_string();
            ExportError::Source { source_name, why: error.to_string() }
        })?;
    }
    lines.finish()
}

/// What is kept of a source that cannot be listed.
fn remembered(lines: &mut Lines, opened: &Opened, store: &Store) -> Result<(), ExportError> {
    let source: &Arc<dyn RecipientSource> = &opened.source;
    let name = source.name();
    let domains = source.report().domains;
    let is_ours = |domain: &str| domains.iter().any(|name| name.eq_ignore_ascii_case(domain));
    let note = if matches!(opened.settings(), SourceSettings::Learned(_)) {
        for address in shown_to_exist(store)? {
            lines.take_address(&address, None, &is_ours);
        }
        format!("{name}: only those that mail has shown, which is not the whole")
    } else {
        for answer in store.load_answers(name)?.iter().filter(|answer| answer.exists) {
            lines.take_address(&answer.address, answer.target.as_deref(), &is_ours);
        }
        format!("{name}: only those that were asked for of late, which is not the whole")
    };
    lines.comment(&note)?;
    lines.notes.push(note);
    Ok(())
}

/// How addresses are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As a recipient file.
    Lines,
    /// As the list `recipients` of an object, one a line.
    Json,
}

/// What is written; an error waits until the source is done.
struct Lines {
    out: Box<dyn Write>,
    form: Form,
    /// Only those of this domain.
    domain: Option<String>,
    /// Written so far, where several sources may have the same.
    seen: Option<HashSet<String>>,
    addresses: u64,
    notes: Vec<String>,
    failed: Option<io::Error>,
}

impl Lines {
    fn new(out: Box<dyn Write>, form: Form, domain: Option<String>, sources: usize) -> Self {
        let seen = (sources > 1).then(HashSet::new);
        Self { out, form, domain, seen, addresses: 0, notes: Vec::new(), failed: None }
    }

    fn comment(&mut self, text: &str) -> io::Result<()> {
        match self.form {
            Form::Lines => writeln!(self.out, "# {text}"),
            Form::Json => Ok(()),
        }
    }

    fn take(&mut self, recipient: &Recipient<'_>) {
        if self.failed.is_some() || self.domain.as_ref().is_some_and(|d| d != recipient.domain) {
            return;
        }
        let line = recipient.to_string();
        let address = line.split_once(' ').map_or(line.as_str(), |(address, _)| address);
        if self.seen.as_mut().is_some_and(|seen| !seen.insert(address.to_owned())) {
            return;
        }
        let written = match self.form {
            Form::Lines => writeln!(self.out, "{line}"),
            Form::Json => {
                let begins = if self.addresses == 0 { "{\"recipients\": [\n" } else { ",\n" };
                let target = recipient.target;
                write!(self.out, "{begins}{}", json!({ "address": address, "target": target }))
            }
        };
        match written {
            Ok(()) => self.addresses += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    /// One that is kept as text.
    fn take_address(
        &mut self,
        address: &str,
        target: Option<&str>,
        is_ours: &dyn Fn(&str) -> bool,
    ) {
        let Ok(mailbox) = mail::address::Mailbox::parse(address) else { return };
        let Some(domain) = mailbox.host.domain().filter(|domain| is_ours(domain.as_str())) else {
            return;
        };
        let (local_part, domain) = (mailbox.local_part.as_str(), domain.to_canonical());
        self.take(&Recipient { local_part, domain: &domain, target, is_pattern: false });
    }

    fn end_of_json(&self, figures: &serde_json::Value) -> String {
        let begins = if self.addresses == 0 { "{\"recipients\": [" } else { "" };
        let figures = figures.to_string();
        format!("{begins}\n], {}\n", figures.trim_start_matches('{'))
    }

    fn finish(mut self) -> Result<Self, ExportError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        self.out.flush()?;
        Ok(self)
    }
}
