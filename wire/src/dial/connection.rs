//! One connection to a host: a socket and a client session, and the deadlines between them.

use super::host::Host;
use super::place::Place;
use super::way::Way;
use crate::buffers;
use crate::clock;
use crate::stream::Stream;
use mail::smtp::client::{Answer, ClientFault, ClientSession, ClientStep, TlsWish};
use relay::moment::Moment;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

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

/// A connection that is ready, or in a transaction.
pub struct Connection {
    stream: Stream,
    session: ClientSession,
    /// Which host.
    pub host: Arc<Host>,
    born: Moment,
    idle_since: Moment,
    messages: u32,
    _place: Option<Place>,
}

impl Connection {
    /// Connects, greets, and goes under TLS where that is wanted.
    /// # Errors
    /// When any of it fails or takes too long.
    pub async fn open(way: &Way, host: &Arc<Host>, tls: TlsWish) -> Result<Self, ConnectionError> {
        let socket = connect(&host.name, way.bounds.connect_max).await?;
        socket.set_nodelay(true)?;
        let now = clock::now();
        let mut connection = Self {
            stream: Stream::Plain(socket),
            session: ClientSession::new(way.hostname.clone(), tls, way.introduction),
            host: Arc::clone(host),
            born: now,
            idle_since: now,
            messages: 0,
            _place: None,
        };
        match connection.answer(way, way.bounds.greeting_max).await? {
            Answer::Ready => Ok(connection),
            other => Err(ConnectionError::Protocol(format!("out of turn: {other:?}"))),
        }
    }

    /// As [`Self::open`], with what the way wishes. Where TLS is opportunistic, a handshake that
    /// fails is told and is no reason to give up: the other choice was clear text from the start.
    /// # Errors
    /// When any of it fails or takes too long.
    pub async fn open_as_wished(
        way: &Way,
        host: &Arc<Host>,
        tell: impl FnOnce(&io::Error),
    ) -> Result<Self, ConnectionError> {
        match Self::open(way, host, way.tls_wish()).await {
            Err(ConnectionError::Handshake(why)) if way.tls_wish() == TlsWish::Opportunistic => {
                tell(&why);
                Self::open(way, host, TlsWish::None).await
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

    /// It is counted from now on until it is closed.
    pub fn take_place(&mut self, place: Place) {
        self._place = Some(place);
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
        way: &Way,
        patience: Duration,
    ) -> Result<Answer, ConnectionError> {
        let waiting = timeout(patience, self.converse(way)).await;
        waiting.map_err(|_| ConnectionError::TimedOut)?
    }

    async fn converse(&mut self, way: &Way) -> Result<Answer, ConnectionError> {
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
                ClientStep::StartTls => self.start_tls(way).await?,
                ClientStep::Heard(answer) => return Ok(answer),
                ClientStep::Failed(ClientFault::Refused(reply)) if reply.code == 421 => {
                    return Err(ConnectionError::NoRoom(reply.text));
                }
                ClientStep::Failed(ClientFault::NoTls) => return Err(ConnectionError::NoTls),
                ClientStep::Failed(fault) => return Err(ConnectionError::Protocol(told(&fault))),
            }
        }
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

    async fn start_tls(&mut self, way: &Way) -> Result<(), ConnectionError> {
        let Some(config) = way.handshake() else {
            return Err(ConnectionError::Protocol("TLS was not wanted".into()));
        };
        let name = way.tls_name().unwrap_or(&self.host.host).to_owned();
        let unfit = |error| ConnectionError::Handshake(io::Error::other(error));
        let name = ServerName::try_from(name).map_err(unfit)?;
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let Stream::Plain(socket) = stream else {
            return Err(ConnectionError::Protocol("TLS within TLS".into()));
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        // Less than the greeting may take in all, so that it is known what took so long.
        let shaking = timeout(way.bounds.greeting_max / 2, connector.connect(name, socket)).await;
        let tls = shaking.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        self.stream = Stream::Tls(Box::new(tls.map_err(ConnectionError::Handshake)?.into()));
        self.session.behind_tls();
        Ok(())
    }

    /// Whether it may carry another message: young, not idle for too long, not used too often.
    #[must_use]
    pub fn may_go_on(&self, way: &Way, now: Moment) -> bool {
        let age = Duration::from_millis(now.milliseconds_since(self.born));
        let idle = Duration::from_millis(now.milliseconds_since(self.idle_since));
        self.session.is_idle()
            && age < way.bounds.age_max
            && idle < way.bounds.idle_max
            && self.messages < way.bounds.messages_max
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
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    /// An address where connections are neither taken nor refused.
    fn silent() -> (SocketAddr, Vec<Socket>) {
        let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = new();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        // The backlog is full after these.
        for _ in 0..4 {
            let socket = new();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            sockets.push(socket);
        }
        (address.as_socket().unwrap(), sockets)
    }

    #[tokio::test]
    async fn an_address_that_drops_every_packet_does_not_hide_the_next() {
        let (silent, _sockets) = silent();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let until = || Instant::now() + Duration::from_millis(400);
        let alone = connect_any(&[silent], until()).await;
        assert!(matches!(alone, Err(ConnectionError::TimedOut)), "{alone:?}");
        let connected = connect_any(&[silent, good], until()).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), good);
        assert!(connect_any(&[], until()).await.is_err());
    }
}
