//! A next hop: a small SMTP server of its own, which speaks bytes, keeps its own books, and
//! fails where it is told to. Shares no code with what is being tested.

use super::journal::{Journal, Note};
use super::seed::Seed;
use std::collections::VecDeque;

/// Where it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Connect,
    Banner,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    MidData,
    Dot,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The connection is lost.
    Drop,
    /// Nothing is said any more.
    Silent,
    /// A refusal.
    Code(u16),
    /// 421, then the connection is closed.
    Closing,
    /// The start of a reply.
    Half,
    Garbage,
    /// A reply whose lines have different codes.
    Contradiction,
    /// A reply of so many octets.
    Huge(usize),
    /// What it would have said, with so many milliseconds between two octets.
    Slow(u64),
    /// What it would have said, and one positive reply more, in one piece; then it is gone.
    Early,
}

/// One fault of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub point: Point,
    pub kind: Kind,
    /// How often the point is passed before.
    pub skip: u32,
    /// A message whose final dot was heard is kept all the same.
    pub taken: bool,
    /// Whoever writes to the lost connection notices.
    pub noticed: bool,
    /// For [`Point::MidData`].
    pub octets: usize,
}

/// What a next hop is like.
#[derive(Clone, Debug)]
pub struct Manner {
    pub hosts: usize,
    pub pipelining: bool,
    pub eight_bit: bool,
    pub xforward: bool,
    pub tls: bool,
    pub connections_max: usize,
    /// An idle connection is closed after this, in milliseconds,
    pub idle: u64,
    /// with a 421, or without a word.
    pub polite: bool,
}

pub struct Hop {
    pub manner: Manner,
    pub seed: Seed,
    /// In percent of connections, until then.
    pub fault_rate: u64,
    pub faults_until: u64,
    /// For tests that want one fault.
    pub planned: VecDeque<Fault>,
    /// Not reachable at all.
    pub down: Vec<(u64, u64)>,
    pub in_use: usize,
}

impl Hop {
    /// What the next connection will suffer.
    pub fn draw(&mut self, now: u64) -> Option<Fault> {
        if let Some(fault) = self.planned.pop_front() {
            return Some(fault);
        }
        let (rate, until) = (self.fault_rate, self.faults_until);
        let seed = &mut self.seed;
        // Always the same number of draws, whatever comes of them.
        let hit = seed.percent(rate) && now < until;
        let point = *seed.pick(&[
            Point::Connect,
            Point::Banner,
            Point::Ehlo,
            Point::Mail,
            Point::Rcpt,
            Point::Data,
            Point::MidData,
            Point::MidData,
            Point::Dot,
            Point::Dot,
            Point::Dot,
            Point::Dot,
        ]);
        let kind = *seed.pick(&[
            Kind::Drop,
            Kind::Drop,
            Kind::Silent,
            Kind::Code(451),
            Kind::Code(550),
            Kind::Code(554),
            Kind::Code(354),
            Kind::Closing,
            Kind::Half,
            Kind::Garbage,
            Kind::Contradiction,
            Kind::Huge(300_000),
            Kind::Slow(1_000),
            Kind::Slow(30_000),
        ]);
        let kind =
            if (point, kind) == (Point::Data, Kind::Code(354)) { Kind::Code(250) } else { kind };
        let fault = Fault {
            point,
            kind,
            skip: seed.below(3) as u32,
            taken: seed.percent(50),
            noticed: seed.percent(50),
            octets: seed.between(1, 600) as usize,
        };
        let down = self.down.iter().any(|(from, to)| (*from..*to).contains(&now));
        let refused = Fault { point: Point::Connect, kind: Kind::Drop, skip: 0, ..fault };
        if down { Some(refused) } else { hit.then_some(fault) }
    }
}

#[derive(PartialEq, Eq, Debug)]
enum State {
    Commands,
    Data,
    /// Nothing more is read or said.
    Mute,
}

/// One connection to one host.
pub struct Conn {
    pub id: u64,
    pub hop: usize,
    pub host: usize,
    /// Who uses it now.
    pub session: u64,
    manner: Manner,
    fault: Option<Fault>,
    state: State,
    greeted: bool,
    secured: bool,
    input: Vec<u8>,
    out: VecDeque<(u64, Vec<u8>)>,
    flood: usize,
    closed: Option<u64>,
    noticed: bool,
    idle_since: u64,
    mail: Option<String>,
    rcpts: Vec<String>,
    raw: Vec<u8>,
    last: Option<(String, Vec<String>)>,
}

