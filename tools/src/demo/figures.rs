//! What is counted in each half of the demo. The names of the fields are the keys of `--json`
//! and stay as they are (docs/demo.md).

use super::stream::Stream;
use super::stream::letter::Kind;
use super::stream::senders::{Mistake, Tally};
use super::world::World;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wire::lock::lock;

/// Both halves.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Raised when a key changes its meaning.
    pub schema: u32,
    /// The stream's seed.
    pub seed: u64,
    /// Messages in the stream.
    pub messages: u64,
    /// The promise was kept: nobody unknown accepted, no NDR to an innocent, all real mail there.
    pub promise_kept: bool,
    /// Straight at the server that cannot say no.
    pub without: Figures,
    /// Through Postern.
    pub with: Figures,
}

impl Report {
    /// Both halves, judged.
    #[must_use]
    pub fn new(seed: u64, stream: &Stream, without: Figures, with: Figures) -> Self {
        let promise_kept = with.unknown_recipients_accepted == 0
            && with.ndrs_to_innocents == 0
            && with.real_mail_sent > 0
            && with.real_mail_delivered == with.real_mail_sent;
        let messages = stream.letters().count() as u64;
        Self { schema: 1, seed, messages, promise_kept, without, with }
    }
}

/// One half.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Copies of real mail to people who exist.
    pub real_mail_sent: u64,
    /// Those of them that lie in the right mailbox.
    pub real_mail_delivered: u64,
    /// Recipients who do not exist and whom RCPT said yes to.
    pub unknown_recipients_accepted: u64,
    /// Recipients who were refused with 5yz.
    pub recipients_refused: u64,
    /// Recipients and connections that were told to come later, or kept waiting until they left.
    pub deferred: u64,
    /// Second and further attempts of mail servers.
    pub retries: u64,
    /// Messages of the worm.
    pub worm_messages_sent: u64,
    /// Those that were taken at the final dot.
    pub worm_messages_accepted: u64,
    /// NDRs that came to the rest of the Internet.
    pub ndrs_sent: u64,
    /// Those that came to people who had sent nothing.
    pub ndrs_to_innocents: u64,
    /// How many different people these were.
    pub innocents_hit: u64,
    /// Domains elsewhere that were sent something.
    pub domains_hit: u64,
    /// Octets of SMTP into the company.
    pub octets_in: u64,
    /// Octets of SMTP out of it.
    pub octets_out: u64,
    /// Names that the harvester tried.
    pub names_tried: u64,
    /// Names that it now knows to be real.
    pub names_learned: u64,
    /// What the person in the middle of all who mistyped an address was told.
    pub mistyped: Told,
    /// How long the half took, in seconds.
    pub seconds: f64,
}

/// What somebody who mistyped an address was told.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Told {
    /// People who mistyped an address.
    pub people: u64,
    /// Those who were told in the session, by their own mail server.
    pub told_in_session: u64,
    /// Those who were told by an NDR.
    pub told_by_ndr: u64,
    /// The refusal of one of them.
    pub reply: Option<String>,
    /// Of those told by NDR, the one in the middle: which of all NDRs it was.
    pub ndr_number: Option<u64>,
    /// How long the one in the middle waited, in milliseconds of the demo.
    pub milliseconds: Option<f64>,
}

/// Adds up what a half has come to.
#[must_use]
pub fn add_up(stream: &Stream, world: &World, tally: &Tally, time: Duration) -> Figures {
    let copies = |kind| stream.letters().filter(move |letter| letter.kind == kind);
    let (mut sent, mut delivered) = (0, 0);
    for letter in copies(Kind::Real).chain(copies(Kind::Mistyped)) {
        for recipient in letter.recipients.iter().filter(|recipient| recipient.exists) {
            sent += 1;
            delivered += u64::from(world.legacy.has(&letter.id, &recipient.name));
        }
    }
    let notices = world.internet.notices();
    let astray = notices.iter().filter(|notice| stream.innocents.contains(&notice.to));
    let innocents_hit = astray.clone().map(|notice| &notice.to).collect::<HashSet<_>>().len();
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    Figures {
        real_mail_sent: sent,
        real_mail_delivered: delivered,
        unknown_recipients_accepted: load(&tally.unknown_accepted),
        recipients_refused: load(&tally.refused),
        deferred: load(&tally.deferred),
        retries: load(&tally.retries),
        worm_messages_sent: copies(Kind::Worm).count() as u64,
        worm_messages_accepted: load(&tally.worms_accepted),
        ndrs_sent: world.internet.notices_count(),
        ndrs_to_innocents: astray.count() as u64,
        innocents_hit: innocents_hit as u64,
        domains_hit: world.internet.domains().len() as u64,
        octets_in: world.internet.wire.inbound(),
        octets_out: world.internet.wire.outbound(),
        names_tried: copies(Kind::Harvest).map(|letter| letter.recipients.len() as u64).sum(),
        names_learned: names_learned(stream, world, tally),
        mistyped: told(world, &lock(&tally.mistakes)),
        seconds: (time.as_secs_f64() * 1_000.0).round() / 1_000.0,
    }
}

