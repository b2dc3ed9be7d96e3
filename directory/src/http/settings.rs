//! `[[http]]`: a web service that knows recipients, and how its answers are read.

use super::template::{Template, TemplateError};
use crate::settings::file;
use crate::settings::keys::Default::{Required, Value, Words};
use crate::settings::keys::{Key, Table, choice, number, text};
use crate::settings::site::{Site, Text, at, number as number_of, word};
use reqwest::Url;
use serde::Deserialize;
use serde_spanned::Spanned;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::{DeValue, ValueDeserializer};

/// Whom to ask, and how. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What it is called in logs and in `explain`.
    pub name: String,
    /// With `{address}`, `{local_part}` and `{domain}`.
    pub url: String,
    /// How it is asked.
    pub method: Method,
    /// How it answers.
    pub answer: Answer,
    /// The file that holds the bearer token; read for each question.
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities that are believed; `None`: the system's.
    pub tls_ca: Option<PathBuf>,
    /// Until the answer, waiting for a connection included.
    pub question_max: Duration,
    /// Questions at the same time.
    pub connections_max: u32,
    /// How long a yes is believed.
    pub positive_seconds: u32,
    /// How long a no is believed.
    pub negative_seconds: u32,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// With the address in the URL.
    Get,
    /// With `{"address": …, "local_part": …, "domain": …}`.
    Post,
}

/// How a 200 is read: by itself, or by its JSON (RFC 6901).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Where `true` or `false` stands.
    pub exists: Option<String>,
    /// Where the address stands that the next hop hears instead.
    pub target: Option<String>,
}

/// As it was written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    name: Option<Text>,
    url: Option<Text>,
    method: Option<Text>,
    json_pointer: Option<Text>,
    target_pointer: Option<Text>,
    token_file: Option<Text>,
    tls_ca: Option<Text>,
    question_seconds_max: Option<Spanned<i64>>,
    connections_max: Option<Spanned<i64>>,
    positive_seconds: Option<Spanned<i64>>,
    negative_seconds: Option<Spanned<i64>>,
}

/// `[[http]]`.
pub const TABLE: Table = Table {
    path: "http",
    head: "[[http]]",
    help: "A web service that is asked for each address. It answers 200 for one that exists and \
           404 or 410 for one that does not; anything else is no answer.",
    keys: KEYS,
};

/// What it brings to `recipients`.
pub const ENTRY: &[Key] = &[text(
    "http",
    Words("none"),
    "\"people\"",
    "The name of an `[[http]]`: a web service that is asked for each address.",
)];

const KEYS: &[Key] = &[
    text("name", Required, "\"people\"", "What `{ http = \"…\" }` in `recipients` calls it."),
    text(
        "url",
        Required,
        "\"https://people.example.test/v1/addresses/{address}\"",
        "Where it is asked. `{address}`, `{local_part}` and `{domain}` stand for what is asked, \
         each octet escaped that could mean something else.",
    ),
    choice(
        "method",
        &["GET", "POST"],
        Value("\"GET\""),
        "`POST` sends `{\"address\": …, \"local_part\": …, \"domain\": …}` as JSON.",
    ),
    text(
        "json_pointer",
        Words("the status alone decides"),
        "\"/user/exists\"",
        "Where in the JSON of a 200 `true` or `false` stands (RFC 6901).",
    ),
    text(
        "target_pointer",
        Words("the address stays as it is"),
        "\"/user/mailbox\"",
        "Where in the JSON of a 200 the address stands that the next hop hears instead.",
    ),
    text(
        "token_file",
        Words("none is sent"),
        "\"people.token\"",
        "A file that holds the bearer token, in one line. It is read for each question, and sent \
         only over https or to this machine.",
    ),
    text(
        "tls_ca",
        Words("the system's roots"),
        "\"inside-ca.pem\"",
        "PEM file of the authorities that are believed.",
    ),
    number(
        "question_seconds_max",
        3,
        1,
        60,
        "Until the answer; the client waits for its reply to RCPT meanwhile.",
    ),
    number("connections_max", 8, 1, 1_000, "Questions at the same time; 256 more wait."),
    number("positive_seconds", 3_600, 0, 31_536_000, "How long a yes is believed."),
    number("negative_seconds", 600, 0, 31_536_000, "How long a no is believed."),
];

