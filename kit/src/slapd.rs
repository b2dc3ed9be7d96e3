//! OpenLDAP's slapd with a directory in the shape of OpenLDAP, Active Directory or Exchange 5.5:
//! one scratch database, synchronisation (syncprov) on, and the people that a test asks for.
//! What slapd cannot be made to do is done by `fake_ldap.rs`.

use super::certificates::Authority;
use super::folder::Folder;
use super::process::{Daemon, run};
use super::{find_program, lasting_port};
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

/// The password of [`Slapd::admin`].
pub const ADMIN_PASSWORD: &str = "admin's secret";
/// The password of [`Slapd::reader`].
pub const READER_PASSWORD: &str = "reader's secret";
/// Where Debian puts schemas and modules.
const SCHEMAS: &str = "/etc/ldap/schema";
const MODULES: &str = "/usr/lib/ldap";

/// Whether this machine has one, as [`super::has`] says it.
pub fn is_here() -> bool {
    super::has(&["slapd", "slapadd", "ldapmodify", "ldapsearch"])
}

/// Whose directory it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `inetOrgPerson` with every address in `mail`.
    OpenLdap,
    /// `user` with `proxyAddresses`, `uSNChanged` and `objectGUID`.
    ActiveDirectory,
    /// `mail` (which is `rfc822Mailbox`) and `otherMailbox`. Who is hidden or deleted is seen by
    /// the administrator only.
    Exchange55,
}

/// What becomes of those who do not say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// They may read.
    Reads,
    /// They may bind, and find nothing: the directory looks empty (noSuchObject).
    SeesNothing,
    /// Their bind is refused (inappropriateAuthentication).
    Refused,
}

/// How it is to be.
pub struct Setup {
    /// Whose directory it looks like.
    pub shape: Shape,
    /// As many people, `person0001@example.test` and so on; see [`Shape::people`].
    pub people: usize,
    /// More entries, there from the start.
    pub ldif: String,
    /// Those without a name.
    pub anonymous: Anonymous,
    /// At most so many entries an answer, unless in pages, for all but the administrator.
    pub entries_max: Option<usize>,
    /// Names in its certificate; none: no TLS.
    pub certificate_for: &'static [&'static str],
    /// Attributes of the root, as LDIF lines. Read at every start from the file `root.ldif`.
    pub root: String,
}

impl Setup {
    /// Nobody in it; with TLS; anybody may read; no limit.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            people: 0,
            ldif: String::new(),
            anonymous: Anonymous::Reads,
            entries_max: None,
            certificate_for: &["localhost", "127.0.0.1"],
            root: String::new(),
        }
    }
}

impl From<Shape> for Setup {
    fn from(shape: Shape) -> Self {
        Self::new(shape)
    }
}

