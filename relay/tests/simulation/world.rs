//! A world made from a seed: clients, next hops, a directory, and what goes wrong when; and the
//! scheduler that lets the session whose time is earliest do its next thing.

use super::client::{Arrives, Client, Honest, Message, Pace, Unit};
use super::content;
use super::directory::{DOMAINS, Directory};
use super::edge::{Mutant, Pieces, Session, Shared};
use super::journal::{Journal, Note};
use super::judge::Truth;
use super::next_hop::{Hop, Manner};
use super::seed::Seed;
use super::stranger::{KINDS, Kind, Stranger};
use mail::address::Domain;
use mail::smtp::extension::Offer;
use mail::smtp::line::LineEndings;
use mail::smtp::reply::SessionId;
use relay::exchange::Exchange;
use relay::ledger::Ledger;
use relay::moment::Moment;
use relay::policy::facts::Arrival;
use relay::settings::{
    DomainId, DomainSettings, Harvest, Limits, LocalPartCase, NextHopId, Pressure, Rates, Settings,
};
use relay::split::SplitMemory;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const HOUR: u64 = 3_600_000;
/// Faults end here; what is honest and unlucky until then must get through afterwards.
const FAULTS_UNTIL: u64 = 12 * HOUR;
const STEPS_MAX: usize = 400_000;

/// A client, and its session when it has one.
struct Agent {
    client: Box<dyn Client>,
    session: Option<Session>,
    /// When it does its next thing.
    at: Option<u64>,
}

pub struct World {
    pub shared: Shared,
    agents: Vec<Agent>,
    sessions: u64,
    injector: bool,
    pub truth: Truth,
}

pub fn settings() -> Settings {
    let mut settings = Settings {
        hostname: Domain::new("mx.a.example").unwrap(),
        domains: std::collections::HashMap::new(),
        domain: Vec::new(),
        limits: Limits::default(),
        harvest: Harvest::default(),
        rates: Rates::default(),
        require_reverse_name: false,
    };
    settings.limits.size_octets_max = 60_000;
    for (n, (name, alias, hop)) in (0..).zip(DOMAINS) {
        settings.domains.insert(name.into(), DomainId(n));
        if let Some(alias) = alias {
            settings.domains.insert(alias.into(), DomainId(n));
        }
        settings.domain.push(DomainSettings {
            name: Domain::new(name).unwrap(),
            next_hop: NextHopId(hop as u32),
            local_part_case: LocalPartCase::Folded,
            sub_address_separator: None,
            local_part_characters: "".into(),
            catch_all: None,
            postmaster: None,
        });
    }
    settings
}

/// A next hop without faults.
pub fn calm_hop(seed: Seed, tls: bool) -> Hop {
    Hop {
        manner: Manner {
            hosts: 1,
            pipelining: true,
            eight_bit: true,
            xforward: false,
            tls,
            connections_max: 20,
            idle: 60_000,
            polite: true,
        },
        seed,
        fault_rate: 0,
        faults_until: 0,
        planned: VecDeque::new(),
        down: Vec::new(),
        in_use: 0,
    }
}

pub fn calm_shared(hops: Vec<Hop>, pieces: Pieces, mutant: Option<Mutant>) -> Shared {
    Shared {
        journal: Journal::default(),
        hops,
        pool: Vec::new(),
        conns: 0,
        directory: Directory::default(),
        ledger: Ledger::new((1, 2)),
        split: SplitMemory::new((3, 4)),
        settings: Arc::new(settings()),
        pieces,
        mutant,
        pressure: Vec::new(),
        drain: (0, 0),
    }
}

impl World {
    /// Without anybody in it.
    pub fn new(shared: Shared) -> Self {
        let truth = Truth { session_seconds_max: 3_600, ..Truth::default() };
        Self { shared, agents: Vec::new(), sessions: 0, injector: false, truth }
    }

