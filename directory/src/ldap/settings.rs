//! `[[ldap]]`: what the operator wrote, understood. Its keys are in `table.rs`; whether the
//! directory agrees is left to `trial.rs`.

use super::export::modes::{Mode, finding, live, malformed, snapshot};
use super::filter::Template;
use super::preset::{Preset, Protection};
use super::table::{TABLE, Written};
use crate::settings::mistake::Mistake;
use crate::settings::server::NextHopHost;
use crate::settings::site::{Site, Text, at, number, word};
use crate::settings::{address, file};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::{DeValue, ValueDeserializer};

/// One `[[ldap]]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What domains call it.
    pub name: String,
    /// What it was described as.
    pub preset: Preset,
    /// In the order they are tried; at least one.
    pub servers: Vec<NextHopHost>,
    /// What connections are protected by.
    pub protection: Protection,
    /// The authorities that are believed; the system's when there are none.
    pub tls_ca: Option<PathBuf>,
    /// The name that certificates must bear, when it is not the host's.
    pub tls_name: Option<String>,
    /// Who we are; nobody in particular when there is none.
    pub bind: Option<Bind>,
    /// Where searches begin.
    pub base: String,
    /// What finds an address, when it is asked for.
    pub filter: Template,
    /// Whether addresses are asked for, or listed.
    pub mode: Mode,
    /// The attribute with the address that the next hop hears instead.
    pub target_attribute: Option<String>,
    /// Until the answer to one search.
    pub answer_max: Duration,
    /// Until a connection stands, TLS and bind included.
    pub connect_max: Duration,
    /// Connections of each thread to one server.
    pub connections_max: u32,
    /// Searches under way on one connection.
    pub outstanding_max: u32,
    /// How long a connection is kept that nothing is asked on.
    pub idle_max: Duration,
    /// How old a connection may grow.
    pub age_max: Duration,
    /// How long a yes is believed; zero is not at all.
    pub positive: Duration,
    /// How long a no is believed; zero is not at all.
    pub negative: Duration,
}

