//! A query as it is written, with `{address}`, `{local_part}` and `{domain}`, becomes one as the
//! server prepares it, once, when the configuration is read: what a client says is only ever
//! bound, and the text stays the same. Says what is wrong with it and where, without a server.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Whose SQL it is: what quotes, comments and parameters look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// The whole address, quoted where a client must quote it.
    Address,
    /// What stands before the `@`, without quotes.
    LocalPart,
    /// What stands behind it, in lower case.
    Domain,
}

impl Placeholder {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Address, Self::LocalPart, Self::Domain];

    /// As it stands between the braces.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::LocalPart => "local_part",
            Self::Domain => "domain",
        }
    }
}

/// A query as the server gets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The text, with the dialect's own parameters.
    pub text: Arc<str>,
    /// What is bound to them, in order.
    pub parameters: Box<[Placeholder]>,
    /// The same with NULL in place of each parameter: to be described, never to be answered.
    pub blank: Arc<str>,
}

/// What is wrong with a query, at these octets of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Range<usize>,
    /// What.
    pub kind: FaultKind,
}

/// Faults of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There is nothing in it.
    Empty,
    /// A quote or comment that does not end.
    Open,
    /// `{this}` is no placeholder.
    Unknown(String),
    /// A placeholder between quotes, where it would be text.
    Quoted(Placeholder),
    /// A placeholder in a comment.
    Commented(Placeholder),
    /// A placeholder as a pattern: a client may write `%` and `_`.
    Pattern(Placeholder),
    /// A parameter of the dialect's own, for which nothing would be bound.
    Parameter(String),
    /// More than one statement.
    Several,
    /// It does not say whose address it is about.
    Nobody,
    /// A listing asks about nobody.
    Placed(Placeholder),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty query"),
            Self::Open => f.write_str("a quote or comment that does not end"),
            Self::Unknown(word) => write!(f, "`{{{word}}}` is no placeholder"),
            Self::Quoted(p) => write!(f, "`{{{}}}` between quotes", p.word()),
            Self::Commented(p) => write!(f, "`{{{}}}` in a comment", p.word()),
            Self::Pattern(p) => write!(f, "`{{{}}}` as a pattern", p.word()),
            Self::Parameter(text) => write!(f, "`{text}`, a parameter that has no value"),
            Self::Several => f.write_str("more than one statement"),
            Self::Nobody => f.write_str("a query that does not say whose address it is about"),
            Self::Placed(p) => write!(f, "`{{{}}}` in a listing", p.word()),
        }
    }
}

impl FaultKind {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Empty | Self::Nobody => {
                "for example: query = \"select 1 from people where lower(mail) = {address}\""
            }
            Self::Open => "close it",
            Self::Unknown(_) => "there are {address}, {local_part} and {domain}",
            Self::Quoted(_) => "take the quotes away: it is bound as text by itself",
            Self::Commented(_) => "take it out of the comment",
            Self::Pattern(_) => "compare with `=`: in an address `%` and `_` are no wildcards",
            Self::Parameter(_) => "write {address}, {local_part} or {domain}",
            Self::Several => "keep one, without `;`",
            Self::Placed(_) => "a listing gives all addresses: take the condition out",
        }
    }
}

impl Statement {
    /// Translates a query about one address.
    /// # Errors
    /// The first fault in it.
    pub fn query(text: &str, dialect: Dialect) -> Result<Self, Fault> {
        let mut scan = Scan::new(text, dialect);
        scan.run()?;
        let is_about = |p: &Placeholder| *p != Placeholder::Domain;
        if !scan.order.iter().any(is_about) {
            return Err(Fault { at: 0..text.len(), kind: FaultKind::Nobody });
        }
        Ok(scan.finish())
    }

