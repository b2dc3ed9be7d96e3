//! What a key of the configuration is: its name, what it takes, its default, its limits and its
//! help, all in one line of a [`table!`]. The reader, the check of what was written, "did you
//! mean" and the manual come from it. What keys there are is left to `config` and to the kinds of
//! recipient sources; how they are read, to `reader` and `value`.

use super::reader::Reader;
use super::value::{Choice, Fallback, Given, Value};
use std::fmt;
use std::ops::RangeInclusive;
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
    pub keys: &'static [Description],
}

/// All that a key is, but for the type that it is read into.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not written.
    pub default: Default,
    /// A value that works: of a text without its quotes, else as it is written. Empty where the
    /// default or the kind gives one.
    pub example: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Why its values are bounded as they are; empty when that is plain.
    pub why: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
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
    /// A table.
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// Nothing: it must be written.
    Required,
    /// This, in words.
    Words(&'static str),
    /// This number.
    Number(u64),
    /// This word, of a choice.
    Word(&'static str),
    /// `true` or `false`.
    Flag(bool),
}

/// A key of a table. `F` is what the table has for it once it is read: `Option<Given<T>>` where
/// it may be missing, `Given<T>` where a default holds.
pub struct Key<F: Field> {
    /// Its name, kind, default and help.
    pub description: Description,
    pub(super) default: F::Default,
}

/// What a table has for a key.
pub trait Field: Sized {
    /// What the key takes.
    const KIND: Kind;
    /// What is known when nothing is written.
    type Default: Copy;
    /// Takes it out of what was written. What is wrong with it is told.
    fn read(key: &Key<Self>, reader: &mut Reader<'_>) -> Self;
}

impl<T: Value> Field for Option<Given<T>> {
    const KIND: Kind = T::KIND;
    type Default = ();
    fn read(key: &Key<Self>, reader: &mut Reader<'_>) -> Self {
        reader.take(&key.description)
    }
}

impl<T: Fallback> Field for Given<T> {
    const KIND: Kind = T::KIND;
    type Default = T::Default;
    fn read(key: &Key<Self>, reader: &mut Reader<'_>) -> Self {
        let written = reader.take(&key.description);
        written.unwrap_or_else(|| reader.default_of(&key.description, T::fallback(key.default)))
    }
}

/// A key that must be written.
pub const fn required<T: Value>() -> Key<Option<Given<T>>> {
    key(Default::Required, ())
}

/// A key that may be left out; the words say what holds then.
pub const fn optional<T: Value>(words: &'static str) -> Key<Option<Given<T>>> {
    key(Default::Words(words), ())
}

/// A number with its default and its limits:
/// ```
/// use settings::table::keys::{Key, number};
/// use settings::table::value::Given;
/// const CONNECTIONS: Key<Given<u32>> = number(8, 1..=64);
/// ```
/// A default out of them does not compile:
/// ```compile_fail
/// use settings::table::keys::{Key, number};
/// use settings::table::value::Given;
/// const CONNECTIONS: Key<Given<u32>> = number(0, 1..=64);
/// ```
/// Nor do limits that the type cannot hold:
/// ```compile_fail
/// use settings::table::keys::{Key, number};
/// use settings::table::value::Given;
/// const OCTETS: Key<Given<u32>> = number(1, 1..=1 << 40);
/// ```
pub const fn number<T>(default: u64, limits: RangeInclusive<u64>) -> Key<Given<T>>
where
    T: Fallback<Default = u64>,
{
    let key: Key<Given<T>> = key(Default::Number(default), default);
    let key = key.within(limits);
    let Kind::Number(min, max) = key.description.kind else { panic!("only a number has limits") };
    assert!(min <= default && default <= max, "the default is out of its limits");
    key
}

/// A choice with the word that holds by default:
/// ```
/// use settings::table::keys::{Key, choice};
/// use settings::{table::value::Given, tls_keys::TlsUse};
/// const TLS: Key<Given<TlsUse>> = choice("require");
/// ```
/// One that is none of its words does not compile:
/// ```compile_fail
/// use settings::table::keys::{Key, choice};
/// use settings::{table::value::Given, tls_keys::TlsUse};
/// const TLS: Key<Given<TlsUse>> = choice("optional");
/// ```
pub const fn choice<T: Choice>(word: &'static str) -> Key<Given<T>> {
    let mut at = 0;
    while !is_same(T::WORDS[at], word) {
        at += 1;
        assert!(at < T::WORDS.len(), "the default is none of the words");
    }
    key(Default::Word(word), T::VALUES[at])
}

/// `true` or `false`, and which holds by default.
pub const fn flag(default: bool) -> Key<Given<bool>> {
    key(Default::Flag(default), default)
}

/// A table whose keys all have defaults; the words say so.
pub const fn table_of<T: Fallback<Default = ()>>(words: &'static str) -> Key<Given<T>> {
    key(Default::Words(words), ())
}

const fn key<F: Field>(told: Default, default: F::Default) -> Key<F> {
    let kind = F::KIND;
    let description = Description { name: "", kind, default: told, example: "", help: "", why: "" };
    Key { description, default }
}

/// `==` of texts, while compiling.
const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

impl<F: Field> Key<F> {
    /// Narrows a number to these limits, both included.
    pub const fn within(mut self, limits: RangeInclusive<u64>) -> Self {
        let (min, max) = (*limits.start(), *limits.end());
        let Kind::Number(_, most) = self.description.kind else {
            panic!("only a number has limits")
        };
        assert!(min <= max && max <= most, "these limits do not fit the type");
        self.description.kind = Kind::Number(min, max);
        self
    }

    /// Gives an example: of a text without its quotes, else as it is written.
    pub const fn like(mut self, example: &'static str) -> Self {
        self.description.example = example;
        self
    }

    /// Says why its values are bounded as they are.
    pub const fn because(mut self, why: &'static str) -> Self {
        self.description.why = why;
        self
    }

    /// The key of this name: what [`table!`] adds.
    pub const fn named(mut self, name: &'static str, help: &'static str) -> Self {
        self.description.name = name;
        // The line of a comment begins with a blank.
        self.description.help = help.trim_ascii_start();
        self
    }
}

impl Description {
    /// A line that would be right; for a list of tables its head and what it must have.
    #[must_use]
    pub fn example(&self) -> String {
        let value = match (self.example, self.kind, self.default) {
            ("", Kind::Choice(words), _) => format!("\"{}\"", words[0]),
            ("", _, Default::Number(number)) => number.to_string(),
            ("", _, Default::Flag(flag)) => (!flag).to_string(),
            ("", Kind::Table(table), _) => return table.head.to_owned(),
            ("", Kind::Tables(table), _) => return table.example(),
            (text, Kind::Text | Kind::TextOrTexts, _) => format!("\"{text}\""),
            (written, ..) => written.to_owned(),
        };
        format!("{} = {value}", self.name)
    }
}

impl Table {
    fn example(&self) -> String {
        let required = self.keys.iter().filter(|key| matches!(key.default, Default::Required));
        required.fold(format!("\n    {}", self.head), |text, key| {
            format!("{text}\n    {}", key.example())
        })
    }
}

/// A table and a key in it: `domain.recipients`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPath {
    /// The path of the table; empty at the top of the file.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, key } = self;
        if table.is_empty() { f.write_str(key) } else { write!(f, "{table}.{key}") }
    }
}

