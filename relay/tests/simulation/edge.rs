//! The edge as it will be, without sockets: performs each `Do` of an exchange, carries bytes in
//! pieces, looks facts up, keeps deadlines by letting the virtual time jump.
//! A [`Mutant`] makes it wrong on purpose, so that the judge can be judged.

use super::client::{Client, Move};
use super::directory::Directory;
use super::hop_edge::Link;
use super::journal::{Answer, Heard, Item, Journal, Note, Told};
use super::next_hop::Hop;
use super::seed::Seed;
use mail::address::{ForwardPath, Mailbox, ReversePath};
use mail::smtp::reply::Reply;
use relay::client::Prefix;
use relay::event::{Event, Kind};
use relay::exchange::{Do, Done, Exchange, Sink};
use relay::ledger::Ledger;
use relay::moment::Moment;
use relay::policy::facts::{Found, Need, ReverseName};
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{Pressure, Settings};
use relay::split::SplitMemory;
use std::collections::VecDeque;
use std::sync::Arc;

/// How the edge is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Reports success at the dot before the next hop has the message.
    SuccessBeforeTheDot,
    UnknownAsSuccess,
    UnknownAsLost,
    UnknownAsRefused,
    LostAsSuccess,
    RetriesAfterUnknown,
    DropsALineEnd,
    SendsABareLineFeed,
    DoublesDotsTwice,
    ForgetsToDoubleDots,
    NamesRefusedRecipients,
    HidesARefusedRecipient,
    KeepsFormerContent,
    KeepsFormerTransaction,
    UnavailableAsUnknown,
    UnknownAsExists,
    LeavesTheTraceOut,
    PutsTheTraceLast,
    NotifiesTheSender,
    SaysEveryReplyTwice,
    SwallowsAReply,
    WaitsTooLongAtTheDot,
    NeverHearsAClock,
    LosesReadsOfOneOctet,
    GreetsForTheClientBehindTls,
    SendsToTheWrongHop,
}

/// Pieces in which streams come.
#[derive(Clone, Debug)]
pub enum Pieces {
    Whole,
    Of(usize),
    Seeded(Seed),
}

impl Pieces {
    pub fn next(&mut self) -> usize {
        match self {
            Self::Whole => 65_536,
            Self::Of(octets) => *octets,
            Self::Seeded(seed) => seed.between(1, 40) as usize,
        }
    }
}

/// What all sessions share.
pub struct Shared {
    pub journal: Journal,
    pub hops: Vec<Hop>,
    pub pool: Vec<Link>,
    pub conns: u64,
    pub directory: Directory,
    pub ledger: Ledger,
    pub split: SplitMemory,
    pub settings: Arc<Settings>,
    pub pieces: Pieces,
    pub mutant: Option<Mutant>,
    /// From, to, how much.
    pub pressure: Vec<(u64, u64, Pressure)>,
    /// From, to: going down.
    pub drain: (u64, u64),
}

impl Shared {
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub fn pressure(&self, now: u64) -> Pressure {
        let at = self.pressure.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        at.map_or(Pressure::Normal, |(_, _, pressure)| *pressure)
    }

    pub fn is_draining(&self, now: u64) -> bool {
        (self.drain.0..self.drain.1).contains(&now)
    }
}

/// Octets on their way from the client.
struct Segment {
    at: u64,
    bytes: Vec<u8>,
    begins: Option<Item>,
    completes: bool,
}

/// One session at the edge.
pub struct Session {
    pub id: u64,
    pub now: u64,
    pub since: u64,
    pub exchange: Exchange,
    pub link: Option<Link>,
    pub kept: Vec<u8>,
    segments: VecDeque<Segment>,
    unread: Vec<Heard>,
    heard: usize,
    last_sent: u64,
    is_gone: bool,
    refused: Option<String>,
}

/// A client that hears nothing for so long is gone.
const PATIENCE: u64 = 300_000;

