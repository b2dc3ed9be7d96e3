//! One connection to a directory: how it is made, what is asked on it, and when it is given up.
//! Many searches are under way on it at a time, each with a message id of its own (RFC 4511
//! §4.1.1.1). How many connections there are, and who uses which, is left to `pool.rs`.

mod elsewhere;
pub mod entry;
pub(super) mod password;
pub(super) mod screen;
mod start_tls;

use self::elsewhere::SystemContexts;
use self::entry::{Entry, entry, intermediate, octets_of, texts};
use self::password::password;
use self::screen::screen;
use self::start_tls::start_tls;
use super::account::Account;
use super::preset::Protection;
use super::settings::Bind;
use super::trouble::{Asked, Problem, of_code, of_io, of_library};
use crate::live::TroubleKind;
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchOptions, StdStream};
use relay::moment::Moment;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use wire::clock;

/// How long a farewell or an abandoned search may take to be written.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// The most of what a server says of its naming contexts, in octets.
const ROOT_OCTETS_MAX: usize = 1 << 20;

/// Where a connection leads, and how it is made.
#[derive(Clone)]
pub struct DialSettings {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// What it is protected by.
    pub protection: Protection,
    /// What handshakes go by; there is one unless `protection` is `Plain`.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name that the certificate must bear, when it is not the host's.
    pub tls_name: Option<String>,
    /// Who we are; nobody in particular when there is none.
    pub bind: Option<Login>,
    /// Until it stands, TLS and bind included.
    pub connect_max: Duration,
}

/// Who we are, and what came of saying so.
#[derive(Clone)]
pub struct Login {
    /// As whom.
    pub bind: Bind,
    /// `host:port` of the server that is told.
    pub server: Arc<str>,
    /// Of all servers of the source.
    pub account: Arc<Account>,
}

/// One search.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// Where it begins.
    pub base: &'a str,
    /// How far below.
    pub scope: Scope,
    /// As RFC 4515 writes it.
    pub filter: &'a str,
    /// Which attributes are wanted; `1.1` is none (RFC 4511 §4.5.1.8).
    pub attributes: &'a [&'a str],
    /// The most entries that the server is to return; 0 is as many as there are.
    pub entries_max: u32,
    /// The most octets of entries that are taken; more is trouble.
    pub octets_max: usize,
    /// What else is asked of the server, such as pages.
    pub controls: Vec<RawControl>,
}

/// What came of a search.
#[derive(Debug)]
pub struct Reply {
    /// What was found.
    pub entries: Vec<Entry>,
    /// Where else the server would have us look.
    pub references: Vec<String>,
    /// What the server said between them: the name of each message, and its value.
    pub intermediates: Vec<(String, Vec<u8>)>,
    /// How it ended: code, words, referrals, controls.
    pub result: LdapResult,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum NoReply {
    /// The connection ended; another may be had.
    Lost(String),
    /// Something else: asking again helps nobody.
    Trouble(Problem),
}

/// One connection. It belongs to the runtime that it was made on, which drives it.
pub struct Link {
    ldap: Ldap,
    /// What holds its socket.
    socket: AbortHandle,
    /// Set when it has ended, or when nothing more is to be asked on it.
    is_closed: Arc<AtomicBool>,
    outstanding: AtomicU32,
    opened: Moment,
    /// When an asker was done with it last.
    used: AtomicU64,
    /// When the server was last known not to keep us waiting.
    heard: AtomicU64,
    /// Naming contexts in which nobody is missed, once a reply has referred elsewhere.
    system: OnceCell<SystemContexts>,
    /// Which of the attempts of its thread to connect this was.
    pub serial: u64,
}

/// What stands of a connection, whoever holds it still: while it says goodbye, or waits for what
/// is under way, its server has it.
pub struct Standing {
    socket: AbortHandle,
    is_closed: Arc<AtomicBool>,
}

impl Standing {
    /// Its server does not have it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.socket.is_finished()
    }

    /// Nothing more is asked on it.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Breaks it off: those who wait on it hear that it is lost.
    pub fn cut(self) {
        self.is_closed.store(true, Relaxed);
        self.socket.abort();
    }
}

/// A search that is under way. Whoever drops it before it has ended leaves an answer behind that
/// nobody waits for.
struct UnderWay<'a> {
    link: &'a Link,
    has_ended: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now = clock::now().0;
        self.link.outstanding.fetch_sub(1, Relaxed);
        self.link.used.store(now, Relaxed);
        if self.has_ended {
            self.link.heard.store(now, Relaxed);
        } else {
            self.link.close();
        }
    }
}

