//! How the exchange says no, and how it tells what happens: every refusal gets an id, an event
//! and a reply; guesses cost time.

use super::{Activity, Do, Exchange, Sink};
use crate::event::{Event, Kind, Scene};
use crate::ledger::guesses::credit;
use crate::policy::verdict::{Guilt, Refusal, Words};
use crate::policy::{Refuser, Stage};
use mail::address::ReversePath;
use mail::smtp::reply::{Reply, ReplyId};
use mail::smtp::server::Question;

/// All delays of one transaction in which somebody who exists was named, in milliseconds: a client
/// waits for five minutes for a reply, and may not wait for a hundred of them.
const DELAYS_MILLISECONDS_MAX: u64 = 20_000;
/// Refusals of one session that are answered at once.
const REFUSALS_FREE: u32 = 50;
/// What each beyond these adds to the delay of the next, in milliseconds.
const REFUSAL_DELAY_MILLISECONDS: u64 = 20;
/// The longest delay of one refusal, in milliseconds.
const DELAY_MILLISECONDS_MAX: u64 = 1_000;
/// Refusals of one transaction after which the bound of its delays does not hold any more.
const TRANSACTION_REFUSALS_MAX: u32 = 1_000;

/// What is said.
pub(super) struct No {
    /// As it is written in the log.
    pub(super) name: &'static str,
    pub(super) reply: Reply,
    pub(super) words: Words,
    pub(super) guilt: Guilt,
}

impl No {
    /// MAIL or RCPT cannot be read, as the reply says.
    fn malformed(reply: Reply) -> Self {
        Self { name: "malformed", reply, words: Words::Ours, guilt: Guilt::Error }
    }

    fn of(refusal: &Refusal, guilt: Guilt) -> Self {
        Self { name: refusal.name(), reply: refusal.reply(), words: refusal.words(), guilt }
    }
}

impl Exchange {
    /// A rule says no: tells whom it may concern, and the client, perhaps with a delay.
    pub(super) fn refuse_by_rule(
        &mut self,
        stage: Stage,
        by: Refuser,
        refusal: &Refusal,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        if matches!(refusal, Refusal::BareLineEnding | Refusal::Nul) {
            // Two servers would read this differently: nothing behind it can be trusted.
            self.end_by(stage, by, refusal, sink);
            return None;
        }
        self.refuse_with(stage, by, No::of(refusal, refusal.guilt()), sink)
    }

    /// The machine itself says no, for no fault of the client's.
    pub(super) fn refuse(
        &mut self,
        stage: Stage,
        by: Refuser,
        refusal: &Refusal,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        self.refuse_with(stage, by, No::of(refusal, Guilt::None), sink)
    }

    /// MAIL or RCPT cannot be read, as the reply says.
    pub(super) fn refuse_malformed(
        &mut self,
        stage: Stage,
        reply: Reply,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        self.refuse_with(stage, Refuser::Session, No::malformed(reply), sink)
    }

    pub(super) fn refuse_with(
        &mut self,
        stage: Stage,
        by: Refuser,
        no: No,
        sink: &mut impl Sink,
    ) -> Option<Do> {
        let No { name, reply, words, guilt } = no;
        let unknown = guilt == Guilt::Guess;
        self.counts.refusals += 1;
        self.counts.messages += u32::from(stage == Stage::Content);
        let reply = reply.with_id(self.next_id());
        let forward_path = match self.session.question() {
            Some(Question::Rcpt(path)) => Some(path),
            _ => None,
        };
        let (refusal, heard) = (name, &reply);
        let kind = Kind::Refused { stage, by, refusal, reply: heard, words, forward_path, unknown };
        sink.record(&Event { scene: Some(self.scene()), kind });
        if reply.code() == 421 || stage == Stage::Connect {
            self.why_closed = name;
        }
        match guilt {
            Guilt::Guess => self.punish(reply, sink),
            Guilt::Error => {
                self.session.answer_error(reply);
                None
            }
            Guilt::None => self.answer_at_a_cost(reply),
        }
    }

    fn answer_err(&mut self, reply: Reply) -> Option<Do> {
        self.session.answer(Err(reply));
        None
    }

