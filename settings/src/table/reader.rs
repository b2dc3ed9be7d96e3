//! Reads a table of the file by its keys, and tells what is wrong with its shape: unknown keys,
//! missing ones, and, with `value`, wrong kinds, words, and numbers out of bounds. What the values
//! mean is left to those who ask for them.

use super::context::LoadContext;
use super::keys::{Default, Description, KeyPath, Table, nearest};
use super::unread::Unread;
use super::value::{At, Given, Text, Value};
use crate::mistake::Mistake;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value as the file has it.
#[derive(Clone, Debug)]
pub enum Raw {
    /// Text.
    Text(String),
    /// A whole number; one beyond 128 bits is the largest there is.
    Number(i128),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Spanned<Raw>>),
    /// A table.
    Table(Fields),
    /// What no key takes: a date, a number with a point.
    Other,
}

/// The keys of a table as the file has them, with the places of their names and values.
#[derive(Clone, Debug, std::default::Default)]
pub struct Fields(BTreeMap<String, (Range<usize>, Spanned<Raw>)>);

impl From<DeTable<'_>> for Fields {
    fn from(table: DeTable<'_>) -> Self {
        let fields = table.into_iter().map(|(name, value)| {
            let (span, at) = (name.span(), value.span());
            (name.into_inner().into_owned(), (span, Spanned::new(at, value.into_inner().into())))
        });
        Self(fields.collect())
    }
}

impl From<DeValue<'_>> for Raw {
    fn from(value: DeValue<'_>) -> Self {
        let spanned = |value: Spanned<DeValue<'_>>| {
            let span = value.span();
            Spanned::new(span, value.into_inner().into())
        };
        match value {
            DeValue::String(text) => Self::Text(text.into_owned()),
            DeValue::Integer(number) => {
                let parsed = i128::from_str_radix(number.as_str(), number.radix());
                Self::Number(parsed.unwrap_or(i128::MAX))
            }
            DeValue::Boolean(flag) => Self::Boolean(flag),
            DeValue::Array(list) => Self::List(list.into_iter().map(spanned).collect()),
            DeValue::Table(table) => Self::Table(table.into()),
            DeValue::Float(_) | DeValue::Datetime(_) => Self::Other,
        }
    }
}

impl Fields {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of what is left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What is written for a key, when that is a text.
    #[must_use]
    pub fn text(&self, path: KeyPath) -> Option<Text> {
        let (_, value) = self.0.get(path.key)?;
        let Raw::Text(text) = value.get_ref() else { return None };
        Some(Given { value: text.clone(), span: value.span(), path, is_written: true })
    }

    /// Takes out what is written for a key, and says where its name stands.
    pub fn remove(&mut self, name: &str) -> Option<Range<usize>> {
        self.0.remove(name).map(|(span, _)| span)
    }

    /// Where the value of a key stands.
    #[must_use]
    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        self.0.get(name).map(|(_, value)| value.span())
    }
}

/// A struct that a table is read into: `table!` makes one.
pub trait FromTable: Sized {
    /// Its keys.
    const TABLE: &'static Table;
    /// Takes the values of its keys. What is wrong with them is told.
    fn from_table(reader: &mut Reader<'_>) -> Self;
    /// Reads a whole table.
    fn read_from(table: Given<Unread>, context: &mut LoadContext) -> Self {
        let head = table.span();
        Self::from_table(&mut Reader::open(table.into_inner().0, head, Self::TABLE, context))
    }

    /// Nothing is written: the defaults hold.
    #[must_use]
    fn default_of() -> Self {
        Self::from_table(&mut Reader::of_nothing(Self::TABLE))
    }
}

/// A table that is being read.
pub struct Reader<'a> {
    fields: Fields,
    table: &'static Table,
    /// Where the table begins, to be shown when one of its keys is missing.
    head: Range<usize>,
    /// Keys that are written, but misspelt.
    meant: Vec<&'static str>,
    context: Option<&'a mut LoadContext>,
}

impl<'a> Reader<'a> {
    /// Tells what keys are unknown, and leaves them out.
    pub fn open(
        mut fields: Fields,
        head: Range<usize>,
        table: &'static Table,
        context: &'a mut LoadContext,
    ) -> Self {
        let mut meant = Vec::new();
        fields.0.retain(|name, (span, _)| {
            let is_known = table.keys.iter().any(|key| key.name == name);
            if !is_known {
                meant.extend(unknown(name, span.clone(), table, context));
            }
            is_known
        });
        Self { fields, table, head, meant, context: Some(context) }
    }

    /// What has not been read.
    #[must_use]
    pub fn into_fields(self) -> Fields {
        self.fields
    }

    /// A table in which nothing is written; nothing is told of it either.
    #[must_use]
    pub fn of_nothing(table: &'static Table) -> Self {
        Self { fields: Fields::default(), table, head: 0..0, meant: Vec::new(), context: None }
    }

    /// Takes what is written for a key, when that is right; tells what is not.
    pub fn take<T: Value>(&mut self, key: &Description) -> Option<Given<T>> {
        let context = self.context.as_deref_mut()?;
        let path = KeyPath { table: self.table.path, key: key.name };
        let Some((name, raw)) = self.fields.0.remove(key.name) else {
            if matches!(key.default, Default::Required) && !self.meant.contains(&key.name) {
                let message = format!("`{}` is missing {}", key.name, self.table.where_it_is());
                let mistake = Mistake::new(message).key(path);
                context.refuse(key.explained(mistake.at(self.head.clone(), "here")));
            }
            return None;
        };
        let span = raw.span();
        let value =
            T::read(raw.into_inner(), &At { key, path, name, span: span.clone() }, context)?;
        Some(Given { value, span, path, is_written: true })
    }

    /// A value that is not written.
    pub(super) fn default_of<T>(&self, key: &Description, value: T) -> Given<T> {
        let path = KeyPath { table: self.table.path, key: key.name };
        Given { value, span: self.head.clone(), path, is_written: false }
    }
}

impl Table {
    fn where_it_is(&self) -> String {
        if self.path.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in `{}`", self.head)
        }
    }
}

impl Description {
    /// Says why it has to be so, and a line that would be right.
    pub(super) fn explained(&self, mistake: Mistake) -> Mistake {
        let mistake = if self.why.is_empty() { mistake } else { mistake.help(self.why) };
        mistake.help(format!("for example: {}", self.example()))
    }
}

/// Tells of an unknown key, and says which one was meant, when one is near.
fn unknown(
    name: &str,
    span: Range<usize>,
    table: &'static Table,
    context: &mut LoadContext,
) -> Option<&'static str> {
    let path = if table.path.is_empty() { name.into() } else { format!("{}.{name}", table.path) };
    let mistake = Mistake::new(format!("unknown key `{name}` {}", table.where_it_is()))
        .key(path)
        .at(span, "not a key of this table");
    // A key that stands below the head of a table belongs to that table, wherever it is meant.
    let others = context.tables.iter().filter(|t| t.keys.iter().any(|key| key.name == name));
    let elsewhere: Vec<&str> = others
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
    context.refuse(mistake.help(help));
    meant
}
