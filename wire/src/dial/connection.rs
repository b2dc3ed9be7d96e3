//! One connection to a host: a socket and a client session, and the deadlines between them.

use super::host::Host;
use super::settings::DialSettings;
use crate::buffers;
use crate::pool::Pooled;
use crate::stream::Stream;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::client::{Answer, ClientFault, ClientSession, ClientStep, TlsWish};
use mail::smtp::introduction::ClientDetails;
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::HeardReply;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// What is read of a host that speaks out of turn, in octets.
const OUT_OF_TURN_OCTETS_MAX: usize = 65_536;

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
    /// It said 421: it takes no further connection now.
    #[error("no room: {0}")]
    NoRoom(Box<str>),
    /// It said something that ends the session.
    #[error("{0}")]
    Protocol(String),
    /// It is required, and was not offered or refused.
    #[error("TLS is required and not offered")]
    NoTls,
    /// TLS was offered, and could not be agreed on.
    #[error("no TLS: {0}")]
    Handshake(io::Error),
}

/// Whom a message is from and to.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Where reports go.
    pub reverse_path: &'a ReversePath,
    /// What MAIL carries.
    pub parameters: MailParameters,
    /// At least one.
    pub recipients: &'a [ForwardPath],
    /// Who the client is, for a next hop that wants to know.
    pub details: Option<&'a ClientDetails>,
}

/// The answer to a whole envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvelopeAnswer {
    /// MAIL was refused.
    MailRefused(HeardReply),
    /// The reply to each recipient, in their order.
    Recipients(Vec<HeardReply>),
}

/// A connection that is ready, or in a transaction.
pub struct Connection {
    stream: Stream,
    session: ClientSession,
    /// Which host.
    pub host: Arc<Host>,
    dial: Arc<DialSettings>,
    messages: u32,
}

impl Connection {
    /// Connects, greets, and goes under TLS where that is wanted.
    /// # Errors
    /// When any of it fails or takes too long.
    pub async fn open(
        dial: &Arc<DialSettings>,
        host: &Arc<Host>,
        tls: TlsWish,
    ) -> Result<Self, ConnectionError> {
        let socket = connect(&host.name, dial.bounds.connect_max).await?;
        socket.set_nodelay(true)?;
        let mut connection = Self {
            stream: Stream::Plain(socket),
            session: ClientSession::new(dial.hostname.clone(), tls, dial.introduction),
            host: Arc::clone(host),
            dial: Arc::clone(dial),
            messages: 0,
        };
        match connection.answer(dial.bounds.greeting_max).await? {
            Answer::Ready => Ok(connection),
            other => Err(ConnectionError::Protocol(format!("out of turn: {other:?}"))),
        }
    }

    /// As [`Self::open`], with what the way wishes. Where TLS is opportunistic, a handshake that
    /// fails is told and is no reason to give up: the other choice was clear text from the start.
    /// # Errors
    /// When any of it fails or takes too long.
    pub async fn open_as_wished(
        dial: &Arc<DialSettings>,
        host: &Arc<Host>,
        tell: impl FnOnce(&io::Error),
    ) -> Result<Self, ConnectionError> {
        match Self::open(dial, host, dial.tls_wish()).await {
            Err(ConnectionError::Handshake(why)) if dial.tls_wish() == TlsWish::Opportunistic => {
                tell(&why);
                Self::open(dial, host, TlsWish::None).await
            }
            opened => opened,
        }
    }

    /// Whether nobody between can read it.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The session on it.
    pub fn session(&mut self) -> &mut ClientSession {
        &mut self.session
    }

    /// Counts a transaction.
    pub fn begin(&mut self) {
        self.messages += 1;
    }

    /// Sends what the session has to say and waits for the answer to it.
    /// # Errors
    /// When the connection is of no more use.
    pub async fn answer(&mut self, patience: Duration) -> Result<Answer, ConnectionError> {
        let waiting = timeout(patience, self.converse()).await;
        waiting.map_err(|_| ConnectionError::TimedOut)?
    }

