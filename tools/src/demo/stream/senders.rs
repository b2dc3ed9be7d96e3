//! How each kind of sender behaves, and what it has seen. A mail server tries again after 4yz as
//! a real one does; only its waiting is compressed ([`RETRY_PAUSE`]).

use super::letter::{Kind, Letter};
use super::send::{Connection, Fate, Gone, Way, is_yes};
use super::{Behaviour, Sender};
use crate::demo::wire::Wire;
use mail::address::ForwardPath;
use mail::smtp::reply::{Class, HeardReply};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wire::lock::lock;

/// Stands for the first quarter of an hour that a mail server waits; doubles with each attempt.
pub const RETRY_PAUSE: Duration = Duration::from_millis(40);
/// Attempts of a mail server, which stand for some days.
const ATTEMPTS_MAX: u32 = 9;
/// How long a harvester waits for a reply: it has more names than time.
const HARVESTER_PATIENCE: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(60);

/// What the person who mistyped an address has seen of it.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// Whose mistake, as MAIL has it.
    pub from: String,
    /// When the server took the message, when it did.
    pub taken_at: Option<Instant>,
    /// The refusal of the mistyped address, and how long after the connection was made it came.
    pub refusal: Option<(String, Duration)>,
}

/// What the senders count together.
#[derive(Debug, Default)]
pub struct Tally {
    /// Letters that are done with, for the progress display.
    pub done: AtomicU64,
    /// Copies to recipients who do not exist that RCPT said yes to.
    pub unknown_accepted: AtomicU64,
    /// The worm's messages that were taken at the final dot.
    pub worms_accepted: AtomicU64,
    /// Recipients that were refused for good.
    pub refused: AtomicU64,
    /// Recipients, or connections, that were told to come later.
    pub deferred: AtomicU64,
    /// Attempts beyond the first, of mail servers.
    pub retries: AtomicU64,
    /// Names that the harvester may hold for real ones, unless a report says otherwise.
    pub harvested: Mutex<HashSet<String>>,
    /// The typing errors.
    pub mistakes: Mutex<Vec<Mistake>>,
}

/// Sends all that a machine has to send to the company's door.
pub async fn send_all(sender: &Sender, door: SocketAddr, wire: &Arc<Wire>, tally: &Tally) {
    let patience = match sender.behaviour {
        Behaviour::Harvester => HARVESTER_PATIENCE,
        Behaviour::Careless | Behaviour::MailServer => PATIENCE,
    };
    let way = Way {
        to: door,
        from: Some(sender.ip),
        hello: sender.hello.clone(),
        wire: Some(Arc::clone(wire)),
        patience,
    };
    for letter in &sender.letters {
        match sender.behaviour {
            Behaviour::Careless => careless(letter, &way, tally).await,
            Behaviour::Harvester => harvest(letter, &way, tally).await,
            Behaviour::MailServer => persistent(letter, &way, tally).await,
        }
        tally.done.fetch_add(1, Relaxed);
    }
}

async fn attempt(
    letter: &Letter,
    to: &[&ForwardPath],
    way: &Way,
    fate: &mut Fate,
) -> Result<(), Gone> {
    let mut connection = Connection::open(way).await?;
    connection.send(letter, to, fate).await?;
    connection.quit().await;
    Ok(())
}

async fn careless(letter: &Letter, way: &Way, tally: &Tally) {
    let paths: Vec<&ForwardPath> = letter.recipients.iter().map(|r| &r.path).collect();
    let mut fate = Fate::default();
    if attempt(letter, &paths, way, &mut fate).await.is_err() {
        tally.deferred.fetch_add(1, Relaxed);
    }
    tally.count(letter, &(0..paths.len()).collect::<Vec<_>>(), &fate);
    if letter.kind == Kind::Worm && fate.is_taken() {
        tally.worms_accepted.fetch_add(1, Relaxed);
    }
}

/// Tries the names of one letter. When it is made to wait it hangs up and goes on with the name
/// behind the one that it waited for.
async fn harvest(letter: &Letter, way: &Way, tally: &Tally) {
    let mut rest: Vec<usize> = (0..letter.recipients.len()).collect();
    while !rest.is_empty() {
        let paths: Vec<&ForwardPath> = rest.iter().map(|n| &letter.recipients[*n].path).collect();
        let mut fate = Fate::default();
        let attempted = attempt(letter, &paths, way, &mut fate).await;
        tally.count(letter, &rest, &fate);
        // A yes is worth something only from a server that also says no, or that can be asked
        // to report.
        if fate.is_taken() || fate.recipients.iter().any(|r| r.class() == Class::Permanent) {
            let heard = rest.iter().zip(&fate.recipients);
            let yes = heard.filter(|(_, reply)| is_yes(Some(reply)));
            let names = yes.map(|(n, _)| letter.recipients[*n].name.clone());
            lock(&tally.harvested).extend(names);
        }
        if attempted.is_ok() {
            return;
        }
        tally.deferred.fetch_add(1, Relaxed);
        let tried = (fate.recipients.len() + 1).min(rest.len());
        rest.drain(..tried);
    }
}