    /// A guess: within a session it costs more and more time, then the session. Recipients who
    /// exist outweigh guesses, and where one was named in this transaction its mail is not lost:
    /// nothing more is told of recipients instead. Notices are spared.
    fn punish(&mut self, reply: Reply, sink: &mut impl Sink) -> Option<Do> {
        let notice = self.session.envelope().is_some_and(|e| e.reverse_path == ReversePath::Null);
        if self.client.limits_lifted || notice {
            return self.answer_err(reply);
        }
        self.counts.unknown += 1;
        let harvest = &self.settings.harvest;
        let existing = self.transaction.as_ref().map_or(0, |t| t.existing);
        let all = self.counts.delivered_to.saturating_add(existing);
        let credit = credit(all, harvest.session_unknown_before_close_max);
        let guesses = self.counts.unknown.saturating_sub(credit);
        if guesses > harvest.session_unknown_before_close_max {
            match &mut self.transaction {
                Some(transaction) if existing > 0 => transaction.is_suspected = true,
                _ => {
                    self.end(&Refusal::HarvestClosed, sink);
                    return None;
                }
            }
        }
        let excess = guesses.saturating_sub(harvest.session_unknown_max);
        let delay = u64::from(excess) * u64::from(harvest.delay_milliseconds);
        self.answer_later(reply, delay)
    }

    /// Answers after so many milliseconds. The delays of a transaction that somebody who exists
    /// was named in are bounded in all.
    fn answer_later(&mut self, reply: Reply, milliseconds: u64) -> Option<Do> {
        let mut milliseconds = milliseconds;
        if let Some(transaction) = self.transaction.as_mut().filter(|t| t.existing > 0) {
            let left = DELAYS_MILLISECONDS_MAX.saturating_sub(transaction.delayed_milliseconds);
            milliseconds = milliseconds.min(left);
            transaction.delayed_milliseconds += milliseconds;
        }
        if milliseconds == 0 {
            return self.answer_err(reply);
        }
        let until = self.clock.now.plus_milliseconds(milliseconds);
        self.activity = Activity::Delaying { reply, until };
        None
    }

    /// Refusals for no fault of the client's never end a session, since it is told to try again;
    /// but whoever hears nothing else hears them ever more slowly.
    fn answer_at_a_cost(&mut self, reply: Reply) -> Option<Do> {
        if self.client.limits_lifted || self.session.is_in_content() {
            return self.answer_err(reply);
        }
        let free = REFUSALS_FREE.saturating_add(self.counts.delivered_to);
        let excess = self.counts.refusals.saturating_sub(free);
        let delay = (u64::from(excess) * REFUSAL_DELAY_MILLISECONDS).min(DELAY_MILLISECONDS_MAX);
        if let Some(transaction) = &mut self.transaction {
            transaction.refusals += 1;
            if transaction.refusals > TRANSACTION_REFUSALS_MAX {
                transaction.delayed_milliseconds = 0;
            }
        }
        self.answer_later(reply, delay)
    }

    /// Ends the session for a reason of our own.
    pub(super) fn end(&mut self, refusal: &Refusal, sink: &mut impl Sink) {
        let stage = if self.session.is_in_content() { Stage::Content } else { Stage::Connect };
        self.end_by(stage, Refuser::Session, refusal, sink);
    }

    fn end_by(&mut self, stage: Stage, by: Refuser, refusal: &Refusal, sink: &mut impl Sink) {
        self.counts.refusals += 1;
        let reply = refusal.reply().with_id(self.next_id());
        let kind = Kind::Refused {
            stage,
            by,
            refusal: refusal.name(),
            reply: &reply,
            words: refusal.words(),
            forward_path: None,
            unknown: false,
        };
        self.record(kind, sink);
        self.why_closed = refusal.name();
        self.activity = Activity::Idle;
        self.session.close_with(reply);
    }

    pub(super) fn next_id(&mut self) -> ReplyId {
        self.counts.ids += 1;
        ReplyId { session: self.client.session, count: self.counts.ids }
    }

    pub(super) fn record(&self, kind: Kind<'_>, sink: &mut impl Sink) {
        sink.record(&Event { scene: Some(self.scene()), kind });
    }

    fn scene(&self) -> Scene<'_> {
        // A name that is being refused is the one to tell.
        let hello = match self.session.question() {
            Some(Question::Hello(hello)) => Some(hello),
            _ => self.session.hello(),
        };
        Scene {
            client: &self.client,
            hello: hello.map(|hello| &*hello.name),
            reverse_path: self.session.envelope().map(|envelope| &envelope.reverse_path),
            accepted: self.transaction.as_ref().map_or(0, |t| t.existing),
        }
    }
}

#[cfg(test)]
#[path = "cost_tests.rs"]
mod tests;
