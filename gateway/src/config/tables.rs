//! The keys of the configuration, all but those about domains and next hops (`tables_mail.rs`)
//! and the numbers (`limits.rs`).

use super::limits;
use super::tables_mail::{BITBUCKET, DOMAIN, LEAVERS, NEXT_HOP};
use crate::settings::keys::Default::{Required, Value, Words};
use crate::settings::keys::{Key, Kind, Table, choice, key, number, table, text, texts};

/// Every table that is always there, in the order of the manual.
pub(super) const FIXED: &[Table] = &[
    Table { path: "", head: "top of the file", help: "Before the first table.", keys: TOP },
    Table {
        path: "listener",
        head: "[[listener]]",
        help: "Where clients connect. At least one.",
        keys: LISTENER,
    },
    Table {
        path: "tls",
        head: "[tls]",
        help: "The certificate shown to clients. Files are read again when they change.",
        keys: TLS,
    },
    Table {
        path: "network",
        head: "[[network]]",
        help: "Clients that are met otherwise than strangers. The most specific network decides.",
        keys: NETWORK,
    },
    Table {
        path: "next_hop",
        head: "[[next_hop]]",
        help: "A server that mail is handed to, when it needs more than an address.",
        keys: NEXT_HOP,
    },
    Table {
        path: "domain",
        head: "[[domain]]",
        help: "A domain that mail is taken for. At least one.",
        keys: DOMAIN,
    },
    Table {
        path: "domain.recipients",
        head: "recipients = [{ … }]",
        help: "A source of addresses that exist: a file, or the name of a table that says more.",
        keys: &[],
    },
    Table {
        path: "domain.bitbucket",
        head: "bitbucket = [{ … }]",
        help: "Mail that is accepted and discarded on purpose, and counted.",
        keys: BITBUCKET,
    },
    Table {
        path: "domain.leavers",
        head: "leavers = [{ … }]",
        help: "People who have left. Their mail is refused with a text of yours.",
        keys: LEAVERS,
    },
    Table {
        path: "limits",
        head: "[limits]",
        help: "What one session and the whole process may use.",
        keys: limits::LIMITS,
    },
    Table {
        path: "limits.busy",
        head: "[limits.busy]",
        help: "What holds instead when more than 70 % of `connections_max` are in use.",
        keys: limits::BUSY,
    },
    Table {
        path: "limits.stress",
        head: "[limits.stress]",
        help: "What holds instead when more than 90 % of `connections_max` are in use.",
        keys: limits::STRESS,
    },
    Table {
        path: "harvest",
        head: "[harvest]",
        help: "How strangers who guess addresses are met. A client is an IPv4 address or an IPv6 \
               /64; its network is the /24 or /48 around it.",
        keys: limits::HARVEST,
    },
    Table {
        path: "rates",
        head: "[rates]",
        help: "How often one client (an IPv4 address or an IPv6 /64) may come.",
        keys: limits::RATES,
    },
    Table { path: "log", head: "[log]", help: "One event a line.", keys: LOG },
    Table {
        path: "metrics",
        head: "[metrics]",
        help: "Figures for Prometheus at `/metrics`. Without this table there are none.",
        keys: METRICS,
    },
];

