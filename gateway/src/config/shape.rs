//! Compares the file with the table of keys: unknown keys, missing ones, wrong types, words and
//! numbers out of bounds. What it has reported it takes out, so that the rest can still be
//! checked; what the values mean is for `build`.

use super::keys::{KEYS, RECIPIENTS, table_at};
use crate::directory::MISSING;
use crate::settings::keys::{Default, Key, Kind, Table, nearest};
use crate::settings::mistake::{Mistake, Report};
use serde_spanned::Spanned;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Reports what is wrong with the shape of a table, and takes it out. `head` is where the table
/// begins, to be shown when one of its keys is missing.
pub(super) fn check(
    written: &mut DeTable<'_>,
    table: &'static Table,
    head: &Range<usize>,
    report: &mut Report,
) {
    let mut meant: Vec<&str> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    for (name, value) in written.iter_mut() {
        let text = name.get_ref().as_ref();
        let Some(key) = table.keys.iter().find(|key| key.name == text) else {
            meant.extend(unknown(text, name.span(), table, report));
            wrong.push(text.to_owned());
            continue;
        };
        if !value_is_right(value, key, table, &name.span(), report) {
            // A wrong value is no missing key.
            meant.push(key.name);
            wrong.push(text.to_owned());
        }
    }
    for name in &wrong {
        written.remove(name.as_str());
    }
    for key in table.keys.iter().filter(|key| matches!(key.default, Default::Required)) {
        if !written.contains_key(key.name) && !meant.contains(&key.name) {
            let mistake = Mistake::new(format!("`{}` is missing {}", key.name, place(table)))
                .key(path_of(table, key))
                .at(head.clone(), "here");
            report.refuse(with_example(mistake, key));
        }
    }
}

fn place(table: &Table) -> String {
    if table.path.is_empty() {
        "at the top of the file".to_owned()
    } else {
        format!("in `{}`", table.head)
    }
}

fn path_of(table: &Table, key: &Key) -> String {
    if table.path.is_empty() { key.name.to_owned() } else { format!("{}.{}", table.path, key.name) }
}

/// A line that would be right.
pub(super) fn example(key: &Key) -> String {
    if let Some(tables) = key.example.strip_prefix("\n\n") {
        return format!("\n{tables}");
    }
    let value = match (key.example, key.kind, key.default) {
        ("", Kind::Choice(choices), _) => format!("\"{}\"", choices[0]),
        ("", _, Default::Number(number)) => number.to_string(),
        ("", _, Default::Limit(place)) => place.default().to_string(),
        ("", Kind::Table(path) | Kind::Tables(path), _) => {
            return table_at(path).map_or(String::new(), |table| table.head.to_owned());
        }
        (written, _, _) => written.to_owned(),
    };
    format!("{} = {value}", key.name)
}

/// Why it has to be so, and a line that would be right.
fn with_example(mistake: Mistake, key: &Key) -> Mistake {
    let mistake = if key.why.is_empty() { mistake } else { mistake.help(key.why) };
    mistake.help(format!("for example: {}", example(key)))
}

/// The key that was meant, when one is near.
fn unknown(
    name: &str,
    span: Range<usize>,
    table: &'static Table,
    report: &mut Report,
) -> Option<&'static str> {
    if ["", RECIPIENTS].contains(&table.path) && MISSING.contains(&name) {
        report.refuse(
            Mistake::new(format!("this build of Postern has no `{name}`"))
                .key(if table.path.is_empty() {
                    name.into()
                } else {
                    format!("{RECIPIENTS}.{name}")
                })
                .at(span, "it was left out when the program was built")
                .help(format!("run the whole program, or build it with: --features {name}")),
        );
        return None;
    }
    let mistake = Mistake::new(format!("unknown key `{name}` {}", place(table)))
        .key(if table.path.is_empty() { name.into() } else { format!("{}.{name}", table.path) })
        .at(span, "not a key of this table");
    // A key that stands below the head of a table belongs to that table, wherever it is meant.
    let elsewhere: Vec<&str> = KEYS
        .iter()
        .filter(|other| other.keys.iter().any(|key| key.name == name))
        .map(|other| if other.path.is_empty() { "the top of the file" } else { other.head })
        .collect();
    let meant = nearest(name, table.keys.iter().map(|key| key.name));
    let (help, meant) = match (elsewhere.as_slice(), meant) {
        (["the top of the file", ..], _) => (
            format!(
                "`{name}` belongs to the top of the file, before the first line in brackets: \
                 what follows such a line is part of its table"
            ),
            None,
        ),
        (_, Some(meant)) => (format!("did you mean `{meant}`?"), Some(meant)),
        ([], None) => {
            let names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
            (format!("the keys here are: {}", names.join(", ")), None)
        }
        (tables, None) => (format!("`{name}` is a key of `{}`", tables.join("` and of `")), None),
    };
    report.refuse(mistake.help(help));
    meant
}

