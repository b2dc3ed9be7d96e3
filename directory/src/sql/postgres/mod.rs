//! PostgreSQL: what a query is asked with, and what its rows hold. Each question is one message
//! group, and so one transaction: the statement, unless it is prepared already, what is bound to
//! it, and the end.

mod link;
mod proven;

use self::link::{Link, Stop};
use self::proven::Columns;
use super::answer::{ROWS_MAX, Row, Values};
use super::failure::Failure;
use super::pool::Connect;
use super::remote::{Layout, Listed, Remote, next_row, waited_for};
use super::settings::Server;
use super::statement::{Placeholder, Statement};
use super::{no_column, not_text};
use crate::live::{Trouble, TroubleKind};
use bytes::BytesMut;
use futures_util::TryStreamExt;
use serde_json::Value;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row as PgRow, SimpleQueryMessage};

/// What begins a statement that gives rows; one that writes is not asked.
const GIVES_ROWS: [&str; 4] = ["select", "with", "values", "table"];

/// Makes connections to one server.
pub struct PostgresServer {
    /// Where it is.
    pub server: Server,
    /// How long a statement may take there, too: one that nobody waits for any more ends.
    pub statement_max: Duration,
}

/// Text whose type the server chooses from what it is compared with. Called `text` it would turn
/// a comparison with citext into one that heeds the case.
#[derive(Debug)]
struct Untyped<'a>(&'a str);

impl ToSql for Untyped<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    /// Written as text, which every type can read that a query may compare it with.
    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Connect for PostgresServer {
    type Connection = Link;

    async fn connect(&self) -> Result<Link, Failure> {
        Link::open(&self.server, self.statement_max).await
    }
}

impl Remote for PostgresServer {
    async fn ping(link: &mut Link) -> Result<(), Failure> {
        link.within_limits(async |client| Ok(client.batch_execute("").await?)).await
    }

    async fn ask(
        link: &mut Link,
        statement: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        // Text cannot hold NUL here, so such an address is in no table.
        if values.has_nul() {
            return Ok(Vec::new());
        }
        let name = proven::name(statement);
        let text = proven::wrapped(statement, &name);
        let bound = statement.parameters.iter().map(|p| (Untyped(values.of(*p)), Type::UNKNOWN));
        let last = (Untyped(&values.address), Type::TEXT);
        let (parameters, types): (Vec<_>, Vec<_>) = bound.chain([last]).unzip();
        let prepared = link.prepared(&name, &text, &types).await?;
        let asking = async |client: &Client| {
            let asked = match &prepared {
                Some(prepared) => client.query_raw(prepared, parameters).await,
                None => client.query_typed_raw(&text, parameters.into_iter().zip(types)).await,
            };
            let rows = match asked {
                Err(error) if is_foreign_character(&error) => return Ok(Vec::new()),
                rows => rows?,
            };
            let (mut rows, mut found, mut is_answered) = (pin!(rows), Vec::new(), false);
            while let Some(row) = rows.try_next().await? {
                is_answered = true;
                found.extend(answer(&row, &values.address, &name)?);
                if found.len() > ROWS_MAX {
                    return Err(Stop::Enough(found));
                }
            }
            if is_answered { Ok(found) } else { Err(proven::of_another().into()) }
        };
        link.within_limits(asking).await
    }

    async fn columns(link: &mut Link, statement: &Statement) -> Result<Vec<String>, Failure> {
        let first = statement.text.trim_start_matches(['(', ' ']).split_whitespace().next();
        let first = first.unwrap_or_default().to_ascii_lowercase();
        let is_word = first.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_word && !GIVES_ROWS.contains(&first.as_str()) {
            return Ok(Vec::new());
        }
        let blank = &statement.blank;
        let names = format!("select * from (\n{blank}\n) as described limit 0");
        let described = async |client: &Client| {
            let described = client.simple_query(&names).await?;
            let named = described.into_iter().find_map(|message| match message {
                SimpleQueryMessage::RowDescription(columns) => Some(columns),
                _ => None,
            });
            Ok(named.map(|columns| columns.iter().map(|c| c.name().to_owned()).collect()))
        };
        let names: Option<Vec<String>> = link.within_limits(described).await?;
        let types = link.within_limits(async |client| types(client, statement).await).await?;
        for (parameter, (is_text, name)) in statement.parameters.iter().zip(types) {
            if !is_text {
                return Err(compared_with(*parameter, &name).into());
            }
        }
        Ok(names.unwrap_or_default())
    }

