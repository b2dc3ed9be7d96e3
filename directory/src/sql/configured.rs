//! `[[sql]]`: what the operator wrote, understood, with every mistake in it. Its keys are in
//! `table.rs`; whether the database agrees is found out by trying (`mod.rs`).

use super::settings::{Database, Mode, Server, ServerAddress, Settings, Tls};
use super::statement::{Dialect, Fault, Statement};
use super::table::{SqlTable, TlsUse};
use crate::mode::Use;
use settings::file;
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::value::{Given, Text};
use std::net::IpAddr;

/// An example that works.
const SERVER: &str = "for example: server = \"postgres://postern@db.example.test/mail\"";

/// Understands one `[[sql]]`; what it returns counts for nothing when a mistake was reported.
pub(crate) fn settings(written: &SqlTable, context: &mut LoadContext) -> Option<Settings> {
    let name = written.name.as_ref()?;
    let database = database(written, name, context);
    let dialect = database.as_ref().map(Database::dialect);
    let query = statement(written.query.as_ref(), dialect, Statement::query, context);
    let list = statement(written.list.as_ref(), dialect, Statement::listing, context);
    check_mode(written, name, context);
    Some(Settings {
        name: name.to_string(),
        database: database?,
        query,
        list,
        mode: match *written.mode {
            Use::Live => Mode::Live,
            Use::Snapshot => Mode::Snapshot { every: *written.every_seconds },
        },
        timeout: *written.answer_seconds_max,
        connections_max: *written.connections_max,
        positive: *written.positive_seconds,
        negative: *written.negative_seconds,
    })
}

fn statement(
    text: Option<&Text>,
    dialect: Option<Dialect>,
    translate: fn(&str, Dialect) -> Result<Statement, Fault>,
    context: &mut LoadContext,
) -> Option<Statement> {
    let text = text?;
    match translate(text, dialect?) {
        Ok(statement) => Some(statement),
        Err(Fault { at: place, kind }) => {
            let found = text[place].lines().next().unwrap_or_default();
            let label = if found.is_empty() { String::new() } else { format!("at `{found}`") };
            let message = format!("{}: {kind}", text.path().key);
            context.refuse(text.wrong(message, &label).help(kind.help()));
            None
        }
    }
}

fn check_mode(written: &SqlTable, name: &Text, context: &mut LoadContext) {
    let (needed, help) = match (*written.mode, &written.query, &written.list) {
        (Use::Snapshot, _, None) => {
            ("list", "for example: list = \"select mail as address from people\"")
        }
        (Use::Live, None, _) => {
            ("query", "for example: query = \"select 1 from people where lower(mail) = {address}\"")
        }
        _ => return,
    };
    let place = if written.mode.is_written() { written.mode.span() } else { name.span() };
    let missing = Mistake::new(format!("`{needed}` is missing")).key(format!("sql.{needed}"));
    context.refuse(missing.at(place, "needs it").help(help));
}

fn database(written: &SqlTable, name: &Text, context: &mut LoadContext) -> Option<Database> {
    let (server, path) = match (&written.server, &written.file) {
        (Some(server), None) => (server, None),
        (None, Some(path)) => {
            foreign_to_file(written, context);
            return Some(Database::Sqlite(file::readable(path, context)?));
        }
        (Some(server), path) => (server, path.as_ref()),
        (None, None) => {
            let mistake = name.wrong("`server` or `file` is missing", "where is it?");
            let mistake = mistake.key("sql.server");
            context.refuse(mistake.help(SERVER).help("or: file = \"people.sqlite\""));
            return None;
        }
    };
    if let Some(path) = path {
        let mistake = path.wrong("`file` beside `server`", "one");
        context.refuse(mistake.at(server.span(), "or the other"));
        return None;
    }
    let address = context.told(address(server, written.socket.is_some()));
    let password_file = written.password_file.as_ref().and_then(|path| file::secret(path, context));
    let address = address?;
    let place = place(written, &address, context)?;
    let server = Server {
        place,
        user: address.user.to_owned(),
        database: address.database.to_owned(),
        password_file,
    };
    Some(match address.dialect {
        Dialect::MySql => Database::MySql(server),
        Dialect::Postgres | Dialect::Sqlite => Database::Postgres(server),
    })
}

/// What means nothing to a file.
fn foreign_to_file(written: &SqlTable, context: &mut LoadContext) {
    let SqlTable { socket, password_file, tls_ca, tls, .. } = written;
    let texts = [socket, password_file, tls_ca].into_iter().flatten().filter_map(Given::written);
    for key in texts.chain(tls.as_ref().and_then(Given::written)) {
        let message = format!("`{}` beside `file`", key.path().key);
        context.refuse(key.wrong(message, "belongs to a `server`").help("take it out"));
    }
}

/// The parts of `server`.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    dialect: Dialect,
    user: &'a str,
    host: &'a str,
    port: u16,
    database: &'a str,
}

