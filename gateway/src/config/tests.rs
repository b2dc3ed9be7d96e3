//! The configuration as a whole.

use super::built::{ClientDetails, Config, FileFormat, ListenAddress, ListenerTls, NextHopTls};
use super::mistake::Mistakes;
use std::path::Path;

const LEAST: &str = r#"hostname = "mx.example.test"

[[listener]]
address = "127.0.0.1:2525"

[[domain]]
name = "example.test"
next_hop = "127.0.0.1:2600"
recipients = [{ file = "users.txt" }]
"#;

/// Loads a configuration from a directory of its own, beside `users.txt` and `staff.csv`.
fn load(text: &str) -> Result<Config, Mistakes> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("users.txt"), "jones@example.test\n").unwrap();
    std::fs::write(directory.path().join("staff.csv"), "address\n").unwrap();
    let path = directory.path().join("postern.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path)
}

fn loaded(text: &str) -> Config {
    load(text).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(100, false)))
}

#[test]
fn the_least_file_loads_as_it_stands() {
    let config = loaded(LEAST);
    assert_eq!(config.settings.hostname.as_str(), "mx.example.test");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}
