//! An LDAP server of the test's own, for what slapd cannot be made to do: a function from search
//! to answers, which may be late, cut, slow or untrue. It remembers what it was asked.
//! Limits: the answers of one connection come one after another; no TLS, no SASL, nothing written.

use super::http::Listener;
use super::ldap_filter::{Elements, Filter, element, number, number_element, text};
use super::wait_until;
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The largest request, octets.
const REQUEST_OCTETS_MAX: usize = 1 << 20;
/// Paged results (RFC 2696).
pub const PAGED: &str = "1.2.840.113556.1.4.319";
/// What a server says before it leaves (RFC 4511 §4.4.1).
const NOTICE_OF_DISCONNECTION: &[u8] = b"1.3.6.1.4.1.1466.20036";

/// A search, as it came.
#[derive(Clone, Debug)]
pub struct Search {
    /// Where it begins.
    pub base: String,
    /// 0 the entry itself, 1 those just below it, 2 all of the tree.
    pub scope: u64,
    /// Entries, 0 for as many as there are.
    pub size_limit: u64,
    /// Seconds, 0 for as long as it takes.
    pub time_limit: u64,
    /// As RFC 4515 writes it.
    pub filter: String,
    /// The same as a tree.
    pub tree: Filter,
    /// What of the entries it wants.
    pub attributes: Vec<String>,
    /// The object identifiers of its controls.
    pub controls: Vec<String>,
    /// Entries a page and cookie, when it wants pages.
    pub page: Option<(u64, Vec<u8>)>,
    /// The name of the last bind of this connection, empty for nobody.
    pub bound_as: String,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

/// A bind, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// As whom.
    pub name: String,
    /// Of a simple bind.
    pub password: Option<String>,
}

/// A part of what a search hears. Each applies to those behind it.
#[derive(Clone, Debug)]
pub enum LdapAnswer {
    /// An entry: its name, and attributes with their values.
    Entry(String, Vec<(String, Vec<Vec<u8>>)>),
    /// SearchResultReference: go and ask there.
    Reference(Vec<String>),
    /// The end: a result code (RFC 4511 §4.1.9), a text, and referrals for code 10.
    Done(u32, String, Vec<String>),
    /// The end of a page, with the cookie that asks for the next; empty after the last.
    PageDone(Vec<u8>),
    /// These octets, whatever they mean.
    Octets(Vec<u8>),
    /// Nothing, so long.
    Wait(Duration),
    /// The number of the message is wrong from here on.
    WrongMessageId,
    /// One octet at a time from here on, with so much time after each.
    Slowly(Duration),
    /// The connection is closed when so many octets more have been sent.
    CutAfter(usize),
    /// Says that it leaves, with this result code, and closes.
    Disconnect(u32),
    /// Closes its own half of the connection; listens on.
    HalfClose,
    /// Closes the connection.
    Close,
    /// Breaks the connection (RST).
    Reset,
}

impl LdapAnswer {
    /// An entry with attributes that have one value each.
    pub fn entry(dn: &str, attributes: &[(&str, &str)]) -> Self {
        let one = |(name, value): &(&str, &str)| ((*name).into(), vec![(*value).into()]);
        Self::Entry(dn.into(), attributes.iter().map(one).collect())
    }

    /// The end, with this code and no text.
    pub fn done(code: u32) -> Self {
        Self::Done(code, String::new(), Vec::new())
    }

    /// The end that sends the client elsewhere (referral, code 10).
    pub fn referral(urls: &[&str]) -> Self {
        Self::Done(10, String::new(), urls.iter().map(|url| (*url).into()).collect())
    }

    /// So many people, `person0001@example.test` and so on in `mail`, without an end.
    pub fn people(count: usize) -> Vec<Self> {
        let person = |n| {
            let (dn, mail) = (format!("cn=person{n:04},o=Example"), format!("person{n:04}"));
            Self::entry(&dn, &[("mail", &format!("{mail}@example.test"))])
        };
        (1..=count).map(person).collect()
    }
}

type Answer = dyn Fn(&Search) -> Vec<LdapAnswer> + Send + Sync;

struct Shared {
    answer: Mutex<Arc<Answer>>,
    bind_answer: Mutex<(u32, String)>,
    searches: Mutex<Vec<Search>>,
    binds: Mutex<Vec<Bind>>,
    connections: Mutex<usize>,
}