    /// As the seed has it. The pieces change nothing that may matter.
    pub fn seeded(seed: u64, pieces: Pieces, mutant: Option<Mutant>) -> Self {
        let mut seed = Seed::new(seed);
        let hops = (0..3).map(|_| faulty_hop(&mut seed.fork())).collect();
        let mut shared = calm_shared(hops, pieces, mutant);
        weather(&mut shared, &mut seed.fork());
        let mut world = Self::new(shared);
        let mut token = 100;
        for n in 0..seed.between(3, 6) {
            let mut own = seed.fork();
            let client = honest(n, &mut token, &mut own);
            let messages = client.messages.iter().map(|message| message.token);
            world.truth.honest.extend(messages);
            world.enter(Box::new(client), own.below(2 * HOUR));
        }
        for n in 0..seed.between(1, 4) {
            let mut own = seed.fork();
            token += 1;
            let arrives = arrives(100 + n, &mut own);
            let kind = *own.pick(&KINDS);
            world.injector |= kind == Kind::Injector;
            let early_talker = kind == Kind::Silent && own.percent(50);
            let arrives = Arrives { early_talker, ..arrives };
            let at = own.below(2 * HOUR);
            world.enter(Box::new(Stranger::new(kind, arrives, token, own)), at);
        }
        world
    }

    /// Whether somebody speaks out of turn, which is seen or not as the bytes happen to come.
    pub fn has_injector(&self) -> bool {
        self.injector
    }

    pub fn enter(&mut self, client: Box<dyn Client>, at: u64) {
        self.agents.push(Agent { client, session: None, at: Some(at) });
    }

    /// Until nobody has anything left to do.
    pub fn run(&mut self) {
        for _ in 0..STEPS_MAX {
            let next = self.agents.iter().enumerate().filter_map(|(n, a)| Some((a.at?, n))).min();
            let Some((at, n)) = next else { return self.end() };
            self.step(n, at);
        }
        self.shared.journal.note(0, Note::Endless { why: "too many steps" });
    }

    fn step(&mut self, n: usize, at: u64) {
        let agent = &mut self.agents[n];
        let Some(session) = &mut agent.session else {
            self.connect(n, at);
            return;
        };
        let over = session.step(&mut *agent.client, &mut self.shared);
        let now = session.now;
        agent.at = Some(now);
        if now > session.since + 6 * HOUR {
            self.shared.journal.note(now, Note::Endless { why: "a session of six hours" });
            (agent.session, agent.at) = (None, None);
        } else if over {
            agent.session = None;
            agent.at = agent.client.ended(now);
        }
    }

    fn connect(&mut self, n: usize, now: u64) {
        let agent = &mut self.agents[n];
        let arrives = agent.client.arrives();
        agent.client.begin(now);
        self.sessions += 1;
        let id = self.sessions;
        let name = SessionId(id);
        let client = relay::client::Client {
            address: SocketAddr::from((arrives.address, 4_025)),
            session: name,
            limits_lifted: arrives.mends,
            endings: if arrives.mends { LineEndings::Normalized } else { LineEndings::Strict },
            tls: false,
        };
        let arrival = Arrival {
            early_talker: arrives.early_talker,
            is_unheard: false,
            connections: 1,
            connections_max: u32::MAX,
            client_connections: 1,
            network_connections: 1,
            is_known: false,
            refusing: self.shared.is_draining(now),
        };
        let settings = self.shared.settings.clone();
        let offer = Offer {
            size_octets_max: settings.limits.size_octets_max,
            eight_bit_mime: true,
            start_tls: arrives.start_tls,
            pipelining: true,
        };
        let pressure = self.shared.pressure(now);
        let (name, mends) = (name.to_string(), arrives.mends);
        self.shared.journal.note(now, Note::Connected { session: id, name, mends });
        let exchange = Exchange::new(settings, client, arrival, offer, pressure, Moment(now));
        agent.session = Some(Session::new(id, exchange, now));
    }

