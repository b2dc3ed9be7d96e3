//! Samba as the domain controller of an Active Directory, as it is out of the box: it wants TLS
//! before passwords, and shows a certificate that it has made itself. Its LDAP ports are fixed, so
//! each has an address of its own on the loopback.

use super::folder::Folder;
use super::process::{Daemon, run};
use super::{has, lasting_port};
use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

/// The password of [`Samba::reader`].
pub const READER_PASSWORD: &str = "Reader.secret1";
/// Debian's own: another Python does not have Samba's modules.
const PYTHON: &str = "/usr/bin/python3";

/// Whether this machine has one, as [`super::has`] says it.
pub fn is_here() -> bool {
    has(&["root", "samba", "samba-tool", "/usr/share/samba/setup/ad-schema", PYTHON])
}

/// A domain controller of `ad.example.test` with people in `example.test`.
pub struct Samba {
    /// Its configuration and databases.
    pub folder: Folder,
    host: Ipv4Addr,
    _daemon: Daemon,
}

impl Samba {
    /// One with as many people: `person0000@example.test` and `p.0000@example.test`, and so on.
    pub fn start(people: usize) -> Self {
        let folder = Folder::new();
        let [high, low] = lasting_port().to_be_bytes();
        let host = Ipv4Addr::new(127, 77, high, low);
        provision(&folder, host);
        let configuration = folder.file("etc/smb.conf");
        let (is_done, said) = run(Command::new(PYTHON)
            .args(["-c", include_str!("samba.py")])
            .arg(&configuration)
            .arg(folder.file("private/sam.ldb"))
            .arg(people.to_string()));
        assert!(is_done, "{said}");
        let mut command = Command::new("samba");
        command.args(["-F", "--no-process-group", "-M", "single", "--debug-stdout", "-s"]);
        command.arg(configuration);
        let mut daemon = Daemon::new(command, Signal::SIGTERM);
        daemon.start(|_| TcpStream::connect((host, 636)).is_ok());
        Self { folder, host, _daemon: daemon }
    }

    /// Where it speaks LDAP, without TLS.
    pub fn plain(&self) -> SocketAddr {
        (self.host, 389).into()
    }

    /// Where it speaks LDAP under TLS.
    pub fn ldaps(&self) -> SocketAddr {
        (self.host, 636).into()
    }

    /// An account that may read.
    pub fn reader(&self) -> String {
        "reader@ad.example.test".to_owned()
    }

    /// The top of the domain.
    pub fn base(&self) -> &'static str {
        "DC=ad,DC=example,DC=test"
    }
}

fn provision(folder: &Folder, host: Ipv4Addr) {
    let empty = folder.write("empty.conf", "[global]\n");
    let path = |name: &str| folder.file(name).display().to_string();
    let options = [
        format!("interfaces={host}/8"),
        "bind interfaces only=yes".to_owned(),
        "server services=ldap".to_owned(),
        // Samba's own way to store access rights wants a file system that has them.
        "vfs objects=".to_owned(),
        format!("pid directory={}", path("pid")),
        format!("ncalrpc dir={}", path("ncalrpc")),
        format!("log file={}", path("log")),
    ];
    let mut command = Command::new("samba-tool");
    command.args(["domain", "provision", "--realm=AD.EXAMPLE.TEST", "--domain=ADEX"]);
    command.args(["--server-role=dc", "--dns-backend=NONE", "--adminpass=Admin.secret1"]);
    command.args(["--host-name=dc1", &format!("--host-ip={host}")]);
    command.arg(format!("--configfile={}", empty.display()));
    command.arg(format!("--targetdir={}", folder.path().display()));
    command.args(options.iter().map(|option| format!("--option={option}")));
    let (is_done, said) = run(&mut command);
    assert!(is_done, "{said}");
    // What is only given for the set-up is not kept.
    let configuration = folder.file("etc/smb.conf");
    let kept = std::fs::read_to_string(&configuration).unwrap();
    let lines: String = options[4..].iter().map(|line| format!("\t{line}\n")).collect();
    let bound = format!("\tinterfaces = {host}/8\n");
    let global = format!("[global]\n{lines}{bound}");
    std::fs::write(configuration, kept.replace("[global]\n", &global)).unwrap();
}
