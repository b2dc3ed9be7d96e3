//! Style as a test: what a reader may rely on in every file, and what no reviewer should have to
//! look for. Each rule says in its failure what to do.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tidy::source::{CRATES, root, without_tests};

/// Lines of a file without its tests.
const FILE_LINES_MAX: usize = 500;
/// Lines of a file of tests.
const TEST_LINES_MAX: usize = 600;
/// Columns.
const COLUMNS_MAX: usize = 100;
/// Files in a folder of code.
const FOLDER_FILES_MAX: usize = 14;

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') && name != "found" {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// Code of the crates, with its path from the root.
fn sources(within: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in within {
        files(&root().join(folder), ".rs", &mut found);
    }
    found.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    };
    found.iter().map(read).collect()
}

fn all() -> Vec<(String, String)> {
    sources(&[&CRATES[..], &["kit", "tidy", "fuzz"]].concat())
}

fn is_test(name: &str) -> bool {
    name.starts_with("kit/")
        || name.contains("/tests")
        || name.ends_with("_tests.rs")
        || name.ends_with("/tests.rs")
        || name.contains("/benches/")
}

fn complain(faults: Vec<String>, rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_file_says_at_its_top_what_it_is() {
    let missing = all().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    complain(missing.map(|(name, _)| name).collect(), "begin the file with `//!`: what it is");
}

#[test]
fn files_are_short() {
    let long = all().into_iter().filter_map(|(name, text)| {
        let lines = without_tests(&text).lines().count();
        let max = if is_test(&name) { TEST_LINES_MAX } else { FILE_LINES_MAX };
        (lines > max).then(|| format!("{name}: {lines} lines"))
    });
    complain(long.collect(), "split the file where it thinks two thoughts");
}

#[test]
fn folders_are_small() {
    let mut folders = std::collections::BTreeMap::<String, usize>::new();
    for (name, _) in all().into_iter().filter(|(name, _)| !is_test(name)) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        *folders.entry(folder).or_default() += 1;
    }
    // One file a rule, or a kind of source, is the point of these folders.
    let lists = ["relay/src/policy/rules", "directory/src/kinds"];
    let full = folders
        .into_iter()
        .filter(|(folder, files)| *files > FOLDER_FILES_MAX && !lists.contains(&&**folder));
    complain(full.map(|(folder, n)| format!("{folder}: {n} files")).collect(), "split the folder");
}

#[test]
fn lines_fit_on_a_screen() {
    let mut wide = Vec::new();
    for (name, text) in all() {
        // A table is worth a long row; strings of tests may be what they are.
        if is_test(&name) || name.ends_with("policy/verdict.rs") {
            continue;
        }
        for (n, line) in without_tests(&text).lines().enumerate() {
            let string = line.contains('"');
            if line.chars().count() > COLUMNS_MAX && !string {
                wide.push(format!("{name}:{}", n + 1));
            }
        }
    }
    complain(wide, "keep lines within 100 columns");
}

