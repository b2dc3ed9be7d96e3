//! What the operator wrote, key by key, with where it stands in the file. Nothing is required
//! here and nothing is judged: `shape.rs` has already reported what is missing or misspelt.

use crate::settings::entry::Recipients;
use crate::settings::site::Text;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_spanned::Spanned;
use std::collections::BTreeMap;
use std::fmt;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub hostname: Option<Text>,
    pub state_dir: Option<Text>,
    pub user: Option<Text>,
    pub group: Option<Text>,
    pub start_without_sources: Option<Spanned<bool>>,
    pub listener: Vec<Spanned<Listener>>,
    pub tls: Option<Tls>,
    pub network: Vec<Spanned<Network>>,
    pub next_hop: Vec<Spanned<NextHop>>,
    pub domain: Vec<Spanned<Domain>>,
    pub limits: Numbers,
    pub harvest: Numbers,
    pub rates: Numbers,
    pub log: Log,
    pub metrics: Option<Metrics>,
}

/// `[[listener]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listener {
    pub address: Option<Text>,
    pub tls: Option<Text>,
    pub proxy_protocol: Option<Spanned<bool>>,
    pub proxy_from: Option<Spanned<Vec<Text>>>,
    pub greeting_delay_milliseconds: Option<Spanned<i64>>,
}

/// `[tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub certificate: Option<Text>,
    pub key: Option<Text>,
}

/// `[[network]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    pub name: Option<Text>,
    pub addresses: Option<Spanned<Vec<Text>>>,
    pub limits: Option<Text>,
    pub line_endings: Option<Text>,
    pub teaches: Option<bool>,
}

/// `[[next_hop]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NextHop {
    pub name: Option<Text>,
    pub hosts: Option<Spanned<Vec<Text>>>,
    pub tls: Option<Text>,
    pub tls_ca: Option<Text>,
    pub tls_fingerprint: Option<Text>,
    pub tls_name: Option<Text>,
    pub connections_max: Option<Spanned<i64>>,
    pub idle_seconds_max: Option<Spanned<i64>>,
    pub age_seconds_max: Option<Spanned<i64>>,
    pub messages_max: Option<Spanned<i64>>,
    pub client_details: Option<Text>,
    pub content_line_octets_max: Option<Spanned<i64>>,
    pub connect_seconds_max: Option<Spanned<i64>>,
    pub greeting_seconds_max: Option<Spanned<i64>>,
    pub command_seconds_max: Option<Spanned<i64>>,
    pub data_seconds_max: Option<Spanned<i64>>,
    pub final_reply_seconds_max: Option<Spanned<i64>>,
    pub breaker_failures: Option<Spanned<i64>>,
    pub breaker_retry_seconds: Option<Spanned<i64>>,
}

/// `[[domain]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Domain {
    pub name: Option<Text>,
    pub aliases: Vec<Text>,
    pub next_hop: Option<Spanned<TextOrTexts>>,
    pub custody: Option<Text>,
    pub recipients: Vec<Spanned<Recipients>>,
    pub sub_address_separator: Option<Text>,
    pub local_part_case: Option<Text>,
    pub local_part_characters: Option<Text>,
    pub catch_all: Option<Text>,
    pub postmaster: Option<Text>,
    pub canary: Option<Text>,
    pub on_outage: Option<Text>,
    pub bitbucket: Vec<Bitbucket>,
    pub leavers: Vec<Leaver>,
}

/// One of `bitbucket`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bitbucket {
    pub address: Option<Text>,
    pub reason: Option<Text>,
}

/// One of `leavers`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Leaver {
    pub address: Option<Text>,
    pub text: Option<Text>,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub file: Option<Text>,
    pub format: Option<Text>,
}

/// `[metrics]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    pub address: Option<Text>,
    pub public: Option<Spanned<bool>>,
}

/// A table of numbers, and the tables of numbers within it: `limits.rs` knows their names, so
/// that no limit has to be listed twice.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The numbers of this table.
    pub own: BTreeMap<String, Spanned<i64>>,
    /// `busy` and `stress` of `[limits]`.
    pub within: BTreeMap<String, Numbers>,
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Numbers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Numbers, A::Error> {
                let mut numbers = Numbers::default();
                while let Some(name) = map.next_key::<String>()? {
                    if matches!(name.as_str(), "busy" | "stress") {
                        numbers.within.insert(name, map.next_value()?);
                    } else {
                        numbers.own.insert(name, map.next_value()?);
                    }
                }
                Ok(numbers)
            }
        }

        deserializer.deserialize_map(Table)
    }
}

/// One text, or a list of them.
#[derive(Debug)]
pub enum TextOrTexts {
    One(String),
    Several(Vec<Text>),
}

impl<'de> Deserialize<'de> for TextOrTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = TextOrTexts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextOrTexts, E> {
                Ok(TextOrTexts::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TextOrTexts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(TextOrTexts::Several(texts))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}