/// What reading brings.
pub enum Read {
    Bytes(u64, Vec<u8>),
    Closed(u64),
    Nothing,
}

const LATENCY: u64 = 3;

impl Conn {
    pub fn new(id: u64, hop: usize, host: usize, session: u64, manner: &Manner) -> Self {
        Self {
            id,
            hop,
            host,
            session,
            manner: manner.clone(),
            fault: None,
            state: State::Commands,
            greeted: false,
            secured: false,
            input: Vec::new(),
            out: VecDeque::new(),
            flood: 0,
            closed: None,
            noticed: false,
            idle_since: u64::MAX,
            mail: None,
            rcpts: Vec::new(),
            raw: Vec::new(),
            last: None,
        }
    }

    /// Accepts the connection.
    pub fn greet(&mut self, fault: Option<Fault>, now: u64, journal: &mut Journal) {
        self.fault = fault;
        let (hop, conn, session) = (self.hop, self.id, self.session);
        journal.note(now, Note::HopConnected { session, hop, conn });
        self.answer(Point::Banner, "greeting", 220, "inside.example ESMTP ready", now, journal);
    }

    /// Takes bytes. An error is what the writer notices of a lost connection.
    pub fn hear(&mut self, bytes: &[u8], now: u64, journal: &mut Journal) -> Result<(), ()> {
        if self.is_idle_out(now) {
            self.closed = Some(now);
            if self.manner.polite {
                self.out.push_back((now, b"421 4.4.2 idle too long\r\n".to_vec()));
            }
        }
        if self.closed.is_some() {
            return if self.noticed { Err(()) } else { Ok(()) };
        }
        self.idle_since = u64::MAX;
        self.input.extend_from_slice(bytes);
        while self.closed.is_none() {
            let more = match self.state {
                State::Mute => return Ok(()),
                State::Commands => self.take_line(now, journal),
                State::Data => self.take_data(now, journal),
            };
            if !more {
                break;
            }
        }
        if self.closed.is_some() && self.noticed { Err(()) } else { Ok(()) }
    }

    /// What there is to read until then, in pieces of at most so many octets.
    pub fn read(&mut self, now: u64, until: u64, octets_max: usize) -> Read {
        if let Some((at, bytes)) = self.out.pop_front() {
            let at = at.max(now);
            if at > until {
                self.out.push_front((at, bytes));
                return Read::Nothing;
            }
            let cut = bytes.len().min(octets_max);
            if cut < bytes.len() {
                self.out.push_front((at, bytes[cut..].to_vec()));
            }
            return Read::Bytes(at, bytes[..cut].to_vec());
        }
        if self.flood > 0 {
            let octets = self.flood.min(65_536);
            self.flood -= octets;
            return Read::Bytes(now, b"250-and so on\r\n".repeat(octets / 15 + 1));
        }
        match self.closed {
            Some(at) if at.max(now) <= until => Read::Closed(at.max(now)),
            _ => Read::Nothing,
        }
    }

    /// What somebody sees who looks before he uses it again.
    pub fn look(&mut self, now: u64, octets_max: usize) -> Read {
        if self.closed.is_none() && self.manner.polite && self.is_idle_out(now) {
            self.closed = Some(now);
            self.out.push_back((now, b"421 4.4.2 idle too long\r\n".to_vec()));
        }
        self.read(now, now, octets_max)
    }

    /// The other side shakes hands.
    pub fn secure(&mut self) {
        self.secured = true;
        self.greeted = false;
    }

    /// The envelope that was named last.
    pub fn last_envelope(&self) -> Option<(String, Vec<String>)> {
        self.last.clone()
    }

    /// The other side hangs up.
    pub fn hung_up(&mut self, now: u64, journal: &mut Journal) {
        if self.state == State::Data {
            let (conn, raw) = (self.id, std::mem::take(&mut self.raw));
            journal.note(now, Note::HopData { conn, raw, ended: false });
        }
    }

    fn is_idle_out(&self, now: u64) -> bool {
        now > self.idle_since.saturating_add(self.manner.idle)
    }

    fn take_line(&mut self, now: u64, journal: &mut Journal) -> bool {
        let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else {
            return false;
        };
        let line: Vec<u8> = self.input.drain(..end + 2).take(end).collect();
        let (session, conn) = (self.session, self.id);
        journal.note(now, Note::HopHeard { session, conn, line: line.clone() });
        let line = String::from_utf8_lossy(&line).into_owned();
        self.command(&line, now, journal);
        true
    }

