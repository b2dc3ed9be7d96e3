//! What all simulated clients have in common, and the honest one: it knows RFC 5321, sends what
//! it has, tries again (§4.5.4), splits when it is told to, and sometimes vanishes.

use super::journal::{Fate, Heard, Item};
use super::seed::Seed;
use std::collections::VecDeque;
use std::net::Ipv4Addr;

/// What a client does next.
pub enum Move {
    /// Says something, after so many milliseconds.
    Send { after: u64, items: Vec<Item>, pace: Pace },
    /// Says so many octets of it and is gone.
    Break { items: Vec<Item>, octets: usize },
    /// Says it and is gone before the replies.
    Last { items: Vec<Item> },
    /// Hangs up.
    Leave,
    /// Waits for ever.
    Silent,
}

/// How the octets of one move come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub octets: usize,
    pub every: u64,
}

pub const AT_ONCE: Pace = Pace { octets: usize::MAX, every: 0 };

/// What is known of a client before it says anything.
#[derive(Clone, Copy, Debug)]
pub struct Arrives {
    pub address: Ipv4Addr,
    /// Belongs to a network whose line ends are mended.
    pub mends: bool,
    pub early_talker: bool,
    /// Is offered STARTTLS.
    pub start_tls: bool,
}

pub trait Client {
    fn arrives(&self) -> Arrives;
    /// A session begins.
    fn begin(&mut self, now: u64);
    /// The replies to what it said last; what now?
    fn next(&mut self, heard: &[Heard], now: u64) -> Move;
    /// The session is over; when does it come again?
    fn ended(&mut self, now: u64) -> Option<u64>;
    /// Its messages and what became of them.
    fn ends(&self) -> Vec<(usize, String, Fate)> {
        Vec::new()
    }
}

pub struct Message {
    pub token: usize,
    pub from: String,
    pub eight_bit: bool,
    pub wire: Vec<u8>,
    pub units: Vec<Unit>,
}

/// One recipient of one message.
pub struct Unit {
    pub rcpt: String,
    pub fate: Fate,
    /// Was named in this session.
    tried: bool,
}

impl Unit {
    pub fn new(rcpt: String) -> Self {
        Self { rcpt, fate: Fate::Pending, tried: false }
    }

    fn is_due(&self) -> bool {
        self.fate == Fate::Pending && !self.tried
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    Hello,
    StartTls,
    Envelope,
    Content,
    Reset,
    Quit,
}

#[derive(Clone, Copy)]
enum Asked {
    Mail,
    Rcpt(usize),
    Data,
}

pub struct Honest {
    pub arrives: Arrives,
    pub messages: Vec<Message>,
    pub pipelining: bool,
    pub extended: bool,
    pub wants_tls: bool,
    /// Octets at a time, and the milliseconds between.
    pub pace: Pace,
    /// In percent of sessions, until then.
    pub vanishes: (u64, u64),
    pub seed: Seed,
    phase: Phase,
    current: usize,
    asked: VecDeque<Asked>,
    todo: VecDeque<(Asked, Item)>,
    mail_ok: bool,
    accepted: Vec<usize>,
    vanish: Option<(u64, u64)>,
    wait: u64,
    gives_up: u64,
}

const MINUTE: u64 = 60_000;

impl Honest {
    pub fn new(arrives: Arrives, messages: Vec<Message>, mut seed: Seed) -> Self {
        Self {
            arrives,
            messages,
            pipelining: seed.percent(50),
            extended: seed.percent(90),
            wants_tls: arrives.start_tls && seed.percent(60),
            pace: AT_ONCE,
            vanishes: (0, 0),
            seed,
            phase: Phase::Greeting,
            current: 0,
            asked: VecDeque::new(),
            todo: VecDeque::new(),
            mail_ok: false,
            accepted: Vec::new(),
            vanish: None,
            wait: 5 * MINUTE,
            gives_up: 5 * 24 * 60 * MINUTE,
        }
    }

    fn hello(&mut self) -> Vec<Item> {
        self.phase = Phase::Hello;
        let verb = if self.extended { "EHLO" } else { "HELO" };
        vec![Item::Command(format!("{verb} client.example"))]
    }

    /// The next message with recipients that were not named in this session.
    fn transaction(&mut self) -> Vec<Item> {
        let due = |message: &Message| message.units.iter().any(Unit::is_due);
        let Some(current) = self.messages.iter().position(due) else {
            self.phase = Phase::Quit;
            return vec![Item::Command("QUIT".into())];
        };
        self.current = current;
        self.accepted.clear();
        self.mail_ok = false;
        let message = &mut self.messages[current];
        let body = if message.eight_bit && self.extended { " BODY=8BITMIME" } else { "" };
        let mail = format!("MAIL FROM:<{}>{body}", message.from);
        self.todo = [(Asked::Mail, Item::Command(mail))].into();
        for (n, unit) in message.units.iter_mut().enumerate().filter(|(_, unit)| unit.is_due()) {
            unit.tried = true;
            let line = Item::Command(format!("RCPT TO:<{}>", unit.rcpt));
            self.todo.push_back((Asked::Rcpt(n), line));
        }
        self.todo.push_back((Asked::Data, Item::Command("DATA".into())));
        self.phase = Phase::Envelope;
        self.say_envelope()
    }

