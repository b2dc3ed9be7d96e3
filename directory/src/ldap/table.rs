//! The keys of `[[ldap]]`. What they mean is in `settings.rs`.

use super::preset::{Preset, Protection};
use crate::mode::Use;
use settings::table::keys::table;
use settings::table::value::{Given, List, Text};
use std::time::Duration;

table! {
    /// A directory that is asked for each address, or listed.
    pub(crate) struct LdapTable("ldap", "[[ldap]]") {
        /// What `recipients` of a `[[domain]]` calls it.
        name: Option<Text> = required().like("ad"),
        /// What it is, which says how addresses are found. `active-directory`: the global
        /// catalogue's `proxyAddresses`. `exchange-5.5`: `mail`, `rfc822Mailbox` and
        /// `otherMailbox`; mailboxes that are hidden from the address book receive mail like any
        /// other, but are seen only with a `bind_dn` that ends in `,cn=admin`. `openldap`: `mail`,
        /// `mailLocalAddress` and `mailAlternateAddress`. `custom`: by `filter`.
        preset: Option<Given<Preset>> = required(),
        /// `host` or `host:port`, tried in this order. Ports that are not written: 636 with
        /// `ldaps`, else 389; for `active-directory` 3269 and 3268.
        servers: List<String> = required().like(r#"["dc1.example.test", "dc2.example.test:3269"]"#),
        /// What connections are protected by. `plain` is nothing: for servers that know no TLS of
        /// this century.
        tls: Given<Protection> = choice("ldaps"),
        /// PEM file of the authorities that are believed, or of the server's own certificate.
        tls_ca: Option<Text> = optional("the system's roots").like("inside-ca.pem"),
        /// SHA-256 of the one certificate (DER) that is believed, in hex; its name, dates and kind
        /// do not matter then.
        tls_fingerprint: Option<Text> = optional("the certificate is verified by its chain")
            .like("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        /// The name that the certificate must bear, when it is not the host's.
        tls_name: Option<Text> = optional("the host's name").like("dc.example.test"),
        /// Who Postern is to the directory.
        bind_dn: Option<Text> =
            optional("anonymous").like("cn=postern,ou=services,dc=example,dc=test"),
        /// A file with the password of `bind_dn` in its one line. It is read at each bind. One that
        /// is refused is tried twice, then again in six hours, or once the file was written or
        /// touched.
        password_file: Option<Text> = optional("anonymous").like("ldap-password"),
        /// The entry below which addresses are found.
        base: Option<Text> = required().like("dc=example,dc=test"),
        /// What finds an address: `{address}`, `{local_part}` and `{domain}` stand for it and its
        /// parts, in values only. `live`.
        filter: Option<Text> =
            optional("that of the preset").like("(&(objectClass=person)(mail={address}))"),
        /// `live`: it is asked for each address. `snapshot`: all addresses are read in pages,
        /// addresses are found in memory, and what changes in between is asked for: by `uSNChanged`
        /// of Active Directory and Exchange 5.5, or by syncrepl where the server has a provider
        /// (OpenLDAP: `overlay syncprov` with a `syncprov-sessionlog`). That needs a `state_dir`,
        /// and for deleted people a `bind_dn` that may see deleted objects; else they go with the
        /// next reading.
        mode: Given<Use> = choice("live"),
        /// Between two readings of everything. `snapshot`.
        every_seconds: Given<Duration> = number(21_600, 10..=604_800),
        /// Between two questions for changes. `snapshot`.
        changes_seconds: Given<Duration> = number(60, 0..=86_400).because("0 never asks"),
        /// The attributes that hold addresses, alone or as `SMTP:…`, `smtp$…`; values of other
        /// types are counted and passed over. `snapshot`.
        address_attributes: List<String> =
            optional("those of the preset").like(r#"["mail", "proxyAddresses"]"#),
        /// What finds everybody who has an address. `snapshot`.
        list_filter: Option<Text> =
            optional("whoever has one of the attributes").like("(&(objectClass=person)(mail=*))"),
        /// The attribute with the address that the next hop hears instead, where an entry has one.
        target_attribute: Option<Text> =
            optional("the next hop hears the address itself").like("mailRoutingAddress"),
        /// Until a server's answer; then the next one is asked.
        answer_seconds_max: Given<Duration> = number(3, 1..=30),
        /// Until a connection stands, TLS and bind included.
        connect_seconds_max: Given<Duration> = number(2, 1..=30),
        /// Connections of each thread to one server.
        connections_max: Given<u32> = number(2, 1..=64),
        /// Searches under way on one connection.
        outstanding_max: Given<u32> = number(32, 1..=1_000)
            .because("OpenLDAP ends a session with more than 100 (conn_max_pending)"),
        /// How long a connection is kept without a search.
        idle_seconds_max: Given<Duration> = number(300, 5..=86_400),
        /// How old a connection may grow.
        age_seconds_max: Given<Duration> = number(3_600, 5..=86_400),
        /// How long a yes is believed.
        positive_seconds: Given<Duration> = number(3_600, 0..=31_536_000)
            .because("0 asks each time"),
        /// How long a no is believed.
        negative_seconds: Given<Duration> = number(600, 0..=31_536_000).because("0 asks each time"),
    }
}

table! {
    /// A directory that is asked for each address, or listed.
    pub(crate) struct Entry("domain.recipients", "recipients = [{ … }]") {
        /// The name of an `[[ldap]]`: a directory that is asked for each address, or listed.
        ldap: Option<Text> = optional("none").like("ad"),
    }
}
