//! What a key may hold: texts, numbers, words out of a choice, lists, tables; each reads itself
//! and tells what is wrong. What a text means is left to those who ask for it.

use super::context::LoadContext;
use super::keys::{Default, Description, KeyPath, Kind, nearest};
use super::reader::{FromTable, Raw, Reader};
use crate::mistake::Mistake;
use relay::recipient::Unseen;
use relay::settings::LocalPartCase;
use std::fmt;
use std::ops::{Deref, Range};
use std::time::Duration;
use wire::server::ClientDetails;

/// A value, and where it is written; the default and the head of its table, where it is not.
#[derive(Clone, Debug)]
pub struct Given<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    pub(super) path: KeyPath,
    pub(super) is_written: bool,
}

/// A text and where it is written.
pub type Text = Given<String>;

/// A list that may be missing, and what is in it.
pub type List<T> = Option<Given<Vec<Given<T>>>>;

/// What is in a list; nothing when it is missing.
pub fn all<T>(list: &List<T>) -> &[Given<T>] {
    list.as_ref().map_or(&[], |list| list.as_slice())
}

impl<T> Deref for Given<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Given<T> {
    /// Where it is written.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether it is written at all.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.is_written
    }

    /// That it is written, and where; `None` of a default.
    #[must_use]
    pub fn written(&self) -> Option<Given<()>> {
        self.is_written.then(|| self.with(()))
    }

    /// The key that it is the value of.
    #[must_use]
    pub fn path(&self) -> KeyPath {
        self.path
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Another value that is written here.
    #[must_use]
    pub fn with<U>(&self, value: U) -> Given<U> {
        Given { value, span: self.span(), path: self.path, is_written: self.is_written }
    }

    /// A mistake about it: what is wrong, and a label for the place, which may be empty.
    #[must_use]
    pub fn wrong(&self, message: impl Into<String>, label: &str) -> Mistake {
        Mistake::new(message).key(self.path).at(self.span(), label)
    }
}

impl Text {
    /// A text as if it were the whole of a file.
    #[must_use]
    pub fn alone(text: &str) -> Self {
        let path = KeyPath { table: "", key: "alone" };
        Self { value: text.to_owned(), span: 0..text.len(), path, is_written: true }
    }
}

/// What a key may hold.
pub trait Value: Sized {
    /// How that is told.
    const KIND: Kind;
    /// Reads it; `None` when it is wrong, which is told.
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self>;
}

/// What a key may hold that has a default.
pub trait Fallback: Value {
    /// How the default stands in the list of keys.
    type Default: Copy;
    /// The default.
    fn fallback(default: Self::Default) -> Self;
}

/// What there may be a list of.
pub trait Element: Value {
    /// How a list of it is told.
    const LIST: Kind;
}

/// One of a few words. [`choice!`] ties a word to each variant.
pub trait Choice: Fallback<Default = Self> + Copy + 'static {
    /// The words, in the order of the manual.
    const WORDS: &'static [&'static str];
    /// What they mean.
    const VALUES: &'static [Self];
}

/// Whose value is read, and where it stands.
pub struct At<'a> {
    pub(super) key: &'a Description,
    pub(super) path: KeyPath,
    /// Where the key is.
    pub(super) name: Range<usize>,
    /// Where the value is.
    pub(super) span: Range<usize>,
}

impl At<'_> {
    /// Tells that it is something else than the key takes.
    pub fn wrong_kind<T>(&self, context: &mut LoadContext) -> Option<T> {
        let expected = match self.key.kind {
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
        let message = format!("`{}` is of the wrong kind", self.key.name);
        let mistake = self.mistake(message, self.span.clone(), expected);
        context.refuse(mistake.help(format!("for example: {}", self.key.example())));
        None
    }

    fn mistake(&self, message: String, span: Range<usize>, label: &str) -> Mistake {
        Mistake::new(message).key(self.path).at(span, label)
    }

    fn number(&self, raw: Raw, context: &mut LoadContext) -> Option<u64> {
        let (Raw::Number(number), Kind::Number(min, max)) = (raw, self.key.kind) else {
            return self.wrong_kind(context);
        };
        let within = u64::try_from(number).ok().filter(|number| (min..=max).contains(number));
        if within.is_none() {
            let message = format!("`{}` is out of bounds", self.key.name);
            let label = format!("expected {min} to {max}");
            let mistake = self.mistake(message, self.span.clone(), &label);
            context.refuse(self.key.explained(mistake));
        }
        within
    }

    /// One of the words of a choice.
    pub fn choice<T: Choice>(&self, raw: Raw, context: &mut LoadContext) -> Option<T> {
        let Raw::Text(word) = raw else { return self.wrong_kind(context) };
        let mut all = T::WORDS.iter().zip(T::VALUES);
        if let Some((_, value)) = all.find(|(known, _)| **known == word) {
            return Some(*value);
        }
        let quoted: Vec<String> = T::WORDS.iter().map(|word| format!("\"{word}\"")).collect();
        let message = format!("`{}` cannot be \"{word}\"", self.key.name);
        let label = format!("expected {}", quoted.join(" or "));
        let mistake = self.mistake(message, self.span.clone(), &label);
        context.refuse(match nearest(&word, T::WORDS.iter().copied()) {
            Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
            None => self.key.explained(mistake),
        });
        None
    }
}

