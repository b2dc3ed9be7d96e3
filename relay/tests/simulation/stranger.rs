//! Clients that are not honest, or not well: harvesters, smugglers, slow ones, chatterers.

use super::client::{AT_ONCE, Arrives, Client, Move, Pace};
use super::journal::{Heard, Item};
use super::seed::Seed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Guesses names.
    Harvester,
    /// Content that two servers could read differently.
    Smuggler,
    /// Commands, one octet every ten seconds.
    Dribbler,
    /// Content, far too slowly.
    SlowContent,
    /// RCPT after RCPT for ever.
    Chatterer,
    /// EHLO after EHLO.
    Greeter,
    /// Says nothing.
    Silent,
    /// Says anything in any order.
    Fuzzer,
    /// Speaks where the TLS handshake should be.
    Injector,
    /// MAIL right behind the handshake.
    Hasty,
    /// An endless line, a bare LF, an overlong command.
    Breaker,
    /// Uses what it was refused, or what has ended.
    Stale,
    /// Has a connection to the next hop, and guesses one name again and again.
    Pinner,
    /// Has a transaction, and says no more.
    Idler,
    /// Guesses names in notices.
    NoticeGuesser,
}

pub const KINDS: [Kind; 15] = [
    Kind::Harvester,
    Kind::Smuggler,
    Kind::Dribbler,
    Kind::SlowContent,
    Kind::Chatterer,
    Kind::Greeter,
    Kind::Silent,
    Kind::Fuzzer,
    Kind::Injector,
    Kind::Hasty,
    Kind::Breaker,
    Kind::Stale,
    Kind::Pinner,
    Kind::Idler,
    Kind::NoticeGuesser,
];

/// Sequences around a dot that some server once took for the end.
const TRICKS: [&[u8]; 12] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\n\n.\r\r\n",
    b"\r\n..\r\n",
];

const LINES: [&str; 24] = [
    "NOOP",
    "RSET",
    "EHLO fuzz.example",
    "HELO fuzz.example",
    "EHLO",
    "EHLO <bad>",
    "MAIL FROM:<f@fuzz.example>",
    "MAIL FROM:<>",
    "MAIL FROM:<f@fuzz.example> SIZE=99999999999999999999",
    "MAIL FROM:<f@fuzz.example> BODY=8BITMIME",
    "RCPT TO:<user1@a.example>",
    "RCPT TO:<user2@c.example>",
    "RCPT TO:<nobody@a.example>",
    "RCPT TO:<x@elsewhere.example>",
    "RCPT TO:<user1%elsewhere.example@a.example>",
    "RCPT TO:<@b.example:user1@a.example>",
    "RCPT TO:<postmaster>",
    "VRFY user1",
    "HELP",
    "EXPN all",
    "AUTH PLAIN AGEAYg==",
    "what",
    "RCPT TO:user1@a.example",
    "STARTTLS",
];

pub struct Stranger {
    pub kind: Kind,
    pub arrives: Arrives,
    pub token: usize,
    pub sessions: u64,
    pub seed: Seed,
    moves: u64,
}

impl Stranger {
    pub fn new(kind: Kind, arrives: Arrives, token: usize, mut seed: Seed) -> Self {
        let sessions = if kind == Kind::Harvester { seed.between(1, 4) } else { 1 };
        Self { kind, arrives, token, sessions, seed, moves: 0 }
    }

    fn content(&mut self) -> Item {
        let trick = TRICKS[self.seed.below(TRICKS.len() as u64) as usize];
        let mut wire = format!("X-Sim: {}\r\n\r\nhello", self.token).into_bytes();
        wire.extend_from_slice(trick);
        wire.extend_from_slice(b"MAIL FROM:<admin@a.example>\r\nRCPT TO:<user3@a.example>\r\n");
        wire.extend_from_slice(b"DATA\r\nSubject: smuggled\r\n\r\nhi\r\n.\r\n");
        Item::Content { token: self.token, wire }
    }

    fn envelope(&mut self, n: u64) -> Option<Item> {
        Some(Item::Command(match n {
            0 => "EHLO stranger.example".into(),
            1 => format!("MAIL FROM:<stranger{}@else.example>", self.token),
            2 => "RCPT TO:<user2@a.example>".into(),
            3 => "DATA".into(),
            _ => return None,
        }))
    }

    fn fuzz(&mut self, heard: &[Heard]) -> Vec<Item> {
        if heard.last().is_some_and(|reply| reply.code == 354) {
            let wire = format!("X-Sim: {}\r\n\r\nfuzz\r\n..\r\n.\r\n", self.token).into_bytes();
            return vec![Item::Content { token: self.token, wire }];
        }
        let draw = self.seed.below(100);
        if draw < 12 {
            return vec![Item::Command("DATA".into())];
        }
        let count = if draw < 30 { 3 } else { 1 };
        let line = |seed: &mut Seed| Item::Command((*seed.pick(&LINES)).into());
        let mut items: Vec<Item> = (0..count).map(|_| line(&mut self.seed)).collect();
        // In the middle of a flight these would end the session, which is tested elsewhere.
        let ends = |item: &Item| {
            let Item::Command(line) = item else { return false };
            ["EHLO", "HELO", "STAR", "AUTH"].iter().any(|verb| line.starts_with(verb))
        };
        if let Some(at) = items.iter().position(ends) {
            items.truncate(at + 1);
        }
        items
    }

