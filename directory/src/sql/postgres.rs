//! PostgreSQL: how a connection is made, what a query is asked with, and what its rows hold.

use super::super::live::{Trouble, TroubleKind};
use super::answer::{Cell, EXISTS, ROWS_MAX, Row, TARGET, Values};
use super::failure::Failure;
use super::pool::Connect;
use super::remote::{Layout, Listed, Remote, next_row};
use super::settings::{Place, Server, Tls};
use super::statement::{Placeholder, Statement};
use super::{no_column, not_text, password};
use futures_util::TryStreamExt;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgRow, PgSslMode, PgTypeInfo,
    PgTypeKind, PgValueRef,
};
use sqlx::{
    Arguments, AssertSqlSafe, Column, ConnectOptions, Connection, Decode, Either, Encode, Executor,
    Postgres, Row as _, SqlSafeStr, Statement as _, Type, TypeInfo, ValueRef,
};
use std::sync::Arc;
use std::time::Duration;

/// Makes connections to one server.
pub struct PostgresServer {
    /// Where it is.
    pub server: Server,
    /// How long a statement may take there, too: one that nobody waits for any more ends.
    pub statement_max: Duration,
}

/// Text whose type the server chooses from what it is compared with. Called `text` it would turn
/// a comparison with citext into one that heeds the case.
struct Untyped<'a>(&'a str);

impl Type<Postgres> for Untyped<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl<'a> Encode<'_, Postgres> for Untyped<'a> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&'a str as Encode<Postgres>>::encode_by_ref(&self.0, buffer)
    }
}

impl PostgresServer {
    async fn open(&self, statement_max: Duration) -> Result<PgConnection, Failure> {
        let Server { place, user, database, password_file } = &self.server;
        // Everything is named here, so that no variable of the environment changes anything.
        let options = PgConnectOptions::new_without_pgpass()
            .username(user)
            .database(database)
            .application_name("postern");
        let mut options = match place {
            Place::Socket { path, port } => {
                options.socket(path).port(*port).ssl_mode(PgSslMode::Disable)
            }
            Place::Host { host, port, tls } => {
                let options = options.host(host).port(*port);
                match tls {
                    Tls::Plain => options.ssl_mode(PgSslMode::Disable),
                    Tls::Require { ca } => match ca {
                        Some(ca) => options.ssl_root_cert(ca),
                        None => options,
                    }
                    .ssl_mode(PgSslMode::VerifyFull),
                }
            }
        };
        if let Some(path) = password_file {
            options = options.password(&password(path).await?);
        }
        let mut connection = options.disable_statement_logging().connect().await?;
        let milliseconds = statement_max.as_millis();
        let settings = format!(
            "SET statement_timeout = {milliseconds}; SET default_transaction_read_only = on"
        );
        connection.execute(AssertSqlSafe(settings)).await?;
        Ok(connection)
    }
}

impl Connect for PostgresServer {
    type Connection = PgConnection;

    async fn connect(&self) -> Result<PgConnection, Failure> {
        self.open(self.statement_max).await
    }
}

