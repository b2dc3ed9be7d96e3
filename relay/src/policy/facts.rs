//! What rules may know. A fact that costs something is an `Option`: a rule reaches for it by a
//! function that says what is needed when it is not there.

use crate::client::Client;
use crate::recipient::RecipientStatus;
use crate::route::Plan;
use crate::settings::{DomainId, Pressure};
use mail::address::{Domain, ForwardPath, ReversePath};
use mail::smtp::command::Hello;
use mail::smtp::parameter::MailParameters;
use mail::smtp::server::ContentSummary;

/// A fact that some rule reached for and nobody has looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// What the directory says of the recipient.
    Recipient,
    /// What the ledger says of the client.
    Standing,
    /// Whether the next hop answered this envelope with one refusal before.
    Split,
    /// Whether the client speaks while its greeting is held back.
    EarlyTalker,
    /// What the DNS calls the client.
    ReverseName,
}

/// The answer to a [`Need`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To [`Need::Recipient`].
    Recipient(RecipientStatus),
    /// To [`Need::Standing`].
    Standing(Standing),
    /// To [`Need::Split`].
    Split(bool),
    /// To [`Need::EarlyTalker`]. Where nobody listens to the end, it has not.
    EarlyTalker(bool),
    /// To [`Need::ReverseName`].
    ReverseName(ReverseName),
}

/// What the DNS calls an address (RFC 1035 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReverseName {
    /// A name that leads back to the address.
    Confirmed(Box<str>),
    /// It has names, none of which leads back to it.
    Unconfirmed,
    /// It has no name: the DNS says so.
    Missing,
    /// Nobody who could know has answered.
    Unavailable,
}

/// What the edge knows of a client that has just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// It spoke before it was greeted.
    pub early_talker: bool,
    /// Nobody has listened yet whether it does.
    pub is_unheard: bool,
    /// Open connections, this one included.
    pub connections: u32,
    /// How many there can be: as many as there are descriptors for.
    pub connections_max: u32,
    /// Open connections of this client, this one included.
    pub client_connections: u32,
    /// Open connections of the network around it (/24, /48), this one included.
    pub network_connections: u32,
    /// The client delivers mail on several days of a week. Only looked up when connections are
    /// few.
    pub is_known: bool,
    /// We are shutting down, or short of descriptors or memory.
    pub refusing: bool,
}

impl Default for Arrival {
    /// Nobody else is there, and there is room for everybody.
    fn default() -> Self {
        Self {
            early_talker: false,
            is_unheard: false,
            connections: 0,
            connections_max: u32::MAX,
            client_connections: 0,
            network_connections: 0,
            is_known: false,
            refusing: false,
        }
    }
}

/// What the ledger knows of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Standing {
    /// Sessions within the minute, this one included.
    pub sessions: u32,
    /// Messages begun within the minute, without this one.
    pub messages: u32,
    /// Recipients named within the minute, without this one.
    pub recipients: u32,
    /// It, or its network, has guessed too many recipients in mail from a mailbox.
    pub harvest: bool,
    /// It, or its network, has guessed too many recipients in notices (the null reverse-path).
    pub notice_harvest: bool,
    /// It delivers mail on several days of a week.
    pub is_known: bool,
}

/// What is known of the content beyond what the session counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentFacts {
    /// Size and fault.
    pub summary: ContentSummary,
    /// The header section, in octets.
    pub header_octets: u64,
    /// `Received` fields.
    pub received_fields: u32,
    /// `Received` fields in which we are the receiver.
    pub own_received_fields: u32,
}

/// Everything a rule may read.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who connected.
    pub client: &'a Client,
    /// How loaded we are.
    pub pressure: Pressure,
    /// What we call ourselves before this client.
    pub hostname: &'a Domain,
    /// Of the connection itself.
    pub arrival: Arrival,
    /// What the client said of itself, now or before.
    pub hello: Option<&'a Hello>,
    /// MAIL, now or before.
    pub reverse_path: Option<&'a ReversePath>,
    /// MAIL's parameters.
    pub parameters: MailParameters,
    /// RCPT, now.
    pub forward_path: Option<&'a ForwardPath>,
    /// The domain of ours that RCPT names.
    pub domain: Option<DomainId>,
    /// Recipients accepted in this transaction.
    pub recipients: u32,
    /// The plan of the transaction, once a recipient has fixed it.
    pub plan: Option<&'a Plan>,
    /// The largest message that EHLO promised, in octets.
    pub size_octets_max: u64,
    /// Whether EHLO promised 8BITMIME.
    pub eight_bit_mime: bool,
    /// Messages of this session that came to an end.
    pub session_messages: u32,
    /// Too many guesses in this session, and somebody who exists was named in this transaction:
    /// nothing more is told of recipients before the next one.
    pub is_transaction_suspected: bool,
    /// The content, when it is complete.
    pub content: Option<ContentFacts>,
    /// Looked up for [`Need::Recipient`].
    pub recipient: Option<&'a RecipientStatus>,
    /// Looked up for [`Need::Standing`].
    pub standing: Option<Standing>,
    /// Looked up for [`Need::Split`].
    pub split: Option<bool>,
    /// Looked up for [`Need::ReverseName`]; holds for the whole session.
    pub reverse_name: Option<&'a ReverseName>,
}

impl<'a> Facts<'a> {
    /// What the directory says of the recipient.
    /// # Errors
    /// [`Need::Recipient`] when nobody has asked it yet.
    pub fn recipient(&self) -> Result<&'a RecipientStatus, Need> {
        self.recipient.ok_or(Need::Recipient)
    }

    /// What the ledger says of the client.
    /// # Errors
    /// [`Need::Standing`] when nobody has asked it yet.
    pub fn standing(&self) -> Result<Standing, Need> {
        self.standing.ok_or(Need::Standing)
    }

    /// Whether recipients of this envelope must come one by one.
    /// # Errors
    /// [`Need::Split`] when nobody has asked yet.
    pub fn split(&self) -> Result<bool, Need> {
        self.split.ok_or(Need::Split)
    }

    /// What the DNS calls the client.
    /// # Errors
    /// [`Need::ReverseName`] when nobody has asked it yet.
    pub fn reverse_name(&self) -> Result<&'a ReverseName, Need> {
        self.reverse_name.ok_or(Need::ReverseName)
    }
}
