//! The tables of the configuration: a key is one entry of a list, from which its reader, its check,
//! its default and its line in the manual come. Those about mail are in `tables_mail.rs`, the
//! numbers in `limits.rs`; recipient sources bring theirs. What the values mean is for `build`.

use super::limits::{Harvest, Limits, Rates};
use super::tables_mail::{Domain, NextHop};
use settings::process::{ListenerTls, LogFormat};
use settings::table::keys::table;
use settings::table::value::{Given, List, Text, choice};

table! {
    /// Before the first table.
    pub struct TopTable("", "top of the file") {
        /// What Postern calls itself in the greeting, in EHLO and in trace fields: the fully
        /// qualified name that the MX record and the reverse lookup of its address give.
        hostname: Option<Text> = required().like("mx.example.test"),
        /// Directory for what must outlive a restart, and for content that memory has no room for
        /// (else the system's temporary folder). It must exist.
        state_dir: Option<Text> =
            optional("nothing is kept over a restart").like("/var/lib/postern"),
        /// User to become once the listeners are open.
        user: Option<Text> = optional("stays the user it was started as").like("postern"),
        /// Group to become with it.
        group: Option<Text> = optional("the first group of `user`").like("postern"),
        /// Whether `postern run` starts although a recipient source cannot be used; its domains
        /// then hear 451 where nobody else knows. With `false` it tries all of them out first, as
        /// `postern check` does, and ends with exit code 3 when one fails. A reload never does.
        start_without_sources: Given<bool> = flag(true),
        /// Where clients connect.
        listener: List<Listener> = required().because("without a listener nobody can connect"),
        /// The certificate shown to clients.
        tls: Option<Given<Tls>> = optional("no TLS for clients"),
        /// Clients that are met otherwise than strangers.
        network: List<Network> = optional("every client is a stranger"),
        /// Servers that mail is handed to.
        next_hop: List<NextHop> = optional("each domain gives an address"),
        /// Domains that mail is taken for.
        domain: List<Domain> = required()
            .because("without a domain every recipient would be refused"),
        /// What one session and the whole process may use.
        limits: Given<Limits> = table_of("the defaults of its keys"),
        /// How strangers who guess addresses are met.
        harvest: Given<Harvest> = table_of("the defaults of its keys"),
        /// How often one client may come.
        rates: Given<Rates> = table_of("the defaults of its keys"),
        /// What clients must show in the DNS, and who is asked.
        dns: Given<Dns> = table_of("the defaults of its keys"),
        /// Where events are written.
        log: Given<Log> = table_of("the defaults of its keys"),
        /// Where figures are read.
        metrics: Option<Given<Metrics>> = optional("no figures"),
    }
}

