//! One file a rule, one line in the list of its stage, cheapest first. A file's doc comment is
//! its manual entry.

mod address_tricks;
mod connections;
mod content_faults;
mod early_talker;
mod eight_bit;
mod harvest;
mod hello_own_name;
mod hello_syntax;
mod loops;
mod message_rate;
mod null_sender;
mod plan;
mod recipient;
mod recipient_rate;
mod recipients_count;
mod relay_denied;
mod reverse_name;
mod session_messages;
mod session_rate;
mod size;
mod split;

use super::{Rule, Stage};

/// What every rule needs.
mod prelude {
    pub(super) use crate::policy::Ruling;
    pub(super) use crate::policy::facts::Facts;
    pub(super) use crate::policy::verdict::Refusal;
    pub(super) use crate::policy::words::{LIFTED, rate};
    pub(super) use crate::settings::Settings;
    pub(super) use mail::address::{ForwardPath, ReversePath};
}

/// The rules of a stage.
#[must_use]
pub fn at(stage: Stage) -> &'static [Rule] {
    match stage {
        Stage::Connect => AT_CONNECT,
        Stage::Hello => AT_HELLO,
        Stage::Mail => AT_MAIL,
        Stage::Recipient => AT_RECIPIENT,
        Stage::Content => AT_CONTENT,
    }
}

macro_rules! rules {
    ($($name:ident: $help:literal),* $(,)?) => {
        &[$(Rule {
            name: stringify!($name),
            help: $help,
            run: $name::rule,
            looked_at: $name::looked_at,
        }),*]
    };
}

const AT_CONNECT: &[Rule] = rules![
    connections: "so many connections at once, in all and for one client",
    session_rate: "so many sessions a minute for one client",
    early_talker: "the client must wait for the greeting",
];

const AT_HELLO: &[Rule] = rules![
    hello_syntax: "the name in EHLO must be able to be one",
    hello_own_name: "the name in EHLO must not be ours",
];

const AT_MAIL: &[Rule] = rules![
    eight_bit: "BODY=8BITMIME must have been offered",
    size: "SIZE= must be within what EHLO offers",
    session_messages: "so many messages in one session",
    message_rate: "so many messages a minute for one client",
];

const AT_RECIPIENT: &[Rule] = rules![
    relay_denied: "the recipient's domain must be ours",
    address_tricks: "the local part must mean nothing to the server behind",
    recipients_count: "so many recipients for one message",
    null_sender: "a notice has one recipient",
    harvest: "a client that guesses names learns nothing more",
    recipient_rate: "so many recipients a minute for one client",
    reverse_name: "the client's address must have a name, where that is asked for",
    recipient: "the recipient must exist",
    plan: "all recipients of a transaction go the same way",
    split: "an envelope that was refused as a whole comes one by one",
];

const AT_CONTENT: &[Rule] = rules![
    content_faults: "line ends, NULs, line lengths and sizes",
    loops: "the message must not have been here before",
];