impl Shape {
    /// The distinguished name of the whole tree.
    pub fn base(self) -> &'static str {
        match self {
            Self::OpenLdap | Self::ActiveDirectory => "dc=example,dc=test",
            Self::Exchange55 => "o=Example",
        }
    }

    /// The distinguished name below which the people are.
    pub fn people_base(self) -> &'static str {
        match self {
            Self::OpenLdap => "ou=people,dc=example,dc=test",
            Self::ActiveDirectory => "cn=Users,dc=example,dc=test",
            Self::Exchange55 => "cn=Recipients,ou=SITE,o=Example",
        }
    }

    /// The distinguished name of somebody.
    pub fn dn(self, name: &str) -> String {
        let attribute = if self == Self::OpenLdap { "uid" } else { "cn" };
        format!("{attribute}={name},{}", self.people_base())
    }

    /// An entry with a primary address and others, and the number of its change.
    pub fn entry(self, name: &str, change: usize, primary: &str, others: &[&str]) -> String {
        let mut entry = format!("dn: {}\ncn: {name}\nsn: {name}\n", self.dn(name));
        match self {
            Self::OpenLdap => {
                let _ = writeln!(entry, "objectClass: inetOrgPerson\nuid: {name}\nmail: {primary}");
                for other in others {
                    let _ = writeln!(entry, "mail: {other}");
                }
            }
            Self::ActiveDirectory => {
                // A real GUID is 16 octets of any value; these are 16 digits and letters.
                let _ = writeln!(
                    entry,
                    "objectClass: user\ninstanceType: 4\nnTSecurityDescriptor: none\n\
                     objectCategory: cn=Person,cn=Schema,cn=Configuration,dc=example,dc=test\n\
                     uSNChanged: {change}\nobjectGUID: guid{change:012}\nmail: {primary}\n\
                     proxyAddresses: SMTP:{primary}"
                );
                for other in others {
                    let _ = writeln!(entry, "proxyAddresses: smtp:{other}");
                }
            }
            Self::Exchange55 => {
                let _ = writeln!(
                    entry,
                    "objectClass: organizationalPerson\nobjectClass: Mail-Recipient\n\
                     uid: {name}\nUSN-Changed: {change}\nrfc822Mailbox: {primary}\n\
                     Obj-Dist-Name: /o=Example/ou=SITE/cn=Recipients/cn={name}\n\
                     textEncodedORAddress: c=US;a= ;p=Example;o=SITE;s={name};"
                );
                for other in others {
                    let _ = writeln!(entry, "otherMailbox: smtp${other}");
                }
            }
        }
        entry.push('\n');
        entry
    }

    /// As many people: the first is `person0001@example.test`, also `alias0001@example.test`, and
    /// the number of its change is 1001.
    pub fn people(self, count: usize) -> String {
        let mut ldif = String::new();
        for n in 1..=count {
            let primary = format!("person{n:04}@example.test");
            let other = format!("alias{n:04}@example.test");
            ldif += &self.entry(&format!("person{n:04}"), 1000 + n, &primary, &[&other]);
        }
        ldif
    }

    /// The entries that everything else hangs from, and the account that reads.
    fn roots(self) -> String {
        let tree = match self {
            Self::OpenLdap => {
                "dn: dc=example,dc=test\nobjectClass: domain\ndc: example\n\n\
                 dn: ou=people,dc=example,dc=test\nobjectClass: organizationalUnit\nou: people\n\n"
            }
            Self::ActiveDirectory => {
                "dn: dc=example,dc=test\nobjectClass: domain\ndc: example\n\n\
                 dn: cn=Users,dc=example,dc=test\nobjectClass: container\ncn: Users\n\n\
                 dn: cn=Deleted Objects,dc=example,dc=test\nobjectClass: container\n\
                 cn: Deleted Objects\n\n"
            }
            Self::Exchange55 => {
                "dn: o=Example\nobjectClass: organization\no: Example\n\n\
                 dn: ou=SITE,o=Example\nobjectClass: organizationalUnit\nou: SITE\n\n\
                 dn: cn=Recipients,ou=SITE,o=Example\nobjectClass: Container\ncn: Recipients\n\n"
            }
        };
        format!(
            "{tree}dn: cn=reader,{}\nobjectClass: organizationalRole\n\
             objectClass: simpleSecurityObject\ncn: reader\nuserPassword: {READER_PASSWORD}\n\n",
            self.base()
        )
    }

    /// Lines of the configuration that make the attributes known, beside core, and those to be
    /// indexed.
    fn schema(self, folder: &Folder) -> (String, &'static str) {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/slapd");
        let theirs = |name: &str| Path::new(SCHEMAS).join(name);
        let (mut files, attributes) = match self {
            Self::OpenLdap => (vec![theirs("cosine.schema")], "mail,uid"),
            Self::ActiveDirectory => {
                let msuser = folder.write("msuser.schema", msuser());
                let more = ours.join("active-directory.schema");
                let files = vec![theirs("cosine.schema"), theirs("nis.schema"), msuser, more];
                (files, "mail,proxyAddresses,userPrincipalName,uSNChanged,objectGUID,isDeleted")
            }
            Self::Exchange55 => {
                // RFC 1274 has an attribute of that name as well, which cannot be compared.
                let cosine = fs::read_to_string(theirs("cosine.schema")).unwrap();
                let cosine = cosine.replace("otherMailbox", "otherMailboxOfRfc1274");
                let cosine = folder.write("cosine.schema", cosine);
                let files = vec![cosine, ours.join("exchange-5.5.schema")];
                (files, "mail,otherMailbox,uid,USN-Changed,Is-Deleted,Hide-From-Address-Book")
            }
        };
        // It wants what cosine has, and is wanted by what follows.
        files.insert(1, theirs("inetorgperson.schema"));
        let lines = files.iter().map(|path| format!("include {}\n", path.display()));
        (lines.collect(), attributes)
    }
}

