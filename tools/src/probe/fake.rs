//! A server on loopback with the manners that a test gives it. Without any it is strict and
//! clean: it serves example.test, where jones and postmaster exist.

use super::connection::Wire;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manners {
    pub accepts_all: bool,
    pub refuses_at_data: bool,
    pub relays: bool,
    pub routes_percent: bool,
    pub refuses_null: bool,
    pub delays_unknown: bool,
    pub greylists: bool,
    pub tells_vrfy: bool,
    pub lenient_lines: bool,
    pub keeps_what_follows_starttls: bool,
    pub helo_only: bool,
    /// Knows only LHLO.
    pub lmtp: bool,
    pub offers_auth: bool,
    pub no_tls: bool,
    pub hangs_at_rcpt: bool,
    /// Hangs up after so many refusals; 0 for never.
    pub refusals_max: usize,
}

/// A server and how many messages it took.
pub(crate) struct Server {
    pub address: SocketAddr,
    pub messages: Arc<AtomicUsize>,
}

pub(crate) async fn start(manners: Manners) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let messages = Arc::new(AtomicUsize::new(0));
    let (acceptor, count) = (acceptor(), messages.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let session = Session::new(stream, manners, acceptor.clone(), count.clone());
            tokio::spawn(session.serve());
        }
    });
    Server { address, messages }
}

/// Says `text` to whoever connects and then nothing.
pub(crate) async fn start_mute(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(text.as_bytes()).await.unwrap();
            held.push(stream);
        }
    });
    address
}

fn acceptor() -> TlsAcceptor {
    let names = vec!["mx.example.test".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(settings))
}

struct Session {
    stream: Box<dyn Wire>,
    input: Vec<u8>,
    manners: Manners,
    acceptor: TlsAcceptor,
    messages: Arc<AtomicUsize>,
    sender: Option<String>,
    recipients: usize,
    refusals: usize,
}

/// What to do after a reply.
enum Then {
    Goon,
    Close,
    Tls,
    Content,
}

impl Session {
    fn new(
        stream: TcpStream,
        manners: Manners,
        acceptor: TlsAcceptor,
        messages: Arc<AtomicUsize>,
    ) -> Self {
        let (stream, input): (Box<dyn Wire>, _) = (Box::new(stream), Vec::new());
        let (sender, recipients, refusals) = (None, 0, 0);
        Self { stream, input, manners, acceptor, messages, sender, recipients, refusals }
    }

    async fn serve(mut self) {
        let read = self.stream.read_buf(&mut self.input);
        let early = timeout(Duration::from_millis(20), read).await.is_ok();
        if early && !self.manners.lenient_lines {
            self.say("554 5.5.1 early").await;
            return;
        }
        self.say("220 mx.example.test ESMTP fake Postfix").await;
        while let Some(line) = self.line().await {
            if !self.manners.lenient_lines && (line.contains('\n') || line.len() > 2_048) {
                self.say("500 5.5.2 line").await;
                return;
            }
            let (reply, then) = self.answer(&line).await;
            self.refusals += usize::from(reply.starts_with('5'));
            self.say(&reply).await;
            let tired = self.manners.refusals_max;
            match then {
                _ if tired > 0 && self.refusals >= tired => return,
                Then::Goon => {}
                Then::Close => return,
                Then::Tls => {
                    if !self.manners.keeps_what_follows_starttls {
                        self.input.clear();
                    }
                    let Ok(stream) = self.acceptor.accept(self.stream).await else { return };
                    self.stream = Box::new(stream);
                }
                Then::Content => {
                    if !self.content().await {
                        return;
                    }
                }
            }
        }
    }

    async fn say(&mut self, reply: &str) {
        let _ = self.stream.write_all(format!("{reply}\r\n").as_bytes()).await;
        let _ = self.stream.flush().await;
    }

