//! 389 Directory Server, as it is out of the box: nobody may read but whom an access rule allows,
//! and who reads is told no more than 2,000 entries and looks through 5,000.

use super::folder::Folder;
use super::process::{Daemon, run};
use super::{has, lasting_port};
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

/// The password of its manager, who has no limits.
pub const MANAGER_PASSWORD: &str = "manager.secret";
/// The password of [`Dirsrv::reader`].
pub const READER_PASSWORD: &str = "reader.secret";
/// Who it is.
const MANAGER: &str = "cn=Directory Manager";
/// Where its folders are.
const LAYOUT: &[(&str, &str)] = &[
    ("backup_dir", "bak"),
    ("cert_dir", "config"),
    ("config_dir", "config"),
    ("db_dir", "db"),
    ("db_home_dir", "db"),
    ("inst_dir", "."),
    ("ldif_dir", "ldif"),
    ("local_state_dir", "var"),
    ("lock_dir", "lock"),
    ("log_dir", "log"),
    ("run_dir", "run"),
    ("schema_dir", "config/schema"),
];

/// Whether this machine has one, as [`super::has`] says it.
pub fn is_here() -> bool {
    has(&["root", "ns-slapd", "dscreate", "pwdhash", "ldapmodify"])
}

/// A server with people of `example.test`.
pub struct Dirsrv {
    _folder: Folder,
    /// Where it speaks LDAP, without TLS.
    pub address: SocketAddr,
    _daemon: Daemon,
}

impl Dirsrv {
    /// One with as many people: `person0000@example.test` and so on.
    pub fn start(people: usize) -> Self {
        let folder = Folder::new();
        let port = lasting_port();
        install(&folder, port);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new("ns-slapd");
        command.arg("-D").arg(folder.file("config")).arg("-i").arg(folder.file("pid"));
        command.args(["-d", "0"]);
        let mut daemon = Daemon::new(command, Signal::SIGTERM);
        daemon.start(|_| TcpStream::connect(address).is_ok());
        let server = Self { _folder: folder, address, _daemon: daemon };
        server.modify(CONTENT);
        server.modify(&persons(people));
        server
    }

    /// An account that may read.
    pub fn reader(&self) -> String {
        "uid=reader,dc=example,dc=test".to_owned()
    }

    /// The top of the tree.
    pub fn base(&self) -> &'static str {
        "dc=example,dc=test"
    }

    /// Adds and changes, as LDIF has it.
    pub fn modify(&self, ldif: &str) {
        let scratch = Folder::new();
        let (is_done, said) = run(Command::new("ldapmodify")
            .args(["-x", "-H", &format!("ldap://{}", self.address), "-D", MANAGER])
            .args(["-w", MANAGER_PASSWORD, "-f"])
            .arg(scratch.write("changes.ldif", ldif)));
        assert!(is_done, "{said}");
    }
}

const CONTENT: &str = r#"dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config
changetype: add
objectClass: nsBackendInstance
objectClass: extensibleObject
cn: userRoot
nsslapd-suffix: dc=example,dc=test

dn: cn="dc=example,dc=test",cn=mapping tree,cn=config
changetype: add
objectClass: nsMappingTree
objectClass: extensibleObject
cn: dc=example,dc=test
nsslapd-state: backend
nsslapd-backend: userRoot

dn: dc=example,dc=test
changetype: add
objectClass: domain
dc: example
aci: (targetattr="*")(version 3.0; acl "read"; allow (read,search,compare)
  userdn="ldap:///uid=reader,dc=example,dc=test";)

dn: uid=reader,dc=example,dc=test
changetype: add
objectClass: inetOrgPerson
uid: reader
cn: reader
sn: reader
userPassword: reader.secret
"#;

fn persons(people: usize) -> String {
    (0..people).fold(String::new(), |mut ldif, n| {
        let _ = write!(
            ldif,
            "dn: uid=person{n:04},dc=example,dc=test\nchangetype: add\n\
             objectClass: inetOrgPerson\ncn: {n}\nsn: {n}\nmail: person{n:04}@example.test\n\n"
        );
        ldif
    })
}

/// `dscreate` writes the configuration, and then fails, since it looks for it where it is usually.
fn install(folder: &Folder, port: u16) {
    let mut layout = String::new();
    for (key, name) in LAYOUT {
        let _ = writeln!(layout, "{key} = {}", folder.file(name).display());
    }
    let description = format!(
        "[general]\nconfig_version = 2\nfull_machine_name = localhost\n\
         strict_host_checking = False\nstart = False\nsystemd = False\nselinux = False\n\
         [slapd]\ninstance_name = postern\nport = {port}\nroot_password = unused.secret\n\
         self_sign_cert = False\nuser = dirsrv\ngroup = dirsrv\ndata_dir = /usr/share\n{layout}"
    );
    let description = folder.write("instance.inf", description);
    let (_, said) = run(Command::new("dscreate").arg("from-file").arg(description));
    let configuration = folder.file("config/dse.ldif");
    let written = std::fs::read_to_string(&configuration).unwrap_or_else(|_| panic!("{said}"));
    let (is_done, hash) = run(Command::new("pwdhash").arg("-D").arg(folder.file("config")).args([
        "-s",
        "PBKDF2-SHA512",
        MANAGER_PASSWORD,
    ]));
    assert!(is_done, "{hash}");
    let unfolded = written.replace("\n ", "");
    let lines = unfolded.lines().map(|line| match line.split_once(": ") {
        Some(("nsslapd-rootpw", _)) => format!("nsslapd-rootpw: {}", hash.trim()),
        // Its socket would be in a folder of the system.
        Some(("nsslapd-ldapilisten", _)) => "nsslapd-ldapilisten: off".to_owned(),
        _ => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    std::fs::write(configuration, lines.join("\n") + "\n").unwrap();
    let (is_done, said) =
        run(Command::new("chown").arg("-R").arg("dirsrv:dirsrv").arg(folder.path()));
    assert!(is_done, "{said}");
}
