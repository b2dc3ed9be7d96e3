//! What the program says, as files: the help of each command, what commands print, each message
//! over the control socket. `BLESS=1 cargo test golden` rewrites them in `tests/golden/`; read the
//! diff, for scripts and people rely on it. What differs from run to run is masked as `<…>`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod control;
mod help;
mod output;

use kit::Folder;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder of expected texts.
struct Golden {
    folder: PathBuf,
    compared: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Golden {
    fn new(folder: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, compared: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Compares with the file of this name, or writes it.
    fn compare(&mut self, name: &str, text: &str) {
        assert!(self.compared.insert(name.to_owned()), "{name} stands for two texts");
        // Editors remove blanks at the ends of lines.
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let path = self.folder.join(format!("{name}.txt"));
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if text == expected {
            return;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, text).unwrap();
            return;
        }
        let differs = |(expected, got): &(&str, &str)| expected != got;
        let lines = expected.lines().zip(text.lines()).filter(differs).take(5);
        let lines: String = lines.map(|(old, new)| format!("\n    - {old}\n    + {new}")).collect();
        let (old, new) = (expected.lines().count(), text.lines().count());
        self.wrong.push(format!("{}: {old} lines, now {new}{lines}", path.display()));
    }

    /// Fails when anything differed, or when a file is of nothing any more.
    fn finish(mut self) {
        for file in fs::read_dir(&self.folder).unwrap() {
            let path = file.unwrap().path();
            if self.compared.contains(&*path.file_stem().unwrap().to_string_lossy()) {
                continue;
            }
            match std::env::var_os("BLESS") {
                Some(_) => fs::remove_file(&path).unwrap(),
                None => self.wrong.push(format!("{}: nothing says this", path.display())),
            }
        }
        assert!(self.wrong.is_empty(), "differs; BLESS=1 rewrites:\n  {}", self.wrong.join("\n  "));
    }
}

/// Differ with the time and the process.
const NUMBERS: &[&str] =
    &["process_id", "age_seconds", "last_trouble_age_seconds", "note_age_seconds"];

/// Each name in turn becomes its mask.
fn masked(text: &str, masks: &[(&str, &str)]) -> String {
    masks.iter().fold(text.to_owned(), |text, (name, mask)| text.replace(name, mask))
}

/// A file that was written ten days ago, so that no age differs from run to run.
fn write_old(folder: &Folder, name: &str, text: &str) {
    let fresh = folder.file("fresh");
    fs::write(&fresh, text).unwrap();
    let age = Duration::from_secs(10 * 86_400 + 3_600);
    let file = fs::File::options().write(true).open(&fresh).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
    fs::rename(&fresh, folder.file(name)).unwrap();
}

/// What differs becomes `<number>`, wherever it stands.
fn mask_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if value.is_number() && NUMBERS.contains(&key.as_str()) {
                    *value = "<number>".into();
                }
                mask_numbers(value);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask_numbers),
        _ => {}
    }
}