/// Says that a connection has ended, also when what drove it panicked.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Link {
    /// Connects, begins TLS and binds, within `connect_max`.
    /// # Errors
    /// When any of that fails.
    pub async fn open(dial: DialSettings, serial: u64) -> Result<Self, Problem> {
        let patience = dial.connect_max;
        // The library panics over some answers that are none: in a task of its own, that costs
        // only this connection. The task also outlives an asker who has gone.
        let opening = tokio::spawn(timeout(patience, Self::connect(dial, serial)));
        match opening.await {
            Ok(Ok(link)) => link,
            Ok(Err(_)) => {
                let remedy = "`servers`: host and port of a directory that is up; a firewall may \
                              swallow connections";
                let what = "no connection in time";
                Err(Problem::new(TroubleKind::Slow, what, remedy))
            }
            Err(error) => Err(Problem::new(
                TroubleKind::Unexpected,
                format!("the answer to a bind is none: {error}"),
                "`servers`: is this the port of LDAP?",
            )),
        }
    }

    async fn connect(dial: DialSettings, serial: u64) -> Result<Self, Problem> {
        let stream = TcpStream::connect((dial.host.as_str(), dial.port)).await;
        let mut stream = stream.map_err(|error| of_io(&error))?;
        // Many small requests follow each other: none waits for the acknowledgement of another.
        stream.set_nodelay(true).map_err(|error| of_io(&error))?;
        let (ours, theirs) = UnixStream::pair().map_err(|error| of_io(&error))?;
        if dial.protection == Protection::StartTls {
            start_tls(&mut stream).await?;
        }
        let socket = match dial.tls {
            Some(tls) => {
                let name = dial.tls_name.unwrap_or(dial.host);
                let name = ServerName::try_from(name).map_err(|error| wrong_name(&error))?;
                let stream = TlsConnector::from(tls).connect(name, stream).await;
                tokio::spawn(screen(stream.map_err(|error| of_io(&error))?, theirs))
            }
            None => tokio::spawn(screen(stream, theirs)),
        }
        .abort_handle();
        let ours = ours.into_std().map_err(|error| of_io(&error))?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(ours));
        let made = LdapConnAsync::with_settings(settings, "ldapi:///").await;
        let (connection, ldap) = made.map_err(|error| of_library(Asked::Search, &error))?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let ended = Ended(Arc::clone(&is_closed));
        tokio::spawn(async move {
            let _ended = ended;
            // Why it ended is seen by those who were waiting on it.
            drop(connection.drive().await);
        });
        let now = clock::now();
        let (used, heard) = (AtomicU64::new(now.0), AtomicU64::new(now.0));
        let outstanding = AtomicU32::new(0);
        let link = Self {
            ldap,
            socket,
            is_closed,
            outstanding,
            opened: now,
            used,
            heard,
            system: OnceCell::new(),
            serial,
        };
        if let Some(login) = &dial.bind {
            link.bind(login).await?;
        }
        Ok(link)
    }

    async fn bind(&self, login: &Login) -> Result<(), Problem> {
        let (password, stamp) = password(&login.bind.password_file).await?;
        let attempt = login.account.attempt(&login.server, &stamp).await?;
        let bound = self.ldap.clone().simple_bind(&login.bind.dn, &password).await;
        let bound = bound.map_err(|error| of_library(Asked::Bind, &error))?;
        if bound.rc == 0 {
            attempt.accepted();
            return Ok(());
        }
        let problem = of_code(Asked::Bind, bound.rc, &bound.text);
        Err(if problem.refusal.is_some() { attempt.refused(problem) } else { problem })
    }

    /// Whether something may be asked on it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_closed.load(Relaxed)
    }

    /// What its server has of it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { socket: self.socket.clone(), is_closed: Arc::clone(&self.is_closed) }
    }

    /// Searches that are under way.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Relaxed)
    }

    /// Whether all that is under way on it has been waiting for this long: some servers answer one
    /// search after another, and what is added waits behind what hangs.
    #[must_use]
    pub fn is_stalled(&self, patience: Duration) -> bool {
        let waited = clock::now().0.saturating_sub(self.heard.load(Relaxed));
        self.outstanding() > 0 && u128::from(waited) >= patience.as_millis()
    }

    /// When it was made.
    #[must_use]
    pub fn opened(&self) -> Moment {
        self.opened
    }

    /// When something was asked on it last.
    #[must_use]
    pub fn used(&self) -> Moment {
        Moment(self.used.load(Relaxed))
    }

    /// Takes nothing more; what is under way goes on.
    pub fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }

    /// Asks for entries, within this time. References to naming contexts in which nobody is
    /// missed are left out.
    /// # Errors
    /// When the connection ends, the server takes too long, or answers with too much.
    pub async fn search(&self, search: &Search<'_>, patience: Duration) -> Result<Reply, NoReply> {
        let mut reply = self.exchange(search, patience).await?;
        if !reply.references.is_empty() {
            let system = self.system.get_or_try_init(|| self.ask_for_contexts(patience)).await?;
            reply.references.retain(|reference| !system.has(reference));
        }
        Ok(reply)
    }

    async fn ask_for_contexts(&self, patience: Duration) -> Result<SystemContexts, NoReply> {
        let root = Search {
            base: "",
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: &elsewhere::ATTRIBUTES,
            entries_max: 0,
            octets_max: ROOT_OCTETS_MAX,
            controls: Vec::new(),
        };
        let reply = self.exchange(&root, patience).await?;
        Ok(reply.entries.first().map(SystemContexts::of).unwrap_or_default())
    }

    async fn exchange(&self, search: &Search<'_>, patience: Duration) -> Result<Reply, NoReply> {
        if self.outstanding.fetch_add(1, Relaxed) == 0 {
            self.heard.store(clock::now().0, Relaxed);
        }
        let mut under_way = UnderWay { link: self, has_ended: false };
        let mut ldap = self.ldap.clone();
        let options = SearchOptions::new()
            .sizelimit(i32::try_from(search.entries_max).unwrap_or(i32::MAX))
            .typesonly(search.attributes == ["1.1"]);
        ldap.with_search_options(options);
        if !search.controls.is_empty() {
            ldap.with_controls(search.controls.clone());
        }
        let attributes: Vec<&str> = search.attributes.to_vec();
        let asking = async {
            let stream =
                ldap.streaming_search(search.base, search.scope, search.filter, attributes);
            let mut stream = stream.await.map_err(lost)?;
            let (mut entries, mut references, mut octets) = (Vec::new(), Vec::new(), 0);
            let mut intermediates = Vec::new();
            while let Some(item) = stream.next().await.map_err(lost)? {
                octets += octets_of(&item.0);
                if octets > search.octets_max {
                    return Err(NoReply::Trouble(too_much(search.octets_max)));
                }
                if item.is_ref() {
                    let urls = texts(&item.0);
                    // One that cannot be read leads elsewhere all the same.
                    let is_unreadable = urls.is_empty();
                    references.extend(urls.into_iter().chain(is_unreadable.then(String::new)));
                } else if item.is_intermediate() {
                    intermediates.extend(intermediate(item));
                } else {
                    entries.push(entry(item).ok_or_else(|| NoReply::Trouble(malformed()))?);
                }
            }
            let result = stream.finish().await;
            Ok(Reply { entries, references, intermediates, result })
        };
        match timeout(patience, asking).await {
            Ok(Ok(reply)) => {
                under_way.has_ended = true;
                Ok(reply)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NoReply::Trouble(Problem::slow("a search"))),
        }
    }
}

