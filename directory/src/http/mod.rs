//! Asks a web service whether an address exists: one request each, by GET with the address in the
//! URL or by POST with it in JSON. No redirects, no proxy of the environment, no cookies.
//! Limits: HTTP/1.1; a connection belongs to no thread, since what drives it does not either.

mod answer;
mod connections;
mod pause;
pub mod settings;
mod template;

pub use settings::{Answer, Method, Settings};

use super::list::DomainScope;
use super::live::memory::{Lifetimes, VOUCH_MILLISECONDS};
use super::live::remembered;
use super::live::{Asking, Existence, LiveSource, Trouble, TroubleKind};
use super::{Environment, Opened};
use connections::Connections;
use mail::address::Mailbox;
use pause::Pause;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response};
use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use template::{Template, TemplateError};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::tls::cause;
use wire::tls::client::TrustError;

/// The largest body that a response may have, in octets.
const BODY_OCTETS_MAX: usize = 64 << 10;

/// The longest token, in octets.
const TOKEN_OCTETS_MAX: u64 = 8 << 10;

/// Questions that wait for one of the connections.
const WAITING_MAX: usize = 256;

/// Why a source cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Its URL.
    #[error("url: {0}")]
    Url(String),
    /// The authorities that it is believed by.
    #[error("{0}")]
    Trust(#[from] TrustError),
    /// The library refuses.
    #[error("{0}")]
    Library(#[from] reqwest::Error),
}

/// A web service that knows recipients.
pub struct Http {
    name: Arc<str>,
    settings: Settings,
    template: Template,
    /// Scheme, host and port, for the log.
    place: String,
    client: Connections,
    /// While the server asked to be left alone.
    pause: Pause,
    turns: Semaphore,
    waiting: AtomicUsize,
}

impl Http {
    /// Asks nobody yet.
    /// # Errors
    /// When the URL is none or the authorities cannot be loaded.
    pub fn open(settings: &Settings) -> Result<Arc<Self>, OpenError> {
        let no_url = |error: TemplateError| OpenError::Url(error.to_string());
        let template = Template::parse(&settings.url).map_err(no_url)?;
        let origin = template.origin().map(|url| url.to_string()).unwrap_or_default();
        Ok(Arc::new(Self {
            name: format!("http {}", settings.name).into(),
            place: origin.trim_end_matches('/').to_owned(),
            client: Connections::new(settings)?,
            pause: Pause::default(),
            turns: Semaphore::new(settings.connections_max.max(1) as usize),
            waiting: AtomicUsize::new(0),
            template,
            settings: settings.clone(),
        }))
    }

    /// Waiting included, no longer than is set.
    async fn ask_in_time(&self, mailbox: &Mailbox) -> Result<Existence, Trouble> {
        let patience = self.settings.question_max;
        match timeout(patience, self.ask_in_turn(mailbox)).await {
            Ok(said) => said,
            Err(_) => {
                let what = format!("{}: no answer in {} s", self.place, patience.as_secs_f32());
                Err(Trouble::new(TroubleKind::Slow, what))
            }
        }
    }

    async fn ask_in_turn(&self, mailbox: &Mailbox) -> Result<Existence, Trouble> {
        let _turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) => {
                let _waits = Waits::begin(&self.waiting).ok_or_else(|| self.busy())?;
                self.turns.acquire().await.map_err(|_| self.busy())?
            }
        };
        // Those who waited hear of it as well.
        self.look()?;
        let request = self.request(mailbox).await?.build().map_err(|error| self.failed(&error))?;
        let sent = self.client.send(request).await;
        let mut response = sent.map_err(|error| self.failed(&error))?;
        if self.pause.heed(response.status(), response.headers()) {
            self.look()?;
        }
        let body = self.body(&mut response).await?;
        let status = response.status().as_u16();
        answer::read(status, &body, &self.settings.answer, mailbox, &self.place)
    }

    /// Trouble while the server is left alone because it asked for that.
    fn look(&self) -> Result<(), Trouble> {
        let Some((status, seconds)) = self.pause.lasts() else { return Ok(()) };
        let what = format!("{}: answered {status}, and is not asked for {seconds} s", self.place);
        Err(Trouble::new(TroubleKind::Busy, what)
            .remedy("let the server answer more often, or raise `positive_seconds`"))
    }

    async fn request(&self, mailbox: &Mailbox) -> Result<RequestBuilder, Trouble> {
        let Some(url) = self.template.fill(mailbox) else {
            let what = format!("{}: an address that no URL of this form can hold", self.place);
            let remedy = "use `{address}` instead of `{local_part}`, or method = \"POST\"";
            return Err(Trouble::new(TroubleKind::Unexpected, what).remedy(remedy));
        };
        let request = match self.settings.method {
            Method::Get => self.client.client().get(url),
            Method::Post => self.client.client().post(url).json(&serde_json::json!({
                "address": template::address(mailbox),
                "local_part": mailbox.local_part.as_str(),
                "domain": template::domain(mailbox),
            })),
        };
        let request = request.header(ACCEPT, "application/json");
        Ok(match &self.settings.token_file {
            Some(file) => request.header(AUTHORIZATION, bearer(file).await?),
            None => request,
        })
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > BODY_OCTETS_MAX {
                let what = format!("{}: answered more than 64 KiB", self.place);
                return Err(Trouble::new(TroubleKind::Unexpected, what)
                    .remedy("the answer to one question is short; see what `url` asks for"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn busy(&self) -> Trouble {
        let what = format!("{}: {WAITING_MAX} questions wait already", self.place);
        Trouble::new(TroubleKind::Busy, what)
            .remedy("if the server can take it, raise `connections_max`")
    }

    /// The library's own words hold the URL, and so the address; its cause does not.
    fn failed(&self, error: &reqwest::Error) -> Trouble {
        let (root, tls) = root_of(error);
        let what = format!("{}: {root}", self.place);
        if let Some(tls) = tls {
            let Some(cause) = cause::of_certificate(tls) else {
                return Trouble::new(TroubleKind::Misconfigured, what)
                    .remedy("`url`: is it the port for HTTPS?");
            };
            let what = format!("{}: {}", self.place, cause.what);
            return Trouble::new(TroubleKind::Misconfigured, what).remedy(cause.remedy);
        }
        let kind = if error.is_timeout() { TroubleKind::Slow } else { TroubleKind::Down };
        Trouble::new(kind, what)
    }
}

impl LiveSource for Http {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn fingerprint(&self) -> String {
        let Settings { url, method, answer, .. } = &self.settings;
        format!("http {url:?} {method:?} {answer:?}")
    }

    fn ask(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence> {
        Box::pin(async move { self.ask_in_time(&mailbox).await })
    }

    fn try_out(self: Arc<Self>) -> Asking<String> {
        Box::pin(async move {
            // Nobody's address (RFC 2606 §2): whichever of the two is said, it is said in the
            // form that was agreed on.
            let nobody = Mailbox::parse("postmaster@postern.invalid").map_err(|error| {
                Trouble::new(TroubleKind::Unexpected, "no address to ask for").because(error)
            })?;
            let word = match self.ask_in_time(&nobody).await? {
                Existence::Exists { .. } => "exists",
                Existence::Unknown => "is unknown",
            };
            Ok(format!("{} says that <{nobody}> {word}", self.place))
        })
    }
}

/// Opens it for the domains that list it.
#[must_use]
pub fn open(
    settings: &Settings,
    domains: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    let lifetimes = Lifetimes {
        positive_seconds: settings.positive_seconds,
        negative_seconds: settings.negative_seconds,
        vouch_milliseconds: VOUCH_MILLISECONDS,
    };
    let name = format!("http {}", settings.name);
    remembered::open(Http::open(settings), &name, lifetimes, domains, environment)
}

/// Counts one who waits, for as long as he does.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Option<Self> {
        let waits = Self(waiting);
        (waiting.fetch_add(1, Relaxed) < WAITING_MAX).then_some(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// `Bearer …` (RFC 6750 §2.1), read each time: a token that was replaced holds at once.
async fn bearer(file: &Path) -> Result<HeaderValue, Trouble> {
    let unfit = |why: &str| {
        Trouble::new(TroubleKind::Misconfigured, format!("{}: {why}", file.display()))
            .remedy("`token_file` holds the token alone, in one line")
    };
    let mut text = String::new();
    let opened = tokio::fs::File::open(file).await;
    let opened = opened.map_err(|error| unfit("cannot be opened").because(error))?;
    let read = opened.take(TOKEN_OCTETS_MAX).read_to_string(&mut text).await;
    read.map_err(|error| unfit("cannot be read").because(error))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
        return Err(unfit("holds no token"));
    }
    let mut value =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unfit("holds no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The cause at the bottom, and that of TLS, if it is one.
fn root_of(error: &reqwest::Error) -> (String, Option<&rustls::Error>) {
    let mut root: &(dyn StdError + 'static) = error;
    let mut tls = None;
    loop {
        let below = match root.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => root.source(),
        };
        let Some(below) = below else { return (root.to_string(), tls) };
        tls = tls.or(below.downcast_ref::<rustls::Error>());
        root = below;
    }
}