    /// A transaction that was reset, refused or finished must leave nothing behind.
    fn stale(&mut self, n: u64, heard: &[Heard]) -> Option<Vec<Item>> {
        if heard.last().is_some_and(|reply| reply.code == 354) {
            let wire = format!("X-Sim: {}\r\n\r\nstale\r\n.\r\n", self.token).into_bytes();
            return Some(vec![Item::Content { token: self.token, wire }]);
        }
        let lines: &[&str] = match n {
            0 => &["EHLO stale.example"],
            1 => &["MAIL FROM:<s@else.example>", "RCPT TO:<user1@a.example>", "RSET", "DATA"],
            2 => &["RCPT TO:<user1@a.example>"],
            3 => &["MAIL FROM:<s@else.example>", "RCPT TO:<nobody@a.example>", "DATA"],
            4 => &["MAIL FROM:<t@else.example>", "RCPT TO:<user4@a.example>", "EHLO again.example"],
            5 => &["DATA"],
            6 => &["MAIL FROM:<u@else.example>", "RCPT TO:<hopno@a.example>"],
            7 => &["RCPT TO:<user2@c.example>", "RCPT TO:<user3@a.example>", "DATA"],
            8 => &["DATA"],
            9 => &["RCPT TO:<user5@a.example>", "DATA"],
            10 => &["QUIT"],
            _ => return None,
        };
        Some(lines.iter().map(|line| Item::Command((*line).into())).collect())
    }

    fn breaker(&mut self) -> Vec<Item> {
        match self.seed.below(4) {
            0 => vec![Item::Raw(b"NOOP\nNOOP\r\n".to_vec())],
            1 => vec![Item::Raw([&[b'A'; 5_000][..], b"\r\n"].concat())],
            2 => vec![Item::Raw(vec![b'A'; 90_000])],
            _ => vec![Item::Raw(b"NOOP \0\r\n".to_vec())],
        }
    }

    fn items(&mut self, heard: &[Heard]) -> Option<Vec<Item>> {
        let n = self.moves;
        self.moves += 1;
        let quit = || vec![Item::Command("QUIT".into())];
        let own_content = matches!(self.kind, Kind::Fuzzer | Kind::Stale);
        if !own_content && heard.last().is_some_and(|reply| reply.code == 354) {
            return Some(vec![self.content()]);
        }
        Some(match self.kind {
            Kind::Silent => return None,
            Kind::Harvester => match n {
                0 | 1 => vec![self.envelope(n)?],
                2..40 => {
                    let guess = self.seed.below(10_000);
                    vec![Item::Command(format!("RCPT TO:<guess{guess}@a.example>"))]
                }
                _ => quit(),
            },
            Kind::Smuggler | Kind::SlowContent => match n {
                0..4 => vec![self.envelope(n)?],
                _ => quit(),
            },
            Kind::Dribbler => vec![Item::Raw(vec![b'N'; 500])],
            Kind::Chatterer => match n {
                0 | 1 => vec![self.envelope(n)?],
                _ => vec![Item::Command("RCPT TO:<x@elsewhere.example>".into())],
            },
            Kind::Greeter => vec![self.envelope(0)?],
            Kind::Fuzzer if n > 60 => quit(),
            Kind::Fuzzer => self.fuzz(heard),
            Kind::Injector => match n {
                0 => vec![self.envelope(0)?],
                1 => vec![
                    Item::Command("STARTTLS".into()),
                    Item::Command("EHLO injected.example".into()),
                ],
                _ => quit(),
            },
            Kind::Hasty => match n {
                0 => vec![self.envelope(0)?],
                1 => vec![Item::Command("STARTTLS".into())],
                2..5 => vec![self.envelope(n - 1)?],
                _ => quit(),
            },
            Kind::Breaker => match n {
                0 => vec![self.envelope(0)?],
                _ => self.breaker(),
            },
            Kind::Stale => self.stale(n, heard)?,
            Kind::Pinner => match n {
                0 | 1 => vec![self.envelope(n)?],
                2 => vec![Item::Command("RCPT TO:<postmaster@a.example>".into())],
                _ => vec![Item::Command("RCPT TO:<nobody@a.example>".into())],
            },
            Kind::Idler => match n {
                0..3 => vec![self.envelope(n)?],
                _ => return None,
            },
            Kind::NoticeGuesser => match n {
                0 => vec![self.envelope(0)?],
                _ if n > 40 => quit(),
                _ => self.guess_in_notice(),
            },
        })
    }

    fn guess_in_notice(&mut self) -> Vec<Item> {
        let guess = self.seed.below(10_000);
        let lines = ["RSET", "MAIL FROM:<>", &format!("RCPT TO:<guess{guess}@a.example>")];
        lines.into_iter().map(|line| Item::Command(line.to_owned())).collect()
    }
}

impl Client for Stranger {
    fn arrives(&self) -> Arrives {
        self.arrives
    }

    fn begin(&mut self, _: u64) {
        self.moves = 0;
        self.sessions -= 1;
    }

    fn next(&mut self, heard: &[Heard], _: u64) -> Move {
        if heard.last().is_some_and(|reply| reply.code == 221) {
            return Move::Leave;
        }
        let after = match self.kind {
            Kind::Chatterer => 20_000,
            Kind::Greeter | Kind::Pinner => 1_000,
            _ => 10,
        };
        let Some(items) = self.items(heard) else { return Move::Silent };
        let content = items.iter().any(|item| matches!(item, Item::Content { .. }));
        let pace = match self.kind {
            Kind::Dribbler => Pace { octets: 1, every: 10_000 },
            Kind::SlowContent if content => Pace { octets: 2, every: 5_000 },
            _ => AT_ONCE,
        };
        Move::Send { after, items, pace }
    }

    fn ended(&mut self, now: u64) -> Option<u64> {
        (self.sessions > 0).then(|| now + 60_000)
    }
}
