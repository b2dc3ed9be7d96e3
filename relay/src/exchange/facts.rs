//! What the rules may know of the question that the session asks.

use super::{Case, Exchange};
use crate::policy::Stage;
use crate::policy::facts::{ContentFacts, Facts};
use mail::smtp::command::PathCommand;
use mail::smtp::server::{ContentSummary, Question};

impl Exchange {
    pub(super) fn stage(&self) -> Option<Stage> {
        Some(match self.session.question()? {
            Question::Connect => Stage::Connect,
            Question::Hello(_) => Stage::Hello,
            Question::Mail(..) | Question::Malformed(PathCommand::Mail, _) => Stage::Mail,
            Question::Rcpt(_) | Question::Malformed(PathCommand::Rcpt, _) => Stage::Recipient,
            Question::Content(_) => Stage::Content,
            Question::Data => return None,
        })
    }

    /// Opens the case of the question: what costs something is found out once.
    pub(super) fn open_case(&self) -> Case {
        let domain = match self.session.question() {
            Some(Question::Rcpt(path)) => self.settings.domain_of_path(path),
            _ => None,
        };
        Case { domain, ..Case::default() }
    }

    /// What the rules see of a case.
    pub(super) fn facts<'a>(&'a self, case: &'a Case) -> Facts<'a> {
        let question = self.session.question();
        let envelope = self.session.envelope();
        let (hello, reverse_path, parameters, forward_path, content) = match question {
            Some(Question::Hello(hello)) => (Some(hello), None, None, None, None),
            Some(Question::Mail(path, parameters)) => {
                (None, Some(path), Some(*parameters), None, None)
            }
            Some(Question::Rcpt(path)) => (None, None, None, Some(path), None),
            Some(Question::Content(summary)) => (None, None, None, None, Some(*summary)),
            Some(Question::Connect | Question::Malformed(..) | Question::Data) | None => {
                (None, None, None, None, None)
            }
        };
        Facts {
            client: &self.client,
            pressure: self.pressure,
            arrival: self.arrival,
            hello: hello.or(self.session.hello()),
            reverse_path: reverse_path.or(envelope.map(|e| &e.reverse_path)),
            parameters: parameters.or(envelope.map(|e| e.parameters)).unwrap_or_default(),
            forward_path,
            domain: case.domain,
            recipients: envelope
                .map_or(0, |e| u32::try_from(e.recipients.len()).unwrap_or(u32::MAX)),
            plan: self.transaction.as_ref().and_then(|t| t.plan.as_ref()),
            size_octets_max: self.offer.size_octets_max,
            eight_bit_mime: self.offer.eight_bit_mime,
            hostname: self.hostname(),
            session_messages: self.counts.messages,
            is_transaction_suspected: self.transaction.as_ref().is_some_and(|t| t.is_suspected),
            content: content.map(|summary| self.content_facts(summary)),
            recipient: case.recipient.as_ref(),
            standing: case.standing,
            split: case.split,
            reverse_name: self.reverse_name.as_ref(),
        }
    }

    fn content_facts(&self, summary: ContentSummary) -> ContentFacts {
        let header = self.transaction.as_ref().and_then(|t| t.content()).map(|c| &c.header);
        ContentFacts {
            summary,
            header_octets: header.map_or(0, |h| h.octets),
            received_fields: header.map_or(0, |h| h.received_fields),
            own_received_fields: header.map_or(0, |h| h.own_received_fields),
        }
    }
}
