//! One connection to the server under probe: sends octets as they are, reads whole replies, and
//! never waits past its deadlines. Leaves to others: what the replies mean.

use super::report::Evidence;
use mail::smtp::reply::{HeardReply, parse_reply};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// What is quoted of a command, in characters.
const QUOTED_CHARACTERS_MAX: usize = 160;

/// A stream that may be TLS.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why no reply came.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The connection could not be made, or broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing came in time.
    #[error("no reply within {0:.1?}")]
    TimedOut(Duration),
    /// What came was no SMTP reply.
    #[error("what it says is no SMTP reply: {0:?}")]
    Nonsense(String),
    /// The whole probe has used up its time.
    #[error("the time for the probe is over")]
    OutOfTime,
    /// The server refused to talk to us.
    #[error("refused: {0}")]
    Refused(String),
}

impl Lost {
    /// As it stands in evidence.
    #[must_use]
    pub fn in_brackets(&self) -> String {
        format!("({self})")
    }
}

/// One command and its reply.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was sent, for people.
    pub sent: String,
    /// What came back.
    pub reply: HeardReply,
    /// How long that took.
    pub took: Duration,
}

impl Exchange {
    /// Whether the reply is 2yz.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.reply.code < 300
    }

    /// Whether the reply is 4yz.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.reply.code)
    }

    /// For a report.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let milliseconds = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        Evidence { sent: self.sent.clone(), heard: reply_text(&self.reply), milliseconds }
    }
}

/// Evidence of a command that got no reply.
#[must_use]
pub fn unanswered(sent: &[u8], lost: &Lost) -> Evidence {
    Evidence { sent: quoted(sent), heard: lost.in_brackets(), milliseconds: 0 }
}

/// The first line of a reply, put together again.
#[must_use]
pub fn reply_text(reply: &HeardReply) -> String {
    let class = reply.code / 100;
    let status = reply.status.map(|s| format!(" {class}.{}.{}", s.subject, s.detail));
    let text = if reply.text.is_empty() { "" } else { " " };
    format!("{}{}{text}{}", reply.code, status.unwrap_or_default(), reply.text)
}

/// Octets for people: printable ASCII as it is, the rest escaped, the middle of long text cut.
#[must_use]
pub fn quoted(octets: &[u8]) -> String {
    let octets = octets.strip_suffix(b"\r\n").unwrap_or(octets);
    let mut text = String::new();
    for octet in octets.iter().take(QUOTED_CHARACTERS_MAX) {
        match octet {
            b' '..=b'~' => text.push(char::from(*octet)),
            b'\r' => text.push_str("<CR>"),
            b'\n' => text.push_str("<LF>"),
            _ => {
                let _ = write!(text, "<{octet:02X}>");
            }
        }
    }
    if octets.len() > QUOTED_CHARACTERS_MAX {
        let _ = write!(text, "… ({} octets)", octets.len());
    }
    text
}

/// A connection whose stream is away, shaking hands.
pub struct Suspended {
    reply_wait: Duration,
    deadline: Instant,
    local: SocketAddr,
}

impl Suspended {
    /// The same connection behind TLS; what was heard in the clear is forgotten.
    #[must_use]
    pub fn resume(self, stream: Box<dyn Wire>) -> Connection {
        let Self { reply_wait, deadline, local } = self;
        Connection { stream, input: Vec::new(), reply_wait, deadline, local }
    }
}

/// A connection. Every wait ends at the probe's deadline, most of them sooner.
pub struct Connection {
    stream: Box<dyn Wire>,
    input: Vec<u8>,
    /// For one reply.
    reply_wait: Duration,
    /// For the whole probe.
    deadline: Instant,
    /// Our side.
    pub local: SocketAddr,
}

