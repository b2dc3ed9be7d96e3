//! `postern recipients import`: a list takes the place of a recipient file, checked and judged
//! before, whole or not at all.

use super::diff::{names, objection, text};
use super::running::{ask_or, tell_absent};
use super::shared::{Common, Ended};
use super::sync::loaded_text;
use crate::cli::configuration::{print, print_json};
use crate::cli::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use clap::Args;
use directory::RecipientList;
use directory::assembly::{environment_of, scopes};
use directory::file::{self, FileLister, FileSource};
use directory::kinds::file_source;
use directory::list::{Listed, LoadError, Preview, Scope};
use directory::load::guard::Confirmation;
use gateway::config::built::{Config, ListedSource, listed};
use gateway::control::message::{Confirm, Confirmed, Diff};
use gateway::control::names::{Unclear, pick};
use nix::unistd::{Gid, Uid, chown};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A list may have so many octets: the most addresses that a list may have, each of 40.
const LIST_OCTETS_MAX: u64 = 10 << 30;

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern recipients import new-users.txt\n\n\
    Checks every line, shows what changes, and puts the list into the place of the file that the \
    configuration names. A list that is empty, or shrinks by more than a fifth, needs --confirm \
    with its number of entries; one without the canary is never taken.\n\
    Exit codes: 0 in place, 1 a guard refuses it, 2 mistakes, 3 in place and not in use yet.")]
