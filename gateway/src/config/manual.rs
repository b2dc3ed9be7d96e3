//! The reference part of docs/configuration.md, made from the table of keys, so that the manual
//! cannot say anything else than the program.

use super::keys::{KEYS, table_at};
use settings::table::keys::{Default, Description, Kind, Table};

/// Every table and key, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for table in KEYS.iter() {
        if matches!(table.path, "limits.busy" | "limits.stress") {
            continue;
        }
        let head =
            if table.path.is_empty() { table.head.into() } else { format!("`{}`", table.head) };
        text.push_str(&format!("### {head}\n\n{}\n\n", table.help));
        if table.path == "limits" {
            text.push_str(&limits(table));
        } else {
            text.push_str("| Key | Takes | Default | Meaning |\n|---|---|---|---|\n");
            table.keys.iter().for_each(|key| text.push_str(&row(key)));
        }
        text.push('\n');
    }
    text
}

fn row(key: &Description) -> String {
    let mut meaning = key.help.to_owned();
    if !key.example.is_empty() || matches!(key.kind, Kind::Boolean) {
        meaning.push_str(&format!(" Example: `{}`", key.example()));
    }
    format!("| `{}` | {} | {} | {} |\n", key.name, takes(key.kind), default(key), escaped(&meaning))
}

/// The limits that differ with the load have a column for each state of it.
fn limits(table: &Table) -> String {
    let of = |path: &str, name: &str| {
        let keys = table_at(path).map_or(&[] as &[Description], |table| table.keys);
        keys.iter().find(|key| key.name == name)
    };
    let (mut tightening, mut fixed) = (String::new(), String::new());
    for key in table.keys {
        match (of("limits.busy", key.name), of("limits.stress", key.name)) {
            (Some(busy), Some(stress)) => tightening.push_str(&format!(
                "| `{}` | {} | {} | {} | {} | {} |\n",
                key.name,
                takes(key.kind),
                default(key),
                default(busy),
                default(stress),
                escaped(key.help)
            )),
            _ => fixed.push_str(&row(key)),
        }
    }
    format!(
        "These tighten with the load: above 70 % of `connections_max` what stands in \
         `[limits.busy]` holds, above 90 % `[limits.stress]`. A limit that is not written there \
         is never looser than with less load.\n\n\
         | Key | Takes | Normal | Busy | Stress | Meaning |\n|---|---|---|---|---|---|\n\
         {tightening}\nThese do not change:\n\n\
         | Key | Takes | Default | Meaning |\n|---|---|---|---|\n{fixed}"
    )
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Texts => "list of texts".into(),
        Kind::TextOrTexts => "text or list of texts".into(),
        Kind::Boolean => "`true` or `false`".into(),
        Kind::TextOrTrue => "text or `true`".into(),
        Kind::Number(min, max) => format!("{} to {}", grouped(min), grouped(max)),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Kind::Table(_) => "table".into(),
        Kind::Tables(_) => "list of tables".into(),
    }
}

fn default(key: &Description) -> String {
    match key.default {
        Default::Required => "required".into(),
        Default::Words(words) => words.into(),
        Default::Number(number) => grouped(number),
        Default::Word(word) => format!("`\"{word}\"`"),
        Default::Flag(flag) => format!("`{flag}`"),
    }
}

/// A bar would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// `26,214,400`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
