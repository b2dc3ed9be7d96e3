//! What went wrong with a database, as trouble with a remedy that names the key to change; and
//! whether the connection is of further use. The server's own text is for the log alone.

use super::super::live::{Trouble, TroubleKind};
use sqlx::error::DatabaseError;
use std::error::Error;
use std::io;

/// Trouble, and what it means for the connection that had it.
#[derive(Debug)]
pub struct Failure {
    /// What is reported.
    pub trouble: Trouble,
    /// The connection, or what it has prepared, is gone: another may do better at once.
    pub is_lost: bool,
    /// What PostgreSQL, or who speaks for it, calls it: an SQLSTATE.
    pub code: Option<Box<str>>,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, is_lost: false, code: None }
    }
}

/// What a code of a database means.
struct Meaning {
    kind: TroubleKind,
    what: &'static str,
    remedy: &'static str,
    is_lost: bool,
}

const fn means(kind: TroubleKind, what: &'static str, remedy: &'static str) -> Meaning {
    Meaning { kind, what, remedy, is_lost: false }
}

const fn lost(kind: TroubleKind, what: &'static str) -> Meaning {
    Meaning { kind, what, remedy: "", is_lost: true }
}

const PASSWORD: &str = "check the user in `server` and the text in `password_file`";
const DATABASE: &str = "check the database at the end of `server`";
const QUERY: &str = "try the query with the database's own client, as the user in `server`";
const GRANT: &str = "grant select to the user in `server`";
const QUICK: &str = "an index on what the query compares makes it quick; or raise \
                     `answer_seconds_max`";

/// What PgBouncer means, which has one code for all that it says of itself.
fn pooler(message: &str) -> Meaning {
    use TroubleKind::{Busy, Down, Misconfigured, Slow};
    let says = |word| message.contains(word);
    if says("authentication") || says("auth") || says("no such user") {
        means(Misconfigured, "the pooler refuses the user or password", PASSWORD)
    } else if says("no such database") {
        means(Misconfigured, "the pooler knows no such database", DATABASE)
    } else if says("statement pooling mode") {
        let what = "the pooler gives each statement another connection";
        means(Misconfigured, what, "set pool_mode = transaction there")
    } else if says("unsupported startup parameter") {
        let what = "the pooler does not know a parameter of the start";
        means(Misconfigured, what, "name it in `ignore_startup_parameters` there")
    } else if says("query_wait_timeout") {
        means(Slow, "the pooler has no connection left", "raise default_pool_size there")
    } else if says("too many connections") || says("no more connections") {
        means(Busy, "it has no connection left", "lower `connections_max`")
    } else {
        lost(Down, "the connection failed")
    }
}

/// PostgreSQL's SQLSTATE.
fn postgres(code: &str) -> Meaning {
    use TroubleKind::{Busy, Down, Misconfigured, Slow, Unexpected};
    match code {
        "28P01" | "28000" => means(Misconfigured, "the user or password is refused", PASSWORD),
        "3D000" => means(Misconfigured, "there is no such database", DATABASE),
        "42P01" => means(Misconfigured, "query: there is no such table", QUERY),
        "42703" => means(Misconfigured, "query: there is no such column", QUERY),
        "42601" => means(Misconfigured, "query: a syntax error", QUERY),
        "42501" => means(Misconfigured, "query: permission is denied", GRANT),
        "42P18" | "42P08" => {
            means(Misconfigured, "query: a type is not clear", "write {address}::text")
        }
        "25006" => means(Misconfigured, "query: it would write", "let it only select"),
        "22P03" | "22P02" | "42804" | "42883" => {
            means(Misconfigured, "query: a comparison of other types than text", QUERY)
        }
        "53300" => means(Busy, "it has no connection left", "lower `connections_max`"),
        "57014" => means(Slow, "the query took too long", QUICK),
        "55P03" | "40P01" | "40001" => means(Slow, "the query met a lock", ""),
        // What was prepared no longer fits the table, or was forgotten.
        "0A000" | "26000" => lost(Unexpected, "the query must be prepared again"),
        "57P01" | "57P02" | "57P03" | "57P05" => lost(Down, "it is going down or coming up"),
        code => match &code[..code.len().min(2)] {
            "28" => means(Misconfigured, "the user is refused", PASSWORD),
            "42" => means(Misconfigured, "query: it is refused", QUERY),
            "08" => lost(Down, "the connection failed"),
            "53" => means(Busy, "it has run out of something", ""),
            _ => means(Unexpected, "the query failed", QUERY),
        },
    }
}