    async fn connect_to_list(&self) -> Result<Link, Failure> {
        Link::open(&self.server, Duration::ZERO).await
    }

    /// The rows come as fast as they are taken: what is not read yet stays with the server. A
    /// cursor would cost it parallel plans and us a round trip for each batch.
    async fn list(
        link: &mut Link,
        statement: &Statement,
        patience: Duration,
        mut take: impl FnMut(Option<Listed<'_>>) -> bool,
    ) -> Result<(), Failure> {
        let text = proven::wrapped_list(statement);
        let listing = async |client: &Client| {
            let asked = client.query_typed_raw(&text, Vec::<(&str, Type)>::new());
            let Some(rows) = waited_for(asked, patience, || take(None)).await? else {
                return Err(Stop::Enough(()));
            };
            let (mut rows, mut layout) = (pin!(rows), None);
            loop {
                let Some(row) = next_row(&mut rows, patience, || take(None)).await? else {
                    return Err(Stop::Enough(()));
                };
                let Some(row) = row else { return Ok(()) };
                let columns = Columns::parse(row.try_get(0)?)?;
                let here = match layout {
                    Some(here) => here,
                    None => {
                        let names = columns.0.iter().map(|(name, _)| name.as_str());
                        *layout.insert(Layout::new(names).ok_or_else(no_column)?)
                    }
                };
                let address = octets(&columns, here.address)?.unwrap_or_default();
                let target = here.target.map_or(Ok(None), |at| octets(&columns, at))?;
                if !take(Some((address, target))) {
                    return Err(Stop::Enough(()));
                }
            }
        };
        link.within_limits(listing).await
    }
}

/// The row that was found, if any, of one that must be an answer to this.
fn answer(row: &PgRow, address: &str, name: &str) -> Result<Option<Row>, Failure> {
    let (asked, by): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    if (asked, by) != (address, name) {
        return Err(proven::of_another());
    }
    let found: Option<&str> = row.try_get(2)?;
    found.map(|json| Ok(Columns::parse(json)?.counted())).transpose()
}

/// What each parameter is compared with: whether it is text, and what it is called. The query is
/// analysed before what is selected of it, which finds its parameters' types chosen.
async fn types(
    client: &Client,
    statement: &Statement,
) -> Result<Vec<(bool, String)>, Stop<Vec<(bool, String)>>> {
    let parameters = &statement.parameters;
    if parameters.is_empty() {
        return Ok(Vec::new());
    }
    let each = (1..=parameters.len()).map(|n| {
        let is_text = "select typcategory in ('S', 'X') from pg_type where oid =";
        format!("({is_text} pg_typeof(${n})), pg_typeof(${n})::text")
    });
    let (each, text) = (each.collect::<Vec<_>>().join(", "), &statement.text);
    let asked = format!(
        "select {each} from (select 1) as question left join (\n{text}\n) as answer on false"
    );
    let nothing = parameters.iter().map(|_| (None::<&str>, Type::UNKNOWN));
    let mut rows = pin!(client.query_typed_raw(&asked, nothing).await?);
    let mut types = Vec::new();
    while let Some(row) = rows.try_next().await? {
        for at in (0..row.len()).step_by(2) {
            let is_text: Option<bool> = row.try_get(at)?;
            types.push((is_text.unwrap_or(true), row.try_get(at + 1)?));
        }
    }
    Ok(types)
}

/// The database is in an encoding that does not have a character of the address: then no row of
/// it has, either.
fn is_foreign_character(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNTRANSLATABLE_CHARACTER)
}

/// The octets of a text; nothing for NULL.
fn octets(columns: &Columns, at: usize) -> Result<Option<&[u8]>, Failure> {
    match columns.0.get(at) {
        None | Some((_, Value::Null)) => Ok(None),
        // CHAR(n) is filled up with spaces.
        Some((_, Value::String(text))) => Ok(Some(text.trim_end_matches(' ').as_bytes())),
        Some((name, value)) => Err(not_text(name, proven::type_name(value))),
    }
}

fn compared_with(parameter: Placeholder, name: &str) -> Trouble {
    let what = format!("query: {{{}}} is compared with the type {name}", parameter.word());
    Trouble::new(TroubleKind::Misconfigured, what).remedy("cast the column: column::text")
}
