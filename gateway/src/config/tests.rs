//! The configuration as a whole: what holds by default, what is kept in step, what never panics.

use super::built::Config;
use super::keys::KEYS;
use super::manual;
use proptest::prelude::*;
use relay::settings::{Harvest, Limits, LocalPartCase, Rates, SessionLimits};
use settings::mistake::{Mistake, Mistakes};
use settings::process::{ListenAddress, Listener, ListenerTls, LogFormat};
use settings::recipients::{FileFormat, FileSettings};
use settings::table::keys::{Default as If, Kind, nearest};
use settings::user::DropTo;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use wire::server::{ClientDetails, NextHopTls, Trust};

const LEAST: &str = r#"hostname = "mx.example.test"

[[listener]]
address = "127.0.0.1:2525"

[[domain]]
name = "example.test"
next_hop = "127.0.0.1:2600"
recipients = [{ file = "users.txt" }]
"#;

const MANUAL: &str = "../docs/configuration.md";
const REFERENCE_HEAD: &str = "## Reference\n\n";

/// Loads a configuration from a directory of its own, beside the files that the manual names.
fn load(text: &[u8]) -> Result<Config, Mistakes> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, octets: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    file("users.txt", b"jones@example.test\n");
    file("staff.csv", b"address\n");
    file("people.token", b"secret\n");
    file("ldap-password", b"secret\n");
    file("sql-password", b"secret\n");
    file("helpdesk.sqlite", b"");
    // TLS files cost a key generation, which few tests need.
    if text.windows(5).any(|octets| octets == b"[tls]") {
        let names = vec!["mx.example.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        file("mx.pem", made.cert.pem().as_bytes());
        file("mx.key", made.signing_key.serialize_pem().as_bytes());
        file("inside-ca.pem", made.cert.pem().as_bytes());
    }
    Config::load(&file("postern.toml", text))
}

fn loaded(text: &str) -> Config {
    load(text.as_bytes()).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(100, false)))
}

fn refused(text: &str) -> Vec<String> {
    let Err(mistakes) = load(text.as_bytes()) else { panic!("loads:\n{text}") };
    mistakes.mistakes.iter().map(|m| m.key_name().unwrap_or("").to_owned()).collect()
}

#[test]
fn the_least_file_has_the_documented_defaults() {
    let config = loaded(LEAST);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!(config.settings.hostname.as_str(), "mx.example.test");
    let listener = Listener {
        address: ListenAddress::Socket("127.0.0.1:2525".parse().unwrap()),
        tls: ListenerTls::None,
        proxy_from: None,
        greeting_delay: Duration::ZERO,
        hostname: None,
        size_octets_max: None,
        withheld: mail::smtp::extension::Withheld::default(),
    };
    assert_eq!(config.listeners, [listener]);
    assert_eq!((&config.tls, &config.metrics, &config.state_dir), (&None, &None, &None));
    assert_eq!((&config.drop_to, &config.log.file), (&None, &None));
    assert!(config.starts_without_sources);
    assert_eq!(config.log.format, LogFormat::Auto);
    assert_eq!(config.networks.classify("127.0.0.1".parse().unwrap()), None);

    let settings = config.settings.clone();
    let domain = settings.domain_of(&config.domains[0].name).unwrap();
    let domain = settings.domain(domain);
    assert_eq!(domain.local_part_case, LocalPartCase::Folded);
    assert_eq!((domain.sub_address_separator, &*domain.local_part_characters), (None, ""));
    assert_eq!((&domain.catch_all, &domain.postmaster), (&None, &None));
    assert_eq!(file_of(&config, 0).format, FileFormat::Lines);
    assert!(file_of(&config, 0).path.is_absolute());
    assert_eq!(format!("{:?}", settings.limits), format!("{:?}", Limits::default()));
    assert_eq!(format!("{:?}", settings.harvest), format!("{:?}", Harvest::default()));
    assert_eq!(format!("{:?}", settings.rates), format!("{:?}", Rates::default()));
}

#[test]
fn a_next_hop_given_by_its_address_has_the_documented_defaults() {
    let config = loaded(LEAST);
    let [hop] = &config.next_hops[..] else { panic!("{:?}", config.next_hops) };
    assert_eq!((&hop.name, hop.hosts.len()), (&None, 1));
    assert_eq!((hop.hosts[0].host.as_str(), hop.hosts[0].port), ("127.0.0.1", 2600));
    assert_eq!(hop.tls, NextHopTls::Opportunistic);
    assert_eq!(hop.client_details, ClientDetails::Auto);
    assert_eq!((hop.connections_max, hop.messages_max, hop.breaker_failures), (20, 100, 5));
    assert_eq!(hop.content_line_octets_max, None);
    let seconds = [
        hop.idle_max,
        hop.age_max,
        hop.connect_max,
        hop.greeting_max,
        hop.command_max,
        hop.data_max,
        hop.final_reply_max,
        hop.breaker_retry,
    ]
    .map(|duration| duration.as_secs());
    assert_eq!(seconds, [30, 300, 10, 60, 60, 120, 180, 30]);
}

