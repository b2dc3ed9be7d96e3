//! A DNS server over UDP that knows what it is told, and says NXDOMAIN to all else. RFC 1035 §4.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How soon it notices that it is no longer wanted.
const NOTICE: Duration = Duration::from_millis(50);
const NXDOMAIN: u8 = 3;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsMood {
    /// As it was told.
    Well,
    /// With this RCODE (2: SERVFAIL, 5: REFUSED), whatever is asked.
    Says(u8),
    /// Not at all.
    Silent,
}

/// The server; it ends when this is dropped.
pub struct Dns {
    /// Where it is asked.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Data by name, in lower case and without the last dot, and type.
type Records = HashMap<(String, u16), Vec<Vec<u8>>>;

struct Shared {
    records: Mutex<Records>,
    mood: Mutex<DnsMood>,
    questions: AtomicU32,
    is_over: AtomicBool,
}

impl Dns {
    /// Knows nothing.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(NOTICE)).unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared {
            records: Mutex::default(),
            mood: Mutex::new(DnsMood::Well),
            questions: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serving.serve(&socket));
        Self { address, shared, thread: Some(thread) }
    }

    /// The address has this name, in its reverse zone.
    pub fn reverse(&self, address: &str, name: &str) -> &Self {
        self.add(&reverse_zone(address.parse().unwrap()), 12, encoded(name))
    }

    /// The name has this address.
    pub fn forward(&self, name: &str, address: &str) -> &Self {
        match address.parse().unwrap() {
            IpAddr::V4(ip) => self.add(name, 1, ip.octets().into()),
            IpAddr::V6(ip) => self.add(name, 28, ip.octets().into()),
        }
    }

    /// From now on it answers so.
    pub fn set_mood(&self, mood: DnsMood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// How often it was asked.
    pub fn questions(&self) -> u32 {
        self.shared.questions.load(Ordering::Relaxed)
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) -> &Self {
        let mut records = self.shared.records.lock().unwrap();
        records.entry((name.to_ascii_lowercase(), kind)).or_default().push(data);
        self
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket) {
        let mut query = [0; 1_232];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok((octets, client)) = socket.recv_from(&mut query) else { continue };
            self.questions.fetch_add(1, Ordering::Relaxed);
            if let Some(reply) = self.reply(&query[..octets]) {
                let _ = socket.send_to(&reply, client);
            }
        }
    }

    fn reply(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, kind, end) = question(query)?;
        let known = self.records.lock().unwrap().get(&(name, kind)).cloned();
        let (code, answers) = match (*self.mood.lock().unwrap(), known) {
            (DnsMood::Silent, _) => return None,
            (DnsMood::Says(code), _) => (code, Vec::new()),
            (DnsMood::Well, Some(answers)) => (0, answers),
            (DnsMood::Well, None) => (NXDOMAIN, Vec::new()),
        };
        let many = u8::try_from(answers.len()).unwrap();
        let mut reply = query[..2].to_vec();
        // A response, recursion desired and available; one question.
        reply.extend([0x81, 0x80 | code, 0, 1, 0, many, 0, 0, 0, 0]);
        reply.extend(&query[12..end]);
        for data in answers {
            // The name of the question, IN, for a minute.
            reply.extend([0xC0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
            reply.extend(data);
        }
        Some(reply)
    }
}

/// Name and type of the question, and where it ends.
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let octets = usize::from(*query.get(at)?);
        at += 1;
        if octets == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + octets)?).to_ascii_lowercase());
        at += octets;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}

fn encoded(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

fn reverse_zone(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let digits = format!("{:032x}", u128::from(ip));
            let reversed: Vec<String> = digits.chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", reversed.join("."))
        }
    }
}
