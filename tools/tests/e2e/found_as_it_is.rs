//! Directories and servers that are as people have them: what `init` finds is made to work by
//! following what it and `check` say, and what `check` calls right is right for `run`.

use super::init::{init, postern};
use kit::dirsrv::{self, Dirsrv};
use kit::samba::{self, Samba};
use kit::{Act, Folder, Hop, Stage};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// Says 450 to strangers, and takes jones.
fn puts_strangers_off() -> Hop {
    Hop::acting(|stage, command| match stage {
        Stage::Rcpt if !command.to_ascii_lowercase().contains("jones") => {
            Act::Say("450 4.2.0 greylisted")
        }
        _ => Act::Obey,
    })
}

#[test]
fn a_domain_controller_is_found_and_reached_by_following_init_and_check() {
    if !samba::is_here() {
        return;
    }
    let (samba, folder, hop) = (Samba::start(3), Folder::new(), Hop::start());
    folder.write("people.txt", "person0000@example.test\n");
    let directory = samba.ldaps().to_string();
    let more = ["--directory", &directory, "--recipients", "people.txt"];
    let (said, written) = init(&folder, None, hop.address, &more);
    assert!(said.contains("Its certificate is not believed"), "{said}");
    assert!(said.contains("tls_fingerprint"), "{said}");
    assert!(written.contains("preset = \"active-directory\""), "{written}");
    // As the comments say: who asks, what openssl prints, and the source in the list.
    let server = written.lines().find_map(|line| line.split_once("-connect ")).unwrap().1;
    let server = server.split_whitespace().next().unwrap();
    let printed = std::process::Command::new("sh")
        .args(["-c", "openssl s_client -connect \"$0\" </dev/null | openssl x509 -noout -sha256 -fingerprint", server])
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let fingerprint = printed.trim().split_once('=').expect("a fingerprint").1;
    let password = folder.write("reader.password", samba::READER_PASSWORD);
    let filled: String = written
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("# tls_fingerprint", _)) => format!("tls_fingerprint = \"{fingerprint}\"\n"),
            Some(("# bind_dn", _)) => format!("bind_dn = \"{}\"\n", samba.reader()),
            Some(("# password_file", _)) => format!("password_file = {password:?}\n"),
            Some(("recipients", _)) => "recipients = [\n{ ldap = \"directory\" },\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    folder.write("new.toml", &filled);
    let said = postern(&folder, None, &["check", "--config", "new.toml"]).expect(0);
    assert!(said.contains("new.toml is right"), "{said}");
    for (address, answer) in [("person0002", "exists"), ("p.0001", "exists"), ("nobody", "unknown")]
    {
        let address = format!("{address}@example.test");
        let lookup = ["recipients", "lookup", &address, "--config", "new.toml"];
        let said = postern(&folder, None, &lookup).said;
        assert!(said.contains(answer), "{said}\n{filled}");
    }
}

#[test]
fn a_list_that_a_server_cuts_off_is_not_called_right() {
    if !dirsrv::is_here() {
        return;
    }
    let (server, folder, hop) = (Dirsrv::start(5_100), Folder::new(), Hop::start());
    let password = folder.write("reader.password", dirsrv::READER_PASSWORD);
    let config = format!(
        "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[ldap]]\nname = \"people\"\npreset = \"openldap\"\nservers = [\"{}\"]\ntls = \"plain\"\n\
         base = \"{}\"\nbind_dn = \"{}\"\npassword_file = {password:?}\nmode = \"snapshot\"\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"{}\"\n\
         canary = \"person0000@example.test\"\nrecipients = [{{ ldap = \"people\" }}]\n",
        server.address,
        server.base(),
        server.reader(),
        hop.address
    );
    folder.write("new.toml", config);
    let said = postern(&folder, None, &["check", "--config", "new.toml"]).expect(2);
    assert!(said.contains("while it was read") && said.contains("limit"), "{said}");
    server.modify(
        "dn: uid=reader,dc=example,dc=test\nchangetype: modify\n\
         add: nsLookThroughLimit\nnsLookThroughLimit: -1\n",
    );
    let said = postern(&folder, None, &["check", "--config", "new.toml"]).expect(0);
    assert!(said.contains("5100 addresses"), "{said}");
}

#[test]
fn a_file_is_looked_at_before_there_is_a_configuration() {
    let folder = Folder::new();
    folder.write(
        "domino.csv",
        "FullName,InternetAddress\nJones,jones@example.test\nGreen,green@example.org\n\
         Hill,hill@example.test\n",
    );
    folder.write("aliases", "root: tom\n");
    let said = postern(&folder, None, &["check", "domino.csv"]).expect(0);
    for part in ["CSV of Domino", "\"InternetAddress\"", "example.test 2, example.org 1", "file = "]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = postern(&folder, None, &["check", "domino.csv", "aliases", "--json"]).expect(2);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document[0]["found"]["addresses"], 3);
    assert!(document[1]["found"].is_null());
    assert!(document[1]["mistakes"][0]["message"].as_str().unwrap().contains("aliases"));
}

#[test]
fn check_warns_of_a_trial_that_has_no_end() {
    let (hop, folder) = (puts_strangers_off(), Folder::new());
    for canary in ["canary = \"jones@example.test\"\n", ""] {
        let config = format!(
            "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
             [[domain]]\nname = \"example.test\"\nnext_hop = \"{}\"\n{canary}\
             recipients = [{{ callout = true }}]\n",
            hop.address
        );
        folder.write("new.toml", config);
        let said = postern(&folder, None, &["check", "--config", "new.toml"]).expect(0);
        assert!(said.contains("450") && said.contains("exempt this relay"), "{canary}: {said}");
    }
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_of() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let password = folder.write("reader.password", "secret");
    let config = format!(
        "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[ldap]]\nname = \"people\"\npreset = \"openldap\"\nservers = [\"127.0.0.1:9\"]\n\
         base = \"dc=x\"\nbind_dn = \"cn=x\"\npassword_file = {password:?}\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"{}\"\n\
         recipients = [{{ ldap = \"people\" }}]\n",
        hop.address
    );
    folder.write("new.toml", config);
    for (mode, is_warned) in [(0o644, true), (0o640, false)] {
        std::fs::set_permissions(&password, Permissions::from_mode(mode)).unwrap();
        let said =
            postern(&folder, None, &["check", "--offline", "--config", "new.toml"]).expect(0);
        assert_eq!(said.contains("everybody on this machine may read"), is_warned, "{said}");
        assert!(!is_warned || said.contains("chmod o="), "{said}");
    }
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let (folder, hop) = (Folder::new(), Hop::start());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    folder.write("people.txt", "jones@example.test\n");
    let config = format!(
        "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"{}\"\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"{}\"\n\
         recipients = [{{ file = \"people.txt\" }}]\n",
        taken.local_addr().unwrap(),
        hop.address
    );
    folder.write("new.toml", config);
    let ran = postern(&folder, None, &["run", "--config", "new.toml"]);
    assert!(ran.code != 0 && ran.said.contains("`ss -ltnp` names it"), "{}", ran.said);
}
