//! The files of a crate, and which module each is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The crates of the product, those that use nothing first.
pub const CRATES: [&str; 8] =
    ["mail", "relay", "dialogue", "wire", "settings", "directory", "gateway", "tools"];

/// A module by its names, its crate first: `["directory", "live", "trust"]`.
pub type Module = Vec<String>;

/// One file of a crate.
#[derive(Clone, Debug)]
pub struct File {
    /// From the root of the project.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The folder that holds all crates.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Every module of these crates that is not a test.
/// # Errors
/// When a file cannot be read.
pub fn modules(crates: &[&str]) -> io::Result<BTreeMap<Module, File>> {
    let mut found = BTreeMap::new();
    for name in crates {
        let folder = root().join(name).join("src");
        walk(&folder, &[(*name).to_owned()], &mut found)?;
    }
    Ok(found)
}

fn walk(folder: &Path, module: &[String], found: &mut BTreeMap<Module, File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut inner = module.to_vec();
        if path.is_dir() {
            if stem != "tests" {
                inner.push(stem);
                walk(&path, &inner, found)?;
            }
            continue;
        }
        let is_test = stem == "tests" || stem.ends_with("_tests") || stem == "main";
        if path.extension().is_none_or(|ending| ending != "rs") || is_test {
            continue;
        }
        if !["lib", "mod"].contains(&stem.as_str()) {
            inner.push(stem);
        }
        let text = fs::read_to_string(&path)?;
        let path = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        found.insert(inner, File { path, text });
    }
    Ok(())
}

/// Lines of code: neither blank nor comment, and without the tests at the end of the file.
#[must_use]
pub fn code_lines(text: &str) -> usize {
    let lines = without_tests(text).lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// A file's text up to its module of tests.
#[must_use]
pub fn without_tests(text: &str) -> &str {
    let ends = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\n#[allow("];
    let end = ends.iter().filter_map(|end| text.rfind(end)).min();
    end.map_or(text, |end| &text[..end])
}