/// What was not refused, and of what no NDR said otherwise; and it is so.
fn names_learned(stream: &Stream, world: &World, tally: &Tally) -> u64 {
    let notices = world.internet.notices();
    let disproved: HashSet<&str> = notices
        .iter()
        .filter(|notice| !stream.innocents.contains(&notice.to))
        .flat_map(|notice| &notice.failed)
        .filter_map(|address| address.split('@').next())
        .collect();
    let harvest = stream.letters().filter(|letter| letter.kind == Kind::Harvest);
    let exist: HashSet<&str> = harvest
        .flat_map(|letter| &letter.recipients)
        .filter(|recipient| recipient.exists)
        .map(|recipient| recipient.name.as_str())
        .collect();
    let harvested = lock(&tally.harvested);
    let learned = harvested.iter().map(String::as_str);
    learned.filter(|name| exist.contains(name) && !disproved.contains(name)).count() as u64
}

fn told(world: &World, mistakes: &[Mistake]) -> Told {
    let notices = world.internet.notices();
    let mut by_ndr = Vec::new();
    let mut in_session = Vec::new();
    for mistake in mistakes {
        let notice = notices.iter().find(|notice| notice.to == mistake.from);
        if let (Some(notice), Some(taken_at)) = (notice, mistake.taken_at) {
            let wait = notice.at.saturating_duration_since(taken_at);
            by_ndr.push((notice.number, wait));
        }
        if let Some((reply, wait)) = &mistake.refusal {
            in_session.push((*wait, reply.clone()));
        }
    }
    by_ndr.sort_unstable();
    in_session.sort_unstable();
    let mut told = Told {
        people: mistakes.len() as u64,
        told_in_session: in_session.len() as u64,
        told_by_ndr: by_ndr.len() as u64,
        ..Told::default()
    };
    let milliseconds = |wait: Duration| (wait.as_secs_f64() * 10_000.0).round() / 10.0;
    if let Some((number, wait)) = by_ndr.get(by_ndr.len() / 2) {
        (told.ndr_number, told.milliseconds) = (Some(*number), Some(milliseconds(*wait)));
    } else if let Some((wait, reply)) = in_session.get(in_session.len() / 2) {
        (told.reply, told.milliseconds) = (Some(reply.clone()), Some(milliseconds(*wait)));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::stream::Size;

    #[tokio::test]
    async fn the_promise_is_broken_by_one_recipient_one_ndr_or_one_lost_message() {
        let stream = Stream::new(&Size::SMALL, 1).unwrap();
        let world = World::start(&[]).await.unwrap();
        let counted = add_up(&stream, &world, &Tally::default(), Duration::ZERO);
        assert_eq!(counted.real_mail_delivered, 0, "nothing was sent");
        let good = Figures { real_mail_delivered: counted.real_mail_sent, ..counted };
        let kept = |with| Report::new(1, &stream, good.clone(), with).promise_kept;
        assert!(kept(good.clone()));
        assert!(!kept(Figures { unknown_recipients_accepted: 1, ..good.clone() }));
        assert!(!kept(Figures { ndrs_to_innocents: 1, ..good.clone() }));
        let real_mail_delivered = good.real_mail_sent - 1;
        assert!(!kept(Figures { real_mail_delivered, ..good.clone() }));
        assert!(!kept(Figures { real_mail_sent: 0, real_mail_delivered: 0, ..good.clone() }));
    }
}
