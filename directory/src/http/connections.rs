//! The connections to a web service: those that are kept, and one that is made for a question that
//! a kept one took with it.

use super::OpenError;
use super::settings::Settings;
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response};
use std::error::Error as StdError;
use std::io;
use std::time::Duration;
use wire::server::NextHopTls;
use wire::tls::client::client_config;

/// How long a connection rests before it is closed.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// Whom questions are sent by.
pub(super) struct Connections {
    keeping: Client,
    /// Makes a connection for each question.
    fresh: Client,
}

impl Connections {
    /// Nothing is connected yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, OpenError> {
        let trust = settings.trust.clone();
        let tls = client_config(&NextHopTls::Require { trust, name: None })?;
        let client = |idle_max: usize| {
            let mut builder = Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .http1_only()
                .retry(reqwest::retry::never())
                .pool_idle_timeout(IDLE_MAX)
                .pool_max_idle_per_host(idle_max)
                .connect_timeout(settings.question_max)
                .timeout(settings.question_max)
                .user_agent("postern");
            if let Some(tls) = &tls {
                builder = builder.tls_backend_preconfigured(rustls::ClientConfig::clone(tls));
            }
            builder.build()
        };
        Ok(Self { keeping: client(settings.connections_max as usize)?, fresh: client(0)? })
    }

    /// What requests are made with.
    pub(super) fn client(&self) -> &Client {
        &self.keeping
    }

    /// Sends a question. A server may close a connection that rested just as we use it: then the
    /// question is sent once more, on a new connection, since others that rest may be as dead. By
    /// POST as well: `[[http]]` says that it changes nothing, which is means enough to know
    /// (RFC 9110 §9.2.2).
    pub(super) async fn send(&self, request: Request) -> Result<Response, reqwest::Error> {
        let again = request.try_clone();
        match (self.keeping.execute(request).await, again) {
            (Err(error), Some(again)) if is_cut_off(&error) => self.fresh.execute(again).await,
            (sent, _) => sent,
        }
    }
}

/// Whether the connection ended before there was an answer; a head that came in part counts as
/// none, too.
fn is_cut_off(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    if !error.is_request() || error.is_connect() || error.is_timeout() {
        return false;
    }
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        // Also when it went with the thread that drove it.
        let is_ended = error
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| !error.is_parse() && !error.is_timeout());
        let is_broken = error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        });
        if is_ended || is_broken {
            return true;
        }
        cause = error.source();
    }
    false
}
