//! `[[ldap]]`: what the operator wrote, understood. Its keys are in `table.rs`; whether the
//! directory agrees is left to `trial.rs`.

use super::export::modes::{Mode, finding, live, malformed, snapshot};
use super::filter::Template;
use super::preset::{Preset, Protection};
use super::table::LdapTable;
use crate::mode::Use;
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::value::{Given, Text, all};
use settings::tls_keys::{certificate_name, trust};
use settings::{address, file};
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;
use wire::server::{NextHopHost, Trust};

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
    /// Which certificates are believed.
    pub trust: Trust,
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

/// Understands one `[[ldap]]`; what it returns counts for nothing when a mistake was reported.
pub(crate) fn read(written: &LdapTable, context: &mut LoadContext) -> Option<Settings> {
    let preset = written.preset.as_deref().copied().unwrap_or(Preset::Custom);
    let protection = *written.tls;
    let servers = servers(written, preset.port(protection), context);
    let trust = trust(written.tls_ca.as_ref(), written.tls_fingerprint.as_ref(), context);
    check_tls(written, &servers, context);
    let bind = bind(written, context);
    let (mode, filter) = match *written.mode {
        Use::Live => (Some(live(written, context)), filter(written, preset, context)),
        Use::Snapshot => {
            let mode = snapshot(written, preset, context);
            // Nobody asks for one address.
            let filter = match &mode {
                Some(Mode::Snapshot(export)) => finding(&export.attributes),
                _ => None,
            };
            (mode, filter)
        }
    };
    check_target(written.target_attribute.as_ref(), context);
    warn(written, preset, bind.as_ref(), context);
    Some(Settings {
        name: written.name.as_ref()?.to_string(),
        preset,
        servers,
        protection,
        trust,
        tls_name: written.tls_name.as_ref().map(ToString::to_string),
        bind,
        base: written.base.as_ref()?.to_string(),
        filter: filter?,
        mode: mode?,
        target_attribute: written.target_attribute.as_ref().map(ToString::to_string),
        answer_max: *written.answer_seconds_max,
        connect_max: *written.connect_seconds_max,
        connections_max: *written.connections_max,
        outstanding_max: *written.outstanding_max,
        idle_max: *written.idle_seconds_max,
        age_max: *written.age_seconds_max,
        positive: *written.positive_seconds,
        negative: *written.negative_seconds,
    })
}

fn servers(written: &LdapTable, port: u16, context: &mut LoadContext) -> Vec<NextHopHost> {
    let with_port = |text: &Text| {
        let host = text.as_str();
        let is_bare = !host.contains(':') || host.ends_with(']');
        address::host_port(&text.with(match host.parse::<Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]:{port}"),
            Err(_) if is_bare => format!("{host}:{port}"),
            Err(_) => host.to_owned(),
        }))
    };
    if let Some(list) = written.servers.as_ref().filter(|list| list.is_empty()) {
        context.refuse(
            list.wrong("a directory without servers", "expected at least one")
                .help("for example: [\"dc1.example.test\"]"),
        );
    }
    let servers = address::hosts_once(all(&written.servers), with_port, context);
    servers.into_iter().map(Given::into_inner).collect()
}

fn check_tls(written: &LdapTable, servers: &[NextHopHost], context: &mut LoadContext) {
    if *written.tls == Protection::Plain {
        for text in
            [&written.tls_ca, &written.tls_fingerprint, &written.tls_name].into_iter().flatten()
        {
            let message = format!("`{}` beside tls = \"plain\"", text.path().key);
            context.refuse(
                text.wrong(message, "nothing would be verified")
                    .help("take one of them out: \"plain\" is without TLS"),
            );
        }
    }
    let is_v6 = |server: &NextHopHost| server.host.parse::<Ipv6Addr>().is_ok();
    if let Some(name) = &written.tls_name {
        certificate_name(name, "dc.example.test", context);
    } else if let Some(list) = &written.servers
        && *written.tls != Protection::Plain
        && servers.len() == list.len()
        && servers.iter().any(is_v6)
    {
        context.refuse(
            list.wrong("an IPv6 address needs a name for its certificate", "")
                .help("for example: tls_name = \"dc.example.test\""),
        );
    }
}

/// Who we are, if anybody.
fn bind(written: &LdapTable, context: &mut LoadContext) -> Option<Bind> {
    match (&written.bind_dn, &written.password_file) {
        (None, None) => None,
        (Some(dn), Some(path)) => {
            let password_file = file::secret(path, context)?;
            if dn.is_empty() {
                context.refuse(
                    dn.wrong("nobody's name", "expected the name of an entry")
                        .help("take `bind_dn` and `password_file` out to be anonymous"),
                );
            }
            Some(Bind { dn: dn.to_string(), password_file })
        }
        (Some(dn), None) => {
            context.refuse(
                dn.wrong("`bind_dn` without `password_file`", "")
                    .help("a name without a password binds as nobody, and looks like success"),
            );
            None
        }
        (None, Some(path)) => {
            context.refuse(path.wrong("`password_file` without `bind_dn`", "whose password?"));
            None
        }
    }
}

fn filter(written: &LdapTable, preset: Preset, context: &mut LoadContext) -> Option<Template> {
    let Some(text) = &written.filter else {
        if let Some(filter) = preset.filter() {
            return Template::parse(filter).ok();
        }
        let preset = written.preset.as_ref()?;
        context.refuse(
            preset
                .wrong("`custom` without `filter`", "expected a filter beside it")
                .help("for example: filter = \"(mail={address})\""),
        );
        return None;
    };
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(error) => {
            let help = "for example: filter = \"(&(objectClass=person)(mail={address}))\"";
            malformed(text, &error, help, context);
            None
        }
    }
}

/// The name of an attribute, or its number (RFC 4512 §2.5).
fn check_target(attribute: Option<&Text>, context: &mut LoadContext) {
    let Some(name) = attribute else { return };
    let is_right = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b';'));
    if !is_right {
        let message = format!("\"{name}\" is no attribute");
        context.refuse(name.wrong(message, "").help("for example: \"mailRoutingAddress\""));
    }
}

fn warn(written: &LdapTable, preset: Preset, bind: Option<&Bind>, context: &mut LoadContext) {
    if *written.tls == Protection::Plain && bind.is_some() {
        let is_loopback = |host: &Text| {
            let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        let servers = all(&written.servers);
        if servers.is_empty() || !servers.iter().all(is_loopback) {
            context.warn(
                written
                    .tls
                    .wrong("the password goes over the network in the clear", "")
                    .help("where the server can: tls = \"ldaps\" or \"starttls\""),
            );
        }
    }
    let is_admin =
        |bind: &Bind| bind.dn.to_ascii_lowercase().replace(' ', "").ends_with(",cn=admin");
    if preset == Preset::Exchange55
        && !bind.is_some_and(is_admin)
        && let Some(preset) = &written.preset
    {
        let place = written.bind_dn.as_ref().map_or(preset.span(), Given::span);
        context.warn(
            Mistake::new("hidden mailboxes are not seen, and would be refused")
                .key("ldap.bind_dn")
                .at(place, "")
                .help("for example: bind_dn = \"cn=postern,cn=DOMAIN,cn=admin\""),
        );
    }
}
