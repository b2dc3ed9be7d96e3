//! The next hop's side of the stage: what the edge does with a `Request`, without sockets. A pool
//! of one idle connection a message, deadlines that a [`Speech::Lost`] stands for.

use super::{HopSettings, Mark, Speech, Stage, Visit, Voice};
use mail::smtp::client::{Answer, ClientSession, ClientStep};
use mail::smtp::extension::Capabilities;
use mail::smtp::parameter::{Body, MailParameters};
use relay::next_hop::{Lack, Outcome, Request};
use relay::route::Route;

/// The date in every trace field.
const DATE: &str = "Mon, 23 Nov 2026 12:00:00 +0000";

/// One connection to a next hop.
pub(super) struct Connection {
    hop: usize,
    session: ClientSession,
    arriving: Vec<u8>,
}

impl<V: Voice> Stage<V> {
    pub(super) fn ask(&mut self, visit: &mut Visit, request: Request) -> Outcome {
        match request {
            open @ Request::Open { .. } => {
                self.give_back(visit.hop.take());
                self.open(visit, &open)
            }
            Request::Recipient(path) => {
                let Some(mut connection) = visit.hop.take() else { return Outcome::Lost };
                connection.session.recipient(&path);
                match self.listen(&mut connection) {
                    Ok(Answer::Rcpt(reply)) => {
                        visit.hop = (reply.code != 421).then_some(connection);
                        Outcome::Recipient(reply)
                    }
                    _ => Outcome::Lost,
                }
            }
            Request::Content { longest_line_octets } => {
                self.send_content(visit, longest_line_octets)
            }
        }
    }

    fn open(&mut self, visit: &mut Visit, request: &Request) -> Outcome {
        let Request::Open { route: Route::Hop(next_hop), reverse_path, parameters, recipient } =
            request
        else {
            unreachable!("asked to open");
        };
        let hop = next_hop.0 as usize;
        let details = visit.exchange.client_details();
        loop {
            let kept = self.idle.iter().position(|c| c.hop == hop);
            let kept = kept.map(|at| self.idle.remove(at));
            let reused = kept.is_some();
            let mut connection = match kept.map_or_else(|| self.connect(hop), Ok) {
                Ok(connection) => connection,
                Err(outcome) => return outcome,
            };
            if let Some(lack) = lack(connection.session.capabilities(), *parameters) {
                self.give_back(Some(connection));
                return Outcome::Incapable(lack);
            }
            connection.session.begin(reverse_path, *parameters, recipient, Some(&details));
            match self.listen(&mut connection) {
                Ok(Answer::Rcpt(reply)) => {
                    visit.hop = (reply.code != 421).then_some(connection);
                    return Outcome::Recipient(reply);
                }
                // A connection that was kept may have gone meanwhile; that is no fault.
                Ok(Answer::MailRefused(reply)) if reused && reply.code == 421 => {}
                Err(()) if reused => {}
                Ok(Answer::MailRefused(reply)) => {
                    self.give_back((reply.code != 421).then_some(connection));
                    return Outcome::MailRefused(reply);
                }
                _ => return Outcome::Lost,
            }
        }
    }

    fn connect(&mut self, hop: usize) -> Result<Connection, Outcome> {
        let HopSettings { name, tls, introduction, .. } = &self.hops[hop];
        self.voice.opens(name)?;
        let session = ClientSession::new(self.settings.hostname.clone(), *tls, *introduction);
        let mut connection = Connection { hop, session, arriving: Vec::new() };
        match self.listen(&mut connection) {
            Ok(Answer::Ready) => Ok(connection),
            _ => Err(Outcome::Unavailable),
        }
    }

    fn send_content(&mut self, visit: &mut Visit, longest_line_octets: u32) -> Outcome {
        if !self.voice.keeps_content() {
            return Outcome::LocalTrouble;
        }
        let Some(mut connection) = visit.hop.take() else { return Outcome::Lost };
        let settings = &self.hops[connection.hop];
        let name = settings.name.clone();
        let field = visit.exchange.trace_field(DATE);
        let octets = (visit.content.len() + field.len()) as u64;
        let lack = if connection.session.capabilities().size_octets_max.is_some_and(|m| octets > m)
        {
            Some(Lack::Size)
        } else {
            let long = settings.line_octets_max.is_some_and(|max| longest_line_octets > max);
            long.then_some(Lack::LineLength)
        };
        if let Some(lack) = lack {
            visit.hop = Some(connection);
            return Outcome::Incapable(lack);
        }
        connection.session.data();
        match self.listen(&mut connection) {
            Ok(Answer::Data(reply)) if reply.code == 354 => {}
            Ok(Answer::Data(reply)) => {
                visit.hop = (reply.code != 421).then_some(connection);
                return Outcome::DataRefused(reply);
            }
            _ => return Outcome::Lost,
        }
        if self.voice.breaks_in_content(&name) {
            return Outcome::Lost;
        }
        let voice = &mut self.voice;
        connection.session.encode(field.as_bytes(), |_| ());
        voice.hears_trace(&name, &field);
        connection.session.encode(&visit.content, |octets| voice.hears(&name, octets));
        voice.hears(&name, connection.session.finish());
        match self.listen(&mut connection) {
            Ok(Answer::Content(reply)) => {
                visit.hop = (reply.code != 421).then_some(connection);
                Outcome::Content { reply, host: name.into() }
            }
            _ => Outcome::Unknown { host: name.into() },
        }
    }

    /// Until the next hop has answered, or is of no more use.
    fn listen(&mut self, connection: &mut Connection) -> Result<Answer, ()> {
        let name = &self.hops[connection.hop].name;
        loop {
            match connection.session.step() {
                ClientStep::Send => self.voice.hears(name, &connection.session.take_output()),
                ClientStep::Receive => {
                    if connection.arriving.is_empty() {
                        match self.voice.speaks(name) {
                            Speech::Octets(octets) => connection.arriving = octets,
                            Speech::Lost => return Err(()),
                        }
                    }
                    let end = self.bite.min(connection.arriving.len());
                    connection.session.receive(&connection.arriving[..end]);
                    connection.arriving.drain(..end);
                }
                // What was said in the clear behind the 220 would be read as the handshake.
                ClientStep::StartTls if !connection.arriving.is_empty() => return Err(()),
                ClientStep::StartTls => {
                    self.voice.mark(Mark::HopTls);
                    connection.session.behind_tls();
                }
                ClientStep::Heard(answer) => return Ok(answer),
                ClientStep::Failed(_) => return Err(()),
            }
        }
    }

    /// The transaction is over: the connection is kept when another may begin on it.
    pub(super) fn give_back(&mut self, connection: Option<Connection>) {
        let Some(mut connection) = connection else { return };
        let name = &self.hops[connection.hop].name;
        connection.session.reset();
        // The reply to RSET is read when the connection is used again.
        if connection.session.step() == ClientStep::Send {
            self.voice.hears(name, &connection.session.take_output());
        }
        if connection.session.is_idle() {
            self.idle.push(connection);
        }
    }
}

/// What the message is known to need and the next hop does not offer.
fn lack(offered: &Capabilities, parameters: MailParameters) -> Option<Lack> {
    if parameters.body == Body::EightBitMime && !offered.eight_bit_mime {
        return Some(Lack::EightBitMime);
    }
    let big = offered.size_octets_max.zip(parameters.size_octets);
    big.is_some_and(|(max, octets)| octets > max).then_some(Lack::Size)
}