fn address(server: &Text, has_socket: bool) -> Result<Address<'_>, Mistake> {
    let wrong = |message: &str| server.wrong(format!("`server`: {message}"), "").help(SERVER);
    let (scheme, rest) = server
        .split_once("://")
        .ok_or_else(|| wrong("expected what begins with postgres:// or mysql://"))?;
    let (dialect, port) = match scheme {
        "postgres" | "postgresql" => (Dialect::Postgres, 5432),
        "mysql" | "mariadb" => (Dialect::MySql, 3306),
        _ => return Err(wrong("expected what begins with postgres:// or mysql://")),
    };
    let (user, rest) = rest.rsplit_once('@').ok_or_else(|| wrong("the user is missing"))?;
    if user.contains(':') {
        let message = "a password does not belong here, where everybody who helps reads it";
        return Err(wrong(message).help("put it into a file of its own: password_file = \"…\""));
    }
    let (place, database) = rest.split_once('/').ok_or_else(|| wrong("the database is missing"))?;
    if let Some(at) = database.find(['?', '#']) {
        let what = &database[at..];
        return Err(wrong(&format!("`{what}` is not understood"))
            .help("what else is to be said has keys of its own, like `tls`"));
    }
    for (part, name) in [(user, "the user"), (database, "the database")] {
        if part.is_empty() {
            return Err(wrong(&format!("{name} is missing")));
        }
    }
    let (host, port) = match split_port(place) {
        Some((host, written)) => {
            let parsed = written.parse().ok().filter(|port| *port > 0);
            (host, parsed.ok_or_else(|| wrong("the port is no number from 1 to 65535"))?)
        }
        None => (place, port),
    };
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() != has_socket {
        return Err(wrong(if has_socket {
            "a host beside `socket`: leave one of them out"
        } else {
            "the host is missing"
        }));
    }
    Ok(Address { dialect, user, host, port, database })
}

/// What stands before and behind the colon that is not one of an IPv6 address.
fn split_port(place: &str) -> Option<(&str, &str)> {
    let (host, port) = place.rsplit_once(':')?;
    (!host.contains(':') || host.ends_with(']')).then_some((host, port))
}

fn is_loopback(host: &str) -> bool {
    let is_loopback = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

fn place(
    written: &SqlTable,
    address: &Address<'_>,
    context: &mut LoadContext,
) -> Option<ServerAddress> {
    let default = if is_loopback(address.host) { TlsUse::Plain } else { TlsUse::Require };
    let tls = written.tls.as_deref().copied().unwrap_or(default);
    let is_required = written.socket.is_none() && tls == TlsUse::Require;
    let ca = written.tls_ca.as_ref().map(|ca| (ca, file::certificates(ca, context)));
    if let (Some(tls), Some(_)) = (&written.tls, &written.socket) {
        let mistake = tls.wrong("`tls` beside `socket`", "nobody listens there");
        context.refuse(mistake.help("take it out"));
        return None;
    }
    if let (Some((ca, _)), false) = (&ca, is_required) {
        let mistake = ca.wrong("`tls_ca` without TLS", "nothing would be verified");
        context.refuse(mistake.help("add tls = \"require\", or take this out"));
        return None;
    }
    if let Some(socket) = &written.socket {
        return Some(ServerAddress::Socket { path: context.path(socket), port: address.port });
    }
    let tls = match ca {
        Some((_, certificates)) => Tls::Require { ca: Some(certificates?.0) },
        None if is_required => Tls::Require { ca: None },
        None => Tls::Plain,
    };
    Some(ServerAddress::Host { host: address.host.to_owned(), port: address.port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, has_socket: bool) -> Option<(Dialect, String, String, u16, String)> {
        let text = Text::alone(text);
        let address = address(&text, has_socket).ok()?;
        let Address { dialect, user, host, port, database } = address;
        Some((dialect, user.to_owned(), host.to_owned(), port, database.to_owned()))
    }

    #[test]
    fn a_server_has_user_host_port_and_database() {
        use Dialect::{MySql, Postgres};
        for (text, dialect, host, port) in [
            ("postgres://p@db.example.test/mail", Postgres, "db.example.test", 5432),
            ("postgresql://p@10.0.0.5:6432/mail", Postgres, "10.0.0.5", 6432),
            ("mysql://p@[::1]/mail", MySql, "::1", 3306),
            ("mariadb://p@[::1]:3307/mail", MySql, "::1", 3307),
        ] {
            let expected = (dialect, "p".into(), host.into(), port, "mail".into());
            assert_eq!(parsed(text, false), Some(expected), "{text}");
        }
        let expected = (Postgres, "p".into(), String::new(), 5433, "mail".into());
        assert_eq!(parsed("postgres://p@:5433/mail", true), Some(expected));
    }

    #[test]
    fn what_is_missing_or_too_much_in_a_server_is_a_mistake() {
        for text in [
            "db.example.test",
            "oracle://p@db/mail",
            "postgres://db/mail",
            "postgres://@db/mail",
            "postgres://p:secret@db/mail",
            "postgres://p@db",
            "postgres://p@db/",
            "postgres://p@/mail",
            "postgres://p@db:0/mail",
            "postgres://p@db:x/mail",
            "postgres://p@db/mail?sslmode=disable",
        ] {
            assert_eq!(parsed(text, false), None, "{text}");
        }
        assert_eq!(parsed("postgres://p@db/mail", true), None, "a host beside a socket");
    }

    #[test]
    fn only_this_machine_needs_no_tls() {
        for (host, expected) in [
            ("localhost", true),
            ("127.0.0.2", true),
            ("::1", true),
            ("10.0.0.5", false),
            ("localhost.example.test", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
