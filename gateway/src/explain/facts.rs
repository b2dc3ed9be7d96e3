//! What each rule looked at, in words. A rule without words of its own shows what its stage is
//! about, so that adding one needs nothing here.

use super::asked::Asked;
use mail::address::{ForwardPath, Host, ReversePath};
use relay::policy::Rule;
use relay::policy::facts::Facts;
use relay::recipient::RecipientStatus;
use relay::settings::Settings;

/// What a rule looked at.
#[must_use]
pub fn words(rule: &Rule, facts: &Facts<'_>, settings: &Settings, asked: Option<&Asked>) -> String {
    let limits = settings.limits.under(facts.pressure);
    let lifted = facts.client.limits_lifted;
    match rule.name {
        "early_talker" => "supposed to wait for the greeting".into(),
        "connections" => of_connections(facts, settings),
        "session_rate" => {
            rate(facts, "session", |s| s.sessions, settings.rates.sessions_per_minute_max)
        }
        "size" => match facts.parameters.size_octets {
            Some(octets) => format!("SIZE={octets}; EHLO offers {}", facts.size_octets_max),
            None => format!("no SIZE= is given; EHLO offers {}", facts.size_octets_max),
        },
        "session_messages" if lifted => LIFTED.into(),
        "session_messages" => {
            format!(
                "{} before in the session, {} may be",
                facts.session_messages, limits.messages_max
            )
        }
        "message_rate" => {
            rate(facts, "message", |s| s.messages, settings.rates.messages_per_minute_max)
        }
        "relay_denied" => of_domain(facts, settings),
        "address_tricks" => of_local_part(facts, settings),
        "recipients_count" => {
            format!("{} before in the message, {} may be", facts.recipients, limits.recipients_max)
        }
        "null_sender" => match facts.reverse_path {
            Some(ReversePath::Null) => "a notice, and its first recipient".into(),
            _ => "no notice: MAIL names a mailbox".into(),
        },
        "harvest" => of_harvest(facts),
        "recipient_rate" => {
            rate(facts, "recipient", |s| s.recipients, settings.rates.recipients_per_minute_max)
        }
        "recipient" => of_recipient(facts, asked),
        "plan" => "the first recipient of the message".into(),
        "split" => "the first recipient of the message".into(),
        "content_faults" => "supposed to be an ordinary message".into(),
        "loops" => "supposed to have one Received field".into(),
        _ => of_stage(facts),
    }
}

/// The newest thing that is known.
fn of_stage(facts: &Facts<'_>) -> String {
    match (facts.forward_path, facts.reverse_path, facts.hello) {
        (Some(path), ..) => format!("the recipient is {path}"),
        (None, Some(path), _) => format!("the sender is <{path}>"),
        (None, None, Some(hello)) => format!("it says {}", hello.name),
        (None, None, None) => format!("it comes from {}", facts.client.address.ip()),
    }
}

const LIFTED: &str = "limits are lifted for its network";

fn rate(
    facts: &Facts<'_>,
    what: &str,
    number: fn(relay::policy::facts::Standing) -> u32,
    most: u32,
) -> String {
    match facts.standing {
        _ if facts.client.limits_lifted => LIFTED.into(),
        Some(standing) => format!("{what}s within the minute: {}; {most} may be", number(standing)),
        None => String::new(),
    }
}

fn of_connections(facts: &Facts<'_>, settings: &Settings) -> String {
    let (arrival, limits) = (&facts.arrival, &settings.limits);
    let all = format!("{} of {} in all", arrival.connections, limits.connections_max);
    if facts.client.limits_lifted {
        return format!("supposed to be {all}; {LIFTED}");
    }
    let (own, most) = (arrival.client_connections, limits.client_connections_max);
    format!("supposed to be {all}, {own} of {most} for the client")
}

fn of_domain(facts: &Facts<'_>, settings: &Settings) -> String {
    match (facts.forward_path, facts.domain) {
        (Some(ForwardPath::Postmaster), _) => "<Postmaster> is always ours".into(),
        (Some(ForwardPath::SourceRoute(_)), _) => "a source route".into(),
        (Some(ForwardPath::Mailbox(mailbox)), Some(id)) => {
            let name = &settings.domain(id).name;
            match mailbox.host.domain() {
                Some(written) if written != name => format!("{written} is an alias of {name}"),
                _ => format!("{name} is ours"),
            }
        }
        (Some(ForwardPath::Mailbox(mailbox)), None) => match &mailbox.host {
            Host::Domain(name) => format!("no [[domain]] is named {name}"),
            Host::Literal(_) => "an address literal, no domain".into(),
        },
        (None, _) => String::new(),
    }
}

fn of_local_part(facts: &Facts<'_>, settings: &Settings) -> String {
    let Some(mailbox) = facts.forward_path.and_then(ForwardPath::mailbox) else {
        return "no local part".into();
    };
    let allowed = facts.domain.map_or("", |id| &settings.domain(id).local_part_characters);
    let allowed =
        if allowed.is_empty() { String::new() } else { format!("; the domain allows {allowed}") };
    format!("the local part is {}{allowed}", mailbox.local_part)
}

fn of_harvest(facts: &Facts<'_>) -> String {
    match facts.standing {
        _ if facts.client.limits_lifted => LIFTED.into(),
        Some(_) if facts.reverse_path == Some(&ReversePath::Null) => {
            "supposed not to have guessed in notices, which are counted apart".into()
        }
        Some(standing) if standing.harvest => {
            "supposed to have guessed too many recipients of late".into()
        }
        Some(_) => "a client without history".into(),
        None => String::new(),
    }
}

fn of_recipient(facts: &Facts<'_>, asked: Option<&Asked>) -> String {
    let Some(status) = facts.recipient else { return String::new() };
    let status = match status {
        RecipientStatus::Exists { target: None } => "it exists".to_owned(),
        RecipientStatus::Exists { target: Some(target) } => format!("it exists, as {target}"),
        RecipientStatus::Bitbucket { reason } => format!("mail for it is discarded: {reason}"),
        RecipientStatus::Left { .. } => "whoever it was has left".to_owned(),
        RecipientStatus::Unknown => "it is unknown".to_owned(),
        RecipientStatus::Unavailable => "no source can say".to_owned(),
    };
    match asked {
        Some(asked) => format!("{status}, says {}", asked.trace.found.source),
        None => status,
    }
}
