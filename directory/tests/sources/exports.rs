//! Files that people have at hand, in the shapes in which their tools write them: each is taken for
//! what it is and read whole, or refused with a sentence that says what it is and what to do.

use directory::assembly::contents::look;
use kit::Folder;

/// What comes of a file.
#[derive(Clone, Copy)]
enum Then {
    /// It is taken for this, and has so many addresses.
    Is(&'static str, u64),
    /// It is refused in words that have this in them.
    Not(&'static str),
}
use Then::{Is, Not};

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

const LINES: &str = "one address a line";

/// Whose it is, the name of the file, what it holds, and what comes of it.
const TEXTS: &[(&str, &str, &str, Then)] = &[
    (
        "Exchange 5.5, admin.exe /e",
        "ex55.csv",
        "Obj-Class,Display Name,Alias Name,E-mail addresses,Secondary-Proxy-Addresses\r\n\
             Mailbox,\"Jones, T\",jones,SMTP:jones@example.test%X400:c=DE;a= ;p=Org;s=Jones;,\
             smtp:tj@example.test%CCMAIL:Jones at Site\r\n",
        Is("Exchange 5.5", 2),
    ),
    (
        "Exchange 5.5, nobody in it has an address",
        "ex55b.csv",
        "Obj-Class,Common-Name\r\nMailbox,Jones\r\n",
        Not("no column"),
    ),
    (
        "csvde -l mail,proxyAddresses",
        "csvde.csv",
        "DN,mail,proxyAddresses\r\n\"CN=Jones,DC=x\",jones@example.test,\
             \"X400:c=US;a= ;p=Org;;SMTP:jones@example.test;smtp:tj@example.test\"\r\n",
        Is("a directory", 2),
    ),
    (
        "ldifde",
        "ldifde.ldf",
        "dn: CN=Jones,DC=x\r\nchangetype: add\r\nmail: jones@example.test\r\n\
             proxyAddresses: SMTP:jones@example.test\r\nproxyAddresses: smtp:tj@example.test\r\n",
        Is("LDIF", 2),
    ),
    (
        "ldapsearch",
        "search.ldif",
        "# extended LDIF\n#\n# LDAPv3\n\n# jones, people\ndn: uid=jones,dc=x\n\
             mail: jones@example.test\n\ndn: uid=g,dc=x\nmail:: Z3JlZW5AZXhhbXBsZS50ZXN0\n\n\
             # search result\nsearch: 2\nresult: 0 Success\n\n# numResponses: 3\n",
        Is("LDIF", 2),
    ),
    (
        "changes of a directory",
        "modify.ldif",
        "dn: uid=jones,dc=x\nchangetype: modify\nadd: mail\nmail: jones@example.test\n",
        Not("changes"),
    ),
    (
        "Get-Mailbox | Select … | Export-Csv",
        "mailboxes.csv",
        "#TYPE Selected.Microsoft.Exchange.Data.Directory.Management.Mailbox\r\n\
             \"PrimarySmtpAddress\",\"EmailAddresses\"\r\n\
             \"jones@example.test\",\"SMTP:jones@example.test;smtp:tj@example.test\"\r\n",
        Is("the Exchange shell", 2),
    ),
    (
        "the same, of a list that was not joined",
        "collection.csv",
        "\"PrimarySmtpAddress\",\"EmailAddresses\"\r\n\"jones@example.test\",\
             \"Microsoft.Exchange.Data.ProxyAddressCollection\"\r\n",
        Not("EmailAddresses"),
    ),
    (
        "Get-ADUser, of a list that was not joined",
        "adusers.csv",
        "\"mail\",\"proxyAddresses\"\r\n\"jones@example.test\",\
             \"Microsoft.ActiveDirectory.Management.ADPropertyValueCollection\"\r\n",
        Not("EmailAddresses"),
    ),
    (
        "Get-MsolUser, of a list that was not joined",
        "msol.csv",
        "\"UserPrincipalName\",\"ProxyAddresses\"\r\n\"jones@example.test\",\
             \"System.Collections.Generic.List`1[System.String]\"\r\n",
        Not("EmailAddresses"),
    ),
    (
        "Select -Expand EmailAddresses, as lines",
        "expanded.txt",
        "SMTP:jones@example.test\r\nsmtp:tj@example.test\r\nX500:/o=My Org/cn=jones\r\n",
        Is(LINES, 2),
    ),
    (
        "a table as PowerShell shows it",
        "shown.txt",
        "PrimarySmtpAddress\r\n------------------\r\njones@example.test\r\n",
        Not("a table as a program shows it"),
    ),
    (
        "users of Microsoft 365",
        "365.csv",
        "Block credential,Display name,Proxy addresses,User principal name\r\n\
             False,Jones,SMTP:jones@example.test+smtp:tj@example.test,jones@example.test\r\n",
        Is("Microsoft 365", 2),
    ),
    (
        "users of Entra",
        "entra.csv",
        "userPrincipalName,displayName,surname,mail,givenName,id,userType\r\n\
             jones@org.example.test,T,Jones,jones@example.test,T,1,Member\r\n",
        Is("\"mail\"", 1),
    ),
    (
        "users of the Google Admin console",
        "google.csv",
        "First Name [Required],Last Name [Required],Email Address [Required],\
             Password [Required],Org Unit Path [Required]\n\
             Tom,Jones,jones@example.test,****,/\n",
        Is("Google", 1),
    ),
    (
        "gam print users aliases",
        "gam.csv",
        "primaryEmail,aliases,aliases.0,aliases.1\n\
             jones@example.test,2,tj@example.test,t.jones@example.test\n",
        Not("2"),
    ),
    (
        "people of Domino",
        "domino.csv",
        "FullName,ShortName,InternetAddress\n\"CN=Tom Jones/O=Org\",TJ,jones@example.test\n",
        Is("Domino", 1),
    ),
    (
        "relay_recipient_maps",
        "relay_recipients",
        "jones@example.test OK\ngreen@example.test  x\n",
        Is(LINES, 2),
    ),
    ("a domain in such a map", "wild", "@example.test OK\n", Not("@example.test")),
    ("postmap -s", "dumped", "jones@example.test\tOK\n", Is(LINES, 1)),
    ("virtual", "virtual", "jones@example.test tom@inside.example.test\n", Is(LINES, 1)),
    (
        "virtual with its domain",
        "virtual2",
        "example.test anything\njones@example.test tom@inside.example.test\n",
        Not("example.test"),
    ),
    ("aliases", "aliases", "postmaster: root\nroot: tom\n", Not("aliases")),
    ("virtusertable", "virtusertable", "jones@example.test\ttom\n", Not("first column")),
    ("validrcptto", "validrcptto", "jones@example.test\ngreen@example.test\n", Is(LINES, 2)),
    ("zmprov -l gaa", "zimbra.txt", "admin@example.test\njones@example.test\n", Is(LINES, 2)),
    (
        "zmprov -l gaa -v",
        "zimbra-v.txt",
        "# name jones@example.test\ncn: jones\nmail: jones@example.test\n",
        Not("aliases"),
    ),
    ("names alone", "names.txt", "jones\ngreen\n", Is(LINES, 2)),
    ("in quotation marks", "quoted.txt", "\"jones@example.test\"\n", Is(LINES, 1)),
    ("mysql -B", "mysql.txt", "username\njones@example.test\n", Not("with its domain")),
    (
        "psql",
        "psql.txt",
        "        mail        \n--------------------\n jones@example.test\n(1 row)\n",
        Not("a table as a program shows it"),
    ),
    ("psql -At", "psql-at.txt", "jones@example.test\n", Is(LINES, 1)),
    (
        "Out-File, old Mac line ends",
        "mac.txt",
        "jones@example.test\rgreen@example.test\r",
        Is(LINES, 2),
    ),
    (
        "a spreadsheet with its separator",
        "sep.csv",
        "sep=;\r\nName;E-Mail\r\nJones;jones@example.test\r\n",
        Is("separated by \";\"", 1),
    ),
    ("CSV under another name", "table.txt", "Name,Mail\nJ,jones@example.test\n", Not("CSV")),
    ("JSON", "users.json", "[{\"mail\": \"jones@example.test\"}]\n", Not("JSON")),
    ("XML", "users.xml", "<?xml version=\"1.0\"?><users/>\n", Not("XML")),
    ("HTML", "users.htm", "<html><body>jones@example.test</body></html>\n", Not("HTML")),
    ("nothing", "empty.txt", "", Is("", 0)),
];

/// The same, of what is no plain text.
fn octets() -> Vec<(&'static str, &'static str, Vec<u8>, Then)> {
    vec![
        ("Out-File of PowerShell 5", "utf16.txt", utf16("jones@example.test\r\n"), Is(LINES, 1)),
        (
            "ldifde -u",
            "unicode.ldf",
            utf16("dn: CN=Gr\u{fc}n\r\nchangetype: add\r\nmail: green@example.test\r\n"),
            Is("LDIF", 1),
        ),
        (
            "Unicode text of Excel",
            "excel.txt",
            utf16("Name\tE-Mail\r\nJ\tjones@example.test\r\n"),
            Not("CSV"),
        ),
        (
            "CSV of Windows in its old character set",
            "cp1252.csv",
            b"Name;Mail\r\nGr\xfcn;green@example.test\r\n".to_vec(),
            Is("\"Mail\"", 1),
        ),
        (
            "with a byte order mark",
            "bom.csv",
            b"\xef\xbb\xbfMail,Name\r\njones@example.test,J\r\n".to_vec(),
            Is("\"Mail\"", 1),
        ),
        ("xlsx", "users.csv", b"PK\x03\x04\x14\0".to_vec(), Not("workbook")),
        ("xls", "old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), Not("workbook")),
        ("SQLite", "mail.txt", b"SQLite format 3\0".to_vec(), Not("SQLite")),
        ("gzip", "users.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), Not("compressed")),
        ("PDF", "users.pdf", b"%PDF-1.4\n%\xe2\xe3\n".to_vec(), Not("PDF")),
        ("a map of Postfix itself", "map.lmdb", vec![0; 64], Not("no text")),
        (
            "the end of a text of DOS",
            "dos.txt",
            b"jones@example.test\r\n\x1a".to_vec(),
            Is(LINES, 1),
        ),
    ]
}

#[test]
fn each_export_is_read_or_refused_in_a_sentence() {
    let folder = Folder::new();
    let mut wrong = Vec::new();
    let texts = TEXTS.iter().map(|&(whose, name, text, then)| (whose, name, text.into(), then));
    let files: Vec<(_, _, Vec<u8>, _)> = texts.chain(octets()).collect();
    assert!(files.len() >= 40);
    for (whose, name, content, then) in files {
        let (mistakes, found) = look(&folder.write(name, &content));
        let said: Vec<String> = mistakes.iter().map(|mistake| format!("{mistake:?}")).collect();
        let seen = found.as_ref().map(|look| (look.what.as_str(), look.checked.addresses));
        let is_right = match then {
            Is(what, addresses) => {
                said.is_empty() && seen.is_some_and(|(w, n)| w.contains(what) && n == addresses)
            }
            Not(word) => said.iter().any(|said| said.contains(word)),
        };
        if !is_right {
            wrong.push(format!("{whose} ({name}): {seen:?} {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
