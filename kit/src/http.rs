//! An HTTP/1.1 server of the test's own: a function from request to response, on threads; and the
//! listener beneath it, which the LDAP server of the test's own uses as well.
//! Limits: bodies have a Content-Length; chunks, trailers and 100-continue are not understood.

use super::lasting_port;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The largest body that a request may have, octets.
const BODY_OCTETS_MAX: usize = 16 << 20;

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// With the query, as it came.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
    /// How many came before it on its connection.
    pub earlier: usize,
}

impl Request {
    /// The value of the first header with this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

/// What it hears.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200, 404.
    pub status: u16,
    /// More than Content-Length, which is there always.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the client waits for it.
    pub delay: Duration,
    /// After so many octets of head and body the connection is closed.
    pub octets_max: Option<usize>,
    /// The connection is closed behind it, without a word.
    pub is_last: bool,
}

impl Response {
    /// This status and body, at once.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let (headers, delay) = (Vec::new(), Duration::ZERO);
        Self { status, headers, body: body.into(), delay, octets_max: None, is_last: false }
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Later.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Only its beginning.
    pub fn cut_at(self, octets: usize) -> Self {
        Self { octets_max: Some(octets), ..self }
    }

    /// The last of its connection, which nothing in it says.
    pub fn and_close(self) -> Self {
        Self { is_last: true, ..self }
    }
}

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

/// Answers until it is dropped.
pub struct Http {
    listener: Listener,
    /// Where it listens.
    pub address: SocketAddr,
    answer: Arc<Mutex<Arc<Answer>>>,
    requests: Arc<AtomicUsize>,
}

impl Http {
    /// Starts one that answers with this function, which may be called on several threads.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let answer: Arc<Mutex<Arc<Answer>>> = Arc::new(Mutex::new(Arc::new(answer)));
        let requests = Arc::new(AtomicUsize::new(0));
        let (ours, count) = (Arc::clone(&answer), Arc::clone(&requests));
        let listener = Listener::start(move |stream| {
            // A client that leaves is no fault.
            let _ = serve(stream, &ours, &count);
        });
        Self { address: listener.address, listener, answer, requests }
    }

    /// Answers otherwise from now on.
    pub fn answer_with(&self, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// `http://`, where it is, and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// How many connections have come.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// Closes the port and every connection.
    pub fn stop(&mut self) {
        self.listener.stop();
    }

    /// Stops it where it runs, and listens on the same port again.
    pub fn restart(&mut self) {
        self.listener.restart();
    }
}

fn serve(stream: TcpStream, answer: &Mutex<Arc<Answer>>, count: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut earlier = 0;
    while let Some(request) = read(&mut reader)? {
        let request = Request { earlier, ..request };
        earlier += 1;
        count.fetch_add(1, Ordering::SeqCst);
        let answer = Arc::clone(&answer.lock().unwrap());
        let response = answer(&request);
        std::thread::sleep(response.delay);
        let mut octets = format!("HTTP/1.1 {} -\r\n", response.status).into_bytes();
        for (name, value) in &response.headers {
            octets.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        octets.extend(format!("Content-Length: {}\r\n\r\n", response.body.len()).into_bytes());
        octets.extend(&response.body);
        let whole = octets.len();
        octets.truncate(response.octets_max.unwrap_or(whole));
        writer.write_all(&octets)?;
        if response.is_last || octets.len() < whole || request.header("connection") == Some("close")
        {
            break;
        }
    }
    Ok(())
}

/// The next request; `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let line = |reader: &mut dyn BufRead| {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    while let Some((name, value)) = line(reader)?.split_once(':') {
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new(), earlier: 0 };
    let octets = request.header("content-length").and_then(|value| value.parse().ok());
    request.body = vec![0; octets.unwrap_or(0).min(BODY_OCTETS_MAX)];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

type Serve = dyn Fn(TcpStream) + Send + Sync;

/// Takes connections on one port, a thread each, until it is dropped.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    serve: Arc<Serve>,
    count: Arc<AtomicUsize>,
    open: Arc<Mutex<HashMap<usize, TcpStream>>>,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Listener {
    /// Starts one that serves a connection with this function, until that returns.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let mut listener = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, lasting_port())),
            serve: Arc::new(serve),
            count: Arc::default(),
            open: Arc::default(),
            running: None,
        };
        listener.restart();
        listener
    }

    /// How many connections have come.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// How many connections are there now.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    /// Closes the port and every connection. The threads that serve them end when they notice.
    pub fn stop(&mut self) {
        let Some((stopping, acceptor)) = self.running.take() else { return };
        stopping.store(true, Ordering::SeqCst);
        // Wakes it.
        drop(TcpStream::connect(self.address));
        let _ = acceptor.join();
        for (_, stream) in self.open.lock().unwrap().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops it where it runs, and listens on the same port again.
    pub fn restart(&mut self) {
        self.stop();
        let listener = TcpListener::bind(self.address).unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let (ours, serve) = (Arc::clone(&stopping), Arc::clone(&self.serve));
        let (open, count) = (Arc::clone(&self.open), Arc::clone(&self.count));
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ours.load(Ordering::SeqCst) {
                    break;
                }
                let Some(stream) = super::accepted(stream) else { continue };
                let other = stream.try_clone().unwrap();
                let _ = stream.set_nodelay(true);
                let id = count.fetch_add(1, Ordering::SeqCst);
                open.lock().unwrap().insert(id, other);
                let (serve, open) = (Arc::clone(&serve), Arc::clone(&open));
                std::thread::spawn(move || {
                    serve(stream);
                    open.lock().unwrap().remove(&id);
                });
            }
        });
        self.running = Some((stopping, acceptor));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}
