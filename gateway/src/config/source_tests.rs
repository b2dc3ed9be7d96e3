//! What the tables of sources mean to those who are asked, and where `learned` may stand.

use crate::config::Config;
use directory::SourceSettings;
use directory::callout::Callout;
use directory::http::Http;
use directory::ldap::Ldap;
use directory::live::LiveSource;
use directory::sql::Sql;
use directory::trials::Trials;
use std::sync::Arc;

const CONFIG: &str = r#"
hostname = "mx.example.test"
[[listener]]
address = "127.0.0.1:0"
[[network]]
name = "office"
addresses = ["10.0.0.0/8"]
teaches = true
[[network]]
name = "printers"
addresses = ["10.9.0.0/16"]
[[domain]]
name = "example.test"
aliases = ["example.org"]
next_hop = "127.0.0.1:1"
sub_address_separator = "+"
recipients = [{ learned = true, mode = "enforce", unseen = "accept" }]
[[domain]]
name = "other.test"
next_hop = "127.0.0.1:2"
recipients = [{ file = "users.txt" }]
"#;

/// Of a source that these lines describe.
fn fingerprint(kind: &str, lines: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postern.toml");
    let text = format!(
        "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:2525\"\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"10.0.0.5:25\"\n\
         recipients = [{{ {kind} = \"people\" }}]\n[[{kind}]]\nname = \"people\"\n{lines}\n"
    );
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path);
    let config = config.unwrap_or_else(|mistakes| panic!("{}", mistakes.render(100, false)));
    let live: Arc<dyn LiveSource> = match &config.domains[0].sources[0].settings {
        SourceSettings::Ldap(settings) => Arc::new(Ldap::new(Arc::clone(settings)).unwrap()),
        SourceSettings::Sql(settings) => Sql::new(settings).unwrap().unwrap(),
        SourceSettings::Http(settings) => Http::open(settings).unwrap(),
        SourceSettings::Callout(settings) => {
            Callout::open(settings, &config.settings.hostname, &Trials::default()).unwrap()
        }
        other => panic!("{other:?}"),
    };
    live.fingerprint()
}

#[test]
fn what_is_asked_makes_another_question_and_how_long_it_may_take_does_not() {
    let ldap = "servers = [\"127.0.0.1\"]\ntls = \"plain\"\nfilter = \"(mail={address})\"\n\
                preset = \"custom\"\nbase = \"dc=test\"";
    let sql = "server = \"postgres://postern@127.0.0.1/mail\"\ntls = \"plain\"\n\
               query = \"select 1 from people where address = {address}\"";
    let http = "url = \"http://127.0.0.1/people/{address}\"";
    let callout = "hosts = [\"127.0.0.1:25\"]\ntls = \"none\"";
    let changes = [
        ("ldap", ldap, "dc=test", "dc=other,dc=test"),
        ("ldap", ldap, "(mail=", "(alias="),
        ("ldap", ldap, "127.0.0.1", "127.0.0.2"),
        ("ldap", ldap, "base", "target_attribute = \"mailbox\"\nbase"),
        ("sql", sql, "people", "staff"),
        ("sql", sql, "postern@", "other@"),
        ("sql", sql, "/mail", "/shop"),
        ("http", http, "people", "staff"),
        ("http", http, "url", "json_pointer = \"/exists\"\nurl"),
        ("callout", callout, ":25", ":26"),
        ("callout", callout, "tls", "until = \"data\"\ntls"),
    ];
    for (kind, lines, from, to) in changes {
        let before = fingerprint(kind, lines);
        assert_ne!(fingerprint(kind, &lines.replacen(from, to, 1)), before, "{kind}: {to}");
        let slower = format!("{lines}\npositive_seconds = 7\nnegative_seconds = 7");
        assert_eq!(fingerprint(kind, &slower), before, "{kind}");
    }
}

#[test]
fn the_configuration_says_where_learned_may_stand() {
    let folder = tempfile::tempdir().unwrap();
    let text = |recipients: &str| {
        let all = "[{ learned = true, mode = \"enforce\", unseen = \"accept\" }]";
        CONFIG.replace(all, recipients)
    };
    let load = |recipients: &str| {
        std::fs::write(folder.path().join("users.txt"), "someone@other.test\n").unwrap();
        let path = folder.path().join("postern.toml");
        std::fs::write(&path, text(recipients)).unwrap();
        Config::load(&path)
    };
    for (recipients, warnings) in [
        ("[{ learned = true }]", 1),
        ("[{ learned = true, mode = \"enforce\", unseen = \"accept\" }]", 1),
        ("[{ learned = true, mode = \"enforce\" }]", 0),
        ("[{ learned = true, mode = \"enforce\", unseen = \"refuse\" }]", 0),
        ("[{ file = \"users.txt\" }, { learned = true }]", 0),
    ] {
        let config = load(recipients).unwrap();
        let about = |w: &&settings::mistake::Mistake| format!("{w:?}").contains("learned");
        assert_eq!(config.warnings.iter().filter(about).count(), warnings, "{recipients}");
    }
    for recipients in [
        "[{ learned = false }]",
        "[{ learned = true }, { file = \"users.txt\" }]",
        "[{ learned = true }, { learned = true }]",
        "[{ learned = true, mode = \"guess\" }]",
    ] {
        assert!(load(recipients).is_err(), "{recipients}");
    }
}