#[test]
fn nothing_is_left_undone() {
    let words = ["todo!", "unimplemented!", "dbg!(", "FIXME", "XXX", "HACK", "#[ignore"];
    let mut left = Vec::new();
    for (name, text) in all().into_iter().filter(|(name, _)| !name.ends_with("tests/tidy.rs")) {
        for (n, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                left.push(format!("{name}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    complain(left, "finish it, or say in the file's `Limits:` what is missing");
}

#[test]
fn arrows_point_from_the_edges_to_the_core() {
    let mut wrong = Vec::new();
    let forbidden: [(&str, &[&str]); 3] = [
        ("mail/src", &["relay::", "gateway::", "tokio", "std::fs", "SystemTime", "Instant::now"]),
        ("relay/src", &["gateway::", "tokio", "std::fs", "SystemTime", "Instant::now"]),
        ("dialogue/src", &["mail::", "relay::", "gateway::", "tokio", "std::fs", "Instant::now"]),
    ];
    for (folder, names) in forbidden {
        for (name, text) in sources(&[folder]) {
            for (n, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if names.iter().any(|forbidden| code.contains(forbidden)) {
                    wrong.push(format!("{name}:{}: {}", n + 1, line.trim()));
                }
            }
        }
    }
    complain(wrong, "gateway → relay → mail, and no I/O or clock in the pure crates");
}

#[test]
fn only_the_clock_asks_what_time_it_is() {
    let allowed = ["wire/src/clock.rs", "tools/src/demo", "tools/src/probe", "tools/src/talk"];
    let mut asked = Vec::new();
    for (name, text) in
        sources(&["wire/src", "settings/src", "directory/src", "gateway/src", "tools/src"])
    {
        let exempt = allowed.iter().any(|allowed| name.starts_with(allowed));
        // Deadlines of the process itself, where nothing is decided by the time of day.
        let deadline = name.starts_with("gateway/src/run") || name.ends_with("observe/log.rs");
        if without_tests(&text).contains("SystemTime::now") && !exempt && !deadline {
            asked.push(name);
        }
    }
    complain(asked, "take the time from wire/src/clock.rs");
}

#[test]
fn every_rule_is_listed_explained_and_seen_in_a_dialogue() {
    let folder = root().join("relay/src/policy/rules");
    let list = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let mut dialogues = Vec::new();
    files(&root().join("relay/dialogues"), ".smtp", &mut dialogues);
    let dialogues: String = dialogues.iter().map(|p| fs::read_to_string(p).unwrap()).collect();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().replace(".rs", "");
        if name == "mod" {
            continue;
        }
        if !list.contains(&format!("    {name}: \"")) {
            wrong.push(format!("{name} stands in no list of rules/mod.rs"));
        }
        if !dialogues.contains(&format!("rule={name}\n"))
            && !dialogues.contains(&format!("rule={name} "))
        {
            wrong.push(format!("no dialogue in relay/dialogues has `event … rule={name}`"));
        }
    }
    complain(wrong, "a rule is a file, a line and a dialogue");
}

/// `RFC 5321 §4.5.3` → 5321.
fn rfcs(text: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("RFC ") {
        let digits: String = text[at + 4..].chars().take_while(char::is_ascii_digit).collect();
        found.extend(digits.parse::<u32>().ok().filter(|number| *number > 99));
    }
    found
}

#[test]
fn the_list_of_rfcs_is_in_step_with_the_code() {
    let list = fs::read_to_string(root().join("docs/rfc.md")).unwrap();
    let listed = rfcs(&list.replace("| ", "RFC "));
    let code = all().into_iter().filter(|(name, _)| !is_test(name) && !name.starts_with("fuzz"));
    let cited: BTreeSet<u32> = code.flat_map(|(_, text)| rfcs(without_tests(&text))).collect();
    let missing: Vec<_> = cited.difference(&listed).map(ToString::to_string).collect();
    complain(missing, "add to docs/rfc.md what the code cites");
    let idle: Vec<_> = listed.difference(&cited).map(ToString::to_string).collect();
    complain(idle, "docs/rfc.md lists what no code cites");
}

#[test]
fn what_the_map_names_is_there() {
    let mut missing = Vec::new();
    for document in ["ARCHITECTURE.md", "README.md", "STYLE.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let path = word.trim_end_matches('/');
            let is_path = path.contains('/')
                && !path.contains([' ', '*', '<', '…', '{', ':', '$'])
                && !path.starts_with(['/', '-', '.']);
            if is_path && !root().join(path).exists() {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    complain(missing, "keep the documents true");
}

#[test]
fn documents_are_short_enough_to_be_read() {
    let mut long = Vec::new();
    for (document, lines_max) in [("ARCHITECTURE.md", 200), ("STYLE.md", 150), ("README.md", 200)] {
        let lines = fs::read_to_string(root().join(document)).unwrap().lines().count();
        if lines > lines_max {
            long.push(format!("{document}: {lines} of {lines_max} lines"));
        }
    }
    complain(long, "say it shorter");
}
