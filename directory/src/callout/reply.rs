//! What one reply says of a recipient. A refusal is believed only where nothing else than the
//! recipient can be meant: whoever refuses us, our sender or the hour says nothing about him.

use crate::live::RcptReply;
use mail::smtp::reply::{Class, HeardReply, leading_status};
use mail::smtp::status::Status;

/// What a reply to RCPT, or to DATA behind one RCPT, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes mail for him.
    Accepts,
    /// It knows that there is no such recipient.
    NoSuchRecipient,
    /// It refuses for good, for another reason: perhaps because of the sender.
    Refuses,
    /// Nothing: not now, or not known.
    Nothing,
}

/// Subject 1 of an enhanced status is "addressing" (RFC 3463 §3.2), but these details of it are
/// not about a mailbox that is missing: the destination's domain (2), an ambiguous (4) or a valid
/// one (5), the sender's address (7, 8), a mailer that cannot (9).
const OTHER_ADDRESSES: [u16; 6] = [2, 4, 5, 7, 8, 9];

/// Reads a reply to RCPT, or one to DATA.
pub(super) fn verdict(reply: &HeardReply) -> Verdict {
    match reply.code {
        // It takes the message and says that it has not looked (RFC 5321 §3.5.3).
        252 => Verdict::Nothing,
        // RFC 5321 §4.2.3: no mailbox, not here, no such name. 552 and 554 say other things.
        550 | 551 | 553 if is_about_the_mailbox(reply) => Verdict::NoSuchRecipient,
        354 => Verdict::Accepts,
        // Disabled (x.2.1) or full (x.2.2): he is there, and the sender hears it from the server.
        500.. if exists(reply) => Verdict::Accepts,
        _ => match reply.class() {
            Class::Completion => Verdict::Accepts,
            Class::Permanent => Verdict::Refuses,
            Class::Intermediate | Class::Transient => Verdict::Nothing,
        },
    }
}

fn is_about_the_mailbox(reply: &HeardReply) -> bool {
    let fits = |status: Status| status.subject == 1 && !OTHER_ADDRESSES.contains(&status.detail);
    !reply.contradicts && statuses(reply).all(fits)
}

fn exists(reply: &HeardReply) -> bool {
    let fits = |status: Status| status.subject == 2 && matches!(status.detail, 1 | 2);
    !reply.contradicts && statuses(reply).next().is_some() && statuses(reply).all(fits)
}

/// Some say it only in the last of several lines (RFC 2034 §4 wants it in each).
fn statuses(reply: &HeardReply) -> impl Iterator<Item = Status> + '_ {
    let later = reply.more.iter().filter_map(|line| leading_status(reply.code, line));
    reply.status.into_iter().chain(later)
}

/// What a refusal at RCPT may be compared by; nothing where its lines do not agree.
pub(super) fn rcpt_reply(reply: &HeardReply) -> Option<RcptReply> {
    let mut statuses = statuses(reply).map(|status| (status.subject, status.detail));
    let status = statuses.next();
    let agrees = !reply.contradicts && statuses.all(|other| Some(other) == status);
    (agrees && (400..600).contains(&reply.code)).then_some(RcptReply { code: reply.code, status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::smtp::reply::parse_reply;

    fn of(wire: &str) -> Verdict {
        let (reply, _) = parse_reply(wire.replace('\n', "\r\n").as_bytes()).unwrap().unwrap();
        verdict(&reply)
    }

    #[test]
    fn only_a_refusal_that_can_mean_nothing_else_is_a_missing_recipient() {
        for line in [
            "550 unknown user",
            "550",
            "550 5.1.1 <x@example.test>: Recipient address rejected: User unknown",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            "551 5.1.6 has moved",
            "551 User not local",
            "553 5.1.3 no such address",
            "550-5.1.1 The account does not exist.\n550 5.1.1 Please check it.",
            "550-no such person\n550 at all",
        ] {
            assert_eq!(of(&format!("{line}\n")), Verdict::NoSuchRecipient, "{line}");
        }
    }

    #[test]
    fn a_refusal_for_any_other_reason_says_nothing_of_the_recipient() {
        for line in [
            "550 5.7.1 relaying denied",
            "550 5.7.606 access denied, banned sending IP",
            "550 5.0.0 refused",
            "550 5.1.7 bad sender",
            "550 5.1.8 sender's domain does not exist",
            "550 5.1.2 no such domain",
            "550 4.7.1 try again later",
            "550-sorry\n550 5.7.1 you are on a list",
            "550-5.1.1 no such user\n550 5.7.1 or so",
            "551 5.7.1 not from here",
            "553 5.7.1 <>: not accepted",
            "552 mailbox full",
            "554 5.1.1 no such user",
            "554 no valid recipients",
            "500 what?",
            "503 bad sequence",
        ] {
            assert_eq!(of(&format!("{line}\n")), Verdict::Refuses, "{line}");
        }
        for line in [
            "450 4.2.0 greylisted",
            "450 5.1.1 greylisted",
            "450 unknown user",
            "451 4.3.0 later",
            "452 4.2.2 full",
            "421 4.7.0 too many",
            "252 2.5.2 cannot verify, but will take it",
        ] {
            assert_eq!(of(&format!("{line}\n")), Verdict::Nothing, "{line}");
        }
    }

    #[test]
    fn a_mailbox_that_is_disabled_or_full_is_there() {
        for line in ["550 5.2.1 disabled", "552 5.2.2 full", "552-sorry\n552 5.2.2 full"] {
            assert_eq!(of(&format!("{line}\n")), Verdict::Accepts, "{line}");
        }
        for line in ["550 4.2.2 which now?", "550-5.2.1 no\n550 5.7.1 you", "552 5.2.3 too big"] {
            assert_eq!(of(&format!("{line}\n")), Verdict::Refuses, "{line}");
        }
    }

    #[test]
    fn acceptance_is_250_or_251_and_behind_data_354() {
        for line in ["250 2.1.5 ok", "250", "251 will forward", "354 go on"] {
            assert_eq!(of(&format!("{line}\n")), Verdict::Accepts, "{line}");
        }
    }
}