pub struct ImportArguments {
    /// The list, written as the file that it replaces; `-` is standard input.
    file: PathBuf,
    /// Which file to replace (its name, or the end of it); needed where there are several.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Take it although it shrinks, if it has so many entries.
    #[arg(long, value_name = "N")]
    confirm: Option<u64>,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Why nothing was put in place.
#[derive(Debug, Error)]
enum ImportError {
    #[error(transparent)]
    Unclear(#[from] Unclear),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the list has more than {LIST_OCTETS_MAX} octets")]
    TooLong,
    #[error("{0}")]
    List(#[from] LoadError),
}

pub(super) fn run(arguments: &ImportArguments, config: &Config) -> Ended {
    match import(arguments, config) {
        Ok(ended) => ended,
        Err(error) => {
            eprintln!("postern: {error}");
            if let ImportError::List(LoadError::Malformed { malformed }) = &error {
                for line in &malformed.lines {
                    let (found, problem) = (&line.found, &line.problem);
                    eprintln!("  line {}: `{found}`: {problem}", line.line);
                }
            }
            eprintln!("Nothing was changed.");
            Err(EXIT_MISTAKES)
        }
    }
}

fn import(arguments: &ImportArguments, config: &Config) -> Result<Ended, ImportError> {
    let all = listed(&config.settings.domain, &config.domains);
    let (target, scope) = replaced(arguments.source.as_deref(), &all)?;
    let staged = Staged::copy(&arguments.file, &target.path)?;
    let lister = FileLister::new(FileSource { path: staged.path.clone(), ..target.clone() });
    // Beside what a Postern that starts now would use.
    let (in_use, _) = file::open(target.clone(), scope, &environment_of(&config.recipients()));
    let preview = in_use.preview_of(&lister)?;
    let name = format!("file {}", target.path.display());
    let diff = Diff::of(&name, &preview);
    if !arguments.common.json {
        print(&text(&diff));
        print(&gone(&in_use, &preview, &diff));
    }
    if let Some(why) = objection(&diff, arguments.confirm, "--confirm") {
        eprintln!("{why}\nNothing was changed.");
        if arguments.common.json {
            print_json(&json!({ "diff": diff, "is_in_place": false, "why": why }));
        }
        return Ok(Err(EXIT_NO));
    }
    if arguments.dry_run {
        if arguments.common.json {
            print_json(&json!({ "diff": diff, "is_in_place": false }));
        }
        return Ok(Ok(0));
    }
    staged.put_in_place(&target.path)?;
    Ok(take_up(arguments, config, &in_use, &diff))
}

/// The file that is to be replaced, and what it is read for.
fn replaced(
    wanted: Option<&str>,
    all: &[ListedSource<'_>],
) -> Result<(FileSource, Scope), ImportError> {
    let files: Vec<_> = all.iter().filter_map(|l| Some((l, l.settings.file()?))).collect();
    let names: Vec<_> = files.iter().map(|(_, f)| format!("file {}", f.path.display())).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (listed, settings) = &files[pick(&names, wanted)?];
    Ok((file_source(settings), Scope::new(scopes(listed))))
}

/// Those that go, by the names that the file has now.
fn gone(in_use: &Listed, preview: &Preview, diff: &Diff) -> String {
    let mut removed = Vec::new();
    let read = in_use.read_out(&mut |recipient| {
        let is_removed = preview.is_removed(recipient.local_part.as_bytes(), recipient.domain);
        if removed.len() < super::diff::NAMES_SHOWN_MAX && is_removed {
            removed.push(format!("{}@{}", recipient.local_part, recipient.domain));
        }
    });
    let mut text = String::new();
    // A file that is not there, or malformed, names nobody.
    if read.is_ok() {
        names(&mut text, '-', &removed, diff.removed.unwrap_or(0));
    }
    text
}

/// Lets the process that serves take it up, or leaves the word for one that starts.
fn take_up(arguments: &ImportArguments, config: &Config, in_use: &Listed, diff: &Diff) -> Ended {
    let (source, entries) = (diff.source.clone(), Some(diff.entries));
    let word = Confirm { source, entries, is_new: true };
    let confirmed: Option<Confirmed> = ask_or(
        config,
        |client| {
            let confirmed = client.ask_long("/v1/confirm", &word).map(Some);
            if confirmed.is_err() {
                eprintln!("The file is in place; the Postern that runs did not take it up:");
            }
            confirmed
        },
        |absent| {
            tell_absent(&absent, "The file is in place for one that starts.");
            let confirmation = Confirmation { entries: diff.entries };
            if diff.is_held()
                && let Some(Err(error)) = in_use.leave_confirmation(confirmation)
            {
                eprintln!("cannot leave the confirmation in the state directory: {error}");
                return Err(EXIT_LATER);
            }
            Ok(None)
        },
    )
    .map_err(|_| EXIT_LATER)?;
    let is_in_use = confirmed.as_ref().is_none_or(|confirmed| confirmed.is_taken);
    if arguments.common.json {
        print_json(&json!({ "diff": diff, "is_in_place": true, "loaded": confirmed }));
    } else if let Some(loaded) = confirmed.as_ref().and_then(|c| c.loaded.as_ref()) {
        print(&loaded_text(&diff.source, loaded));
    }
    Ok(if is_in_use { 0 } else { EXIT_LATER })
}

/// A copy environment_of the file that it is to replace; gone unless it is put in place.
struct Staged {
    path: PathBuf,
}

impl Staged {
    fn copy(from: &Path, target: &Path) -> Result<Self, ImportError> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.import", std::process::id()));
        let staged = Self { path: name.into() };
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ImportError::Io { path, source }
        };
        let mut to = File::create(&staged.path).map_err(failed(&staged.path))?;
        let input: Box<dyn Read> = if from == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(from).map_err(failed(from))?)
        };
        let mut input = input.take(LIST_OCTETS_MAX + 1);
        let octets = io::copy(&mut input, &mut to).map_err(failed(from))?;
        if octets > LIST_OCTETS_MAX {
            return Err(ImportError::TooLong);
        }
        to.sync_all().map_err(failed(&staged.path))?;
        Ok(staged)
    }

    /// Takes the rights of the file that it replaces, and its place.
    fn put_in_place(self, target: &Path) -> Result<(), ImportError> {
        let failed = |source| ImportError::Io { path: target.to_owned(), source };
        if let Ok(before) = fs::metadata(target) {
            fs::set_permissions(&self.path, before.permissions()).map_err(failed)?;
            let (uid, gid) = (Uid::from_raw(before.uid()), Gid::from_raw(before.gid()));
            let now = fs::metadata(&self.path).map_err(failed)?;
            if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
                chown(&self.path, Some(uid), Some(gid))
                    .map_err(|errno| failed(io::Error::from(errno)))?;
            }
        }
        fs::rename(&self.path, target).map_err(failed)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Not there any more when it was put in place.
        let _ = fs::remove_file(&self.path);
    }
}
