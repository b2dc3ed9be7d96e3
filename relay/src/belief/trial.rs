//! What a server's reply at RCPT shows in a trial with a name that nobody has, beyond a plain yes
//! or no: greylisting, which ends when the same name is asked for again; a 4yz for good, which is
//! how some servers refuse (Postfix, whose reply to unverified recipients is 450 by default); and
//! a 5yz that elsewhere may mean something else.

/// How soon a name that was put off is asked for again, in microseconds; twice as long each time.
const AGAIN_MICROSECONDS_MIN: i64 = 60_000_000;
/// The longest wait between two of these, in microseconds.
const AGAIN_MICROSECONDS_MAX: i64 = 600_000_000;
/// Replies in a row that make it steady.
const STEADY_REPLIES_MIN: u32 = 4;
/// How far apart the first and the last of them must be, in microseconds: longer than greylisting
/// lasts (postgrey five minutes, spamd 25, milter-greylist 30).
const STEADY_MICROSECONDS_MIN: i64 = 2_100_000_000;

/// A reply to RCPT that is neither a yes nor, by itself, a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RcptReply {
    /// The code, 400 to 599.
    pub code: u16,
    /// Subject and detail of the enhanced status (RFC 3463 §2), where there is one.
    pub status: Option<(u16, u16)>,
}

impl RcptReply {
    /// Whether it may be greylisting, or a refusal that calls itself temporary. 421 is about the
    /// connection and 452 about room (RFC 5321 §4.2.3).
    #[must_use]
    pub fn puts_off(self) -> bool {
        (400..500).contains(&self.code) && !matches!(self.code, 421 | 452)
    }

    /// Whether it can mean that there is no such recipient, where a name that nobody has hears it.
    /// Never x.7.z, which is about who asks; never x.2.1 and x.2.2, where the mailbox exists
    /// (RFC 3463 §3.3, §3.8); nor what is about syntax, the session or room.
    #[must_use]
    pub fn may_be_a_no(self) -> bool {
        let is_of_another = matches!(self.code, 500..=504 | 521 | 530..=538 | 552);
        let has_another_reason = matches!(self.status, Some((7, _) | (2, 1 | 2)));
        (500..600).contains(&self.code) && !is_of_another && !has_another_reason
    }
}

/// A trial whose name was put off, and is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PutOff {
    pub(super) epoch: u64,
    first: i64,
    last: i64,
    replies: u32,
}

impl PutOff {
    /// The first reply, `now` in microseconds.
    pub(super) fn new(epoch: u64, now: i64) -> Self {
        Self { epoch, first: now, last: now, replies: 1 }
    }

    /// One more.
    pub(super) fn again(self, now: i64) -> Self {
        Self { last: now, replies: self.replies.saturating_add(1), ..self }
    }

    /// When the name should be asked for again.
    pub(super) fn next(&self) -> i64 {
        let doublings = self.replies.saturating_sub(1).min(8);
        let wait = (AGAIN_MICROSECONDS_MIN << doublings).min(AGAIN_MICROSECONDS_MAX);
        self.last.saturating_add(wait)
    }