/// The names of the fields, as Debug prints them.
fn fields(debug: &str) -> Vec<String> {
    let names = debug.split([' ', '{', '}', '[', ']', ',']).filter_map(|s| s.strip_suffix(':'));
    let mut names: Vec<String> = names.map(str::to_owned).filter(|n| n != "session").collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn every_limit_of_the_relay_has_a_key_of_the_same_name() {
    for (path, debug) in [
        ("limits", format!("{:?}", Limits::default())),
        ("limits.busy", format!("{:?}", SessionLimits::DEFAULT[1])),
        ("limits.stress", format!("{:?}", SessionLimits::DEFAULT[2])),
        ("harvest", format!("{:?}", Harvest::default())),
        ("rates", format!("{:?}", Rates::default())),
    ] {
        let table = KEYS.iter().find(|table| table.path == path).unwrap();
        let numbers = table.keys.iter().filter(|key| matches!(key.kind, Kind::Number(..)));
        let mut keys: Vec<String> = numbers.map(|key| key.name.to_owned()).collect();
        keys.sort();
        assert_eq!(keys, fields(&debug), "{path}");
    }
}

fn file_of(config: &Config, domain: usize) -> &FileSettings {
    config.domains[domain].sources[0].settings.file().unwrap()
}

/// Within one list of keys the compiler sees to it.
#[test]
fn no_table_is_there_twice_and_no_key_in_a_table_that_several_make() {
    let mut paths: Vec<&str> = KEYS.iter().map(|table| table.path).collect();
    for table in KEYS.iter() {
        let mut names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{}: {names:?}", table.path);
    }
    paths.sort_unstable();
    assert!(paths.windows(2).all(|two| two[0] != two[1]), "{paths:?}");
}

/// Without one, whoever forgets the key is shown a line that does not work.
#[test]
fn every_key_has_an_example() {
    for (table, key) in KEYS.iter().flat_map(|t| t.keys.iter().map(move |key| (t, key))) {
        let value = key.example();
        assert!(!value.ends_with("= ") && !value.is_empty(), "{}.{}", table.path, key.name);
    }
}

#[test]
fn every_default_number_is_within_its_bounds() {
    for (table, key) in KEYS.iter().flat_map(|t| t.keys.iter().map(move |key| (t, key))) {
        let If::Number(number) = key.default else { continue };
        let Kind::Number(min, max) = key.kind else { panic!("{} is no number", key.name) };
        assert!((min..=max).contains(&number), "{}.{}", table.path, key.name);
    }
}

#[test]
fn a_number_goes_to_the_limit_of_its_name_and_to_no_other() {
    for table in KEYS.iter().filter(|t| ["limits", "harvest", "rates"].contains(&t.path)) {
        for key in table.keys {
            let (Kind::Number(_, max), If::Number(before)) = (key.kind, key.default) else {
                continue;
            };
            let number = (before + 1).min(max);
            let config = loaded(&format!("{LEAST}\n[{}]\n{} = {number}\n", table.path, key.name));
            let (s, l) = (&config.settings, Limits::default());
            let all = format!("{:?} {:?} {:?}", s.limits, s.harvest, s.rates);
            let usual = format!("{l:?} {:?} {:?}", Harvest::default(), Rates::default());
            let now = format!("{}: {number}", key.name);
            let expected = usual.replacen(&format!("{}: {before}", key.name), &now, 1);
            assert!(all.contains(&now), "{now}");
            // What tightens under load may follow; nothing else may.
            let others = |text: &str| -> Vec<String> {
                let parts = text.split(", ").filter(|part| !part.contains(key.name));
                parts.map(str::to_owned).collect()
            };
            assert_eq!(others(&all), others(&expected), "{}", key.name);
        }
    }
}

#[test]
fn under_load_no_limit_is_looser_because_only_the_others_were_edited() {
    let limits = "messages_max = 3\ncontent_octets_per_second_min = 2048\n";
    let text = format!("{LEAST}\n[limits]\n{limits}");
    let session = loaded(&text).settings.limits.session;
    assert_eq!(session.map(|s| s.messages_max), [3, 3, 3]);
    assert_eq!(session.map(|s| s.content_octets_per_second_min), [2048, 2048, 4096]);
    let text = format!("{text}\n[limits.busy]\nmessages_max = 2\n");
    assert_eq!(loaded(&text).settings.limits.session.map(|s| s.messages_max), [3, 2, 2]);
}

#[test]
fn domains_with_the_same_hosts_share_a_next_hop() {
    let more = |name: &str, hop: &str| {
        let source = "recipients = [{ file = \"staff.csv\" }]";
        format!("\n[[domain]]\nname = \"{name}\"\nnext_hop = {hop}\n{source}\n")
    };
    let config = loaded(
        &[
            LEAST,
            &more("b\u{fc}cher.test", "[\"127.0.0.1:2600\"]"),
            &more("c.test", "[\"127.0.0.1:2600\", \"INSIDE.test:25\"]"),
        ]
        .concat(),
    );
    assert_eq!(config.next_hops.len(), 2);
    let hops: Vec<u32> = config.settings.domain.iter().map(|domain| domain.next_hop.0).collect();
    assert_eq!(hops, [0, 0, 1]);
    assert_eq!(config.next_hops[1].hosts[1].host, "inside.test");
    assert_eq!(config.domains[1].name.as_str(), "xn--bcher-kva.test");
    assert_eq!(file_of(&config, 1).format, FileFormat::Csv);
}

#[test]
fn an_alias_leads_to_its_domain() {
    let text = LEAST.replace("next_hop =", "aliases = [\"Example.ORG\"]\nnext_hop =");
    let config = loaded(&text);
    let alias = mail::address::Domain::new("EXAMPLE.org").unwrap();
    let id = config.settings.domain_of(&alias).unwrap();
    assert_eq!(config.settings.domain(id).name.as_str(), "example.test");
    assert_eq!(config.domains[0].aliases, [alias]);
}

#[test]
fn user_without_group_takes_the_first_group_of_the_user() {
    let root = DropTo { user: "root".into(), uid: 0, group: "root".into(), gid: 0 };
    let config = loaded(&format!("user = \"root\"\n{LEAST}"));
    assert_eq!(config.drop_to, Some(root));
    assert_eq!(config.warnings.len(), 1, "root keeps all its rights");
}

/// The key is in the text of the report nowhere, even when its file is not a key at all.
#[test]
fn what_a_key_file_contains_is_never_shown() {
    let text = format!("{LEAST}\n[tls]\ncertificate = \"mx.pem\"\nkey = \"users.txt\"\n");
    let mistakes = load(text.as_bytes()).unwrap_err();
    assert!(!mistakes.render(100, false).contains("jones"));
    assert_eq!(refused(&text), ["tls.key"]);
}

#[test]
fn control_characters_of_a_value_do_not_reach_the_terminal() {
    let text = format!("user = \"a\\u001b[2J\\u0000\"\n{LEAST}");
    let mistakes = load(text.as_bytes()).unwrap_err();
    assert_eq!(mistakes.mistakes[0].message(), "there is no user \"a\u{fffd}[2J\u{fffd}\"");
    assert!(!mistakes.render(100, false).contains('\u{1b}'));
}

#[test]
fn a_byte_order_mark_and_crlf_do_not_matter() {
    loaded(&format!("\u{feff}{}", LEAST.replace('\n', "\r\n")));
}

#[test]
fn mistakes_in_recipient_files_join_the_others() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("users.txt"), "jones@example.test\n<smith>\n").unwrap();
    let path = directory.path().join("postern.toml");
    std::fs::write(&path, LEAST.replace("hostname", "hostnme")).unwrap();
    let mistakes = Config::load_with(&path, |listed, _| {
        let text = std::fs::read_to_string(&listed.settings.file().unwrap().path).unwrap();
        vec![Mistake::in_file(Path::new("users.txt"), text.into(), 19..26, "no address")]
    })
    .unwrap_err();
    let report = mistakes.render(100, false);
    assert_eq!(mistakes.mistakes.len(), 2);
    assert!(report.contains("[users.txt:2:1]") && report.contains("hostnme"), "{report}");
}

