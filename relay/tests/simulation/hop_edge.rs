//! The edge towards the next hops: connections, hosts, the pool, deadlines, and how a
//! `Request` of the exchange becomes an `Outcome` by way of `ClientSession`.

use super::edge::{Mutant, Session, Shared};
use super::journal::Note;
use super::next_hop::{Conn, Fault, Kind, Point, Read};
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::client::{Answer, ClientSession, ClientStep, TlsWish};
use mail::smtp::introduction::{ClientDetails, Introduction};
use mail::smtp::parameter::{Body, MailParameters};
use mail::smtp::reply::{Class, HeardReply};
use relay::next_hop::{Lack, Outcome, Request};
use relay::route::Route;
use std::sync::Arc;

const CONNECT: u64 = 10_000;
const COMMAND: u64 = 60_000;
const DATA: u64 = 120_000;
/// All of one request; a client may leave after 300 seconds.
const REQUEST: u64 = 240_000;
const IDLE: u64 = 30_000;
const POOL_MAX: usize = 4;

/// A connection to a next hop.
pub struct Link {
    conn: Conn,
    smtp: ClientSession,
    idle_since: u64,
    /// It knows a transaction, or may know one.
    is_sound: bool,
}

/// The connection is of no more use.
struct Lost;

impl Link {
    fn host(&self) -> Arc<str> {
        format!("hop{}-{}.example", self.conn.hop, self.conn.host).into()
    }

    /// Goes on until something is heard.
    fn drive(&mut self, now: &mut u64, until: u64, shared: &mut Shared) -> Result<Answer, Lost> {
        loop {
            match self.smtp.step() {
                ClientStep::Send => {
                    let output = self.smtp.take_output();
                    self.write(&output, *now, shared)?;
                }
                ClientStep::Receive => self.receive(now, until, shared)?,
                ClientStep::StartTls => {
                    self.conn.secure();
                    self.smtp.behind_tls();
                }
                ClientStep::Heard(answer) => return Ok(answer),
                ClientStep::Failed(_) => return Err(Lost),
            }
        }
    }

    fn write(&mut self, bytes: &[u8], now: u64, shared: &mut Shared) -> Result<(), Lost> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(shared.pieces.next()));
            self.conn.hear(piece, now, &mut shared.journal).map_err(|()| Lost)?;
            rest = more;
        }
        Ok(())
    }

    fn receive(&mut self, now: &mut u64, until: u64, shared: &mut Shared) -> Result<(), Lost> {
        let octets = shared.pieces.next();
        match self.conn.read(*now, until, octets) {
            Read::Bytes(at, bytes) => {
                *now = at;
                self.smtp.receive(&bytes);
                Ok(())
            }
            Read::Closed(at) => {
                *now = at;
                Err(Lost)
            }
            Read::Nothing => {
                *now = until.max(*now);
                Err(Lost)
            }
        }
    }

    /// Looks before it is used again: what was said meanwhile, and whether it is still there.
    fn is_alive(&mut self, now: u64, shared: &mut Shared) -> bool {
        loop {
            match self.conn.look(now, shared.pieces.next()) {
                Read::Bytes(_, bytes) => self.smtp.receive(&bytes),
                Read::Closed(_) => return false,
                Read::Nothing => break,
            }
        }
        matches!(self.smtp.step(), ClientStep::Receive)
    }

    fn begin(
        &mut self,
        open: &Opening,
        details: &ClientDetails,
        now: &mut u64,
        shared: &mut Shared,
    ) -> Result<Outcome, Lost> {
        let capabilities = self.smtp.capabilities();
        if open.parameters.body == Body::EightBitMime && !capabilities.eight_bit_mime {
            return Ok(Outcome::Incapable(Lack::EightBitMime));
        }
        self.smtp.begin(&open.reverse_path, open.parameters, &open.recipient, Some(details));
        let answer = self.drive(now, (*now + COMMAND).min(open.until), shared)?;
        match answer {
            Answer::MailRefused(reply) => {
                self.is_sound &= reply.code != 421;
                Ok(Outcome::MailRefused(reply))
            }
            Answer::Rcpt(reply) => {
                self.is_sound &= reply.code != 421;
                Ok(Outcome::Recipient(reply))
            }
            Answer::Ready | Answer::Data(_) | Answer::Content(_) => Err(Lost),
        }
    }

    /// For a mutant.
    pub fn name_in_passing(&mut self, path: &ForwardPath, now: &mut u64, shared: &mut Shared) {
        if self.is_sound {
            self.smtp.recipient(path);
            let _ = self.drive(now, *now + COMMAND, shared);
        }
    }
}

