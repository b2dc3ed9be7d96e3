//! The keys of `[[ldap]]`, and what was written for them. What it means is in `settings.rs`.

use crate::settings::keys::Default::{Required, Value, Words};
use crate::settings::keys::{Key, Table, choice, number, text, texts};
use crate::settings::site::Text;
use serde::Deserialize;
use serde_spanned::Spanned;

/// `[[ldap]]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    pub(super) name: Option<Text>,
    pub(super) preset: Option<Text>,
    pub(super) servers: Option<Spanned<Vec<Text>>>,
    pub(super) tls: Option<Text>,
    pub(super) tls_ca: Option<Text>,
    pub(super) tls_name: Option<Text>,
    pub(super) bind_dn: Option<Text>,
    pub(super) password_file: Option<Text>,
    pub(super) base: Option<Text>,
    pub(super) filter: Option<Text>,
    pub(super) mode: Option<Text>,
    pub(super) every_seconds: Option<Spanned<i64>>,
    pub(super) changes_seconds: Option<Spanned<i64>>,
    pub(super) address_attributes: Option<Spanned<Vec<Text>>>,
    pub(super) list_filter: Option<Text>,
    pub(super) target_attribute: Option<Text>,
    pub(super) answer_seconds_max: Option<Spanned<i64>>,
    pub(super) connect_seconds_max: Option<Spanned<i64>>,
    pub(super) connections_max: Option<Spanned<i64>>,
    pub(super) outstanding_max: Option<Spanned<i64>>,
    pub(super) idle_seconds_max: Option<Spanned<i64>>,
    pub(super) age_seconds_max: Option<Spanned<i64>>,
    pub(super) positive_seconds: Option<Spanned<i64>>,
    pub(super) negative_seconds: Option<Spanned<i64>>,
}

/// What an entry of `recipients` may have.
pub const ENTRY: &[Key] = &[text(
    "ldap",
    Words("none"),
    "\"ad\"",
    "The name of an `[[ldap]]`: a directory that is asked for each address, or listed.",
)];

/// The keys of `[[ldap]]`.
pub const TABLE: Table = Table {
    path: "ldap",
    head: "[[ldap]]",
    help: "A directory that is asked for each address, or listed.",
    keys: KEYS,
};

const KEYS: &[Key] = &[
    text("name", Required, "\"ad\"", "What `recipients` of a `[[domain]]` calls it."),
    choice(
        "preset",
        &["active-directory", "exchange-5.5", "openldap", "custom"],
        Required,
        "What it is, which says how addresses are found. `active-directory`: the global \
         catalogue's `proxyAddresses`. `exchange-5.5`: `mail`, `rfc822Mailbox` and `otherMailbox`; \
         mailboxes that are hidden from the address book receive mail like any other, but are \
         seen only with a `bind_dn` that ends in `,cn=admin`. `openldap`: `mail`, \
         `mailLocalAddress` and `mailAlternateAddress`. `custom`: by `filter`.",
    ),
    texts(
        "servers",
        Required,
        "[\"dc1.example.test\", \"dc2.example.test:3269\"]",
        "`host` or `host:port`, tried in this order. Ports that are not written: 636 with \
         `ldaps`, else 389; for `active-directory` 3269 and 3268.",
    ),
    choice(
        "tls",
        &["ldaps", "starttls", "plain"],
        Value("\"ldaps\""),
        "What connections are protected by. `plain` is nothing: for servers that know no TLS of \
         this century.",
    ),
    text(
        "tls_ca",
        Words("the system's roots"),
        "\"inside-ca.pem\"",
        "PEM file of the authorities that are believed.",
    ),
    text(
        "tls_name",
        Words("the host's name"),
        "\"dc.example.test\"",
        "The name that the certificate must bear, when it is not the host's.",
    ),
    text(
        "bind_dn",
        Words("anonymous"),
        "\"cn=postern,ou=services,dc=example,dc=test\"",
        "Who Postern is to the directory.",
    ),
    text(
        "password_file",
        Words("anonymous"),
        "\"ldap-password\"",
        "A file with the password of `bind_dn` in its one line. It is read at each bind.",
    ),
    text("base", Required, "\"dc=example,dc=test\"", "The entry below which addresses are found."),
    text(
        "filter",
        Words("that of the preset"),
        "\"(&(objectClass=person)(mail={address}))\"",
        "What finds an address: `{address}`, `{local_part}` and `{domain}` stand for it and its \
         parts, in values only. `live`.",
    ),
    choice(
        "mode",
        &["live", "snapshot"],
        Value("\"live\""),
        "`live`: it is asked for each address. `snapshot`: all addresses are read in pages, \
         addresses are found in memory, and what changes in between is asked for: by \
         `uSNChanged` of Active Directory and Exchange 5.5, or by syncrepl where the server has a \
         provider (OpenLDAP: `overlay syncprov` with a `syncprov-sessionlog`). That needs a \
         `state_dir`, and for deleted people a `bind_dn` that may see deleted objects; else they \
         go with the next reading.",
    ),
    number("every_seconds", 21_600, 10, 604_800, "Between two readings of everything. `snapshot`."),
    number("changes_seconds", 60, 0, 86_400, "Between two questions for changes. `snapshot`.")
        .because("0 never asks"),
    texts(
        "address_attributes",
        Words("those of the preset"),
        "[\"mail\", \"proxyAddresses\"]",
        "The attributes that hold addresses, alone or as `SMTP:…`, `smtp$…`; values of other \
         types are counted and passed over. `snapshot`.",
    ),
    text(
        "list_filter",
        Words("whoever has one of the attributes"),
        "\"(&(objectClass=person)(mail=*))\"",
        "What finds everybody who has an address. `snapshot`.",
    ),
    text(
        "target_attribute",
        Words("the next hop hears the address itself"),
        "\"mailRoutingAddress\"",
        "The attribute with the address that the next hop hears instead, where an entry has one.",
    ),
    number("answer_seconds_max", 3, 1, 30, "Until a server's answer; then the next one is asked."),
    number("connect_seconds_max", 2, 1, 30, "Until a connection stands, TLS and bind included."),
    number("connections_max", 2, 1, 64, "Connections of each thread to one server."),
    number("outstanding_max", 32, 1, 1_000, "Searches under way on one connection.")
        .because("OpenLDAP ends a session with more than 100 (conn_max_pending)"),
    number("idle_seconds_max", 300, 5, 86_400, "How long a connection is kept without a search."),
    number("age_seconds_max", 3_600, 5, 86_400, "How old a connection may grow."),
    number("positive_seconds", 3_600, 0, 31_536_000, "How long a yes is believed.")
        .because("0 asks each time"),
    number("negative_seconds", 600, 0, 31_536_000, "How long a no is believed.")
        .because("0 asks each time"),
];
