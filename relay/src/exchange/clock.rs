//! The deadlines of a session: computed here, waited for at the edge.

use crate::moment::Moment;
use crate::settings::SessionLimits;

/// What time it is, and until when things may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) now: Moment,
    session_until: Moment,
    command_until: Moment,
    content: ContentClock,
}

#[derive(Clone, Copy, Debug, Default)]
struct ContentClock {
    message_until: Moment,
    stall_until: Moment,
    rate_since: Moment,
    rate_octets: u64,
}

impl Clock {
    pub(super) fn new(now: Moment, limits: &SessionLimits) -> Self {
        Self {
            now,
            session_until: now.plus_seconds(limits.session_seconds_max),
            command_until: now.plus_seconds(limits.command_seconds_max),
            content: ContentClock::default(),
        }
    }

    /// A reply goes out: the client has this long for a whole line (RFC 5321 §4.5.3.2.7).
    pub(super) fn expect_command(&mut self, limits: &SessionLimits) {
        self.command_until = self.now.plus_seconds(limits.command_seconds_max);
    }

    /// 354 goes out.
    pub(super) fn expect_content(&mut self, limits: &SessionLimits) {
        self.content = ContentClock {
            message_until: self.now.plus_seconds(limits.message_seconds_max),
            stall_until: self.now.plus_seconds(limits.content_stall_seconds_max),
            rate_since: self.now,
            rate_octets: 0,
        };
    }

    /// Content came; false when it comes too slowly.
    pub(super) fn content_came(&mut self, octets: usize, limits: &SessionLimits) -> bool {
        let content = &mut self.content;
        content.stall_until = self.now.plus_seconds(limits.content_stall_seconds_max);
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
    pub(super) fn command_until(&self) -> Moment {
        self.command_until.min(self.session_until)
    }

    /// Until when more content must be there.
    pub(super) fn content_until(&self) -> Moment {
        self.content.stall_until.min(self.content.message_until)
    }

    /// Whether the session as a whole has lasted too long.
    pub(super) fn session_is_over(&self) -> bool {
        self.now >= self.session_until
    }

    /// Whether the content as a whole has taken too long.
    pub(super) fn message_is_over(&self) -> bool {
        self.now >= self.content.message_until
    }
}
