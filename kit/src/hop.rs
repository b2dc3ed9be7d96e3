//! A next hop of the test's own: takes mail, remembers it, and misbehaves where it is told to.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// When it may misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is connected to, and greets.
    Connect,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// The final dot.
    Dot,
}

/// What it does instead of what it should.
#[derive(Clone, Debug)]
pub enum Act {
    /// What it should.
    Obey,
    /// Says this, and refuses thereby.
    Say(&'static str),
    /// Says this, then closes.
    SayAndClose(&'static str),
    /// Closes without a word.
    Close,
    /// At the dot: takes the message, then closes without a word.
    TakeAndClose,
    /// Says nothing until the client has gone.
    Silence,
}

/// A message that was taken.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// The reverse-path, without its brackets.
    pub from: String,
    /// The forward-paths, likewise.
    pub to: Vec<String>,
    /// With CRLF, transparency undone, our trace field included.
    pub content: Vec<u8>,
    /// It came over TLS.
    pub tls: bool,
}

type Behaviour = dyn Fn(Stage, &str) -> Act + Send + Sync;

struct Shared {
    taken: Mutex<Vec<Taken>>,
    commands: Mutex<Vec<String>>,
    /// Connections that are served now, by their number.
    open: Mutex<HashMap<usize, TcpStream>>,
    seen: AtomicUsize,
    admitted_max: AtomicUsize,
    behaviour: Mutex<Arc<Behaviour>>,
    keywords: String,
    tls: Option<Arc<ServerConfig>>,
    stopping: AtomicBool,
}

/// Listens until it is dropped.
pub struct Hop {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

impl Hop {
    /// One that behaves.
    pub fn start() -> Self {
        Self::build("127.0.0.1:0".parse().unwrap(), None)
    }

    /// One that behaves as the function says, at every stage; the command is its argument.
    pub fn acting(act: impl Fn(Stage, &str) -> Act + Send + Sync + 'static) -> Self {
        let hop = Self::start();
        hop.behave(act);
        hop
    }

    /// One that offers STARTTLS.
    pub fn with_tls(tls: Arc<ServerConfig>) -> Self {
        Self::build("127.0.0.1:0".parse().unwrap(), Some(tls))
    }

    /// One at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self::build(address, None)
    }

    /// One that offers this in EHLO, each line as it is sent.
    pub fn offering(keywords: &str) -> Self {
        Self::build_offering("127.0.0.1:0".parse().unwrap(), None, keywords)
    }

    fn build(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let keywords = "250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 52428800\r\n";
        Self::build_offering(address, tls, keywords)
    }

