//! `[[callout]]`, and `{ callout = true }`, which asks the domain's own next hop.

use crate::settings::address;
use crate::settings::keys::Default::{Required, Value, Words};
use crate::settings::keys::{Key, Kind, Table, choice, key, number, text, texts};
use crate::settings::server::{NextHop, NextHopHost, NextHopTls};
use crate::settings::site::{Site, Text, at, number as number_of, word};
use crate::settings::tls_keys::TlsKeys;
use mail::address::Host;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::time::Duration;
use toml::de::{DeValue, ValueDeserializer};

/// Whom to ask, and how far. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What it is called in logs and in `explain`.
    pub name: String,
    /// In the order they are asked; at least one.
    pub hosts: Vec<NextHopHost>,
    /// Whether TLS is used, and what is believed.
    pub tls: NextHopTls,
    /// How far it must be asked.
    pub until: Until,
    /// Who asks where `<>` is refused; `None`: postmaster at our name.
    pub sender: Option<String>,
    /// Questions to one host at the same time.
    pub concurrency_max: u32,
    /// New questions to one host in any second.
    pub questions_per_second_max: u32,
    /// Until a connection stands.
    pub connect_max: Duration,
    /// Until the answer, over all hosts.
    pub question_max: Duration,
    /// How long a yes is believed.
    pub positive_seconds: u32,
    /// How long a no is believed.
    pub negative_seconds: u32,
}

/// How far a server must be asked until it says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Until {
    /// It says so at RCPT.
    Rcpt,
    /// It says so at DATA, and at RCPT takes everybody.
    Data,
}

/// As it was written.
#[derive(Debug, std::default::Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    name: Option<Text>,
    hosts: Option<Spanned<Vec<Text>>>,
    tls: Option<Text>,
    tls_ca: Option<Text>,
    tls_fingerprint: Option<Text>,
    tls_name: Option<Text>,
    until: Option<Text>,
    sender: Option<Text>,
    concurrency_max: Option<Spanned<i64>>,
    questions_per_second_max: Option<Spanned<i64>>,
    connect_seconds_max: Option<Spanned<i64>>,
    question_seconds_max: Option<Spanned<i64>>,
    positive_seconds: Option<Spanned<i64>>,
    negative_seconds: Option<Spanned<i64>>,
}

/// `[[callout]]`.
pub const TABLE: Table = Table {
    path: "callout",
    head: "[[callout]]",
    help: "A server that is asked by SMTP whether it takes mail for an address. One that takes \
           everybody is found out, and not believed.",
    keys: KEYS,
};

/// What it brings to `recipients`.
pub const ENTRY: &[Key] = &[key(
    "callout",
    Kind::TextOrTrue,
    Words("none"),
    "true",
    "`true`: the domain's next hop is asked by SMTP for each address; or the name of a \
     `[[callout]]`.",
)];

/// Questions take 8 seconds at most by default: RCPT is answered after that in any case.
const KEYS: &[Key] = &[
    text("name", Required, "\"inside\"", "What `{ callout = \"…\" }` in `recipients` calls it."),
    texts(
        "hosts",
        Required,
        "[\"10.0.0.5:25\"]",
        "Its servers, `host:port`, asked in this order until one knows.",
    ),
    choice(
        "tls",
        &["none", "opportunistic", "require"],
        Value("\"opportunistic\""),
        "As in `[[next_hop]]`.",
    ),
    text("tls_ca", Words("the system's roots"), "\"inside-ca.pem\"", "As in `[[next_hop]]`."),
    text(
        "tls_fingerprint",
        Words("the certificate is verified by its chain"),
        "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "As in `[[next_hop]]`.",
    ),
    text(
        "tls_name",
        Words("the host's name"),
        "\"exchange.example.test\"",
        "As in `[[next_hop]]`.",
    ),
    choice(
        "until",
        &["rcpt", "data"],
        Value("\"rcpt\""),
        "How far the server is asked. `data` is for those that take every recipient at RCPT and \
         refuse behind DATA (Exchange 2013 and later); the connection is closed before any \
         content.",
    ),
    text(
        "sender",
        Words("postmaster at `hostname`"),
        "\"postmaster@mx.example.test\"",
        "Who asks where the server refuses the null reverse-path, `<>`, which comes first.",
    ),
    number("concurrency_max", 8, 1, 100, "Questions to one host at the same time."),
    number(
        "questions_per_second_max",
        20,
        1,
        1_000,
        "New questions to one host in any second. More wait, and when their time is over the \
         client is told to try again.",
    ),
    number("connect_seconds_max", 5, 1, 60, "Until a connection stands."),
    number(
        "question_seconds_max",
        8,
        1,
        60,
        "Until the answer, over all hosts; the client waits for its reply to RCPT meanwhile.",
    ),
    number("positive_seconds", 604_800, 0, 31_536_000, "How long a yes is believed."),
    number("negative_seconds", 10_800, 0, 31_536_000, "How long a no is believed."),
];