    /// No greylisting lasts as long: it is how this server refuses.
    pub(super) fn is_steady(&self) -> bool {
        self.replies >= STEADY_REPLIES_MIN
            && self.last.saturating_sub(self.first) >= STEADY_MICROSECONDS_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::belief::class::{Behaviour, Class};
    use crate::belief::credibility::{Credibility, Whom};
    use proptest::prelude::*;

    const WHOM: Whom = Whom { epoch: 0, has_answered: true };

    fn reply(code: u16, status: Option<(u16, u16)>) -> RcptReply {
        RcptReply { code, status }
    }

    /// Puts the trial off whenever it is due, from `now` on, for so many replies; when the last is.
    fn put_off(credibility: &mut Credibility, mut now: i64, replies: u32) -> i64 {
        for _ in 0..replies {
            while !credibility.is_test_due(WHOM, now) {
                now += 1_000_000;
            }
            credibility.put_off(0, now, "450");
        }
        now
    }

    #[test]
    fn a_steady_4yz_beside_a_yes_for_others_is_no_accept_all() {
        let mut credibility = Credibility::new("test".into(), None);
        credibility.takes_somebody(0, 0);
        let now = put_off(&mut credibility, 0, 6);
        assert!(credibility.needs_test(WHOM, now), "greylisting may last as long");
        let now = put_off(&mut credibility, now, 1);
        assert!(now < 45 * 60_000_000, "{now}");
        assert!(!credibility.needs_test(WHOM, now));
        assert_eq!(credibility.class().0, Class::Honest);
        // An hour later the same name is put off again, and nobody waits for that.
        let now = put_off(&mut credibility, now, 1);
        assert!(!credibility.needs_test(WHOM, now) && credibility.class().0 == Class::Honest);
    }

    #[test]
    fn a_steady_4yz_to_everybody_shows_nothing() {
        let mut credibility = Credibility::new("test".into(), None);
        let now = put_off(&mut credibility, 0, 20);
        assert_eq!(credibility.class().0, Class::Unproven);
        assert!(credibility.needs_test(WHOM, now));
        credibility.takes_somebody(0, now);
        assert!(!credibility.needs_test(WHOM, now), "until it takes somebody");
    }

    #[test]
    fn behind_a_greylist_the_answer_counts_and_what_was_found_before_counts_meanwhile() {
        let mut credibility = Credibility::new("test".into(), None);
        credibility.takes_somebody(0, 0);
        let now = put_off(&mut credibility, 0, 3);
        credibility.tested(0, now, true);
        credibility.shown(true, Behaviour::default(), "tested");
        assert_eq!(credibility.class().0, Class::AcceptAll);
        credibility.tested(0, now, false);
        let hour_later = now + 3_600_000_000;
        assert!(credibility.needs_test(WHOM, hour_later));
        credibility.put_off(0, hour_later, "450");
        assert!(!credibility.needs_test(WHOM, hour_later + 1), "it was right an hour ago");
        assert!(
            credibility.needs_test(Whom { epoch: 1, ..WHOM }, hour_later + 1),
            "it was another"
        );
    }

    #[test]
    fn what_an_invented_name_heard_is_a_no_where_somebody_is_taken() {
        let mut credibility = Credibility::new("test".into(), None);
        let no = reply(524, Some((2, 4)));
        credibility.tested(0, 0, false);
        credibility.refuses_by(no);
        assert!(!credibility.is_no(no, WHOM, 1), "it has taken nobody yet");
        credibility.takes_somebody(0, 1);
        assert!(credibility.is_no(no, WHOM, 1));
        assert!(!credibility.is_no(reply(524, None), WHOM, 1), "another reply");
        assert!(!credibility.is_no(no, Whom { epoch: 1, ..WHOM }, 1), "another server");
        credibility.refuses_by(reply(550, Some((7, 1))));
        assert!(!credibility.is_no(reply(550, Some((7, 1))), WHOM, 1));
    }

    #[test]
    fn only_what_can_be_about_the_recipient_may_be_a_no() {
        for (code, status) in [
            (524, Some((2, 4))),
            (511, None),
            (553, Some((3, 0))),
            (550, Some((4, 1))),
            (554, None),
        ] {
            assert!(reply(code, status).may_be_a_no(), "{code} {status:?}");
        }
        for (code, status) in [
            (550, Some((7, 1))),
            (554, Some((7, 606))),
            (550, Some((2, 1))),
            (554, Some((2, 2))),
            (552, None),
            (503, None),
            (530, Some((5, 0))),
            (450, Some((1, 1))),
        ] {
            assert!(!reply(code, status).may_be_a_no(), "{code} {status:?}");
        }
        assert!(reply(450, None).puts_off() && reply(451, Some((7, 1))).puts_off());
        assert!(!reply(421, None).puts_off() && !reply(452, None).puts_off());
    }

    proptest! {
        #[test]
        fn nothing_is_steady_sooner_than_a_greylist_ends_nor_asked_for_more_than_once_a_minute(
            waits in prop::collection::vec(0..900_000_000_i64, 0..60),
        ) {
            let mut put_off = PutOff::new(0, 0);
            for wait in waits {
                let now = put_off.last + wait;
                put_off = put_off.again(now);
                prop_assert!(!put_off.is_steady() || now >= STEADY_MICROSECONDS_MIN);
                let until = put_off.next() - now;
                prop_assert!((AGAIN_MICROSECONDS_MIN..=AGAIN_MICROSECONDS_MAX).contains(&until));
            }
        }
    }
}