struct Out<'a> {
    shared: &'a mut Shared,
    id: u64,
    now: u64,
    unread: &'a mut Vec<Heard>,
    kept: &'a mut Vec<u8>,
}

impl Sink for Out<'_> {
    fn write(&mut self, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.write_to(&mut bytes);
        let swallowed = self.shared.is(Mutant::SwallowsAReply) && reply.code() == 452;
        let times = if self.shared.is(Mutant::SaysEveryReplyTwice) { 2 } else { 1 };
        for _ in 0..if swallowed { 0 } else { times } {
            let note = Note::Wrote { session: self.id, bytes: bytes.clone() };
            self.shared.journal.note(self.now, note);
        }
        self.unread.push(Heard::read(&bytes));
    }

    fn keep(&mut self, content: &[u8]) {
        self.kept.extend_from_slice(content);
    }

    fn record(&mut self, event: &Event<'_>) {
        let harvest = &self.shared.settings.harvest;
        self.shared.ledger.observe(event, harvest, 0, Moment(self.now));
        let all = |paths: &[ForwardPath]| paths.iter().map(ToString::to_string).collect();
        let told = match event.kind {
            Kind::Delivered { message, recipients, .. } => {
                Told::Delivered { message: message.to_string(), recipients: all(recipients) }
            }
            Kind::Discarded { recipients, .. } => Told::Discarded { recipients: all(recipients) },
            Kind::OutcomeUnknown { message, recipients, .. } => {
                Told::OutcomeUnknown { message: message.to_string(), recipients: all(recipients) }
            }
            Kind::SessionClosed { .. } => Told::Closed,
            _ => Told::Other(event.kind.name()),
        };
        self.shared.journal.note(self.now, Note::Event { session: self.id, told });
    }

    fn split(&mut self, network: Prefix, from: &ReversePath, recipients: &[ForwardPath]) {
        self.shared.split.remember(network, from, recipients, Moment(self.now));
    }
}

impl Session {
    pub fn new(id: u64, exchange: Exchange, now: u64) -> Self {
        Self {
            id,
            now,
            since: now,
            exchange,
            link: None,
            kept: Vec::new(),
            segments: VecDeque::new(),
            unread: Vec::new(),
            heard: 0,
            last_sent: now,
            is_gone: false,
            refused: None,
        }
    }

    /// Does one thing; true when there is nothing more to do.
    pub fn step(&mut self, client: &mut dyn Client, shared: &mut Shared) -> bool {
        // Between pieces of what came at once nothing else happens, or the pieces would matter.
        if self.segments.front().is_none_or(|segment| segment.at > self.now) {
            self.exchange.set_pressure(shared.pressure(self.now));
            if shared.is_draining(self.now) {
                self.exchange.drain();
            }
        }
        let act = self.with_out(shared, |exchange, out| exchange.next(out));
        let done = match act {
            Do::Read { until } => self.read(until.0, client, shared),
            Do::Send { .. } => Done::Yes,
            Do::LookUp { need, .. } => Done::Found(self.look_up(need, shared)),
            Do::Carry { request, .. } => {
                let outcome = self.ask_next_hop(request, shared);
                if shared.is(Mutant::NamesRefusedRecipients) {
                    self.name_refused(shared);
                }
                Done::Carried(outcome)
            }
            Do::Forget { .. } => {
                if !shared.is(Mutant::KeepsFormerContent) {
                    self.kept.clear();
                }
                self.give_back(shared);
                Done::Yes
            }
            Do::Wait { until } => {
                self.now = self.now.max(until.0);
                Done::Yes
            }
            // What a client said in the clear is no handshake.
            Do::StartTls { .. } if self.segments.iter().any(|segment| segment.at <= self.now) => {
                self.leave(shared);
                Done::Gone
            }
            Do::StartTls { .. } => {
                shared.journal.note(self.now, Note::ShookHands { session: self.id });
                self.exchange.behind_tls();
                if shared.is(Mutant::GreetsForTheClientBehindTls) {
                    Done::Bytes(b"NOOP\r\nEHLO before.example\r\n".to_vec())
                } else {
                    Done::Yes
                }
            }
            Do::Close => {
                self.close(client, shared);
                return true;
            }
        };
        let now = Moment(self.now);
        self.with_out(shared, |exchange, out| exchange.done(done, now, out));
        false
    }

