//! The judge: reads the journal and nothing else, keeps its own books of what each client may
//! expect, and says which invariant is broken. Shares no code with what is being tested.
//! I1, I3, … are the invariants of the project's list.

use super::content;
use super::directory::{DOMAINS, is_always_there};
use super::journal::{Answer, Fate, Heard, Item, Journal, Note, Told};
use std::collections::{HashMap, HashSet, VecDeque};

/// What the judge must know of the world.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Messages of honest clients.
    pub honest: HashSet<usize>,
    pub session_seconds_max: u64,
}

/// Where a recipient's mail is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goes {
    To(usize, String),
    Nowhere,
}

#[derive(Default)]
struct Transaction {
    from: String,
    rcpts: Vec<(String, Goes)>,
}

struct Took {
    hop: usize,
    from: String,
    rcpts: Vec<String>,
    content: Vec<u8>,
}

/// Since the last reply to the client.
#[derive(Default)]
struct Since {
    directory: Option<(String, Answer)>,
    said: Vec<(&'static str, u16)>,
    named: Vec<String>,
    took: Vec<Took>,
    unknown: bool,
    old_server: bool,
}

#[derive(Default)]
struct Session {
    name: String,
    mends: bool,
    began: u64,
    items: VecDeque<(Item, Option<u64>)>,
    replies: usize,
    heard: Option<usize>,
    hello: bool,
    transaction: Option<Transaction>,
    since: Since,
    last_code: u16,
    closed: bool,
}

/// A recipient of a message over all attempts.
#[derive(Default)]
struct Unit {
    deliveries: usize,
    /// Session, number of the reply, and whether the outcome was reported as unknown.
    attempts: Vec<(u64, usize, bool)>,
}

#[derive(Default)]
struct Conn {
    last: String,
    mail_refused: bool,
    old_server: bool,
}

pub struct Judge<'a> {
    truth: &'a Truth,
    sessions: HashMap<u64, Session>,
    conns: HashMap<u64, Conn>,
    units: HashMap<(usize, String), Unit>,
    broken: Vec<String>,
    pub unknown_outcomes: usize,
    pub delivered: usize,
}

/// Reads a journal from end to end.
pub fn judge<'a>(journal: &Journal, truth: &'a Truth) -> (Vec<String>, Judge<'a>) {
    let mut judge = Judge {
        truth,
        sessions: HashMap::new(),
        conns: HashMap::new(),
        units: HashMap::new(),
        broken: Vec::new(),
        unknown_outcomes: 0,
        delivered: 0,
    };
    for (at, note) in &journal.notes {
        judge.read(*at, note);
    }
    judge.finish();
    (std::mem::take(&mut judge.broken), judge)
}

/// `b2.example` is `b.example`; the next hop of the domain.
fn own(domain: &str) -> Option<(&'static str, usize)> {
    let domain = domain.to_ascii_lowercase();
    let is = |other: Option<&str>| other == Some(domain.as_str());
    DOMAINS.iter().find(|(name, alias, _)| *name == domain || is(*alias)).map(|d| (d.0, d.2))
}

/// The address as the directory and the next hop know it.
fn canonical(rcpt: &str) -> Option<(String, usize)> {
    if rcpt.eq_ignore_ascii_case("postmaster") {
        return Some(("postmaster@a.example".into(), 0));
    }
    let (local_part, domain) = rcpt.rsplit_once('@')?;
    let plain = local_part.bytes().all(|b| b.is_ascii_alphanumeric());
    let (domain, hop) = own(domain)?;
    plain.then(|| (format!("{local_part}@{domain}"), hop))
}

/// A path without brackets, from a network whose software cannot do better, ends at the space.
fn argument(line: &str) -> String {
    let Some((_, rest)) = line.split_once('<') else {
        let (_, rest) = line.split_once(':').unwrap_or_default();
        return rest.split(' ').next().unwrap_or_default().to_owned();
    };
    rest.rsplit_once('>').map(|(path, _)| path.to_owned()).unwrap_or_default()
}

