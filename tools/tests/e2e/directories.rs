//! Each kind of recipient source with the real server behind it and the real binary before it:
//! who is known hears 250 and who is not 550; while the server is down who was known still hears
//! 250 and who was never seen 451; when it is back all is right at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::http::{Http, Response};
use kit::mariadb::{self, Mariadb};
use kit::postgres::{self, Postgres};
use kit::process::Process;
use kit::servers::{Server, needs};
use kit::slapd::{self, ADMIN_PASSWORD, Setup, Shape, Slapd};
use kit::{Client, Folder, Hop, LIFTED, Postern, has, wait_until};
use std::path::PathBuf;
use std::process::Command;

/// The code and enhanced status of RCPT in a session of its own.
fn recipient(postern: &Postern, name: &str) -> String {
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    let reply = client.say(&format!("RCPT TO:<{name}@example.test>")).text();
    reply.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A configuration with one source, and the table that describes it.
fn with_source(hop: &Hop, entry: &str, table: &str) -> String {
    let domain = kit::config(hop.address, &format!("{table}\n{LIFTED}"));
    let head = "hostname = \"mx.example.test\"\nstate_dir = \".\"\n";
    domain
        .replace("hostname = \"mx.example.test\"\n", head)
        .replace("{ file = \"users.txt\" }", entry)
}

/// A server that can be stopped and started again with its data.
trait Directory {
    fn stop(&mut self);
    fn restart(&mut self);
}

macro_rules! directory {
    ($($server:ty),*) => {
        $(impl Directory for $server {
            fn stop(&mut self) {
                self.stop();
            }

            fn restart(&mut self) {
                self.restart();
            }
        })*
    };
}

directory!(Http, Mariadb, Postgres, Server, Slapd);

const YES: &str = "250 2.1.5";
const NO: &str = "550 5.1.1";
const LATER: &str = "451 4.4.3";

/// The server knows `known`, which is asked for before the outage, and `unseen`, which is not.
fn lives_through_an_outage(
    folder: &Folder,
    config: &str,
    directory: &mut dyn Directory,
    [known, unseen]: [&str; 2],
) {
    {
        let postern = Postern::start(folder, config);
        assert_eq!(recipient(&postern, known), YES, "{:#?}", postern.events());
        assert_eq!(recipient(&postern, "nobody"), NO, "{:#?}", postern.events());
        assert_eq!(recipient(&postern, "o'brien*"), NO, "{:#?}", postern.events());
        directory.stop();
        assert_eq!(recipient(&postern, known), YES, "it is remembered");
        assert_eq!(recipient(&postern, unseen), LATER);
        assert_eq!(recipient(&postern, "stranger"), LATER);
        directory.restart();
        assert_eq!(recipient(&postern, unseen), YES, "{:#?}", postern.events());
        assert_eq!(recipient(&postern, "stranger"), NO, "{:#?}", postern.events());
        postern.signal(nix::sys::signal::Signal::SIGTERM);
        let mut postern = postern;
        assert!(postern.process.wait().success());
    }
    // What was known outlives a restart in the middle of an outage.
    directory.stop();
    let postern = Postern::start(folder, config);
    assert_eq!(recipient(&postern, known), YES, "{:#?}", postern.events());
    assert_eq!(recipient(&postern, "other"), LATER);
    directory.restart();
    assert_eq!(recipient(&postern, "other"), NO, "{:#?}", postern.events());
}

#[test]
fn a_web_service() {
    let people = ["person0001%40", "person0002%40"];
    let mut http = Http::start(move |request| {
        let is_there = people.iter().any(|name| request.path.contains(name));
        Response::new(if is_there { 200 } else { 404 }, "")
    });
    let (folder, hop) = (Folder::new(), Hop::start());
    let table = format!("[[http]]\nname = \"people\"\nurl = \"{}\"\n", http.url("/who/{address}"));
    let config = with_source(&hop, "{ http = \"people\" }", &table);
    lives_through_an_outage(&folder, &config, &mut http, ["person0001", "person0002"]);
}

/// A directory of one shape, and the lines that describe it.
fn directory_of(shape: Shape, folder: &Folder) -> (Slapd, String) {
    let slapd = Slapd::start(Setup { people: 3, ..Setup::new(shape) });
    folder.write("ldap-password", ADMIN_PASSWORD);
    let authority = slapd.folder.file("authority.pem");
    let (preset, base) = match shape {
        Shape::OpenLdap => ("openldap", shape.base()),
        Shape::ActiveDirectory => ("active-directory", shape.base()),
        Shape::Exchange55 => ("exchange-5.5", shape.base()),
    };
    let table = format!(
        "[[ldap]]\nname = \"people\"\npreset = \"{preset}\"\nbase = \"{base}\"\n\
         servers = [\"{}\"]\ntls = \"ldaps\"\ntls_ca = \"{}\"\n\
         bind_dn = \"{}\"\npassword_file = \"ldap-password\"\n",
        slapd.tls_address.unwrap(),
        authority.display(),
        slapd.admin(),
    );
    (slapd, table)
}

fn is_a_directory(shape: Shape) {
    if !slapd::is_here() {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let (mut slapd, table) = directory_of(shape, &folder);
    let config = with_source(&hop, "{ ldap = \"people\" }", &table);
    lives_through_an_outage(&folder, &config, &mut slapd, ["person0001", "alias0002"]);
}

#[test]
fn a_directory_that_is_listed_is_followed_and_its_outage_is_not_noticed() {
    if !slapd::is_here() {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let (mut slapd, table) = directory_of(Shape::OpenLdap, &folder);
    let table = format!("{table}mode = \"snapshot\"\nchanges_seconds = 1\n");
    let config = with_source(&hop, "{ ldap = \"people\" }", &table);
    let postern = Postern::start(&folder, &config);
    let hears = |postern: &Postern, name: &str, reply: &str| {
        wait_until(&format!("{name} hears {reply}"), || recipient(postern, name) == reply);
    };
    hears(&postern, "alias0002", YES);
    assert_eq!(recipient(&postern, "new"), NO);
    slapd.add_ldif(&slapd.shape.entry("new", 9_001, "new@example.test", &[]));
    hears(&postern, "new", YES);
    slapd.delete(&slapd.shape.dn("new"));
    hears(&postern, "new", NO);
    slapd.stop();
    assert_eq!(recipient(&postern, "person0003"), YES, "never seen before");
    assert_eq!(recipient(&postern, "nobody"), NO);
    drop(postern);
    let postern = Postern::start(&folder, &config);
    assert_eq!(recipient(&postern, "person0001"), YES);
    slapd.restart();
    slapd.add_ldif(&slapd.shape.entry("late", 9_002, "late@example.test", &[]));
    hears(&postern, "late", YES);
}

#[test]
fn an_openldap() {
    is_a_directory(Shape::OpenLdap);
}

#[test]
fn an_active_directory() {
    is_a_directory(Shape::ActiveDirectory);
}

#[test]
fn an_exchange_5_5() {
    is_a_directory(Shape::Exchange55);
}

const PEOPLE: &str = "create table people (address varchar(254)); insert into people values \
    ('person0001@example.test'), ('person0002@example.test'), ('person0003@example.test');";
const QUERY: &str = "query = \"select 1 from people where lower(address) = {address}\"\n";

#[test]
fn a_postgresql() {
    if !postgres::is_here() {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let mut server = Postgres::start();
    server.execute(PEOPLE);
    folder.write("sql-password", postgres::PASSWORD);
    let at = format!("postgres://postern@{}/postern", server.address);
    let table = format!(
        "[[sql]]\nname = \"people\"\nserver = \"{at}\"\npassword_file = \"sql-password\"\n{QUERY}"
    );
    let config = with_source(&hop, "{ sql = \"people\" }", &table);
    lives_through_an_outage(&folder, &config, &mut server, ["person0001", "person0002"]);
}

#[test]
fn a_mariadb() {
    if !mariadb::is_here() {
        return;
    }
    let (folder, hop) = (Folder::new(), Hop::start());
    let mut server = Mariadb::start();
    server.execute(PEOPLE);
    folder.write("sql-password", mariadb::PASSWORD);
    let at = format!("mysql://postern@{}/postern", server.address);
    let table = format!(
        "[[sql]]\nname = \"people\"\nserver = \"{at}\"\npassword_file = \"sql-password\"\n{QUERY}"
    );
    let config = with_source(&hop, "{ sql = \"people\" }", &table);
    lives_through_an_outage(&folder, &config, &mut server, ["person0001", "person0002"]);
}

/// A database in a file is stopped by putting something else in its place.
struct DatabaseFile(PathBuf);

impl Directory for DatabaseFile {
    fn stop(&mut self) {
        std::fs::rename(&self.0, self.0.with_extension("away")).unwrap();
        std::fs::write(&self.0, "this is no database, whatever its name says").unwrap();
    }

    fn restart(&mut self) {
        std::fs::rename(self.0.with_extension("away"), &self.0).unwrap();
    }
}

#[test]
fn an_sqlite() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let file = folder.file("people.sqlite");
    rusqlite::Connection::open(&file).unwrap().execute_batch(PEOPLE).unwrap();
    let table = format!("[[sql]]\nname = \"people\"\nfile = \"people.sqlite\"\n{QUERY}");
    let config = with_source(&hop, "{ sql = \"people\" }", &table);
    let people = ["person0001", "person0002"];
    lives_through_an_outage(&folder, &config, &mut DatabaseFile(file), people);
}

#[test]
fn the_next_hop_itself() {
    for kind in ["postfix", "exim"] {
        if !has(&[&needs(kind), "root"]) {
            continue;
        }
        let more = match kind {
            "postfix" => {
                "virtual_mailbox_maps = inline:{ { person0001@example.test = mail/ }, \
                 { person0002@example.test = mail/ } }"
            }
            _ => {
                "\nbegin acl\n  deny message = unknown user\n       \
                 !local_parts = person0001 : person0002\n"
            }
        };
        let mut server = Server::start(kind, more);
        let (folder, hop) = (Folder::new(), Hop::start());
        let table = format!("[[callout]]\nname = \"inside\"\nhosts = [\"{}\"]\n", server.address);
        let config = with_source(&hop, "{ callout = \"inside\" }", &table);
        lives_through_an_outage(&folder, &config, &mut server, ["person0001", "person0002"]);
    }
}

#[test]
fn a_start_does_without_a_directory_unless_it_is_told_otherwise() {
    let (folder, hop, port) = (Folder::new(), Hop::start(), kit::lasting_port());
    let table = format!(
        "[[ldap]]\nname = \"staff\"\npreset = \"openldap\"\nbase = \"dc=example,dc=test\"\n\
         servers = [\"127.0.0.1:{port}\"]\ntls = \"plain\"\n"
    );
    let config = with_source(&hop, "{ ldap = \"staff\" }", &table);
    {
        let postern = Postern::start(&folder, &config);
        assert_eq!(recipient(&postern, "person0001"), LATER);
        let told = postern.wait_for("SourceTrouble");
        assert_eq!(told["subject"], "ldap staff");
    }
    let path = folder.write("postern.toml", format!("start_without_sources = false\n{config}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    let mut process = Process::start(command.arg("run").arg("--config").arg(path));
    let status = process.wait();
    assert_eq!(status.code(), Some(3), "{:#?}", process.errors.all());
    let said = |part: &str| {
        let is_said = |line: &str| line.contains(part).then_some(());
        assert!(process.errors.wait_for(is_said, kit::PATIENCE).is_some(), "{part}: {:#?}", {
            process.errors.all()
        });
    };
    said("ldap staff: ");
    said(&format!("127.0.0.1:{port}"));
    said("help: ");
    said("Nothing was started");
    said("postern check");
    assert_eq!(process.output.all(), [""; 0], "it never said that it listens");
}