impl Link {
    /// Says goodbye as RFC 4511 §4.3 wants it, where there is a runtime to do so.
    fn leave(&self) {
        self.close();
        let mut ldap = self.ldap.clone();
        if let (Ok(runtime), false) = (tokio::runtime::Handle::try_current(), ldap.is_closed()) {
            runtime.spawn(async move { drop(timeout(FAREWELL_MAX, ldap.unbind()).await) });
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Asks idle connections whether they still work, so that no asker finds out by waiting; ends
/// when the connection is no longer kept.
pub async fn keep(
    link: std::sync::Weak<Link>,
    every: Duration,
    idle_max: Duration,
    age_max: Duration,
    patience: Duration,
) {
    loop {
        sleep(every).await;
        let Some(link) = link.upgrade().filter(|link| link.is_open()) else { return };
        let now = clock::now();
        let since = |then: Moment| Duration::from_millis(now.0.saturating_sub(then.0));
        if since(link.used()) >= idle_max || since(link.opened()) >= age_max {
            // What is under way goes on: then the last who holds it says goodbye.
            return if link.outstanding() == 0 { link.leave() } else { link.close() };
        }
        if link.outstanding() == 0 && since(link.used()) >= every {
            // The root of every directory (RFC 4512 §5.1), whatever we may see below it.
            let used = link.used();
            let root = Search {
                base: "",
                scope: Scope::Base,
                filter: "(objectClass=*)",
                attributes: &["1.1"],
                entries_max: 1,
                octets_max: 1 << 16,
                controls: Vec::new(),
            };
            if link.search(&root, patience).await.is_err() {
                return link.leave();
            }
            // Being asked after its health does not make it used.
            link.used.store(used.0, Relaxed);
        }
    }
}

fn wrong_name(error: &InvalidDnsNameError) -> Problem {
    let remedy = "`tls_name`: the name in the server's certificate";
    Problem::new(TroubleKind::Misconfigured, error.to_string(), remedy)
}

fn lost(error: ldap3::LdapError) -> NoReply {
    match error {
        ldap3::LdapError::FilterParsing => NoReply::Trouble(of_library(Asked::Search, &error)),
        error => NoReply::Lost(error.to_string()),
    }
}

fn malformed() -> Problem {
    let what = "sent an entry that cannot be read";
    Problem::new(TroubleKind::Unexpected, what, "see the server's own log")
}

fn too_much(octets_max: usize) -> Problem {
    Problem::new(
        TroubleKind::Unexpected,
        format!("answered one search with more than {octets_max} octets"),
        "`filter` and `target_attribute`: they find more than one mailbox would have",
    )
}
