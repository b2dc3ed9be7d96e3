//! Everything around an `Exchange`, without a network: directory, ledger, a virtual clock, and
//! next hops that are reached through `ClientSession` as the edge reaches them. Who the client
//! and the next hops are, and who listens, is a [`Voice`].

mod next_hop;

use mail::address::{Domain, Mailbox};
use mail::smtp::client::TlsWish;
use mail::smtp::extension::Offer;
use mail::smtp::introduction::Introduction;
use mail::smtp::reply::Reply;
use next_hop::Connection;
use relay::client::Client;
use relay::event::Event;
use relay::exchange::{Do, Done, Exchange, Sink};
use relay::ledger::Ledger;
use relay::moment::Moment;
use relay::next_hop::Outcome;
use relay::policy::facts::{Arrival, Found, Need, ReverseName};
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{
    DomainId, DomainSettings, Harvest, Limits, ListenerTerms, LocalPartCase, NextHopId, Pressure,
    Rates, Settings,
};
use relay::split::SplitMemory;
use std::collections::HashMap;
use std::sync::Arc;

/// What a next hop does when we wait for it.
pub enum Speech {
    Octets(Vec<u8>),
    /// The connection is gone, or the edge has waited long enough.
    Lost,
}

/// What happens beside commands and replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The client's handshake.
    Tls,
    /// The next hop's handshake.
    HopTls,
    /// We let the client wait for so many milliseconds.
    Waits(u64),
    /// We close the client's connection.
    Closed,
}

/// The others: they speak and listen.
pub trait Voice {
    /// The client hears a reply.
    fn reply(&mut self, reply: &Reply);
    /// Something was recorded.
    fn event(&mut self, event: &Event<'_>);
    /// A connection is wanted.
    fn opens(&mut self, hop: &str) -> Result<(), Outcome>;
    /// A next hop hears octets.
    fn hears(&mut self, hop: &str, octets: &[u8]);
    /// A next hop hears our trace field.
    fn hears_trace(&mut self, hop: &str, field: &str);
    /// A next hop is listened to.
    fn speaks(&mut self, hop: &str) -> Speech;
    /// Whether the connection breaks while content is being sent.
    fn breaks_in_content(&mut self, _hop: &str) -> bool {
        false
    }
    /// Whether the content that was kept can be read back.
    fn keeps_content(&mut self) -> bool {
        true
    }
    fn mark(&mut self, mark: Mark);
}

/// One next hop, as the operator wrote it.
#[derive(Clone, Debug)]
pub struct HopSettings {
    pub name: String,
    pub tls: TlsWish,
    /// How it is told who the client is.
    pub introduction: Introduction,
    pub line_octets_max: Option<u32>,
}

/// The world without the clients.
pub struct Stage<V> {
    pub settings: Arc<Settings>,
    pub offer: Offer,
    /// How the listener receives clients; as by default where nothing is given.
    pub listener: Option<Arc<ListenerTerms>>,
    pub hops: Vec<HopSettings>,
    pub directory: HashMap<(DomainId, String), RecipientStatus>,
    pub ledger: Ledger,
    pub split: SplitMemory,
    pub now: Moment,
    pub pressure: Pressure,
    pub arrival: Arrival,
    /// What the DNS calls each client.
    pub reverse_name: ReverseName,
    /// How many octets of a next hop come at once.
    pub bite: usize,
    pub voice: V,
    idle: Vec<Connection>,
}

/// One client's visit.
pub struct Visit {
    pub exchange: Exchange,
    /// Until when the next octet may come; `None` when the session is closed.
    pub until: Option<Moment>,
    /// The client has said more than was read when the handshake began.
    pub unread: bool,
    hop: Option<Connection>,
    content: Vec<u8>,
}

struct Ear<'a, V> {
    voice: &'a mut V,
    ledger: &'a mut Ledger,
    split: &'a mut SplitMemory,
    harvest: &'a Harvest,
    now: Moment,
    content: &'a mut Vec<u8>,
}

