//! The SQL: what is bound is never part of a statement, and each statement is prepared once.

use super::{
    Forget, KeptAnswer, KeptDoubt, KeptEvidence, SOURCE_ANSWERS_MAX, StoredVanished, schema,
};
use rusqlite::{Connection, Params, Row, params};

fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(params, read)?.collect()
}

fn change(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<()> {
    affected(connection, sql, params).map(|_| ())
}

/// How many rows it changed or took away.
fn affected(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<u64> {
    let rows = connection.prepare_cached(sql)?.execute(params)?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// Settings have no sign, a column has.
fn of_column(fingerprint: i64) -> u64 {
    fingerprint.cast_unsigned()
}

/// Also of a file that the process which writes it has not brought to our version yet.
pub(super) fn answers(connection: &Connection, source: &str) -> rusqlite::Result<Vec<KeptAnswer>> {
    let is_known = schema::version(connection)? >= schema::FINGERPRINT_VERSION;
    let fingerprint = if is_known { "fingerprint" } else { "0" };
    let sql = format!(
        "SELECT address, is_there, target, asked_at, {fingerprint} FROM answer
        WHERE source = ?1 AND is_there = ?2 ORDER BY asked_at DESC LIMIT ?3"
    );
    let of = |exists: bool| {
        all(connection, &sql, params![source, exists, limit(SOURCE_ANSWERS_MAX)], |row| {
            let (address, exists, target) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (asked_at, fingerprint) = (row.get(3)?, of_column(row.get(4)?));
            Ok(KeptAnswer { address, exists, target, asked_at, fingerprint })
        })
    };
    Ok([of(true)?, of(false)?].concat())
}

pub(super) fn keep_answer(
    connection: &Connection,
    source: &str,
    answer: &KeptAnswer,
) -> rusqlite::Result<()> {
    let KeptAnswer { address, exists, target, asked_at, fingerprint } = answer;
    let sql = "INSERT INTO answer (source, address, is_there, target, asked_at, fingerprint)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
        SET is_there = ?3, target = ?4, asked_at = ?5, fingerprint = ?6";
    let fingerprint = fingerprint.cast_signed();
    change(connection, sql, params![source, address, exists, target, asked_at, fingerprint])
}

pub(super) fn forget_negatives_of(
    connection: &Connection,
    source: &str,
    domain: &str,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM answer WHERE source = ?1 AND is_there = 0
        AND substr(address, -length(?2)) = ?2";
    change(connection, sql, params![source, format!("@{domain}")])
}

/// None of a file that is not of our version yet.
pub(super) fn turned(
    connection: &Connection,
    source: &str,
    fingerprint: u64,
) -> rusqlite::Result<Vec<StoredVanished>> {
    if schema::version(connection)? < schema::FINGERPRINT_VERSION {
        return Ok(Vec::new());
    }
    let sql = "SELECT address, at, fingerprint FROM turned WHERE source = ?1 AND fingerprint = ?2
        ORDER BY at DESC LIMIT ?3";
    let params = params![source, fingerprint.cast_signed(), limit(SOURCE_ANSWERS_MAX)];
    all(connection, sql, params, |row| {
        let (address, at) = (row.get(0)?, row.get(1)?);
        Ok(StoredVanished { address, at, fingerprint: of_column(row.get(2)?) })
    })
}

pub(super) fn store_vanished(
    connection: &Connection,
    source: &str,
    turned: &StoredVanished,
) -> rusqlite::Result<()> {
    let StoredVanished { address, at, fingerprint } = turned;
    let sql = "INSERT INTO turned (source, address, at, fingerprint) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
        SET at = ?3, fingerprint = ?4";
    change(connection, sql, params![source, address, at, fingerprint.cast_signed()])
}

pub(super) fn forget_turned(
    connection: &Connection,
    source: &str,
    address: Option<&str>,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM turned WHERE source = ?1 AND (?2 IS NULL OR address = ?2)";
    change(connection, sql, params![source, address])
}

pub(super) fn forget_old_turned(connection: &Connection, before: i64) -> rusqlite::Result<()> {
    change(connection, "DELETE FROM turned WHERE at < ?1", params![before])
}

/// One address is really forgotten. Of more, only who is not there: who is there counts as of
/// settings that nobody has, so that he is asked for again and goes on being known.
pub(super) fn forget_answers(
    connection: &Connection,
    source: Option<&str>,
    what: &Forget,
) -> rusqlite::Result<u64> {
    let end = match what {
        Forget::Address(address) => {
            let sql = "DELETE FROM answer WHERE (?1 IS NULL OR source = ?1) AND address = ?2";
            return affected(connection, sql, params![source, address]);
        }
        // A local part may contain `@`, a domain may not: the end decides.
        Forget::Domain(domain) => Some(format!("@{domain}")),
        Forget::All => None,
    };
    let of = "(?1 IS NULL OR source = ?1) AND (?2 IS NULL OR substr(address, -length(?2)) = ?2)";
    let (no, yes) = (
        format!("DELETE FROM answer WHERE is_there = 0 AND {of}"),
        format!(
            "UPDATE answer SET fingerprint = 0 WHERE is_there = 1 AND fingerprint <> 0 AND {of}"
        ),
    );
    let mut forgotten = affected(connection, &no, params![source, end])?;
    // In a file that is not of our version yet, they are so already.
    if schema::version(connection)? >= schema::FINGERPRINT_VERSION {
        forgotten += affected(connection, &yes, params![source, end])?;
    }
    Ok(forgotten)
}

pub(super) fn forget_old_answers(connection: &Connection, before: i64) -> rusqlite::Result<()> {
    change(connection, "DELETE FROM answer WHERE asked_at < ?1", params![before])
}

/// Of each source the newest stay, of those who are there and of those who are not apart: a flood
/// of names that nobody has pushes nobody out.
pub(super) fn forget_surplus_answers(connection: &Connection, max: usize) -> rusqlite::Result<()> {
    let sources: Vec<String> =
        all(connection, "SELECT DISTINCT source FROM answer", [], |row| row.get(0))?;
    for source in sources {
        let sql = "DELETE FROM answer WHERE source = ?1 AND address IN
            (SELECT address FROM answer WHERE source = ?1 AND is_there = ?2
             ORDER BY asked_at DESC LIMIT -1 OFFSET ?3)";
        for exists in [true, false] {
            change(connection, sql, params![source, exists, limit(max)])?;
        }
    }
    Ok(())
}

const EVIDENCE: &str = "SELECT address, kind, first, last, count FROM evidence";

fn read_evidence(row: &Row<'_>) -> rusqlite::Result<KeptEvidence> {
    let (address, kind) = (row.get(0)?, row.get(1)?);
    Ok(KeptEvidence { address, kind, first: row.get(2)?, last: row.get(3)?, count: row.get(4)? })
}

pub(super) fn evidence(connection: &Connection) -> rusqlite::Result<Vec<KeptEvidence>> {
    all(connection, &format!("{EVIDENCE} ORDER BY last DESC"), [], read_evidence)
}

pub(super) fn evidence_about(
    connection: &Connection,
    address: &str,
) -> rusqlite::Result<Vec<KeptEvidence>> {
    let sql = format!("{EVIDENCE} WHERE address = ?1 ORDER BY last DESC");
    all(connection, &sql, params![address], read_evidence)
}

pub(super) fn keep_evidence(
    connection: &Connection,
    evidence: &KeptEvidence,
) -> rusqlite::Result<()> {
    let KeptEvidence { address, kind, first, last, count } = evidence;
    let sql = "INSERT INTO evidence (address, kind, first, last, count) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
        SET first = ?3, last = ?4, count = ?5";
    change(connection, sql, params![address, kind, first, last, count])
}

pub(super) fn forget_evidence(connection: &Connection, address: &str) -> rusqlite::Result<()> {
    change(connection, "DELETE FROM evidence WHERE address = ?1", params![address])
}

pub(super) fn doubts(connection: &Connection, max: usize) -> rusqlite::Result<Vec<KeptDoubt>> {
    let sql = "SELECT address, refusal, count, first, last, client, reverse_path FROM doubt
        ORDER BY last DESC, address LIMIT ?1";
    all(connection, sql, params![limit(max)], |row| {
        Ok(KeptDoubt {
            address: row.get(0)?,
            refusal: row.get(1)?,
            count: row.get(2)?,
            first: row.get(3)?,
            last: row.get(4)?,
            client: row.get(5)?,
            reverse_path: row.get(6)?,
        })
    })
}

pub(super) fn keep_doubt(connection: &Connection, doubt: &KeptDoubt) -> rusqlite::Result<()> {
    let KeptDoubt { address, refusal, count, first, last, client, reverse_path } = doubt;
    let sql = "INSERT INTO doubt (address, refusal, count, first, last, client, reverse_path)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE
        SET refusal = ?2, count = ?3, first = ?4, last = ?5, client = ?6, reverse_path = ?7";
    change(connection, sql, params![address, refusal, count, first, last, client, reverse_path])
}

pub(super) fn forget_doubt(connection: &Connection, address: &str) -> rusqlite::Result<()> {
    change(connection, "DELETE FROM doubt WHERE address = ?1", params![address])
}
