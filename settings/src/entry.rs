//! An entry of `recipients`, before its kind has read it.

use super::site::Text;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::collections::BTreeMap;
use std::ops::Range;

/// The keys of an entry: each kind of source has its own keys.
pub type Recipients = BTreeMap<String, Spanned<Value>>;

/// What a key of an entry of `recipients` may have.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A text.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
}

/// One entry of `recipients`, as a kind of source reads it.
pub struct Entry<'a> {
    /// Its keys.
    pub written: &'a Recipients,
    /// Where it stands in the file.
    pub span: Range<usize>,
}

impl Entry<'_> {
    /// The text of a key, when it has one.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Text> {
        let value = self.written.get(key)?;
        match value.get_ref() {
            Value::Text(text) => Some(Spanned::new(value.span(), text.clone())),
            Value::Boolean(_) => None,
        }
    }

    /// Whether a key says `false`.
    #[must_use]
    pub fn is_false(&self, key: &str) -> bool {
        self.written.get(key).is_some_and(|value| matches!(value.get_ref(), Value::Boolean(false)))
    }

    /// Where a key's value stands; the entry itself when it is not there.
    #[must_use]
    pub fn span(&self, key: &str) -> Range<usize> {
        self.written.get(key).map_or(self.span.clone(), Spanned::span)
    }
}