/// Answers until it is dropped.
pub struct FakeLdap {
    listener: Listener,
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl FakeLdap {
    /// Starts one that lets everybody in, and answers with this function, which may be called on
    /// several threads. Answers without an end leave the client waiting.
    pub fn start(answer: impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            answer: Mutex::new(Arc::new(answer)),
            bind_answer: Mutex::default(),
            searches: Mutex::default(),
            binds: Mutex::default(),
            connections: Mutex::default(),
        });
        let ours = Arc::clone(&shared);
        let listener = Listener::start(move |stream| {
            let id = {
                let mut connections = ours.connections.lock().unwrap();
                *connections += 1;
                *connections - 1
            };
            let mut connection = Connection { stream, id, bound_as: String::new(), shared: &ours };
            // A client that leaves is no fault.
            let _ = connection.serve();
        });
        Self { address: listener.address, listener, shared }
    }

    /// Answers otherwise from now on.
    pub fn answer_with(&self, answer: impl Fn(&Search) -> Vec<LdapAnswer> + Send + Sync + 'static) {
        *self.shared.answer.lock().unwrap() = Arc::new(answer);
    }

    /// Answers a bind with this code from now on: 0 lets in, 49 says that the password is wrong.
    pub fn answer_binds(&self, code: u32) {
        self.answer_binds_with(code, "");
    }

    /// The same, with this text behind the code.
    pub fn answer_binds_with(&self, code: u32, said: &str) {
        *self.shared.bind_answer.lock().unwrap() = (code, said.to_owned());
    }

    /// `ldap://` and where it is.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// The searches that have come so far.
    pub fn searches(&self) -> Vec<Search> {
        self.shared.searches.lock().unwrap().clone()
    }

    /// Waits until there have been so many searches; the last of those.
    pub fn wait_for_search(&self, n: usize) -> Search {
        wait_until(&format!("search {n} comes"), || {
            self.shared.searches.lock().unwrap().len() >= n
        });
        self.shared.searches.lock().unwrap()[n - 1].clone()
    }

    /// The binds that have come so far.
    pub fn binds(&self) -> Vec<Bind> {
        self.shared.binds.lock().unwrap().clone()
    }

    /// How many connections have come.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// How many connections are there now.
    pub fn open(&self) -> usize {
        self.listener.open()
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

struct Connection<'a> {
    stream: TcpStream,
    id: usize,
    bound_as: String,
    shared: &'a Shared,
}

/// How the rest of an answer is sent.
struct Manner {
    message: u64,
    pause: Option<Duration>,
    octets_left: Option<usize>,
}

impl Connection<'_> {
    /// Until the client leaves, says what makes no sense, or is to be left.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let octets = self.read()?;
            self.take(&octets)?;
        }
    }

    /// The content of the next message.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let mut octets = u64::from(head[1]);
        if head[1] > 0x80 {
            let mut length = vec![0; usize::from(head[1] & 0x7f)];
            self.stream.read_exact(&mut length)?;
            octets = number(&length).unwrap_or(u64::MAX);
        }
        let octets = usize::try_from(octets).ok().filter(|octets| *octets <= REQUEST_OCTETS_MAX);
        let mut content = vec![0; octets.ok_or(io::ErrorKind::InvalidData)?];
        self.stream.read_exact(&mut content)?;
        Ok(content)
    }

    /// Answers one message; an error ends the connection.
    fn take(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut parts = Elements(octets);
        let message = parts.expect(2).and_then(number).ok_or_else(over)?;
        let (tag, content) = parts.next().ok_or_else(over)?;
        let mut manner = Manner { message, pause: None, octets_left: None };
        match tag {
            0x60 => {
                let bind = read_bind(content).ok_or_else(over)?;
                let (code, said) = self.shared.bind_answer.lock().unwrap().clone();
                self.bound_as = if code == 0 { bind.name.clone() } else { String::new() };
                self.shared.binds.lock().unwrap().push(bind);
                self.send(&mut manner, &element(0x61, &result(code, &said, &[])), &[])
            }
            0x63 => {
                let mut search = read_search(content, parts.expect(0xa0)).ok_or_else(over)?;
                search.connection = self.id;
                search.bound_as.clone_from(&self.bound_as);
                self.shared.searches.lock().unwrap().push(search.clone());
                let answer = Arc::clone(&self.shared.answer.lock().unwrap());
                let mut answers = answer(&search).into_iter();
                answers.try_for_each(|answer| self.say(&mut manner, answer))
            }
            // StartTLS and the like: not known (protocolError).
            0x77 => self.send(&mut manner, &element(0x78, &result(2, "", &[])), &[]),
            // Abandon has no answer, and whatever is abandoned has been answered.
            0x50 => Ok(()),
            _ => Err(over()),
        }
    }

    fn say(&mut self, manner: &mut Manner, answer: LdapAnswer) -> io::Result<()> {
        match answer {
            LdapAnswer::Entry(dn, attributes) => self.send(manner, &entry(&dn, &attributes), &[]),
            LdapAnswer::Reference(urls) => self.send(manner, &element(0x73, &texts(&urls)), &[]),
            LdapAnswer::Done(code, text, urls) => {
                self.send(manner, &element(0x65, &result(code, &text, &urls)), &[])
            }
            LdapAnswer::PageDone(cookie) => {
                let page = [number_element(2, 0), element(4, &cookie)].concat();
                let value = element(4, &element(0x30, &page));
                let control = element(0x30, &[element(4, PAGED.as_bytes()), value].concat());
                let done = element(0x65, &result(0, "", &[]));
                self.send(manner, &done, &element(0xa0, &control))
            }
            LdapAnswer::Octets(octets) => self.write(manner, &octets),
            LdapAnswer::Disconnect(code) => {
                let name = element(0x8a, NOTICE_OF_DISCONNECTION);
                let notice = element(0x78, &[result(code, "", &[]), name].concat());
                // An unsolicited message has the number 0.
                manner.message = 0;
                self.send(manner, &notice, &[])?;
                Err(over())
            }
            LdapAnswer::HalfClose => self.stream.shutdown(Shutdown::Write),
            LdapAnswer::Close => Err(over()),
            LdapAnswer::Reset => {
                SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                Err(over())
            }
            LdapAnswer::Wait(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            LdapAnswer::WrongMessageId => {
                manner.message += 1000;
                Ok(())
            }
            LdapAnswer::Slowly(pause) => {
                manner.pause = Some(pause);
                Ok(())
            }
            LdapAnswer::CutAfter(octets) => {
                manner.octets_left = Some(octets);
                Ok(())
            }
        }
    }

    fn send(&mut self, manner: &mut Manner, op: &[u8], more: &[u8]) -> io::Result<()> {
        let content = [&number_element(2, manner.message), op, more].concat();
        self.write(manner, &element(0x30, &content))
    }

    fn write(&mut self, manner: &mut Manner, octets: &[u8]) -> io::Result<()> {
        let left = manner.octets_left.unwrap_or(usize::MAX);
        let octets = &octets[..octets.len().min(left)];
        if let Some(pause) = manner.pause {
            for octet in octets {
                self.stream.write_all(&[*octet])?;
                std::thread::sleep(pause);
            }
        } else {
            self.stream.write_all(octets)?;
        }
        manner.octets_left = manner.octets_left.map(|left| left - octets.len());
        if manner.octets_left == Some(0) { Err(over()) } else { Ok(()) }
    }
}