    /// A line without its end; a strict server keeps a bare LF in it.
    async fn line(&mut self) -> Option<String> {
        loop {
            let end = self.input.iter().position(|b| *b == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                let bare = !line.ends_with("\r\n") && !self.manners.lenient_lines;
                return Some(if bare { line } else { line.trim_end().to_owned() });
            }
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn answer(&mut self, line: &str) -> (String, Then) {
        let upper = line.to_ascii_uppercase();
        let verb = upper.split([' ', ':']).next().unwrap_or_default();
        let reply = match verb {
            "EHLO" | "HELO" if self.manners.lmtp => "500 5.5.1 LHLO".to_owned(),
            "LHLO" if self.manners.lmtp => "250 mx".to_owned(),
            "EHLO" if self.manners.helo_only => "500 5.5.1 no".to_owned(),
            "EHLO" => self.offers(),
            "HELO" => "250 mx".to_owned(),
            "MAIL" => {
                let sender = path(line);
                if sender.is_empty() && self.manners.refuses_null {
                    return ("550 5.7.1 no notices".to_owned(), Then::Goon);
                }
                self.sender = Some(sender);
                self.recipients = 0;
                "250 2.1.0 ok".to_owned()
            }
            "RCPT" if self.sender.is_none() => "503 5.5.1 MAIL first".to_owned(),
            "RCPT" => self.rcpt(&path(line)).await,
            "DATA" if self.recipients == 0 => "503 5.5.1 RCPT first".to_owned(),
            "DATA" if self.manners.refuses_at_data => "550 5.1.1 none of them".to_owned(),
            "DATA" => return ("354 go on".to_owned(), Then::Content),
            "RSET" => {
                self.sender = None;
                self.recipients = 0;
                "250 2.0.0 ok".to_owned()
            }
            "NOOP" => "250 2.0.0 ok".to_owned(),
            "VRFY" if self.manners.tells_vrfy => "250 2.1.5 Jones <jones@example.test>".to_owned(),
            "VRFY" => "252 2.5.0 try it".to_owned(),
            "AUTH" => "535 5.7.8 no".to_owned(),
            "STARTTLS" if self.input.is_empty() || self.manners.keeps_what_follows_starttls => {
                return ("220 2.0.0 go on".to_owned(), Then::Tls);
            }
            "STARTTLS" => return ("501 5.5.2 alone, please".to_owned(), Then::Close),
            "QUIT" => return ("221 2.0.0 bye".to_owned(), Then::Close),
            _ => "502 5.5.1 what".to_owned(),
        };
        (reply, Then::Goon)
    }

    fn offers(&self) -> String {
        let tls = if self.manners.no_tls { "" } else { "250-STARTTLS\r\n" };
        let auth = if self.manners.offers_auth { "250-AUTH PLAIN\r\n" } else { "" };
        format!("250-mx\r\n250-PIPELINING\r\n{tls}{auth}250-8BITMIME\r\n250 SIZE 1000")
    }

    async fn rcpt(&mut self, path: &str) -> String {
        if self.manners.hangs_at_rcpt {
            sleep(Duration::from_secs(60)).await;
        }
        let local_part = path.strip_suffix("@example.test");
        let exists = matches!(local_part, Some("jones" | "postmaster"));
        let plain = local_part.is_some_and(|l| l.bytes().all(|b| b.is_ascii_alphanumeric()));
        if self.manners.delays_unknown && plain && !exists {
            sleep(Duration::from_millis(600)).await;
        }
        if self.manners.greylists {
            return "451 4.7.1 later".to_owned();
        }
        let served = local_part.is_some();
        let routed = self.manners.routes_percent && local_part.is_some_and(|l| l.contains('%'));
        if exists
            || routed
            || (served && self.manners.accepts_all)
            || self.manners.relays && !served
        {
            self.recipients += 1;
            return "250 2.1.5 ok".to_owned();
        }
        if served { "550 5.1.1 nobody".to_owned() } else { "554 5.7.1 no relaying".to_owned() }
    }

    /// Reads to the end of mail data; the lenient server has more than one.
    async fn content(&mut self) -> bool {
        let ends: &[&[u8]] = match self.manners.lenient_lines {
            true => &[b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n"],
            false => &[b"\r\n.\r\n"],
        };
        loop {
            let found = ends.iter().filter_map(|end| {
                let at = self.input.windows(end.len()).position(|w| w == *end)?;
                Some(at + end.len())
            });
            if let Some(at) = found.min() {
                self.input.drain(..at);
                self.sender = None;
                self.messages.fetch_add(1, Ordering::Relaxed);
                self.say("250 2.0.0 taken").await;
                return true;
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return false;
            }
        }
    }
}

/// What stands between the first `<` and the last `>`.
fn path(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>'));
    inner.map(|(path, _)| path.to_ascii_lowercase()).unwrap_or_default()
}
