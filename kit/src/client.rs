//! An SMTP client that says what it is told to, and never more.

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long it waits for a reply.
const REPLY_PATIENCE: Duration = Duration::from_secs(60);

/// One connection to a server.
pub struct Client {
    stream: Wire,
    heard: Vec<u8>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Gone,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// Its lines, without the code.
    pub lines: Vec<String>,
}

impl Reply {
    /// Code and text in one line.
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" / "))
    }

    /// Demands that it begins so.
    #[track_caller]
    pub fn expect(&self, beginning: &str) -> &Self {
        let text = self.text();
        assert!(text.starts_with(beginning), "expected {beginning}, heard {text}");
        self
    }
}

impl Client {
    /// Connects and is greeted.
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Self::silent(address);
        client.reply().expect("220 ");
        client
    }

    /// Connects, is greeted, and says EHLO.
    pub fn greeted(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.say("EHLO client.example").expect("250 ");
        client
    }

    /// Connects and waits for nothing.
    pub fn silent(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects from a certain address of this machine.
    pub fn silent_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    /// The same, by a client that takes hardly anything before it reads.
    pub fn reluctant_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(2_048).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(REPLY_PATIENCE)).unwrap();
        stream.set_write_timeout(Some(REPLY_PATIENCE)).unwrap();
        Self { stream: Wire::Plain(stream), heard: Vec::new() }
    }

    /// Shakes hands, now.
    /// # Errors
    /// When the server or its certificate is not to the taste of `config`.
    pub fn shake_hands(&mut self, config: &Arc<rustls::ClientConfig>) -> io::Result<()> {
        let Wire::Plain(mut socket) = std::mem::replace(&mut self.stream, Wire::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let name = ServerName::try_from("mx.example.test").unwrap();
        let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        self.stream = Wire::Tls(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    /// How long it waits, from now on, until what it sends has left.
    pub fn set_write_timeout(&self, patience: Duration) {
        if let Wire::Plain(stream) = &self.stream {
            stream.set_write_timeout(Some(patience)).unwrap();
        }
    }

    /// Sends octets.
    pub fn send(&mut self, octets: &[u8]) {
        self.try_send(octets).unwrap();
    }

    /// Sends octets.
    /// # Errors
    /// As the connection's.
    pub fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Wire::Plain(stream) => stream.write_all(octets),
            Wire::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Wire::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says a command and hears the reply.
    pub fn say(&mut self, command: &str) -> Reply {
        self.send(format!("{command}\r\n").as_bytes());
        self.reply()
    }

    /// Hears a reply.
    pub fn reply(&mut self) -> Reply {
        self.try_reply().unwrap()
    }

    /// Hears a reply.
    /// # Errors
    /// As the connection's; `UnexpectedEof` when it ends.
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let (code, rest) = line.split_at_checked(3).unwrap_or((&line, ""));
            let code = code.parse().map_err(|_| io::Error::other(format!("no reply: {line}")))?;
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut part = [0; 4_096];
        loop {
            if let Some(end) = self.heard.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.heard[..end]).into_owned();
                self.heard.drain(..end + 2);
                return Ok(line);
            }
            let octets = match &mut self.stream {
                Wire::Plain(stream) => stream.read(&mut part)?,
                Wire::Tls(stream) => stream.read(&mut part)?,
                Wire::Gone => 0,
            };
            if octets == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.heard.extend_from_slice(&part[..octets]);
        }
    }

    /// Begins a transaction; all recipients are expected to be accepted.
    pub fn envelope(&mut self, from: &str, to: &[&str]) {
        self.say(&format!("MAIL FROM:<{from}>")).expect("250 ");
        for to in to {
            self.say(&format!("RCPT TO:<{to}>")).expect("250 ");
        }
    }

    /// DATA, the content with transparency, the final dot. Every line of it ends in CRLF.
    pub fn content(&mut self, content: &[u8]) -> Reply {
        self.say("DATA").expect("354 ");
        self.send(&with_transparency(content));
        self.send(b".\r\n");
        self.reply()
    }

    /// A whole message to one who exists; the reply to the final dot.
    pub fn message(&mut self, content: &[u8]) -> Reply {
        self.envelope("sender@client.example", &["jones@example.test"]);
        self.content(content)
    }

    /// Whether the server has closed the connection and said nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.try_reply().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
    }
}

/// RFC 5321 §4.5.2: a line that begins with a dot gets another one.
pub fn with_transparency(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(content.len() + 16);
    for line in content.split_inclusive(|&b| b == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}