struct Opening {
    reverse_path: ReversePath,
    parameters: MailParameters,
    recipient: ForwardPath,
    until: u64,
}

impl Session {
    pub fn ask_next_hop(&mut self, request: Request, shared: &mut Shared) -> Outcome {
        match request {
            Request::Open { route: Route::Hop(next_hop), reverse_path, parameters, recipient } => {
                let until = self.now + REQUEST;
                let open = Opening { reverse_path, parameters, recipient, until };
                let hops = shared.hops.len();
                let wrong = shared.is(Mutant::SendsToTheWrongHop);
                let hop = (next_hop.0 as usize + usize::from(wrong)) % hops;
                self.open(hop, &open, shared)
            }
            Request::Recipient(path) => self.recipient(&path, shared),
            Request::Content { .. } => self.content(shared),
        }
    }

    fn details(&self) -> ClientDetails {
        ClientDetails { address: self.exchange.client().address, hello: None }
    }

    fn open(&mut self, hop: usize, open: &Opening, shared: &mut Shared) -> Outcome {
        self.give_back(shared);
        let details = self.details();
        if let Some(mut link) = self.pooled(hop, shared) {
            let outcome = link.begin(open, &details, &mut self.now, shared);
            let tired = |reply: &HeardReply| reply.code == 421;
            match outcome {
                Ok(Outcome::MailRefused(reply)) if tired(&reply) => {}
                Ok(outcome) => {
                    self.take(link, shared);
                    return outcome;
                }
                Err(Lost) => {}
            }
            // Nothing but MAIL and RCPT was said: once more, on a connection that is fresh.
        }
        if shared.hops[hop].in_use >= shared.hops[hop].manner.connections_max {
            return Outcome::Busy;
        }
        let Some(mut link) = self.connect(hop, open.until, shared) else {
            return Outcome::Unavailable;
        };
        match link.begin(open, &details, &mut self.now, shared) {
            Ok(outcome) => {
                self.take(link, shared);
                outcome
            }
            Err(Lost) => Outcome::Lost,
        }
    }

    fn take(&mut self, link: Link, shared: &mut Shared) {
        shared.hops[link.conn.hop].in_use += 1;
        self.link = Some(link);
    }

    fn pooled(&mut self, hop: usize, shared: &mut Shared) -> Option<Link> {
        let now = self.now;
        // Another session may have given it back at a later moment than ours.
        let usable = |link: &Link| link.idle_since <= now && now <= link.idle_since + IDLE;
        loop {
            let mine = |link: &Link| link.conn.hop == hop && link.idle_since <= now;
            let at = shared.pool.iter().position(mine)?;
            let mut link = shared.pool.remove(at);
            if usable(&link) && link.is_alive(now, shared) {
                link.conn.session = self.id;
                let (session, conn) = (self.id, link.conn.id);
                shared.journal.note(now, Note::HopConnected { session, hop, conn });
                return Some(link);
            }
        }
    }

    /// The first host that greets and knows us.
    fn connect(&mut self, hop: usize, until: u64, shared: &mut Shared) -> Option<Link> {
        for host in 0..shared.hops[hop].manner.hosts {
            if self.now >= until {
                return None;
            }
            shared.conns += 1;
            let fault = shared.hops[hop].draw(self.now);
            let manner = &shared.hops[hop].manner;
            let wish = if manner.tls { TlsWish::Required } else { TlsWish::None };
            let mut conn = Conn::new(shared.conns, hop, host, self.id, manner);
            if let Some(Fault { point: Point::Connect, kind, .. }) = fault {
                self.now += if kind == Kind::Drop { 1 } else { CONNECT };
                continue;
            }
            conn.greet(fault, self.now, &mut shared.journal);
            let hostname = Domain::new("mx.a.example").unwrap();
            let smtp = ClientSession::new(hostname, wish, Introduction::AsOffered);
            let mut link = Link { conn, smtp, idle_since: 0, is_sound: true };
            let deadline = (self.now + COMMAND).min(until);
            if matches!(link.drive(&mut self.now, deadline, shared), Ok(Answer::Ready)) {
                return Some(link);
            }
        }
        None
    }