impl Judge<'_> {
    fn blame(&mut self, at: u64, session: u64, what: &str) {
        self.broken.push(format!("{what} (session {session}, at {at} ms)"));
    }

    fn read(&mut self, at: u64, note: &Note) {
        match note {
            Note::Connected { session, name, mends } => {
                let (name, mends) = (name.clone(), *mends);
                let new = Session { name, mends, began: at, ..Session::default() };
                self.sessions.insert(*session, new);
            }
            Note::Endless { why } => self.blame(at, 0, &format!("I20: it did not end: {why}")),
            Note::End { token, rcpt, fate } => self.on_end(at, *token, rcpt, *fate),
            Note::HopData { conn, raw, ended } => self.on_data(at, *conn, raw, *ended),
            Note::HopHeard { session, conn, line } => self.on_hop_heard(at, *session, *conn, line),
            Note::HopSaid { session, conn, verb, code } => {
                self.on_hop_said(at, *session, *conn, verb, *code);
            }
            Note::Wrote { session, bytes } => self.on_reply(at, *session, bytes),
            Note::Closed { session } => self.on_closed(at, *session),
            Note::HopConnected { session, conn, .. } => {
                let old_server = self.conns.get(conn).is_some_and(|conn| conn.old_server);
                self.of(*session).since.old_server |= old_server;
            }
            Note::HopTook { session, hop, from, rcpts, content } => {
                let open = self.of(*session).items.front();
                if !matches!(open, Some((Item::Content { .. }, Some(_)))) {
                    self.blame(at, *session, "I8: a message that no client sent");
                }
                let (from, rcpts, content) = (from.clone(), rcpts.clone(), content.clone());
                let took = Took { hop: *hop, from, rcpts, content };
                self.of(*session).since.took.push(took);
            }
            Note::Sent { session, .. }
            | Note::Completed { session }
            | Note::Left { session, .. }
            | Note::ShookHands { session }
            | Note::Directory { session, .. }
            | Note::Event { session, .. } => self.of(*session).read(at, note),
        }
    }

    fn of(&mut self, session: u64) -> &mut Session {
        self.sessions.entry(session).or_default()
    }

    fn on_end(&mut self, at: u64, token: usize, rcpt: &str, fate: Fate) {
        let there = rcpt.split_once('@').is_some_and(|(local_part, domain)| {
            is_always_there(local_part) && own(domain).is_some()
        });
        match fate {
            Fate::Pending | Fate::Expired if there => {
                self.blame(at, 0, &format!("{token} never reached {rcpt}"));
            }
            _ => {}
        }
    }

    /// I13: what a next hop reads as mail data has one end, and nothing bare.
    fn on_data(&mut self, at: u64, conn: u64, raw: &[u8], ended: bool) {
        let whole = [b"\r\n", raw].concat();
        let ends = whole.windows(5).filter(|w| *w == b"\r\n.\r\n").count();
        let tail = if ended { whole.len() } else { whole.len() - 1 };
        let bare = (0..tail).any(|n| match whole[n] {
            b'\r' => whole.get(n + 1) != Some(&b'\n'),
            b'\n' => n == 0 || whole[n - 1] != b'\r',
            0 => true,
            _ => false,
        });
        if bare || (ended && (ends != 1 || !whole.ends_with(b"\r\n.\r\n"))) || (!ended && ends > 0)
        {
            self.blame(at, conn, "I13: mail data that could be read in two ways");
        }
    }

    fn on_hop_heard(&mut self, at: u64, session: u64, conn: u64, line: &[u8]) {
        if line.iter().any(|b| !(b' '..=b'~').contains(b)) {
            self.blame(at, session, "I13: a command that is no line");
        }
        let line = String::from_utf8_lossy(line).into_owned();
        let path = argument(&line);
        let of = self.of(session);
        let from = of.transaction.as_ref().map(|t| t.from.clone());
        let asked = matches!(of.items.front(), Some((Item::Command(line), _)) if is_rcpt(line));
        let expected = of.expected().map(|goes| match goes {
            Goes::To(_, address) => address,
            Goes::Nowhere => String::new(),
        });
        if line.starts_with("MAIL") && from.as_deref() != Some(&path) {
            self.blame(at, session, "I8: MAIL that no client said");
        }
        if line.starts_with("RCPT") {
            if !asked || !expected.is_some_and(|address| address.eq_ignore_ascii_case(&path)) {
                self.blame(at, session, "I10: RCPT that policy has not accepted");
            }
            self.of(session).since.named.push(path);
        }
        self.conns.entry(conn).or_default().last = line;
    }

    fn on_hop_said(&mut self, at: u64, session: u64, conn: u64, verb: &'static str, code: u16) {
        let known = self.conns.entry(conn).or_default();
        if verb == "MAIL" {
            known.mail_refused = code >= 300;
        }
        // One that does not know EHLO at all offers nothing, and may be told so.
        known.old_server |= verb == "EHLO" && code >= 500;
        let old_server = known.old_server;
        let sent_along = known.last.starts_with("RCPT") && known.mail_refused;
        let since = &mut self.of(session).since;
        since.said.push((verb, code));
        since.old_server |= old_server;
        if verb == "order" && !sent_along {
            self.blame(at, session, "I15: the next hop heard a command out of order");
        }
    }

    fn on_reply(&mut self, at: u64, id: u64, bytes: &[u8]) {
        if !is_well_formed(bytes) {
            self.blame(at, id, "I17: not a reply");
        }
        let code = Heard::read(bytes).code;
        let session = self.of(id);
        session.replies += 1;
        if matches!(session.last_code, 221 | 421) {
            return self.blame(at, id, "I17: a reply after the last one");
        }
        session.last_code = code;
        if session.replies == 1 {
            session.since = Since::default();
            return;
        }
        // 421 may come at any time (RFC 5321 §3.8); it answers what is complete.
        let complete = session.items.front().is_some_and(|(_, completed)| completed.is_some());
        let raw = matches!(session.items.front(), Some((Item::Raw(_), _)));
        if !complete && !raw {
            session.since = Since::default();
            if code != 421 {
                self.blame(at, id, "I17: a reply that nobody asked for");
            }
            return;
        }
        let Some((item, completed)) = session.items.pop_front() else { return };
        let since = std::mem::take(&mut session.since);
        match item {
            Item::Command(line) => self.on_command(at, id, &line, code, since),
            Item::Raw(bytes) => session.rest_of(&bytes, completed),
            Item::Content { token, wire } => {
                let completed = completed.unwrap_or(at);
                if at > completed + 240_000 {
                    self.blame(at, id, "I20: the client may be gone before the reply to the dot");
                }
                self.on_content(at, id, token, &wire, Some(code), since);
            }
        }
    }

    fn on_command(&mut self, at: u64, id: u64, line: &str, code: u16, since: Since) {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let session = self.of(id);
        let open = session.transaction.is_some();
        let some = session.transaction.as_ref().is_some_and(|t| !t.rcpts.is_empty());
        let hello = session.hello;
        let has_brackets = session.mends || line.contains('<');
        let fits = match (verb.as_str(), code) {
            ("EHLO" | "HELO", 250) => {
                (session.hello, session.transaction) = (true, None);
                true
            }
            ("RSET", 250) => {
                session.transaction = None;
                true
            }
            ("MAIL", 250) => {
                let from = argument(line);
                session.transaction = Some(Transaction { from, rcpts: Vec::new() });
                hello && !open && has_brackets
            }
            ("RCPT", 250) if !has_brackets => false,
            ("RCPT", 250) => return self.on_accepted(at, id, line, &since),
            ("RCPT", 500..) if open => return self.on_refused(at, id, line, &since),
            ("DATA", 354) => some,
            ("DATA", 200..400) | (_, 354) => false,
            (_, 221) => verb == "QUIT",
            (_, 220) => verb == "STARTTLS",
            ("MAIL" | "RCPT" | "QUIT", 200..300) => false,
            _ => true,
        };
        if !since.took.is_empty() {
            self.blame(at, id, "I8: a message out of nothing");
        }
        if !fits {
            self.blame(at, id, &format!("I15, I16, I17: {code} to {line}"));
        }
    }

    fn on_accepted(&mut self, at: u64, id: u64, line: &str, since: &Since) {
        let rcpt = argument(line);
        let goes = since.expected(&rcpt);
        if canonical(&rcpt).is_none() {
            self.blame(at, id, &format!("I10: accepted {rcpt}"));
        }
        match &goes {
            None => self.blame(at, id, &format!("I12: nobody said that {rcpt} exists")),
            Some(Goes::Nowhere) => {}
            Some(Goes::To(_, address)) => {
                let yes = since.said.iter().any(|(verb, code)| *verb == "RCPT" && *code / 100 == 2);
                let named = since.named.iter().any(|named| named.eq_ignore_ascii_case(address));
                if !yes || !named {
                    self.blame(at, id, &format!("I12: the next hop did not accept {rcpt}"));
                }
            }
        }
        match &mut self.of(id).transaction {
            Some(transaction) => transaction.rcpts.push((rcpt, goes.unwrap_or(Goes::Nowhere))),
            None => self.blame(at, id, "I15: RCPT without MAIL"),
        }
    }

    /// I11: a permanent no needs somebody who knows.
    fn on_refused(&mut self, at: u64, id: u64, line: &str, since: &Since) {
        let rcpt = argument(line);
        if canonical(&rcpt).is_none() || !line.starts_with("RCPT TO:<") {
            return;
        }
        let no = |answer: &Answer| matches!(answer, Answer::Unknown | Answer::Left);
        let directory = since.directory.as_ref().is_some_and(|(_, answer)| no(answer));
        let next_hop =
            since.said.iter().any(|(verb, code)| matches!(*verb, "MAIL" | "RCPT") && *code >= 500);
        if !directory && !next_hop && !since.old_server {
            self.blame(at, id, &format!("I11: {rcpt} was refused for good and nobody knows why"));
        }
    }

    fn on_content(
        &mut self,
        at: u64,
        id: u64,
        token: usize,
        wire: &[u8],
        code: Option<u16>,
        since: Since,
    ) {
        let session = self.of(id);
        let Some(transaction) = session.transaction.take() else {
            return self.blame(at, id, "I15: content without a transaction");
        };
        let (number, mends, name) = (session.replies, session.mends, session.name.clone());
        let meant = content::meant(wire, mends);
        let needed = transaction.rcpts.iter().any(|(_, goes)| *goes != Goes::Nowhere);
        let positive = since.said.iter().any(|(verb, code)| *verb == "content" && code / 100 == 2);
        let permanent = since
            .said
            .iter()
            .any(|(verb, code)| matches!(*verb, "DATA" | "content") && *code >= 500);
        let took = since.took.len();
        let wrong = match code {
            Some(200..300) if meant.is_none() => Some("I5: content that is no content"),
            Some(200..300) if needed && (took != 1 || !positive) => {
                Some("I1: success, and the next hop has not said so")
            }
            Some(500..) if took > 0 => Some("I4: refused, and delivered"),
            Some(500..) if meant.is_some() && !permanent => Some("I11: refused for no reason"),
            Some(300..500) if took > 0 && !since.unknown => Some("I4: deferred, and delivered"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.blame(at, id, wrong);
        }
        self.unknown_outcomes += usize::from(since.unknown);
        for took in &since.took {
            self.delivered += 1;
            let wrong = compare(took, &transaction, &name, meant.as_deref());
            if let Some(wrong) = wrong {
                self.blame(at, id, wrong);
            }
        }
        for (rcpt, goes) in &transaction.rcpts {
            let unit = self.units.entry((token, rcpt.clone())).or_default();
            let number = if code.is_some() { number } else { usize::MAX };
            unit.attempts.push((id, number, since.unknown));
            unit.deliveries += if *goes == Goes::Nowhere { 0 } else { took };
        }
    }

    fn on_closed(&mut self, at: u64, id: u64) {
        let limit = (self.truth.session_seconds_max + 600) * 1_000;
        let session = self.of(id);
        session.closed = true;
        let too_long = at > session.began + limit;
        // These close the session: what else was said is not answered any more.
        let last = matches!(session.last_code, 0 | 221 | 421 | 500 | 502 | 503 | 552 | 554);
        let unanswered = session.items.iter().any(|(_, completed)| completed.is_some());
        let silent = unanswered && !last && session.heard.is_none();
        let since = std::mem::take(&mut session.since);
        if let Some((Item::Content { token, wire }, Some(_))) = session.items.pop_front() {
            self.on_content(at, id, token, &wire, None, since);
        }
        if too_long {
            self.blame(at, id, "I20: the session lasted too long");
        }
        if silent {
            self.blame(at, id, "I17: a command without a reply");
        }
    }

    fn finish(&mut self) {
        let open: Vec<u64> =
            self.sessions.iter().filter(|(_, s)| !s.closed).map(|(id, _)| *id).collect();
        for id in open {
            self.blame(0, id, "I20: the session never ended");
        }
        let mut wrong = Vec::new();
        for ((token, rcpt), unit) in &self.units {
            let unknown = unit.attempts.iter().filter(|(session, number, unknown)| {
                let heard = self.sessions.get(session).and_then(|s| s.heard);
                *unknown || *number == usize::MAX || heard.is_some_and(|heard| *number > heard)
            });
            let unknown = unknown.count();
            if self.truth.honest.contains(token) && unit.deliveries > 1 + unknown {
                wrong.push(format!("I3: {token} reached {rcpt} {} times", unit.deliveries));
            }
        }
        wrong.sort();
        self.broken.append(&mut wrong);
    }
}