/// OpenLDAP's schema of Active Directory, which gives these attributes no way to be compared, so
/// that a filter with one of them would never match.
fn msuser() -> String {
    let mut schema = fs::read_to_string(Path::new(SCHEMAS).join("msuser.schema")).unwrap();
    for (name, rules) in [
        ("proxyAddresses", "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch"),
        ("userPrincipalName", "EQUALITY caseIgnoreMatch"),
        ("uSNChanged", "EQUALITY integerMatch ORDERING integerOrderingMatch"),
        ("objectGUID", "EQUALITY octetStringMatch"),
        ("isDeleted", "EQUALITY booleanMatch"),
    ] {
        let found = format!("NAME '{name}'\n");
        assert!(schema.contains(&found), "msuser.schema has no {name}");
        schema = schema.replacen(&found, &format!("{found}\t{rules}\n"), 1);
    }
    schema
}

/// A running slapd.
pub struct Slapd {
    daemon: Daemon,
    /// Its configuration and database, and `authority.pem` when it has TLS.
    pub folder: Folder,
    /// Whose directory it looks like.
    pub shape: Shape,
    /// Where it speaks LDAP, and StartTLS when it has TLS.
    pub address: SocketAddr,
    /// Where it speaks LDAPS.
    pub tls_address: Option<SocketAddr>,
    /// Who signed its certificate.
    pub authority: Authority,
}

impl Slapd {
    /// Starts it: `Slapd::start(Shape::OpenLdap)`, or with a [`Setup`].
    pub fn start(setup: impl Into<Setup>) -> Self {
        let (setup, folder, authority) = (setup.into(), Folder::new(), Authority::new());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
        let mut urls = format!("ldap://{address}/");
        let mut tls_address = None;
        if !setup.certificate_for.is_empty() {
            authority.sign_for(setup.certificate_for).write(&folder);
            folder.write("authority.pem", &authority.pem);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port()));
            let _ = write!(urls, " ldaps://{address}/");
            tls_address = Some(address);
        }
        let shape = setup.shape;
        folder.write("root.ldif", format!("dn:\n{}\n", setup.root));
        let path = folder.write("slapd.conf", configuration(&setup, &folder));
        fs::create_dir(folder.file("data")).unwrap();
        let all = format!("{}{}{}", shape.roots(), shape.people(setup.people), setup.ldif);
        let ldif = folder.write("start.ldif", all);
        let mut load = Command::new(find_program("slapadd").unwrap());
        say(load.arg("-q").arg("-f").arg(&path).arg("-l").arg(ldif));
        let mut command = Command::new(find_program("slapd").unwrap());
        // `-d 0` keeps it in the foreground.
        command.args(["-d", "0", "-h", &urls]).arg("-f").arg(path);
        let daemon = Daemon::new(command, Signal::SIGTERM);
        let mut slapd = Self { daemon, folder, shape, address, tls_address, authority };
        slapd.restart();
        slapd
    }

    /// Stops it where it runs, and starts it with the same ports and data.
    pub fn restart(&mut self) {
        self.daemon.stop();
        let address = self.address;
        self.daemon.start(|_| TcpStream::connect(address).is_ok());
    }

    /// Ends it, and waits until it has ended.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Makes it hang.
    pub fn freeze(&self) {
        self.daemon.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.daemon.thaw();
    }

    /// `ldap://` and where it is.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// `ldaps://localhost:` and the port, when it has TLS.
    pub fn tls_url(&self) -> String {
        format!("ldaps://localhost:{}", self.tls_address.unwrap().port())
    }

    /// Who may do everything, without any limit.
    pub fn admin(&self) -> String {
        format!("cn=admin,{}", self.shape.base())
    }

    /// Who may read.
    pub fn reader(&self) -> String {
        format!("cn=reader,{}", self.shape.base())
    }

    /// Adds entries.
    pub fn add_ldif(&self, ldif: &str) {
        say(self.as_admin("ldapmodify").arg("-a").arg("-f").arg(self.folder.write("add", ldif)));
    }

    /// Changes entries: LDIF with `changetype:`.
    pub fn modify(&self, ldif: &str) {
        say(self.as_admin("ldapmodify").arg("-f").arg(self.folder.write("change", ldif)));
    }

    /// Deletes an entry and whatever is below it.
    pub fn delete(&self, dn: &str) {
        say(self.as_admin("ldapdelete").args(["-r", dn]));
    }

    /// What its administrator finds with this filter: LDIF of these attributes.
    pub fn search(&self, filter: &str, attributes: &[&str]) -> String {
        let mut command = self.as_admin("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", self.shape.base(), filter]);
        say(command.args(attributes))
    }

    /// How many searches it has completed since it was started, this one included.
    pub fn searches(&self) -> u64 {
        let mut command = self.as_admin("ldapsearch");
        command.args(["-LLL", "-s", "base", "-b", "cn=Search,cn=Operations,cn=Monitor"]);
        let said = say(command.arg("monitorOpInitiated"));
        let count = said.lines().find_map(|line| line.strip_prefix("monitorOpInitiated: "));
        count.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
    }

    fn as_admin(&self, program: &str) -> Command {
        let mut command = Command::new(find_program(program).unwrap());
        command.env("LDAPNOINIT", "1").args(["-x", "-H", &self.url()]);
        command.args(["-D", &self.admin(), "-w", ADMIN_PASSWORD]);
        command
    }
}

