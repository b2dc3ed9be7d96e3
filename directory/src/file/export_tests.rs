//! Exports as their tools write them: each is read, or refused with what it is and what to do.

use super::tests::{Bench, check};
use crate::list::{LineProblem as P, LoadError};

/// Those who are found, and how many addresses there are.
fn has(file: &'static str, content: &str, people: &[&str]) {
    let bench = Bench::new(file);
    let source = bench.with(content);
    for local_part in people {
        assert!(bench.exists(&source, &format!("{local_part}@example.test")), "{local_part}");
    }
    assert_eq!(check(&bench.source(), &bench.scope()).unwrap().addresses, people.len() as u64);
}

fn is_other(file: &'static str, content: impl AsRef<[u8]>, word: &str) {
    let bench = Bench::new(file);
    bench.write(content);
    match check(&bench.source(), &bench.scope()) {
        Err(error @ LoadError::OtherShape { .. }) => {
            assert!(error.to_string().contains(word), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_that_tells_excel_its_separator() {
    has("a.csv", "sep=;\r\nName;E-Mail\r\nJones;jones@example.test\r\n", &["jones"]);
    let odd = "sep=|\nName|Mail,s|Mail\nJones|a,b|jones@example.test\n";
    has("a.csv", odd, &["jones"]);
}

#[test]
fn users_of_google_and_of_gam() {
    has(
        "users.csv",
        "First Name [Required],Last Name [Required],Email Address [Required],\
         Password [Required],Recovery Email,Status [READ ONLY]\n\
         Tom,Jones,jones@example.test,****,tom@elsewhere.test,Active\n",
        &["jones"],
    );
    has(
        "gam.csv",
        "primaryEmail,aliases,aliases.0,aliases.1,emails.0.address,emails.0.type\n\
         jones@example.test,,tj@example.test,t.jones@example.test,jones@example.test,work\n",
        &["jones", "tj", "t.jones"],
    );
}

#[test]
fn people_of_domino() {
    has(
        "people.csv",
        "FullName,ShortName,InternetAddress\n\
         \"CN=Tom Jones/O=Org,Tom Jones\",TJones,jones@example.test\n",
        &["jones"],
    );
}

#[test]
fn users_of_microsoft_365_and_of_the_exchange_shell() {
    has(
        "365.csv",
        "Display name,Proxy addresses,User principal name\n\
         Jones,SMTP:jones@example.test+smtp:tj@example.test+SIP:jones@example.test,j@x.test\n",
        &["jones", "tj"],
    );
    has(
        "shell.csv",
        "#TYPE Selected.Microsoft.Exchange.Data.Directory.Management.Mailbox\n\
         \"PrimarySmtpAddress\",\"EmailAddresses\"\n\
         \"jones@example.test\",\"SMTP:jones@example.test;smtp:tj@example.test;X500:/o=Org/cn=j\"\n",
        &["jones", "tj"],
    );
}

#[test]
fn a_name_that_looks_like_a_type_is_a_name() {
    has("users.txt", "ms$jones@example.test\nsip:jones@example.test\n", &["ms$jones"]);
}

#[test]
fn maps_of_postfix() {
    has(
        "relay_recipients.txt",
        "# made by export.sh\njones@example.test\tOK\ngreen@example.test  permit\n\
         brown@example.test 1\nsmith@example.test RELAY\n",
        &["jones", "green", "brown", "smith"],
    );
    let bench = Bench::new("virtual.txt");
    let several = "jones@example.test a@inside.test, b@inside.test\n";
    assert_eq!(bench.problems(several).0, [(1, P::ColumnsTooMany)]);
}

#[test]
fn ldif_of_ldapsearch_and_of_ldifde() {
    has(
        "people.ldif",
        "# extended LDIF\n#\n# LDAPv3\n\n# jones, example.test\ndn: uid=jones,dc=example,dc=test\n\
         uid: jones\nmail: jones@example.test\nmailAlternateAddress: tj@ex\n ample.test\n\
         description:: bWFpbDogeEB5\njpegPhoto:: AAAA\n AAAA\n\n# search result\nsearch: 2\n",
        &["jones", "tj"],
    );
    has(
        "people.txt",
        "dn: CN=Jones,DC=example,DC=test\r\nchangetype: add\r\n\
         proxyAddresses: SMTP:jones@example.test\r\nproxyAddresses: smtp:tj@example.test\r\n\
         proxyAddresses: X400:c=US;a= ;p=Org;\r\nmail: jones@example.test\r\n",
        &["jones", "tj"],
    );
    let bench = Bench::new("people.ldif");
    let long =
        format!("dn: x\nmail: a@{}\nmail:< file:///x\nmail: b@example.test", "y".repeat(9_000));
    assert_eq!(bench.problems(long).0, [(2, P::TooLong), (3, P::NotPlain)]);
    is_other("a.ldif", "dn: cn=x\nchangetype: modify\nadd: mail\nmail: a@b.test\n", "changes");
}

#[test]
fn what_is_no_list_is_named() {
    is_other("aliases.txt", "# /etc/aliases\npostmaster: root\nroot: jones\n", "sed -n");
    is_other("users.txt", "Name,Mail\nJones,jones@example.test\n", "format = \"csv\"");
    is_other("users.txt", "\"Name\";\"E-Mail\"\n", "format = \"csv\"");
    is_other("users.csv", b"PK\x03\x04\x14\x00\x06\x00", "save the sheet as CSV");
    is_other("users.txt", b"SQLite format 3\0\x10\x00", "[[sql]]");
    is_other("users.txt", "{ \"users\": [] }\n", "JSON");
    is_other("users.txt", "<!DOCTYPE html>\n<html>\n", "HTML");
}

#[test]
fn an_exchange_5_5_export_is_understood() {
    let bench = Bench::new("export.csv");
    let source = bench.with(
        "Obj-Class,Display Name,E-mail Addresses,Secondary-Proxy-Addresses\r\n\
         Mailbox,\"Jones, Tom\",SMTP:Jones@Example.Test%X400:c=DE;a= ;p=Org;o=Site;s=Jones;,\
         smtp:tom%jones@example.test%CCMAIL:Jones at Site%smtp:tj@example.test\r\n\
         Mailbox,Gr\u{fc}n,MS:ORG/SITE/GREEN%SMTP:green@example.test,\r\n\
         Remote,Far,SMTP:far@elsewhere.test,\r\n\
         dl,Nobody,,\r\n",
    );
    for local_part in ["jones", "tom%jones", "tj", "green"] {
        assert!(bench.exists(&source, &format!("{local_part}@example.test")), "{local_part}");
    }
    let checked = check(&bench.source(), &bench.scope()).unwrap();
    assert_eq!((checked.addresses, checked.foreign), (4, 1));
}

#[test]
fn an_active_directory_export_is_understood() {
    let bench = Bench::new("ad.csv");
    let source = bench.with(
        "DN,mail,proxyAddresses\n\
         \"CN=Jones,DC=x\",jones@example.test,\"X400:c=US;a= ;p=Org;;SMTP:jones@example.test;\
         smtp:tj@example.test;sip:jones@example.test;x500:/o=Org/cn=a;\
         smtp:t.jones@example.test\"\n",
    );
    for local_part in ["jones", "tj", "t.jones"] {
        assert!(bench.exists(&source, &format!("{local_part}@example.test")), "{local_part}");
    }
    assert_eq!(check(&bench.source(), &bench.scope()).unwrap().addresses, 3);
}