fn is_rcpt(line: &str) -> bool {
    line.to_ascii_uppercase().starts_with("RCPT")
}

impl Since {
    /// Where the recipient's mail is to go, by what the directory said of it.
    fn expected(&self, rcpt: &str) -> Option<Goes> {
        let (address, hop) = canonical(rcpt)?;
        let (asked, answer) = self.directory.as_ref()?;
        if !asked.eq_ignore_ascii_case(&address) {
            return None;
        }
        match answer {
            Answer::Exists { target: None } => Some(Goes::To(hop, address)),
            Answer::Exists { target: Some(target) } => Some(Goes::To(hop, target.clone())),
            Answer::Bitbucket => Some(Goes::Nowhere),
            Answer::Left | Answer::Unknown | Answer::Unavailable => None,
        }
    }
}

impl Session {
    /// Where line ends are mended, one piece of nonsense may be several commands.
    fn rest_of(&mut self, raw: &[u8], completed: Option<u64>) {
        let end = raw.iter().position(|b| *b == b'\n').map_or(raw.len(), |at| at + 1);
        if self.mends && end < raw.len() {
            self.items.push_front((Item::Raw(raw[end..].to_vec()), completed));
        }
    }

    fn expected(&self) -> Option<Goes> {
        let Some((Item::Command(line), _)) = self.items.front() else { return None };
        self.since.expected(&argument(line))
    }

