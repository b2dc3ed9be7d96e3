//! `[[http]]`: a web service that knows recipients, and how its answers are read.

use super::template::{Template, TemplateError};
use reqwest::Url;
use settings::file;
use settings::table::context::LoadContext;
use settings::table::keys::table;
use settings::table::value::{Given, Text, choice};
use settings::tls_keys::trust;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use wire::server::Trust;

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
    /// Which certificates are believed.
    pub trust: Trust,
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

choice!(Method { Get = "GET", Post = "POST" });

/// How a 200 is read: by itself, or by its JSON (RFC 6901).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Where `true` or `false` stands.
    pub exists: Option<String>,
    /// Where the address stands that the next hop hears instead.
    pub target: Option<String>,
}

table! {
    /// A web service that is asked for each address. It answers 200 for one that exists and 404 or
    /// 410 for one that does not; anything else is no answer.
    pub(crate) struct HttpTable("http", "[[http]]") {
        /// What `{ http = "…" }` in `recipients` calls it.
        name: Option<Text> = required().like("people"),
        /// Where it is asked. `{address}`, `{local_part}` and `{domain}` stand for what is asked,
        /// each octet escaped that could mean something else.
        url: Option<Text> = required().like("https://people.example.test/v1/addresses/{address}"),
        /// `POST` sends `{"address": …, "local_part": …, "domain": …}` as JSON. A question changes
        /// nothing over there: it may come twice.
        method: Given<Method> = choice("GET"),
        /// Where in the JSON of a 200 `true` or `false` stands (RFC 6901).
        json_pointer: Option<Text> = optional("the status alone decides").like("/user/exists"),
        /// Where in the JSON of a 200 the address stands that the next hop hears instead.
        target_pointer: Option<Text> = optional("the address stays as it is").like("/user/mailbox"),
        /// A file that holds the bearer token, in one line. It is read for each question, and sent
        /// only over https or to this machine.
        token_file: Option<Text> = optional("none is sent").like("people.token"),
        /// PEM file of the authorities that are believed, or of the server's own certificate.
        tls_ca: Option<Text> = optional("the system's roots").like("inside-ca.pem"),
        /// SHA-256 of the one certificate (DER) that is believed, in hex; its name, dates and kind
        /// do not matter then.
        tls_fingerprint: Option<Text> = optional("the certificate is verified by its chain")
            .like("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        /// Until the answer; the client waits for its reply to RCPT meanwhile.
        question_seconds_max: Given<Duration> = number(3, 1..=60),
        /// Questions at the same time; 256 more wait.
        connections_max: Given<u32> = number(8, 1..=1_000),
        /// How long a yes is believed.
        positive_seconds: Given<u32> = number(3_600, 0..=31_536_000),
        /// How long a no is believed.
        negative_seconds: Given<u32> = number(600, 0..=31_536_000),
    }
}

table! {
    /// A web service.
    pub(crate) struct Entry("domain.recipients", "recipients = [{ … }]") {
        /// The name of an `[[http]]`: a web service that is asked for each address.
        http: Option<Text> = optional("none").like("people"),
    }
}

/// Understands one `[[http]]`; what it returns counts for nothing when a mistake was reported.
pub(crate) fn read(written: &HttpTable, context: &mut LoadContext) -> Option<Settings> {
    let origin = url(written.url.as_ref()?, *written.method, context);
    let exists = written.json_pointer.as_ref().and_then(|text| pointer(text, context));
    let target = written.target_pointer.as_ref().and_then(|text| pointer(text, context));
    let token_file = written.token_file.as_ref().and_then(|text| {
        keeps_secrets(origin.as_ref(), text, context);
        file::secret(text, context)
    });
    let trust = trusted(written, origin.as_ref(), context);
    Some(Settings {
        name: written.name.as_ref()?.to_string(),
        url: written.url.as_ref()?.to_string(),
        method: *written.method,
        answer: Answer { exists, target },
        token_file,
        trust,
        question_max: *written.question_seconds_max,
        connections_max: *written.connections_max,
        positive_seconds: *written.positive_seconds,
        negative_seconds: *written.negative_seconds,
    })
}

/// Checks the template, and says which server is meant.
fn url(written: &Text, method: Method, context: &mut LoadContext) -> Option<Url> {
    const EXAMPLE: &str =
        "for example: url = \"https://people.example.test/v1/addresses/{address}\"";
    let template = match Template::parse(written) {
        Ok(template) => template,
        Err(error) => {
            let help = match error {
                TemplateError::UserInfo => "a token belongs into `token_file`",
                _ => EXAMPLE,
            };
            let mistake = written.wrong("`url` cannot be used", &error.to_string());
            context.refuse(mistake.help(help));
            return None;
        }
    };
    if method == Method::Get && !template.names_the_mailbox() {
        context.refuse(
            written
                .wrong("every address would be asked for alike", "no address in it")
                .help("put `{address}` or `{local_part}` where the address belongs")
                .help(EXAMPLE),
        );
        return None;
    }
    template.origin()
}

fn keeps_secrets(origin: Option<&Url>, token_file: &Text, context: &mut LoadContext) {
    let Some(origin) = origin else { return };
    let host = origin.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    if origin.scheme() == "https" || is_here {
        return;
    }
    context.refuse(
        token_file
            .wrong("the token would be sent in the clear", "without TLS")
            .help("write https:// in `url`"),
    );
}

fn trusted(written: &HttpTable, origin: Option<&Url>, context: &mut LoadContext) -> Trust {
    let (tls_ca, tls_fingerprint) = (written.tls_ca.as_ref(), written.tls_fingerprint.as_ref());
    let is_plain = origin.is_some_and(|origin| origin.scheme() == "http");
    for text in [tls_ca, tls_fingerprint].into_iter().flatten().filter(|_| is_plain) {
        let message = format!("`{}` without TLS", text.path().key);
        context.refuse(
            text.wrong(message, "nothing would be verified")
                .help("write https:// in `url`, or take this out"),
        );
    }
    trust(tls_ca, tls_fingerprint, context)
}

/// RFC 6901 §3: empty, or steps that begin with `/`, in which `~` is written `~0` and `/` `~1`.
fn pointer(written: &Text, context: &mut LoadContext) -> Option<String> {
    let text = written.as_str();
    let is_step = text.is_empty() || text.starts_with('/');
    let is_escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if is_step && is_escaped {
        return Some(text.to_owned());
    }
    let why = if is_step { "`~` is written `~0`" } else { "expected `/` in front" };
    context.refuse(
        written
            .wrong(format!("\"{text}\" is no JSON pointer"), why)
            .help("for example: \"/user/exists\""),
    );
    None
}
