//! One directory per mistake: `postern.toml` is loaded, and the report must be `expected.txt` to
//! the letter. `BLESS=1 cargo test -p gateway --test bad_configs` rewrites what is expected.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use gateway::run::build::load;
use settings::mistake::render;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

const COLUMNS: usize = 100;

/// A checkout lets everybody read secrets, which is a warning of its own.
fn keep_secrets(directories: &[PathBuf]) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for entry in directories.iter().flat_map(|path| fs::read_dir(path).unwrap()) {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
            }
        }
    });
}

fn directories() -> Vec<PathBuf> {
    // Tests run in the directory of the package, so the paths in the reports are relative.
    let entries = fs::read_dir("tests/bad_configs").unwrap();
    let mut list: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    list.retain(|path| path.join("postern.toml").exists());
    list.sort();
    keep_secrets(&list);
    list
}

fn report(directory: &Path) -> String {
    let text = match load(&directory.join("postern.toml")) {
        Ok(config) => format!("loads\n{}", render(&config.warnings, COLUMNS, false)),
        Err(mistakes) => format!("is refused\n{}", mistakes.render(COLUMNS, false)),
    };
    // Snippets end in blanks that editors remove.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn every_mistake_is_told_as_expected() {
    let directories = directories();
    assert!(directories.len() >= 35, "only {} directories", directories.len());
    let mut wrong = Vec::new();
    for directory in directories {
        let path = directory.join("expected.txt");
        let report = report(&directory);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, report).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != report {
            wrong.push(format!("{}:\n{report}", directory.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_directory_shows_at_least_one_mistake_or_warning() {
    for directory in directories() {
        let lines = report(&directory).lines().count();
        assert!(lines > 1, "{} has nothing to report", directory.display());
    }
}
