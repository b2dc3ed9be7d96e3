//! MySQL and MariaDB: how a connection is made, what a query is asked with, and what its rows
//! hold.

use super::answer::{Cell, EXISTS, ROWS_MAX, Row, TARGET, Values};
use super::failure::Failure;
use super::pool::Connect;
use super::remote::{Layout, Listed, Remote, next_row};
use super::settings::{Server, ServerAddress, Tls};
use super::statement::Statement;
use super::{no_column, not_text, password};
use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{
    Arguments, AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row as _, SqlSafeStr,
    Statement as _, TypeInfo, ValueRef,
};
use std::sync::Arc;
use std::time::Duration;

/// Makes connections to one server.
pub struct MySqlServer {
    /// Where it is.
    pub server: Server,
    /// How long a statement may take there, too: one that nobody waits for any more ends.
    pub statement_max: Duration,
}

impl MySqlServer {
    async fn open(&self, statement_max: Duration) -> Result<MySqlConnection, Failure> {
        let Server { place, user, database, password_file } = &self.server;
        // The query means here what it means in the operator's own client: no modes are changed.
        let options = MySqlConnectOptions::new()
            .username(user)
            .database(database)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            // No statement outlives its question: what stands between may give the next one
            // another connection, where its number means something else or nothing.
            .statement_cache_capacity(0);
        let mut options = match place {
            ServerAddress::Socket { path, .. } => {
                options.socket(path).ssl_mode(MySqlSslMode::Disabled)
            }
            ServerAddress::Host { host, port, tls } => {
                let options = options.host(host).port(*port);
                match tls {
                    Tls::Plain => options.ssl_mode(MySqlSslMode::Disabled),
                    Tls::Require { ca } => match ca {
                        Some(ca) => options.ssl_ca(ca),
                        None => options,
                    }
                    .ssl_mode(MySqlSslMode::VerifyIdentity),
                }
            }
        };
        if let Some(path) = password_file {
            options = options.password(&password(path).await?);
        }
        let mut connection = options.disable_statement_logging().connect().await?;
        // Each server reads what is meant for it and takes the other for a comment; what neither
        // reads leaves a statement that is right.
        let seconds = statement_max.as_secs_f64();
        let milliseconds = statement_max.as_millis();
        let lock_seconds =
            if statement_max.is_zero() { 60 } else { statement_max.as_secs().max(1) };
        let settings = format!(
            "SET SESSION lock_wait_timeout = {lock_seconds} \
             /*M!100101 , max_statement_time = {seconds:.3} */ \
             /*!50708 , max_execution_time = {milliseconds} */"
        );
        connection.execute(AssertSqlSafe(settings)).await?;
        connection.execute("SET SESSION TRANSACTION READ ONLY").await?;
        Ok(connection)
    }
}

impl Connect for MySqlServer {
    type Connection = MySqlConnection;

    async fn connect(&self) -> Result<MySqlConnection, Failure> {
        self.open(self.statement_max).await
    }
}

impl Remote for MySqlServer {
    async fn ping(connection: &mut MySqlConnection) -> Result<(), Failure> {
        Ok(connection.ping().await?)
    }

    async fn ask(
        connection: &mut MySqlConnection,
        statement: &Statement,
        values: &Values,
    ) -> Result<Vec<Row>, Failure> {
        let mut arguments = MySqlArguments::default();
        for parameter in &statement.parameters {
            arguments.add(values.of(*parameter)).map_err(sqlx::Error::Encode)?;
        }
        let query = sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.text)), arguments);
        let (mut rows, mut found) = (query.fetch(connection), Vec::new());
        while let Some(row) = rows.try_next().await? {
            found.push(counted(&row)?);
            if found.len() > ROWS_MAX {
                break;
            }
        }
        Ok(found)
    }

    async fn columns(
        connection: &mut MySqlConnection,
        statement: &Statement,
    ) -> Result<Vec<String>, Failure> {
        let text = AssertSqlSafe(Arc::clone(&statement.text)).into_sql_str();
        let described = connection.prepare(text).await?;
        Ok(described.columns().iter().map(|column| column.name().to_owned()).collect())
    }

    async fn connect_to_list(&self) -> Result<MySqlConnection, Failure> {
        // Zero is no limit for the statement.
        self.open(Duration::ZERO).await
    }

    /// The rows come as fast as they are taken: what is not read yet stays with the server.
    async fn list(
        connection: &mut MySqlConnection,
        statement: &Statement,
        patience: Duration,
        mut take: impl FnMut(Option<Listed<'_>>) -> bool,
    ) -> Result<(), Failure> {
        let arguments = MySqlArguments::default();
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

fn counted(row: &MySqlRow) -> Result<Row, Failure> {
    let mut found = Row::default();
    for column in row.columns() {
        let place = if column.name().eq_ignore_ascii_case(EXISTS) {
            &mut found.exists
        } else if column.name().eq_ignore_ascii_case(TARGET) {
            &mut found.target
        } else {
            continue;
        };
        *place = Some(cell(row, column.ordinal())?);
    }
    Ok(found)
}

fn cell(row: &MySqlRow, at: usize) -> Result<Cell, Failure> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let of = value.type_info();
    Ok(match of.name() {
        name if is_text(name) => match str::from_utf8(row.try_get_unchecked(at)?) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Other(name.to_owned()),
        },
        name if is_number(name) && name.ends_with("UNSIGNED") => {
            let number: u64 = row.try_get_unchecked(at)?;
            Cell::Number(i64::try_from(number).unwrap_or(i64::MAX))
        }
        name if is_number(name) => Cell::Number(row.try_get_unchecked(at)?),
        name => Cell::Other(name.to_owned()),
    })
}

/// The octets of a text; nothing for NULL.
fn octets(row: &MySqlRow, at: usize) -> Result<Option<&[u8]>, Failure> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(None);
    }
    if !is_text(value.type_info().name()) {
        return Err(not_text(row.column(at).name(), value.type_info().name()));
    }
    Ok(Some(row.try_get_unchecked::<&[u8], _>(at)?))
}

/// Text of a binary collation is called binary, too, so both are taken: what is no UTF-8 is told
/// apart later.
fn is_text(name: &str) -> bool {
    ["CHAR", "TEXT", "BINARY", "BLOB"].iter().any(|end| name.ends_with(end)) || name == "ENUM"
}

fn is_number(name: &str) -> bool {
    let name = name.trim_end_matches(" UNSIGNED");
    name == "BOOLEAN" || name.ends_with("INT")
}