    fn command(&mut self, line: &str, now: u64, journal: &mut Journal) {
        let path = |text: &str| {
            let (_, rest) = text.split_once('<').unwrap_or_default();
            rest.split_once('>').map(|(path, _)| path.to_owned()).unwrap_or_default()
        };
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match (verb.as_str(), &self.mail) {
            ("EHLO", _) => {
                self.mail = None;
                self.greeted = self.ehlo(now, journal);
            }
            ("HELO", _) => {
                self.mail = None;
                self.greeted = true;
                self.say("HELO", 250, "inside.example", now, journal);
            }
            ("STARTTLS", None) if self.manner.tls && !self.secured => {
                self.say("STARTTLS", 220, "go ahead", now, journal);
            }
            ("XFORWARD", None) if self.manner.xforward => {
                self.say("XFORWARD", 250, "ok", now, journal);
            }
            ("RSET", _) if self.greeted => {
                self.mail = None;
                self.say("RSET", 250, "ok", now, journal);
            }
            ("MAIL", None) if self.greeted => {
                if self.answer(Point::Mail, "MAIL", 250, "2.1.0 ok", now, journal) {
                    (self.mail, self.rcpts) = (Some(path(line)), Vec::new());
                }
            }
            ("RCPT", Some(_)) => self.rcpt(path(line), now, journal),
            ("DATA", Some(_)) if !self.rcpts.is_empty() => {
                if self.answer(Point::Data, "DATA", 354, "go on", now, journal) {
                    (self.state, self.raw) = (State::Data, Vec::new());
                }
            }
            ("QUIT", _) => {
                self.say("QUIT", 221, "bye", now, journal);
                self.closed = Some(now);
            }
            ("MAIL" | "RCPT" | "DATA" | "RSET", _) => {
                self.say("order", 503, "5.5.1 not now", now, journal);
            }
            _ => self.say("order", 500, "5.5.1 what?", now, journal),
        }
        self.idle_since = if self.mail.is_none() && self.greeted { now } else { u64::MAX };
    }

    fn ehlo(&mut self, now: u64, journal: &mut Journal) -> bool {
        let in_the_clear = self.manner.tls && !self.secured;
        let mut text = String::from("inside.example");
        for (keyword, offered) in [
            ("\nPIPELINING", self.manner.pipelining),
            ("\n8BITMIME", self.manner.eight_bit),
            ("\nXFORWARD NAME ADDR PORT PROTO HELO", self.manner.xforward),
            ("\nSTARTTLS", in_the_clear),
            ("\nSIZE 0", true),
        ] {
            if offered {
                text.push_str(keyword);
            }
        }
        if in_the_clear {
            // The one that counts comes behind TLS.
            self.say("EHLO", 250, &text, now, journal);
            return true;
        }
        self.answer(Point::Ehlo, "EHLO", 250, &text, now, journal)
    }

    fn rcpt(&mut self, path: String, now: u64, journal: &mut Journal) {
        if path.starts_with("hopno@") {
            return self.say("RCPT", 550, "5.1.1 not known here", now, journal);
        }
        if self.answer(Point::Rcpt, "RCPT", 250, "2.1.5 ok", now, journal) {
            self.rcpts.push(path);
        }
    }

    fn take_data(&mut self, now: u64, journal: &mut Journal) -> bool {
        let seen = self.raw.len();
        self.raw.append(&mut self.input);
        let from = seen.saturating_sub(4);
        let end = if self.raw.starts_with(b".\r\n") {
            Some(3)
        } else {
            let found = self.raw[from..].windows(5).position(|w| w == b"\r\n.\r\n");
            found.map(|at| from + at + 5)
        };
        if let Some(fault) = self.fault.filter(|fault| fault.point == Point::MidData) {
            // What may be the start of the end is not the middle.
            let at_end = self.raw.ends_with(b"\r\n.") || self.raw.ends_with(b"\r\n.\r");
            if self.raw.len() >= fault.octets && end.is_none() && !at_end {
                return self.break_off(fault, now, journal);
            }
        }
        let Some(end) = end else { return false };
        self.input = self.raw.split_off(end);
        self.state = State::Commands;
        let raw = std::mem::take(&mut self.raw);
        let content = unstuffed(&raw);
        journal.note(now, Note::HopData { conn: self.id, raw, ended: true });
        self.dot(content, now, journal);
        self.mail = None;
        self.idle_since = now;
        true
    }

