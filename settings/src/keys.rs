//! What a key of the configuration is: what it takes, its default and its help. Read by the check
//! of the shape, by "did you mean", by the manual and by `--help`. Which keys there are is left to
//! `config` and to the kinds of recipient sources.

use super::place::Place;
use strsim::osa_distance;

/// One table of the file and what may stand in it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its path: `domain.recipients`; empty for the top of the file.
    pub path: &'static str,
    /// How its head is written: `[[domain]]`.
    pub head: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not written.
    pub default: Default,
    /// A value that works, as it is written.
    pub example: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Why its values are bounded as they are; empty when that is plain.
    pub why: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes.
    Text,
    /// A list of texts.
    Texts,
    /// One text, or a list of them.
    TextOrTexts,
    /// `true` or `false`.
    Boolean,
    /// One text, or `true`.
    TextOrTrue,
    /// A whole number from the first to the second, both included.
    Number(u64, u64),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// The table with this path.
    Table(&'static str),
    /// A list of tables with this path.
    Tables(&'static str),
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// Nothing: it must be written.
    Required,
    /// This, in words.
    Words(&'static str),
    /// This value, as it would be written.
    Value(&'static str),
    /// This number.
    Number(u64),
    /// What the relay has for this limit.
    Limit(Place),
}

impl Table {
    /// The default of a number that stands among the keys themselves; zero where there is none.
    #[must_use]
    pub fn default_number(&self, name: &str) -> u64 {
        match self.keys.iter().find(|key| key.name == name).map(|key| key.default) {
            Some(Default::Number(number)) => number,
            _ => 0,
        }
    }
}

impl Key {
    /// The same key, with why its values are bounded as they are.
    #[must_use]
    pub const fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }
}

/// A key.
#[must_use]
pub const fn key(
    name: &'static str,
    kind: Kind,
    default: Default,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key { name, kind, default, example, help, why: "" }
}

/// A key that takes a text.
#[must_use]
pub const fn text(n: &'static str, d: Default, example: &'static str, help: &'static str) -> Key {
    key(n, Kind::Text, d, example, help)
}

/// A key that takes a list of texts.
#[must_use]
pub const fn texts(n: &'static str, d: Default, example: &'static str, help: &'static str) -> Key {
    key(n, Kind::Texts, d, example, help)
}

/// A key that takes a number from `min` to `max`, both included.
#[must_use]
pub const fn number(n: &'static str, d: u64, min: u64, max: u64, help: &'static str) -> Key {
    key(n, Kind::Number(min, max), Default::Number(d), "", help)
}

/// A key that takes one of these words.
#[must_use]
pub const fn choice(
    name: &'static str,
    choices: &'static [&'static str],
    default: Default,
    help: &'static str,
) -> Key {
    key(name, Kind::Choice(choices), default, "", help)
}

/// A key that holds a table.
#[must_use]
pub const fn table(name: &'static str, none: &'static str, help: &'static str) -> Key {
    key(name, Kind::Table(name), Default::Words(none), "", help)
}

/// Of these words the one that was probably meant.
#[must_use]
pub fn nearest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nothing that long is a slip of the keys 30 characters long; keeps the cost bounded.
    const CHARACTERS_MAX: usize = 64;
    let folded: String = written.chars().take(CHARACTERS_MAX).collect();
    let folded = folded.to_lowercase().replace('-', "_");
    let distances =
        words.into_iter().map(|word| (osa_distance(&folded, &word.to_lowercase()), word));
    let (distance, word) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.chars().count().div_ceil(3)).then_some(word)
}
