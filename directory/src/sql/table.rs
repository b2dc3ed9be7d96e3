//! The keys of `[[sql]]`. What they mean is in `configured.rs`.

use crate::mode::Use;
use settings::table::keys::table;
use settings::table::value::{Given, Text, choice};
use std::time::Duration;

table! {
    /// A database that is asked for each address, or listed: PostgreSQL, MySQL, MariaDB, SQLite.
    pub(crate) struct SqlTable("sql", "[[sql]]") {
        /// What `recipients` of a `[[domain]]` calls it.
        name: Option<Text> = required().like("people"),
        /// Where the database is: `postgres://user@host:port/database`, or `mysql://` for MySQL and
        /// MariaDB. The port may be left out. Never a password: that is in `password_file`.
        server: Option<Text> =
            optional("an SQLite file").like("postgres://postern@db.example.test:5432/mail"),
        /// The Unix socket of `server`, whose host is left out then (`postgres://user@/database`):
        /// the folder with PostgreSQL's, or MySQL's itself.
        socket: Option<Text> = optional("`server` is reached on its port").like("/run/postgresql"),
        /// An SQLite file, in place of a `server`. It is opened read-only.
        file: Option<Text> = optional("a `server`").like("people.sqlite"),
        /// A file with the user's password in its first line. It is read for each connection.
        password_file: Option<Text> = optional("no password").like("sql-password"),
        /// `require`: only with TLS, and with a certificate that bears the host's name. `plain` is
        /// nothing: the answers can be read and changed on the way.
        tls: Option<Given<TlsUse>> = optional("`plain` for this machine, else `require`"),
        /// PEM file of authorities that are believed besides the public ones.
        tls_ca: Option<Text> = optional("the public authorities").like("inside-ca.pem"),
        /// `live`: `query` is asked for each address. `snapshot`: `list` is read as often as
        /// `every_seconds` says, and addresses are found in memory.
        mode: Given<Use> = choice("live"),
        /// What finds an address. `{address}`, `{local_part}` (without quotes) and `{domain}` are
        /// bound as text; they are in lower case unless `local_part_case` is `exact`, so compare
        /// them with `lower(…)` or without regard to case. No row: the address is unknown. A row:
        /// it exists. A column `exists` (a boolean, 0 or 1) says so instead; a column `target` has
        /// the address that the next hop hears, or NULL. Beware of collations that take `ö` for
        /// `o`, as MySQL's do: they find addresses that are not there.
        query: Option<Text> = optional("none, with `snapshot`")
            .like("select target from people where lower(mail) = {address}"),
        /// What lists all addresses: the column `address`, else the first, and `target`, if any.
        list: Option<Text> = optional("none").like("select mail as address, target from people"),
        /// Between two readings of `list`.
        every_seconds: Given<Duration> = number(900, 10..=604_800),
        /// Until an answer, connecting included.
        answer_seconds_max: Given<Duration> = number(3, 1..=30),
        /// Connections to it in all.
        connections_max: Given<u32> = number(8, 1..=1_000)
            .because("up to 256 recipients wait for one that is free"),
        /// How long a yes is believed.
        positive_seconds: Given<Duration> = number(3_600, 0..=31_536_000)
            .because("0 asks each time"),
        /// How long a no is believed.
        negative_seconds: Given<Duration> = number(600, 0..=31_536_000).because("0 asks each time"),
    }
}

table! {
    /// A database.
    pub(crate) struct Entry("domain.recipients", "recipients = [{ … }]") {
        /// The name of a `[[sql]]`.
        sql: Option<Text> = optional("none").like("people"),
    }
}

/// `tls` of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsUse {
    /// Only with it.
    Require,
    /// Without.
    Plain,
}

choice!(TlsUse { Require = "require", Plain = "plain" });
