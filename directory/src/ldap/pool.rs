//! The connections to the servers of one directory: servers in their order, a few connections for
//! each thread, many searches on each. Decides who is asked, when another is asked instead, and
//! who waits; what an answer means is left to whoever asks.
//! A connection belongs to the thread that opened it, since its socket is watched there.

use super::super::live::TroubleKind;
use super::account::Account;
use super::link::{DialSettings, Link, Login, NoReply, Reply, Search, Standing, keep};
use super::preset::Protection;
use super::server::{Server, server_name};
use super::settings::Settings;
use super::trouble::Problem;
use ldap3::Scope;
use relay::breaker::Permit;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use wire::clock;
use wire::lock::lock;
use wire::pool::counted::Count;
use wire::server::{NextHopHost, NextHopTls};
use wire::tls::client::{TrustError, client_config};

/// Askers that wait because all connections have as much under way as they may.
const WAITING_MAX: u32 = 256;
/// A connection on which nothing has come for this part of `answer_max` gets nothing more to do.
const STALLED_PART: u32 = 4;
/// So many of those are replaced.
const STALLED_MAX: u32 = 2;
/// How often an idle connection is asked whether it still works.
const HEALTH_EVERY: Duration = Duration::from_secs(20);

/// All connections to one directory.
pub struct Pool {
    settings: Arc<Settings>,
    servers: Vec<Arc<Server>>,
    per_thread: Mutex<HashMap<ThreadId, Arc<PerThread>>>,
    waiting: Arc<Count>,
    /// Who is tried when all are being left alone.
    next: AtomicUsize,
    /// The server that was connected to last, from 1; and how often that was another one.
    last: AtomicUsize,
    changes: AtomicU64,
}

/// What one thread has.
struct PerThread {
    turns: Semaphore,
    servers: Vec<Arc<ServerLink>>,
}

/// What one thread has to do with one server.
#[derive(Default)]
struct ServerLink {
    links: Mutex<Vec<Arc<Link>>>,
    /// Those that the server has, the oldest first: also those that take nothing more.
    standing: Mutex<Vec<Standing>>,
    /// Held by whoever connects, so that fifty askers make one connection.
    connecting: Arc<tokio::sync::Mutex<()>>,
    attempts: AtomicU64,
    /// Why the last attempt failed, for those who waited for it.
    failure: Mutex<Option<Problem>>,
}

impl Pool {
    /// Nothing is connected yet.
    /// # Errors
    /// When the authorities cannot be loaded.
    pub fn new(settings: &Arc<Settings>) -> Result<Self, TrustError> {
        let trust = settings.trust.clone();
        let tls = match settings.protection {
            Protection::Plain => NextHopTls::None,
            Protection::Ldaps | Protection::StartTls => NextHopTls::Require { trust, name: None },
        };
        let tls = client_config(&tls)?;
        let account = Arc::new(Account::default());
        let login = |server: &NextHopHost| {
            let bind = settings.bind.clone()?;
            let server = server_name(&server.host, server.port).into();
            Some(Login { bind, server, account: Arc::clone(&account) })
        };
        let servers = settings.servers.iter().map(|server| {
            let dial = DialSettings {
                host: server.host.clone(),
                port: server.port,
                protection: settings.protection,
                tls: tls.clone(),
                tls_name: settings.tls_name.clone(),
                bind: login(server),
                connect_max: settings.connect_max,
            };
            Arc::new(Server::new(dial))
        });
        Ok(Self {
            servers: servers.collect(),
            settings: Arc::clone(settings),
            per_thread: Mutex::default(),
            waiting: Arc::default(),
            next: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
        })
    }

    /// The servers, in their order.
    #[must_use]
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// How often another server than before was connected to.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Asks the servers in their order, until the reply of one means something. Ends within twice
    /// `answer_max`, waiting and connecting included.
    /// # Errors
    /// When none gave a reply that means something; the last one's trouble.
    pub async fn search<T>(
        &self,
        search: &Search<'_>,
        meaning: impl Fn(Reply) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let asking = self.search_in_turn(search, &meaning);
        match timeout(self.settings.answer_max * 2, asking).await {
            Ok(result) => result,
            Err(_) => Err(Problem::slow("a search, by any server")),
        }
    }

