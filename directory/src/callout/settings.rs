//! `[[callout]]`, and `{ callout = true }`, which asks the domain's own next hop.

use mail::address::Host;
use settings::address;
use settings::table::context::LoadContext;
use settings::table::keys::{Kind, table};
use settings::table::reader::{FromTable, Raw};
use settings::table::value::{At, Given, List, Text, Value, choice};
use settings::tls_keys::{TlsKeys, TlsUse};
use std::time::Duration;
use wire::server::{NextHop, NextHopHost, NextHopTls};

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

choice!(Until { Rcpt = "rcpt", Data = "data" });

table! {
    /// A server that is asked by SMTP whether it takes mail for an address. One that takes
    /// everybody is found out, and not believed.
    pub(crate) struct CalloutTable("callout", "[[callout]]") {
        /// What `{ callout = "…" }` in `recipients` calls it.
        name: Option<Text> = required().like("inside"),
        /// Its servers, `host:port`, asked in this order until one knows.
        hosts: List<String> = required().like(r#"["10.0.0.5:25"]"#),
        /// As in `[[next_hop]]`.
        tls: Given<TlsUse> = choice("opportunistic"),
        /// As in `[[next_hop]]`.
        tls_ca: Option<Text> = optional("the system's roots").like("inside-ca.pem"),
        /// As in `[[next_hop]]`.
        tls_fingerprint: Option<Text> = optional("the certificate is verified by its chain")
            .like("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        /// As in `[[next_hop]]`.
        tls_name: Option<Text> = optional("the host's name").like("exchange.example.test"),
        /// How far the server is asked. `data` is for those that take every recipient at RCPT and
        /// refuse behind DATA (Exchange 2013 and later); the connection is closed before any
        /// content.
        until: Given<Until> = choice("rcpt"),
        /// Who asks where the server refuses the null reverse-path, `<>`, which comes first.
        sender: Option<Text> =
            optional("postmaster at `hostname`").like("postmaster@mx.example.test"),
        /// Questions to one host at the same time.
        concurrency_max: Given<u32> = number(8, 1..=100),
        /// New questions to one host in any second. More wait, and when their time is over the
        /// client is told to try again.
        questions_per_second_max: Given<u32> = number(20, 1..=1_000),
        /// Until a connection stands.
        connect_seconds_max: Given<Duration> = number(5, 1..=60),
        /// Until the answer, over all hosts; the client waits for its reply to RCPT meanwhile.
        question_seconds_max: Given<Duration> = number(8, 1..=60),
        /// How long a yes is believed.
        positive_seconds: Given<u32> = number(604_800, 0..=31_536_000),
        /// How long a no is believed.
        negative_seconds: Given<u32> = number(10_800, 0..=31_536_000),
    }
}

table! {
    /// The next hop, or another server, that is asked by SMTP for each address.
    pub(crate) struct Entry("domain.recipients", "recipients = [{ … }]") {
        /// `true`: the domain's next hop is asked by SMTP for each address; or the name of a
        /// `[[callout]]`.
        callout: Option<Given<NameOrTrue>> = optional("none").like("true"),
    }
}

/// The name of a `[[callout]]`, or `true`.
#[derive(Debug)]
pub(crate) enum NameOrTrue {
    /// A name.
    Name(String),
    /// The domain's own next hop.
    True,
}

impl Value for NameOrTrue {
    const KIND: Kind = Kind::TextOrTrue;
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        match raw {
            Raw::Text(name) => Some(Self::Name(name)),
            Raw::Boolean(true) => Some(Self::True),
            _ => at.wrong_kind(context),
        }
    }
}

impl Settings {
    /// Asks a domain's own next hop, with its hosts and its TLS, and no longer than it may take.
    #[must_use]
    pub fn of_next_hop(hop: &NextHop) -> Self {
        let first = hop.hosts.first().map(|host| format!("{}:{}", host.host, host.port));
        let written = CalloutTable::default_of();
        Self {
            name: hop.name.clone().or(first).unwrap_or_default(),
            tls: hop.tls.clone(),
            connect_max: written.connect_seconds_max.min(hop.connect_max),
            question_max: written.question_seconds_max.min(hop.command_max),
            ..Self::of_hosts(hop.hosts.clone())
        }
    }

    /// Asks these hosts, with whatever TLS they offer, and with the defaults of `[[callout]]`.
    #[must_use]
    pub fn of_hosts(hosts: Vec<NextHopHost>) -> Self {
        Self::new(
            String::new(),
            hosts,
            NextHopTls::Opportunistic,
            None,
            &CalloutTable::default_of(),
        )
    }

    fn new(
        name: String,
        hosts: Vec<NextHopHost>,
        tls: NextHopTls,
        sender: Option<String>,
        written: &CalloutTable,
    ) -> Self {
        Self {
            name,
            hosts,
            tls,
            until: *written.until,
            sender,
            concurrency_max: *written.concurrency_max,
            questions_per_second_max: *written.questions_per_second_max,
            connect_max: *written.connect_seconds_max,
            question_max: *written.question_seconds_max,
            positive_seconds: *written.positive_seconds,
            negative_seconds: *written.negative_seconds,
        }
    }
}

/// Understands one `[[callout]]`; what it returns counts for nothing when a mistake was reported.
pub(crate) fn read(written: &CalloutTable, context: &mut LoadContext) -> Option<Settings> {
    let hosts = hosts(written.hosts.as_ref()?, context);
    let keys = TlsKeys {
        tls: *written.tls,
        tls_ca: written.tls_ca.as_ref(),
        tls_fingerprint: written.tls_fingerprint.as_ref(),
        tls_name: written.tls_name.as_ref(),
    };
    let tls = keys.read(context);
    let sender = written.sender.as_ref().and_then(|sender| self::sender(sender, context));
    Some(Settings::new(written.name.as_ref()?.to_string(), hosts, tls, sender, written))
}

fn hosts(list: &Given<Vec<Text>>, context: &mut LoadContext) -> Vec<NextHopHost> {
    if list.is_empty() {
        context.refuse(
            list.wrong("a call-out without hosts", "expected at least one")
                .help("for example: hosts = [\"10.0.0.5:25\"]"),
        );
    }
    let hosts = address::hosts_once(list, address::host_port, context);
    hosts.into_iter().map(Given::into_inner).collect()
}

fn sender(written: &Text, context: &mut LoadContext) -> Option<String> {
    match address::mailbox(written) {
        Ok(mailbox) if matches!(mailbox.host, Host::Domain(_)) => Some(mailbox.to_string()),
        Ok(_) => {
            context.refuse(
                written
                    .wrong("a sender at an address literal", "expected a name")
                    .help("for example: sender = \"postmaster@mx.example.test\""),
            );
            None
        }
        Err(mistake) => {
            context.refuse(mistake);
            None
        }
    }
}
