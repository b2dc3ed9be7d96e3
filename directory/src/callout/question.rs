//! One question on one connection: with `<>`, and with a named sender where `<>` is refused or
//! may be what is refused. Remembers which of the two a host takes.

use super::host::{AskedHost, NullPath};
use super::line::{Heard, Line, Lost, Stage, Words};
use crate::live::Trouble;
use mail::address::ReversePath;

/// What is known now.
#[derive(Debug)]
pub(super) enum Known {
    /// It takes mail for him.
    Exists,
    /// There is no such recipient, as it said at this command.
    Unknown(Stage),
    /// It would not say.
    Nothing(Trouble),
}

/// Asks, and learns how the host takes `<>`.
pub(super) async fn ask(
    line: &mut Line,
    asked: &AskedHost,
    sender: &ReversePath,
    words: &Words<'_>,
) -> Result<Known, Lost> {
    let mut first = None;
    if asked.null_path() != NullPath::Refused {
        // Nothing ever comes back to `<>`, and two relays that verify each other's senders do
        // not ask in circles (RFC 5321 §4.5.5).
        let heard = line.transact(asked, &ReversePath::Null, words).await?;
        first = match (heard, asked.null_path()) {
            (Heard::Accepts, _) => {
                asked.note_null_path(NullPath::Taken);
                return Ok(Known::Exists);
            }
            (Heard::NoSuchRecipient(stage), NullPath::Taken) => return Ok(Known::Unknown(stage)),
            (Heard::Nothing(trouble), _) => return Ok(Known::Nothing(trouble)),
            // Some refuse `<>` only at RCPT, and by the code that means the recipient: until one
            // recipient was accepted, that cannot be told from a recipient that is missing.
            (heard, _) => Some(heard),
        };
    }
    let named = match line.transact(asked, sender, words).await {
        Ok(named) => named,
        Err(lost) => {
            // It may have hung up on `<>`: then the next question begins with the name.
            if matches!(first, Some(Heard::SenderRefused(_))) && lost.hung_up {
                asked.note_null_path(NullPath::Refused);
            }
            return Err(lost);
        }
    };
    let before = asked.null_path();
    let gets_further = match (&first, &named) {
        (_, Heard::SenderRefused(_)) => {
            // What was refused once may be taken by now.
            if first.is_none() {
                asked.note_null_path(NullPath::Unseen);
            }
            false
        }
        (Some(Heard::SenderRefused(_)), _) => true,
        (Some(Heard::Refuses(_)), Heard::Accepts | Heard::NoSuchRecipient(_))
        | (Some(Heard::NoSuchRecipient(_)), Heard::Accepts) => before != NullPath::Taken,
        _ => false,
    };
    if gets_further {
        asked.note_null_path(NullPath::Refused);
    }
    Ok(match (first, named) {
        (_, Heard::Accepts) => Known::Exists,
        (_, Heard::NoSuchRecipient(stage)) => Known::Unknown(stage),
        (Some(Heard::SenderRefused(first) | Heard::Refuses(first)), Heard::Refuses(named)) => {
            // Where the two differ, either may be about its sender.
            let reply = first.at_rcpt.filter(|_| first.at_rcpt == named.at_rcpt);
            Known::Nothing(first.at_rcpt(reply))
        }
        (_, Heard::SenderRefused(trouble) | Heard::Refuses(trouble) | Heard::Nothing(trouble)) => {
            Known::Nothing(trouble)
        }
    })
}