impl Settings {
    /// Whether it is asked what changed between two readings.
    #[must_use]
    pub fn follows_changes(&self) -> bool {
        matches!(&self.mode, Mode::Snapshot(export) if !export.changes.is_zero())
    }
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bind {
    /// The name of an entry.
    pub dn: String,
    /// Where its password is; read at each bind.
    pub password_file: PathBuf,
}

/// Reads one `[[ldap]]`; `None` when a mistake was reported.
pub(crate) fn read(value: Spanned<DeValue<'_>>, site: &mut Site) -> Option<Settings> {
    // The shape has been checked; what was wrong with it has been told and taken out.
    let written = &Written::deserialize(ValueDeserializer::from(value)).ok()?;
    let preset = Preset::named(word(written.preset.as_ref(), "custom"));
    let protection = match word(written.tls.as_ref(), "ldaps") {
        "starttls" => Protection::StartTls,
        "plain" => Protection::Plain,
        _ => Protection::Ldaps,
    };
    let servers = servers(written, preset.port(protection), site);
    let authorities = written.tls_ca.as_ref().map(|ca| file::certificates("ldap.tls_ca", ca, site));
    let is_trust_right = tls_is_right(written, protection, servers.as_deref(), site);
    let bind = bind(written, site);
    let (mode, filter) = if word(written.mode.as_ref(), "live") == "snapshot" {
        let mode = snapshot(written, preset, site);
        // Nobody asks for one address.
        let filter = match &mode {
            Some(Mode::Snapshot(export)) => finding(&export.attributes),
            _ => None,
        };
        (mode, filter)
    } else {
        (live(written, site), filter(written, preset, site))
    };
    let is_target_right = target_is_right(written.target_attribute.as_ref(), site);
    let (Some(servers), Some(bind), Some(filter), Some(mode)) = (servers, bind, filter, mode)
    else {
        return None;
    };
    if !is_trust_right || !is_target_right || authorities.as_ref().is_some_and(Option::is_none) {
        return None;
    }
    warn(written, preset, protection, bind.as_ref(), site);
    let seconds = |name, written| Duration::from_secs(count(name, written).into());
    Some(Settings {
        name: written.name.as_ref()?.get_ref().clone(),
        preset,
        servers,
        protection,
        tls_ca: authorities.flatten().map(|(path, _)| path),
        tls_name: written.tls_name.as_ref().map(|name| name.get_ref().clone()),
        bind,
        base: written.base.as_ref()?.get_ref().clone(),
        filter,
        mode,
        target_attribute: written.target_attribute.as_ref().map(|name| name.get_ref().clone()),
        answer_max: seconds("answer_seconds_max", &written.answer_seconds_max),
        connect_max: seconds("connect_seconds_max", &written.connect_seconds_max),
        connections_max: count("connections_max", &written.connections_max),
        outstanding_max: count("outstanding_max", &written.outstanding_max),
        idle_max: seconds("idle_seconds_max", &written.idle_seconds_max),
        age_max: seconds("age_seconds_max", &written.age_seconds_max),
        positive: seconds("positive_seconds", &written.positive_seconds),
        negative: seconds("negative_seconds", &written.negative_seconds),
    })
}

fn count(name: &str, written: &Option<Spanned<i64>>) -> u32 {
    number(&TABLE, name, written.as_ref())
}

fn servers(written: &Written, port: u16, site: &mut Site) -> Option<Vec<NextHopHost>> {
    let (key, list) = ("ldap.servers", written.servers.as_ref()?);
    let mut servers: Vec<NextHopHost> = Vec::new();
    for text in list.get_ref() {
        let host = text.get_ref();
        let is_bare = !host.contains(':') || host.ends_with(']');
        let with_port = match host.parse::<Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]:{port}"),
            Err(_) if is_bare => format!("{host}:{port}"),
            Err(_) => host.clone(),
        };
        match address::host_port(key, &Spanned::new(text.span(), with_port)) {
            Ok(server) if servers.contains(&server) => {
                let message = format!("\"{host}\" is listed twice");
                site.refuse(at(key, text, message, "again here"));
            }
            Ok(server) => servers.push(server),
            Err(mistake) => site.refuse(mistake),
        }
    }
    if list.get_ref().is_empty() {
        site.refuse(
            at(key, list, "a directory without servers", "expected at least one")
                .help("for example: [\"dc1.example.test\"]"),
        );
    }
    (!servers.is_empty() && servers.len() == list.get_ref().len()).then_some(servers)
}

fn tls_is_right(
    written: &Written,
    protection: Protection,
    servers: Option<&[NextHopHost]>,
    site: &mut Site,
) -> bool {
    let trust = [("tls_ca", written.tls_ca.as_ref()), ("tls_name", written.tls_name.as_ref())];
    let mut is_right = true;
    let mut refuse = |mistake: Mistake| {
        site.refuse(mistake);
        is_right = false;
    };
    for (key, text) in trust {
        if let (Some(text), Protection::Plain) = (text, protection) {
            let (key, message) = (format!("ldap.{key}"), format!("`{key}` beside tls = \"plain\""));
            refuse(
                at(&key, text, message, "nothing would be verified")
                    .help("take one of them out: \"plain\" is without TLS"),
            );
        }
    }
    match &written.tls_name {
        Some(name) if ServerName::try_from(name.get_ref().as_str()).is_err() => {
            let message = format!("\"{}\" is no name for a certificate", name.get_ref());
            refuse(
                at("ldap.tls_name", name, message, "")
                    .help("for example: tls_name = \"dc.example.test\""),
            );
        }
        Some(_) => {}
        None => {
            let is_v6 = |server: &NextHopHost| server.host.parse::<Ipv6Addr>().is_ok();
            if let Some(list) = &written.servers
                && protection != Protection::Plain
                && servers.is_some_and(|servers| servers.iter().any(is_v6))
            {
                refuse(
                    at(
                        "ldap.servers",
                        list,
                        "an IPv6 address needs a name for its certificate",
                        "",
                    )
                    .help("for example: tls_name = \"dc.example.test\""),
                );
            }
        }
    }
    is_right
}

