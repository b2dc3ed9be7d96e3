//! The caller's side: whether a process serves behind this state directory, and one question to it
//! at a time. Every question has its deadline.

use super::message::Refused;
use super::{server, socket_path};
use reqwest::StatusCode;
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
/// The host in the URL; a Unix socket has none.
const HOST: &str = "http://postern";

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
    /// The connection failed, or took too long.
    #[error("the Postern that runs does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// It is of another version.
    #[error("the Postern that runs answers something else than this program expects: {0}")]
    Version(#[from] serde_json::Error),
}

/// A process that answers.
pub struct Client {
    runtime: Runtime,
    http: reqwest::Client,
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
        let http = reqwest::Client::builder().unix_socket(path.as_path()).no_proxy().build();
        let http = http.map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self { runtime, http })
    }

    /// Asks what needs no question.
    /// # Errors
    /// When there is no answer.
    pub fn get<A: DeserializeOwned>(&self, route: &str) -> Result<A, CallError> {
        self.wait(self.http.get(format!("{HOST}{route}")).timeout(ANSWER_PATIENCE))
    }

    /// Asks.
    /// # Errors
    /// When there is no answer.
    pub fn ask<A: DeserializeOwned>(
        &self,
        route: &str,
        question: &impl Serialize,
    ) -> Result<A, CallError> {
        self.wait(self.request(route, question, ANSWER_PATIENCE)?)
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
        self.wait(self.request(route, question, patience)?)
    }

    fn request(
        &self,
        route: &str,
        question: &impl Serialize,
        patience: Duration,
    ) -> Result<reqwest::RequestBuilder, CallError> {
        let body = serde_json::to_vec(question)?;
        Ok(self.http.post(format!("{HOST}{route}")).timeout(patience).body(body))
    }

    fn wait<A: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<A, CallError> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let code = response.status();
            let body = response.bytes().await?;
            if code.is_success() {
                return Ok(serde_json::from_slice(&body)?);
            }
            let refused = serde_json::from_slice::<Refused>(&body);
            let error = refused.map_or_else(|_| code.to_string(), |refused| refused.error);
            Err(CallError::Refused { code, error })
        })
    }
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