    async fn search_in_turn<T>(
        &self,
        search: &Search<'_>,
        meaning: &impl Fn(Reply) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mine = self.mine();
        let _turn = self.turn(&mine).await?;
        let mut problem = None;
        for at in self.order(&mine) {
            match self.ask(&mine, at, search, meaning).await {
                Ok(found) => return Ok(found),
                Err(why) => problem = Some(why.of(&self.servers[at].name)),
            }
        }
        Err(problem.unwrap_or_else(|| {
            Problem::new(TroubleKind::Misconfigured, "no server is named", "`servers`")
        }))
    }

    /// Those that are not left alone; when all are, one of them, each in its turn.
    fn order(&self, mine: &Arc<PerThread>) -> Vec<usize> {
        let now = clock::now();
        let mut order = Vec::with_capacity(self.servers.len());
        for (at, server) in self.servers.iter().enumerate() {
            match lock(&server.breaker).permit(now) {
                Permit::Ask => order.push(at),
                Permit::Trial => self.find_out(mine, at),
                Permit::Leave => {}
            }
        }
        if order.is_empty() {
            order.push(self.next.fetch_add(1, Relaxed) % self.servers.len());
        }
        order
    }

    /// Tries a server that has been left alone; nobody waits for that.
    fn find_out(&self, mine: &Arc<PerThread>, at: usize) {
        let (server, mine) = (Arc::clone(&self.servers[at]), Arc::clone(mine));
        let settings = Arc::clone(&self.settings);
        tokio::spawn(async move {
            let base = Search {
                base: &settings.base,
                scope: Scope::Base,
                filter: "(objectClass=*)",
                attributes: &["1.1"],
                entries_max: 1,
                octets_max: 1 << 16,
                controls: Vec::new(),
            };
            let link = mine.servers[at].link(&server, &settings, true).await;
            let answers = match link {
                Ok(link) => link.search(&base, settings.answer_max).await.is_ok(),
                Err(_) => false,
            };
            if answers {
                lock(&server.breaker).succeeded();
            } else {
                lock(&server.breaker).failed(clock::now());
            }
        });
    }

    async fn ask<T>(
        &self,
        mine: &PerThread,
        at: usize,
        search: &Search<'_>,
        meaning: &impl Fn(Reply) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let server = &self.servers[at];
        let result = self.reply(mine, at, search).await.and_then(meaning);
        let mut breaker = lock(&server.breaker);
        match &result {
            Ok(_) => _ = breaker.succeeded(),
            Err(problem) => match problem.kind {
                TroubleKind::Down | TroubleKind::Slow | TroubleKind::Busy => {
                    breaker.failed(clock::now());
                }
                TroubleKind::Misconfigured | TroubleKind::Unexpected => {}
            },
        }
        drop(breaker);
        result
    }

    /// One server's reply. A connection may have died while nobody looked: then another is made,
    /// once.
    async fn reply(
        &self,
        mine: &PerThread,
        at: usize,
        search: &Search<'_>,
    ) -> Result<Reply, Problem> {
        let (server, server_link) = (&self.servers[at], &mine.servers[at]);
        let mut needs_fresh = false;
        loop {
            let attempts = server_link.attempts.load(Relaxed);
            let link = server_link.link(server, &self.settings, needs_fresh).await?;
            let is_fresh = link.serial > attempts;
            self.note(at, is_fresh);
            match link.search(search, self.settings.answer_max).await {
                Ok(reply) => return Ok(reply),
                Err(NoReply::Trouble(problem)) => return Err(problem),
                Err(NoReply::Lost(why)) if is_fresh || needs_fresh => {
                    return Err(Problem::lost(why));
                }
                Err(NoReply::Lost(_)) => needs_fresh = true,
            }
        }
    }

    fn note(&self, at: usize, is_fresh: bool) {
        if is_fresh {
            let before = self.last.swap(at + 1, Relaxed);
            if before != 0 && before != at + 1 {
                self.changes.fetch_add(1, Relaxed);
            }
        }
    }

