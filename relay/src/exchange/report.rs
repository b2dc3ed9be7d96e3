//! What the edge reports: what came of the last [`Do`](super::Do), and what of it did not come in
//! time.

use super::clock::Awaited;
use super::{Activity, Done, Exchange, Sink};
use crate::moment::Moment;
use crate::next_hop::Outcome;
use crate::policy::facts::{Found, Need, ReverseName, Standing};
use crate::recipient::RecipientStatus;
use crate::settings::SessionLimits;

impl Exchange {
    /// Reports what came of the last [`Do`].
    pub fn done(&mut self, done: Done, now: Moment, sink: &mut impl Sink) {
        self.clock.now = now;
        match done {
            Done::Yes => self.on_yes(),
            // A client that never stops talking never lets the edge's deadline pass.
            Done::Bytes(_) if self.is_overdue() => self.on_read_elapsed(sink),
            Done::Bytes(bytes) => {
                self.counts.received_octets += bytes.len() as u64;
                if self.session.is_in_content() {
                    self.on_content_bytes(bytes.len(), sink);
                }
                self.session.receive(bytes);
            }
            Done::Gone => self.on_gone(),
            Done::Elapsed => self.on_elapsed(sink),
            Done::Found(found) => self.on_found(found),
            Done::Carried(outcome) => self.activity = Activity::Heard(outcome),
        }
        self.clock.begin(Awaited::Nothing);
    }

    fn on_found(&mut self, found: Found) {
        match found {
            Found::EarlyTalker(early_talker) => {
                (self.arrival.is_unheard, self.arrival.early_talker) = (false, early_talker);
            }
            Found::ReverseName(name) => self.reverse_name = Some(name),
            found => {
                if let Activity::Judging(case) = &mut self.activity {
                    case.put(found);
                }
            }
        }
    }

    fn on_yes(&mut self) {
        match self.clock.awaited() {
            Awaited::Sending => self.unsent_octets = 0,
            Awaited::Pause(_) => self.end_pause(),
            _ => {}
        }
    }

    fn on_gone(&mut self) {
        self.why_closed = "client_gone";
        self.unsent_octets = 0;
        self.session.abandon();
    }

    /// What was awaited did not come.
    fn on_elapsed(&mut self, sink: &mut impl Sink) {
        match self.clock.awaited() {
            Awaited::Nothing | Awaited::Forgetting => {}
            Awaited::Sending | Awaited::Handshake => self.on_gone(),
            Awaited::Reading => self.on_read_elapsed(sink),
            Awaited::Fact { need, .. } => self.on_found(nobody_says(need)),
            Awaited::Recipient => self.activity = Activity::Heard(Outcome::Lost),
            // Whoever does not say so may have passed the dot on.
            Awaited::FinalReply => {
                self.activity = Activity::Heard(Outcome::Unknown { host: "".into() });
            }
            Awaited::Pause(_) => self.end_pause(),
        }
    }

    fn end_pause(&mut self) {
        if let Activity::Delaying { until, .. } = &mut self.activity {
            *until = self.clock.now;
        }
    }

    pub(super) fn limits(&self) -> &SessionLimits {
        self.settings.limits.under(self.pressure)
    }

    /// From now on this is awaited; until when.
    pub(super) fn begin(&mut self, awaited: Awaited) -> Moment {
        self.clock.begin(awaited);
        self.until().unwrap_or(self.clock.now)
    }
}

/// What is found where nobody answered in time.
fn nobody_says(need: Need) -> Found {
    match need {
        Need::Recipient => Found::Recipient(RecipientStatus::Unavailable),
        Need::Standing => Found::Standing(Standing::default()),
        Need::Split => Found::Split(false),
        Need::EarlyTalker => Found::EarlyTalker(false),
        Need::ReverseName => Found::ReverseName(ReverseName::Unavailable),
    }
}
