//! `postern init` beside real directories and scripted next hops: what it finds, what it writes,
//! and that the rest of the program takes it. Nobody sits at a terminal here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::slapd::{Anonymous, Setup};
use kit::{Act, FakeLdap, Folder, Hop, LdapAnswer, Shape, Slapd, Stage};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// What a command did.
pub(super) struct Ran {
    pub(super) code: i32,
    /// Both outputs.
    pub(super) said: String,
}

impl Ran {
    #[track_caller]
    pub(super) fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}", self.said);
        self.said
    }
}

/// Runs Postern in the folder; `authority` is believed by this machine then.
pub(super) fn postern(folder: &Folder, authority: Option<&Path>, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).current_dir(folder.path());
    if let Some(authority) = authority {
        command.env("SSL_CERT_FILE", authority);
    }
    let output = command.output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8(said).unwrap();
    Ran { code: output.status.code().unwrap(), said }
}

/// `init` for a next hop; then `check --offline`, when something was written. Returns what was
/// said and what was written.
#[track_caller]
pub(super) fn init(
    folder: &Folder,
    authority: Option<&Path>,
    next_hop: SocketAddr,
    more: &[&str],
) -> (String, String) {
    let said = postern(folder, authority, &arguments(&next_hop.to_string(), more)).expect(0);
    postern(folder, None, &["check", "--offline", "--config", "new.toml"]).expect(0);
    (said, std::fs::read_to_string(folder.file("new.toml")).unwrap())
}

fn arguments<'a>(next_hop: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let given = ["init", "--hostname", "mx.example.test", "--domain", "example.test"];
    let output = ["--output", "new.toml", "--force", "--next-hop", next_hop];
    [&given[..], &output, more].concat()
}

/// The lines that are no comments.
fn active(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

const FILE: [&str; 2] = ["--recipients", "users.txt"];

#[test]
fn an_honest_next_hop_is_asked_itself() {
    let folder = Folder::new();
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Rcpt if !command.to_ascii_lowercase().contains("postmaster") => {
            Act::Say("550 5.1.1 no such user")
        }
        _ => Act::Obey,
    });
    let (said, written) = init(&folder, None, hop.address, &FILE);
    assert!(said.contains("it can be asked who exists"), "{said}");
    assert!(written.contains("{ callout = true },"), "{written}");
    assert!(written.contains("{ file = \"users.txt\" },"), "{written}");
    assert!(!written.contains("{ learned") && !written.contains("[[callout]]"), "{written}");
    assert!(hop.taken().is_empty() && !hop.commands().iter().any(|command| command == "DATA"));
}

#[test]
fn a_next_hop_that_refuses_the_null_reverse_path_is_asked_in_our_name() {
    let folder = Folder::new();
    let hop = Hop::acting(|stage, command| match stage {
        Stage::Mail if command.contains("<>") => Act::Say("550 5.7.1 no bounces"),
        Stage::Rcpt if !command.to_ascii_lowercase().contains("postmaster") => {
            Act::Say("550 5.1.1 no such user")
        }
        _ => Act::Obey,
    });
    let (said, written) = init(&folder, None, hop.address, &FILE);
    assert!(said.contains("It refuses the null reverse-path"), "{said}");
    assert!(written.contains("{ callout = true },"), "{written}");
}

#[test]
fn a_late_next_hop_is_asked_as_far_as_data() {
    let folder = Folder::new();
    let hop = Hop::acting(|stage, _| match stage {
        Stage::Data => Act::Say("550 5.1.1 no such user"),
        _ => Act::Obey,
    });
    let (said, written) = init(&folder, None, hop.address, &FILE);
    assert!(said.contains("asked as far as"), "{said}");
    assert!(written.contains("{ callout = \"next-hop\" },"), "{written}");
    assert!(active(&written).contains("until = \"data\""), "{written}");
    assert!(hop.taken().is_empty());
}

#[test]
fn a_next_hop_that_takes_everybody_is_only_watched_beside_the_file() {
    let folder = Folder::new();
    let hop = Hop::start();
    let (said, written) = init(&folder, None, hop.address, &FILE);
    assert!(said.contains("it cannot say who exists, and is not asked"), "{said}");
    assert!(said.contains("no mail is refused because of it"), "{said}");
    assert!(written.contains("{ learned = true },"), "{written}");
    assert!(!active(&written).contains("callout"), "{written}");
    assert!(hop.taken().is_empty());
}