impl<V: Voice> Sink for Ear<'_, V> {
    fn write(&mut self, reply: &Reply) {
        self.voice.reply(reply);
    }
    fn keep(&mut self, content: &[u8]) {
        self.content.extend_from_slice(content);
    }
    fn record(&mut self, event: &Event<'_>) {
        self.ledger.observe(event, self.harvest, 0, self.now);
        self.voice.event(event);
    }
    fn split(
        &mut self,
        network: relay::client::Prefix,
        from: &mail::address::ReversePath,
        recipients: &[mail::address::ForwardPath],
    ) {
        self.split.remember(network, from, recipients, self.now);
    }
}

macro_rules! ear {
    ($stage:expr, $content:expr) => {
        &mut Ear {
            voice: &mut $stage.voice,
            ledger: &mut $stage.ledger,
            split: &mut $stage.split,
            harvest: &$stage.settings.harvest,
            now: $stage.now,
            content: $content,
        }
    };
}

impl<V: Voice> Stage<V> {
    pub fn new(settings: Settings, hops: Vec<HopSettings>, voice: V) -> Self {
        let size_octets_max = settings.limits.size_octets_max;
        Self {
            settings: Arc::new(settings),
            listener: None,
            offer: Offer {
                size_octets_max,
                eight_bit_mime: true,
                start_tls: false,
                pipelining: true,
            },
            hops,
            directory: HashMap::new(),
            ledger: Ledger::new((1, 2)),
            split: SplitMemory::new((3, 4)),
            now: Moment(0),
            pressure: Pressure::Normal,
            reverse_name: ReverseName::Unavailable,
            arrival: Arrival { connections: 1, client_connections: 1, ..Arrival::default() },
            bite: usize::MAX,
            voice,
            idle: Vec::new(),
        }
    }

    /// A client connects and waits for the greeting.
    pub fn visit(&mut self, client: Client) -> Visit {
        let mut exchange = Exchange::new(
            Arc::clone(&self.settings),
            client,
            self.arrival,
            self.offer,
            self.pressure,
            self.now,
        );
        if let Some(listener) = &self.listener {
            exchange = exchange.received_by(Arc::clone(listener));
        }
        let mut visit =
            Visit { exchange, until: None, unread: false, hop: None, content: Vec::new() };
        self.run(&mut visit);
        visit
    }

    /// The client says something and waits.
    pub fn say(&mut self, visit: &mut Visit, octets: &[u8]) {
        self.report(visit, Done::Bytes(octets.to_vec()));
    }

    pub fn report(&mut self, visit: &mut Visit, done: Done) {
        if visit.until.take().is_some() {
            visit.exchange.done(done, self.now, ear!(self, &mut visit.content));
            self.run(visit);
        }
    }

    /// Time passes, and with it perhaps a deadline.
    pub fn pass(&mut self, visit: Option<&mut Visit>, milliseconds: u64) {
        let until = self.now.plus_milliseconds(milliseconds);
        if let Some(visit) = visit {
            while let Some(deadline) = visit.until.filter(|deadline| *deadline <= until) {
                // One that has become shorter may have passed.
                self.now = deadline.max(self.now);
                self.report(visit, Done::Elapsed);
            }
        }
        self.now = until;
    }

    /// We are more or less loaded from now on, which an open session hears of as it waits.
    pub fn set_pressure(&mut self, visit: Option<&mut Visit>, pressure: Pressure) {
        self.pressure = pressure;
        if let Some(visit) = visit {
            visit.exchange.set_pressure(pressure);
            if visit.until.is_some() {
                visit.until = visit.exchange.until();
            }
        }
    }

    /// Does what the exchange wants until it wants to read, or is over.
    pub fn run(&mut self, visit: &mut Visit) {
        loop {
            let done = match visit.exchange.next(ear!(self, &mut visit.content)) {
                Do::Read { until } => {
                    visit.until = Some(until);
                    return;
                }
                Do::Close => {
                    visit.until = None;
                    self.voice.mark(Mark::Closed);
                    return;
                }
                Do::Send { .. } => Done::Yes,
                Do::LookUp { need, .. } => Done::Found(self.look_up(&visit.exchange, need)),
                Do::Carry { request, .. } => Done::Carried(self.ask(visit, request)),
                Do::Forget { .. } => {
                    visit.content.clear();
                    self.give_back(visit.hop.take());
                    Done::Yes
                }
                Do::Wait { until } => {
                    self.voice.mark(Mark::Waits(until.milliseconds_since(self.now)));
                    self.now = until;
                    Done::Yes
                }
                Do::StartTls { .. } if visit.unread => Done::Gone,
                Do::StartTls { .. } => {
                    self.voice.mark(Mark::Tls);
                    visit.exchange.behind_tls();
                    Done::Yes
                }
            };
            visit.exchange.done(done, self.now, ear!(self, &mut visit.content));
        }
    }