const TOP: &[Key] = &[
    text(
        "hostname",
        Required,
        "\"mx.example.test\"",
        "What Postern calls itself in the greeting, in EHLO and in trace fields: the fully \
         qualified name that the MX record and the reverse lookup of its address give.",
    ),
    text(
        "state_dir",
        Words("nothing is kept over a restart"),
        "\"/var/lib/postern\"",
        "Directory for what must outlive a restart, and for content that memory has no room for \
         (else the system's temporary folder). It must exist.",
    ),
    text(
        "user",
        Words("stays the user it was started as"),
        "\"postern\"",
        "User to become once the listeners are open.",
    ),
    text("group", Words("the first group of `user`"), "\"postern\"", "Group to become with it."),
    key(
        "start_without_sources",
        Kind::Boolean,
        Value("true"),
        "false",
        "Whether `postern run` starts although a recipient source cannot be used; its domains then \
         hear 451 where nobody else knows. With `false` it tries all of them out first, as \
         `postern check` does, and ends with exit code 3 when one fails. A reload never does.",
    ),
    key(
        "listener",
        Kind::Tables("listener"),
        Required,
        "\n\n    [[listener]]\n    address = \"0.0.0.0:25\"",
        "Where clients connect.",
    )
    .because("without a listener nobody can connect"),
    table("tls", "no TLS for clients", "The certificate shown to clients."),
    key(
        "network",
        Kind::Tables("network"),
        Words("every client is a stranger"),
        "\n\n    [[network]]\n    name = \"inside\"\n    addresses = [\"10.0.0.0/8\"]",
        "Clients that are met otherwise than strangers.",
    ),
    key(
        "next_hop",
        Kind::Tables("next_hop"),
        Words("each domain gives an address"),
        "\n\n    [[next_hop]]\n    name = \"inside\"\n    hosts = [\"10.0.0.5:25\"]",
        "Servers that mail is handed to.",
    ),
    key(
        "domain",
        Kind::Tables("domain"),
        Required,
        "\n\n    [[domain]]\n    name = \"example.test\"\n    next_hop = \"10.0.0.5:25\"\n    \
         recipients = [{ file = \"users.txt\" }]",
        "Domains that mail is taken for.",
    )
    .because("without a domain every recipient would be refused"),
    table("limits", "the defaults of its keys", "What one session and the whole process may use."),
    table("harvest", "the defaults of its keys", "How strangers who guess addresses are met."),
    table("rates", "the defaults of its keys", "How often one client may come."),
    table("log", "the defaults of its keys", "Where events are written."),
    table("metrics", "no figures", "Where figures are read."),
];

const LISTENER: &[Key] = &[
    text(
        "address",
        Required,
        "\"0.0.0.0:25\"",
        "IP address and port: `192.0.2.1:25`, `[::]:25`; or `systemd:NAME` (or `systemd:0`, by \
         number) for a socket that systemd has opened.",
    ),
    choice(
        "tls",
        &["none", "starttls", "implicit"],
        Words("`starttls` when there is a `[tls]`, else `none`"),
        "`starttls` offers it after EHLO (RFC 3207), `implicit` begins with it.",
    ),
    key(
        "proxy_protocol",
        Kind::Boolean,
        Value("false"),
        "true",
        "A PROXY header (version 1 or 2) must open each connection and names the true client.",
    ),
    texts(
        "proxy_from",
        Words("nobody; required with `proxy_protocol`"),
        "[\"10.0.0.7/32\"]",
        "The load balancers whose PROXY headers are believed; others are turned away.",
    ),
    number(
        "greeting_delay_milliseconds",
        0,
        0,
        60_000,
        "How long the greeting is held back. A client that talks before it has broken the \
         protocol and is refused.",
    ),
];

const TLS: &[Key] = &[
    text(
        "certificate",
        Required,
        "\"mx.pem\"",
        "PEM file: our certificate, then the chain above it.",
    ),
    text("key", Required, "\"mx.key\"", "PEM file: the private key of the first certificate."),
];

const NETWORK: &[Key] = &[
    text("name", Required, "\"inside\"", "What it is called in the log."),
    texts(
        "addresses",
        Required,
        "[\"10.0.0.0/8\", \"2001:db8::/32\"]",
        "Its addresses; a bare address stands for itself alone.",
    ),
    choice(
        "limits",
        &["normal", "lifted"],
        Value("\"normal\""),
        "`lifted`: `[rates]`, `[harvest]`, `errors_max`, `junk_commands_max`, `messages_max` and \
         `client_connections_max` do not apply.",
    ),
    choice(
        "line_endings",
        &["strict", "normalize"],
        Value("\"strict\""),
        "`strict` refuses content with a bare CR or LF; `normalize` makes each a CRLF, for \
         printers and scripts that know no better.",
    ),
    key(
        "teaches",
        Kind::Boolean,
        Value("false"),
        "true",
        "For `{ learned = true }`: an address of ours that mail from here bears as its sender, and \
         that is handed over, is taken to exist. Only where nobody can send under a false name.",
    ),
];

const LOG: &[Key] = &[
    text("file", Words("standard output"), "\"/var/log/postern.log\"", "A file to append to."),
    choice(
        "format",
        &["json", "text", "auto"],
        Value("\"auto\""),
        "`auto`: text on a terminal, else JSON.",
    ),
];

const METRICS: &[Key] = &[
    text("address", Required, "\"127.0.0.1:9925\"", "IP address and port."),
    key(
        "public",
        Kind::Boolean,
        Value("false"),
        "true",
        "Allows an address that others than this machine can reach; it asks for no password.",
    ),
];
