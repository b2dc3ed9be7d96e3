//! What `explain` prints of typical cases, whole: `explain.golden`.

use super::ConfiguredFolder;
use std::fs;

/// A recipient, and what else is said.
const EXPLAINED: &[&[&str]] = &[
    &["jones@example.test"],
    &["smith+lists@example.test", "--size", "5000"],
    &["team-blue@example.test", "--client", "2001:db8::7"],
    &["nobody@example.test"],
    &["old@example.test"],
    &["noreply@example.test"],
    &["a@elsewhere.test"],
    &["a%b@example.test"],
    &["a@@example.test"],
    &["@a.test:jones@example.test"],
    &["smith@example.test", "--size", "99999999999"],
    &["smith@example.test", "--hello", "mx.example.test"],
    &["smith@example.test", "--standing-sessions", "1000"],
    &["smith@example.test", "--standing-harvest"],
];

/// `BLESS=1` rewrites what is expected.
#[test]
fn what_explain_prints_stays_as_it_is() {
    let configured = ConfiguredFolder::new();
    let folder = configured.0.path().canonicalize().unwrap().display().to_string();
    let mut all = String::new();
    for (n, case) in EXPLAINED.iter().enumerate() {
        let client = if case.contains(&"--client") { &[][..] } else { &["--client", "192.0.2.7"] };
        let arguments = [&["explain", "--from", "a@example.net", "--to"], *case, client].concat();
        let told = configured.configured(&arguments);
        let told: String = told.out.lines().map(|line| ageless(line) + "\n").collect();
        all.push_str(&format!("$ {}\n{told}\n", case.join(" ")));
        if n.is_multiple_of(3) {
            let mut told = configured.configured(&[&arguments[..], &["--json"]].concat()).json();
            for source in told["sources"].as_array_mut().unwrap() {
                source["age_seconds"] = 0.into();
            }
            all.push_str(&format!("{told}\n\n"));
        }
    }
    let all = all.replace(&folder, "FOLDER");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/cli/explain.golden");
    if std::env::var_os("BLESS").is_some() {
        fs::write(golden, &all).unwrap();
    }
    let expected = fs::read_to_string(golden).unwrap();
    for (line, (now, expected)) in all.lines().zip(expected.lines()).enumerate() {
        assert_eq!(now, expected, "explain.golden:{}", line + 1);
    }
    assert_eq!(all.len(), expected.len());
}

/// Without the seconds since the list was written.
fn ageless(line: &str) -> String {
    let Some((before, behind)) = line.split_once(" s old") else { return line.to_owned() };
    let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{before}0 s old{behind}")
}
