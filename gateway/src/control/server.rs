//! The routes of the control socket and their limits: how much a caller may say, how many may ask
//! at a time, how long anybody waits. Every answer, a refusal too, is one JSON document.

use super::learned::Unsaid;
use super::message::Refused;
use super::socket::{SocketError, SocketFile, open};
use super::socket_path;
use super::work::{Refusal, Work};
use crate::http::{self, HttpLimits};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// The kind of every answer.
const JSON: &str = "application/json";
/// What a caller may send.
const REQUEST_OCTETS_MAX: usize = 16 << 10;
/// Requests at a time; more are told to come back.
const REQUESTS_MAX: usize = 32;
/// How long an answer from memory, or from one live source after the other, may take.
const ANSWER_SECONDS_MAX: u64 = 120;
/// How long a list may be read while somebody waits for it.
pub const READ_SECONDS_MAX: u64 = 1_800;

/// More connections than requests, so that who is one too many hears of it.
const LIMITS: HttpLimits = HttpLimits {
    connections_max: 2 * REQUESTS_MAX,
    header_max: Duration::from_secs(10),
    connection_max: Duration::from_secs(READ_SECONDS_MAX + 30),
};

/// The server; it ends, and its socket goes, when this is dropped.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    _file: SocketFile,
}

impl Server {
    /// Serves on this runtime.
    /// # Errors
    /// When there can be no socket.
    pub fn start(
        state_directory: &Path,
        work: Work,
        runtime: &Handle,
    ) -> Result<Self, SocketError> {
        let path = socket_path(state_directory);
        let (listener, file) = open(&path)?;
        // Registers with the runtime.
        let _inside = runtime.enter();
        let listener = tokio::net::UnixListener::from_std(listener)
            .map_err(|source| SocketError::Io { path, source })?;
        let router = router(work);
        let task = runtime.spawn(async move {
            http::serve(listener, router, LIMITS).await;
        });
        Ok(Self { task, _file: file })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The routes; `docs/control.md` describes them.
fn router(work: Work) -> Router {
    let quick = Router::new()
        .route("/v1/sources", get(async |State(here): State<Work>| answer(here.sources())))
        .route("/v1/lookup", asked(async |here: Work, of| here.look_up(of).await))
        .route("/v1/why", asked(async |here: Work, of| here.why(&of)))
        .route("/v1/report", asked(async |here: Work, of| here.report(of)))
        .route("/v1/flush", asked(async |here: Work, flush| here.flush(flush).await))
        .route("/v1/clients", asked(async |here: Work, of| here.clients(&of)))
        .route("/v1/clients/show", asked(async |here: Work, of| here.client(&of)))
        .route("/v1/clients/lift", asked(async |here: Work, of| here.lift(&of)))
        .route("/v1/sync", asked(async |here: Work, of| here.sync(&of)))
        .route("/v1/sync/progress", asked(async |here: Work, of| here.progress(&of)))
        .layer(from_fn_with_state(Duration::from_secs(ANSWER_SECONDS_MAX), within));
    let reading = Router::new()
        .route("/v1/diff", asked(async |here: Work, of| here.diff(&of).await))
        .route("/v1/confirm", asked(async |here: Work, word| here.confirm(&word).await))
        .layer(from_fn_with_state(Duration::from_secs(READ_SECONDS_MAX), within));
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    let routes = quick.merge(reading).fallback(nothing_here);
    routes
        .layer(from_fn_with_state(slots, within_limit))
        .layer(DefaultBodyLimit::max(REQUEST_OCTETS_MAX))
        .layer(map_response(documented))
        .with_state(work)
}

/// What axum refuses by itself, in its own words or in none, becomes a document as well.
async fn documented(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if status.is_success() || kind.is_some_and(|kind| kind == JSON) {
        return response;
    }
    let mut document = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            refused(status, "not by this method; see docs/control.md")
        }
        StatusCode::PAYLOAD_TOO_LARGE => refused(status, "a question has at most 16 KiB"),
        _ => refused(status, status.canonical_reason().unwrap_or("not understood")),
    };
    // RFC 9110 §15.5.6: the answer to a method that is not allowed names those that are.
    if let Some(methods) = response.headers().get(header::ALLOW) {
        document.headers_mut().insert(header::ALLOW, methods.clone());
    }
    document
}

async fn within(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refused(StatusCode::GATEWAY_TIMEOUT, "no answer in time"),
    }
}

async fn within_limit(
    State(slots): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_slot) = slots.try_acquire() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many ask at the same time");
    };
    next.run(request).await
}

async fn nothing_here() -> Response {
    refused(StatusCode::NOT_FOUND, "no such route; see docs/control.md")
}

/// A route with a question.
fn asked<Q, A, F>(
    work: impl FnOnce(Work, Q) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Work>
where
    Q: DeserializeOwned + Send,
    A: Serialize,
    F: Future<Output = Result<A, Refusal>> + Send,
{
    post(async move |State(here): State<Work>, body: Bytes| match read(&body) {
        Ok(question) => answer(work(here, question).await),
        Err(refusal) => answer::<A>(Err(refusal)),
    })
}

/// The question; an empty one is a question without any field.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    Ok(serde_json::from_slice(body)?)
}

fn answer<T: Serialize>(done: Result<T, Refusal>) -> Response {
    match done {
        Ok(answer) => document(StatusCode::OK, &answer),
        Err(refusal) => refused(code(&refusal), &refusal.to_string()),
    }
}

fn refused(code: StatusCode, error: &str) -> Response {
    document(code, &Refused { error: error.to_owned() })
}

fn document(code: StatusCode, content: &impl Serialize) -> Response {
    match serde_json::to_string(content) {
        Ok(text) => (code, [(header::CONTENT_TYPE, JSON)], text + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn code(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Closing | Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Unclear(_) => StatusCode::NOT_FOUND,
        Refusal::Malformed(_)
        | Refusal::Address { .. }
        | Refusal::FlushWhat
        | Refusal::Client(_)
        | Refusal::EntriesMissing(_) => StatusCode::BAD_REQUEST,
        Refusal::Learned(Unsaid::Address(_)) => StatusCode::BAD_REQUEST,
        Refusal::NoList(_) | Refusal::NotHeld(_) | Refusal::NobodyDoubted(_) => {
            StatusCode::CONFLICT
        }
        Refusal::Load { .. } => StatusCode::BAD_GATEWAY,
        Refusal::Bug(_) | Refusal::Learned(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
