//! The deadlines of a session: computed here, waited for at the edge. What depends on how loaded we
//! are is kept as the moment from which it counts, so that it is shorter at once for whoever waits
//! when the pressure rises.

use crate::moment::Moment;
use crate::policy::facts::Need;
use crate::settings::SessionLimits;

/// How long a client may take to take our replies, in seconds.
const SEND_SECONDS_MAX: u32 = 60;
/// From asking a next hop about a recipient to its answer, over all hosts, in seconds. A client
/// waits five minutes (RFC 5321 §4.5.3.2.3).
const CARRY_SECONDS_MAX: u32 = 240;
/// Until the end of a transaction has left for the next hop, in seconds; nobody waits for its
/// reply.
const FORGET_SECONDS_MAX: u32 = 5;

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Nothing.
    Nothing,
    /// That the client takes our replies.
    Sending,
    /// A command, or content.
    Reading,
    /// A fact. Who looks it up was told until when, and may need that time to the end.
    Fact {
        /// Which.
        need: Need,
        /// Until when.
        until: Moment,
    },
    /// The next hop's answer to a recipient.
    Recipient,
    /// The next hop's answer to the final dot.
    FinalReply,
    /// That the next hop hears that a transaction is over.
    Forgetting,
    /// The end of a pause.
    Pause(Moment),
    /// The client's handshake.
    Handshake,
}

/// What time it is, and since when things last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) now: Moment,
    session_since: Moment,
    command_since: Moment,
    content: ContentClock,
    awaited: Awaited,
    /// Since when it is awaited.
    since: Moment,
}

#[derive(Clone, Copy, Debug, Default)]
struct ContentClock {
    since: Moment,
    heard: Moment,
    rate_since: Moment,
    rate_octets: u64,
    /// One bound for all that happens between the final dot and our reply to it.
    final_until: Moment,
}

impl Clock {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            now,
            session_since: now,
            command_since: now,
            content: ContentClock::default(),
            awaited: Awaited::Nothing,
            since: now,
        }
    }

    /// From now on this is awaited.
    pub(super) fn begin(&mut self, awaited: Awaited) {
        (self.awaited, self.since) = (awaited, self.now);
    }

    pub(super) fn awaited(&self) -> Awaited {
        self.awaited
    }

    /// Until when what is awaited may last; not for [`Awaited::Reading`], which depends on what is
    /// read.
    pub(super) fn until(&self, limits: &SessionLimits) -> Option<Moment> {
        let within = |seconds| Some(self.since.plus_seconds(seconds));
        match self.awaited {
            Awaited::Nothing | Awaited::Reading => None,
            Awaited::Sending => within(SEND_SECONDS_MAX),
            Awaited::Recipient => within(CARRY_SECONDS_MAX),
            Awaited::FinalReply => Some(self.content.final_until),
            Awaited::Forgetting => within(FORGET_SECONDS_MAX),
            Awaited::Pause(until) | Awaited::Fact { until, .. } => Some(until),
            Awaited::Handshake => within(limits.tls_handshake_seconds_max),
        }
    }

    /// A reply goes out: the client has a while for a whole line (RFC 5321 §4.5.3.2.7).
    pub(super) fn expect_command(&mut self) {
        self.command_since = self.now;
    }

    /// 354 goes out.
    pub(super) fn expect_content(&mut self) {
        let now = self.now;
        self.content =
            ContentClock { since: now, heard: now, rate_since: now, ..ContentClock::default() };
    }

    /// The content is complete: our reply must leave within so many seconds.
    pub(super) fn complete(&mut self, final_reply_seconds_max: u32) {
        self.content.final_until = self.now.plus_seconds(final_reply_seconds_max);
    }

    /// Content came; false when it comes too slowly.
    pub(super) fn content_came(&mut self, octets: usize, limits: &SessionLimits) -> bool {
        let content = &mut self.content;
        content.heard = self.now;
        content.rate_octets += octets as u64;
        // Judged over as long as a stall may last: one pause within it is no slowness.
        let elapsed = self.now.milliseconds_since(content.rate_since);
        if elapsed < u64::from(limits.content_stall_seconds_max) * 1_000 {
            return true;
        }
        let least = u64::from(limits.content_octets_per_second_min) * elapsed / 1_000;
        let fast_enough = content.rate_octets >= least;
        (content.rate_since, content.rate_octets) = (self.now, 0);
        fast_enough
    }

    /// Until when the next command must be there.
    pub(super) fn command_until(&self, limits: &SessionLimits) -> Moment {
        self.command_since.plus_seconds(limits.command_seconds_max).min(self.session_until(limits))
    }

    /// Until when more content must be there.
    pub(super) fn content_until(&self, limits: &SessionLimits) -> Moment {
        let stalled = self.content.heard.plus_seconds(limits.content_stall_seconds_max);
        stalled.min(self.message_until(limits))
    }

    /// Whether the session as a whole has lasted too long.
    pub(super) fn session_is_over(&self, limits: &SessionLimits) -> bool {
        self.now >= self.session_until(limits)
    }

    /// Whether the content as a whole has taken too long.
    pub(super) fn message_is_over(&self, limits: &SessionLimits) -> bool {
        self.now >= self.message_until(limits)
    }

    fn session_until(&self, limits: &SessionLimits) -> Moment {
        self.session_since.plus_seconds(limits.session_seconds_max)
    }

    fn message_until(&self, limits: &SessionLimits) -> Moment {
        self.content.since.plus_seconds(limits.message_seconds_max)
    }
}