    fn look_up(&mut self, exchange: &Exchange, need: Need) -> Found {
        match need {
            Need::Recipient => Found::Recipient(self.recipient(exchange)),
            Need::ReverseName => Found::ReverseName(self.reverse_name.clone()),
            Need::EarlyTalker => Found::EarlyTalker(false),
            Need::Standing => Found::Standing(self.ledger.standing(exchange.client(), self.now)),
            Need::Split => Found::Split(
                exchange
                    .envelope_in_question()
                    .is_some_and(|envelope| self.split.is_remembered(&envelope, self.now)),
            ),
        }
    }

    fn recipient(&self, exchange: &Exchange) -> RecipientStatus {
        let (id, local_part) = exchange.recipient_in_question().unwrap();
        let domain = self.settings.domain(id);
        let name = local_part.map_or("postmaster", |local_part| local_part.as_str());
        let find = |name: &str| self.directory.get(&(id, canonical(domain, name))).cloned();
        let short = domain.sub_address_separator.and_then(|s| name.split_once(s)).map(|(n, _)| n);
        if let Some(status) = find(name).or_else(|| short.and_then(find)) {
            return status;
        }
        if ["postmaster", "abuse"].iter().any(|always| name.eq_ignore_ascii_case(always)) {
            return RecipientStatus::Exists {
                target: domain.postmaster.clone(),
                ground: Ground::Reserved,
            };
        }
        match &domain.catch_all {
            Some(target) => {
                RecipientStatus::Exists { target: Some(target.clone()), ground: Ground::CatchAll }
            }
            None => RecipientStatus::Unknown,
        }
    }
}

/// The key under which a directory knows a name.
pub fn canonical(domain: &DomainSettings, name: &str) -> String {
    match domain.local_part_case {
        LocalPartCase::Folded => name.to_ascii_lowercase(),
        LocalPartCase::Exact => name.to_owned(),
    }
}

/// Settings without domains; we are `mx.example.com`.
pub fn settings() -> Settings {
    Settings {
        hostname: Domain::new("mx.example.com").unwrap(),
        domains: HashMap::new(),
        domain: Vec::new(),
        limits: Limits::default(),
        harvest: Harvest::default(),
        rates: Rates::default(),
        require_reverse_name: false,
    }
}

/// A domain of ours with nothing special about it.
pub fn add_domain(settings: &mut Settings, name: &str, next_hop: u32) -> DomainId {
    let id = DomainId(u32::try_from(settings.domain.len()).unwrap());
    settings.domains.insert(name.to_ascii_lowercase().into(), id);
    settings.domain.push(DomainSettings {
        name: Domain::new(name).unwrap(),
        next_hop: NextHopId(next_hop),
        local_part_case: LocalPartCase::Folded,
        sub_address_separator: None,
        local_part_characters: "".into(),
        catch_all: None::<Mailbox>,
        postmaster: None,
    });
    id
}

/// A next hop with nothing special about it.
pub fn hop(name: &str) -> HopSettings {
    HopSettings {
        name: name.to_owned(),
        tls: TlsWish::None,
        introduction: Introduction::None,
        line_octets_max: None,
    }
}

/// A client with nothing special about it.
pub fn client(ip: &str) -> Client {
    Client {
        address: std::net::SocketAddr::new(ip.parse().unwrap(), 40_000),
        session: mail::smtp::reply::SessionId(1),
        limits_lifted: false,
        endings: mail::smtp::line::LineEndings::Strict,
        tls: false,
    }
}