    fn with_out<T>(
        &mut self,
        shared: &mut Shared,
        act: impl FnOnce(&mut Exchange, &mut Out<'_>) -> T,
    ) -> T {
        let Self { id, now, exchange, unread, kept, .. } = self;
        act(exchange, &mut Out { shared, id: *id, now: *now, unread, kept })
    }

    fn close(&mut self, client: &mut dyn Client, shared: &mut Shared) {
        self.give_back(shared);
        let session = self.id;
        if !self.is_gone {
            let unread = std::mem::take(&mut self.unread);
            self.heard += unread.len();
            // The client reads what was said before the end; what it would say is void.
            if self.now > self.last_sent + PATIENCE && !self.segments.iter().any(|s| !s.completes) {
                self.heard -= unread.len();
                self.leave(shared);
            } else if !unread.is_empty() {
                let _ = client.next(&unread, self.now);
            }
        } else {
            self.leave(shared);
        }
        shared.journal.note(self.now, Note::Closed { session });
    }

    /// Reads from the client until then.
    fn read(&mut self, until: u64, client: &mut dyn Client, shared: &mut Shared) -> Done {
        let until = if shared.is(Mutant::NeverHearsAClock) { u64::MAX / 4 } else { until };
        loop {
            if let Some(segment) = self.segments.front() {
                let at = segment.at.max(self.now);
                if at > until {
                    self.now = self.now.max(until);
                    return Done::Elapsed;
                }
                self.now = at;
                let bytes = self.arrive(shared);
                let lost = shared.is(Mutant::LosesReadsOfOneOctet) && bytes.len() == 1;
                return Done::Bytes(if lost { Vec::new() } else { bytes });
            }
            if self.is_gone || !self.unread.is_empty() && self.now > self.last_sent + PATIENCE {
                self.leave(shared);
                return Done::Gone;
            }
            let unread = std::mem::take(&mut self.unread);
            self.heard += unread.len();
            match client.next(&unread, self.now) {
                Move::Send { after, items, pace } => {
                    for item in items {
                        self.push(item, after, pace.octets, pace.every, usize::MAX);
                    }
                }
                Move::Break { items, octets } => {
                    let mut left = octets;
                    for item in items {
                        let length = item.wire().len();
                        self.push(item, 5, usize::MAX, 0, left);
                        left = left.saturating_sub(length);
                    }
                    self.is_gone = true;
                }
                Move::Last { items } => {
                    for item in items {
                        self.push(item, 5, usize::MAX, 0, usize::MAX);
                    }
                    self.is_gone = true;
                }
                Move::Leave => self.is_gone = true,
                Move::Silent => {
                    self.now = self.now.max(until);
                    return Done::Elapsed;
                }
            }
        }
    }

    fn leave(&mut self, shared: &mut Shared) {
        self.is_gone = true;
        let (session, heard) = (self.id, self.heard);
        shared.journal.note(self.now, Note::Left { session, heard });
    }

    /// Puts an item on its way, or its first octets.
    fn push(&mut self, item: Item, after: u64, octets: usize, every: u64, most: usize) {
        if most == 0 {
            return;
        }
        let wire = item.wire();
        let whole = most >= wire.len();
        let wire = &wire[..wire.len().min(most)];
        let mut begins = Some(item);
        let mut at = self.now + after;
        let mut pieces = wire.chunks(octets.max(1)).peekable();
        while let Some(piece) = pieces.next() {
            let completes = whole && pieces.peek().is_none();
            self.segments.push_back(Segment {
                at,
                bytes: piece.to_vec(),
                begins: begins.take(),
                completes,
            });
            at += every;
        }
    }

    /// What is there now, in one piece of limited size.
    fn arrive(&mut self, shared: &mut Shared) -> Vec<u8> {
        let mut room = shared.pieces.next();
        let mut bytes = Vec::new();
        let session = self.id;
        while let Some(segment) = self.segments.front_mut() {
            if room == 0 || segment.at > self.now {
                break;
            }
            if let Some(item) = segment.begins.take() {
                shared.journal.note(self.now, Note::Sent { session, item });
            }
            let rest = segment.bytes.split_off(segment.bytes.len().min(room));
            room -= segment.bytes.len();
            bytes.append(&mut segment.bytes);
            if !rest.is_empty() {
                segment.bytes = rest;
                break;
            }
            if segment.completes {
                shared.journal.note(self.now, Note::Completed { session });
                self.last_sent = self.now;
            }
            self.segments.pop_front();
        }
        bytes
    }

    fn look_up(&mut self, need: Need, shared: &mut Shared) -> Found {
        let now = Moment(self.now);
        match need {
            Need::Standing => Found::Standing(shared.ledger.standing(self.exchange.client(), now)),
            Need::Split => {
                let Some(envelope) = self.exchange.envelope_in_question() else {
                    unreachable!("a need without a question")
                };
                Found::Split(shared.split.is_remembered(&envelope, now))
            }
            Need::ReverseName => Found::ReverseName(ReverseName::Missing),
            Need::EarlyTalker => Found::EarlyTalker(false),
            Need::Recipient => Found::Recipient(self.look_up_recipient(shared)),
        }
    }

    fn look_up_recipient(&mut self, shared: &mut Shared) -> RecipientStatus {
        let Some((domain, local_part)) = self.exchange.recipient_in_question() else {
            unreachable!("a need without a question")
        };
        let domain = shared.settings.domain(domain).name.to_string();
        let local_part = local_part.map_or("postmaster", |part| part.as_str()).to_owned();
        let (answer, milliseconds) = shared.directory.look_up(&local_part, &domain, self.now);
        let patience = shared.settings.limits.under(shared.pressure(self.now)).lookup_seconds_max;
        let patience = u64::from(patience) * 1_000;
        let answer = if milliseconds > patience { Answer::Unavailable } else { answer };
        self.now += milliseconds.min(patience);
        let address = format!("{local_part}@{domain}");
        let note = Note::Directory { session: self.id, address, answer: answer.clone() };
        shared.journal.note(self.now, note);
        if answer == Answer::Unknown {
            self.refused = Some(format!("{local_part}@{domain}"));
        }
        let parsed = |text: String| Mailbox::parse(&text).ok();
        match answer {
            Answer::Unknown if shared.is(Mutant::UnknownAsExists) => RecipientStatus::LISTED,
            Answer::Unavailable if shared.is(Mutant::UnavailableAsUnknown) => {
                RecipientStatus::Unknown
            }
            Answer::Exists { target } => {
                RecipientStatus::Exists { target: target.and_then(parsed), ground: Ground::Listed }
            }
            Answer::Bitbucket => RecipientStatus::Bitbucket { reason: "nobody reads it".into() },
            Answer::Left => RecipientStatus::Left { text: "write to info@a.example".into() },
            Answer::Unknown => RecipientStatus::Unknown,
            Answer::Unavailable => RecipientStatus::Unavailable,
        }
    }

    fn name_refused(&mut self, shared: &mut Shared) {
        let refused = self.refused.take().and_then(|r| ForwardPath::parse(&format!("<{r}>")).ok());
        if let (Some(path), Some(link)) = (refused, &mut self.link) {
            link.name_in_passing(&path, &mut self.now, shared);
        }
    }
}