/// MySQL's and MariaDB's error number.
fn mysql(number: u16) -> Meaning {
    use TroubleKind::{Busy, Down, Misconfigured, Slow, Unexpected};
    match number {
        1045 | 1698 | 1862 => means(Misconfigured, "the user or password is refused", PASSWORD),
        1044 => means(Misconfigured, "the user may not use the database", GRANT),
        1049 => means(Misconfigured, "there is no such database", DATABASE),
        1130 => means(Misconfigured, "it takes no connections from this host", PASSWORD),
        1129 => means(Misconfigured, "it has blocked this host", "FLUSH HOSTS there"),
        1146 => means(Misconfigured, "query: there is no such table", QUERY),
        1054 => means(Misconfigured, "query: there is no such column", QUERY),
        1064 => means(Misconfigured, "query: a syntax error", QUERY),
        1142 | 1143 | 1370 => means(Misconfigured, "query: permission is denied", GRANT),
        1267 | 1270 | 1271 => means(Misconfigured, "query: collations that do not mix", QUERY),
        1792 => means(Misconfigured, "query: it would write", "let it only select"),
        3159 => means(Misconfigured, "it demands TLS", "set tls = \"require\""),
        1040 | 1203 | 1226 => means(Busy, "it has no connection left", "lower `connections_max`"),
        1317 | 1969 | 3024 => means(Slow, "the query took too long", QUICK),
        1205 | 1213 => means(Slow, "the query met a lock", ""),
        1615 | 1243 => lost(Unexpected, "the query must be prepared again"),
        1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1927 | 2006 | 2013 => {
            lost(Down, "it is going down or the connection is lost")
        }
        _ => means(Unexpected, "the query failed", QUERY),
    }
}

fn of_database(error: &dyn DatabaseError) -> Meaning {
    let error = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    mysql(error.map_or(0, sqlx::mysql::MySqlDatabaseError::number))
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        use TroubleKind::{Down, Unexpected};
        let told = error.as_db_error().map(|told| (told.code().code(), told.message().to_owned()));
        let Some((code, message)) = told else {
            let is_closed = error.is_closed();
            let below = error.into_source();
            return match below.map(|below| below.downcast::<io::Error>()) {
                Some(Ok(io)) => Self::from(*io),
                None if is_closed => lost(Down, "no connection, or one that broke").into(),
                Some(Err(below)) => {
                    Self::from(lost(Unexpected, "an answer that is none")).because(below)
                }
                None => lost(Unexpected, "an answer that is none").into(),
            };
        };
        let meaning = if code == "08P01" { pooler(&message) } else { postgres(code) };
        let code = Some(code.into());
        Self { code, ..Self::from(meaning).because(SaidByServer(message)) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let meaning = if is_tls(&error) {
            tls(&error.to_string())
        } else {
            lost(TroubleKind::Down, "no connection, or one that broke")
        };
        Self::from(meaning).because(error)
    }
}

impl From<Meaning> for Failure {
    fn from(meaning: Meaning) -> Self {
        let Meaning { kind, what, remedy, is_lost } = meaning;
        Self { trouble: Trouble::new(kind, what).remedy(remedy), is_lost, code: None }
    }
}

impl Failure {
    fn because(mut self, below: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.trouble = self.trouble.because(below);
        self
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        use TroubleKind::{Down, Misconfigured, Unexpected};
        let meaning = match &error {
            sqlx::Error::Database(error) => of_database(error.as_ref()),
            sqlx::Error::Tls(_) => tls(&error.to_string()),
            sqlx::Error::Io(io) if is_tls(io) => tls(&error.to_string()),
            sqlx::Error::Io(_) => lost(Down, "no connection, or one that broke"),
            sqlx::Error::Configuration(_) => means(Misconfigured, "`server` is not right", ""),
            sqlx::Error::Protocol(_) => lost(Unexpected, "it does not keep to its protocol"),
            _ => lost(Unexpected, "an answer that is none"),
        };
        // Its own words, without those that sqlx puts before them.
        let below: Box<dyn Error + Send + Sync> = match error {
            sqlx::Error::Database(error) => Box::new(SaidByServer(error.message().to_owned())),
            sqlx::Error::Io(error) => Box::new(error),
            sqlx::Error::Tls(error) => error,
            error => Box::new(error),
        };
        Self::from(meaning).because(below)
    }
}

/// The text of an error that a server sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SaidByServer(String);

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn tls(text: &str) -> Meaning {
    let (what, remedy) = if text.contains("certificate") {
        let remedy = "name the authority's PEM file in `tls_ca`, and in `server` the host as the \
                      certificate has it";
        ("its certificate is not believed", remedy)
    } else if text.contains("not support") {
        ("it has no TLS", "switch it on there, or set tls = \"plain\"")
    } else {
        ("TLS fails", "check `tls` and `tls_ca`")
    };
    means(TroubleKind::Misconfigured, what, remedy)
}

/// No answer in time.
#[must_use]
pub fn slow() -> Trouble {
    Trouble::new(TroubleKind::Slow, "no answer in time").remedy(QUICK)
}