#[test]
fn a_missing_file_and_a_directory_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Config::load(&directory.path().join("postern.toml")).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
    let mistakes = Config::load(directory.path()).unwrap_err();
    assert!(mistakes.to_string().contains("not a regular file"), "{mistakes}");
}

#[test]
fn the_nearest_word_is_found_within_a_third_of_its_letters() {
    let words = ["hostname", "state_dir", "user"];
    for (written, meant) in [
        ("hostnme", Some("hostname")),
        ("Host-Name", Some("hostname")),
        ("statedir", Some("state_dir")),
        ("sttae_dir", Some("state_dir")),
        ("usr", Some("user")),
        ("colour", None),
        ("", None),
    ] {
        assert_eq!(nearest(written, words), meant, "{written}");
    }
}

/// The first TOML block of the manual after this heading.
fn block_after(manual: &str, heading: &str) -> String {
    let after = manual.split_once(heading).unwrap().1;
    after.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_least_file_of_the_manual_is_the_least_file() {
    let manual = std::fs::read_to_string(MANUAL).unwrap();
    assert_eq!(block_after(&manual, "## The least file"), LEAST);
}

#[test]
fn the_full_file_of_the_manual_loads_and_has_every_key_outside_of_the_limits() {
    let manual = std::fs::read_to_string(MANUAL).unwrap();
    let text = block_after(&manual, "## Everything at once");
    // Who exists on this machine is not the manual's concern.
    let text = text.replace("\"postern\"", "\"root\"").replace("\"/var/lib/postern\"", "\".\"");
    let config = loaded(&text.replace("\"/var/log/postern/postern.log\"", "\"postern.log\""));
    for (table, key) in KEYS.iter().flat_map(|t| t.keys.iter().map(move |key| (t, key))) {
        if !matches!(key.kind, Kind::Table(_) | Kind::Tables(_) | Kind::Number(..)) {
            let is_there = text.contains(&format!("{} = ", key.name));
            assert!(is_there, "{}.{} is not in the manual's example", table.path, key.name);
        }
    }
    let inside: IpAddr = "10.1.2.3".parse().unwrap();
    let network = config.networks.classify(inside).map(|index| &config.networks.list()[index]);
    assert_eq!(network.map(|network| network.name.as_str()), Some("printers"));
    let tls = config.next_hops.iter().map(|hop| hop.tls.clone());
    let trusts = tls.filter(|tls| {
        matches!(tls, NextHopTls::Require { trust: Trust::Authorities(_), name: Some(_) })
            || matches!(tls, NextHopTls::Require { trust: Trust::Fingerprint(_), name: None })
    });
    assert_eq!(trusts.count(), 2);
}

/// `BLESS=1` rewrites the reference part.
#[test]
fn the_manual_is_in_step_with_the_keys() {
    let manual = std::fs::read_to_string(MANUAL).unwrap();
    let (prose, reference) = manual.split_once(REFERENCE_HEAD).unwrap();
    let expected = manual::reference();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(MANUAL, format!("{prose}{REFERENCE_HEAD}{expected}")).unwrap();
    } else {
        assert_eq!(reference, expected, "BLESS=1 rewrites it");
    }
}