    fn read(&mut self, at: u64, note: &Note) {
        match note {
            Note::Sent { item, .. } => self.items.push_back((item.clone(), None)),
            Note::Completed { .. } => {
                if let Some((_, completed)) = self.items.iter_mut().find(|(_, c)| c.is_none()) {
                    *completed = Some(at);
                }
            }
            Note::Left { heard, .. } => self.heard = Some(*heard),
            // I16: nothing that was said before is known behind the handshake.
            Note::ShookHands { .. } => (self.hello, self.transaction) = (false, None),
            Note::Directory { address, answer, .. } => {
                self.since.directory = Some((address.clone(), answer.clone()));
            }
            Note::Event { told: Told::OutcomeUnknown { message, recipients }, .. } => {
                // An event that names something else is no report of this message.
                let of_transaction = self.transaction.as_ref().is_some_and(|transaction| {
                    let mut pairs = transaction.rcpts.iter().zip(recipients);
                    transaction.rcpts.len() == recipients.len()
                        && pairs.all(|((rcpt, _), named)| rcpt.eq_ignore_ascii_case(named))
                });
                self.since.unknown |= of_transaction && message.starts_with(&self.name);
            }
            _ => {}
        }
    }
}

/// I17: lines of printable ASCII, at most 512 octets, one code, and a status of its class.
fn is_well_formed(bytes: &[u8]) -> bool {
    let Some(body) = bytes.strip_suffix(b"\r\n") else { return false };
    let text = String::from_utf8_lossy(body).into_owned();
    let lines: Vec<&str> = text.split("\r\n").collect();
    lines.iter().enumerate().all(|(n, line)| {
        let mark = if n + 1 == lines.len() { " " } else { "-" };
        let class = line.get(..1).unwrap_or_default();
        let word = line.get(4..).unwrap_or_default().split(' ').next().unwrap_or_default();
        let numbers: Vec<&str> = word.split('.').collect();
        let is_status = numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u16>().is_ok());
        line.len() <= 510
            && line.bytes().all(|b| (b' '..=b'~').contains(&b))
            && line.get(..3) == lines[0].get(..3)
            && line.get(3..4) == Some(mark)
            && (!is_status || numbers[0] == class)
    })
}

