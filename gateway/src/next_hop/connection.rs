//! One connection to a host: a socket and a client session, and the deadlines between them.

use super::host::Host;
use super::pool::NextHop;
use crate::clock;
use crate::listen::buffers;
use crate::listen::stream::Stream;
use mail::smtp::client::{Answer, ClientFault, ClientSession, ClientStep};
use relay::moment::Moment;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why a connection failed.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The socket.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its time was over.
    #[error("no answer in time")]
    TimedOut,
    /// It closed the connection.
    #[error("connection closed")]
    Closed,
    /// It said something that ends the session.
    #[error("{0}")]
    Protocol(String),
    /// Its name is none that a certificate can bear.
    #[error("no name to verify: {0}")]
    Name(String),
}

/// A connection that is ready, or in a transaction.
pub struct Connection {
    stream: Stream,
    session: ClientSession,
    /// Which host.
    pub host: Arc<Host>,
    born: Moment,
    idle_since: Moment,
    messages: u32,
}

impl Connection {
    /// Connects, greets, and goes under TLS where that is wanted.
    /// # Errors
    /// When any of it fails or takes too long.
    pub async fn open(hop: &NextHop, host: &Arc<Host>) -> Result<Self, ConnectionError> {
        let settings = &hop.settings;
        let connecting = timeout(settings.connect_max, TcpStream::connect(&*host.name)).await;
        let socket = connecting.map_err(|_| ConnectionError::TimedOut)??;
        socket.set_nodelay(true)?;
        let now = clock::now();
        let mut connection = Self {
            stream: Stream::Plain(socket),
            session: ClientSession::new(hop.hostname.clone(), hop.tls_wish(), hop.introduction()),
            host: Arc::clone(host),
            born: now,
            idle_since: now,
            messages: 0,
        };
        match connection.answer(hop, settings.greeting_max).await? {
            Answer::Ready => Ok(connection),
            other => Err(ConnectionError::Protocol(format!("out of turn: {other:?}"))),
        }
    }

    /// The session on it.
    pub fn session(&mut self) -> &mut ClientSession {
        &mut self.session
    }

    /// Whether it has carried a message before.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.messages > 0
    }

    /// Counts a transaction.
    pub fn begin(&mut self) {
        self.messages += 1;
    }

    /// Sends what the session has to say and waits for the answer to it.
    /// # Errors
    /// When the connection is of no more use.
    pub async fn answer(
        &mut self,
        hop: &NextHop,
        patience: Duration,
    ) -> Result<Answer, ConnectionError> {
        let waiting = timeout(patience, self.converse(hop)).await;
        waiting.map_err(|_| ConnectionError::TimedOut)?
    }

    async fn converse(&mut self, hop: &NextHop) -> Result<Answer, ConnectionError> {
        loop {
            match self.session.step() {
                ClientStep::Send => {
                    let output = self.session.take_output();
                    self.stream.write_all(&output).await?;
                    self.stream.flush().await?;
                }
                ClientStep::Receive => {
                    let bytes = self.stream.read_some().await?;
                    self.session.receive(&bytes);
                    let ended = bytes.is_empty();
                    buffers::give(bytes);
                    if ended {
                        return Err(ConnectionError::Closed);
                    }
                }
                ClientStep::StartTls => self.start_tls(hop).await?,
                ClientStep::Heard(answer) => return Ok(answer),
                ClientStep::Failed(fault) => return Err(ConnectionError::Protocol(told(&fault))),
            }
        }
    }

    /// Sends what the session has to say, without waiting for an answer: RSET, whose reply is
    /// read when the connection is used again.
    /// # Errors
    /// As the socket's.
    pub async fn send_pending(&mut self) -> Result<(), ConnectionError> {
        if self.session.step() == ClientStep::Send {
            let output = self.session.take_output();
            self.stream.write_all(&output).await?;
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Sends octets of mail data that are encoded already.
    /// # Errors
    /// As the socket's, or when it takes nothing for too long.
    pub async fn send(&mut self, data: &[u8], patience: Duration) -> Result<(), ConnectionError> {
        let sending = timeout(patience, self.stream.write_all(data)).await;
        Ok(sending.map_err(|_| ConnectionError::TimedOut)??)
    }

    /// Makes sure that nothing stays in a TLS buffer.
    /// # Errors
    /// As the socket's.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        Ok(self.stream.flush().await?)
    }

    async fn start_tls(&mut self, hop: &NextHop) -> Result<(), ConnectionError> {
        let Some(config) = &hop.tls else {
            return Err(ConnectionError::Protocol("TLS was not wanted".into()));
        };
        let name = hop.tls_name().unwrap_or(&self.host.host).to_owned();
        let name = ServerName::try_from(name.clone()).map_err(|_| ConnectionError::Name(name))?;
        let Stream::Plain(_) = &self.stream else {
            return Err(ConnectionError::Protocol("TLS within TLS".into()));
        };
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        if let Stream::Plain(socket) = stream {
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            let tls = connector.connect(name, socket).await?;
            self.stream = Stream::Tls(Box::new(tls.into()));
        }
        self.session.behind_tls();
        Ok(())
    }

    /// Whether it may carry another message: young, not idle for too long, not used too often.
    #[must_use]
    pub fn may_go_on(&self, hop: &NextHop, now: Moment) -> bool {
        let age = Duration::from_millis(now.milliseconds_since(self.born));
        let idle = Duration::from_millis(now.milliseconds_since(self.idle_since));
        self.session.is_idle()
            && age < hop.settings.age_max
            && idle < hop.settings.idle_max
            && self.messages < hop.settings.messages_max
    }

    /// It goes back to the pool.
    pub fn rest(&mut self, now: Moment) {
        self.idle_since = now;
    }

    /// Whether the host has not hung up meanwhile. Replies that were due (to RSET) are taken.
    pub async fn is_alive(&mut self) -> bool {
        match self.overhear().await {
            Ok(false) => true,
            Ok(true) => matches!(self.session.step(), ClientStep::Receive),
            Err(_) => false,
        }
    }

    /// Takes what has come without waiting for more; says whether anything has.
    /// # Errors
    /// When the host has hung up.
    pub async fn overhear(&mut self) -> Result<bool, ConnectionError> {
        let looked = std::future::poll_fn(|cx| {
            Poll::Ready(match self.stream.poll_read_some(cx) {
                Poll::Pending => Ok(None),
                Poll::Ready(read) => read.map(Some),
            })
        })
        .await?;
        let Some(bytes) = looked else { return Ok(false) };
        self.session.receive(&bytes);
        let ended = bytes.is_empty();
        buffers::give(bytes);
        if ended { Err(ConnectionError::Closed) } else { Ok(true) }
    }

    /// Says goodbye; nobody waits for the answer.
    pub async fn quit(mut self) {
        let farewell = self.session.quit();
        let _ = timeout(Duration::from_secs(1), self.stream.write_all(farewell)).await;
    }
}

fn told(fault: &ClientFault) -> String {
    match fault {
        ClientFault::Refused(reply) => format!("refused: {} {}", reply.code, reply.text),
        ClientFault::Unasked(reply) => format!("said unasked: {} {}", reply.code, reply.text),
        ClientFault::Nonsense(_) => "talked nonsense".into(),
        ClientFault::NoTls => "TLS is required and not offered".into(),
        ClientFault::Injection => "sent bytes between STARTTLS and the handshake".into(),
    }
}
