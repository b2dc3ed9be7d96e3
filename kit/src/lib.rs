//! What the end-to-end tests stand on: our own binary, clients and next hops of the tests' own,
//! real mail servers, and the habit of saying what a machine lacks. Everything is on loopback, and
//! every process is ended by its process id when its owner goes out of scope.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what cannot go on fails its test")]
#![allow(clippy::new_without_default, clippy::missing_panics_doc, reason = "these are for tests")]

pub mod certificates;
pub mod client;
pub mod dirsrv;
pub mod dns;
pub mod fake_ldap;
pub mod folder;
pub mod hop;
pub mod http;
pub mod ldap_filter;
pub mod mariadb;
pub mod pgbouncer;
pub mod postern;
pub mod postgres;
pub mod process;
pub mod samba;
pub mod scene;
pub mod servers;
pub mod slapd;

pub use client::Client;
pub use dns::{Dns, DnsMood};
pub use fake_ldap::{FakeLdap, LdapAnswer};
pub use folder::Folder;
pub use hop::{Act, Hop, Stage};
pub use http::Http;
pub use mariadb::Mariadb;
pub use pgbouncer::PgBouncer;
pub use postern::{Postern, config};
pub use postgres::Postgres;
pub use slapd::{Shape, Slapd};

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Clients on this machine are not throttled.
pub const LIFTED: &str = r#"
[[network]]
name = "tests"
addresses = ["127.0.0.0/8", "::1"]
limits = "lifted"
"#;

/// Where a program is, also outside of the search path of people.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Whether all of these are there: programs by name or path, and `root` for the superuser. What
/// is not is said; where CI is set to `true` that fails the test, elsewhere the test is over.
pub fn has(needs: &[&str]) -> bool {
    let is_missing = |need: &&&str| match **need {
        "root" => !nix::unistd::Uid::current().is_root(),
        path if path.starts_with('/') => !std::path::Path::new(path).exists(),
        name => find_program(name).is_none(),
    };
    let Some(missing) = needs.iter().find(is_missing) else { return true };
    let what = match *missing {
        "root" => "this is not root".to_owned(),
        name => format!("{name} is not installed (scripts/install-test-servers)"),
    };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
    // Not eprintln!, which nobody sees of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
    false
}

/// Waits until it is so; a test that waits in vain has failed.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until somebody listens there.
pub fn wait_for_port(address: SocketAddr) {
    wait_until(&format!("somebody listens on {address}"), || TcpStream::connect(address).is_ok());
}

/// A port on 127.0.0.1 and 127.0.0.2 for a server that cannot choose one, or that is stopped and
/// started again: the system gives it to nobody meanwhile, and we give it to nobody else.
pub fn lasting_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let (from, to) = ports_of_nobody();
    for _ in 0..1_000 {
        // At random, because other processes choose as well.
        let random = RandomState::new().build_hasher().finish();
        let port = from + u16::try_from(random % u64::from(to - from)).unwrap();
        let is_free = |last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).is_ok();
        if is_free(1) && is_free(2) && GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
    panic!("no port is free");
}

/// Where nobody listens, for as long as the test runs.
pub fn closed_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()))
}

/// The first port, and the one behind the last, that the system gives to no socket by itself:
/// neither to a client, nor to a server that binds to port 0.
fn ports_of_nobody() -> (u16, u16) {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let chosen = range.ok().and_then(|range| {
        let mut ends = range.split_whitespace().map(str::parse::<u16>);
        Some((ends.next()?.ok()?, ends.next()?.ok()?))
    });
    match chosen.unwrap_or((32_768, 60_999)) {
        (first, _) if first > 12_000 => (10_000, first),
        (_, last) if last < 60_000 => (last + 1, u16::MAX),
        // It chooses from nearly all: then a port is only not likely to be taken.
        _ => (15_000, 30_000),
    }
}

/// A connection that was taken, unless its client has gone meanwhile. Short of descriptors a server
/// of ours fails here: else its clients would wait without a word.
pub fn accepted(taken: io::Result<TcpStream>) -> Option<TcpStream> {
    match taken {
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => None,
        taken => Some(taken.unwrap()),
    }
}

/// As many descriptors as this process may have.
pub fn raise_descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}
