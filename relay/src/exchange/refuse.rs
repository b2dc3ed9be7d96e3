//! How the exchange says no, and how it tells what happens: every refusal gets an id, an event
//! and a reply; guesses cost time.

use super::{Activity, Do, Exchange, Sink};
use crate::event::{Event, Kind, Scene};
use crate::policy::verdict::{Guilt, Refusal, Words};
use crate::policy::{Refuser, Stage};
use mail::address::ReversePath;
use mail::smtp::reply::{Reply, ReplyId};
use mail::smtp::server::Question;

/// What is said.
pub(super) struct No {
    /// As it is written in the log.
    pub(super) name: &'static str,
    pub(super) reply: Reply,
    pub(super) words: Words,
    pub(super) guilt: Guilt,
}

impl No {
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
            Guilt::None => self.answer_err(reply),
        }
    }

    fn answer_err(&mut self, reply: Reply) -> Option<Do> {
        self.session.answer(Err(reply));
        None
    }

    /// A guess: within a session it costs more and more time, then the session. Notices are
    /// spared.
    fn punish(&mut self, reply: Reply, sink: &mut impl Sink) -> Option<Do> {
        let notice = self.session.envelope().is_some_and(|e| e.reverse_path == ReversePath::Null);
        if self.client.limits_lifted || notice {
            return self.answer_err(reply);
        }
        self.counts.unknown += 1;
        let harvest = &self.settings.harvest;
        if self.counts.unknown > harvest.session_unknown_before_close_max {
            self.end(&Refusal::HarvestClosed, sink);
            return None;
        }
        let Some(excess @ 1..) = self.counts.unknown.checked_sub(harvest.session_unknown_max)
        else {
            return self.answer_err(reply);
        };
        let delay = u64::from(excess) * u64::from(harvest.delay_milliseconds);
        let until = self.clock.now.plus_milliseconds(delay);
        self.activity = Activity::Delaying { reply, until };
        None
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
        }
    }
}