/// I5, I18: what the next hop has against what the client said.
fn compare(
    took: &Took,
    transaction: &Transaction,
    name: &str,
    meant: Option<&[u8]>,
) -> Option<&'static str> {
    let mut expected = Vec::new();
    for (_, goes) in &transaction.rcpts {
        if let Goes::To(hop, address) = goes {
            if *hop != took.hop {
                return Some("I5: delivered to the wrong next hop");
            }
            expected.push(address.clone());
        }
    }
    let same = |(a, b): (&String, &String)| a.eq_ignore_ascii_case(b);
    let all = expected.len() == took.rcpts.len() && expected.iter().zip(&took.rcpts).all(same);
    if !all || transaction.from != took.from {
        return Some("I5: another envelope than the client's");
    }
    let Some(meant) = meant else { return Some("I5: content that should not have passed") };
    let Some(trace) = took.content.strip_suffix(meant) else {
        return Some("I5: other content than the client's");
    };
    let trace = String::from_utf8_lossy(trace).into_owned();
    let named = trace.contains(&format!("id {name}."));
    let folded = trace.trim_end().lines().skip(1).all(|line| line.starts_with(['\t', ' ']));
    let one = trace.starts_with("Received: from ") && trace.ends_with("\r\n") && folded;
    (!one || !named).then_some("I18: the trace field does not come first, alone and whole")
}