    fn recipient(&mut self, path: &ForwardPath, shared: &mut Shared) -> Outcome {
        let Some(link) = self.link.as_mut().filter(|link| link.is_sound) else {
            return Outcome::Lost;
        };
        link.smtp.recipient(path);
        let until = self.now + COMMAND;
        match link.drive(&mut self.now, until, shared) {
            Ok(Answer::Rcpt(reply)) => {
                link.is_sound &= reply.code != 421;
                let hide = shared.is(Mutant::HidesARefusedRecipient) && reply.code >= 400;
                Outcome::Recipient(if hide { fine() } else { reply })
            }
            Ok(_) | Err(Lost) => {
                link.is_sound = false;
                Outcome::Lost
            }
        }
    }

    fn content(&mut self, shared: &mut Shared) -> Outcome {
        let mutant = shared.mutant;
        let outcome = self.content_once(shared);
        let host: Arc<str> = "hop".into();
        let success = Outcome::Content { reply: fine(), host };
        match (mutant, &outcome) {
            (Some(Mutant::UnknownAsSuccess), Outcome::Unknown { .. }) => success,
            (Some(Mutant::LostAsSuccess), Outcome::Lost) => success,
            (Some(Mutant::UnknownAsLost), Outcome::Unknown { .. }) => Outcome::Lost,
            (Some(Mutant::UnknownAsRefused), Outcome::Unknown { host }) => {
                Outcome::Content { reply: HeardReply { code: 554, ..fine() }, host: host.clone() }
            }
            (Some(Mutant::RetriesAfterUnknown), Outcome::Unknown { .. }) => self.retry(shared),
            (
                Some(Mutant::NotifiesTheSender),
                Outcome::DataRefused(_) | Outcome::Content { .. },
            ) => {
                self.notify(shared);
                outcome
            }
            (Some(Mutant::WaitsTooLongAtTheDot), _) => {
                self.now += 280_000;
                outcome
            }
            _ => outcome,
        }
    }

    fn content_once(&mut self, shared: &mut Shared) -> Outcome {
        let trace = self.exchange.trace_field("Mon, 23 Nov 2026 12:00:00 +0000");
        let wire = wire(trace.as_bytes(), &self.kept, shared.mutant);
        let until = self.now + REQUEST;
        let Some(link) = self.link.as_mut().filter(|link| link.is_sound) else {
            return Outcome::Lost;
        };
        link.is_sound = false;
        if shared.is(Mutant::SuccessBeforeTheDot) {
            return Outcome::Content { reply: fine(), host: link.host() };
        }
        link.smtp.data();
        let until_data = (self.now + DATA).min(until);
        match link.drive(&mut self.now, until_data, shared) {
            Ok(Answer::Data(reply)) if reply.code == 354 => {}
            Ok(Answer::Data(reply)) => {
                link.is_sound = reply.code != 421 && reply.code >= 400;
                return Outcome::DataRefused(reply);
            }
            Ok(_) | Err(Lost) => return Outcome::Lost,
        }
        let mut encoded = Vec::new();
        let octets = shared.pieces.next();
        for piece in wire.iter().flat_map(|part| part.chunks(octets)) {
            if shared.is(Mutant::ForgetsToDoubleDots) {
                encoded.extend_from_slice(piece);
            } else {
                link.smtp.encode(piece, |slice| encoded.extend_from_slice(slice));
            }
        }
        if link.write(&encoded, self.now, shared).is_err() {
            return Outcome::Lost;
        }
        let dot = link.smtp.finish();
        let unknown = Outcome::Unknown { host: link.host() };
        if link.write(dot, self.now, shared).is_err() {
            return unknown;
        }
        match link.drive(&mut self.now, until, shared) {
            Ok(Answer::Content(reply)) if reply.class() == Class::Intermediate => unknown,
            Ok(Answer::Content(reply)) => {
                link.is_sound = reply.code != 421;
                Outcome::Content { reply, host: link.host() }
            }
            Ok(_) | Err(Lost) => unknown,
        }
    }