impl Settings {
    /// Asks a domain's own next hop, with its hosts and its TLS, and no longer than it may take.
    #[must_use]
    pub fn of_next_hop(hop: &NextHop) -> Self {
        let first = hop.hosts.first().map(|host| format!("{}:{}", host.host, host.port));
        let at_most = |name, max: Duration| seconds(name, None).min(max);
        Self {
            name: hop.name.clone().or(first).unwrap_or_default(),
            tls: hop.tls.clone(),
            connect_max: at_most("connect_seconds_max", hop.connect_max),
            question_max: at_most("question_seconds_max", hop.command_max),
            ..Self::of_hosts(hop.hosts.clone())
        }
    }

    /// Asks these hosts, with whatever TLS they offer, and with the defaults of `[[callout]]`.
    #[must_use]
    pub fn of_hosts(hosts: Vec<NextHopHost>) -> Self {
        Self {
            name: String::new(),
            hosts,
            tls: NextHopTls::Opportunistic,
            until: Until::Rcpt,
            sender: None,
            concurrency_max: count("concurrency_max", None),
            questions_per_second_max: count("questions_per_second_max", None),
            connect_max: seconds("connect_seconds_max", None),
            question_max: seconds("question_seconds_max", None),
            positive_seconds: count("positive_seconds", None),
            negative_seconds: count("negative_seconds", None),
        }
    }
}

fn count(name: &str, written: Option<&Spanned<i64>>) -> u32 {
    number_of(&TABLE, name, written)
}

fn seconds(name: &str, written: Option<&Spanned<i64>>) -> Duration {
    Duration::from_secs(count(name, written).into())
}

/// Reads one `[[callout]]`; `None` when a mistake was reported.
pub(crate) fn read(value: Spanned<DeValue<'_>>, site: &mut Site) -> Option<Settings> {
    // The shape has been checked; what was wrong with it has been told and taken out.
    let written = Written::deserialize(ValueDeserializer::from(value)).ok()?;
    let hosts = hosts(written.hosts.as_ref()?, site);
    let keys = TlsKeys {
        tls: written.tls.as_ref(),
        tls_ca: written.tls_ca.as_ref(),
        tls_fingerprint: written.tls_fingerprint.as_ref(),
        tls_name: written.tls_name.as_ref(),
    };
    let tls = keys.read("callout", site);
    let sender = written.sender.as_ref().map(|sender| self::sender(sender, site));
    let (hosts, sender) = (hosts?, sender.map_or(Some(None), |sender| sender.map(Some))?);
    let question_max = seconds("question_seconds_max", written.question_seconds_max.as_ref());
    Some(Settings {
        name: written.name?.into_inner(),
        hosts,
        tls,
        until: match word(written.until.as_ref(), "rcpt") {
            "data" => Until::Data,
            _ => Until::Rcpt,
        },
        sender,
        concurrency_max: count("concurrency_max", written.concurrency_max.as_ref()),
        questions_per_second_max: count(
            "questions_per_second_max",
            written.questions_per_second_max.as_ref(),
        ),
        connect_max: seconds("connect_seconds_max", written.connect_seconds_max.as_ref()),
        question_max,
        positive_seconds: count("positive_seconds", written.positive_seconds.as_ref()),
        negative_seconds: count("negative_seconds", written.negative_seconds.as_ref()),
    })
}

fn hosts(list: &Spanned<Vec<Text>>, site: &mut Site) -> Option<Vec<NextHopHost>> {
    let key = "callout.hosts";
    if list.get_ref().is_empty() {
        site.refuse(
            at(key, list, "a call-out without hosts", "expected at least one")
                .help("for example: hosts = [\"10.0.0.5:25\"]"),
        );
        return None;
    }
    let mut hosts = Vec::new();
    let mut is_right = true;
    for text in list.get_ref() {
        let mistake = match address::host_port(key, text) {
            Ok(host) if hosts.contains(&host) => {
                at(key, text, format!("\"{}\" is listed twice", text.get_ref()), "again here")
            }
            Ok(host) => {
                hosts.push(host);
                continue;
            }
            Err(mistake) => mistake,
        };
        site.refuse(mistake);
        is_right = false;
    }
    is_right.then_some(hosts)
}

fn sender(written: &Text, site: &mut Site) -> Option<String> {
    match address::mailbox("callout.sender", written) {
        Ok(mailbox) if matches!(mailbox.host, Host::Domain(_)) => Some(mailbox.to_string()),
        Ok(_) => {
            site.refuse(
                at("callout.sender", written, "a sender at an address literal", "expected a name")
                    .help("for example: sender = \"postmaster@mx.example.test\""),
            );
            None
        }
        Err(mistake) => {
            site.refuse(mistake);
            None
        }
    }
}