    fn end(&mut self) {
        for agent in &self.agents {
            for (token, rcpt, fate) in agent.client.ends() {
                self.shared.journal.note(u64::MAX / 2, Note::End { token, rcpt, fate });
            }
        }
    }
}

fn faulty_hop(seed: &mut Seed) -> Hop {
    let down = seed.below(6 * HOUR);
    Hop {
        manner: Manner {
            hosts: seed.between(1, 3) as usize,
            pipelining: seed.percent(60),
            eight_bit: true,
            xforward: seed.percent(30),
            tls: seed.percent(30),
            connections_max: seed.between(1, 5) as usize,
            idle: seed.between(5_000, 60_000),
            polite: seed.percent(50),
        },
        fault_rate: *seed.pick(&[0, 20, 50, 80]),
        faults_until: FAULTS_UNTIL,
        planned: VecDeque::new(),
        down: if seed.percent(30) { vec![(down, down + 2 * HOUR)] } else { Vec::new() },
        in_use: 0,
        seed: seed.fork(),
    }
}

/// What is wrong with the directory and with ourselves, and when.
fn weather(shared: &mut Shared, seed: &mut Seed) {
    shared.directory.change = seed.below(6 * HOUR);
    for _ in 0..seed.below(4) {
        let from = seed.below(FAULTS_UNTIL);
        let length = seed.between(60_000, HOUR);
        shared.directory.away.push((from, from + length, seed.percent(40)));
    }
    if seed.percent(25) {
        let from = seed.below(3 * HOUR);
        let pressure = *seed.pick(&[Pressure::Busy, Pressure::Stress]);
        shared.pressure.push((from, from + HOUR, pressure));
    }
    if seed.percent(15) {
        let from = seed.below(3 * HOUR);
        shared.drain = (from, from + 60_000);
    }
}

fn arrives(n: u64, seed: &mut Seed) -> Arrives {
    Arrives {
        address: Ipv4Addr::new(192, 0, 2, n as u8 + 1),
        mends: seed.percent(10),
        early_talker: false,
        start_tls: seed.percent(50),
    }
}

fn honest(n: u64, token: &mut usize, seed: &mut Seed) -> Honest {
    let arrives = arrives(n, seed);
    let messages = (0..seed.between(1, 3)).map(|_| {
        *token += 1;
        message(*token, seed)
    });
    let messages = messages.collect();
    let mut client = Honest::new(arrives, messages, seed.fork());
    if seed.percent(40) {
        client.vanishes = (seed.between(20, 70), FAULTS_UNTIL);
    }
    if seed.percent(20) {
        client.pace = Pace { octets: 100, every: 40 };
    }
    client
}

fn message(token: usize, seed: &mut Seed) -> Message {
    const NAMES: [&str; 12] = [
        "hopno", "whole", "nobody", "new", "gone", "left", "void", "mapped", "abuse", "user1",
        "user2", "user3",
    ];
    const HOSTS: [&str; 8] = [
        "a.example",
        "a.example",
        "a.example",
        "A.example",
        "b.example",
        "b2.example",
        "c.example",
        "d.example",
    ];
    let count = *seed.pick(&[1, 1, 2, 3, 5, 8]);
    let mut units: Vec<Unit> = Vec::new();
    for _ in 0..count {
        let user = format!("user{}", seed.below(10));
        let name = if seed.percent(65) { user.as_str() } else { *seed.pick(&NAMES) };
        let rcpt = match seed.below(40) {
            0 => "x@elsewhere.example".to_owned(),
            1 => "postmaster".to_owned(),
            _ => format!("{name}@{}", seed.pick(&HOSTS)),
        };
        if !units.iter().any(|unit| unit.rcpt.eq_ignore_ascii_case(&rcpt)) {
            units.push(Unit::new(rcpt));
        }
    }
    let eight_bit = seed.percent(30);
    let notice = units.len() == 1 && seed.percent(20);
    let from = if notice { String::new() } else { format!("sender{token}@else.example") };
    Message { token, from, eight_bit, wire: content::compose(token, eight_bit, seed), units }
}