fn value_is_right(
    value: &mut Spanned<DeValue<'_>>,
    key: &'static Key,
    table: &Table,
    name: &Range<usize>,
    report: &mut Report,
) -> bool {
    let span = value.span();
    let path = path_of(table, key);
    match (key.kind, value.get_mut()) {
        (Kind::Text | Kind::TextOrTrue, DeValue::String(_))
        | (Kind::Boolean, DeValue::Boolean(_))
        | (Kind::TextOrTrue, DeValue::Boolean(true)) => true,
        (Kind::Texts | Kind::TextOrTexts, DeValue::Array(list)) => {
            list.iter().all(|text| text.get_ref().is_str()) || wrong_type(key, &path, span, report)
        }
        (Kind::TextOrTexts, DeValue::String(_)) => true,
        (Kind::Number(min, max), DeValue::Integer(number)) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            let range = i128::from(min)..=i128::from(max);
            if parsed.is_ok_and(|number| range.contains(&number)) {
                return true;
            }
            let mistake = Mistake::new(format!("`{}` is out of bounds", key.name))
                .at(span, &format!("expected {min} to {max}"))
                .key(path);
            report.refuse(with_example(mistake, key));
            false
        }
        (Kind::Choice(choices), DeValue::String(word)) => {
            choices.contains(&word.as_ref()) || wrong_word(word, choices, key, path, span, report)
        }
        (Kind::Table(path), DeValue::Table(within)) => {
            if let Some(table) = table_at(path) {
                check(within, table, &span, report);
            }
            true
        }
        (Kind::Tables(path), DeValue::Array(list)) => tables(list, key, path, name, report),
        _ => wrong_type(key, &path, span, report),
    }
}

fn wrong_word(
    word: &str,
    choices: &[&str],
    key: &Key,
    path: String,
    span: Range<usize>,
    report: &mut Report,
) -> bool {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    let mistake = Mistake::new(format!("`{}` cannot be \"{word}\"", key.name))
        .at(span, &format!("expected {}", quoted.join(" or ")))
        .key(path);
    report.refuse(match nearest(word, choices.iter().copied()) {
        Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
        None => with_example(mistake, key),
    });
    false
}

fn tables(
    list: &mut [Spanned<DeValue<'_>>],
    key: &'static Key,
    path: &'static str,
    name: &Range<usize>,
    report: &mut Report,
) -> bool {
    let Some(table) = table_at(path) else { return false };
    if list.is_empty() && matches!(key.default, Default::Required) {
        let mistake = Mistake::new(format!("`{}` is empty", key.name))
            .key(path)
            .at(name.clone(), "expected at least one");
        report.refuse(with_example(mistake, key));
        return false;
    }
    // One entry that is no table is reported and the list dropped; the others are still checked.
    let mut is_right = true;
    for entry in list {
        let span = entry.span();
        match entry.get_mut() {
            DeValue::Table(within) => check(within, table, &span, report),
            _ => is_right = wrong_type(key, path, span, report),
        }
    }
    is_right
}

fn wrong_type(key: &Key, path: &str, span: Range<usize>, report: &mut Report) -> bool {
    let expected = match key.kind {
        Kind::Text => "expected text in quotes",
        Kind::Texts => "expected a list of texts",
        Kind::TextOrTexts => "expected text in quotes, or a list of texts",
        Kind::TextOrTrue => "expected text in quotes, or true without quotes",
        Kind::Boolean => "expected true or false, without quotes",
        Kind::Number(..) => "expected a whole number, without quotes",
        Kind::Choice(_) => "expected one of its words, in quotes",
        Kind::Table(_) => "expected a table",
        Kind::Tables(_) => "expected a list of tables",
    };
    report.refuse(
        Mistake::new(format!("`{}` is of the wrong kind", key.name))
            .key(path)
            .at(span, expected)
            .help(format!("for example: {}", example(key))),
    );
    false
}