    async fn converse(&mut self) -> Result<Answer, ConnectionError> {
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
                ClientStep::StartTls => self.start_tls().await?,
                ClientStep::Heard(answer) => return Ok(answer),
                ClientStep::Failed(ClientFault::Refused(reply)) if reply.code == 421 => {
                    return Err(ConnectionError::NoRoom(reply.text));
                }
                ClientStep::Failed(ClientFault::NoTls) => return Err(ConnectionError::NoTls),
                ClientStep::Failed(fault) => return Err(ConnectionError::Protocol(told(&fault))),
            }
        }
    }

    /// Sends MAIL and every RCPT, in one flight where PIPELINING is offered, and waits at most
    /// `patience` for each reply. DATA may follow when at least one recipient was accepted.
    /// # Errors
    /// When the connection is of no more use.
    pub async fn envelope(
        &mut self,
        envelope: &Envelope<'_>,
        patience: Duration,
    ) -> Result<EnvelopeAnswer, ConnectionError> {
        let Envelope { reverse_path, parameters, recipients, details } = envelope;
        let Some((first, rest)) = recipients.split_first() else {
            return Ok(EnvelopeAnswer::Recipients(Vec::new()));
        };
        self.begin();
        self.session.begin(reverse_path, *parameters, first, *details);
        rest.iter().for_each(|recipient| self.session.recipient(recipient));
        let mut replies = Vec::with_capacity(recipients.len());
        while replies.len() < recipients.len() {
            match self.answer(patience).await? {
                Answer::Rcpt(reply) => replies.push(reply),
                Answer::MailRefused(reply) => {
                    // The others are answered alike, unless the connection ends with it.
                    for _ in rest {
                        if self.answer(patience).await.is_err() {
                            break;
                        }
                    }
                    return Ok(EnvelopeAnswer::MailRefused(reply));
                }
                other => return Err(ConnectionError::Protocol(format!("out of turn: {other:?}"))),
            }
        }
        Ok(EnvelopeAnswer::Recipients(replies))
    }

    /// Sends what the session has to say, without waiting for an answer: RSET, whose reply is
    /// read when the connection is used again.
    /// # Errors
    /// As the socket's.
    pub async fn send_pending(&mut self, patience: Duration) -> Result<(), ConnectionError> {
        if self.session.step() == ClientStep::Send {
            let output = self.session.take_output();
            self.send(&output, patience).await?;
            timeout(patience, self.stream.flush())
                .await
                .map_err(|_| ConnectionError::TimedOut)??;
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

    async fn start_tls(&mut self) -> Result<(), ConnectionError> {
        let dial = Arc::clone(&self.dial);
        let Some(config) = dial.handshake() else {
            return Err(ConnectionError::Protocol("TLS was not wanted".into()));
        };
        let name = dial.tls_name().unwrap_or(&self.host.host).to_owned();
        let unfit = |error| ConnectionError::Handshake(io::Error::other(error));
        let name = ServerName::try_from(name).map_err(unfit)?;
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let Stream::Plain(socket) = stream else {
            return Err(ConnectionError::Protocol("TLS within TLS".into()));
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        // Less than the greeting may take in all, so that it is known what took so long.
        let shaking = timeout(dial.bounds.greeting_max / 2, connector.connect(name, socket)).await;
        let tls = shaking.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        self.stream = Stream::Tls(Box::new(tls.map_err(ConnectionError::Handshake)?.into()));
        self.session.behind_tls();
        Ok(())
    }

    /// Takes what has come without waiting for more; says whether anything has.
    /// # Errors
    /// When the host has hung up.
    pub fn overhear(&mut self) -> Result<bool, ConnectionError> {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(read) = self.stream.poll_read_some(&mut cx) else { return Ok(false) };
        let bytes = read?;
        self.session.receive(&bytes);
        let ended = bytes.is_empty();
        buffers::give(bytes);
        if ended { Err(ConnectionError::Closed) } else { Ok(true) }
    }

    /// Reads what the host says out of turn, for at most `patience`: until that is a whole reply,
    /// or the host hangs up. What it said before can be read although nothing can be sent.
    pub async fn hear_out(&mut self, patience: Duration) {
        let hearing = async {
            let mut octets = 0;
            while octets < OUT_OF_TURN_OCTETS_MAX && !self.session.has_unasked() {
                let Ok(bytes) = self.stream.read_some().await else { return };
                let came = bytes.len();
                self.session.receive(&bytes);
                buffers::give(bytes);
                if came == 0 {
                    return;
                }
                octets += came;
            }
        };
        // Whatever came is judged by whoever looks at the session.
        let _ = timeout(patience, hearing).await;
    }
}

impl Pooled for Connection {
    const MOVES: bool = true;

    fn is_fit(&self) -> bool {
        self.session.is_idle() && self.messages < self.dial.bounds.messages_max
    }

    /// Replies that were due (to RSET) are taken.
    fn is_alive(&mut self) -> bool {
        match self.overhear() {
            Ok(false) => true,
            Ok(true) => matches!(self.session.step(), ClientStep::Receive),
            Err(_) => false,
        }
    }

    fn move_here(&mut self) -> io::Result<()> {
        self.stream.move_here()
    }

    /// Nothing is said where it could be taken for content.
    fn leave(mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.session.is_idle().then_some(async move {
            let farewell = self.session.quit();
            let _ = timeout(Duration::from_secs(1), self.stream.write_all(farewell)).await;
        })
    }
}

/// A connection to the first address of a name that takes one. Each has its share of the time, so
/// that one which drops every packet does not hide those behind it (RFC 5321 §5.1).
async fn connect(name: &str, patience: Duration) -> Result<TcpStream, ConnectionError> {
    let until = Instant::now() + patience;
    let found =
        timeout(patience, lookup_host(name)).await.map_err(|_| ConnectionError::TimedOut)?;
    let addresses: Vec<SocketAddr> = found?.take(ADDRESSES_MAX).collect();
    connect_any(&addresses, until).await
}

async fn connect_any(
    addresses: &[SocketAddr],
    until: Instant,
) -> Result<TcpStream, ConnectionError> {
    let mut error = ConnectionError::Io(io::ErrorKind::NotFound.into());
    for (address, left) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = until.saturating_duration_since(Instant::now()) / left;
        error = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(refused)) => refused.into(),
            Err(_) => ConnectionError::TimedOut,
        };
    }
    Err(error)
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

#[cfg(test)]
#[path = "connection_tests.rs"]
pub(super) mod tests;
