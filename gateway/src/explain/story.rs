//! Events of a log in plain words.

use super::search::Logged;
use relay::policy::verdict::Refusal;
use relay::policy::{Stage, rules};

/// What happened, as a clause without its time.
#[must_use]
pub fn sentence(event: &Logged) -> String {
    let field = |name: &str| event.field(name);
    let from = || format!("<{}>", field("from"));
    match field("event").as_str() {
        "SessionOpened" => "the client was greeted".into(),
        "ConnectionRefused" => format!("the connection was refused: {}", refusal(event)),
        "HelloRefused" => format!("EHLO {} was refused: {}", field("hello"), refusal(event)),
        "MailRefused" => format!("a message was refused at MAIL: {}", refusal(event)),
        "RecipientRefused" => {
            let who = match field("to").as_str() {
                "" => "a recipient that cannot be read".to_owned(),
                to => format!("the recipient <{to}>"),
            };
            format!("{who} was refused: {}", refusal(event))
        }
        "MessageRefused" => {
            format!("the message from {} was refused: {}", from(), refusal(event))
        }
        "MailAccepted" => format!("a message from {} began", from()),
        "RecipientAccepted" => format!("the recipient <{}> was accepted", field("to")),
        "MessageDelivered" => format!(
            "the message {} of {} octets from {} to {} was taken by {}, which said: {}",
            field("message"),
            field("octets"),
            from(),
            field("to"),
            field("host"),
            field("reply")
        ),
        "MessageDiscarded" => format!(
            "the message {} from {} to {} was accepted and discarded on purpose: {}",
            field("message"),
            from(),
            field("to"),
            field("reason")
        ),
        "OutcomeUnknown" => format!(
            "{} went away after the end of the message {} and may have it; the client was asked \
             to try again",
            field("host"),
            field("message")
        ),
        "SessionClosed" => format!(
            "the session ended ({}), messages delivered: {}, refusals: {}",
            field("why"),
            field("delivered"),
            field("refusals")
        ),
        "LinesRepeated" => format!(
            "one of {} of {} ({}) that were not written one by one, from {} to {}",
            field("count"),
            field("client"),
            field("reason"),
            field("first_id"),
            field("last_id")
        ),
        other => other.to_owned(),
    }
}

/// Code, status and text. The log leaves texts out that follow from the name of the refusal.
fn refusal(event: &Logged) -> String {
    let [code, status, text] = ["code", "status", "text"].map(|name| event.field(name));
    let text = match Refusal::named(&event.field("refusal")) {
        Some(refusal) if text.is_empty() => refusal.reply().text().to_owned(),
        _ => text,
    };
    [code, status, text].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What the rule of a refusal is for; nothing for an event that has none.
#[must_use]
pub fn rule_help(event: &Logged) -> Option<String> {
    let name = event.field("rule");
    Some(match name.as_str() {
        "" => return None,
        "session" => "limits of time, order and nonsense that hold for every session".into(),
        "next_hop" if event.field("refusal") == "next_hop_refused" => {
            "the next hop has the last word: it refused, and its reply was passed on".into()
        }
        "next_hop" => "the next hop has the last word, and it could not be had".into(),
        name => {
            let mut all = Stage::ALL.into_iter().flat_map(rules::at);
            all.find(|rule| rule.name == name)?.help.into()
        }
    })
}

/// What to look at next.
#[must_use]
pub fn next_step(event: &Logged) -> Option<String> {
    let to = event.field("to");
    match event.field("rule").as_str() {
        "" => None,
        "recipient" => Some(format!("postern recipients lookup {}", for_a_shell(&to))),
        _ if to.is_empty() => None,
        _ => Some(format!(
            "postern explain --client {} --from {} --to {}",
            for_a_shell(&event.field("client")),
            for_a_shell(&event.field("from")),
            for_a_shell(&to)
        )),
    }
}

/// In single quotes: it is there to be copied, and a stranger has chosen it.
fn for_a_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
