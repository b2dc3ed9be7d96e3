//! The keys of the configuration that say where mail goes: `[[next_hop]]` and `[[domain]]`.

use crate::settings::keys::Default::{Required, Value, Words};
use crate::settings::keys::{Key, Kind, choice, key, number, text, texts};

pub(super) const NEXT_HOP: &[Key] = &[
    text("name", Required, "\"inside\"", "What `next_hop` of a `[[domain]]` calls it."),
    texts(
        "hosts",
        Required,
        "[\"10.0.0.5:25\", \"10.0.0.6:25\"]",
        "Its servers, `host:port`, tried in this order.",
    ),
    choice(
        "tls",
        &["none", "opportunistic", "require"],
        Value("\"opportunistic\""),
        "`opportunistic` uses STARTTLS where it is offered and believes any certificate, which \
         keeps out listeners but no impostor. `require` sends nothing without TLS, and verifies.",
    ),
    text(
        "tls_ca",
        Words("the system's roots"),
        "\"inside-ca.pem\"",
        "PEM file of the authorities that `require` believes.",
    ),
    text(
        "tls_fingerprint",
        Words("the certificate is verified by its chain"),
        "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "SHA-256 of the one certificate (DER) that `require` believes, in hex; its name and \
         dates do not matter then.",
    ),
    text(
        "tls_name",
        Words("the host's name"),
        "\"exchange.example.test\"",
        "The name that the certificate must bear, when it is not the host's.",
    ),
    number("connections_max", 20, 1, 10_000, "Connections to each of its hosts."),
    number(
        "idle_seconds_max",
        30,
        1,
        3_600,
        "How long a connection is kept without mail; less than the server's own patience.",
    ),
    number("age_seconds_max", 300, 1, 86_400, "How old a connection may grow."),
    number("messages_max", 100, 1, 1_000_000, "Messages handed over one connection."),
    choice(
        "client_details",
        &["auto", "xforward", "xclient", "none"],
        Value("\"auto\""),
        "How the server is told who the client is: by XFORWARD or XCLIENT, whichever it offers \
         (`auto`), or not at all.",
    ),
    key(
        "content_line_octets_max",
        Kind::Number(998, 1 << 20),
        Words("lines are handed over as they came"),
        "998",
        "The longest line of content the server stands, without CRLF; a message with a longer \
         one is refused.",
    )
    .because("RFC 5321 §4.5.3.1.6 lets every message have lines of 998 octets"),
    number("connect_seconds_max", 10, 1, 300, "Until the connection stands."),
    number("greeting_seconds_max", 60, 1, 300, "Until its greeting."),
    number("command_seconds_max", 60, 1, 300, "Until the reply to a command."),
    number("data_seconds_max", 120, 1, 300, "Until the reply to DATA, and for each write."),
    number("final_reply_seconds_max", 180, 1, 300, "Until the reply to the final dot.").because(
        "our client waits at the same time, and may leave after 300 seconds: it would then send \
         the message again",
    ),
    number("breaker_failures", 5, 1, 1_000, "Failures in a row after which a host is left alone."),
    number("breaker_retry_seconds", 30, 1, 3_600, "How long it is left alone."),
];

pub(super) const DOMAIN: &[Key] = &[
    text(
        "name",
        Required,
        "\"example.test\"",
        "What stands behind the `@`. Names beyond ASCII may be written as people read \
         them (`bücher.example`).",
    ),
    texts(
        "aliases",
        Words("none"),
        "[\"example.org\"]",
        "Further names: mail for user@alias is checked and handed over as user@name.",
    ),
    key(
        "next_hop",
        Kind::TextOrTexts,
        Required,
        "\"10.0.0.5:25\"",
        "Who takes its mail: `host:port`, a list of them in the order they are tried, or the \
         name of a `[[next_hop]]`.",
    ),
    choice(
        "custody",
        &["never"],
        Value("\"never\""),
        "`never`: a message is taken only when the next hop has taken it.",
    )
    .because(
        "this version cannot store mail: it answers 250 only after the next hop has, and 4yz when \
         the next hop does not answer. Nothing is lost by it: the client keeps the message and \
         tries again",
    ),
    key(
        "recipients",
        Kind::Tables("domain.recipients"),
        Required,
        "[{ file = \"users.txt\" }]",
        "The sources of addresses that exist, in the order they are asked. An address exists when \
         any of them has it, and is unknown when all of them say so.",
    )
    .because(
        "a relay that does not know its recipients takes mail for anybody, and the server behind \
         it must send the bounces to forged senders: backscatter",
    ),
    text(
        "sub_address_separator",
        Words("none"),
        "\"+\"",
        "One character: what follows it in a local part is not looked up (jones+lists@).",
    ),
    choice(
        "local_part_case",
        &["folded", "exact"],
        Value("\"folded\""),
        "`folded`: Jones@ and jones@ are one mailbox; `exact`: they are two.",
    ),
    text(
        "local_part_characters",
        Value("\"\""),
        "\"/=\"",
        "Characters out of `/` and `=` that real addresses of this domain contain (names from \
         X.400). Elsewhere they are refused, since some servers read routes into them.",
    ),
    text(
        "catch_all",
        Words("they are refused"),
        "\"office@example.test\"",
        "Where mail for addresses that do not exist goes, instead of a refusal.",
    ),
    text(
        "postmaster",
        Words("it is handed over as it is"),
        "\"jones@example.test\"",
        "Where mail for `postmaster` and `abuse` goes when no source knows them.",
    ),
    text(
        "canary",
        Words("none"),
        "\"jones@example.test\"",
        "An address that every source must know: one that does not is taken for broken.",
    ),
    choice(
        "on_outage",
        &["defer", "accept"],
        Value("\"defer\""),
        "What becomes of an address that no source can say anything of, and that was not known \
         before: `defer` answers 451, and the client tries again. `accept` takes it, and the \
         server behind will send bounces to forged senders for as long as the outage lasts.",
    ),
    key(
        "bitbucket",
        Kind::Tables("domain.bitbucket"),
        Words("none"),
        "[{ address = \"noreply@example.test\", reason = \"nobody reads it\" }]",
        "Addresses whose mail is accepted and discarded.",
    ),
    key(
        "leavers",
        Kind::Tables("domain.leavers"),
        Words("none"),
        "[{ address = \"smith@example.test\", text = \"has left, write to jones@example.test\" }]",
        "Addresses whose mail is refused with a text.",
    ),
];

pub(super) const BITBUCKET: &[Key] = &[
    text(
        "address",
        Required,
        "\"noreply@example.test\"",
        "An address of the domain, or a pattern with `*` for any characters.",
    ),
    text("reason", Required, "\"nobody reads it\"", "Why; it stands in the log."),
];

pub(super) const LEAVERS: &[Key] = &[
    text(
        "address",
        Required,
        "\"smith@example.test\"",
        "An address of the domain, or a pattern with `*` for any characters.",
    ),
    text(
        "text",
        Required,
        "\"has left, write to jones@example.test\"",
        "What the client hears after 550 5.1.1.",
    ),
];
