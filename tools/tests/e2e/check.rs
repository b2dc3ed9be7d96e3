//! `postern check` where the file is right and what it names is not: a source that says yes to
//! everybody or does not know the canary, and rights that Postern has only as long as it is root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::Folder;
use kit::http::{Http, Response};
use kit::process::run;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const CONFIG: &str = r#"hostname = "mx.example.test"
state_dir = "state"

[[listener]]
address = "127.0.0.1:2525"

[[domain]]
name = "example.test"
next_hop = "127.0.0.1:2600"
"#;

/// Whether it finds nothing wrong, and what it says.
fn check(folder: &Folder, config: &str, more: &[&str]) -> (bool, String) {
    fs::create_dir_all(folder.file("state")).unwrap();
    folder.write("postern.toml", config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    run(command.args(["check", "--config", "postern.toml"]).args(more).current_dir(folder.path()))
}

/// With a database that has jones, asked by this query.
fn asks(query: &str, canary: &str, more: &[&str]) -> (bool, String) {
    let folder = Folder::new();
    let database = rusqlite::Connection::open(folder.file("people.sqlite")).unwrap();
    let make = "create table people (mail); insert into people values ('jones@example.test')";
    database.execute_batch(make).unwrap();
    let config = format!(
        "{CONFIG}recipients = [{{ sql = \"people\" }}]\n{canary}\n\n\
         [[sql]]\nname = \"people\"\nfile = \"people.sqlite\"\nquery = \"{query}\"\n"
    );
    check(&folder, &config, more)
}

#[test]
fn a_source_is_asked_for_the_canary_and_for_a_name_that_nobody_has() {
    let canary = "canary = \"jones@example.test\"";
    for canary in ["", canary] {
        let (is_right, said) = asks("select 1 from people where mail = {address}", canary, &[]);
        assert!(is_right, "{canary}: {said}");
        // This one passes for a domain of nobody's, and takes everybody in ours.
        let all = "select 1 from people where {address} like '%@example.test'";
        let (is_right, said) = asks(all, canary, &[]);
        assert!(!is_right && said.contains("says yes to"), "{canary}: {said}");
        let (is_right, said) = asks(all, canary, &["--offline"]);
        assert!(is_right, "{canary}: {said}");
    }
    let lost = "canary = \"smith@example.test\"";
    let (is_right, said) = asks("select 1 from people where mail = {address}", lost, &[]);
    assert!(!is_right, "{said}");
    for part in ["domain.canary", "sql people", "smith@example.test"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_the_user_that_postern_becomes_may_not_read_is_told() {
    let folder = Folder::new();
    folder.write("users.txt", "jones@example.test\n");
    fs::set_permissions(folder.file("users.txt"), Permissions::from_mode(0o600)).unwrap();
    let config = format!("user = \"nobody\"\n{CONFIG}recipients = [{{ file = \"users.txt\" }}]\n");
    let (is_right, said) = check(&folder, &config, &["--json"]);
    assert!(is_right, "{said}");
    for key in ["\"domain.recipients.file\"", "\"state_dir\""] {
        assert!(said.contains(key), "{key}: {said}");
    }
}

#[test]
fn a_source_that_does_not_answer_is_told_apart_from_a_mistake() {
    let folder = Folder::new();
    fs::create_dir_all(folder.file("state")).unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let source = |name: &str, more: &str| {
        let url = format!("http://{address}/{{address}}");
        format!("\n[[http]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}")
    };
    let check = |config: &str| {
        folder.write("postern.toml", config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(["check", "--json", "--config", "postern.toml"]).current_dir(folder.path());
        let output = command.output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), said["mistakes"].clone())
    };
    let people = "recipients = [{ http = \"people\" }, { http = \"more\" }]\n";
    let down = [source("people", ""), source("more", "")].concat();
    let (code, mistakes) = check(&format!("{CONFIG}{people}{down}"));
    assert_eq!(code, Some(3), "{mistakes}");
    assert_eq!((&mistakes[0]["passing"], &mistakes[1]["passing"]), (&true.into(), &true.into()));
    folder.write("secret", "");
    let wrong = [source("people", ""), source("more", "token_file = \"secret\"\n")].concat();
    let (code, mistakes) = check(&format!("{CONFIG}{people}{wrong}"));
    assert_eq!(code, Some(2), "{mistakes}");
}

#[test]
fn a_canary_that_is_not_answered_for_now_is_no_mistake_either() {
    let is_canary = |path: &str| path.contains("jones");
    let source =
        Http::start(move |asked| Response::new(if is_canary(&asked.path) { 503 } else { 404 }, ""));
    let folder = Folder::new();
    let people = "canary = \"jones@example.test\"\nrecipients = [{ http = \"people\" }]\n";
    let url = source.url("/{address}");
    let config = format!("{CONFIG}{people}[[http]]\nname = \"people\"\nurl = \"{url}\"\n");
    fs::create_dir_all(folder.file("state")).unwrap();
    folder.write("postern.toml", config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["check", "--config", "postern.toml"]).current_dir(folder.path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("not for the canary"), "{said}");
}

/// `check` with the next hop here.
fn checks_hop(address: std::net::SocketAddr, more: &str, arguments: &[&str]) -> (bool, String) {
    let folder = Folder::new();
    folder.write("users.txt", "jones@example.test\n");
    let config = CONFIG.replace("127.0.0.1:2600", &address.to_string());
    check(&folder, &format!("{config}recipients = [{{ file = \"users.txt\" }}]\n{more}"), arguments)
}

#[test]
fn a_next_hop_is_tried_out_up_to_ehlo() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let (is_right, said) = checks_hop(address, "", &[]);
    assert!(is_right && said.contains("cannot be used now") && said.contains("451"), "{said}");
    let (is_right, said) = checks_hop(address, "", &["--offline"]);
    assert!(is_right && !said.contains("cannot be used"), "{said}");

    let hop = kit::Hop::offering("250-SIZE 52428800\r\n");
    let (is_right, said) = checks_hop(hop.address, "", &[]);
    assert!(is_right && said.contains("size_octets_max = 52428800"), "{said}");
    let set = "[limits]\nsize_octets_max = 52428800\n";
    let (is_right, said) = checks_hop(hop.address, set, &[]);
    assert!(is_right && !said.contains("size_octets_max"), "{said}");
    assert!(hop.commands().iter().all(|said| !said.starts_with("MAIL")), "{:?}", hop.commands());
}

#[test]
fn a_certificate_of_another_name_is_told() {
    let folder = Folder::new();
    folder.write("users.txt", "jones@example.test\n");
    kit::certificates::Authority::new().sign("mail.example.test").write(&folder);
    let config = format!(
        "{CONFIG}recipients = [{{ file = \"users.txt\" }}]\n\
         [tls]\ncertificate = \"mx.pem\"\nkey = \"mx.key\"\n"
    );
    let (is_right, said) = check(&folder, &config, &["--offline"]);
    assert!(is_right && said.contains("bears the name mail.example.test"), "{said}");
}

#[test]
fn a_log_that_the_user_could_not_make_anew_is_told() {
    let folder = Folder::new();
    folder.write("users.txt", "jones@example.test\n");
    let config = format!(
        "user = \"nobody\"\n{CONFIG}recipients = [{{ file = \"users.txt\" }}]\n\
         [log]\nfile = \"postern.log\"\n"
    );
    let (is_right, said) = check(&folder, &config, &["--json", "--offline"]);
    assert!(is_right && said.contains("\"log.file\""), "{said}");
}
