//! One client's transaction with a next hop: performs the exchange's requests on a connection.

use super::pool::{Lease, NextHop, NoConnection, Wanted};
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::client::Answer;
use mail::smtp::introduction::ClientDetails;
use mail::smtp::parameter::{Body, MailParameters};
use mail::smtp::reply::{Class, HeardReply};
use relay::next_hop::{Lack, Outcome};
use relay::turns::Party;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use wire::content::Content;
use wire::dial::connection::{self, Connection, ConnectionError, EnvelopeAnswer};
use wire::dial::handover::{Sending, send};

/// Until RSET has left; nobody waits for its reply.
const RESET_PATIENCE: Duration = Duration::from_secs(5);

/// One client's transaction with one next hop; closed at first. Each request has a deadline of the
/// exchange's: who does not wait any longer drops what it waits for, and asks what came of it by
/// [`Transaction::out_of_time`].
#[derive(Default)]
pub struct Transaction {
    lease: Option<Box<Lease>>,
    said: Option<Box<AcceptedEnvelope>>,
    /// The host that may have seen the final dot.
    reached: Option<Arc<str>>,
}

/// What the next hop is told in front of the recipients.
pub struct Envelope {
    /// On whose behalf it waits for a connection.
    pub party: Party,
    /// Who the client is, for a next hop that wants to know.
    pub client: ClientDetails,
    /// MAIL.
    pub reverse_path: ReversePath,
    /// MAIL's parameters.
    pub parameters: MailParameters,
}

/// What the next hop has been told and has accepted, to be told once more where the connection is
/// lost, or lent to somebody else, while the client is still sending.
struct AcceptedEnvelope {
    hop: Arc<NextHop>,
    envelope: Envelope,
    recipients: Vec<ForwardPath>,
}

/// What came of beginning on one connection.
enum Begun {
    /// This is what the client hears.
    Done(Outcome),
    /// It had died unseen, or the host said farewell: nothing was said about the mail.
    Died,
    /// This host cannot now; another may.
    HostCannot(Outcome),
}

impl Transaction {
    /// Takes a connection, begins, and names the first recipient.
    pub async fn open(
        &mut self,
        hop: Option<Arc<NextHop>>,
        envelope: Envelope,
        recipient: ForwardPath,
    ) -> Outcome {
        self.forget().await;
        let Some(hop) = hop else { return Outcome::Unavailable };
        let outcome = self.begin(&hop, &envelope, &recipient).await;
        self.said = Some(Box::new(AcceptedEnvelope { hop, envelope, recipients: Vec::new() }));
        self.note(recipient, &outcome);
        outcome
    }

    /// Names one more recipient.
    pub async fn recipient(&mut self, recipient: ForwardPath) -> Outcome {
        let outcome = self.name(&recipient).await;
        self.note(recipient, &outcome);
        outcome
    }

    /// The time of a request is over: what came of it.
    pub fn out_of_time(&mut self, was_opening: bool) -> Outcome {
        self.lease = None;
        match self.reached.take() {
            Some(host) => Outcome::Unknown { host },
            None if was_opening => Outcome::Unavailable,
            None => Outcome::Lost,
        }
    }

    /// The transaction is over: RSET if it is still open, and back to the pool.
    pub async fn forget(&mut self) {
        self.said = None;
        if let Some(lease) = self.lease.take() {
            give_back(lease).await;
        }
    }