    fn build_offering(address: SocketAddr, tls: Option<Arc<ServerConfig>>, keywords: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let behaviour: Arc<Behaviour> = Arc::new(|_, _| Act::Obey);
        let shared = Arc::new(Shared {
            taken: Mutex::default(),
            commands: Mutex::default(),
            open: Mutex::default(),
            seen: AtomicUsize::new(0),
            admitted_max: AtomicUsize::new(usize::MAX),
            behaviour: Mutex::new(behaviour),
            keywords: keywords.into(),
            tls,
            stopping: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if ours.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Some(socket) = super::accepted(socket) else { continue };
                let id = ours.seen.fetch_add(1, Ordering::SeqCst);
                ours.open.lock().unwrap().insert(id, socket.try_clone().unwrap());
                let ours = Arc::clone(&ours);
                std::thread::spawn(move || {
                    let _ = serve(socket.try_clone().unwrap(), &ours);
                    let _ = socket.shutdown(Shutdown::Both);
                    ours.open.lock().unwrap().remove(&id);
                });
            }
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// From now on it behaves so.
    pub fn behave(&self, act: impl Fn(Stage, &str) -> Act + Send + Sync + 'static) {
        *self.shared.behaviour.lock().unwrap() = Arc::new(act);
    }

    /// From now on it takes so many connections at a time, and says 421 to those beyond.
    pub fn admit(&self, connections_max: usize) {
        self.shared.admitted_max.store(connections_max, Ordering::SeqCst);
    }

    /// What it has taken.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// What it was told, TLS or not.
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }

    /// Whether all who came have gone, and all that they said has been heard.
    pub fn is_idle(&self) -> bool {
        self.shared.open.lock().unwrap().is_empty()
    }

    /// Connections that it has seen so far.
    pub fn connections(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for socket in self.shared.open.lock().unwrap().values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

type Line = BufReader<Box<dyn Duplex>>;

/// What comes after a command.
enum Then {
    GoOn,
    ShakeHands,
    End,
}

struct Session<'a> {
    shared: &'a Shared,
    wire: Line,
    current: Taken,
}

fn serve(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let wire: Line = BufReader::new(Box::new(socket.try_clone()?));
    let mut session = Session { shared, wire, current: Taken::default() };
    let mut then = session.act(Stage::Connect, "", "220 next-hop.example ESMTP\r\n")?;
    loop {
        match then {
            Then::GoOn => {}
            Then::End => return Ok(()),
            Then::ShakeHands => {
                let Some(config) = &shared.tls else { return Ok(()) };
                let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                session.wire = BufReader::new(Box::new(StreamOwned::new(tls, socket.try_clone()?)));
                session.current.tls = true;
            }
        }
        then = session.command()?;
    }
}

impl Session<'_> {
    fn command(&mut self) -> io::Result<Then> {
        let mut line = Vec::new();
        if self.wire.read_until(b'\n', &mut line)? == 0 {
            return Ok(Then::End);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        self.shared.commands.lock().unwrap().push(line.clone());
        let path = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match line.to_ascii_uppercase().split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => {
                let offers_tls = self.shared.tls.is_some() && !self.current.tls;
                let tls = if offers_tls { "250-STARTTLS\r\n" } else { "" };
                let keywords = &self.shared.keywords;
                let reply =
                    format!("250-next-hop.example\r\n{keywords}{tls}250 ENHANCEDSTATUSCODES\r\n");
                self.act(Stage::Ehlo, &line, &reply)
            }
            "STARTTLS" => {
                let act = self.behaviour(Stage::StartTls, &line);
                if !matches!(act, Act::Obey) {
                    return self.perform(act, "");
                }
                self.say("220 2.0.0 go ahead\r\n")?;
                Ok(Then::ShakeHands)
            }
            "MAIL" => {
                self.current = Taken { from: path(), tls: self.current.tls, ..Taken::default() };
                self.act(Stage::Mail, &line, "250 2.1.0 ok\r\n")
            }
            "RCPT" => {
                let act = self.behaviour(Stage::Rcpt, &line);
                if matches!(act, Act::Obey) {
                    self.current.to.push(path());
                }
                self.perform(act, "250 2.1.5 ok\r\n")
            }
            "DATA" => self.data(&line),
            "QUIT" => {
                self.say("221 2.0.0 bye\r\n")?;
                Ok(Then::End)
            }
            _ => {
                self.say("250 2.0.0 ok\r\n")?;
                Ok(Then::GoOn)
            }
        }
    }

    fn data(&mut self, line: &str) -> io::Result<Then> {
        let act = self.behaviour(Stage::Data, line);
        if !matches!(act, Act::Obey) {
            return self.perform(act, "");
        }
        self.say("354 go on\r\n")?;
        let mut content = Vec::new();
        loop {
            let start = content.len();
            if self.wire.read_until(b'\n', &mut content)? == 0 {
                return Ok(Then::End);
            }
            if &content[start..] == b".\r\n" {
                content.truncate(start);
                break;
            }
            if content[start] == b'.' {
                content.remove(start);
            }
        }
        let text = String::from_utf8_lossy(&content[..content.len().min(4_096)]).into_owned();
        let act = self.behaviour(Stage::Dot, &text);
        if matches!(act, Act::Obey | Act::TakeAndClose) {
            let taken = Taken { content, ..self.current.clone() };
            self.shared.taken.lock().unwrap().push(taken);
        }
        self.perform(act, "250 2.0.0 taken\r\n")
    }

    fn behaviour(&self, stage: Stage, line: &str) -> Act {
        let admitted_max = self.shared.admitted_max.load(Ordering::SeqCst);
        if stage == Stage::Connect && self.shared.open.lock().unwrap().len() > admitted_max {
            return Act::SayAndClose("421 4.7.0 too many connections");
        }
        let behaviour = Arc::clone(&self.shared.behaviour.lock().unwrap());
        behaviour(stage, line)
    }

    fn act(&mut self, stage: Stage, line: &str, obedient: &str) -> io::Result<Then> {
        self.perform(self.behaviour(stage, line), obedient)
    }

    fn perform(&mut self, act: Act, obedient: &str) -> io::Result<Then> {
        match act {
            Act::Obey => self.say(obedient)?,
            Act::Say(reply) => self.say(&format!("{reply}\r\n"))?,
            Act::SayAndClose(reply) => {
                self.say(&format!("{reply}\r\n"))?;
                return Ok(Then::End);
            }
            Act::Close | Act::TakeAndClose => return Ok(Then::End),
            Act::Silence => {
                let _ = io::copy(&mut self.wire, &mut io::sink());
                return Ok(Then::End);
            }
        }
        Ok(Then::GoOn)
    }

    fn say(&mut self, reply: &str) -> io::Result<()> {
        let wire = self.wire.get_mut();
        wire.write_all(reply.as_bytes())?;
        wire.flush()
    }
}