/// Ties a word to each variant of an enum: `choice!(Method { Get = "GET", Post = "POST" });`. A
/// variant without a word does not compile.
#[macro_export]
macro_rules! choice {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $crate::table::value::Choice for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
            const VALUES: &'static [Self] = &[$(Self::$variant),+];
        }

        impl $crate::table::value::Value for $name {
            const KIND: $crate::table::keys::Kind = $crate::table::keys::Kind::Choice(
                <Self as $crate::table::value::Choice>::WORDS,
            );

            fn read(
                raw: $crate::table::reader::Raw,
                at: &$crate::table::value::At<'_>,
                context: &mut $crate::table::context::LoadContext,
            ) -> Option<Self> {
                at.choice(raw, context)
            }
        }

        impl $crate::table::value::Fallback for $name {
            type Default = Self;
            fn fallback(default: Self) -> Self {
                default
            }
        }

        const _: fn($name) = |value| match value { $($name::$variant => (),)+ };
    };
}

pub use choice;

// Types of crates that know nothing of what is written.
choice!(ClientDetails { Auto = "auto", Xforward = "xforward", Xclient = "xclient", None = "none" });
choice!(LocalPartCase { Folded = "folded", Exact = "exact" });
choice!(Unseen { Defer = "defer", Refuse = "refuse", Accept = "accept" });

impl Value for String {
    const KIND: Kind = Kind::Text;
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        if let Raw::Text(text) = raw { Some(text) } else { at.wrong_kind(context) }
    }
}

impl Element for String {
    const LIST: Kind = Kind::Texts;
}

impl Value for bool {
    const KIND: Kind = Kind::Boolean;
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        if let Raw::Boolean(flag) = raw { Some(flag) } else { at.wrong_kind(context) }
    }
}

impl Fallback for bool {
    type Default = Self;
    fn fallback(default: Self) -> Self {
        default
    }
}

/// The limits of a key fit its type, which is checked while compiling: nothing is cut off here.
macro_rules! numeric {
    ($type:ty, $max:expr, $from:path) => {
        impl Value for $type {
            const KIND: Kind = Kind::Number(0, $max);
            fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
                at.number(raw, context).map($from)
            }
        }

        impl Fallback for $type {
            type Default = u64;
            fn fallback(default: u64) -> Self {
                $from(default)
            }
        }
    };
}

numeric!(u32, u32::MAX as u64, narrow);
numeric!(u64, u64::MAX, std::convert::identity);
// Of a key that is named after seconds.
numeric!(Duration, u64::MAX, Duration::from_secs);

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl<T: Element> Value for Vec<Given<T>> {
    const KIND: Kind = T::LIST;

    /// One that is wrong is told, and the list dropped; the others are still checked.
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        let Raw::List(list) = raw else { return at.wrong_kind(context) };
        if let (true, Kind::Tables(_), Default::Required) =
            (list.is_empty(), at.key.kind, at.key.default)
        {
            let message = format!("`{}` is empty", at.key.name);
            let mistake = at.mistake(message, at.name.clone(), "expected at least one");
            context.refuse(at.key.explained(mistake));
            return None;
        }
        let (count, path) = (list.len(), at.path);
        let mut read = Vec::with_capacity(count);
        for element in list {
            let span = element.span();
            let at = At { span: span.clone(), name: at.name.clone(), ..*at };
            let value = T::read(element.into_inner(), &at, context);
            read.extend(value.map(|value| Given { value, span, path, is_written: true }));
        }
        (read.len() == count).then_some(read)
    }
}

impl<T: FromTable> Value for T {
    const KIND: Kind = Kind::Table(T::TABLE);
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        let Raw::Table(fields) = raw else { return at.wrong_kind(context) };
        Some(T::from_table(&mut Reader::open(fields, at.span.clone(), T::TABLE, context)))
    }
}

impl<T: FromTable> Fallback for T {
    type Default = ();
    fn fallback(_: ()) -> Self {
        T::default_of()
    }
}

impl<T: FromTable> Element for T {
    const LIST: Kind = Kind::Tables(T::TABLE);
}
