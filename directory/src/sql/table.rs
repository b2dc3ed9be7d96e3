//! The keys of `[[sql]]`, and what was written for them. What it means is in `written.rs`.

use crate::settings::keys::Default::{Number, Required, Value, Words};
use crate::settings::keys::{Key, Table, choice, number, text};
use crate::settings::site::Text;
use serde::Deserialize;
use serde_spanned::Spanned;

/// `[[sql]]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub(super) name: Option<Text>,
    pub(super) server: Option<Text>,
    pub(super) socket: Option<Text>,
    pub(super) file: Option<Text>,
    pub(super) password_file: Option<Text>,
    pub(super) tls: Option<Text>,
    pub(super) tls_ca: Option<Text>,
    pub(super) mode: Option<Text>,
    pub(super) query: Option<Text>,
    pub(super) list: Option<Text>,
    pub(super) every_seconds: Option<Spanned<i64>>,
    pub(super) answer_seconds_max: Option<Spanned<i64>>,
    pub(super) connections_max: Option<Spanned<i64>>,
    pub(super) positive_seconds: Option<Spanned<i64>>,
    pub(super) negative_seconds: Option<Spanned<i64>>,
}

/// The keys of `[[sql]]`.
pub const TABLE: Table = Table {
    path: "sql",
    head: "[[sql]]",
    help: "A database that is asked for each address, or listed: PostgreSQL, MySQL, MariaDB, \
           SQLite.",
    keys: KEYS,
};

pub(super) const KEYS: &[Key] = &[
    text("name", Required, "\"people\"", "What `recipients` of a `[[domain]]` calls it."),
    text(
        "server",
        Words("an SQLite file"),
        "\"postgres://postern@db.example.test:5432/mail\"",
        "Where the database is: `postgres://user@host:port/database`, or `mysql://` for MySQL and \
         MariaDB. The port may be left out. Never a password: that is in `password_file`.",
    ),
    text(
        "socket",
        Words("`server` is reached on its port"),
        "\"/run/postgresql\"",
        "The Unix socket of `server`, whose host is left out then (`postgres://user@/database`): \
         the folder with PostgreSQL's, or MySQL's itself.",
    ),
    text(
        "file",
        Words("a `server`"),
        "\"people.sqlite\"",
        "An SQLite file, in place of a `server`. It is opened read-only.",
    ),
    text(
        "password_file",
        Words("no password"),
        "\"sql-password\"",
        "A file with the user's password in its first line. It is read for each connection.",
    ),
    choice(
        "tls",
        &["require", "plain"],
        Words("`plain` for this machine, else `require`"),
        "`require`: only with TLS, and with a certificate that bears the host's name. `plain` is \
         nothing: the answers can be read and changed on the way.",
    ),
    text(
        "tls_ca",
        Words("the public authorities"),
        "\"inside-ca.pem\"",
        "PEM file of authorities that are believed besides the public ones.",
    ),
    choice(
        "mode",
        &["live", "snapshot"],
        Value("\"live\""),
        "`live`: `query` is asked for each address. `snapshot`: `list` is read as often as \
         `every_seconds` says, and addresses are found in memory.",
    ),
    text(
        "query",
        Words("none, with `snapshot`"),
        "\"select target from people where lower(mail) = {address}\"",
        "What finds an address. `{address}`, `{local_part}` (without quotes) and `{domain}` are \
         bound as text; they are in lower case unless `local_part_case` is `exact`, so compare \
         them with `lower(…)` or without regard to case. No row: the address is unknown. A row: \
         it exists. A column `exists` (a boolean, 0 or 1) says so instead; a column `target` has \
         the address that the next hop hears, or NULL. Beware of collations that take `ö` for \
         `o`, as MySQL's do: they find addresses that are not there.",
    ),
    text(
        "list",
        Words("none"),
        "\"select mail as address, target from people\"",
        "What lists all addresses: the column `address`, else the first, and `target`, if any.",
    ),
    number("every_seconds", 900, 10, 604_800, "Between two readings of `list`."),
    number("answer_seconds_max", 3, 1, 30, "Until an answer, connecting included."),
    number("connections_max", 8, 1, 1_000, "Connections to it in all.")
        .because("up to 256 recipients wait for one that is free"),
    number("positive_seconds", 3_600, 0, 31_536_000, "How long a yes is believed.")
        .because("0 asks each time"),
    number("negative_seconds", 600, 0, 31_536_000, "How long a no is believed.")
        .because("0 asks each time"),
];

/// The number that holds when none is written.
pub(super) fn default(name: &str) -> u64 {
    match KEYS.iter().find(|key| key.name == name).map(|key| key.default) {
        Some(Number(number)) => number,
        _ => 0,
    }
}
