//! The tables that say where mail goes: `[[next_hop]]` and `[[domain]]`.

use relay::settings::LocalPartCase;
use settings::table::context::LoadContext;
use settings::table::keys::{Kind, table};
use settings::table::reader::Raw;
use settings::table::unread::Unread;
use settings::table::value::{At, Given, List, Text, Value, choice};
use settings::tls_keys::TlsUse;
use std::time::Duration;
use wire::server::ClientDetails;

table! {
    /// A server that mail is handed to, when it needs more than an address.
    pub struct NextHop("next_hop", "[[next_hop]]") {
        /// What `next_hop` of a `[[domain]]` calls it.
        name: Option<Text> = required().like("inside"),
        /// Its servers, `host:port`, tried in this order.
        hosts: List<String> = required().like(r#"["10.0.0.5:25", "10.0.0.6:25"]"#),
        /// `opportunistic` uses STARTTLS where it is offered and believes any certificate, which
        /// keeps out listeners but no impostor. `require` sends nothing without TLS, and verifies.
        tls: Given<TlsUse> = choice("opportunistic"),
        /// PEM file of the authorities that `require` believes, or of the server's own
        /// certificate.
        tls_ca: Option<Text> = optional("the system's roots").like("inside-ca.pem"),
        /// SHA-256 of the one certificate (DER) that `require` believes, in hex; its name and dates
        /// do not matter then.
        tls_fingerprint: Option<Text> = optional("the certificate is verified by its chain")
            .like("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        /// The name that the certificate must bear, when it is not the host's.
        tls_name: Option<Text> = optional("the host's name").like("exchange.example.test"),
        /// Connections to each of its hosts.
        connections_max: Given<u32> = number(20, 1..=10_000),
        /// How long a connection is kept without mail; less than the server's own patience.
        idle_seconds_max: Given<Duration> = number(30, 1..=3_600),
        /// How old a connection may grow.
        age_seconds_max: Given<Duration> = number(300, 1..=86_400),
        /// Messages handed over one connection.
        messages_max: Given<u32> = number(100, 1..=1_000_000),
        /// How the server is told who the client is: by XFORWARD or XCLIENT, whichever it offers
        /// (`auto`), or not at all.
        client_details: Given<ClientDetails> = choice("auto"),
        /// The longest line of content the server stands, without CRLF; a message with a longer one
        /// is refused.
        content_line_octets_max: Option<Given<u32>> =
            optional("lines are handed over as they came").within(998..=1_048_576).like("998")
            .because("RFC 5321 §4.5.3.1.6 lets every message have lines of 998 octets"),
        /// Until the connection stands.
        connect_seconds_max: Given<Duration> = number(10, 1..=300),
        /// Until its greeting.
        greeting_seconds_max: Given<Duration> = number(60, 1..=300),
        /// Until the reply to a command.
        command_seconds_max: Given<Duration> = number(60, 1..=300),
        /// Until the reply to DATA, and for each write.
        data_seconds_max: Given<Duration> = number(120, 1..=300),
        /// Until the reply to the final dot.
        final_reply_seconds_max: Given<Duration> = number(180, 1..=300)
            .because(
                "our client waits at the same time, and may leave after 300 seconds: it would \
                 then send the message again",
            ),
        /// Failures in a row after which a host is left alone.
        breaker_failures: Given<u32> = number(5, 1..=1_000),
        /// How long it is left alone.
        breaker_retry_seconds: Given<Duration> = number(30, 1..=3_600),
    }
}

table! {
    /// A domain that mail is taken for. At least one.
    pub struct Domain("domain", "[[domain]]") {
        /// What stands behind the `@`. Names beyond ASCII may be written as people read them
        /// (`bücher.example`).
        name: Option<Text> = required().like("example.test"),
        /// Further names: mail for user@alias is checked and handed over as user@name.
        aliases: List<String> = optional("none").like(r#"["example.org"]"#),
        /// Who takes its mail: `host:port`, a list of them in the order they are tried, or the name
        /// of a `[[next_hop]]`.
        next_hop: Option<Given<TextOrTexts>> = required().like("10.0.0.5:25"),
        /// `never`: a message is taken only when the next hop has taken it.
        custody: Given<Custody> = choice("never")
            .because(
                "this version cannot store mail: it answers 250 only after the next hop has, \
                 and 4yz when the next hop does not answer. Nothing is lost by it: the client \
                 keeps the message and tries again",
            ),
        /// The sources of addresses that exist, in the order they are asked. An address exists when
        /// any of them has it, and is unknown when all of them say so.
        recipients: List<Unread> = required().like(r#"[{ file = "users.txt" }]"#)
            .because(
                "a relay that does not know its recipients takes mail for anybody, and the \
                 server behind it must send the bounces to forged senders: backscatter",
            ),
        /// One character: what follows it in a local part is not looked up (jones+lists@).
        sub_address_separator: Option<Text> = optional("none").like("+"),
        /// `folded`: Jones@ and jones@ are one mailbox; `exact`: they are two.
        local_part_case: Given<LocalPartCase> = choice("folded"),
        /// Characters out of `/` and `=` that real addresses of this domain contain (names from
        /// X.400). Elsewhere they are refused, since some servers read routes into them.
        local_part_characters: Option<Text> = optional("`\"\"`").like("/="),
        /// Where mail for addresses that do not exist goes, instead of a refusal.
        catch_all: Option<Text> = optional("they are refused").like("office@example.test"),
        /// Where mail for `postmaster` and `abuse` goes when no source knows them.
        postmaster: Option<Text> =
            optional("it is handed over as it is").like("jones@example.test"),
        /// An address that every source must know: one that does not is taken for broken.
        canary: Option<Text> = optional("none").like("jones@example.test"),
        /// What becomes of an address that no source can say anything of, and that was not known
        /// before: `defer` answers 451, and the client tries again. `accept` takes it, and the
        /// server behind will send bounces to forged senders for as long as the outage lasts.
        on_outage: Given<OnOutage> = choice("defer"),
        /// Addresses whose mail is accepted and discarded.
        bitbucket: List<Bitbucket> = optional("none")
            .like(r#"[{ address = "noreply@example.test", reason = "nobody reads it" }]"#),
        /// Addresses whose mail is refused with a text.
        leavers: List<Leaver> = optional("none")
            .like(r#"[{ address = "smith@example.test", text = "has left, write to jones@example.test" }]"#),
    }
}

table! {
    /// Mail that is accepted and discarded on purpose, and counted.
    pub struct Bitbucket("domain.bitbucket", "bitbucket = [{ … }]") {
        /// An address of the domain, or a pattern with `*` for any characters.
        address: Option<Text> = required().like("noreply@example.test"),
        /// Why; it stands in the log.
        reason: Option<Text> = required().like("nobody reads it"),
    }
}

table! {
    /// People who have left. Their mail is refused with a text of yours.
    pub struct Leaver("domain.leavers", "leavers = [{ … }]") {
        /// An address of the domain, or a pattern with `*` for any characters.
        address: Option<Text> = required().like("smith@example.test"),
        /// What the client hears after 550 5.1.1.
        text: Option<Text> = required().like("has left, write to jones@example.test"),
    }
}

/// `custody` of a domain: who answers for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custody {
    /// The next hop, once it has taken it; never we.
    Never,
}

choice!(Custody { Never = "never" });

/// `on_outage` of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutage {
    /// 451.
    Defer,
    /// 250.
    Accept,
}

choice!(OnOutage { Defer = "defer", Accept = "accept" });

/// One text, or a list of them.
#[derive(Debug)]
pub enum TextOrTexts {
    /// One.
    One(String),
    /// A list.
    Several(Vec<Text>),
}

impl Value for TextOrTexts {
    const KIND: Kind = Kind::TextOrTexts;
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        match raw {
            Raw::Text(text) => Some(Self::One(text)),
            _ => Value::read(raw, at, context).map(Self::Several),
        }
    }
}