/// Reads one `[[http]]`; `None` when a mistake was reported.
pub(crate) fn read(value: Spanned<DeValue<'_>>, site: &mut Site) -> Option<Settings> {
    // The shape has been checked; what was wrong with it has been told and taken out.
    let written = Written::deserialize(ValueDeserializer::from(value)).ok()?;
    let method = match word(written.method.as_ref(), "GET") {
        "POST" => Method::Post,
        _ => Method::Get,
    };
    let origin = url(written.url.as_ref()?, method, site);
    let exists = pointer("http.json_pointer", written.json_pointer.as_ref(), site);
    let target = pointer("http.target_pointer", written.target_pointer.as_ref(), site);
    let token_file = written.token_file.as_ref().map(|text| {
        let is_kept_secret = origin.as_ref().is_none_or(|origin| keeps_secrets(origin, text, site));
        file::readable("http.token_file", text, site).filter(|_| is_kept_secret)
    });
    let tls_ca = written.tls_ca.as_ref().map(|text| tls_ca(text, origin.as_ref(), site));
    let count = |name, written: &Option<Spanned<i64>>| number_of(&TABLE, name, written.as_ref());
    origin?;
    Some(Settings {
        name: written.name?.into_inner(),
        url: written.url?.into_inner(),
        method,
        answer: Answer { exists: exists?, target: target? },
        token_file: transposed(token_file)?,
        tls_ca: transposed(tls_ca)?,
        question_max: Duration::from_secs(
            count("question_seconds_max", &written.question_seconds_max).into(),
        ),
        connections_max: count("connections_max", &written.connections_max),
        positive_seconds: count("positive_seconds", &written.positive_seconds),
        negative_seconds: count("negative_seconds", &written.negative_seconds),
    })
}

/// Nothing written is right; what was written and was wrong is not.
fn transposed<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |read| read.map(Some))
}

/// Checks the template, and says which server is meant.
fn url(written: &Text, method: Method, site: &mut Site) -> Option<Url> {
    const EXAMPLE: &str =
        "for example: url = \"https://people.example.test/v1/addresses/{address}\"";
    let template = match Template::parse(written.get_ref()) {
        Ok(template) => template,
        Err(error) => {
            let help = match error {
                TemplateError::UserInfo => "a token belongs into `token_file`",
                _ => EXAMPLE,
            };
            let mistake = at("http.url", written, "`url` cannot be used", &error.to_string());
            site.refuse(mistake.help(help));
            return None;
        }
    };
    if method == Method::Get && !template.names_the_mailbox() {
        site.refuse(
            at("http.url", written, "every address would be asked for alike", "no address in it")
                .help("put `{address}` or `{local_part}` where the address belongs")
                .help(EXAMPLE),
        );
        return None;
    }
    template.origin()
}

fn keeps_secrets(origin: &Url, token_file: &Text, site: &mut Site) -> bool {
    let host = origin.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    if origin.scheme() == "https" || is_here {
        return true;
    }
    site.refuse(
        at("http.token_file", token_file, "the token would be sent in the clear", "without TLS")
            .help("write https:// in `url`"),
    );
    false
}

fn tls_ca(written: &Text, origin: Option<&Url>, site: &mut Site) -> Option<PathBuf> {
    let (path, _) = file::certificates("http.tls_ca", written, site)?;
    if origin.is_some_and(|origin| origin.scheme() == "http") {
        site.refuse(
            at("http.tls_ca", written, "`tls_ca` without TLS", "nothing would be verified")
                .help("write https:// in `url`, or take this out"),
        );
        return None;
    }
    Some(path)
}

/// RFC 6901 §3: empty, or steps that begin with `/`, in which `~` is written `~0` and `/` `~1`.
fn pointer(key: &str, written: Option<&Text>, site: &mut Site) -> Option<Option<String>> {
    let Some(written) = written else { return Some(None) };
    let text = written.get_ref();
    let is_step = text.is_empty() || text.starts_with('/');
    let is_escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if is_step && is_escaped {
        return Some(Some(text.clone()));
    }
    let why = if is_step { "`~` is written `~0`" } else { "expected `/` in front" };
    site.refuse(
        at(key, written, format!("\"{text}\" is no JSON pointer"), why)
            .help("for example: \"/user/exists\""),
    );
    None
}
