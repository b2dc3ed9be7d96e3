//! One SMTP connection of a sender, over [`ClientSession`]. Who is to be believed, and whether to
//! try again, is the caller's business.

use super::letter::Letter;
use crate::demo::wire::Wire;
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::client::{Answer, ClientFault, ClientSession, ClientStep, TlsWish};
use mail::smtp::introduction::Introduction;
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::{Class, HeardReply};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Why a connection is of no more use.
#[derive(Debug, Error)]
pub enum Gone {
    /// The socket.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server said something else than it should, such as 421.
    #[error("the server ended it: {0:?}")]
    Session(ClientFault),
    /// Nothing came for too long.
    #[error("the server said nothing for too long")]
    Silence,
}

/// What became of one attempt at one message.
#[derive(Debug, Default)]
pub struct Fate {
    /// The reply to MAIL, when it was refused.
    pub mail: Option<HeardReply>,
    /// The reply to each RCPT that was answered, in order.
    pub recipients: Vec<HeardReply>,
    /// The reply to the final dot, or to DATA when that was refused.
    pub content: Option<HeardReply>,
}

impl Fate {
    /// The server has taken responsibility for it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        is_yes(self.content.as_ref())
    }
}

/// 2yz.
#[must_use]
pub fn is_yes(reply: Option<&HeardReply>) -> bool {
    reply.is_some_and(|reply| reply.class() == Class::Completion)
}

/// One connection.
pub struct Connection {
    socket: TcpStream,
    session: ClientSession,
    wire: Option<Arc<Wire>>,
    patience: Duration,
}

/// Who connects where.
#[derive(Clone)]
pub struct Way {
    /// The server.
    pub to: SocketAddr,
    /// The client's own address; the system's choice when there is none.
    pub from: Option<Ipv4Addr>,
    /// What it says in EHLO.
    pub hello: Domain,
    /// Where its octets are counted, when they are.
    pub wire: Option<Arc<Wire>>,
    /// How long it waits for a reply.
    pub patience: Duration,
}

impl Connection {
    /// Connects and is greeted.
    /// # Errors
    /// When there is no connection, or no welcome.
    pub async fn open(way: &Way) -> Result<Self, Gone> {
        let socket = TcpSocket::new_v4()?;
        if let Some(ip) = way.from {
            socket.bind(SocketAddr::from((ip, 0)))?;
        }
        let socket = socket.connect(way.to).await?;
        socket.set_nodelay(true)?;
        let session = ClientSession::new(way.hello.clone(), TlsWish::None, Introduction::None);
        let mut connection =
            Self { socket, session, wire: way.wire.clone(), patience: way.patience };
        connection.hear().await?;
        Ok(connection)
    }

    /// Sends one letter to some of its recipients. What was answered is in `fate`, even when the
    /// connection breaks.
    /// # Errors
    /// When it breaks.
    pub async fn send(
        &mut self,
        letter: &Letter,
        recipients: &[&ForwardPath],
        fate: &mut Fate,
    ) -> Result<(), Gone> {
        self.transact(&letter.reverse_path, recipients, || letter.content(), fate).await
    }

    /// As [`Self::send`], for any content; it is made only when it is wanted.
    /// # Errors
    /// When the connection breaks.
    pub async fn transact(
        &mut self,
        from: &ReversePath,
        recipients: &[&ForwardPath],
        content: impl FnOnce() -> Vec<u8>,
        fate: &mut Fate,
    ) -> Result<(), Gone> {
        for (n, path) in recipients.iter().enumerate() {
            if n == 0 {
                self.session.begin(from, MailParameters::default(), path, None);
            } else {
                self.session.recipient(path);
            }
            match self.hear().await? {
                Answer::Rcpt(reply) => fate.recipients.push(reply),
                Answer::MailRefused(reply) => {
                    fate.mail = Some(reply);
                    return Ok(());
                }
                Answer::Ready | Answer::Data(_) | Answer::Content(_) => {}
            }
        }
        if !fate.recipients.iter().any(|reply| is_yes(Some(reply))) {
            self.session.reset();
            return Ok(());
        }
        self.session.data();
        if let Answer::Data(reply) = self.hear().await?
            && reply.code != 354
        {
            fate.content = Some(reply);
            return Ok(());
        }
        let content = content();
        let mut wire = Vec::with_capacity(content.len() + 64);
        self.session.encode(&content, |slice| wire.extend_from_slice(slice));
        wire.extend_from_slice(self.session.finish());
        self.write(&wire).await?;
        if let Answer::Content(reply) = self.hear().await? {
            fate.content = Some(reply);
        }
        Ok(())
    }

    /// Takes leave.
    pub async fn quit(mut self) {
        let farewell = self.session.quit();
        if self.write(farewell).await.is_ok() {
            let mut rest = Vec::new();
            if let Ok(Ok(octets)) = timeout(self.patience, self.socket.read_buf(&mut rest)).await {
                self.count(0, octets);
            }
        }
    }

    async fn hear(&mut self) -> Result<Answer, Gone> {
        loop {
            match self.session.step() {
                ClientStep::Send => {
                    let output = self.session.take_output();
                    self.write(&output).await?;
                }
                ClientStep::Receive => {
                    let mut buffer = [0; 2_048];
                    let read = timeout(self.patience, self.socket.read(&mut buffer)).await;
                    let octets = read.map_err(|_| Gone::Silence)??;
                    if octets == 0 {
                        return Err(Gone::Io(std::io::ErrorKind::UnexpectedEof.into()));
                    }
                    self.count(0, octets);
                    self.session.receive(&buffer[..octets]);
                }
                ClientStep::Heard(answer) => return Ok(answer),
                ClientStep::Failed(fault) => return Err(Gone::Session(fault)),
                // Never wished for.
                ClientStep::StartTls => return Err(Gone::Session(ClientFault::NoTls)),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        timeout(self.patience, self.socket.write_all(bytes)).await.map_err(|_| Gone::Silence)??;
        self.count(bytes.len(), 0);
        Ok(())
    }

    fn count(&self, sent: usize, received: usize) {
        if let Some(wire) = &self.wire {
            wire.count(sent, received);
        }
    }
}