    /// Somewhere in the mail data: lost, or refused before its end.
    fn break_off(&mut self, fault: Fault, now: u64, journal: &mut Journal) -> bool {
        self.fault = None;
        if let Kind::Code(code @ 400..) = fault.kind {
            self.say("content", code, "5.3.4 enough", now, journal);
            let raw = std::mem::take(&mut self.raw);
            journal.note(now, Note::HopData { conn: self.id, raw, ended: false });
            self.state = State::Mute;
            return false;
        }
        let raw = std::mem::take(&mut self.raw);
        journal.note(now, Note::HopData { conn: self.id, raw, ended: false });
        (self.closed, self.noticed, self.state) = (Some(now), fault.noticed, State::Mute);
        false
    }

    fn dot(&mut self, content: Vec<u8>, now: u64, journal: &mut Journal) {
        self.last = self.mail.clone().map(|from| (from, self.rcpts.clone()));
        let whole = self.rcpts.iter().any(|rcpt| rcpt.starts_with("whole@"));
        let due = self.fault.filter(|fault| fault.point == Point::Dot && fault.skip == 0);
        let takes = match due {
            _ if whole => false,
            None => true,
            Some(Fault { kind: Kind::Slow(_), .. }) => true,
            Some(Fault { kind: Kind::Code(_) | Kind::Closing, .. }) => false,
            Some(fault) => fault.taken,
        };
        if takes {
            let from = self.mail.clone().unwrap_or_default();
            let (session, hop, rcpts) = (self.session, self.hop, std::mem::take(&mut self.rcpts));
            journal.note(now, Note::HopTook { session, hop, from, rcpts, content });
        }
        if whole {
            self.say("content", 554, "5.7.1 not this one", now, journal);
        } else {
            self.answer(Point::Dot, "content", 250, "2.0.0 taken", now, journal);
        }
    }

    /// Says what it would say, unless it is to fail here; true when it did say it.
    fn answer(
        &mut self,
        point: Point,
        verb: &'static str,
        code: u16,
        text: &str,
        now: u64,
        journal: &mut Journal,
    ) -> bool {
        let due = self.fault.take_if(|fault| {
            let here = fault.point == point && fault.skip == 0;
            if fault.point == point && fault.skip > 0 {
                fault.skip -= 1;
            }
            here
        });
        let at = now + LATENCY;
        let Some(fault) = due else {
            self.say(verb, code, text, now, journal);
            return true;
        };
        match fault.kind {
            Kind::Code(code) => {
                self.say(verb, code, "not now, or never", now, journal);
                return false;
            }
            Kind::Slow(step) => {
                let octets = reply(code, text).into_iter().zip(1..);
                self.out.extend(octets.map(|(octet, n)| (now + n * step, vec![octet])));
                let (session, conn) = (self.session, self.id);
                journal.note(now, Note::HopSaid { session, conn, verb, code });
                return true;
            }
            Kind::Early => {
                self.say(verb, code, text, now, journal);
                let line = b"250 2.0.0 and one more\r\n";
                if let Some((_, last)) = self.out.back_mut() {
                    last.extend_from_slice(line);
                }
                self.closed = Some(at);
            }
            Kind::Closing => {
                self.say(verb, 421, "4.3.2 closing", now, journal);
                self.closed = Some(at);
            }
            Kind::Drop => self.closed = Some(at),
            Kind::Silent => {}
            Kind::Half => self.out.push_back((at, format!("{code} 2").into_bytes())),
            Kind::Garbage => self.out.push_back((at, b"\x16\x03\x01 250 or so\r\n".to_vec())),
            Kind::Contradiction => {
                self.out.push_back((at, b"250-this\r\n550 or that\r\n".to_vec()));
            }
            Kind::Huge(octets) => self.flood = octets,
        }
        self.state = State::Mute;
        false
    }

    fn say(&mut self, verb: &'static str, code: u16, text: &str, now: u64, journal: &mut Journal) {
        let (session, conn) = (self.session, self.id);
        journal.note(now, Note::HopSaid { session, conn, verb, code });
        self.out.push_back((now + LATENCY, reply(code, text)));
    }
}

fn unstuffed(raw: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(raw.len());
    let mut line_start = true;
    for (at, octet) in raw[..raw.len() - 3].iter().enumerate() {
        if !(line_start && *octet == b'.') {
            content.push(*octet);
        }
        line_start = raw[..=at].ends_with(b"\r\n");
    }
    content
}

/// A reply of as many lines as the text has.
fn reply(code: u16, text: &str) -> Vec<u8> {
    let lines: Vec<&str> = text.lines().collect();
    let mut wire = String::new();
    for (n, line) in lines.iter().enumerate() {
        let mark = if n + 1 == lines.len() { ' ' } else { '-' };
        wire.push_str(&format!("{code}{mark}{line}\r\n"));
    }
    wire.into_bytes()
}