    async fn turn<'d>(&self, mine: &'d PerThread) -> Result<SemaphorePermit<'d>, Problem> {
        if let Ok(turn) = mine.turns.try_acquire() {
            return Ok(turn);
        }
        let remedy = "the directory answers too slowly for what is asked: index the filter's \
                      attributes, add servers, or raise `connections_max`";
        let busy = |what| Problem::new(TroubleKind::Busy, what, remedy);
        let (_waiting, before) = self.waiting.add();
        if before >= WAITING_MAX {
            return Err(busy("256 lookups wait for the directory already"));
        }
        mine.turns.acquire().await.map_err(|_| busy("nothing more is asked"))
    }

    fn mine(&self) -> Arc<PerThread> {
        let mut per_thread = lock(&self.per_thread);
        let mine = per_thread.entry(thread::current().id()).or_insert_with(|| {
            let turns = self.settings.connections_max * self.settings.outstanding_max;
            Arc::new(PerThread {
                turns: Semaphore::new(turns as usize),
                servers: self.servers.iter().map(|_| Arc::default()).collect(),
            })
        });
        Arc::clone(mine)
    }
}

impl ServerLink {
    /// A connection with room for one more search; `fresh` demands one that is made from now on.
    async fn link(
        self: &Arc<Self>,
        server: &Arc<Server>,
        settings: &Arc<Settings>,
        fresh: bool,
    ) -> Result<Arc<Link>, Problem> {
        let attempts = self.attempts.load(Relaxed);
        let made_after = if fresh { attempts } else { 0 };
        if let Some(link) = self.with_room(settings, made_after) {
            return Ok(link);
        }
        let connecting = Arc::clone(&self.connecting).lock_owned().await;
        if let Some(link) = self.with_room(settings, made_after) {
            return Ok(link);
        }
        // Whoever waited while another tried in vain does not try in vain once more.
        if self.attempts.load(Relaxed) > attempts
            && let Some(problem) = lock(&self.failure).clone()
        {
            return Err(problem);
        }
        let (me, server, settings) = (Arc::clone(self), Arc::clone(server), Arc::clone(settings));
        // An asker who has gone leaves a connection behind that the next one finds: not counted,
        // a server that is slow would be connected to by each who gives up on it.
        let opening = tokio::spawn(async move {
            let _connecting = connecting;
            me.open(&server, &settings).await
        });
        opening.await.unwrap_or_else(|error| Err(Problem::lost(error.to_string())))
    }

    async fn open(&self, server: &Server, settings: &Settings) -> Result<Arc<Link>, Problem> {
        self.make_room(links_max(settings));
        let serial = self.attempts.fetch_add(1, Relaxed) + 1;
        let opened = server.open(serial).await;
        *lock(&self.failure) = opened.as_ref().err().cloned();
        let link = Arc::new(opened?);
        let (idle, age) = (settings.idle_max, settings.age_max);
        let every = HEALTH_EVERY.min(idle).min(age);
        tokio::spawn(keep(Arc::downgrade(&link), every, idle, age, settings.answer_max));
        lock(&self.standing).push(link.standing());
        lock(&self.links).push(Arc::clone(&link));
        Ok(link)
    }

    /// Breaks connections off until there is room for one more: one that takes nothing more, else
    /// the oldest. What is given up stands until what is under way on it has ended, and one is
    /// given up whenever an answer fails to come: not counted, a server that hangs would be given
    /// ever more connections.
    fn make_room(&self, links_max: usize) {
        let mut standing = lock(&self.standing);
        standing.retain(|one| !one.is_over());
        while standing.len() >= links_max {
            let at = standing.iter().position(Standing::is_given_up).unwrap_or(0);
            standing.remove(at).cut();
        }
    }

