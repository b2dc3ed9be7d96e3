//! What `[[ldap]]` means when it is right; what is wrong is in `tests/bad_configs/`.

use crate::config::Config;
use directory::SourceSettings;
use directory::ldap::{Preset, Protection, Settings};
use std::sync::Arc;
use std::time::Duration;

fn read(lines: &str) -> Arc<Settings> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("password"), "secret\n").unwrap();
    let path = directory.path().join("postern.toml");
    let text = format!(
        "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:2525\"\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"10.0.0.5:25\"\n\
         recipients = [{{ ldap = \"people\" }}]\n[[ldap]]\nname = \"people\"\n{lines}\n"
    );
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path);
    let config = config.unwrap_or_else(|mistakes| panic!("{}", mistakes.render(100, false)));
    match &config.domains[0].sources[0].settings {
        SourceSettings::Ldap(settings) => Arc::clone(settings),
        other => panic!("{other:?}"),
    }
}

fn ports(preset: &str, tls: &str) -> Vec<u16> {
    let settings = read(&format!(
        "preset = \"{preset}\"\nservers = [\"a.test\", \"b.test:1234\"]\ntls = \"{tls}\"\n\
         base = \"dc=test\"\nfilter = \"(mail={{address}})\""
    ));
    settings.servers.iter().map(|server| server.port).collect()
}

#[test]
fn the_least_table_is_protected_by_ldaps_and_bounded() {
    let settings = read("preset = \"openldap\"\nservers = [\"a.test\"]\nbase = \"dc=test\"");
    assert_eq!((settings.preset, settings.protection), (Preset::OpenLdap, Protection::Ldaps));
    assert_eq!(settings.servers[0].port, 636);
    assert_eq!((&settings.bind, &settings.trust), (&None, &wire::server::Trust::SystemRoots));
    assert_eq!((settings.connections_max, settings.outstanding_max), (2, 32));
    assert_eq!(settings.answer_max, Duration::from_secs(3));
    assert_eq!(settings.negative, Duration::from_secs(600));
}

#[test]
fn ports_that_are_not_written_follow_preset_and_tls() {
    assert_eq!(ports("active-directory", "ldaps"), [3269, 1234]);
    assert_eq!(ports("active-directory", "starttls"), [3268, 1234]);
    assert_eq!(ports("exchange-5.5", "plain"), [389, 1234]);
    assert_eq!(ports("custom", "ldaps"), [636, 1234]);
}

#[test]
fn servers_may_be_ipv6_addresses() {
    let settings = read(
        "preset = \"openldap\"\nservers = [\"::1\", \"[::2]\", \"[::3]:40\"]\ntls = \"plain\"\n\
         base = \"dc=test\"",
    );
    let servers = settings.servers.iter().map(|server| (server.host.as_str(), server.port));
    assert_eq!(servers.collect::<Vec<_>>(), [("::1", 389), ("::2", 389), ("::3", 40)]);
}

#[test]
fn a_bind_is_a_name_and_the_path_of_its_password() {
    let settings = read(
        "preset = \"exchange-5.5\"\nservers = [\"a.test\"]\nbase = \"o=x\"\n\
         bind_dn = \"cn=postern,cn=DOMAIN,cn=admin\"\npassword_file = \"password\"",
    );
    let bind = settings.bind.as_ref().unwrap();
    assert!(bind.password_file.is_absolute());
    assert!(!format!("{settings:?}").contains("secret"));
}