/// What ends a connection, from our side.
fn over() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn read_bind(content: &[u8]) -> Option<Bind> {
    let mut parts = Elements(content);
    parts.expect(2)?;
    let name = parts.text(4)?;
    let (tag, secret) = parts.next()?;
    Some(Bind { name, password: (tag == 0x80).then(|| text(secret)) })
}

fn read_search(content: &[u8], controls: Option<&[u8]>) -> Option<Search> {
    let mut parts = Elements(content);
    let base = parts.text(4)?;
    let scope = number(parts.expect(10)?)?;
    parts.expect(10)?;
    let (size_limit, time_limit) = (number(parts.expect(2)?)?, number(parts.expect(2)?)?);
    parts.expect(1)?;
    let tree = Filter::decode(parts.next()?)?;
    let attributes = Elements(parts.expect(0x30)?).map(|(_, name)| text(name)).collect();
    let (mut oids, mut page) = (Vec::new(), None);
    for (_, control) in Elements(controls.unwrap_or_default()) {
        let oid = Elements(control).text(4)?;
        if oid == PAGED {
            let mut value = Elements(Elements(Elements(control).last()?.1).expect(0x30)?);
            page = Some((number(value.expect(2)?)?, value.expect(4)?.to_vec()));
        }
        oids.push(oid);
    }
    let (filter, bound_as, connection) = (tree.to_string(), String::new(), 0);
    let controls = oids;
    Some(Search {
        base,
        scope,
        size_limit,
        time_limit,
        filter,
        tree,
        attributes,
        controls,
        page,
        bound_as,
        connection,
    })
}

fn entry(dn: &str, attributes: &[(String, Vec<Vec<u8>>)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, values) in attributes {
        let values: Vec<u8> = values.iter().flat_map(|value| element(4, value)).collect();
        let attribute = [element(4, name.as_bytes()), element(0x31, &values)].concat();
        list.extend(element(0x30, &attribute));
    }
    element(0x64, &[element(4, dn.as_bytes()), element(0x30, &list)].concat())
}

fn texts(all: &[String]) -> Vec<u8> {
    all.iter().flat_map(|text| element(4, text.as_bytes())).collect()
}

/// LDAPResult.
fn result(code: u32, text: &str, urls: &[String]) -> Vec<u8> {
    let referral = if urls.is_empty() { Vec::new() } else { element(0xa3, &texts(urls)) };
    [number_element(10, code.into()), element(4, b""), element(4, text.as_bytes()), referral]
        .concat()
}