/// RFC 5321 §4.5.4.1: what was deferred is tried again, recipient by recipient.
async fn persistent(letter: &Letter, way: &Way, tally: &Tally) {
    let mut rest: Vec<usize> = (0..letter.recipients.len()).collect();
    let mut mistake =
        Mistake { from: letter.reverse_path.to_string(), taken_at: None, refusal: None };
    for n in 0..ATTEMPTS_MAX {
        if n > 0 {
            tally.retries.fetch_add(1, Relaxed);
            tokio::time::sleep(RETRY_PAUSE * 2_u32.pow(n - 1)).await;
        }
        let paths: Vec<&ForwardPath> = rest.iter().map(|n| &letter.recipients[*n].path).collect();
        let mut fate = Fate::default();
        let begun = Instant::now();
        if attempt(letter, &paths, way, &mut fate).await.is_err() {
            tally.deferred.fetch_add(1, Relaxed);
        }
        tally.count(letter, &rest, &fate);
        let taken = fate.is_taken();
        for (n, reply) in rest.iter().zip(&fate.recipients) {
            let unknown = !letter.recipients[*n].exists;
            if unknown && taken && is_yes(Some(reply)) {
                mistake.taken_at = Some(Instant::now());
            }
            if unknown && reply.class() == Class::Permanent {
                mistake.refusal.get_or_insert_with(|| (shown(reply), begun.elapsed()));
            }
        }
        rest = remaining(&rest, &fate);
        if rest.is_empty() {
            break;
        }
    }
    if letter.kind == Kind::Mistyped {
        lock(&tally.mistakes).push(mistake);
    }
}

/// The recipients that still want the message after this attempt.
fn remaining(tried: &[usize], fate: &Fate) -> Vec<usize> {
    let ended = |reply: &Option<HeardReply>| {
        reply.as_ref().is_some_and(|reply| reply.class() == Class::Permanent)
    };
    if ended(&fate.mail) {
        return Vec::new();
    }
    let wants = |place: usize| match fate.recipients.get(place).map(HeardReply::class) {
        Some(Class::Completion) => !fate.is_taken() && !ended(&fate.content),
        Some(Class::Permanent) => false,
        Some(Class::Transient | Class::Intermediate) | None => true,
    };
    tried.iter().enumerate().filter(|(place, _)| wants(*place)).map(|(_, n)| *n).collect()
}

/// A reply as people quote it: `550 5.1.1 no such mailbox here`.
fn shown(reply: &HeardReply) -> String {
    match reply.status {
        Some(s) => {
            let class = reply.code / 100;
            format!("{} {class}.{}.{} {}", reply.code, s.subject, s.detail, reply.text)
        }
        None => format!("{} {}", reply.code, reply.text),
    }
}

impl Tally {
    fn count(&self, letter: &Letter, tried: &[usize], fate: &Fate) {
        for (n, reply) in tried.iter().zip(&fate.recipients) {
            let counter = match reply.class() {
                Class::Permanent => &self.refused,
                Class::Transient => &self.deferred,
                Class::Completion if !letter.recipients[*n].exists => &self.unknown_accepted,
                Class::Completion | Class::Intermediate => continue,
            };
            counter.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16) -> HeardReply {
        HeardReply { code, status: None, text: "".into(), more: Vec::new(), contradicts: false }
    }

    fn fate(recipients: &[u16], content: Option<u16>) -> Fate {
        Fate {
            mail: None,
            recipients: recipients.iter().copied().map(reply).collect(),
            content: content.map(reply),
        }
    }

    #[test]
    fn only_what_was_deferred_is_tried_again() {
        let tried = [0, 2, 3];
        assert_eq!(remaining(&tried, &fate(&[250, 450, 550], Some(250))), [2]);
        assert_eq!(remaining(&tried, &fate(&[250, 450, 550], Some(451))), [0, 2]);
        assert_eq!(remaining(&tried, &fate(&[250, 450, 550], Some(554))), [2]);
        assert_eq!(remaining(&tried, &fate(&[250], None)), [0, 2, 3]);
        assert!(remaining(&tried, &Fate { mail: Some(reply(550)), ..Fate::default() }).is_empty());
        assert_eq!(remaining(&tried, &Fate { mail: Some(reply(450)), ..Fate::default() }), tried);
    }
}