#[test]
fn an_openldap_that_shows_its_people_is_enough_and_is_found_right_and_knows_them() {
    if !kit::slapd::is_here() {
        return;
    }
    let (folder, slapd) =
        (Folder::new(), Slapd::start(Setup { people: 3, ..Setup::new(Shape::OpenLdap) }));
    let authority = slapd.folder.file("authority.pem");
    let server = slapd.tls_url().replace("ldaps://", "");
    let (said, written) =
        init(&folder, Some(&authority), kit::closed_port(), &["--directory", &server]);
    assert!(said.contains("by LDAPS; base dc=example,dc=test"), "{said}");
    for line in [
        "recipients = [{ ldap = \"directory\" }]",
        "preset = \"openldap\"",
        "tls = \"ldaps\"",
        "base = \"dc=example,dc=test\"",
    ] {
        assert!(active(&written).contains(line), "{line}: {written}");
    }
    assert!(!written.contains("bind_dn") && !written.contains("tls_ca"), "{written}");
    postern(&folder, Some(&authority), &["check", "--config", "new.toml"]).expect(0);
    let known = "person0001@example.test";
    let looked_up = ["recipients", "lookup", "--config", "new.toml", known];
    postern(&folder, Some(&authority), &looked_up).expect(0);
}

#[test]
fn a_certificate_that_is_not_believed_is_to_be_filled_in_before_the_directory_is_listed() {
    if !kit::slapd::is_here() {
        return;
    }
    let (folder, slapd) =
        (Folder::new(), Slapd::start(Setup { people: 3, ..Setup::new(Shape::ActiveDirectory) }));
    let server = slapd.tls_url().replace("ldaps://", "");
    let more = [&FILE[..], &["--directory", &server]].concat();
    let (said, written) = init(&folder, None, kit::closed_port(), &more);
    assert!(said.contains("certificate is not believed") && said.contains("not yet"), "{said}");
    assert!(active(&written).contains("preset = \"active-directory\""), "{written}");
    assert!(active(&written).contains("recipients = [{ file = \"users.txt\" }]"), "{written}");
    assert!(written.contains("# tls_ca = ") && !written.contains("bind_dn"), "{written}");
}

#[test]
fn exchange_is_described_and_not_asked_until_its_administrator_asks() {
    if !kit::slapd::is_here() {
        return;
    }
    let (folder, slapd) =
        (Folder::new(), Slapd::start(Setup { people: 3, ..Setup::new(Shape::Exchange55) }));
    let authority = slapd.folder.file("authority.pem");
    let server = slapd.tls_url().replace("ldaps://", "");
    let next_hop = kit::closed_port();
    let alone = arguments(&next_hop.to_string(), &["--directory", &server])
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    let said = postern(&folder, Some(&authority), &alone).expect(2);
    assert!(said.contains("--recipients") && !folder.file("new.toml").exists(), "{said}");
    let more = [&FILE[..], &["--directory", &server]].concat();
    let (said, written) = init(&folder, Some(&authority), next_hop, &more);
    assert!(said.contains("hides mailboxes"), "{said}");
    assert!(active(&written).contains("preset = \"exchange-5.5\""), "{written}");
    assert!(active(&written).contains("base = \"o=Example\""), "{written}");
    assert!(written.contains(",cn=admin\""), "{written}");
    assert!(active(&written).contains("recipients = [{ file = \"users.txt\" }]"), "{written}");
}

#[test]
fn a_directory_that_shows_strangers_nothing_is_reached_by_start_tls_and_wants_a_name() {
    if !kit::slapd::is_here() {
        return;
    }
    let setup = Setup {
        people: 3,
        anonymous: Anonymous::SeesNothing,
        certificate_for: &["localhost"],
        ..Setup::new(Shape::OpenLdap)
    };
    let (folder, slapd) = (Folder::new(), Slapd::start(setup));
    let authority = slapd.folder.file("authority.pem");
    let server = format!("localhost:{}", slapd.address.port());
    let more = [&FILE[..], &["--directory", &server]].concat();
    let (said, written) = init(&folder, Some(&authority), kit::closed_port(), &more);
    assert!(said.contains("by StartTLS") && said.contains("bind_dn"), "{said}");
    assert!(active(&written).contains("tls = \"starttls\""), "{written}");
    assert!(written.contains("# bind_dn = \"cn=postern,dc=example,dc=test\""), "{written}");
    assert!(active(&written).contains("recipients = [{ file = \"users.txt\" }]"), "{written}");
    // With nothing else it is listed, and says nothing: 451.
    let (_, written) =
        init(&folder, Some(&authority), kit::closed_port(), &["--directory", &server]);
    assert!(active(&written).contains("recipients = [{ ldap = \"directory\" }]"), "{written}");
}