fn arguments(statement: &Statement, values: &Values) -> Result<PgArguments, Failure> {
    let mut arguments = PgArguments::default();
    for parameter in &statement.parameters {
        arguments.add(Untyped(values.of(*parameter))).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

impl Remote for PostgresServer {
    async fn ping(connection: &mut PgConnection) -> Result<(), Failure> {
        Ok(connection.ping().await?)
    }

    async fn ask(
        connection: &mut PgConnection,
        statement: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        // Text cannot hold NUL here, so such an address is in no table.
        if values.has_nul() {
            return Ok(Vec::new());
        }
        let arguments = arguments(statement, values)?;
        let query = sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.text)), arguments);
        let (mut rows, mut found) = (query.fetch(connection), Vec::new());
        loop {
            match rows.try_next().await {
                Ok(Some(row)) => found.push(counted(&row)?),
                Ok(None) => return Ok(found),
                Err(error) if is_foreign_character(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            }
            if found.len() > ROWS_MAX {
                return Ok(found);
            }
        }
    }

    async fn columns(
        connection: &mut PgConnection,
        statement: &Statement,
    ) -> Result<Vec<String>, Failure> {
        let text = AssertSqlSafe(Arc::clone(&statement.text)).into_sql_str();
        let described = connection.prepare_with(text, &[]).await?;
        if let Some(Either::Left(types)) = described.parameters() {
            for (parameter, of) in statement.parameters.iter().zip(types) {
                if !is_text(of) {
                    return Err(compared_with(*parameter, of.name()).into());
                }
            }
        }
        Ok(described.columns().iter().map(|column| column.name().to_owned()).collect())
    }

    async fn connect_to_list(&self) -> Result<PgConnection, Failure> {
        self.open(Duration::ZERO).await
    }

    /// The rows come as fast as they are taken: what is not read yet stays with the server. A
    /// cursor would cost it parallel plans and us a round trip for each batch.
    async fn list(
        connection: &mut PgConnection,
        statement: &Statement,
        patience: Duration,
        mut take: impl FnMut(Option<Listed<'_>>) -> bool,
    ) -> Result<(), Failure> {
        let arguments = PgArguments::default();
        let query = sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.text)), arguments);
        let (mut rows, mut layout) = (query.fetch(connection), None);
        while let Some(Some(row)) = next_row(&mut rows, patience, || take(None)).await? {
            let here = match layout {
                Some(here) => here,
                None => {
                    let names = row.columns().iter().map(|column| column.name());
                    *layout.insert(Layout::new(names).ok_or_else(no_column)?)
                }
            };
            let address = octets(&row, here.address)?.unwrap_or_default();
            let target = here.target.map_or(Ok(None), |at| octets(&row, at))?;
            if !take(Some((address, target))) {
                break;
            }
        }
        Ok(())
    }
}

/// The database is in an encoding that does not have a character of the address: then no row of
/// it has, either.
fn is_foreign_character(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "22P05")
}

fn counted(row: &PgRow) -> Result<Row, Failure> {
    let mut found = Row::default();
    for column in row.columns() {
        let place = if column.name().eq_ignore_ascii_case(EXISTS) {
            &mut found.exists
        } else if column.name().eq_ignore_ascii_case(TARGET) {
            &mut found.target
        } else {
            continue;
        };
        *place = Some(cell(row.try_get_raw(column.ordinal())?)?);
    }
    Ok(found)
}

fn cell(value: PgValueRef<'_>) -> Result<Cell, Failure> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let of = base(&value.type_info()).clone();
    let decoded = match of.name() {
        _ if is_text(&of) => {
            <&str as Decode<Postgres>>::decode(value).map(|text| Cell::Text(text.to_owned()))
        }
        "BOOL" => <bool as Decode<Postgres>>::decode(value).map(|is| Cell::Number(is.into())),
        "INT2" => <i16 as Decode<Postgres>>::decode(value).map(|n| Cell::Number(n.into())),
        "INT4" => <i32 as Decode<Postgres>>::decode(value).map(|n| Cell::Number(n.into())),
        "INT8" => <i64 as Decode<Postgres>>::decode(value).map(Cell::Number),
        other => Ok(Cell::Other(other.to_owned())),
    };
    Ok(decoded.map_err(sqlx::Error::Decode)?)
}

/// The octets of a text; nothing for NULL.
fn octets(row: &PgRow, at: usize) -> Result<Option<&[u8]>, Failure> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(None);
    }
    if !is_text(&value.type_info()) {
        return Err(not_text(row.column(at).name(), value.type_info().name()));
    }
    let text = <&str as Decode<Postgres>>::decode(value).map_err(sqlx::Error::Decode)?;
    // CHAR(n) is filled up with spaces.
    Ok(Some(text.trim_end_matches(' ').as_bytes()))
}

/// What a domain of types is made of.
fn base(of: &PgTypeInfo) -> &PgTypeInfo {
    let mut base = of;
    while let PgTypeKind::Domain(inner) = base.kind() {
        base = inner;
    }
    base
}

fn is_text(of: &PgTypeInfo) -> bool {
    <str as Type<Postgres>>::compatible(base(of))
}

fn compared_with(parameter: Placeholder, name: &str) -> Trouble {
    let what = format!("query: {{{}}} is compared with the type {name}", parameter.word());
    Trouble::new(TroubleKind::Misconfigured, what).remedy("cast the column: column::text")
}