impl From<KeyPath> for String {
    fn from(path: KeyPath) -> Self {
        path.to_string()
    }
}

/// Declares a table of the configuration: a struct of what was written for its keys, its
/// description ([`Table`]) and its reader, all from one list. The comments are the manual.
///
/// ```text
/// table! {
///     /// A web service that is asked for each address.
///     pub struct HttpTable("http", "[[http]]") {
///         /// PEM file of the authorities that are believed.
///         tls_ca: Option<Text> = optional("the system's roots").like("inside-ca.pem"),
///         /// Questions at the same time.
///         connections_max: Given<u32> = number(8, 1..=1_000),
///     }
/// }
/// ```
#[macro_export]
macro_rules! table {
    (
        $(#[doc = $help:literal])+
        $vis:vis struct $name:ident($path:literal, $head:literal) {
            $( $(#[doc = $key_help:literal])+ $key:ident: $field:ty = $description:expr, )*
        }
    ) => {
        $(#[doc = $help])+
        #[derive(Debug)]
        $vis struct $name { $( $(#[doc = $key_help])+ $vis $key: $field, )* }

        #[allow(non_upper_case_globals, reason = "a key is written in lower case")]
        impl $name {
            $(
                const $key: $crate::table::keys::Key<$field> = {
                    #[allow(unused_imports, reason = "few tables need all of them")]
                    use $crate::table::keys::{
                        choice, flag, number, optional, required, table_of,
                    };
                    $description.named(stringify!($key), concat!($($key_help),+))
                };
            )*
        }

        impl $crate::table::reader::FromTable for $name {
            const TABLE: &'static $crate::table::keys::Table = &$crate::table::keys::Table {
                path: $path,
                head: $head,
                help: concat!($($help),+).trim_ascii_start(),
                keys: &[ $( Self::$key.description ),* ],
            };

            fn from_table(reader: &mut $crate::table::reader::Reader<'_>) -> Self {
                use $crate::table::keys::Field;
                Self { $( $key: Field::read(&Self::$key, reader) ),* }
            }
        }
    };
}

pub use table;

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