/// A root, and a code for whoever searches below it.
fn fake(root: &'static [(&'static str, &'static str)], code: u32) -> FakeLdap {
    FakeLdap::start(move |search| match &*search.base {
        "" => vec![LdapAnswer::entry("", root), LdapAnswer::done(0)],
        _ => vec![LdapAnswer::done(code)],
    })
}

#[test]
fn active_directory_without_tls_is_described_only_on_an_explicit_yes() {
    let root = &[
        ("namingContexts", "CN=Configuration,DC=example,DC=test"),
        ("rootDomainNamingContext", "DC=example,DC=test"),
        ("defaultNamingContext", "DC=example,DC=test"),
        ("dsServiceName", "CN=NTDS Settings,CN=DC1,CN=Servers"),
    ];
    let (folder, directory) = (Folder::new(), fake(root, 1));
    let server = directory.address.to_string();
    let more = [&FILE[..], &["--directory", &server]].concat();
    let (said, written) = init(&folder, None, kit::closed_port(), &more);
    assert!(said.contains("--directory-plain"), "{said}");
    assert!(!written.contains("[[ldap]]"), "{written}");
    let more = [&more[..], &["--directory-plain"]].concat();
    let (said, written) = init(&folder, None, kit::closed_port(), &more);
    assert!(said.contains("is Active Directory, without TLS"), "{said}");
    assert!(said.contains("It refuses strangers (result code 1)"), "{said}");
    for line in
        ["preset = \"active-directory\"", "tls = \"plain\"", "base = \"DC=example,DC=test\""]
    {
        assert!(active(&written).contains(line), "{line}: {written}");
    }
    assert!(written.contains("# bind_dn"), "{written}");
    assert!(directory.binds().is_empty(), "nobody's password was used");
}

#[test]
fn the_root_of_exchange_is_known_without_an_entry() {
    let root = &[
        ("namingContexts", "o=Example"),
        ("dsServiceName", "cn=Microsoft DSA,cn=MAIL,cn=Servers,cn=Configuration,ou=SITE,o=Example"),
        ("supportedControl", "1.2.840.113556.1.4.319"),
    ];
    let (folder, directory) = (Folder::new(), fake(root, 0));
    let server = directory.address.to_string();
    let more = [&FILE[..], &["--directory-plain", "--directory", &server]].concat();
    let (said, written) = init(&folder, None, kit::closed_port(), &more);
    assert!(said.contains("the directory of Exchange 5.5"), "{said}");
    assert!(active(&written).contains("preset = \"exchange-5.5\""), "{written}");
}

#[test]
fn what_is_no_directory_is_said_of_one_that_was_named_and_the_rest_is_written() {
    let folder = Folder::new();
    let hop = Hop::start();
    let server = hop.address.to_string();
    let more = [&FILE[..], &["--directory", &server]].concat();
    let (said, written) = init(&folder, None, kit::closed_port(), &more);
    assert!(said.contains("no directory that can be used"), "{said}");
    assert!(!written.contains("[[ldap]]"), "{written}");
}

/// Hands every connection on.
fn forward(listener: TcpListener, to: SocketAddr) {
    std::thread::spawn(move || {
        for ours in listener.incoming().map_while(Result::ok) {
            let Ok(theirs) = TcpStream::connect(to) else { continue };
            let (mut from, mut into) = (ours.try_clone().unwrap(), theirs.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = io::copy(&mut from, &mut into);
                let _ = into.shutdown(Shutdown::Both);
            });
            let (mut from, mut into) = (theirs, ours);
            std::thread::spawn(move || {
                let _ = io::copy(&mut from, &mut into);
                let _ = into.shutdown(Shutdown::Both);
            });
        }
    });
}

#[test]
fn a_directory_beside_the_next_hop_is_found_without_being_named() {
    if !kit::slapd::is_here() || !kit::has(&["root"]) {
        return;
    }
    let slapd = Slapd::start(Setup {
        people: 3,
        certificate_for: &["127.0.77.1"],
        ..Setup::new(Shape::OpenLdap)
    });
    forward(TcpListener::bind("127.0.77.1:390").unwrap(), slapd.address);
    let folder = Folder::new();
    let hop = Hop::at("127.0.77.1:0".parse().unwrap());
    let authority = slapd.folder.file("authority.pem");
    let (said, written) = init(&folder, Some(&authority), hop.address, &FILE);
    assert!(said.contains("127.0.77.1:390 is OpenLDAP, by StartTLS"), "{said}");
    assert!(active(&written).contains("{ ldap = \"directory\" },"), "{written}");
    assert!(active(&written).contains("servers = [\"127.0.77.1:390\"]"), "{written}");
}