/// Lines that are nearly right get further into the program than noise does.
fn nearly_toml() -> impl Strategy<Value = String> {
    let names = KEYS.iter().flat_map(|table| table.keys).map(|key| key.name).collect::<Vec<_>>();
    let heads = KEYS.iter().map(|table| table.path.to_owned()).collect::<Vec<_>>();
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "\"[ -!#-\\[\\]-~]{0,20}\"",
        "\"[a-z@:./*0-9\u{fc}\u{3002}\\[\\]-]{0,20}\"",
        "\\[(\"[a-z0-9./:]{0,12}\",){0,3}\\]",
        "\\[\\{ (file|address|reason|text) = \"[a-z@*.]{0,9}\" \\}\\]",
        Just("\"systemd:x\"".to_owned()),
        Just("true".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("0xfe_ed".to_owned()),
        Just("{ a.b = 1.5 }".to_owned()),
    ];
    let line = prop_oneof![
        6 => (prop::sample::select(names), value).prop_map(|(k, v)| format!("{k} = {v}")),
        2 => prop::sample::select(heads.clone()).prop_map(|head| format!("[[{head}]]")),
        1 => prop::sample::select(heads).prop_map(|head| format!("[{head}]")),
        1 => "\\PC{0,20}",
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

/// Neither reading nor telling may panic; a report is made in any case.
fn survives(text: &[u8]) {
    match load(text) {
        Ok(config) => drop(settings::mistake::render(&config.warnings, 80, true)),
        Err(mistakes) => assert!(!mistakes.render(80, false).is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn no_noise_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&text);
    }

    #[test]
    fn nothing_that_looks_like_a_configuration_panics(text in nearly_toml()) {
        survives(text.as_bytes());
        survives(format!("{LEAST}{text}").as_bytes());
    }

    #[test]
    fn no_cut_of_a_good_file_and_no_changed_octet_panics(
        cut in 0..LEAST.len(), at in 0..LEAST.len(), octet: u8,
    ) {
        survives(&LEAST.as_bytes()[..cut]);
        let mut changed = LEAST.as_bytes().to_vec();
        changed[at] = octet;
        survives(&changed);
    }
}