    /// For a session that waits for its client: ready when the connection was called back for
    /// somebody else. What was said on it is said once more when the client goes on. It is not
    /// closed: whoever waits may be waiting because the server takes no further one.
    pub fn poll_recalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(lease) = &self.lease else { return Poll::Pending };
        ready!(lease.poll_recalled(cx));
        if let Some(lease) = self.lease.take() {
            tokio::spawn(give_back(lease));
        }
        Poll::Ready(())
    }

    /// The client is not waited for any more.
    pub fn resume(&self) {
        if let Some(lease) = &self.lease {
            lease.resume();
        }
    }

    /// Remembers a recipient that the next hop has accepted.
    fn note(&mut self, recipient: ForwardPath, outcome: &Outcome) {
        let is_accepted = matches!(outcome, Outcome::Recipient(reply) if is_completion(reply));
        if let Some(said) = self.said.as_mut().filter(|_| is_accepted) {
            said.recipients.push(recipient);
        }
    }

    /// A pooled connection may have died unseen: then once more on a new one. A host that cannot
    /// now is left for the next one (RFC 5321 §5.1), and what it said stands where there is none.
    /// Nothing is doubled by that, since no content was sent.
    async fn begin(
        &mut self,
        hop: &Arc<NextHop>,
        envelope: &Envelope,
        recipient: &ForwardPath,
    ) -> Outcome {
        let mut wanted = Wanted::default();
        let mut said = None;
        loop {
            let mut lease = match (hop.lease(envelope.party, &wanted).await, said) {
                (Ok(lease), _) => Box::new(lease),
                (Err(_), Some(said)) => return said,
                (Err(NoConnection::Busy), None) => return Outcome::Busy,
                (Err(NoConnection::Unavailable), None) => return Outcome::Unavailable,
            };
            let host = Arc::clone(&lease.connection().host.name);
            match self.begin_on(lease, hop, envelope, recipient).await {
                Begun::Done(outcome) => return outcome,
                Begun::Died if wanted.fresh => return Outcome::Lost,
                Begun::Died => said = None,
                Begun::HostCannot(outcome) => {
                    wanted.avoided.push(host);
                    if !hop.has_beside(&wanted.avoided) {
                        return outcome;
                    }
                    said = Some(outcome);
                }
            }
            wanted.fresh = true;
        }
    }

    async fn begin_on(
        &mut self,
        mut lease: Box<Lease>,
        hop: &NextHop,
        envelope: &Envelope,
        recipient: &ForwardPath,
    ) -> Begun {
        let Envelope { client, reverse_path, parameters, .. } = envelope;
        let used = lease.rested.is_some();
        let connection = lease.connection();
        if let Some(lack) = lack(connection, *parameters) {
            lease.give_back();
            return Begun::Done(Outcome::Incapable(lack));
        }
        connection.begin();
        connection.session().begin(reverse_path, *parameters, recipient, Some(client));
        match connection.answer(hop.settings.command_max).await {
            Ok(Answer::Rcpt(reply)) => {
                self.lease = Some(lease);
                Begun::Done(Outcome::Recipient(reply))
            }
            // A farewell that crossed our MAIL says nothing about it.
            Ok(Answer::MailRefused(reply)) if used && reply.code == 421 => Begun::Died,
            // It goes down, or its disk is full: that is about the host and not about the mail.
            Ok(Answer::MailRefused(reply)) if [421, 452].contains(&reply.code) => {
                Begun::HostCannot(Outcome::MailRefused(reply))
            }
            Ok(Answer::MailRefused(reply)) => {
                self.lease = Some(lease);
                Begun::Done(Outcome::MailRefused(reply))
            }
            Err(ConnectionError::TimedOut) => Begun::Done(Outcome::Lost),
            Ok(_) | Err(_) if used => Begun::Died,
            Ok(_) | Err(_) => Begun::HostCannot(Outcome::Lost),
        }
    }

    async fn name(&mut self, recipient: &ForwardPath) -> Outcome {
        for may_have_hung_up in [true, false] {
            if self.lease.is_none() {
                self.lease = self.say_again().await;
            }
            let (Some(lease), Some(said)) = (&mut self.lease, &self.said) else {
                return Outcome::Lost;
            };
            let connection = lease.connection();
            connection.session().recipient(recipient);
            match connection.answer(said.hop.settings.command_max).await {
                Ok(Answer::Rcpt(reply)) => return Outcome::Recipient(reply),
                Err(ConnectionError::Closed | ConnectionError::Io(_)) if may_have_hung_up => {}
                Ok(_) | Err(_) => {
                    self.lease = None;
                    return Outcome::Lost;
                }
            }
            // Its turn is given back here, before the next one is waited for.
            self.lease = None;
        }
        Outcome::Lost
    }

    /// Hands the content over, with our trace field in front.
    pub async fn content(
        &mut self,
        content: &mut Content,
        trace: String,
        longest_line_octets: u32,
    ) -> Outcome {
        self.reached = None;
        let Some(said) = &self.said else { return Outcome::Lost };
        let hop = Arc::clone(&said.hop);
        if hop.settings.content_line_octets_max.is_some_and(|max| longest_line_octets > max) {
            return Outcome::Incapable(Lack::LineLength);
        }
        let octets = content.octets() + trace.len() as u64;
        let mut lease = match self.data(&hop, octets).await {
            Ok(lease) => lease,
            Err(outcome) => return outcome,
        };
        let connection = lease.connection();
        let host = Arc::clone(&connection.host.name);
        let data_max = hop.settings.data_max;
        match send(connection, &mut content.parts(), &trace, data_max, &mut self.reached).await {
            Ok(()) => {}
            Err(Sending::Local) => return Outcome::LocalTrouble,
            Err(Sending::Lost) => return Outcome::Lost,
            Err(Sending::Refused(reply)) => return Outcome::Content { reply, host },
            Err(Sending::LostAtEnd) => return Outcome::Unknown { host },
        }
        match connection.answer(hop.settings.final_reply_max).await {
            // 3yz answers nothing here: whoever says it may have the message or not.
            Ok(Answer::Content(reply)) if reply.class() != Class::Intermediate => {
                self.lease = Some(lease);
                Outcome::Content { reply, host }
            }
            Ok(_) | Err(_) => Outcome::Unknown { host },
        }
    }

    /// DATA and its 354. A client may take longer over its content than the next hop waits for a
    /// command (RFC 5321 §4.5.3.2): one that has hung up is told everything once more. Nothing is
    /// doubled by that, since no content was sent.
    async fn data(&mut self, hop: &Arc<NextHop>, octets: u64) -> Result<Box<Lease>, Outcome> {
        for may_have_hung_up in [true, false] {
            let mut lease = match self.lease.take() {
                Some(lease) => lease,
                None => self.say_again().await.ok_or(Outcome::Lost)?,
            };
            let connection = lease.connection();
            let size_max = connection.session().capabilities().size_octets_max;
            if size_max.is_some_and(|max| octets > max) {
                self.lease = Some(lease);
                return Err(Outcome::Incapable(Lack::Size));
            }
            connection.session().data();
            match connection.answer(hop.settings.data_max).await {
                Ok(Answer::Data(reply)) if reply.code == 354 => return Ok(lease),
                Ok(Answer::Data(reply)) if reply.code == 421 && may_have_hung_up => {}
                Ok(Answer::Data(reply)) => {
                    self.lease = Some(lease);
                    return Err(Outcome::DataRefused(reply));
                }
                Err(ConnectionError::Closed | ConnectionError::Io(_)) if may_have_hung_up => {}
                Ok(_) | Err(_) => return Err(Outcome::Lost),
            }
            // Its turn is given back here, before the next one is waited for.
        }
        Err(Outcome::Lost)
    }

    /// The transaction so far, on a new connection; nothing unless all of it is accepted again.
    async fn say_again(&self) -> Option<Box<Lease>> {
        let AcceptedEnvelope { hop, envelope, recipients } = self.said.as_deref()?;
        let Envelope { party, client, reverse_path, parameters } = envelope;
        let mut lease = Box::new(hop.lease(*party, &Wanted::FRESH).await.ok()?);
        let connection = lease.connection();
        if recipients.is_empty() || lack(connection, *parameters).is_some() {
            return None;
        }
        let envelope = connection::Envelope {
            reverse_path,
            parameters: *parameters,
            recipients,
            details: Some(client),
        };
        match connection.envelope(&envelope, hop.settings.command_max).await {
            Ok(EnvelopeAnswer::Recipients(replies)) if replies.iter().all(is_completion) => {
                Some(lease)
            }
            Ok(_) | Err(_) => None,
        }
    }
}

/// Ends what is open on it, and lets others have it. One that takes no RSET is closed.
async fn give_back(mut lease: Box<Lease>) {
    let connection = lease.connection();
    connection.session().reset();
    if connection.send_pending(RESET_PATIENCE).await.is_ok() {
        lease.give_back();
    }
}

fn is_completion(reply: &HeardReply) -> bool {
    reply.class() == Class::Completion
}

/// What the message needs and the next hop has not.
fn lack(connection: &mut Connection, parameters: MailParameters) -> Option<Lack> {
    let capabilities = connection.session().capabilities();
    if parameters.body == Body::EightBitMime && !capabilities.eight_bit_mime {
        return Some(Lack::EightBitMime);
    }
    let too_big = |size| capabilities.size_octets_max.is_some_and(|max| size > max);
    parameters.size_octets.is_some_and(too_big).then_some(Lack::Size)
}