table! {
    /// Where clients connect. At least one.
    pub struct Listener("listener", "[[listener]]") {
        /// IP address and port: `192.0.2.1:25`, `[::]:25`; or `systemd:NAME` (or `systemd:0`, by
        /// number) for a socket that systemd has opened.
        address: Option<Text> = required().like("0.0.0.0:25"),
        /// `starttls` offers it after EHLO (RFC 3207), `implicit` begins with it.
        tls: Option<Given<ListenerTls>> =
            optional("`starttls` when there is a `[tls]`, else `none`"),
        /// A PROXY header (version 1 or 2) must open each connection and names the true client.
        proxy_protocol: Given<bool> = flag(false),
        /// The load balancers whose PROXY headers are believed; others are turned away.
        proxy_from: List<String> =
            optional("nobody; required with `proxy_protocol`").like(r#"["10.0.0.7/32"]"#),
        /// How long the greeting is held back. A client that talks before it has broken the
        /// protocol and is refused; without a delay, only what came with the connection is heard.
        greeting_delay_milliseconds: Given<u32> = number(0, 0..=60_000),
        /// What it calls itself in the greeting and to EHLO. Trace fields bear the name at the top.
        hostname: Option<Text> = optional("the `hostname` at the top").like("relay.inside.example"),
        /// The largest content that it takes.
        size_octets_max: Option<Given<u64>> =
            optional("`size_octets_max` of `[limits]`").within(64 << 10..=1 << 40).like("104857600"),
        /// Keywords that it does not say to EHLO, for clients that cannot bear them: `PIPELINING`,
        /// `8BITMIME`.
        withheld_keywords: List<String> = optional("none").like(r#"["PIPELINING"]"#),
    }
}

table! {
    /// The certificate shown to clients. Files are read again when they change.
    pub struct Tls("tls", "[tls]") {
        /// PEM file: our certificate, then the chain above it.
        certificate: Option<Text> = required().like("mx.pem"),
        /// PEM file: the private key of the first certificate.
        key: Option<Text> = required().like("mx.key"),
    }
}

table! {
    /// Clients that are met otherwise than strangers. The most specific network decides.
    pub struct Network("network", "[[network]]") {
        /// What it is called in the log.
        name: Option<Text> = required().like("inside"),
        /// Its addresses; a bare address stands for itself alone.
        addresses: List<String> = required().like(r#"["10.0.0.0/8", "2001:db8::/32"]"#),
        /// `lifted`: `[rates]`, `[harvest]`, `errors_max`, `junk_commands_max`, `messages_max` and
        /// `client_connections_max` do not apply.
        limits: Given<NetworkLimits> = choice("normal"),
        /// `strict` refuses content with a bare CR or LF; `normalize` makes each a CRLF, for
        /// printers and scripts that know no better, and takes addresses without angle brackets and
        /// a bare host name as the sender.
        line_endings: Given<LineEndings> = choice("strict"),
        /// For `{ learned = true }`: an address of ours that mail from here bears as its sender,
        /// and that is handed over, is taken to exist. Only where nobody can send under a false
        /// name.
        teaches: Given<bool> = flag(false),
    }
}

/// `limits` of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkLimits {
    /// As for strangers.
    Normal,
    /// Those on how much and how often do not apply.
    Lifted,
}

choice!(NetworkLimits { Normal = "normal", Lifted = "lifted" });

/// `line_endings` of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEndings {
    /// A bare CR or LF is refused.
    Strict,
    /// A bare CR or LF becomes CRLF.
    Normalize,
}

choice!(LineEndings { Strict = "strict", Normalize = "normalize" });

table! {
    /// What clients must show in the DNS, and who is asked.
    pub struct Dns("dns", "[dns]") {
        /// Whether a client whose address has no name in the DNS (PTR) hears 450 to each recipient
        /// but `postmaster` and `abuse`. One whose name does not lead back to the address passes,
        /// and so does everybody while the DNS does not answer. Networks with `limits = "lifted"`
        /// are not asked. The name that was found stands in the trace field.
        require_reverse_name: Given<bool> = flag(false),
        /// DNS servers: IP address, or IP address and port. Best is one on this machine, or near.
        servers: List<String> =
            optional("those of `/etc/resolv.conf`").like(r#"["127.0.0.1", "[::1]:5353"]"#),
    }
}

table! {
    /// One event a line.
    pub struct Log("log", "[log]") {
        /// A file to append to.
        file: Option<Text> = optional("standard output").like("/var/log/postern/postern.log"),
        /// `auto`: text on a terminal, else JSON.
        format: Given<LogFormat> = choice("auto"),
    }
}

table! {
    /// Figures for Prometheus at `/metrics`, and at `/healthz` whether mail passes: 503 and why
    /// where it does not; `?ready` asks only whether connections are taken and there is a next
    /// hop, `?live` whether the process answers. Without this table there are none.
    pub struct Metrics("metrics", "[metrics]") {
        /// IP address and port.
        address: Option<Text> = required().like("127.0.0.1:9925"),
        /// Allows an address that others than this machine can reach; it asks for no password.
        public: Given<bool> = flag(false),
    }
}