impl Connection {
    /// Connects.
    /// # Errors
    /// When that fails or takes too long.
    pub async fn open(
        address: SocketAddr,
        reply_wait: Duration,
        deadline: Instant,
    ) -> Result<Self, Lost> {
        let until = (Instant::now() + reply_wait).min(deadline);
        let stream = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(late(reply_wait, deadline)),
        };
        // What is probed are packets: a command and what stands behind it leave together.
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Self { stream: Box::new(stream), input: Vec::new(), reply_wait, deadline, local })
    }

    /// Takes the stream out for a handshake, with what was read and not understood yet, and what
    /// is needed to [`Suspended::resume`].
    #[must_use]
    pub fn split_for_handshake(self) -> (Box<dyn Wire>, Vec<u8>, Suspended) {
        let Self { stream, input, reply_wait, deadline, local } = self;
        (stream, input, Suspended { reply_wait, deadline, local })
    }

    /// Until when one wait lasts that begins now.
    #[must_use]
    pub fn until(&self, wait: Duration) -> Instant {
        (Instant::now() + wait).min(self.deadline)
    }

    /// How long a reply may take.
    #[must_use]
    pub fn reply_wait(&self) -> Duration {
        self.reply_wait
    }

    /// Sends octets as they are.
    /// # Errors
    /// When the connection is gone or does not take them.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Lost> {
        let until = self.until(self.reply_wait);
        match timeout_at(until, self.stream.write_all(octets)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(late(self.reply_wait, self.deadline)),
        }
        match timeout_at(until, self.stream.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(late(self.reply_wait, self.deadline)),
        }
    }

    /// Reads one whole reply, waiting as long as for any.
    /// # Errors
    /// When none comes.
    pub async fn reply(&mut self) -> Result<HeardReply, Lost> {
        self.reply_within(self.reply_wait).await
    }

    /// Reads one whole reply within `wait`.
    /// # Errors
    /// When none comes.
    pub async fn reply_within(&mut self, wait: Duration) -> Result<HeardReply, Lost> {
        let until = self.until(wait);
        loop {
            match parse_reply(&self.input) {
                Ok(Some((reply, octets))) => {
                    self.input.drain(..octets);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(_) => return Err(Lost::Nonsense(quoted(&self.input))),
            }
            match timeout_at(until, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return Err(Lost::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(late(wait, self.deadline)),
            }
        }
    }

    /// Says one command, CRLF added, and hears its reply.
    /// # Errors
    /// When no reply comes.
    pub async fn ask(&mut self, command: &str) -> Result<Exchange, Lost> {
        self.ask_octets(format!("{command}\r\n").as_bytes()).await
    }

    /// The same for octets that need not be a command.
    /// # Errors
    /// When no reply comes.
    pub async fn ask_octets(&mut self, octets: &[u8]) -> Result<Exchange, Lost> {
        let began = Instant::now();
        self.send(octets).await?;
        let reply = self.reply().await?;
        Ok(Exchange { sent: quoted(octets), reply, took: began.elapsed() })
    }

    /// Says several commands at once where `pipelining`, else one after the other; stops at a
    /// reply 421.
    /// # Errors
    /// When a reply does not come.
    pub async fn ask_all(
        &mut self,
        commands: &[String],
        pipelining: bool,
    ) -> Result<Vec<Exchange>, Lost> {
        let mut exchanges = Vec::with_capacity(commands.len());
        let began = Instant::now();
        if pipelining {
            self.send(format!("{}\r\n", commands.join("\r\n")).as_bytes()).await?;
        }
        for command in commands {
            let exchange = if pipelining {
                let reply = self.reply().await?;
                Exchange { sent: quoted(command.as_bytes()), reply, took: began.elapsed() }
            } else {
                self.ask(command).await?
            };
            if exchange.reply.code == 421 {
                return Err(Lost::Refused(reply_text(&exchange.reply)));
            }
            exchanges.push(exchange);
        }
        Ok(exchanges)
    }

    /// Takes leave. What the server says to that is of no interest.
    pub async fn quit(mut self) {
        if self.send(b"QUIT\r\n").await.is_ok() {
            let _ = self.reply_within(Duration::from_millis(500)).await;
        }
    }
}

fn late(wait: Duration, deadline: Instant) -> Lost {
    if Instant::now() >= deadline { Lost::OutOfTime } else { Lost::TimedOut(wait) }
}