    /// For a mutant: the whole message again.
    fn retry(&mut self, shared: &mut Shared) -> Outcome {
        let Some(link) = self.link.take() else { return Outcome::Lost };
        let hop = link.conn.hop;
        shared.hops[hop].in_use -= 1;
        let Some((from, to)) = link.conn.last_envelope() else { return Outcome::Lost };
        for (n, rcpt) in to.iter().enumerate() {
            let Ok(recipient) = ForwardPath::parse(&format!("<{rcpt}>")) else { continue };
            if n > 0 {
                self.recipient(&recipient, shared);
                continue;
            }
            let Ok(reverse_path) = ReversePath::parse(&format!("<{from}>")) else { continue };
            let parameters = MailParameters::default();
            let until = self.now + REQUEST;
            let open = Opening { reverse_path, parameters, recipient, until };
            self.open(hop, &open, shared);
        }
        self.content_once(shared)
    }

    /// For a mutant: a notice that nobody asked for.
    fn notify(&mut self, shared: &mut Shared) {
        let Some(recipient) = ForwardPath::parse("<sender@else.example>").ok() else { return };
        let reverse_path = ReversePath::Null;
        let parameters = MailParameters::default();
        let open = Opening { reverse_path, parameters, recipient, until: self.now + REQUEST };
        self.open(0, &open, shared);
        self.content_once(shared);
    }

    /// The transaction is over: the connection goes to the pool, or is closed.
    pub fn give_back(&mut self, shared: &mut Shared) {
        let Some(mut link) = self.link.take() else { return };
        shared.hops[link.conn.hop].in_use -= 1;
        let mut sound = link.is_sound;
        if sound && !shared.is(Mutant::KeepsFormerTransaction) {
            link.smtp.reset();
            while sound {
                match link.smtp.step() {
                    ClientStep::Send => {
                        let output = link.smtp.take_output();
                        sound = link.write(&output, self.now, shared).is_ok();
                    }
                    ClientStep::Receive => break,
                    ClientStep::StartTls | ClientStep::Heard(_) | ClientStep::Failed(_) => {
                        sound = false;
                    }
                }
            }
            sound &= link.smtp.is_idle();
        }
        let hop = link.conn.hop;
        let idle = shared.pool.iter().filter(|link| link.conn.hop == hop).count();
        if sound && idle < POOL_MAX {
            link.idle_since = self.now;
            shared.pool.push(link);
        } else {
            link.conn.hung_up(self.now, &mut shared.journal);
        }
    }
}

fn fine() -> HeardReply {
    HeardReply { code: 250, status: None, text: "ok".into(), more: Vec::new(), contradicts: false }
}

/// Trace field and content, as they go to the encoder; wrong where a mutant wants it.
fn wire(trace: &[u8], kept: &[u8], mutant: Option<Mutant>) -> Vec<Vec<u8>> {
    let mut content = kept.to_vec();
    let line_end = content.windows(2).rposition(|pair| pair == b"\r\n");
    match (mutant, line_end) {
        (Some(Mutant::DropsALineEnd), Some(at)) => drop(content.drain(at..at + 2)),
        (Some(Mutant::SendsABareLineFeed), Some(at)) => drop(content.remove(at)),
        (Some(Mutant::DoublesDotsTwice), _) => {
            let text = String::from_utf8_lossy(&content).replace("\r\n.", "\r\n..");
            content = text.into_bytes();
        }
        (Some(Mutant::LeavesTheTraceOut), _) => return vec![content],
        (Some(Mutant::PutsTheTraceLast), _) => return vec![content, trace.to_vec()],
        _ => {}
    }
    vec![trace.to_vec(), content]
}