/// What a program says that succeeds.
fn say(command: &mut Command) -> String {
    let (is_content, said) = run(command);
    assert!(is_content, "{command:?}: {said}");
    said
}

fn configuration(setup: &Setup, folder: &Folder) -> String {
    let (dir, base) = (folder.path().display(), setup.shape.base());
    let (schema, attributes) = setup.shape.schema(folder);
    let tls = if setup.certificate_for.is_empty() {
        String::new()
    } else {
        format!("TLSCertificateFile {dir}/mx.pem\nTLSCertificateKeyFile {dir}/mx.key\n")
    };
    let (refusal, anonymous) = match setup.anonymous {
        Anonymous::Reads => ("", "read"),
        Anonymous::SeesNothing => ("", "none"),
        Anonymous::Refused => ("disallow bind_anon\nrequire authc\n", "none"),
    };
    let limits = setup.entries_max.map_or_else(String::new, |max| {
        format!("limits * size.soft={max} size.hard={max} size.prtotal=unlimited\n")
    });
    let hidden = if setup.shape == Shape::Exchange55 {
        "access to filter=(|(Hide-From-Address-Book=TRUE)(Is-Deleted=TRUE)) by * none\n"
    } else {
        ""
    };
    format!(
        "include {SCHEMAS}/core.schema\n{schema}\
         modulepath {MODULES}\nmoduleload back_mdb\nmoduleload back_monitor\nmoduleload syncprov\n\
         pidfile {dir}/slapd.pid\nrootDSE {dir}/root.ldif\nsizelimit unlimited\n{tls}{refusal}\
         database monitor\naccess to * by * read\n\
         database mdb\nsuffix \"{base}\"\ndirectory {dir}/data\nmaxsize 4294967296\ndbnosync\n\
         rootdn \"cn=admin,{base}\"\nrootpw \"{ADMIN_PASSWORD}\"\n\
         index objectClass,entryCSN,entryUUID eq\nindex {attributes} eq\n{limits}\
         access to attrs=userPassword by anonymous auth by * none\n{hidden}\
         access to * by users read by anonymous {anonymous}\n\
         overlay syncprov\nsyncprov-sessionlog 10000\n"
    )
}