    /// Takes a query that lists all addresses.
    /// # Errors
    /// The first fault in it.
    pub fn listing(text: &str, dialect: Dialect) -> Result<Self, Fault> {
        let mut scan = Scan::new(text, dialect);
        scan.run()?;
        match scan.first {
            Some((placeholder, at)) => Err(Fault { at, kind: FaultKind::Placed(placeholder) }),
            None => Ok(scan.finish()),
        }
    }
}

/// What a stretch of the text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stretch {
    Quoted,
    Comment,
}

struct Scan<'a> {
    text: &'a str,
    dialect: Dialect,
    at: usize,
    out: String,
    blank: String,
    order: Vec<Placeholder>,
    first: Option<(Placeholder, Range<usize>)>,
    /// A word like LIKE came last of those that open and close a comparison.
    in_pattern: bool,
    /// The statement has ended.
    ended: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Self {
        let (out, blank) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
        let (order, first, in_pattern, ended) = (Vec::new(), None, false, false);
        Self { text, dialect, at: 0, out, blank, order, first, in_pattern, ended }
    }

    fn finish(self) -> Statement {
        Statement {
            text: self.out.trim().into(),
            parameters: self.order.into(),
            blank: self.blank.trim().into(),
        }
    }

    fn run(&mut self) -> Result<(), Fault> {
        while let Some(c) = self.rest().chars().next() {
            if let Some((stretch, len)) = self.stretch()? {
                self.no_placeholder(stretch, len)?;
                self.copy(len);
            } else if c == ';' {
                self.ended = true;
                self.at += 1;
            } else if c.is_whitespace() {
                self.copy(c.len_utf8());
            } else if self.ended {
                return Err(self.fault(self.rest().len(), FaultKind::Several));
            } else if c == '{' {
                self.placeholder()?;
            } else if is_word(c) {
                self.word();
            } else {
                self.sign(c)?;
            }
        }
        let is_empty = self.out.trim().is_empty();
        if is_empty { Err(self.fault(0, FaultKind::Empty)) } else { Ok(()) }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fault(&self, len: usize, kind: FaultKind) -> Fault {
        Fault { at: self.at..self.at + len, kind }
    }

    fn copy(&mut self, len: usize) {
        let copied = &self.rest()[..len];
        self.out.push_str(copied);
        self.blank.push_str(copied);
        self.at += len;
    }

    /// A quote or a comment that begins here, and how long it is.
    fn stretch(&self) -> Result<Option<(Stretch, usize)>, Fault> {
        use Dialect::{MySql, Postgres, Sqlite};
        let (rest, dialect) = (self.rest(), self.dialect);
        let escapes = match dialect {
            MySql => true,
            Postgres => self.text[..self.at]
                .strip_suffix(['E', 'e'])
                .is_some_and(|before| !before.ends_with(is_word)),
            Sqlite => false,
        };
        let quoted = |quote, escapes| quoted_len(rest, quote, escapes);
        let (stretch, len) = if rest.starts_with('\'') {
            (Stretch::Quoted, quoted('\'', escapes))
        } else if rest.starts_with('"') {
            (Stretch::Quoted, quoted('"', dialect == MySql))
        } else if rest.starts_with('`') && dialect != Postgres {
            (Stretch::Quoted, quoted('`', false))
        } else if rest.starts_with('[') && dialect == Sqlite {
            (Stretch::Quoted, rest.find(']').map(|end| end + 1))
        } else if rest.starts_with("--") || rest.starts_with('#') && dialect == MySql {
            (Stretch::Comment, Some(rest.find('\n').unwrap_or(rest.len())))
        } else if rest.starts_with("/*") {
            (Stretch::Comment, comment_len(rest, dialect == Postgres))
        } else if let Some(tag) = dollar_tag(rest).filter(|_| dialect == Postgres) {
            let end = rest[tag.len()..].find(tag).map(|end| end + 2 * tag.len());
            (Stretch::Quoted, end)
        } else {
            return Ok(None);
        };
        let len = len.ok_or_else(|| self.fault(rest.len(), FaultKind::Open))?;
        Ok(Some((stretch, len)))
    }

    fn no_placeholder(&self, stretch: Stretch, len: usize) -> Result<(), Fault> {
        for placeholder in Placeholder::ALL {
            let written = format!("{{{}}}", placeholder.word());
            if let Some(found) = self.rest()[..len].find(&written) {
                let kind = match stretch {
                    Stretch::Quoted => FaultKind::Quoted(placeholder),
                    Stretch::Comment => FaultKind::Commented(placeholder),
                };
                let at = self.at + found;
                return Err(Fault { at: at..at + written.len(), kind });
            }
        }
        Ok(())
    }

    fn placeholder(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let len = rest.find('}').map_or(1, |end| end + 1);
        let word = rest[1..len].trim_end_matches('}');
        let Some(placeholder) = Placeholder::ALL.into_iter().find(|p| p.word() == word) else {
            return Err(self.fault(len, FaultKind::Unknown(word.to_owned())));
        };
        if self.in_pattern {
            return Err(self.fault(len, FaultKind::Pattern(placeholder)));
        }
        self.first.get_or_insert((placeholder, self.at..self.at + len));
        // Between spaces, so that it cannot become part of a word: x$1 is a name in PostgreSQL.
        let known = self.order.iter().position(|p| *p == placeholder);
        let number = match (self.dialect, known) {
            (Dialect::Postgres, Some(at)) => at + 1,
            _ => {
                self.order.push(placeholder);
                self.order.len()
            }
        };
        self.out.push_str(&match self.dialect {
            Dialect::Postgres => format!(" ${number} "),
            Dialect::MySql => " ? ".to_owned(),
            Dialect::Sqlite => format!(" ?{number} "),
        });
        self.blank.push_str(" null ");
        self.at += len;
        Ok(())
    }

    /// Copies a word and notes whether what follows is a pattern.
    fn word(&mut self) {
        let rest = self.rest();
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        match rest[..len].to_ascii_lowercase().as_str() {
            "like" | "ilike" | "rlike" | "regexp" | "glob" | "match" | "similar" => {
                self.in_pattern = true;
            }
            "and" | "or" | "where" | "from" | "select" | "union" | "order" | "group" | "limit"
            | "having" | "when" | "then" | "else" | "end" | "on" | "join" => {
                self.in_pattern = false;
            }
            _ => {}
        }
        self.copy(len);
    }

    /// Copies what is neither word nor quote; a parameter of the dialect's own is refused.
    fn sign(&mut self, c: char) -> Result<(), Fault> {
        let rest = self.rest();
        let named = rest[c.len_utf8()..].chars().next().is_some_and(is_word);
        let is_parameter = match (self.dialect, c) {
            (Dialect::Postgres, '$') => named,
            (Dialect::MySql | Dialect::Sqlite, '?') => true,
            (Dialect::Sqlite, ':' | '@' | '$') => named,
            _ => false,
        };
        if is_parameter {
            let tail = &rest[1..];
            let len = 1 + tail.find(|c| !is_word(c)).unwrap_or(tail.len());
            let kind = FaultKind::Parameter(rest[..len].to_owned());
            return Err(self.fault(len, kind));
        }
        // `~` is PostgreSQL's operator for regular expressions.
        self.in_pattern |= c == '~' && self.dialect == Dialect::Postgres;
        self.copy(c.len_utf8());
        Ok(())
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long a quote is that begins here; a doubled quote stands for itself.
fn quoted_len(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + quote.len_utf8());
        }
    }
    None
}

/// How long a comment is that begins here; PostgreSQL's may hold others.
fn comment_len(text: &str, nests: bool) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") && (nests || at == 0) {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}

/// `$$` or `$word$`, which opens and closes a text in PostgreSQL.
fn dollar_tag(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let len = inner.find('$')?;
    let is_tag = inner[..len].chars().all(is_word) && !inner.starts_with(|c: char| c.is_numeric());
    is_tag.then(|| &text[..len + 2])
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