    /// An open connection with room. Fills one before it takes the next: a busy one answers
    /// several searches with one read. One that has gone silent is left to those who are on it,
    /// until there are too many such.
    fn with_room(&self, settings: &Settings, made_after: u64) -> Option<Arc<Link>> {
        let mut links = lock(&self.links);
        let closed: Vec<_> = links.extract_if(.., |link| !link.is_open()).collect();
        let stalled_after = settings.answer_max / STALLED_PART;
        let is_full = links.len() >= links_max(settings);
        let has_room = |link: &&Arc<Link>| {
            link.serial > made_after
                && link.outstanding() < settings.outstanding_max
                && (is_full || !link.is_stalled(stalled_after))
        };
        let link = links.iter().find(has_room).cloned();
        drop(links);
        // Saying goodbye takes a moment: not while others wait for the list.
        drop(closed);
        link
    }
}

/// Connections of one thread to one server, those included that have gone silent.
fn links_max(settings: &Settings) -> usize {
    (settings.connections_max + STALLED_MAX) as usize
}

#[cfg(test)]
mod tests {
    use super::super::export::modes::Mode;
    use super::super::filter::Template;
    use super::super::preset::Preset;
    use super::*;
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    /// A server that takes connections and never answers, which ours need not: nobody binds.
    struct Silent {
        listener: TcpListener,
        taken: Vec<TcpStream>,
    }

    impl Silent {
        fn start() -> (Self, Arc<Server>) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let dial = DialSettings {
                host: Ipv4Addr::LOCALHOST.to_string(),
                port: listener.local_addr().unwrap().port(),
                protection: Protection::Plain,
                tls: None,
                tls_name: None,
                bind: None,
                connect_max: Duration::from_secs(60),
            };
            (Self { listener, taken: Vec::new() }, Arc::new(Server::new(dial)))
        }

        /// How many of its clients have not left.
        fn open(&mut self) -> usize {
            self.taken.extend(self.listener.incoming().map_while(Result::ok));
            let is_open = |taken: &&TcpStream| {
                taken.set_nonblocking(true).unwrap();
                match taken.peek(&mut [0]) {
                    Ok(octets) => octets > 0,
                    Err(error) => error.kind() == ErrorKind::WouldBlock,
                }
            };
            self.taken.iter().filter(is_open).count()
        }
    }

    fn settings() -> Arc<Settings> {
        Arc::new(Settings {
            name: "test".to_owned(),
            preset: Preset::Custom,
            servers: Vec::new(),
            protection: Protection::Plain,
            trust: wire::server::Trust::SystemRoots,
            tls_name: None,
            bind: None,
            base: "o=Example".to_owned(),
            filter: Template::parse("(mail={address})").unwrap(),
            mode: Mode::Live,
            target_attribute: None,
            answer_max: Duration::from_secs(60),
            connect_max: Duration::from_secs(60),
            connections_max: 2,
            outstanding_max: 32,
            idle_max: Duration::from_secs(300),
            age_max: Duration::from_secs(3_600),
            positive: Duration::ZERO,
            negative: Duration::ZERO,
        })
    }

    #[tokio::test]
    async fn connections_that_are_given_up_and_stand_leave_room_for_no_more() {
        let (mut silent, server) = Silent::start();
        let (server_link, settings) = (Arc::<ServerLink>::default(), settings());
        let mut held = Vec::new();
        for made in 1..=20 {
            let link = server_link.link(&server, &settings, false).await.unwrap();
            // As when an answer has not come, while others still wait for theirs.
            link.close();
            held.push(link);
            assert_eq!(server_link.attempts.load(Relaxed), made);
            let until = clock::now().plus_milliseconds(60_000);
            while silent.open() > links_max(&settings) {
                assert!(clock::now() < until, "{} after {made}", silent.open());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(silent.open(), links_max(&settings), "and no fewer");
    }
    #[tokio::test]
    async fn an_asker_who_gives_up_leaves_the_connection_to_the_next() {
        let (mut silent, server) = Silent::start();
        let (server_link, settings) = (Arc::<ServerLink>::default(), settings());
        for _ in 0..20 {
            let mut asking = Box::pin(server_link.link(&server, &settings, false));
            // The first waits for a connection, and is gone before there is one.
            let _ = futures_util::poll!(&mut asking);
        }
        let link = server_link.link(&server, &settings, false).await.unwrap();
        assert_eq!((link.serial, server_link.attempts.load(Relaxed)), (1, 1));
        assert_eq!(silent.open(), 1);
    }
}