/// Nothing when a mistake was reported; else who we are, if anybody.
#[expect(clippy::option_option, reason = "a mistake, nobody, somebody")]
fn bind(written: &Written, site: &mut Site) -> Option<Option<Bind>> {
    match (&written.bind_dn, &written.password_file) {
        (None, None) => Some(None),
        (Some(dn), Some(path)) => {
            let password_file = file::readable("ldap.password_file", path, site)?;
            if dn.get_ref().is_empty() {
                site.refuse(
                    at("ldap.bind_dn", dn, "nobody's name", "expected the name of an entry")
                        .help("take `bind_dn` and `password_file` out to be anonymous"),
                );
                return None;
            }
            Some(Some(Bind { dn: dn.get_ref().clone(), password_file }))
        }
        (Some(dn), None) => {
            site.refuse(
                at("ldap.bind_dn", dn, "`bind_dn` without `password_file`", "")
                    .help("a name without a password binds as nobody, and looks like success"),
            );
            None
        }
        (None, Some(path)) => {
            site.refuse(at(
                "ldap.password_file",
                path,
                "`password_file` without `bind_dn`",
                "whose password?",
            ));
            None
        }
    }
}

fn filter(written: &Written, preset: Preset, site: &mut Site) -> Option<Template> {
    let key = "ldap.filter";
    let Some(text) = &written.filter else {
        if let Some(filter) = preset.filter() {
            return Template::parse(filter).ok();
        }
        let preset = written.preset.as_ref()?;
        site.refuse(
            at("ldap.preset", preset, "`custom` without `filter`", "expected a filter beside it")
                .help("for example: filter = \"(mail={address})\""),
        );
        return None;
    };
    match Template::parse(text.get_ref()) {
        Ok(template) => Some(template),
        Err(error) => {
            let help = "for example: filter = \"(&(objectClass=person)(mail={address}))\"";
            malformed(key, text, &error, help, site);
            None
        }
    }
}

/// The name of an attribute, or its number (RFC 4512 §2.5).
fn target_is_right(attribute: Option<&Text>, site: &mut Site) -> bool {
    let Some(text) = attribute else { return true };
    let name = text.get_ref();
    let is_right = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b';'));
    if !is_right {
        let message = format!("\"{name}\" is no attribute");
        let key = "ldap.target_attribute";
        site.refuse(at(key, text, message, "").help("for example: \"mailRoutingAddress\""));
    }
    is_right
}

fn warn(
    written: &Written,
    preset: Preset,
    protection: Protection,
    bind: Option<&Bind>,
    site: &mut Site,
) {
    if let (Some(tls), Protection::Plain, Some(_)) = (&written.tls, protection, bind) {
        let is_loopback = |host: &Text| {
            let host = host.get_ref().rsplit_once(':').map_or(host.get_ref().as_str(), |(h, _)| h);
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        let servers = written.servers.as_ref();
        if !servers.is_some_and(|servers| servers.get_ref().iter().all(is_loopback)) {
            site.warn(
                at("ldap.tls", tls, "the password goes over the network in the clear", "")
                    .help("where the server can: tls = \"ldaps\" or \"starttls\""),
            );
        }
    }
    let is_admin =
        |bind: &Bind| bind.dn.to_ascii_lowercase().replace(' ', "").ends_with(",cn=admin");
    if preset == Preset::Exchange55
        && !bind.is_some_and(is_admin)
        && let Some(place) = written.bind_dn.as_ref().or(written.preset.as_ref())
    {
        site.warn(
            at("ldap.bind_dn", place, "hidden mailboxes are not seen, and would be refused", "")
                .help("for example: bind_dn = \"cn=postern,cn=DOMAIN,cn=admin\""),
        );
    }
}
