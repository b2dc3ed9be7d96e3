//! The caller's side: whether a process serves behind this state directory, and one question to it
//! at a time. Every question has its deadline.

use super::message::Refused;
use super::{server, socket_path};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

/// How long a question may take whose answer needs no list to be read: longer than the server's.
const ANSWER_PATIENCE: Duration = Duration::from_secs(130);
/// What a request names as its host, which a Unix socket has none of (RFC 9110 §7.2).
const NAME: &str = "postern";

/// Why nobody can be asked.
#[derive(Debug, Error)]
pub enum Absent {
    /// No state directory, no socket.
    #[error(
        "There is no `state_dir`, so a Postern that runs has no socket to be asked by.\n\
         Write one into the configuration, for example: state_dir = \"/var/lib/postern\""
    )]
    NoStateDirectory,
    /// Nobody listens.
    #[error("No Postern runs here: nobody answers at {}.", .0.display())]
    NotRunning(PathBuf),
    /// It is another user's.
    #[error("Postern's socket {} is not yours: run this as the user that Postern runs as, or as root.",
        .0.display())]
    Forbidden(PathBuf),
    /// It cannot be reached.
    #[error("cannot reach {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The process says no, and why.
    #[error("{error}")]
    Refused {
        /// The status of the reply.
        code: StatusCode,
        /// What it says.
        error: String,
    },
    /// The connection failed.
    #[error("the Postern that runs does not answer: {0}")]
    Io(#[from] io::Error),
    /// It ended before the answer was whole, or what came is no HTTP.
    #[error("the Postern that runs does not answer: {0}")]
    Http(#[from] hyper::Error),
    /// It took too long.
    #[error("the Postern that runs does not answer: nothing came within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It is of another version.
    #[error("the Postern that runs answers something else than this program expects: {0}")]
    Version(#[from] serde_json::Error),
}

/// A process that answers.
pub struct Client {
    runtime: Runtime,
    path: PathBuf,
}

impl Client {
    /// Looks for a process with this state directory.
    /// # Errors
    /// When there is none that can be asked.
    pub fn of(state_directory: Option<&Path>) -> Result<Self, Absent> {
        let path = socket_path(state_directory.ok_or(Absent::NoStateDirectory)?);
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Absent::NotRunning(path.clone()),
            ErrorKind::PermissionDenied => Absent::Forbidden(path.clone()),
            _ => Absent::Io { path: path.clone(), source },
        };
        UnixStream::connect(&path).map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        Ok(Self { runtime, path })
    }

    /// Asks what needs no question.
    /// # Errors
    /// When there is no answer.
    pub fn get<A: DeserializeOwned>(&self, route: &str) -> Result<A, CallError> {
        self.call(Method::GET, route, Vec::new(), ANSWER_PATIENCE)
    }

    /// Asks.
    /// # Errors
    /// When there is no answer.
    pub fn ask<A: DeserializeOwned>(
        &self,
        route: &str,
        question: &impl Serialize,
    ) -> Result<A, CallError> {
        self.call(Method::POST, route, serde_json::to_vec(question)?, ANSWER_PATIENCE)
    }

    /// Asks for something for which a list is read, which may take long.
    /// # Errors
    /// When there is no answer.
    pub fn ask_long<A: DeserializeOwned>(
        &self,
        route: &str,
        question: &impl Serialize,
    ) -> Result<A, CallError> {
        let patience = Duration::from_secs(server::READ_SECONDS_MAX) + ANSWER_PATIENCE;
        self.call(Method::POST, route, serde_json::to_vec(question)?, patience)
    }

    fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<A, CallError> {
        let request = Request::builder().method(method).uri(route).header(HOST, NAME);
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        let exchange =
            async { tokio::time::timeout(patience, exchange(&self.path, request)).await };
        let answered = self.runtime.block_on(exchange);
        let (code, body) = answered.map_err(|_| CallError::TimedOut(patience))??;
        if code.is_success() {
            return Ok(serde_json::from_slice(&body)?);
        }
        let refused = serde_json::from_slice::<Refused>(&body);
        let error = refused.map_or_else(|_| code.to_string(), |refused| refused.error);
        Err(CallError::Refused { code, error })
    }
}

/// One request on a connection of its own.
async fn exchange(
    path: &Path,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), CallError> {
    let stream = TokioIo::new(tokio::net::UnixStream::connect(path).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    // What goes wrong with the connection is told to whoever waits for the answer.
    let carried = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let code = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    carried.abort();
    Ok((code, body))
}

impl CallError {
    /// Whether it is the caller's mistake rather than the process's trouble.
    #[must_use]
    pub fn is_mistake(&self) -> bool {
        let mistakes = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND];
        matches!(self, Self::Refused { code, .. } if mistakes.contains(code))
    }

    /// Whether it is a no.
    #[must_use]
    pub fn is_no(&self) -> bool {
        matches!(self, Self::Refused { code: StatusCode::CONFLICT, .. })
    }
}
