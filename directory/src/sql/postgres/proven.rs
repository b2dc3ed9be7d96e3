//! A query of PostgreSQL's, wrapped so that its answer says what it is an answer to: the first
//! column of every row is the address that was asked about, the second the name of the query, and
//! one that finds nobody is a row, too. The third is the row that was found, as JSON, so that the
//! shape of an answer is ours whatever the query selects.
//! Limits: not for MySQL, whose derived tables refuse two columns of one name, which a query may
//! have, and whose statements are numbered by the connection; not for SQLite, which is in the file.

use super::super::answer::{Cell, EXISTS, Row, TARGET};
use super::super::failure::Failure;
use super::super::statement::Statement;
use crate::live::{Trouble, TroubleKind};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::Hasher;

/// The name of a query, by which its answers are told from those of others.
#[must_use]
pub fn name(statement: &Statement) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(statement.text.as_bytes());
    format!("{:016x}", hasher.finish())
}

/// The wrapped query, where `answer.*` is the row whatever its columns are called; the parameter
/// behind its own is the address that was asked about. A comment at the end of a query ends with
/// its line, and no further.
#[must_use]
pub fn wrapped(statement: &Statement, name: &str) -> String {
    let (text, last) = (&statement.text, statement.parameters.len() + 1);
    format!(
        "select ${last}::text, '{name}'::text, row_to_json(answer.*)::text \
         from (select 1) as question left join (\n{text}\n) as answer on true"
    )
}

/// The wrapped listing: each row as JSON.
#[must_use]
pub fn wrapped_list(statement: &Statement) -> String {
    format!("select row_to_json(listed.*)::text from (\n{}\n) as listed", statement.text)
}

/// The trouble with an answer that does not say that it is one to what was asked.
pub fn of_another() -> Failure {
    let what = "an answer to another question";
    let trouble = Trouble::new(TroubleKind::Unexpected, what)
        .remedy("what stands between may mix up its clients: ask the database itself");
    Failure { is_lost: true, ..trouble.into() }
}

/// The columns of one row, in their order; of one name there may be several.
#[derive(Debug, PartialEq, Eq)]
pub struct Columns(pub Vec<(String, Value)>);

impl Columns {
    /// # Errors
    /// When it is none.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|error| {
            let what = "an answer that is none";
            Trouble::new(TroubleKind::Unexpected, what).because(error).into()
        })
    }

    /// Those that count.
    #[must_use]
    pub fn counted(&self) -> Row {
        let mut found = Row::default();
        for (name, value) in &self.0 {
            if name.eq_ignore_ascii_case(EXISTS) {
                found.exists = Some(cell(value));
            } else if name.eq_ignore_ascii_case(TARGET) {
                found.target = Some(cell(value));
            }
        }
        found
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(is) => Cell::Number(i64::from(*is)),
        Value::String(text) => Cell::Text(text.clone()),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Cell::Other(type_name(value).to_owned()), Cell::Number)
        }
        Value::Array(_) | Value::Object(_) => Cell::Other(type_name(value).to_owned()),
    }
}

/// What a value of a row is called.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "numeric",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "record",
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = map.next_entry()? {
                    columns.push(column);
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect::Postgres;

    #[test]
    fn the_address_is_asked_for_behind_what_the_query_binds() {
        let statement = |text| Statement::query(text, Postgres).unwrap();
        let text = "select 1 from p where l = {local_part} and d = {domain} -- who";
        let (ours, other) = (statement(text), statement("select 1 from p where a = {address}"));
        let text = wrapped(&ours, &name(&ours));
        assert!(text.starts_with("select $3::text, '"), "{text}");
        assert!(text.ends_with("-- who\n) as answer on true"), "{text}");
        assert_ne!(name(&ours), name(&other));
    }

    #[test]
    fn columns_keep_their_order_and_the_last_of_one_name_counts() {
        let columns = Columns::parse(r#"{"b":"x","Target":"a@b.test","EXISTS":true}"#).unwrap();
        let names: Vec<_> = columns.0.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["b", "Target", "EXISTS"]);
        let target = Some(Cell::Text("a@b.test".into()));
        assert_eq!(columns.counted(), Row { exists: Some(Cell::Number(1)), target });
        let twice = Columns::parse(r#"{"target":1,"target":1.5}"#).unwrap();
        assert_eq!(twice.counted().target, Some(Cell::Other("numeric".into())));
        assert_eq!(Columns::parse("{}").unwrap().counted(), Row::default());
        for none in ["", "[1]", "{\"a\":", "null"] {
            assert!(Columns::parse(none).is_err(), "{none}");
        }
    }
}