    fn say_envelope(&mut self) -> Vec<Item> {
        let count = if self.pipelining { self.todo.len() } else { 1 };
        let mut items = Vec::new();
        for (asked, item) in self.todo.drain(..count.min(self.todo.len())) {
            self.asked.push_back(asked);
            items.push(item);
        }
        items
    }

    fn on_envelope(&mut self, heard: &[Heard]) -> Vec<Item> {
        let mut go_on = false;
        let rcpts = self.messages[self.current].units.len();
        for reply in heard {
            let Some(asked) = self.asked.pop_front() else { break };
            match (asked, reply.code) {
                (Asked::Mail, 200..300) => self.mail_ok = true,
                (Asked::Mail, 500..) => self.fail_all(reply.code),
                (Asked::Rcpt(n), 200..300) => self.accepted.push(n),
                (Asked::Rcpt(n), 500..) if self.mail_ok => {
                    self.messages[self.current].units[n].fate = Fate::Failed(reply.code);
                }
                // "Too many": the rest goes in a transaction of its own (RFC 5321 §4.5.3.1.10).
                (Asked::Rcpt(n), 452) if !self.accepted.is_empty() && rcpts < 50 => {
                    self.messages[self.current].units[n].tried = false;
                }
                (Asked::Data, 354) => go_on = true,
                _ => {}
            }
        }
        if go_on {
            self.phase = Phase::Content;
            let message = &self.messages[self.current];
            return vec![Item::Content { token: message.token, wire: message.wire.clone() }];
        }
        let only_data = self.todo.len() == 1 && self.accepted.is_empty();
        if !self.asked.is_empty() || (self.mail_ok && !self.todo.is_empty() && !only_data) {
            return self.say_envelope();
        }
        self.todo.clear();
        self.phase = Phase::Reset;
        vec![Item::Command("RSET".into())]
    }

    fn fail_all(&mut self, code: u16) {
        for unit in self.messages[self.current].units.iter_mut() {
            if unit.fate == Fate::Pending && unit.tried {
                unit.fate = Fate::Failed(code);
            }
        }
    }

    fn on_final(&mut self, code: u16) {
        for n in std::mem::take(&mut self.accepted) {
            let unit = &mut self.messages[self.current].units[n];
            match code {
                200..300 => unit.fate = Fate::Delivered,
                500.. => unit.fate = Fate::Failed(code),
                _ => {}
            }
        }
    }

    fn items(&mut self, heard: &[Heard]) -> Option<Vec<Item>> {
        let last = heard.last()?.clone();
        if self.phase == Phase::Content {
            // What comes behind the answer (a farewell) is no answer to it.
            self.on_final(heard.first()?.code);
        }
        if last.code == 421 && self.phase != Phase::Envelope {
            return None;
        }
        match self.phase {
            Phase::Greeting => (last.code == 220).then(|| self.hello()),
            Phase::Hello if last.code != 250 => None,
            Phase::Hello if self.wants_tls && last.text.contains("STARTTLS") => {
                self.phase = Phase::StartTls;
                Some(vec![Item::Command("STARTTLS".into())])
            }
            Phase::StartTls if last.code == 220 => Some(self.hello()),
            Phase::Hello | Phase::StartTls | Phase::Content | Phase::Reset => {
                Some(self.transaction())
            }
            Phase::Envelope => {
                let items = self.on_envelope(heard);
                (last.code != 421).then_some(items)
            }
            Phase::Quit => None,
        }
    }
}

impl Client for Honest {
    fn arrives(&self) -> Arrives {
        self.arrives
    }

    fn begin(&mut self, now: u64) {
        self.phase = Phase::Greeting;
        self.asked.clear();
        self.todo.clear();
        self.accepted.clear();
        for unit in self.messages.iter_mut().flat_map(|message| &mut message.units) {
            unit.tried = false;
        }
        let (percent, until) = self.vanishes;
        let draws = (self.seed.percent(percent), self.seed.below(8), self.seed.below(3));
        self.vanish = (draws.0 && now < until).then_some((draws.1, draws.2));
    }

    fn next(&mut self, heard: &[Heard], _: u64) -> Move {
        let Some(items) = self.items(heard) else { return Move::Leave };
        if items.is_empty() {
            return Move::Silent;
        }
        match &mut self.vanish {
            Some((0, 0)) => return Move::Leave,
            Some((0, 1)) => {
                let octets: usize = items.iter().map(|item| item.wire().len()).sum();
                return Move::Break { octets: octets / 2, items };
            }
            Some((0, _)) => return Move::Last { items },
            Some((moves, _)) => *moves -= 1,
            None => {}
        }
        Move::Send { after: 5, items, pace: self.pace }
    }

    fn ended(&mut self, now: u64) -> Option<u64> {
        let units = self.messages.iter_mut().flat_map(|message| &mut message.units);
        let mut pending = units.filter(|unit| unit.fate == Fate::Pending).peekable();
        pending.peek()?;
        if now > self.gives_up {
            pending.for_each(|unit| unit.fate = Fate::Expired);
            return None;
        }
        self.wait = (self.wait * 2).min(120 * MINUTE);
        Some(now + self.wait + self.seed.below(MINUTE))
    }

    fn ends(&self) -> Vec<(usize, String, Fate)> {
        let all = self.messages.iter().flat_map(|m| m.units.iter().map(move |u| (m.token, u)));
        all.map(|(token, unit)| (token, unit.rcpt.clone(), unit.fate)).collect()
    }
}
